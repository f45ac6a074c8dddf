"""``diff``: the library's numbers, in words, as JSON and as files, and its exit codes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_models
from changed_models import TEXT, changed, noise

from model_understanding import GenerativeModelVisualizer, ModelDiff, ModelDiffSummary, ModelVisualizer

OTHER = "A fine film, really."


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The folders of models with other weights than those of ``classifier`` and ``language_model``."""
    folders = {}
    for name in ("bert", "gpt2"):
        visualizer = changed(tiny_models.visualizer_of(name), noise(0.05))
        folder = tmp_path_factory.mktemp(f"tuned-{name}")
        visualizer.model.save_pretrained(folder)
        visualizer.tokenizer.save_pretrained(folder)
        folders[name] = str(folder)
    return folders


def test_the_diff_is_the_library_s(command: Callable, language_model: str, tuned: dict[str, str]) -> None:
    outcome = command("diff", language_model, tuned["gpt2"], TEXT, "--target", "id:42", "--json")
    assert outcome.code == 0
    found = ModelDiff.from_json(outcome.out)
    visualizer = GenerativeModelVisualizer(language_model)
    expected = visualizer.compute_model_diff(tuned["gpt2"], TEXT, target=42)
    assert found.difference == pytest.approx(expected.difference, abs=1e-5)
    assert [change.name for change in found.modules] == [change.name for change in expected.modules]


def test_in_words(command: Callable, classifier: str, tuned: dict[str, str]) -> None:
    outcome = command("diff", classifier, tuned["bert"], OTHER, "--restore", "3", "--top", "2")
    assert outcome.code == 0
    assert "The logit of" in outcome.out
    assert "Restoring the 3 modules with the largest values brings back" in " ".join(outcome.out.split())
    assert "all 30 modules that the answer is computed from have other weights" in outcome.out
    assert "A diff splits a joint change" in outcome.out
    table = [line for line in outcome.out.splitlines() if line.strip().startswith("bert.")]
    assert len(table) <= 2


def test_several_texts(command: Callable, classifier: str, tuned: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text(f"{TEXT}\n{OTHER}\n{'word ' * 500}\n")
    saved, page = tmp_path / "diff.csv", tmp_path / "diff.html"
    words = ("diff", classifier, tuned["bert"], "--file", str(tmp_path / "texts.txt"))
    outcome = command(*words, "--out", str(saved), "--out", str(page))
    assert outcome.code == 3  # one of the texts is too long
    assert "Over 2 texts, the answer's logit changes by" in outcome.out
    assert "1 text could not be compared." in outcome.out
    assert "line 3" in outcome.err
    assert saved.read_text().startswith("module,kind,layer,value,share,share_low,share_high,signed_share")
    assert "Over 2 texts" in page.read_text()
    outcome = command(*words, "--json")
    *diffs, summary = outcome.out.splitlines()
    assert [json.loads(line)["type"] for line in diffs] == ["ModelDiff"] * 2
    assert ModelDiffSummary.from_json(summary).texts == 2


def test_exit_codes_for_ci(command: Callable, classifier: str, tuned: dict[str, str]) -> None:
    diff = json.loads(command("diff", classifier, tuned["bert"], OTHER, "--json").out)
    size = abs(diff["other_value"] - diff["value"])
    above = command("diff", classifier, tuned["bert"], OTHER, "--fail-above", str(size * 0.99))
    assert above.code == 3
    assert "changes by" in above.err
    assert "--fail-above allows" in above.err
    assert command("diff", classifier, tuned["bert"], OTHER, "--fail-above", str(size * 1.01)).code == 0
    assert command("diff", classifier, classifier, OTHER, "--fail-above", "0").code == 0


def test_a_head_that_is_untrained_has_no_limit(command: Callable, classifier: str, tmp_path: Path) -> None:
    """A checkpoint without a head: a warning, and with --fail-above an error, since its head is random."""
    visualizer = tiny_models.visualizer_of("bert")
    body = visualizer.model.bert
    body.config.save_pretrained(tmp_path)
    body.save_pretrained(tmp_path)
    visualizer.tokenizer.save_pretrained(tmp_path)
    assert not visualizer.runner.model.loaded.untrained
    assert ModelVisualizer(str(tmp_path)).runner.model.loaded.untrained == (
        *("classifier.bias", "classifier.weight"),
    )
    outcome = command("diff", classifier, str(tmp_path), OTHER)
    assert outcome.code == 0, outcome.err
    assert "untrained head: this explains random weights" in " ".join(outcome.out.split())
    outcome = command("diff", classifier, str(tmp_path), OTHER, "--fail-above", "1000")
    assert outcome.code == 2
    assert f"The head of {tmp_path.name} is untrained: there is nothing to compare." in outcome.err


def test_the_help_offers_what_a_diff_takes(command: Callable) -> None:
    words = " ".join(command("diff", "--help").out.split())
    assert "sequence-classification, causal-lm." in words
    for option in ("--choice", "--label", "--document", "--mask", "--pooling", "--hypothesis-template"):
        assert f"{option} " not in words
    assert "--continuation" in words
    for other in ("demo:minilm", "encoder–decoder", "context of a question"):
        assert other not in words
    assert "encoder–decoder" in " ".join(command("explain", "--help").out.split())


def test_models_of_other_kinds(command: Callable, classifier: str, language_model: str) -> None:
    outcome = command("diff", classifier, language_model, OTHER)
    assert outcome.code == 2
    assert "different kinds: sequence-classification and causal-lm." in outcome.err
    outcome = command("diff", "demo:minilm", classifier, OTHER)
    assert outcome.code == 2
    assert "A diff is of classifiers or language models. Got a model for sentence-similarity." in outcome.err


def test_the_same_model_twice(command: Callable, classifier: str) -> None:
    outcome = command("diff", classifier, classifier, OTHER)
    assert outcome.code == 0
    assert "No weights differ" in outcome.out


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`")  # peft asks by a former name
def test_an_adapter_s_folder(command: Callable, language_model: str, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    visualizer = GenerativeModelVisualizer(language_model)
    config = peft.LoraConfig(r=2, target_modules=["c_proj"], fan_in_fan_out=True, init_lora_weights=False)
    peft.get_peft_model(visualizer.model, config).save_pretrained(tmp_path)
    outcome = command("diff", language_model, str(tmp_path), TEXT, "--json")
    assert outcome.code == 0, outcome.err
    names = {change.name.rpartition(".")[2] for change in ModelDiff.from_json(outcome.out).modules}
    assert names == {"c_proj"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--out", "x.docx"), "Cannot save 'x.docx': unknown format .docx."),
        (("--target", "goofy"), "goofy"),
        (("--continuation", "x"), "--continuation is for language models"),
        ((), "The models read this text as different tokens"),
    ],
)
def test_refusals(
    command: Callable, classifier: str, tuned: dict[str, str], words: tuple[str, ...], message: str
) -> None:
    other = tuned["bert"] if words else str(tuned["gpt2"])
    outcome = command("diff", classifier, other, TEXT, *words)
    assert outcome.code == 2
    if words:
        assert message in outcome.err
