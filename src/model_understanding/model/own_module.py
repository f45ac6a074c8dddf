"""Modules of the user's own: what they are called with, and where their logits are in what they return.

A transformers class says both. Any other module is run once on a few tokens when it is loaded: it works if
its logits can be found, and else is refused with what its ``forward`` must take and return.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from model_understanding.errors import InputError, ModelUnderstandingError
from model_understanding.loading.wrappers import without_adapter
from model_understanding.model.outputs import EACH_TOKEN, OF_VOCABULARY, configured_classes
from model_understanding.model.signature import IDS, MASK, innermost, is_of_transformers

ROWS = 2  # of the same text, which tell the axis of texts from the others
_TEXT = "This is a text."
_TOLERANCE = 1e-3  # of the largest logit, by which a hidden token or another text may change the logits
_HALF_TOLERANCE = 0.05
_ACTIVATIONS = frozenset({"sigmoid", "softmax", "sigmoid_", "hardsigmoid"})


def is_own_module(module: nn.Module) -> bool:
    """Return whether a module is not simply a transformers model, or one with an adapter of peft.

    Args:
        module: The module. A transformers model whose ``forward`` was replaced counts as the user's own.
    """
    module = without_adapter(module)
    replaced = vars(module).get("forward")
    return not is_of_transformers(type(module)) or (
        replaced is not None and not is_of_transformers(innermost(replaced))
    )


@dataclass(frozen=True, slots=True)
class LogitsPlace:
    """Where a module's logits are in what it returns.

    Args:
        key: The attribute, key or index; ``None`` where it returns the logits alone.
    """

    key: str | int | None

    def find(self, outputs: Any) -> Tensor:
        """Return the logits in what the module returned."""
        if self.key is None:
            return outputs
        if isinstance(self.key, str) and hasattr(outputs, self.key):
            return getattr(outputs, self.key)
        return outputs[self.key]


def found_logits(
    run: Callable[[Mapping[str, Tensor]], Any],
    inputs: Mapping[str, Tensor],
    *,
    name: str,
    missing: set[str],
    renames_mask: bool,
    task: str,
    classes: int | None,
) -> tuple[LogitsPlace, int]:
    """Run a module of the user's own once and find its logits.

    Args:
        run: Calls the module with inputs.
        inputs: Inputs for ``ROWS`` rows of the same text.
        name: The name of the module's class.
        missing: Parameters of its ``forward`` that nothing is known of.
        renames_mask: Whether its attention mask was guessed by its name, so that its meaning is checked.
        task: The task, which says whether it should have logits at each token or of each text.
        classes: Number of classes that the configuration has, which decides between several tensors.

    Returns:
        The place of the logits, and how many classes (tokens of the vocabulary) they have.

    Raises:
        InputError: The module cannot be run, returns no logits, or others each time.
    """
    per_token = task in EACH_TOKEN
    shape = "(texts, classes)"
    if per_token:
        shape = "(texts, tokens, vocabulary)" if task in OF_VOCABULARY else "(texts, tokens, labels)"
    hint = (
        f"Let forward take {IDS} and {MASK}, and return logits of shape {shape}: a tensor, or one named "
        "'logits'. For any other model use BlackBoxVisualizer, which needs only a function from texts to "
        "numbers."
    )
    if IDS not in inputs:
        raise InputError(f"{name}.forward takes no token ids by name.", hint=hint)
    if missing:
        raise InputError(
            f"{name}.forward requires {_listed(sorted(missing))}, which the tokenizer does not give.",
            hint=hint,
        )
    watch = _Activations()
    try:
        with watch:
            outputs = run(inputs)
    except ModelUnderstandingError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise InputError(
            f"{name} could not be run with {_listed(list(inputs))}: {type(error).__name__}: "
            f"{str(error).strip().partition(chr(10))[0].rstrip('.')}.",
            hint=hint,
        ) from error
    tensors = dict(_tensors(outputs))
    shape_before = tuple(inputs[IDS].shape) if per_token else (ROWS,)
    fitting = {
        key: values
        for key, values in tensors.items()
        if values.is_floating_point()
        and values.ndim == len(shape_before) + 1
        and values.shape[:-1] == shape_before
    }
    if "logits" in fitting:
        fitting = {"logits": fitting["logits"]}
    if len(fitting) > 1:
        fitting = {key: values for key, values in fitting.items() if values.shape[-1] == classes} or fitting
    if len(fitting) != 1:
        found = ", ".join(str(tuple(values.shape)) for values in tensors.values()) or type(outputs).__name__
        problem = "several tensors that could be its logits" if fitting else "no logits"
        raise InputError(
            f"{name} returned {problem} for {ROWS} texts of {inputs[IDS].shape[1]} tokens: found {found}, "
            f"expected {shape}.",
            hint=hint,
        )
    ((key, logits),) = fitting.items()
    activation = watch.of(logits)
    sums_to_1 = logits.shape[-1] > 1 and bool(
        (logits >= 0).all() and ((logits.float().sum(-1) - 1).abs() < _TOLERANCE).all()
    )
    if activation is not None or sums_to_1:
        sign = f"the last step of its forward is {activation}" if activation else "they sum to 1"
        raise InputError(
            f"{name} returns probabilities: {sign}.",
            hint="Return the logits before it, or use BlackBoxVisualizer, which takes probabilities.",
        )
    place = LogitsPlace(key)
    if not _repeats(lambda changed: place.find(run(changed)), inputs, logits):
        raise InputError(
            f"{name} gives other logits for the same text when it runs once more beside another text.",
            hint="Leave out what is random in evaluation mode (functional.dropout needs "
            "training=self.training) and what depends on the other rows of a batch. A model that is right "
            "for one text at a time only can be explained with BlackBoxVisualizer.",
        )
    if renames_mask and not _hides_tokens(lambda changed: place.find(run(changed)), inputs, logits):
        raise InputError(f"The mask that {name}.forward takes does not hide tokens where it is 0.", hint=hint)
    return place, logits.shape[-1]


def with_classes(config: Any, count: int, task: str) -> Any:
    """Return a configuration, or a copy of it, that has as many classes as a module's logits."""
    if configured_classes(task, config) == count:
        return config
    of_vocabulary = task in OF_VOCABULARY
    changed = copy.copy(config.get_text_config() if of_vocabulary else config)
    setattr(changed, "vocab_size" if of_vocabulary else "num_labels", count)
    return changed


