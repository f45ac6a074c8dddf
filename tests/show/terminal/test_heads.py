import io
from dataclasses import replace

import pytest
from page_elements import hidden
from rich.console import Console
from sample_results import HOSTILE, attention, hostile_tokens, provenance, tokens_of

from model_understanding.results import RankedHead
from model_understanding.show.terminal.heads import print_head_ranking


def ranked(*scores: float, by: str = "ablation", tokens=None, cautions=()):
    """Return a map of layers 4 and 5 and heads 0 to 2 with a ranking."""
    places = [(5, 2), (4, 0), (4, 2)]
    ranking = tuple(
        RankedHead(layer=layer, head=head, score=score, by=by)
        for (layer, head), score in zip(places, scores, strict=False)
    )
    tokens = tokens or tokens_of("A dull plot.")
    return replace(attention(tokens), ranking=ranking, provenance=provenance(*cautions))


def said(*arguments, width: int = 100) -> list[str]:
    file = io.StringIO()
    print_head_ranking(*arguments, console=Console(file=file, width=width, color_system=None))
    return file.getvalue().splitlines()


def test_heads_stand_in_order_with_signed_scores_and_bars_by_size():
    lines = said(ranked(-0.5, 0.25, 0.0), "what the answer loses without the head")
    assert lines[:2] == ["Heads by ablation", "what the answer loses without the head"]
    first, second, third = (line.split() for line in lines[4:7])
    assert first[:5] == ["1", "5", "2", "−0.5", "█" * 12]
    assert second[:5] == ["2", "4", "0", "+0.25", "█" * 6]
    assert third[:4] == ["3", "4", "2", "0"]
    assert "█" not in lines[6]
    assert all("%" in line for line in lines[4:7])


def test_bars_stand_for_the_most_there_can_be():
    lines = said(ranked(0.5, 0.25, by="sink"), "weight on sinks", 1.0)
    assert [line.count("█") for line in lines[4:6]] == [6, 3]
    assert "+" not in "".join(lines)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_hostile_tokens_and_names_stay_text(width):
    found = ranked(0.5, 0.25, by=HOSTILE[0], tokens=hostile_tokens(), cautions=HOSTILE[:2])
    assert not hidden("\n".join(said(found, HOSTILE[0], width=width)))


def test_cautions_come_first():
    assert said(ranked(0.5, cautions=["untrained head"]))[0] == " ⚠ Warning: untrained head "
