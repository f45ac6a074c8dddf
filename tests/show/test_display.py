import sys
import types
import xml.etree.ElementTree as ElementTree

import compared_reports as compared
import hard_results as hard
import matplotlib
import numpy as np
import pandas
import pytest
from matplotlib import pyplot
from sample_answers import ANSWERS
from sample_results import attribution, classification, generation, hostile, hostile_tokens, tokens_of
from untrusted import sanitized

from model_understanding import InputError
from model_understanding.comparison import compare
from model_understanding.results import (
    Assessment,
    AttentionMap,
    Attribution,
    Failure,
    Provenance,
    Report,
    Target,
)
from model_understanding.results.assessment_summary import summarize
from model_understanding.show.display import show_result
from model_understanding.show.figures import files
from model_understanding.show.page.document import html_page

TEXT = "The movie was absolutely fantastic!"


@pytest.fixture
def notebook(monkeypatch):
    """A notebook's IPython, which keeps what it was asked to display."""
    shown = []
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    display = types.ModuleType("IPython.display")
    display.display = shown.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown


@pytest.fixture(autouse=True)
def no_figure_is_open():
    pyplot.close("all")  # those that other tests left


def test_a_notebook_displays_the_report(notebook, capsys):
    report = classification()
    show_result(report)
    assert notebook == [report]
    assert capsys.readouterr().out == ""


def test_an_ipython_terminal_is_no_notebook(notebook, monkeypatch, capsys):
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: types.SimpleNamespace())
    show_result(classification())
    assert notebook == []
    assert "positive 99.8 %" in capsys.readouterr().out


def test_a_script_prints_the_text_and_opens_no_figure(capsys):
    show_result(classification())
    assert "positive 99.8 %" in capsys.readouterr().out
    assert pyplot.get_fignums() == []


