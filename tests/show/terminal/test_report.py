import io
import re
from dataclasses import replace

import numpy as np
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

from model_understanding.results import Attribution, Evaluation, Report
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
        "negative 0.2 %",
        "– not measured",
        "Why positive? mostly ",
        "logit of positive · value −0.5 · input_x_gradient",
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
    assert background(colors.signed(1)) + "good" in words
    assert background(colors.signed(-0.5)) + "bad" in words
    assert re.search(r"\x1b\[2;3m\[CLS\]", words)


def test_the_table_is_ordered_by_size_and_keeps_signs():
    result = Attribution.from_arrays(["up", "down", "none"], [1.0, -3.0, 0.0])
    lines = [line.split() for line in said(print_attribution, result).splitlines()]
    table = [line[:4] for line in lines if "%" in line]
    assert table[0][:4] == ["down", "−75.0", "%", "−3"]
    assert table[1][:4] == ["up", "+25.0", "%", "+1"]


def test_a_generation_says_how_sure_and_why_for_each_token():
    report = generation()
    words = said(print_report, report)
    order = (
        "12 tokens generated",
        report.generation.prompt,
        report.generation.text.strip(),
        "– not measured",
        "What changes the language-model loss of the prompt?",
        "The answer, token by token",
        "depends most on (share)",
        "Why this answer? ",
        "attention sink <s>: ",
    )
    places = [words.index(part) for part in order]
    assert places == sorted(places)
    assert "</script>other" in words, "what the model would have written instead"


def judged(verdict: str, summary: str = "Removing its top words lowers the score by 1.") -> Report:
    report = classification()
    evaluation = Evaluation(
        metric="verdict",
        value=1.0,
        curve=np.zeros((0, 2)),
        control=[],
        higher_is_better=True,
        verdict=verdict,
        method="input_x_gradient",
        target="logit of positive",
        reasons=("z = 1.",),
        summary=summary,
    )
    return replace(report, evaluations=(evaluation,))


@pytest.mark.parametrize(
    ("verdict", "line"),
    [("supported", "● supported"), ("weak", "◐ weak"), ("not supported", "○ not supported")],
)
def test_the_verdict_stands_with_its_sentence_above_the_colored_text(verdict, line):
    words = said(print_report, judged(verdict))
    assert f"{line}  Removing its top words lowers the score by 1." in words
    assert words.index(line) < words.index("Why positive?")
    assert "z = 1." in words.split("How was this tested?")[1]


def test_tests_have_a_heading_only_where_something_stands_below_it():
    words = said(
        print_report, judged("not evaluated", summary="z = 1.")
    )  # the one reason is the sentence above
    assert "– not measured  z = 1." in words
    assert "How was this tested?" not in words


def test_words_of_the_text_are_bold_in_a_sentence_and_quoted_where_nothing_is():
    found = attribution(tokens_of("never ends"), scores=[0, 2, 1, 0])
    assert "mostly “never” and “ends”" in said(print_report, Report.of(found))
    assert "“" not in said(print_report, Report.of(found), colors="truecolor")
    mark = attribution(tokens_of("! ends"), scores=[0, 2, 0.1, 0])
    assert "mostly “!”" in said(print_report, Report.of(mark)), "quoted once"


def test_scores_that_are_not_supported_look_different_without_color_too():
    words, good = said(print_report, judged("not supported")), said(print_report, judged("supported"))
    assert "█" not in words
    assert "░" in words
    assert "░" not in good
    assert "The test does not support these scores; they are drawn pale." in words


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("report", [classification(), generation(30, 40)], ids=["classifier", "model"])
def test_a_report_fits_every_width_and_no_value_is_torn_from_its_token(report, width):
    words = said(print_report, report, width=width)
    assert max(cell_len(line) for line in words.splitlines()) <= width
    assert not re.search(r"^ {3,}%", words, re.MULTILINE)
    assert "z_score" not in words


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
