import dataclasses
from functools import cache

import numpy as np
import pytest
from drawn_pictures import drawn_texts
from matplotlib import pyplot
from matplotlib.figure import Figure
from PIL import Image
from sample_results import classification, generation

from model_understanding import InputError
from model_understanding.show.figures.report import FORMATS, figure_bytes, report_figure


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


def test_a_classification_shows_its_answer_saliency_and_attention():
    figure = report_figure(classification())
    words = [text.get_text() for text in drawn_texts(figure)]
    assert "“The movie was absolutely fantastic!”" in words
    assert "positive 99.8 %  ·  demo:sentiment" in words
    assert [axes.get_title().split(":")[0] for axes in figure.axes] == ["Token saliency", "Attention"]


def test_a_generation_shows_loss_why_each_token_and_attention():
    figure = report_figure(generation())
    assert [axes.get_title() for axes in figure.axes] == [
        "Token saliency: language-model loss of the prompt",
        "Token saliency: log-probability of each generated token",
        "Attention: mean of layers 4–5, mean of heads 0–2",
    ]


def test_each_row_of_many_targets_is_normalized_by_itself():
    report = generation()
    axes = report_figure(report).axes[1]
    rows = axes.collections[0].get_array().reshape(12, 22)
    shown = rows.sum(axis=1)
    attribution = report.attributions[1]
    hidden = [column for column in range(22) if rows.mask[:, column].all()]
    shares = np.abs(attribution.normalized().scores)
    np.testing.assert_allclose(shown + shares[:, hidden].sum(axis=1), 1, rtol=1e-5)
    assert rows.mask[0, 10:].all(), "what comes later has no score"


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
