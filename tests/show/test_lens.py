"""The logit lens drawn and printed, hostile tokens as text."""

import io
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console
from sample_results import PIECES

from model_understanding import InputError
from model_understanding.results import LogitLens
from model_understanding.show.figures.report import lens_axes
from model_understanding.show.terminal.logit_lens import print_lens
from model_understanding.tokens import Tokens

matplotlib.use("Agg")


def sample(layers: int = 4, positions: int = 5) -> LogitLens:
    numbers = np.random.default_rng(0)
    ids = numbers.integers(0, 5, (layers, positions, 3))
    probabilities = -np.sort(-numbers.random((layers, positions, 3)) / 3)
    plane = (layers, positions)
    ranks = np.where(np.arange(layers)[:, None] == layers - 1, 1, 7) * np.ones(plane, dtype=int)
    return LogitLens(
        tokens=Tokens.from_pieces([PIECES[i % 5] for i in range(positions)]),
        positions=np.arange(positions),
        top_ids=ids,
        top_probabilities=probabilities,
        entropies=numbers.random(plane),
        divergences=numbers.random(plane),
        final_ranks=ranks,
        final_probabilities=numbers.random(plane),
        next_ids=np.full(positions, -1),
        next_ranks=np.zeros(plane, dtype=int),
        next_probabilities=np.zeros(plane),
        ids=np.arange(5),
        labels=PIECES,
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_last_layer_stands_at_the_top(theme):
    axes = lens_axes(sample(), theme=theme)
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["after block 2", "after block 1", "after block 0", "embeddings"]
    assert len(axes.get_xticklabels()) == 5
    words = [text.get_text() for text in axes.texts if text.get_text()]
    assert len(words) >= 20
    assert not any("\x1b" in word for word in words)
    matplotlib.pyplot.close(axes.figure)


def test_axes_of_the_caller_are_used():
    axes = Figure().add_subplot()
    assert lens_axes(sample(), axes) is axes


def test_many_positions_fit_on_a_page():
    axes = lens_axes(sample(layers=30, positions=64))
    width, height = axes.figure.get_size_inches()
    assert width < 27
    assert height < 27
    matplotlib.pyplot.close(axes.figure)


def test_a_theme_that_there_is_not():
    with pytest.raises(InputError):
        lens_axes(sample(), theme="blue")  # pyright: ignore[reportArgumentType]


def printed(lens: LogitLens) -> str:
    console = Console(file=io.StringIO(), width=100, color_system=None)
    print_lens(lens, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_every_layer_is_printed_and_nothing_moves_the_cursor():
    words = printed(sample())
    for name in ("after block 2", "embeddings", "␛[31m", "</script>"):
        assert name in words
    assert "\x1b" not in words


def test_a_classifier_s_answer_has_no_place_in_the_text():
    lens = sample(positions=1)
    words = printed(replace(lens, positions=[-1]))
    assert "Prediction at each layer\n" in words
    assert "top from layer" not in words