def probe_inputs(tokenizer: Any, accepted: Mapping[str, str], device: torch.device) -> dict[str, Tensor]:
    """Return inputs for ``ROWS`` rows of the same short text."""
    encoded = tokenizer(_TEXT)
    ids = list(encoded[IDS]) or [0]
    values = {name: encoded[name] for name in (IDS, *tokenizer.model_input_names) if name in encoded}
    values[MASK] = [1] * len(ids)
    return {
        name: torch.tensor([row] * ROWS, device=device) for name, row in values.items() if name in accepted
    }


def _tensors(outputs: Any) -> list[tuple[str | int | None, Tensor]]:
    """Return the tensors of what a module returned, each with its place."""
    if isinstance(outputs, Tensor):
        return [(None, outputs)]
    if isinstance(outputs, Mapping):
        items: list[tuple[Any, Any]] = list(outputs.items())
    elif hasattr(outputs, "_fields"):  # a named tuple
        items = list(zip(outputs._fields, outputs, strict=True))
    elif isinstance(outputs, tuple | list):
        items = list(enumerate(outputs))
    else:
        items = list(vars(outputs).items()) if hasattr(outputs, "__dict__") else []
    return [(key, value) for key, value in items if isinstance(value, Tensor)]


def _repeats(
    logits_of: Callable[[Mapping[str, Tensor]], Tensor], inputs: Mapping[str, Tensor], expected: Tensor
) -> bool:
    """Return whether a text's logits stay the same when the module runs again, beside another text."""
    ids = inputs[IDS].clone()
    ids[-1, 1:-1] = ids[-1, 1:-1].flip(0)
    again = logits_of({**inputs, IDS: ids})[0].float()
    tolerance = _TOLERANCE if expected.dtype in (torch.float32, torch.float64) else _HALF_TOLERANCE
    difference = (again - expected[0].float()).abs().max()
    return not bool(difference > tolerance * expected.float().abs().max())  # NaN is reported by its layer


def _hides_tokens(
    logits_of: Callable[[Mapping[str, Tensor]], Tensor], inputs: Mapping[str, Tensor], expected: Tensor
) -> bool:
    """Return whether a token with mask 0 changes nothing, or the mask is not used at all."""
    none_visible = {**inputs, MASK: torch.zeros_like(inputs[MASK])}
    longer = {name: torch.cat([values, values[:, -1:]], dim=1) for name, values in inputs.items()}
    longer[MASK][:, -1] = 0
    return any(
        bool((logits_of(changed)[:, : expected.shape[1]] - expected).abs().max() <= allowed)
        for allowed in [_TOLERANCE * expected.abs().max()]
        for changed in (none_visible, longer)
    )


class _Activations(TorchFunctionMode):
    """Remembers what softmax and sigmoid functions gave."""

    def __init__(self) -> None:
        super().__init__()
        self._results: list[tuple[str, Tensor]] = []

    def of(self, values: Tensor) -> str | None:
        """Return the function that gave these values, if one did."""
        for name, result in self._results:
            if result.data_ptr() == values.data_ptr() and result.numel() == values.numel():
                return name
        return None

    def __torch_function__(
        self,
        function: Any,
        types: Any,
        arguments: tuple[Any, ...] = (),
        keywords: dict[str, Any] | None = None,
    ) -> Any:
        result = function(*arguments, **(keywords or {}))
        name = getattr(function, "__name__", "")
        if name in _ACTIVATIONS and isinstance(result, Tensor):
            self._results.append((name.rstrip("_"), result))
        return result


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
