"""Which attention heads to look at: a score of every head for each question asked."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from model_understanding.errors import InputError, NumericalError
from model_understanding.results.provenance import Provenance
from model_understanding.results.serialization import JsonResult
from model_understanding.results.target import Target
from model_understanding.tokens import Tokens, read_only

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedHead(JsonResult):
    """A head and its score, as a ranking lists it; unpacks as ``layer, head, score``.

    Args:
        layer: The layer's index in the model.
        head: The head's index in its layer.
        score: Its score.
        by: The score's name.
    """

    layer: int
    head: int
    score: float
    by: str

    def __iter__(self) -> Iterator[Any]:
        return iter((self.layer, self.head, self.score))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeadScores(JsonResult):
    """Scores of the L × H attention heads of a model on a text.

    Args:
        tokens: The text's tokens.
        names: Names of the scores, S of them.
        scores: Shape ``(S, L, H)``: every layer and head of the model, by their index.
        meanings: What each score says, in a few words.
        signed: Whether each score's sign says a direction; such a score ranks by its size.
        target: What was explained, for scores that ask how a head matters to an answer.
        parameters: Parameters of each score, by its name.
        provenance: Where they come from.

    Raises:
        ValueError: The lengths disagree, or a name stands twice.
        NumericalError: A score is not finite.

    >>> scores = HeadScores(tokens=Tokens.from_pieces(["a", "b"]), names=("sink",), scores=[[[0.1, 0.7]]],
    ...     meanings=("weight on sinks",), signed=(False,))
    >>> [(layer, head) for layer, head, score in scores.ranking("sink")]
    [(0, 1), (0, 0)]
    """

    tokens: Tokens
    names: tuple[str, ...]
    scores: Float[np.ndarray, "names layers heads"]
    meanings: tuple[str, ...]
    signed: tuple[bool, ...]
    target: Target | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        for name in ("names", "meanings", "signed"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"A score stands twice: {', '.join(self.names)}.")
        if not len(self.names) == len(self.meanings) == len(self.signed):
            raise ValueError(f"{len(self.names)} scores need as many meanings and signs.")
        scores = read_only(self.scores, np.float32, (len(self.names), None, None), "scores")
        object.__setattr__(self, "scores", scores)
        if not np.isfinite(scores).all():
            raise NumericalError(
                "The scores of the heads are not finite.",
                hint="Load the model with dtype='float32' and try again.",
            )

    def of(self, name: str) -> Float[np.ndarray, "layers heads"]:
        """Return one score of every head.

        Args:
            name: The score's name.

        Returns:
            Scores, shape ``(L, H)``.

        Raises:
            InputError: It was not computed.
        """
        return self.scores[self._place(name)]

    def ranking(self, name: str, top: int | None = None) -> tuple[RankedHead, ...]:
        """Return the heads in the order of a score, the highest first; a signed score by its size.

        Args:
            name: The score's name.
            top: How many heads; all where left out.

        Returns:
            Layer, head and score of each; heads of one score stay in the model's order.

        Raises:
            InputError: The score was not computed, or ``top`` is below 1.
        """
        place = self._place(name)
        if top is not None and top < 1:
            raise InputError(
                f"A ranking holds one head or more. Got top={top!r}.", hint="Use for example 10."
            )
        scores = self.scores[place].astype(np.float64)
        keys = np.abs(scores) if self.signed[place] else scores
        order = np.argsort(-keys, axis=None, kind="stable")[:top]
        layers, heads = np.unravel_index(order, scores.shape)
        return tuple(
            RankedHead(
                layer=int(layer), head=int(head), score=float(str(self.scores[place, layer, head])), by=name
            )
            for layer, head in zip(layers, heads, strict=True)
        )

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a table with a row for each head: layer, head, and a column for each score."""
        import pandas

        layers, heads = self.scores.shape[1:]
        columns = {
            "layer": np.repeat(np.arange(layers), heads),
            "head": np.tile(np.arange(heads), layers),
        }
        return pandas.DataFrame(
            columns | {name: self.scores[place].ravel() for place, name in enumerate(self.names)}
        )

    def _place(self, name: str) -> int:
        if name not in self.names:
            raise InputError(
                f"The score {name!r} was not computed. Computed: {', '.join(self.names)}.",
                hint=f"Ask for it: score_heads(text, scores={name!r}).",
            )
        return self.names.index(name)
