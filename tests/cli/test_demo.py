from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_models

from model_understanding import Report
from model_understanding.demo_models import DEMO_MODELS
from model_understanding.errors import LoadingError

PARTS = ("saliency_map.png", "attention_fig.png", "report.html", "report.json")


@pytest.fixture
def language_model_folder(language_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for SmolLM2 with a tiny model; the classifier is the real one."""
    from model_understanding import demo_models
    from model_understanding.cli import model_argument
    from model_understanding.loading import from_name

    real = demo_models.demo_model_folder

    def folder(name: str, *, progress=None) -> Path:
        if name != "demo:smollm2":
            return real(name)
        if progress is not None:
            progress("Downloading it (93 MB)", 0.5)
        return Path(language_model)

    for module in (demo_models, from_name, model_argument):
        monkeypatch.setattr(module, "demo_model_folder", folder)


def test_the_demo_leaves_pictures_pages_and_json(
    command: Callable, language_model_folder: None, tmp_path: Path
) -> None:
    outcome = command("demo", "--out-dir", str(tmp_path / "out"))
    assert outcome.code == 0, outcome.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        f"{kind}_{part}" for kind in ("classification", "generation") for part in PARTS
    )
    classification = Report.load(tmp_path / "out" / "classification_report.json")
    assert classification.prediction is not None
    assert classification.prediction.label == "positive"
    assert Report.load(tmp_path / "out" / "generation_report.json").generation is not None
    assert "demo:sentiment" in outcome.out
    assert "demo:smollm2" in outcome.out
    assert "Downloading it (93 MB) …\n" in outcome.err
    assert outcome.err.endswith(f"Figures, HTML pages and JSON files are in {tmp_path / 'out'}.\n")


def test_without_the_language_model_the_classifier_is_still_explained(
    command: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from model_understanding import demo_models
    from model_understanding.cli import model_argument

    real = demo_models.demo_model_folder

    def folder(name: str, *, progress=None) -> Path:
        if name == "demo:smollm2":
            raise LoadingError("It could not be fetched.", hint="Connect once.")
        return real(name)

    monkeypatch.setattr(model_argument, "demo_model_folder", folder)
    outcome = command("demo", "--out-dir", str(tmp_path))
    assert outcome.code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"classification_{part}" for part in PARTS
    )
    assert outcome.err.endswith(
        f"The classifier's results are in {tmp_path}. The language model cannot be loaded:\n"
        "error: It could not be fetched.\nhint: Connect once.\n"
    )


def test_the_stand_in_is_a_language_model() -> None:
    assert tiny_models.BY_NAME["gpt2"].task == DEMO_MODELS["demo:smollm2"].task


@pytest.mark.real
def test_the_real_language_model_knows_a_capital(command: Callable) -> None:
    outcome = command("explain", "demo:smollm2", "The capital of France is", "--target", "next", "--json")
    assert outcome.code == 0, outcome.err
    (target,) = Report.from_json(outcome.out).attributions[0].targets
    assert target.labels == (" Paris",)
