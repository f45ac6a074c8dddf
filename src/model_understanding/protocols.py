"""What a method, a map, a head score and a metric must offer to be listed in the registry.

A method is a frozen dataclass: its fields are its parameters (the command line and the documentation are
made from them), its ``__call__`` is the algorithm, and it keeps no state.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.results import Evaluation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_understanding.runner import Encoding, Runner
    from model_understanding.runner.attention_capture import Axis, CapturedAttention
    from model_understanding.runner.attention_reducers import Reducer
    from model_understanding.runner.head_question import HeadQuestion
    from model_understanding.runner.head_rows import RowMeasure
    from model_understanding.runner.ranked_text import RankedText
    from model_understanding.runner.runner import Targets


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """What a method found for B texts and N targets, padding included.

    Args:
        scores: Shape ``(B, N, T)``.
        outputs: The targets' values, shape ``(B, N)``.
        baseline_outputs: Their values on the baseline, for methods that have one.
        gaps: ``Σ scores − (output − baseline output)``, for methods that promise 0.
        standard_errors: Of each score, shape ``(B, N, T)``, for methods that sample.
        cautions: What a reader of each text's scores must know, B tuples; none where left out.
    """

    scores: Float[np.ndarray, "batch targets tokens"]
    outputs: Float[np.ndarray, "batch targets"]
    baseline_outputs: Float[np.ndarray, "batch targets"] | None = None
    gaps: Float[np.ndarray, "batch targets"] | None = None
    standard_errors: Float[np.ndarray, "batch targets tokens"] | None = None
    cautions: tuple[tuple[str, ...], ...] = ()


class AttributionMethod(Protocol):
    """Scores the tokens of a text for a target.

    A method that asks a runner only for embeddings, gradients and values scores the hidden states of a layer
    as well (``Runner.at_layer``); it says so by ``takes_layer: ClassVar[bool] = True``.
    """

    name: ClassVar[str]
    signed: ClassVar[bool]
    complete: ClassVar[bool]
    """Whether the scores add up to output − baseline output."""
    cost: ClassVar[str]
    """Forwards and backwards for one text and one target."""
    reference: ClassVar[str]

    def __call__(self, runner: "Runner", encoding: "Encoding", targets: "Targets") -> Scores:
        """Score the tokens of a batch of texts."""
        ...


class AttentionMapMethod(Protocol):
    """Turns a text into weights from queries to keys."""

    name: ClassVar[str]
    reference: ClassVar[str]

    def __call__(
        self,
        runner: "Runner",
        encoding: "Encoding",
        layers: "Axis",
        heads: "Axis",
        queries: "Sequence[int] | None",
    ) -> "CapturedAttention":
        """Return the weights of the layers, heads and queries asked for."""
        ...


class HeadScoreMethod(Protocol):
    """Scores each attention head of a model on a text."""

    name: ClassVar[str]
    meaning: ClassVar[str]
    """What a high score says, in a few words."""
    signed: ClassVar[bool]
    """Whether the sign says a direction; such a score ranks by its size."""
    most: ClassVar[float | None]
    """The most there can be, where there is a most: bars are drawn against it."""
    needs_target: ClassVar[bool]
    """Whether it asks how a head matters to an answer."""
    cost: ClassVar[str]
    reference: ClassVar[str]

    def measure(self, question: "HeadQuestion") -> "RowMeasure | None":
        """Return what is to be read of the text's attention; all scores that read it share one forward."""
        ...

    def __call__(
        self, question: "HeadQuestion", kept: "Float[np.ndarray, 'layers heads size'] | None"
    ) -> Float[np.ndarray, "layers heads"]:
        """Score every head, from what was read of its rows on average."""
        ...


@runtime_checkable
class StreamedAttentionMap(Protocol):
    """A map whose layers are reduced as they come, so that nothing tokens² is held for a long text."""

    streamed: ClassVar[bool]

    def __call__(
        self,
        runner: "Runner",
        encoding: "Encoding",
        layers: "Axis",
        heads: "Axis",
        queries: "Sequence[int] | None",
        reducer: "Reducer | None" = None,
    ) -> "CapturedAttention":
        """Return what the reducer keeps of the layers, heads and queries asked for."""
        ...


class Metric(Protocol):
    """Measures how well an attribution says what the model does."""

    name: ClassVar[str]
    higher_is_better: ClassVar[bool]
    on_request: ClassVar[bool]
    """Whether it is left out unless it is asked for."""
    cost: ClassVar[str]
    """Forwards for one text and one target."""
    reference: ClassVar[str]

    def removals(self, text: "RankedText") -> Bool[np.ndarray, "variants tokens"]:
        """Return the variants of the text that it will ask for, so that metrics share one batch.

        Those that depend on what the model says of these are asked for later, by ``text.removals``.
        """
        ...

    def __call__(self, text: "RankedText") -> tuple[Evaluation, ...]:
        """Evaluate one attribution of one target; nothing where it has no meaning for the method."""
        ...


class RemovesNothing:
    """The part of a metric that asks for no variants of the text."""

    __slots__ = ()

    def removals(self, text: "RankedText") -> Bool[np.ndarray, "variants tokens"]:
        """Return the variants that the metric asks for: none."""
        return np.zeros((0, len(text.removals.tokens)), dtype=bool)
