"""What a diff books to modules, against values computed in plain torch."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import tiny_models
import torch
from changed_models import TEXT, changed, noise, value_of
from torch import nn

from model_understanding import ModelDiff, ModelVisualizer
from model_understanding.errors import InputError
from model_understanding.model_diff.compute import answer_name
from model_understanding.model_diff.placing import at_tokens

ARCHITECTURES = (
    *("bert", "distilbert", "albert", "deberta-v2", "modernbert", "xlnet", "llama-classifier"),
    *("gpt2", "llama", "gemma3", "phi3", "bloom", "mixtral", "gpt-oss", "mamba", "bert-as-language-model"),
)


@pytest.mark.parametrize("name", tiny_models.each(ARCHITECTURES))
def test_modules_sum_to_the_change_of_the_answer(name: str) -> None:
    visualizer = tiny_models.visualizer_of(name)
    other = changed(visualizer, noise(0.05))
    diff = visualizer.compute_model_diff(other, TEXT)
    with torch.no_grad():
        expected = float(value_of(other, diff) - value_of(visualizer, diff))
    values = [change.value for change in diff.modules]
    assert diff.difference == pytest.approx(expected, abs=2e-5)
    assert sum(values) == pytest.approx(expected, abs=1e-5 * sum(map(abs, values)) + 1e-6)
    assert ModelDiff.from_json(diff.to_json()).to_json() == diff.to_json()
    assert diff.unchanged == 0


@pytest.mark.parametrize("name", tiny_models.each(["bert", "gpt2", "llama", "qwen3", "modernbert", "mamba"]))
def test_a_small_change_is_booked_as_its_gradient(name: str) -> None:
    """In the limit a module's value is the gradient of its weights times their change."""
    visualizer = tiny_models.visualizer_of(name)
    other = changed(visualizer, noise(1e-3))
    diff = visualizer.compute_model_diff(other, TEXT)
    model = copy.deepcopy(visualizer.model)
    value_of(visualizer, diff, model).backward()
    weights = dict(other.model.named_parameters())
    expected: dict[str, float] = {}
    for key, weight in model.named_parameters():
        if weight.grad is not None:
            owner = key.rpartition(".")[0]
            change = float((weight.grad * (weights[key] - weight).detach()).sum())
            expected[owner] = expected.get(owner, 0.0) + change
    scale = max(map(abs, expected.values()))
    found = {change.name: change.value for change in diff.modules}
    # The output head that shares its weights with the embeddings is booked by itself.
    tied = next((name for name in found if name not in expected), None)
    if tied is not None:
        table = next(name for name in expected if name not in found or "embed" in name or "wte" in name)
        expected[tied] = expected[table] - found.get(table, 0.0)
        expected[table] = found.get(table, 0.0)
    assert found.keys() <= expected.keys()
    for owner, value in expected.items():
        assert found.get(owner, 0.0) == pytest.approx(value, abs=0.02 * scale), owner


@pytest.mark.parametrize("name", tiny_models.each(["bert", "distilbert", "llama-classifier"]))
def test_a_changed_output_head_is_exact_by_hand(name: str) -> None:
    """Above a changed head nothing else happens: its value is its own change of the logit."""
    visualizer = tiny_models.visualizer_of(name)
    head = "score" if name.startswith("llama") else "classifier"
    other = changed(
        visualizer, lambda key, weight: torch.randn_like(weight) if key.startswith(head) else None
    )
    diff = visualizer.compute_model_diff(other, TEXT)
    inputs: list[torch.Tensor] = []
    module = visualizer.model.get_submodule(head)
    handle = module.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    with torch.no_grad():
        value_of(visualizer, diff)
        handle.remove()
        difference = other.model.get_submodule(head)(inputs[0]) - module(inputs[0])
    states = difference.reshape(-1, difference.shape[-1])[:, diff.target.indices[0]]
    (change,) = diff.modules
    assert change.name == head
    assert change.value == pytest.approx(float(states[-1]), rel=1e-4)
    assert diff.difference == pytest.approx(float(states[-1]), rel=1e-4)


