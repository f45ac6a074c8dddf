"""Two runs of a model and one backward pass: what of the output's difference passes each cut.

For any cut of the computation (the tokens' embeddings, what enters a block, …) the sum of
``⟨multiplier, change⟩`` is the difference of the output between both runs, with nothing left over.
"""

from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.errors import UnsupportedModelError
from model_understanding.finite_backward.mode import FinitePairing
from model_understanding.finite_backward.pairing import HINT, Pairing
from model_understanding.finite_backward.walk import nodes_without_rule
from model_understanding.model.embeddings import replaced_embeddings
from model_understanding.model.guard import guarded
from model_understanding.model.metering import count_backward, count_forward
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding

EMBEDDINGS = "embeddings"
Watch = Callable[[Encoding, dict[Hashable, Tensor]], AbstractContextManager[Any]]
"""Makes a context for a forward pass that notes the tensors of cuts by name."""


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One of the two inputs that are compared.

    Args:
        encoding: The texts.
        embeddings: Values that replace their embeddings; their own where ``None``.
    """

    encoding: Encoding
    embeddings: Tensor | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FiniteBackward:
    """What a finite backward pass gives, for B pairs of texts.

    Args:
        reference: The output on each reference.
        text: The output on each text.
        cuts: What of the difference passes each cut, as ``summed`` returns it.
        corrections: The size of what passed through corrections, as a share of the difference.
    """

    reference: Float[Tensor, " batch"]
    text: Float[Tensor, " batch"]
    cuts: dict[Hashable, Tensor]
    corrections: dict[str, float]

    @property
    def difference(self) -> Float[Tensor, " batch"]:
        """The output on each text minus that on its reference."""
        return self.text - self.reference


def finite_backward(
    model: Model,
    reference: Side,
    text: Side,
    read: Callable[[Tensor, Any], Float[Tensor, " batch"]],
    *,
    keep_from: int = 0,
    watches: Sequence[Watch] = (),
    summed: Callable[[Hashable, Tensor], Tensor] = lambda _, passed: passed.sum(-1, dtype=torch.float64),
) -> FiniteBackward:
    """Run two inputs of one length and split the difference of an output exactly.

    Args:
        model: The model.
        reference: What is compared with.
        text: What is explained.
        read: Reads one number for each row from the logits, which start at ``keep_from``, and the outputs,
            by operations on them.
        keep_from: The first position whose logits are read.
        watches: Contexts for the forward passes, which note the tensors of further cuts.
        summed: Sums what passes the entries of a cut, by the cut's name; by default over its last axis.

    Returns:
        Both outputs and what passes each cut; ``"embeddings"`` is the tokens' embeddings.

    Raises:
        UnsupportedModelError: The runs cannot be paired call by call, or an operation without an exact rule
            stands between the embeddings and the output.
    """
    pairing = Pairing(model.name)
    mode = FinitePairing(pairing, model.module)
    with guarded(model.module, gradients=True):
        with torch.autograd.graph.saved_tensors_hooks(lambda _: None, _unpacked):
            value, noted = _run(model, reference, read, keep_from, watches, mode)
            reference_value = value.detach()
            before = {name: tensor.detach() for name, tensor in noted.items()}
            del value, noted
        pairing.rewind()
        value, after = _run(model, text, read, keep_from, watches, mode)
        pairing.require_complete()
        if before.keys() != after.keys():
            differing = ", ".join(map(str, before.keys() ^ after.keys()))
            raise pairing.refusal(f"one of them alone has {differing}")
        unknown = nodes_without_rule(value)
        if unknown:
            nodes = f"its graph has operations without an exact rule ({', '.join(unknown)})"
            raise pairing.refusal("; ".join(dict.fromkeys([*pairing.inexact, nodes])))
        difference = value.detach() - reference_value
        cuts = _backward(value, before, after, pairing, summed)
    count_backward(text.encoding.ids.numel())
    size = max(float(difference.abs().sum()), torch.finfo(difference.dtype).tiny)
    corrections = {name: amount / size for name, amount in pairing.corrections.items() if amount}
    return FiniteBackward(reference_value, value.detach(), cuts, corrections)


def _run(
    model: Model,
    side: Side,
    read: Callable[[Tensor, Any], Tensor],
    keep_from: int,
    watches: Sequence[Watch],
    mode: FinitePairing,
) -> tuple[Tensor, dict[Hashable, Tensor]]:
    noted: dict[Hashable, Tensor] = {}
    encoding = side.encoding
    with ExitStack() as stack:
        for handle in mode.hooks(model.module):
            stack.callback(handle.remove)
        hook = stack.enter_context(
            replaced_embeddings(model, encoding.ids, side.embeddings, encoding.source_length)
        )
        assert hook.leaf is not None
        noted[EMBEDDINGS] = hook.leaf
        stack.enter_context(model.own_failures(encoding))
        stack.enter_context(mode)
        for watch in watches:
            stack.enter_context(watch(encoding, noted))
        outputs = model.forward(encoding, keep_from)
        logits = model.logits_of(outputs, encoding, keep_from)
        value = read(logits, outputs)
    count_forward(encoding.ids.numel())
    if not value.requires_grad:
        raise UnsupportedModelError(
            f"No differentiable path leads from the embeddings of {model.name} to the target.", hint=HINT
        )
    return value, noted


def _backward(
    value: Tensor,
    before: dict[Hashable, Tensor],
    after: dict[Hashable, Tensor],
    pairing: Pairing,
    summed: Callable[[Hashable, Tensor], Tensor],
) -> dict[Hashable, Tensor]:
    names = [name for name, tensor in after.items() if tensor.requires_grad]
    multipliers = list(torch.autograd.grad(value.sum(), [after[name] for name in names], allow_unused=True))
    if pairing.reached:
        raise pairing.refusal("; ".join(dict.fromkeys(pairing.reached)))
    cuts: dict[Hashable, Tensor] = {}
    for name, multiplier in zip(names, multipliers, strict=True):
        change = after.pop(name).detach() - before.pop(name)
        cuts[name] = summed(name, change.zero_() if multiplier is None else change.mul_(multiplier))
    return cuts


def _unpacked(_: Any) -> Tensor:
    raise AssertionError("The reference's run has no backward pass.")
