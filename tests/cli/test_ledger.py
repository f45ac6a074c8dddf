"""``ledger``: the library's numbers, printed, as JSON and as files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model_understanding import GenerativeModelVisualizer, Ledger, ModelVisualizer

TEXT, REFERENCE = (
    "The film was wonderful, but a dull plot is bad.",
    "The film was dull, but a dull plot is bad.",
)


def test_the_ledger_is_the_library_s(command: Callable, language_model: str) -> None:
    outcome = command(
        *("ledger", language_model, TEXT, "--reference", REFERENCE, "--target", "id:42", "--json"),
        *("--quantity", "logit"),
    )
    assert outcome.code == 0
    found = Ledger.from_json(outcome.out)
    expected = GenerativeModelVisualizer(language_model).compute_ledger(
        TEXT, REFERENCE, target=42, quantity="logit"
    )
    np.testing.assert_allclose(found.residual, expected.residual, rtol=1e-3, atol=1e-5)
    assert found.difference == pytest.approx(expected.difference, rel=1e-4)


def test_a_classifier_in_words(command: Callable, classifier: str) -> None:
    outcome = command("ledger", classifier, TEXT, "--reference", REFERENCE)
    assert outcome.code == 0
    ledger = ModelVisualizer(classifier).compute_ledger(TEXT, REFERENCE)
    assert "Difference in logit of" in outcome.out
    assert f"text: {TEXT}" in outcome.out
    assert f"reference: {REFERENCE}" in outcome.out
    layer, _, _ = ledger.strongest("mlp", top=1)[0]
    assert f"block {layer}, at " in outcome.out
    assert "completeness gap" in outcome.out


def test_a_text_against_its_baseline(command: Callable, classifier: str) -> None:
    outcome = command("ledger", classifier, TEXT, "--baseline", "mean")
    assert outcome.code == 0
    assert "reference: its baseline (mean)" in outcome.out


def test_files_by_their_suffix(command: Callable, classifier: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"ledger.{suffix}" for suffix in ("json", "csv", "html", "png")]
    options = [word for path in paths for word in ("--out", str(path))]
    outcome = command("ledger", classifier, TEXT, "--reference", REFERENCE, *options)
    assert outcome.code == 0
    assert Ledger.from_json(paths[0].read_text()).layers == 3
    assert paths[1].read_text().startswith("part,layer,position,token,reference_token,value")
    assert "Strongest hidden states" in paths[2].read_text(encoding="utf-8")
    assert paths[3].read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--out", "x.txt"), "Cannot save 'x.txt': unknown format .txt."),
        (("--reference", REFERENCE, "--baseline", "mean"), "A reference is given"),
        (("--baseline", "meen"), "meen"),
        (("--target", "goofy", "--reference", REFERENCE), "goofy"),
    ],
)
def test_refusals(command: Callable, classifier: str, words: tuple[str, ...], message: str) -> None:
    outcome = command("ledger", classifier, TEXT, *words)
    assert outcome.code == 2
    assert message in outcome.err
