"""What comes back if modules are restored, and what many texts have in common."""

import copy
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
from changed_models import TEXT, changed, noise, value_of

from model_understanding import InputError, ModelDiff, ModelDiffSummary
from model_understanding.results import Failure

TEXTS = [TEXT, "A fine film, really.", "The plot is bad and the film was dull.", "Really wonderful."]


@pytest.mark.parametrize(
    "name", ["bert", "gpt2", "llama", "mixtral", "xlnet", "albert", "deberta-v2", "mamba"]
)
def test_all_modules_restored_are_the_first_model(name: str) -> None:
    visualizer = tiny_models.visualizer_of(name)
    other = changed(visualizer, noise(0.05))
    weights = {key: (weight, weight.clone()) for key, weight in other.model.named_parameters()}
    modules = dict(other.model.named_modules())
    diff = visualizer.compute_model_diff(other, TEXT, restore=10_000)
    assert diff.restored.share == pytest.approx(1, abs=5e-3)
    assert diff.restored.value == pytest.approx(diff.value, abs=5e-4)
    assert dict(other.model.named_modules()) == modules
    for key, (weight, values) in weights.items():
        assert other.model.get_parameter(key) is weight
        assert torch.equal(weight, values)
    # Nothing is left in our copy either.
    assert visualizer.compute_model_diff(other, TEXT).difference == diff.difference


@pytest.mark.parametrize("name", ["llama", "bert"])
def test_all_modules_restored_leave_none_to_draw(name: str) -> None:
    visualizer = tiny_models.visualizer_of(name)
    diff = visualizer.compute_model_diff(changed(visualizer, noise(0.05)), TEXT, restore=10_000)
    assert len(diff.restored.modules) == len(diff.modules)
    assert diff.restored.random_shares == ()


def test_tied_modules_are_restored_together() -> None:
    """Whichever of both names is asked for, the model has the first one's weight in both places."""
    visualizer = tiny_models.visualizer_of("gpt2")
    assert visualizer.model.lm_head.weight is visualizer.model.transformer.wte.weight

    def change(key: str, weight: torch.Tensor) -> torch.Tensor:
        small = noise(1e-3)(key, weight)
        return 300 * small if key == "transformer.wte.weight" else small

    other = changed(visualizer, change)
    assert other.model.lm_head.weight is other.model.transformer.wte.weight
    diff = visualizer.compute_model_diff(other, TEXT, restore=1)
    assert diff.restored.modules[0] in ("lm_head", "transformer.wte")
    model = copy.deepcopy(other.model)
    model.set_input_embeddings(visualizer.model.transformer.wte)
    model.lm_head = visualizer.model.lm_head
    with torch.no_grad():
        value = float(value_of(other, diff, model))
    assert diff.restored.value == pytest.approx(value, abs=2e-5)


@pytest.mark.parametrize(("name", "count"), [("llama", 1), ("gpt2", 3), ("bert", 2)])
def test_restored_modules_by_hand(name: str, count: int) -> None:
    visualizer = tiny_models.visualizer_of(name)
    other = changed(visualizer, noise(0.05))
    diff = visualizer.compute_model_diff(other, TEXT, restore=count)
    direction = np.sign(diff.difference)
    order = sorted(diff.modules, key=lambda change: -direction * change.value)
    assert diff.restored.modules == tuple(change.name for change in order[:count])
    model = copy.deepcopy(other.model)
    for module in diff.restored.modules:
        tied = ("lm_head", "transformer.wte") if name == "gpt2" else ()
        for each in tied if module in tied else (module,):
            parent, _, key = each.rpartition(".")
            setattr(model.get_submodule(parent), key, visualizer.model.get_submodule(each))
    with torch.no_grad():
        value = float(value_of(other, diff, model))
    assert diff.restored.value == pytest.approx(value, abs=2e-5)
    assert diff.restored.share == pytest.approx((diff.other_value - value) / diff.difference, abs=1e-3)
    assert len(diff.restored.random_shares) == 10


def test_a_planted_change_comes_first_and_brings_it_all_back() -> None:
    """A random change of rank one, among small ones everywhere."""
    visualizer = tiny_models.visualizer_of("llama")
    generator = torch.Generator().manual_seed(3)
    for planted in ("model.layers.0.mlp.down_proj", "model.layers.2.self_attn.v_proj", "lm_head"):
        small = noise(1e-3)

        def change(
            key: str, weight: torch.Tensor, planted: str = planted, small: Any = small
        ) -> torch.Tensor:
            if key != f"{planted}.weight":
                return small(key, weight)
            rank_one = torch.outer(*(torch.randn(size, generator=generator) for size in weight.shape))
            return 0.3 * weight.norm() / rank_one.norm() * rank_one

        diff = visualizer.compute_model_diff(changed(visualizer, change), TEXT, restore=1)
        assert diff.strongest(top=1)[0].name == planted
        assert diff.restored.share == pytest.approx(1, abs=0.5)


def test_many_texts_are_the_mean_of_each() -> None:
    visualizer = tiny_models.visualizer_of("bert")
    other = changed(visualizer, noise(0.05))
    seen: list[ModelDiff | Failure] = []
    summary = visualizer.compute_model_diffs(other, TEXTS, each=seen.append, restore=2)
    diffs = [visualizer.compute_model_diff(other, text, restore=2) for text in TEXTS]
    assert [diff.to_json() for diff in seen if isinstance(diff, ModelDiff)] != []
    shares = {name: [] for name in (change.name for change in diffs[0].modules)}
    for diff in diffs:
        total = sum(abs(change.value) for change in diff.modules)
        for change in diff.modules:
            shares[change.name].append(change.value / total)
    first = summary.modules[0]
    magnitudes = np.abs(shares[first.name])
    half = 3.182446305 * magnitudes.std(ddof=1) / 2  # Student's t of 3 degrees, √4 texts
    assert first.share == pytest.approx(magnitudes.mean())
    assert first.share_interval == pytest.approx((magnitudes.mean() - half, magnitudes.mean() + half))
    assert first.signed_share == pytest.approx(np.mean(shares[first.name]))
    assert first.share == max(np.abs(values).mean() for values in shares.values())
    differences = [diff.difference for diff in diffs]
    assert summary.difference == pytest.approx(np.mean(differences), abs=1e-6)
    assert summary.size == pytest.approx(np.abs(differences).mean(), abs=1e-6)
    assert summary.largest_text == int(np.argmax(np.abs(differences)))
    recovered = sum(abs(diff.difference) * diff.restored.share for diff in diffs)
    assert summary.restored == pytest.approx(recovered / np.abs(differences).sum(), rel=1e-4)
    assert ModelDiffSummary.from_json(summary.to_json()).to_json() == summary.to_json()
    assert list(summary.to_dataframe()["module"]) == [module.name for module in summary.modules]


def test_texts_that_fail() -> None:
    visualizer = tiny_models.visualizer_of("bert")
    other = changed(visualizer, noise(0.05))
    texts = [TEXT, "word " * 500, TEXTS[1]]
    summary = visualizer.compute_model_diffs(other, texts, errors="skip")
    assert (summary.texts, summary.failed) == (2, 1)
    with pytest.raises(InputError, match="Text 2 of 3"):
        visualizer.compute_model_diffs(other, texts)
    with pytest.raises(InputError, match="None of the 1 texts could be compared"):
        visualizer.compute_model_diffs(other, texts[1:2], errors="skip")
    with pytest.raises(InputError, match="no text"):
        visualizer.compute_model_diffs(other, [])
