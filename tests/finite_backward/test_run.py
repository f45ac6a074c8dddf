"""Whole models: what passes the embeddings is the difference of the output, for every architecture."""

from collections.abc import Callable
from typing import Any

import pytest
import tiny_models
import torch
from torch import Tensor, nn
from torch.nn import functional

from model_understanding.backward_rules.activations import is_activation
from model_understanding.errors import UnsupportedModelError
from model_understanding.finite_backward import mode as modes
from model_understanding.finite_backward.run import (
    EMBEDDINGS,
    FiniteBackward,
    Recording,
    Side,
    finite_backward,
)
from model_understanding.model.guard import guarded
from model_understanding.text.encoding import Encoding

TEXT = "The film was wonderful, but a dull plot is bad."
NAMES = [architecture.name for architecture in tiny_models.ARCHITECTURES]
ACTIVATIONS = ("gelu", "tanh", "pow", "silu")
"""The operations of modules that are activations as a whole."""


def _pair(visualizer: Any, text: str = TEXT) -> tuple[Encoding, Encoding]:
    """Return a text and one that differs from it in two tokens."""
    encoding = tiny_models.encoded(visualizer, text)
    ids = encoding.ids.clone()
    middle = ids.shape[1] // 2
    ids[0, middle : middle + 2] = (ids[0, middle : middle + 2] + 11) % 60 + 10
    return encoding, encoding.with_ids(ids)


def _read(visualizer: Any) -> Callable[[Tensor, Any], Tensor]:
    last = -1 if visualizer.runner.model.is_language_model else 0

    def read(logits: Tensor, outputs: Any) -> Tensor:
        line = logits[:, last].double()
        return line[:, 1] - line[:, 2] + functional.log_softmax(line, -1)[:, 1]

    return read


def _split(visualizer: Any, reference: Encoding, text: Encoding) -> FiniteBackward:
    return finite_backward(visualizer.runner.model, Side(reference), Side(text), _read(visualizer))


def _gap(result: FiniteBackward) -> float:
    passed = result.cuts[EMBEDDINGS]
    size = torch.maximum(passed.abs().sum(1), result.difference.abs())
    rounding = 1e-6 * result.text.abs()
    return float((((passed.sum(1) - result.difference).abs() - rounding).clamp_min(0) / size).max())


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("name", tiny_models.each(NAMES))
def test_nothing_is_left_over(name: str, implementation: str) -> None:
    try:
        visualizer = tiny_models.visualizer_of(name, implementation)
    except ValueError:
        pytest.skip("transformers has no fused attention for it")
    text, reference = _pair(visualizer)
    result = _split(visualizer, reference, text)
    assert _gap(result) < 3e-4
    expected = _read(visualizer)(visualizer.runner.model.logits(text), None)
    torch.testing.assert_close(result.text, expected.double(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "llama", "gemma3", "mixtral", "mamba"])
def test_swapped_roles_change_only_the_sign(name: str) -> None:
    visualizer = tiny_models.visualizer_of(name)
    text, reference = _pair(visualizer)
    one, other = _split(visualizer, reference, text), _split(visualizer, text, reference)
    torch.testing.assert_close(one.cuts[EMBEDDINGS], -other.cuts[EMBEDDINGS], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "llama", "gpt-neox"])
