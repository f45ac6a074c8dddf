import io
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console
from sample_results import (
    MANY_SCRIPTS,
    attention,
    attribution,
    classification,
    generation,
    text_of,
    tokens_of,
)

from model_understanding.results import Attribution
from model_understanding.show.shared.colors import palette
from model_understanding.show.terminal.report import print_attention, print_attribution, print_report


def said(show, *results, width: int = 100, colors: str | None = None) -> str:
    file = io.StringIO()
    show(*results, Console(file=file, width=width, color_system=colors, force_terminal=colors is not None))
    return file.getvalue()


def background(color: str) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"48;2;{red};{green};{blue}m"


def test_a_classification_says_everything_without_color():
    words = said(print_report, classification(cautions=["untrained head: this explains random weights"]))
    for expected in (
        "positive 99.8 %  ·  demo:sentiment",
        "⚠ Warning: untrained head: this explains random weights",
        "Saliency: logit of positive",
        "value −0.5 · input_x_gradient",
        "[CLS] The movie was absolutely fantastic! [SEP]",
        "+ supports positive",
        "− opposes positive",
        "Attention: mean of layers 4–5, mean of heads 0–2",
        "Attention shows where the model attends, not why it made its prediction.",
    ):
        assert expected in words
    assert "\x1b" not in words


def test_the_strongest_word_has_the_strongest_color_and_special_tokens_none():
    tokens = tokens_of("good bad so")
    words = said(print_attribution, attribution(tokens, scores=[9, 4, -2, 0, 9]), colors="truecolor")
    colors = palette("light")
    assert background(colors.signed(4 / 9)) + "good" in words
    assert background(colors.signed(-2 / 9)) + "bad" in words
    assert re.search(r"\x1b\[2;3m\[CLS\]", words)


def test_the_table_is_ordered_by_size_and_keeps_signs():
    result = Attribution.from_arrays(["up", "down", "none"], [1.0, -3.0, 0.0])
    lines = [line.split() for line in said(print_attribution, result).splitlines()]
    table = [line[:4] for line in lines if "%" in line]
    assert table[0][:4] == ["down", "−75.0", "%", "−3"]
    assert table[1][:4] == ["up", "+25.0", "%", "+1"]


def test_a_generation_says_how_sure_and_why_for_each_token():
    words = said(print_report, generation())
    assert "Probability of each generated token" in words
    assert "Saliency: log-probability of each generated token" in words
    assert "generated token" in words
    assert "attention sink <s>: " in words


def test_sinks_are_named_and_excluded():
    result = attention(tokens_of(text_of(12)), sink=0)
    words = said(print_attention, result)
    (share,) = re.findall(r"attention sink \[CLS\]: ([\d.]+) %, excluded below\n", words)
    assert 30 < float(share) < 100
    assert not re.search(r"\[CLS\] [\d.]+ %", words.split("attention sink")[1].split("\n", 1)[1])


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width):
    tokens = tokens_of(MANY_SCRIPTS + " 你好" * 60, splits_emoji=True)
    words = said(print_attribution, attribution(tokens), width=width)
    assert max(cell_len(line) for line in words.splitlines()) <= width


def test_long_tables_say_what_they_leave_out():
    words = said(print_attention, attention(tokens_of(text_of(60), special=False)))
    assert "and 36 more" in words


def test_line_breaks_of_the_text_stay():
    words = said(print_attribution, attribution(tokens_of("one\ntwo", special=False)))
    assert re.search(r"one↵ *\n  two", words)


def test_standard_output_is_the_default(capsys):
    print_report(classification())
    assert "positive 99.8 %" in capsys.readouterr().out


def test_what_takes_most_of_another_map_is_no_sink():
    result = replace(attention(tokens_of(text_of(12)), sink=0), map="information_flow", sinks=None)
    words = said(print_attention, result)
    assert re.search(r"dominant key \[CLS\]: [\d.]+ %\n", words)
    assert "sink" not in words
    assert "[CLS] " in words.split("dominant key")[1].split("\n", 1)[1], "it is ranked with the rest"
    assert "The map shows how much tokens contribute to each other" in words


def test_sinks_are_ranked_or_taken_out_when_asked():
    result = attention(tokens_of(text_of(12)), sink=0)
    raw = said(lambda found, console: print_attention(found, console, sinks="raw"), result)
    assert re.search(r"attention sink \[CLS\]: [\d.]+ %\n", raw)
    assert re.search(r"\[CLS\] [\d.]+ %", raw.split("attention sink")[1].split("\n", 1)[1])
    rest = said(lambda found, console: print_attention(found, console, sinks="renormalized"), result)
    assert re.search(r"attention sink \[CLS\]: [\d.]+ %, excluded, rows rescaled to 100 %\n", rest)


def test_what_a_map_left_out_is_printed():
    result = replace(attention(tokens_of("a b c")), left_out=("3 of 90 queries\x1b were asked for.",))
    assert "3 of 90 queries␛ were asked for." in said(print_attention, result)
