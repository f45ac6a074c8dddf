"""Whether sums are exact: on every architecture, with exchanged roles, in batches, with planted faults."""

from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import tiny
import torch
from pairs import CLASSIFIER, LANGUAGE_MODEL
from torch import Tensor

from model_understanding import GenerativeModelVisualizer, ModelVisualizer
from model_understanding.errors import ModelUnderstandingError
from model_understanding.finite_backward import mode
from model_understanding.finite_backward.run import EMBEDDINGS, Side, finite_backward
from model_understanding.text.encoding import Encoding

Row = dict[str, Any]
_WITHOUT_STREAM = ("bert-as-language-model",)
FAULTS = (
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
)
"""Models, their attention, and the operation whose rule is left out."""


def architectures(known: set[str]) -> Iterator[Row]:
    """Yield the largest gap of each architecture, with fused and eager attention."""
    for architecture in tiny.ARCHITECTURES:
        for implementation in ("sdpa", "eager"):
            key = f"{architecture.name}, {implementation}"
            if architecture.name in _WITHOUT_STREAM or key in known:
                continue
            try:
                visualizer = tiny.visualizer_of(architecture.name, implementation)
            except ValueError:  # it has no fused attention
                continue
            try:
                ledger = _ledger(visualizer)
            except ModelUnderstandingError as error:
                yield {"key": key, "refused": error.message}
            else:
                yield {"key": key, "gap": float(ledger.gaps.max()), "difference": ledger.difference}


def faults(known: set[str]) -> Iterator[Row]:
    """Yield what happens where the rule of an operation is missing, or the operation is not seen at all."""
    for name, implementation, operation in FAULTS:
        for is_seen in (True, False):
            key = f"{name}, {implementation}: {operation} {'without a rule' if is_seen else 'unseen'}"
            if key in known:
                continue
            visualizer = tiny.visualizer_of(name, implementation)
            lost = {each for each in mode.RULES if each.strip("_").removeprefix("r") == operation}
            lost |= {operation}
            expected = _ledger(visualizer).residual
            try:
                with _without_rules(lost) if is_seen else _unseen(lost):
                    found = _ledger(visualizer).residual
            except ModelUnderstandingError as error:
                yield {"key": key, "refused": error.message}
            else:  # an activation that no mode sees gets its slope from a hook
                yield {"key": key, "error": float(np.abs(found - expected).max() / np.abs(expected).max())}


def equality(known: set[str]) -> Iterator[Row]:
    """Yield how far other ways to compute a ledger are from it: exchanged roles, a batch, eager attention."""
    if "sdpa against eager" not in known:
        errors = dict(_errors_of_eager())
        worst = max(errors, key=lambda name: errors[name])
        yield {
            "key": "sdpa against eager",
            "error": errors[worst],
            "worst": worst,
            "architectures": len(errors),
        }
    for name, kind, pairs, options in (
        ("demo:sentiment", ModelVisualizer, CLASSIFIER, {"target": 1, "against": 0}),
        ("demo:smollm2", GenerativeModelVisualizer, LANGUAGE_MODEL, {"target": [260], "against": 28}),
    ):
        if {f"{name}, exchanged", f"{name}, batch"} <= known:
            continue
        visualizer: Any = kind(name)
        texts = [pair[1:] for pair in pairs]
        if name == "demo:smollm2":
            options = {**options, "quantity": "logit"}
        errors = []
        for text, reference in texts[:5]:
            one = visualizer.compute_ledger(text, reference, **options).residual
            other = visualizer.compute_ledger(reference, text, **options).residual
            errors.append(np.abs(one + other).max() / np.abs(one).max())
        yield {"key": f"{name}, exchanged", "error": float(max(errors))}
        yield {"key": f"{name}, batch", "error": _error_of_batch(visualizer, texts)}


def _errors_of_eager() -> Iterator[tuple[str, float]]:
    for architecture in tiny.ARCHITECTURES:
        if architecture.name in _WITHOUT_STREAM or not architecture.has_attention:
            continue
        try:
            fused = _ledger(tiny.visualizer_of(architecture.name, "sdpa")).residual
        except ValueError:  # it has no fused attention
            continue
        eager = _ledger(tiny.visualizer_of(architecture.name, "eager")).residual
        yield architecture.name, float(np.abs(fused - eager).max() / np.abs(eager).max())


def _error_of_batch(visualizer: Any, texts: list[tuple[str, str]]) -> float:
    """Return how far three pairs of one length in a batch are from the same pairs alone."""
    encoded = [[tiny.encoded(visualizer, text) for text in pair] for pair in texts]
    lengths = [[each.ids.shape[1] for each in pair] for pair in encoded]
    same = [pair for pair, sizes in zip(encoded, lengths, strict=True) if set(sizes) == {lengths[0][0]}][:3]
    model = visualizer.runner.model
    alone = [_passed(visualizer, *pair) for pair in same]
    together = _passed(visualizer, *(model.batch([pair[side] for pair in same]) for side in (0, 1)))
    return max(
        float((together[row] - single[0]).abs().max() / single.abs().max())
        for row, single in enumerate(alone)
    )


def _passed(visualizer: Any, text: Encoding, reference: Encoding) -> Tensor:
    def read(logits: Tensor, outputs: Any) -> Tensor:
        line = logits[:, -1] if logits.ndim == 3 else logits
        return (line[:, 1] - line[:, 0]).double()

    result = finite_backward(visualizer.runner.model, Side(reference), Side(text), read)
    return result.cuts[EMBEDDINGS]


def _ledger(visualizer: Any) -> Any:
    is_classifier = isinstance(visualizer, ModelVisualizer)
    target, against = (1, 0) if is_classifier else ([42], 57)
    return visualizer.compute_ledger(*tiny.PAIRS[0], target=target, against=against, quantity="logit")


def _without_rules(lost: set[str]) -> Any:
    rules = {name: rule for name, rule in mode.RULES.items() if name not in lost}
    return mock.patch.dict(mode.RULES, rules, clear=True)


def _unseen(lost: set[str]) -> Any:
    seen = mode.FinitePairing.__torch_function__

    def blind(self: Any, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        if getattr(function, "__name__", "") in lost and torch.is_grad_enabled():
            return function(*arguments, **(keywords or {}))
        return seen(self, function, types, arguments, keywords)

    return mock.patch.object(mode.FinitePairing, "__torch_function__", blind)