def test_a_backend_with_windows_shows_the_figures(monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(matplotlib.rcParams, "_get_backend_or_none", lambda: "TkAgg", raising=False)
    monkeypatch.setattr(pyplot, "show", lambda: shown.append(pyplot.get_fignums()))
    show_result(classification())
    assert len(shown) == 1
    assert len(shown[0]) == 1
    assert capsys.readouterr().out == ""
    pyplot.close("all")


def every_result():
    source, other = (compared.classification(compared.words(text)) for text in ("A fine film", "A dull film"))
    assessment = Assessment(
        method="saliency", target="logit of positive", verdict="weak", evaluations=(hard.evaluation(),)
    )
    return [
        *(classification(), generation(), compare(source, other), assessment, summarize([assessment])[0]),
        *(hostile(), attribution(hostile_tokens()), Failure(message="The text is empty.", hint="Pass one.")),
        AttentionMap.from_arrays(np.tril(np.full((300, 300), 0.003)), ["word"] * 300, mask="causal"),
        *(result for result in hard.everything() if not isinstance(result, Provenance | Target)),
    ]


@pytest.mark.parametrize("result", every_result(), ids=lambda result: type(result).__name__)
def test_every_result_says_what_it_is_in_a_few_lines(result):
    text, line = str(result), repr(result)
    assert text
    assert len(text) <= 1600
    assert len(text.split("\n")) <= 14
    assert line.startswith(f"<{type(result).__name__}")
    assert len(line) <= 450
    assert "\n" not in line
    for words in (text, line):
        assert "array(" not in words
        assert "\x1b" not in words
        assert "\u202e" not in words


@pytest.mark.parametrize("result", every_result(), ids=lambda result: type(result).__name__)
def test_every_result_shows_itself_in_a_notebook(result):
    bundle = result._repr_mimebundle_(exclude={"image/png"})
    assert bundle["text/plain"] == str(result)
    assert bundle["text/html"] == result._repr_html_()
    assert bundle["text/html"].lstrip().startswith("<div")
    assert "<script>alert(1)" not in bundle["text/html"]
    assert "<img src=x" not in bundle["text/html"]


def test_a_summary_names_what_a_reader_asks_for():
    report = classification()
    assert str(report).split("\n")[:2] == [
        "positive 99.8 % · demo:sentiment",
        "“The movie was absolutely fantastic!”",
    ]
    words = report.attributions[0].words()
    shares = np.abs(words.scores[0]) / np.abs(words.scores[0]).sum()
    best = int(shares.argmax())
    sign = "+" if words.scores[0, best] > 0 else "−"
    listed = str(report.attributions[0]).split("\n")[2]
    assert listed.startswith(f"{words.tokens.labels()[best]} {sign}{100 * shares[best]:.1f} %, ")
    assert "8 tokens × 1 target" in str(report.attributions[0])
    assert "2 layers × 3 heads × 8 rows × 8 keys" in str(report.attention[0])
    assert "positive 99.8 %, negative 0.2 %" in str(report.prediction)
    assert repr(report.tokens) == "<Tokens: 8 tokens “The movie was absolutely fantastic!”>"


def test_a_result_that_is_not_built_yet_has_a_repr():
    assert repr(Attribution.__new__(Attribution)) == "<Attribution>"


def test_a_notebook_gets_what_it_asks_for_and_one_figure_of_a_result(monkeypatch):
    drawn = []
    monkeypatch.setattr(files, "figure_bytes", lambda figure, format: drawn.append(format) or b"figure")
    result = attribution(tokens_of(TEXT))
    assert set(result._repr_mimebundle_(include={"text/plain"})) == {"text/plain"}
    assert set(result._repr_mimebundle_(exclude=["image/png"])) == {"text/plain", "text/html"}
    result._repr_html_()
    assert drawn == []
    for _ in range(2):
        assert result._repr_mimebundle_()["image/png"] == b"figure"
    assert drawn == ["png"]


@pytest.mark.parametrize(
    "result", [attribution(tokens_of(TEXT)), classification().attention[0]], ids=["saliency", "map"]
)
def test_an_attribution_and_a_map_are_saved_as_a_report_is(result, tmp_path):
    assert result.save(tmp_path / "x.html").read_text(encoding="utf-8") == result.to_html()
    assert result.to_html() == html_page(Report.of(result))
    table = pandas.read_csv(result.save(tmp_path / "x.csv"), keep_default_na=False)
    expected = result.to_dataframe()
    assert list(table) == list(expected)
    assert len(table) == len(expected)
    assert result.save(tmp_path / "x.png").read_bytes() == result._repr_mimebundle_()["image/png"]
    assert ElementTree.parse(result.save(tmp_path / "x.svg")).getroot().tag.endswith("svg")
    assert hard.same(type(result).load(result.save(tmp_path / "x.json")), result)
    with pytest.raises(InputError, match=r"is not a valid|holds|Cannot read"):
        Report.load(tmp_path / "x.json")


def test_an_attribution_and_a_map_plot_themselves():
    axes = attribution(tokens_of(TEXT)).plot(level="word")
    assert [label.get_text() for label in axes.get_xticklabels()][1] == "The"
    _, given = pyplot.subplots()
    assert classification().attention[0].plot(given, layer=4, head=0) is given
    pyplot.close("all")


def test_small_results_need_no_script_and_no_style_sheet():
    assessment = Assessment(
        method="saliency", target="logit of positive", verdict="weak", evaluations=(hard.evaluation(),)
    )
    expected = {
        classification().prediction: ("positive 99.8 %", "width:99.8%", "0.2 %"),
        assessment: ("Faithfulness: ◐ weak", "saliency · logit of positive"),
        summarize([assessment])[0]: ("Faithfulness of saliency: 1 text", "◐ weak", "100 %"),
        hard.head_scores(): ("Heads with the highest scores", "layer\xa0"),
        hard.evaluation(): (),
        Failure(message="The text is empty.", hint="Pass one."): ("Warning:", "The text is empty. Pass one."),
    }
    for result, parts in expected.items():
        html = result._repr_html_()
        assert "<script" not in html
        assert "<style" not in html
        assert "class=" not in html
        shown = sanitized(html)
        assert shown.count("style=") == html.count("style=")
        for part in parts:
            assert part in shown, part


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_by_itself_is_shown_in_the_terminal_and_in_a_notebook(kind, capsys):
    report = ANSWERS[kind]()
    for part in filter(None, (report.answer, report.links)):
        show_result(part)
        shown = capsys.readouterr().out
        assert str(part).split("\n")[0].split(" · ")[0] in shown
        html = part._repr_html_()
        assert sanitized(html)
        assert part._repr_mimebundle_(include=("text/plain",))["text/plain"] == str(part)
