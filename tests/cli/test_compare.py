import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import hard_results as made
import numpy as np
import pytest
from compared_reports import attention, attribution, classification, generation, step_attribution, words
from saved_files import saved_message

from model_understanding import Comparison

EXPECTED = """\
a.json  →  b.json ──────────────────────────────────────────────────────────────────────────────────
positive 90.0 %  →  positive 65.0 %
1 word replaced, 1 added

The probability of positive drops from 90.0 % to 65.0 %, mostly because “good” became “bad”.
Faithfulness: first – not measured · second – not measured

  a good→bad film {+indeed+} here

  word            first  second  difference
  good → bad          5      −5         −10  ████████████
  here                2       4          +2  ██
  indeed (added)      –     0.5        +0.5  █
  and 2 more with smaller differences
Saliency: logit of positive
input_x_gradient
Raw scores are compared
rank correlation 0.87 · different top word

Outputs

  output     first  second  difference
  negative  10.0 %  35.0 %       +25.0  ███
  positive  90.0 %  65.0 %       −25.0  ███

Largest single change: share of “good → bad” in the scores: from 50.0 % to −40.0 % (−90.0 points)
"""


@pytest.fixture
def saved(tmp_path: Path) -> tuple[str, str]:
    first, second = words("a good film here"), words("a bad film indeed here")
    reports = (
        classification(first, attribution(first, [1, 5, 2, 2])),
        classification(second, attribution(second, [1, -5, 2, 0.5, 4]), positive=0.65),
    )
    paths = [
        str(report.save(tmp_path / name)) for report, name in zip(reports, ("a.json", "b.json"), strict=True)
    ]
    return paths[0], paths[1]


def test_the_whole_of_what_is_printed(command: Callable, saved: tuple[str, str]) -> None:
    outcome = command("compare", *saved)
    assert (outcome.code, outcome.err) == (0, "")
    assert "\n".join(line.rstrip() for line in outcome.out.splitlines()) + "\n" == EXPECTED


@pytest.mark.parametrize(
    ("second", "sentence"),
    [(0.9004, "stays at 90.0 %."), (0.901, "hardly changes, from 90.0 % to 90.1 %.")],
)
def test_a_small_change_is_said_as_the_numbers_above_it_show_it(
    command: Callable, tmp_path: Path, second: float, sentence: str
) -> None:
    text = words("a good film here")
    sides = (([1, 5, 2, 2], 0.9), ([1, 3, 2, 2], second))
    paths = [
        str(classification(text, attribution(text, scores), positive=share).save(tmp_path / f"{share}.json"))
        for scores, share in sides
    ]
    assert f"The probability of positive {sentence} Largest changes: " in " ".join(
        command("compare", *paths).out.split()
    )


def test_json_is_the_comparison_alone(command: Callable, saved: tuple[str, str]) -> None:
    outcome = command("compare", *saved, "--json")
    assert (outcome.code, outcome.err, outcome.out.count("\n")) == (0, "", 1)
    found = Comparison.from_json(outcome.out)
    assert found.names == ("a.json", "b.json")
    assert json.loads(outcome.out)["change"] == found.change


