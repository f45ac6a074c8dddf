"""``lens``: the library's numbers, printed, as JSON and as files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model_understanding import GenerativeModelVisualizer, LogitLens, ModelVisualizer

TEXT = "The film was wonderful, but a dull plot is bad."


def test_the_lens_is_the_library_s(command: Callable, language_model: str) -> None:
    outcome = command("lens", language_model, TEXT, "--positions", "0,-1", "--top", "3", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    found = LogitLens.from_json(outcome.out)
    expected = GenerativeModelVisualizer(language_model).compute_logit_lens(TEXT, positions=[0, -1], top=3)
    assert np.array_equal(found.top_ids, expected.top_ids)
    np.testing.assert_allclose(found.divergences, expected.divergences, rtol=1e-4, atol=1e-6)


def test_a_classifier_s_layers_in_words(command: Callable, classifier: str) -> None:
    outcome = command("lens", classifier, TEXT)
    assert (outcome.code, outcome.err) == (0, "")
    lens = ModelVisualizer(classifier).compute_logit_lens(TEXT)
    assert "Prediction at each layer\n" in outcome.out
    for name in lens.layer_names:
        assert name in outcome.out


def test_a_continuation_in_words(command: Callable, language_model: str) -> None:
    outcome = command("lens", language_model, TEXT, "--continuation", " a bad film")
    assert outcome.code == 0
    assert "Prediction at each position" in outcome.out
    assert "Prediction at each layer after" in outcome.out


def test_files_by_their_suffix(command: Callable, language_model: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"lens.{suffix}" for suffix in ("png", "svg", "json", "csv")]
    options = [word for path in paths for word in ("--out", str(path))]
    outcome = command("lens", language_model, "A film", "--positions", "-1", *options)
    assert outcome.code == 0
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in paths[1].read_bytes()
    assert LogitLens.from_json(paths[2].read_text()).layer_count == 4
    assert paths[3].read_text().startswith("position,token,layer,layer_name,rank,id,prediction")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--positions", "last"),
            "Invalid --positions 'last'. Allowed: token positions, such as -1 or 0,3,5.",
        ),
        (("--positions", "400"), "There is no position 400"),
        (("--out", "x.html"), "Cannot save 'x.html': unknown format .html."),
        (("--pair", "x"), "--pair is for classifiers, question answering models"),
    ],
)
def test_mistakes_of_the_caller(command: Callable, language_model: str, words: tuple, message: str) -> None:
    outcome = command("lens", language_model, TEXT, *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert "hint:" in outcome.err
    assert outcome.out == ""


def test_a_classifier_has_no_positions(command: Callable, classifier: str) -> None:
    outcome = command("lens", classifier, TEXT, "--positions", "1")
    assert outcome.code == 2
    assert "--positions is for language models only" in outcome.err


def test_a_picture_that_was_saved_is_not_left_open(command, tmp_path):
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    assert command("lens", "demo:sentiment", "A dull film.", "--out", str(tmp_path / "lens.png")).code == 0
    out = str(tmp_path / "map.png")
    assert command("attention", "demo:sentiment", "A dull film.", "--out", out).code == 0
    assert pyplot.get_fignums() == before