def test_roles_change_the_sign_of_every_value() -> None:
    visualizer = tiny_models.visualizer_of("llama")
    other = changed(visualizer, noise(0.05))
    forth = visualizer.compute_model_diff(other, TEXT, target=7)
    back = other.compute_model_diff(visualizer, TEXT, target=7)
    np.testing.assert_allclose(forth.at_tokens, -back.at_tokens, atol=1e-6)
    assert forth.difference == pytest.approx(-back.difference)


def test_the_same_model_has_no_difference() -> None:
    visualizer = tiny_models.visualizer_of("bert")
    diff = visualizer.compute_model_diff(copy.deepcopy(visualizer.model), TEXT)
    assert (diff.difference, diff.modules, diff.gap) == (0.0, (), 0.0)
    assert isinstance(visualizer, ModelVisualizer)


class Shifted(nn.Linear):
    """A linear map whose output is overwritten."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = super().forward(x)
        y += 0.5
        return y


def test_what_a_linear_map_returned_may_be_overwritten() -> None:
    model = copy.deepcopy(tiny_models.visualizer_of("bert").model)
    for layer in model.bert.encoder.layer:
        layer.output.dense.__class__ = Shifted
    visualizer = ModelVisualizer(model=model, tokenizer=tiny_models.tokenizer_of("bert"))
    other = changed(visualizer, noise(0.05))
    diff = visualizer.compute_model_diff(other, TEXT)
    with torch.no_grad():
        expected = float(value_of(other, diff) - value_of(visualizer, diff))
    assert sum(change.value for change in diff.modules) == pytest.approx(expected, abs=2e-5)


def test_classes_of_other_names_are_said() -> None:
    visualizer = tiny_models.visualizer_of("bert")
    other = changed(visualizer, noise(0.05))
    assert not visualizer.compute_model_diff(other, TEXT).provenance.cautions
    other.model.config.id2label = {0: "good", 1: "bad", 2: "fine"}
    (caution,) = visualizer.compute_model_diff(other, TEXT).provenance.cautions
    assert caution.startswith("The models name their classes differently.")


def test_an_answer_is_the_same_whatever_a_class_is_called() -> None:
    visualizer = tiny_models.visualizer_of("bert")
    other = changed(visualizer, noise(1e-6))
    other.model.config.id2label = {0: "good", 1: "bad", 2: "fine"}
    diff = visualizer.compute_model_diff(other, TEXT)
    names = visualizer.model.config.id2label
    with torch.no_grad():
        logits = visualizer.model(**visualizer.tokenizer(TEXT, return_tensors="pt")).logits
    assert diff.answers == (names[int(logits.argmax())],) * 2
    assert visualizer.compute_model_diffs(other, [TEXT]).changed_answers == 0


def test_tokens_that_decode_alike_have_names_of_their_own() -> None:
    """Parts of a character all decode to the same sign, and some ids to nothing."""
    model = tiny_models.visualizer_of("gpt2").runner.model
    ids = range(len(model.tokenizer))
    decoded = [model.tokenizer.decode([index]) for index in ids]
    parts = [index for index in ids if decoded[index] == "\ufffd"]
    assert len(parts) > 2
    assert len({answer_name(model, index) for index in parts}) == len(parts)
    assert all(answer_name(model, index) for index in ids)
    assert answer_name(model, len(model.tokenizer) + 7) == f"<id {len(model.tokenizer) + 7}>"


@pytest.mark.parametrize("name", tiny_models.each(["llama", "bert", "mixtral"]))
def test_eager_and_fused_attention_book_the_same(name: str) -> None:
    diffs = []
    for implementation in ("sdpa", "eager"):
        visualizer = tiny_models.visualizer_of(name, implementation)
        diffs.append(visualizer.compute_model_diff(changed(visualizer, noise(0.05)), TEXT))
    np.testing.assert_allclose(diffs[0].at_tokens, diffs[1].at_tokens, atol=1e-5)


def test_weights_are_not_copied() -> None:
    """While two models are compared, no tensor of the size of the largest weight is made."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    visualizer = tiny_models.visualizer_of("llama")
    other = changed(visualizer, noise(0.05))
    sizes = {weight.numel() for weight in visualizer.model.parameters() if weight.ndim == 2}
    made: list[torch.Size] = []

    class Made(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
            result = function(*arguments, **(keywords or {}))
            known = {each.data_ptr() for each in tree_leaves(arguments) if isinstance(each, torch.Tensor)}
            made.extend(
                each.shape
                for each in tree_leaves(result)
                if isinstance(each, torch.Tensor)
                and each.numel() in sizes
                and each.data_ptr() not in known
                and each.is_floating_point()
                and each.ndim == 2
            )
            return result

    with Made():
        visualizer.compute_model_diff(other, TEXT)
    assert made == []


@pytest.mark.parametrize("name", tiny_models.each(["bert", "distilbert", "albert", "deberta-v2"]))
def test_a_pooled_head_is_at_no_token_whatever_its_width(name: str) -> None:
    """A head with as many classes, or a pooler as wide, as the text has tokens reads no token."""
    visualizer = tiny_models.visualizer_of(name)
    probe = visualizer.compute_model_diff(changed(visualizer, noise(0.05)), TEXT)
    widths = {visualizer.model.config.num_labels, getattr(visualizer.model.config, "hidden_size", 0)}
    pooled = [change.name for change in probe.modules if change.layer is None and "embed" not in change.name]
    for width in widths - {0, 1, 2}:
        texts = ("a " * count for count in range(1, 80))
        text = next(each for each in texts if len(visualizer.tokenizer(each)["input_ids"]) == width)
        diff = visualizer.compute_model_diff(changed(visualizer, noise(0.05)), text)
        rows = dict(zip([change.name for change in diff.modules], diff.at_tokens, strict=True))
        for module in pooled:
            if "classif" in module or "pooler" in module:
                assert not rows[module].any(), module


def test_tokens_are_found_by_the_kind_of_a_module_and_not_by_a_size_alone() -> None:
    passed = torch.arange(25.0).reshape(1, 5, 5)
    rows, columns = passed[0].sum(1).double(), passed[0].sum(0).double()
    for kind in ("linear", "norm", "embedding"):
        torch.testing.assert_close(at_tokens(passed, 5, kind=kind), rows)
        assert at_tokens(passed[:, 0], 5, kind=kind) is None
    torch.testing.assert_close(at_tokens(passed, 5, kind="convolution"), columns)
    assert at_tokens(passed, 5, kind="experts") is None
    assert at_tokens(passed, 5, kind="other", sizes={5}) is None  # channels or tokens
    torch.testing.assert_close(
        at_tokens(passed[..., :3], 5, kind="other", sizes={3}), passed[0, :, :3].sum(1).double()
    )
    assert at_tokens(torch.ones(1, 5, 5, 3), 5) is None  # heads or tokens


def test_the_warnings_of_the_other_model_are_those_of_the_diff() -> None:
    visualizer = tiny_models.visualizer_of("bert")
    other = changed(visualizer, noise(0.05))
    model = other.runner.model
    provenance = model.loaded.provenance.with_cautions(["untrained head: this explains random weights"])
    model.loaded = replace(model.loaded, provenance=provenance)
    diff = visualizer.compute_model_diff(other, TEXT)
    assert any("untrained head" in caution for caution in diff.provenance.cautions)
    summary = visualizer.compute_model_diffs(other, [TEXT])
    assert any("untrained head" in caution for caution in summary.provenance.cautions)


def test_a_continuation_that_is_missing_is_asked_for() -> None:
    visualizer = tiny_models.visualizer_of("gpt2")
    with pytest.raises(InputError, match="none is given"):
        visualizer.compute_ledger(TEXT, TEXT, target="continuation")
    with pytest.raises(InputError, match="none is given"):
        visualizer.compute_model_diff(visualizer, TEXT, target="continuation")


def test_a_text_compared_with_itself_has_no_gap_and_no_correction() -> None:
    ledger = tiny_models.visualizer_of("mixtral").compute_ledger(TEXT, TEXT)
    assert not ledger.corrections
    assert ledger.gaps.max() < 1e-5