@pytest.mark.parametrize("suffix", ["html", "json", "csv", "png", "svg", "pdf"])
def test_a_file_is_saved_and_named(
    command: Callable, saved: tuple[str, str], tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"difference.{suffix}"
    outcome = command("compare", *saved, "--json", "--out", str(path))
    assert (outcome.code, outcome.err) == (0, saved_message(path))
    assert path.stat().st_size


@pytest.mark.parametrize(("limit", "code"), [("0.91", 0), ("0.89", 3), ("0", 3)])
def test_a_limit_ends_with_a_code_of_its_own(
    command: Callable, saved: tuple[str, str], limit: str, code: int
) -> None:
    outcome = command("compare", *saved, "--json", "--fail-above", limit)
    assert outcome.code == code
    words = f"differs: The largest difference is 0.9; --fail-above allows {limit}.\n" if code else ""
    assert outcome.err == words
    assert Comparison.from_json(outcome.out)


def test_the_same_report_passes_any_limit(command: Callable, saved: tuple[str, str]) -> None:
    outcome = command("compare", saved[0], saved[0], "--fail-above", "0", "--json")
    assert (outcome.code, outcome.err) == (0, "")


def test_a_part_that_is_missing_fails_a_limit(
    command: Callable, saved: tuple[str, str], tmp_path: Path
) -> None:
    bare = classification(words("a good film here")).save(tmp_path / "bare.npz")
    outcome = command("compare", saved[0], str(bare), "--fail-above", "1", "--json")
    assert outcome.code == 3
    assert outcome.err == (
        "differs: Only the first report has the attribution input_x_gradient (logit of positive). "
        "--fail-above needs both.\n"
    )


def test_mistakes_end_with_2_and_a_hint(command: Callable, saved: tuple[str, str], tmp_path: Path) -> None:
    missing = tmp_path / "no.json"
    outcome = command("compare", saved[0], str(missing))
    assert (outcome.code, outcome.out, outcome.err) == (
        2,
        "",
        f"error: Cannot read a report from {missing}: No such file or directory.\n"
        "hint: Pass a file that Report.save('x.json') or Report.save('x.npz') wrote.\n",
    )
    other = generation("a good", "film").save(tmp_path / "other.json")
    outcome = command("compare", saved[0], str(other), "--out", str(tmp_path / "x.json"))
    assert (outcome.code, outcome.out, outcome.err) == (
        2,
        "",
        "error: Cannot compare a report on a classifier (a.json) with one on a language model (other.json).\n"
        "hint: Compare two reports on models of one kind.\n",
    )
    assert not (tmp_path / "x.json").exists()
    outcome = command("compare", *saved, "--out", "x.npz")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: Cannot save 'x.npz': unknown format .npz.\nhint: Use one of ")
    outcome = command("compare", *saved, "--fail-above", "nan")
    assert (outcome.code, outcome.err) == (
        2,
        "error: Invalid value for '--fail-above': Input should be greater than or equal to 0\n"
        "hint: Run model-understanding compare --help.\n",
    )


def test_hostile_strings_do_not_reach_the_terminal(command: Callable, tmp_path: Path) -> None:
    paths = [str(made.report().save(tmp_path / name)) for name in ("\x1b[31m.json", "\u202eb.json")]
    outcome = command("compare", *paths)
    assert outcome.code == 0
    assert not {"\x1b", "\u202e", "\x00"} & set(outcome.out)


def test_generations_and_their_steps(command: Callable, tmp_path: Path) -> None:
    first, second = generation("the sky is", "very blue"), generation("the sky is", "blue")
    sides = (
        replace(first, attributions=(step_attribution(first, np.arange(1.0, 11).reshape(2, 5)),)),
        replace(second, attributions=(step_attribution(second, np.arange(1.0, 5).reshape(1, 4)),)),
    )
    paths = [str(side.save(tmp_path / f"{place}.json")) for place, side in enumerate(sides)]
    outcome = command("compare", *paths)
    assert outcome.code == 0
    assert "“very” only in the first" in outcome.out
    assert "−very" not in outcome.out, "a minus before a token reads as a number"


def test_attention_that_differs_is_named(command: Callable, tmp_path: Path) -> None:
    tokens = words("a good film")
    weights = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.2, 0.2, 0.6]])
    changed = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.2, 0.5, 0.3]])
    paths = [
        str(classification(tokens, attention=(attention(tokens, held),)).save(tmp_path / f"{name}.json"))
        for name, held in (("a", weights), ("b", changed))
    ]
    outcome = command("compare", *paths)
    lines = [" ".join(line.split()[:-1]) for line in outcome.out.splitlines() if " to " in line]
    assert lines[1:3] == ["film to good 20.0 % 50.0 % +30.0", "film to film 60.0 % 30.0 % −30.0"]
    assert (
        "attention from “film” to “good”, layer 5, head 0: from 20.0 % to 50.0 % (+30.0 points)"
        in " ".join(outcome.out.split())
    )