def test_fused_and_eager_attention_agree(name: str) -> None:
    results = []
    for implementation in ("sdpa", "eager"):
        visualizer = tiny_models.visualizer_of(name, implementation)
        text, reference = _pair(visualizer)
        results.append(_split(visualizer, reference, text).cuts[EMBEDDINGS])
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", ["bert", "llama", "gpt2", "xlnet", "modernbert"])
def test_pairs_in_a_batch_are_those_alone(name: str) -> None:
    visualizer = tiny_models.visualizer_of(name)
    model = visualizer.runner.model
    pairs = [_pair(visualizer), _pair(visualizer, TEXT)[::-1]]
    changed = pairs[0][0].ids.clone()
    changed[0, 1:3] = 30
    pairs.append((pairs[0][0], pairs[0][0].with_ids(changed)))
    alone = [_split(visualizer, reference, text) for text, reference in pairs]
    texts, references = (model.batch([pair[side] for pair in pairs]) for side in (0, 1))
    together = _split(visualizer, references, texts)
    for row, single in enumerate(alone):
        torch.testing.assert_close(together.difference[row], single.difference[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            together.cuts[EMBEDDINGS][row], single.cuts[EMBEDDINGS][0], rtol=1e-4, atol=2e-5
        )


@pytest.mark.parametrize("name", ["bert", "gpt2", "gemma3", "mixtral", "mamba", "xlnet", "deberta-v2"])
def test_a_recorded_run_serves_several_texts_and_several_outputs(name: str) -> None:
    """To the bit as one text and one output at a time, in whatever order."""
    visualizer = tiny_models.visualizer_of(name)
    model, (reference, first) = visualizer.runner.model, _pair(visualizer)
    second = first.with_ids((first.ids + 3) % 60 + 10)
    last = -1 if model.is_language_model else 0

    def read(logits: Tensor, outputs: Any) -> Tensor:
        return functional.log_softmax(logits[:, last].double(), -1)[:, :3]

    with guarded(model.module, gradients=True):
        recording = Recording(model, Side(reference), read)
        together = [recording.compared(Side(text), keep=True) for text in (first, second)]
        together.append(recording.compared(Side(first)))
    for result, text in zip(together, (first, second, first), strict=True):
        assert result.cuts[EMBEDDINGS].shape == (1, 3, text.ids.shape[1])
        for output in range(3):

            def one(logits: Tensor, outputs: Any, output: int = output) -> Tensor:
                return read(logits, outputs)[:, output]

            alone = finite_backward(model, Side(reference), Side(text), one)
            assert torch.equal(result.difference[:, output], alone.difference)
            assert torch.equal(result.cuts[EMBEDDINGS][:, output], alone.cuts[EMBEDDINGS])


@pytest.mark.parametrize(
    ("name", "implementation", "operation"),
    [
        ("bert", "sdpa", "scaled_dot_product_attention"),
        ("bert", "eager", "softmax"),
        ("bert", "eager", "matmul"),
        ("bert", "sdpa", "layer_norm"),
        ("bert", "sdpa", "gelu"),
        ("bert", "sdpa", "tanh"),
        ("gpt2", "sdpa", "pow"),
        ("llama", "sdpa", "silu"),
        ("llama", "sdpa", "rsqrt"),
        ("llama", "sdpa", "mul"),
        ("mamba", "eager", "exp"),
        ("mixtral", "sdpa", "log_softmax"),
    ],
)
@pytest.mark.parametrize("is_seen", [True, False])
def test_planted_faults_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, implementation: str, operation: str, is_seen: bool
) -> None:
    """A rule that is missing is named, and so is an operation that the mode does not see at all.

    An activation without a rule is no fault: its slope as a whole gives the same.
    """
    visualizer = tiny_models.visualizer_of(name, implementation)
    text, reference = _pair(visualizer)
    same = {other for other in modes.RULES if other.strip("_").lstrip("ri") == operation.lstrip("ri")}
    lost = {operation, *same, f"__{operation}__", f"__r{operation}__"}
    if is_seen:
        expected = _split(visualizer, reference, text).cuts[EMBEDDINGS]
        for other in lost & modes.RULES.keys():
            monkeypatch.delitem(modes.RULES, other)
        if operation in ACTIVATIONS:
            found = _split(visualizer, reference, text).cuts[EMBEDDINGS]
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)
            return
    else:
        handled = modes.FinitePairing._with_rule

        def blind(self: Any, call: Any) -> Any:
            return call.run() if call.name in lost else handled(self, call)

        monkeypatch.setattr(modes.FinitePairing, "_with_rule", blind)
    with pytest.raises(UnsupportedModelError, match="cannot be compared exactly"):
        _split(visualizer, reference, text)


def test_the_model_and_its_answer_stay_as_they_are() -> None:
    visualizer = tiny_models.visualizer_of("llama")
    text, reference = _pair(visualizer)
    before = visualizer.runner.model.logits(text)
    _split(visualizer, reference, text)
    assert torch.equal(visualizer.runner.model.logits(text), before)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in visualizer.model.modules())


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_an_activation_that_chooses_by_the_sign_of_its_input(name: str) -> None:
    """Its operations have no rule where the signs of both runs differ; its slope as a whole is exact."""

    class Activation(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.where(x > 0, 0.7 * x * x + 0.5 * x, torch.expm1(x) - 0.2 * x)

    model = tiny_models.fresh(name)
    for part in [*model.modules()]:
        for child in [key for key, each in part.named_children() if is_activation(each)]:
            setattr(part, child, Activation())
    visualizer = tiny_models.visualizer_of(name, model=model)
    text, reference = _pair(visualizer)
    result = _split(visualizer, reference, text)
    assert _gap(result) < 3e-4
    assert not result.corrections
