"""Two runs of a model and one backward pass: what of the output's difference passes each cut.

For any cut of the computation (the tokens' embeddings, what enters a block, …) the sum of
``⟨multiplier, change⟩`` is the difference of the output between both runs, with nothing left over.
"""

from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.errors import UnsupportedModelError
from model_understanding.finite_backward.graph import keep_rules
from model_understanding.finite_backward.mode import Around, FinitePairing
from model_understanding.finite_backward.pairing import HINT, Pairing
from model_understanding.finite_backward.two_models import TwoModels
from model_understanding.finite_backward.walk import nodes_without_rule
from model_understanding.model.embeddings import replaced_embeddings
from model_understanding.model.guard import guarded
from model_understanding.model.lookups import EmbeddingHook
from model_understanding.model.metering import count_backward, count_forward
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding

EMBEDDINGS = "embeddings"
Watch = Callable[[Encoding, dict[Hashable, Tensor]], AbstractContextManager[Sequence[Around]]]
"""Makes a context for a forward pass that notes tensors of cuts by name, and gives what sees each call."""
Read = Callable[[Tensor, Any], Tensor]
"""Reads one number for each row, or several, from the logits and the model's outputs."""
Summed = Callable[[Hashable, Tensor], Tensor]
"""Sums what passes the entries of a cut, by the cut's name."""
Hooked = Callable[[Encoding, Tensor | None], AbstractContextManager[EmbeddingHook]]
"""Makes what enters the model, or values that replace it, a leaf of the graph for a forward pass."""


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One of the two inputs that are compared.

    Args:
        encoding: The texts.
        embeddings: Values that replace their embeddings; their own where ``None``.
        model: The model that reads them, if it is another than the recording's.
    """

    encoding: Encoding
    embeddings: Tensor | None = None
    model: Model | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FiniteBackward:
    """What a finite backward pass gives, for B pairs of texts.

    Args:
        reference: The output on each reference; of N outputs, ``(B, N)``.
        text: The output on each text, likewise.
        cuts: What of the difference passes each cut, as ``summed`` returns it; of N outputs, stacked along
            the second axis.
        corrections: The size of what passed through corrections, as a share of the difference.
    """

    reference: Float[Tensor, " batch *outputs"]
    text: Float[Tensor, " batch *outputs"]
    cuts: dict[Hashable, Tensor]
    corrections: dict[str, float]

    @property
    def difference(self) -> Float[Tensor, " batch *outputs"]:
        """The output on each text minus that on its reference."""
        return self.text - self.reference


def finite_backward(
    model: Model,
    reference: Side,
    text: Side,
    read: Read,
    *,
    keep_from: int = 0,
    watches: Sequence[Watch] = (),
    summed: Summed = lambda _, passed: passed.sum(-1, dtype=torch.float64),
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
    with guarded(model.module, gradients=True):
        recording = Recording(model, reference, read, keep_from=keep_from, watches=watches)
        return recording.compared(text, summed=summed)


class Recording:
    """The recorded run of a reference, with which runs of texts are compared; the model must be guarded.

    A reference's roles can be exchanged: what passes a cut then only changes its sign.

    Args:
        model: The model.
        reference: What is compared with.
        read: As ``finite_backward`` takes it; it may also read N numbers for each row.
        keep_from: As ``finite_backward`` takes it.
        watches: Likewise.
        hooked: What enters the model as a leaf; by default the embeddings.
        two: What is known of both models, where another model reads the texts; it must be guarded, too.
    """

    def __init__(
        self,
        model: Model,
        reference: Side,
        read: Read,
        *,
        keep_from: int = 0,
        watches: Sequence[Watch] = (),
        hooked: Hooked | None = None,
        two: TwoModels | None = None,
    ) -> None:
        self._model = model
        self._read = read
        self._keep_from = keep_from
        self._watches = watches
        self._hooked = hooked
        self._pairing = Pairing(model.name, two)
        self._mode = FinitePairing(self._pairing, model.module)
        with torch.autograd.graph.saved_tensors_hooks(lambda _: None, _unpacked):
            value, noted = self._run(reference)
        self.value: Float[Tensor, " batch *outputs"] = value.detach()
        """The output on each reference."""
        self._noted = {name: tensor.detach() for name, tensor in noted.items()}

    def compared(
        self,
        text: Side,
        *,
        summed: Summed = lambda _, passed: passed.sum(-1, dtype=torch.float64),
        keep: bool = False,
    ) -> FiniteBackward:
        """Run a text and split the difference of the output to that of the reference.

        Args:
            text: What is explained.
            summed: As ``finite_backward`` takes it.
            keep: Whether to keep the recorded run for another text.

        Raises:
            UnsupportedModelError: As ``finite_backward`` does.
        """
        pairing = self._pairing
        pairing.rewind(keep=keep)
        value, after = self._run(text)
        pairing.require_complete()
        before = dict(self._noted)
        if not keep:
            self._noted = {}
        if before.keys() != after.keys():
            differing = ", ".join(map(str, before.keys() ^ after.keys()))
            raise pairing.refusal(f"one of them alone has {differing}")
        unknown = nodes_without_rule(value)
        if unknown:
            nodes = f"its graph has operations without an exact rule ({', '.join(unknown)})"
            raise pairing.refusal("; ".join(dict.fromkeys([*pairing.inexact, nodes])))
        difference = value.detach() - self.value
        cuts = self._backward(value, before, after, summed, text.encoding.ids.numel())
        size = max(float(difference.abs().sum()), torch.finfo(difference.dtype).tiny)
        rounding = (
            16 * torch.finfo(torch.float32).eps * float(torch.maximum(value.detach(), self.value).abs().max())
        )
        is_noise = size <= rounding  # a share of nothing says nothing
        corrections = {
            name: amount / size for name, amount in pairing.corrections.items() if amount and not is_noise
        }
        return FiniteBackward(self.value, value.detach(), cuts, corrections)

    def _run(self, side: Side) -> tuple[Tensor, dict[Hashable, Tensor]]:
        model, encoding, keep_from = side.model or self._model, side.encoding, self._keep_from
        hooked = self._hooked or partial(_embeddings_hooked, model)
        noted: dict[Hashable, Tensor] = {}
        with ExitStack() as stack:
            for handle in self._mode.hooks(model.module):
                stack.callback(handle.remove)
            hook = stack.enter_context(hooked(encoding, side.embeddings))
            stack.enter_context(model.own_failures(encoding))
            watches = [stack.enter_context(watch(encoding, noted)) for watch in self._watches]
            stack.enter_context(self._mode.around([each for some in watches for each in some]))
            outputs = model.forward(encoding, keep_from)
            assert hook.leaf is not None
            noted[EMBEDDINGS] = hook.leaf
            logits = model.logits_of(outputs, encoding, keep_from)
            value = self._read(logits, outputs)
        count_forward(encoding.ids.numel())
        if not value.requires_grad:
            raise UnsupportedModelError(
                f"No differentiable path leads from the embeddings of {model.name} to the target.", hint=HINT
            )
        return value, noted

    def _backward(
        self,
        value: Tensor,
        before: dict[Hashable, Tensor],
        after: dict[Hashable, Tensor],
        summed: Summed,
        positions: int,
    ) -> dict[Hashable, Tensor]:
        names = [name for name, tensor in after.items() if tensor.requires_grad]
        cut_at = [after[name] for name in names]
        outputs = value.unbind(1) if value.ndim > 1 else (value,)
        parts: dict[Hashable, list[Tensor]] = {name: [] for name in names}
        if len(outputs) > 1:
            keep_rules(value, kept=True)
        for index, output in enumerate(outputs):
            is_last = index == len(outputs) - 1
            if is_last and len(outputs) > 1:
                keep_rules(value, kept=False)
            multipliers = list(
                torch.autograd.grad(output.sum(), cut_at, retain_graph=not is_last, allow_unused=True)
            )
            count_backward(positions)
            if self._pairing.reached:
                raise self._pairing.refusal("; ".join(dict.fromkeys(self._pairing.reached)))
            for name in names:
                multiplier = multipliers.pop(0)
                change = after[name].detach() - before[name]
                parts[name].append(
                    summed(name, change.zero_() if multiplier is None else change.mul_(multiplier))
                )
                if is_last:
                    del after[name], before[name]
        if value.ndim == 1:
            return {name: part for name, (part,) in parts.items()}
        return {name: torch.stack(part, 1) for name, part in parts.items()}


def _embeddings_hooked(
    model: Model, encoding: Encoding, embeddings: Tensor | None
) -> AbstractContextManager[EmbeddingHook]:
    return replaced_embeddings(model, encoding.ids, embeddings, encoding.source_length)


def _unpacked(_: Any) -> Tensor:
    raise AssertionError("The reference's run has no backward pass.")
