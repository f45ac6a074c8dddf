import dataclasses
from functools import cache

import numpy as np
import pytest
from drawn_pictures import drawn_texts
from matplotlib import pyplot
from matplotlib.figure import Figure
from PIL import Image
from sample_results import classification, generation, tokens_of

from model_understanding import InputError
from model_understanding.show.figures.report import FORMATS, figure_bytes, report_figure
from model_understanding.show.views.report import map_views


@cache
def drawn(kind):
    return figure_bytes(report_figure(classification()), kind)


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_figure_gives_the_same_bytes(kind):
    first = drawn(kind)
    assert first == figure_bytes(report_figure(classification()), kind)
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    assert first.startswith(starts[kind])


@pytest.mark.parametrize("kind", FORMATS)
def test_report_save_writes_pictures(kind, tmp_path):
    path = classification().save(tmp_path / f"report.{kind}")
    assert path.read_bytes() == drawn(kind)


def test_a_png_is_of_the_figures_size_and_background(tmp_path):
    figure = report_figure(classification(), theme="dark")
    path = tmp_path / "dark.png"
    path.write_bytes(figure_bytes(figure, "png"))
    with Image.open(path) as picture:
        expected = np.round(figure.get_size_inches() * 150)
        assert np.abs(np.array(picture.size) - expected).max() <= 1
        assert picture.convert("RGB").getpixel((2, 2)) == (0x14, 0x17, 0x1C)


def test_a_users_figure_stays_open():
    figure, axes = pyplot.subplots()
    axes.plot([1, 2])
    figure_bytes(figure, "png")
    assert pyplot.fignum_exists(figure.number)
    pyplot.close(figure)


def words_of(figure):
    return " ".join(" ".join(text.get_text() for text in drawn_texts(figure)).split())


def heights(figure, *words):
    """Return how far up the first text stands that contains each of some words."""
    texts = [(text.get_text(), text.get_window_extent().y1) for text in drawn_texts(figure)]
    return [max(height for text, height in texts if word in text) for word in words]


def judged(verdict):
    """Return a classification whose map has a verdict."""
    report = classification()
    row = report.attributions[0]
    evaluation = dataclasses.replace(
        report.evaluations[0],
        verdict=verdict,
        summary="Removing its top words lowers the score by 3.6.",
        method=row.method,
        target=row.targets[0].description(),
    )
    return dataclasses.replace(report, evaluations=(evaluation,))


def test_a_classification_shows_answer_verdict_sentence_text_strongest_words_and_attention():
    figure = report_figure(judged("supported"))
    order = ("“The", "99.8 %", "● supported", "Why positive?", "strongest words", "supports", "Attention:")
    found = heights(figure, *order)
    assert found == sorted(found, reverse=True)
    chip, words = heights(figure, "● supported", "Removing its top words lowers the score by 3.6.")
    assert chip == pytest.approx(words, abs=6), "on one line"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_scores_that_the_test_does_not_support_are_pale_and_striped_and_say_so(theme):
    striped = {}
    for verdict in ("supported", "not supported"):
        figure = report_figure(judged(verdict), theme=theme)
        texts, attention = figure.axes[1], figure.axes[-1]
        striped[verdict] = sum(bool(patch.get_hatch()) for patch in texts.patches)
        words = words_of(figure)
        assert ("drawn pale and striped" in words) == (verdict == "not supported")
        assert attention.get_title().startswith("Attention")
    assert striped["supported"] == 0
    assert striped["not supported"] > 4


def test_the_strongest_words_are_those_of_the_terminal():
    report = judged("supported")
    found = map_views(report)[0].saliency.top()
    words = [text.get_text() for text in report_figure(report).axes[1].texts]
    for unit in found:
        assert unit.label in words
        assert unit.share_text in words


def test_a_generation_shows_why_the_answer_and_what_each_token_depends_on():
    figure = report_figure(generation())
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [
        "What each token of the answer is based on",
        "Attention: mean of layers 4–5, mean of heads 0–2",
    ]
    words = words_of(figure)
    assert words.index("What changes the language-model loss of the prompt?") < words.index(
        "Why this answer?"
    )


def test_what_each_token_depends_on_is_drawn_as_shares_of_its_row():
    report = generation()
    (sources,) = [shown.sources for shown in map_views(report) if shown.sources is not None]
    (axes,) = [axes for axes in report_figure(report).axes if axes.get_title().startswith("What each")]
    drawn = axes.collections[0].get_array().reshape(len(sources.rows), -1)
    kept = np.flatnonzero(sources.scored.any(axis=0))
    expected = sources.shares[:, kept]
    shown = ~np.ma.getmaskarray(drawn)
    np.testing.assert_allclose(drawn[shown], expected[shown], rtol=1e-5)
    assert (shown == (sources.scored & ~sources.special)[:, kept]).all()


def test_a_long_text_is_colored_and_attended_by_sentences():
    sentence = "It was the best of times, the worst of times. "
    tokens = tokens_of(sentence * 20)
    figure = report_figure(classification(tokens))
    words = [text.get_text() for text in drawn_texts(figure)]
    assert "strongest sentences: share of all scores" in words
    attention = figure.axes[-2] if figure.axes[-1].get_label() == "inset_axes" else figure.axes[-1]
    assert len(attention.get_yticklabels()) == 22


def test_mistakes_are_explained():
    with pytest.raises(InputError) as caught:
        figure_bytes(Figure(), "gif")
    assert str(caught.value) == "Unknown format 'gif'. Allowed: png, svg, pdf. Pass format='png'."
    empty = dataclasses.replace(classification(), attributions=(), attention=())
    with pytest.raises(InputError) as caught:
        report_figure(empty)
    assert str(caught.value) == (
        "The report has no attribution and no attention map. Save it as .json or .html instead."
    )
