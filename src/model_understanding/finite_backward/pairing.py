"""Pairing: the n-th operation of one run meets the n-th operation of the other."""

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from model_understanding.errors import UnsupportedModelError
from model_understanding.finite_backward.calls import Call, mapped
from model_understanding.finite_backward.graph import watched
from model_understanding.finite_backward.two_models import TwoModels

TWO_MODELS_HINT = (
    "Load both models of one architecture in the same way (dtype, attn_implementation). If that does not "
    "help, save a report of each model and compare those."
)
HINT = (
    "Use compute_saliency with a method that removes tokens, such as leave_one_out or guided_ablation: these "
    "work for every model."
)


@dataclass(slots=True, eq=False)
class _Recorded:
    """A call of the reference's run.

    Args:
        name: The function's name.
        settings: Numbers and words among its arguments.
        note: What its rule has noted.
        operands: The tensors that its rule will need, each with its version.
    """

    name: str
    settings: list[Any]
    note: str
    operands: list[tuple[Tensor | None, int]]


@dataclass(slots=True, eq=False)
class Pairing:
    """Records the reference's run, then hands its operands to the run of the text.

    Args:
        model: The model's name, for messages.
        two: Both models, where two models read one text.
    """

    model: str
    two: TwoModels | None = None
    is_recording: bool = True
    place: int = 0
    module: nn.Module | None = None
    """The module of the model that runs."""
    inexact: list[str] = field(default_factory=list)
    """Why operations of the text's run have no exact rule."""
    reached: list[str] = field(default_factory=list)
    """Why operations that a multiplier has reached have no exact rule."""
    corrections: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    """The size of what passed through corrections instead of exact rules, by their names."""
    is_paused: bool = False
    """Whether what runs now is a rule's own work, which is not paired."""
    keeps_recording: bool = False
    """Whether other runs follow the one that is paired now."""
    note: str = ""
    """What was noted of the call that was matched last."""
    _calls: list[_Recorded | None] = field(default_factory=list)
    _names: dict[nn.Module | None, dict[nn.Module, str]] = field(default_factory=dict)
    """Of each model that has run, the names of its modules, once they are needed."""

    @property
    def where(self) -> str:
        """The running module, found in the frames of the code: to note each takes a tenth of a run."""
        if self.module is not None and self.module not in self._names:
            parts = self.module.named_modules()
            self._names[self.module] = {part: name or type(part).__name__ for name, part in parts}
        names, frame = self._names.get(self.module, {}), sys._getframe(1)
        while frame is not None:
            part = frame.f_locals.get("self") if frame.f_code.co_name == "forward" else None
            if isinstance(part, nn.Module) and part in names:
                return names[part]
            frame = frame.f_back
        return "the model's outputs"

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let what runs inside go unpaired."""
        before, self.is_paused = self.is_paused, True
        try:
            yield
        finally:
            self.is_paused = before

    def rewind(self, *, keep: bool = False) -> None:
        """End the recording, or a run that was paired with it: from now on calls are paired.

        Args:
            keep: Whether to keep what was recorded for another run.
        """
        self.is_recording, self.place, self.keeps_recording = False, 0, keep
        self.inexact, self.reached = [], []
        self.corrections.clear()

    def counterparts(
        self,
        call: Call,
        operands: Sequence[Tensor | None],
        results: Sequence[Tensor | None] = (),
        note: str = "",
    ) -> list[Any] | None:
        """Record the operands of a call, or return those of its counterpart.

        Args:
            call: The call.
            operands: What its rule needs of the other run.
            results: Results that save the rule some work.
            note: What its rule will read in ``note`` in the other run.

        Returns:
            The other run's operands and results, with ``None`` for results that are overwritten later;
            ``None`` while recording.

        Raises:
            UnsupportedModelError: The runs part, or an operand was overwritten after it was recorded.
        """
        self.place += 1
        if self.is_recording:
            self._record(call, (*operands, *results), note)
            return None
        recorded = self._calls[self.place - 1] if self.place <= len(self._calls) else None
        if recorded is None:
            first, second = self._runs
            raise self.refusal(f"{second} calls {call.name} in {self.where}, {first} does not")
        if not self.keeps_recording:
            self._calls[self.place - 1] = None  # its tensors live no longer than they are needed
        if recorded.name != call.name:
            first, second = self._runs
            raise self.refusal(
                f"{first} calls {recorded.name}, where {second} calls {call.name} in {self.where}"
            )
        settings = call.settings()
        if recorded.settings != settings and repr(recorded.settings) != repr(settings):  # nan is not nan
            run = "run" if self.two is None else "model"
            raise self.refusal(
                f"{call.name} in {self.where} has other arguments in each {run}: {recorded.settings} and "
                f"{settings}"
            )
        self.note = recorded.note
        known: list[Tensor | None] = []
        for (value, version), operand in zip(recorded.operands, (*operands, *results), strict=True):
            known.append(value)
            if value is None or operand is None:
                continue
            if value._version != version:
                if len(known) > len(operands):
                    known[-1] = None
                    continue
                raise self.refusal(f"an operand of {call.name} in {self.where} is overwritten later")
            if value.shape != operand.shape:
                raise self.refusal(
                    f"{call.name} in {self.where} has operands of other shapes in each run: "
                    f"{tuple(value.shape)} and {tuple(operand.shape)}"
                )
        return known

    def require_complete(self) -> None:
        """Raise unless the text's run has made every call of the reference's run.

        Raises:
            UnsupportedModelError: It made fewer.
        """
        if self.place < len(self._calls):
            recorded = self._calls[self.place]
            assert recorded is not None
            first, second = self._runs
            raise self.refusal(f"{first} then calls {recorded.name}, {second} does not")

    def refusal(self, why: str) -> UnsupportedModelError:
        """Return the error of two runs that cannot be compared exactly."""
        if self.two is not None:
            return UnsupportedModelError(
                f"The two models cannot be compared exactly: {why}.", hint=TWO_MODELS_HINT
            )
        return UnsupportedModelError(
            f"The two runs of {self.model} cannot be compared exactly: {why}.", hint=HINT
        )

    @property
    def _runs(self) -> tuple[str, str]:
        return ("the reference's run", "the text's run") if self.two is None else ("one model", "the other")

    def refused_if_reached(self, result: Any, why: str) -> Any:
        """Return a result that has no exact rule; it is refused if a multiplier reaches it.

        Args:
            result: What the function returned.
            why: What is missing.
        """
        self.inexact.append(why)

        def note(multiplier: Tensor) -> None:
            if bool(multiplier.ne(0).any()):
                self.reached.append(why)

        return mapped(result, lambda value: watched(value, note) if value.requires_grad else value)

    def _record(self, call: Call, operands: Sequence[Tensor | None], note: str) -> None:
        copies = bool(operands) and call.overwrites
        kept: list[tuple[Tensor | None, int]] = []
        for operand in operands:
            if operand is None:
                kept.append((None, 0))
                continue
            value = operand.detach() if operand.requires_grad else operand
            if copies and not isinstance(operand, nn.Parameter):
                value = value.clone()
            kept.append((value, value._version))
        self._calls.append(_Recorded(call.name, call.settings(), note, kept))


def are_same(first: Tensor, second: Tensor) -> bool:
    """Return whether two constants have the same values, as a rule because they are one tensor."""
    if first is second or (
        first.data_ptr() == second.data_ptr()
        and first.shape == second.shape
        and first.stride() == second.stride()
        and first.dtype == second.dtype
    ):
        return True
    return torch.equal(first, second)
