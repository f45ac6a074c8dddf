"""The ledger of a difference: where in the model, and at which token, it arises."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float

from model_understanding.checks import whole_number
from model_understanding.errors import NumericalError
from model_understanding.results.provenance import Provenance
from model_understanding.results.rendering import Drawn
from model_understanding.results.serialization import JsonResult
from model_understanding.results.target import Target
from model_understanding.tokens import Tokens, read_only

if TYPE_CHECKING:
    import pandas

Part = Literal["residual", "attention", "mlp"]
PARTS: tuple[Part, ...] = ("residual", "attention", "mlp")


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPlace(JsonResult):
    """A place of a ledger and what of the difference passes it; unpacks as ``layer, token, value``.

    Args:
        layer: The layer.
        token: Position of the token.
        value: What of the difference passes there.
    """

    layer: int
    token: int
    value: float

    def __iter__(self) -> Iterator[Any]:
        return iter((self.layer, self.token, self.value))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Ledger(Drawn):
    """How the difference of a target between a text and its reference is distributed over a model.

    Each entry is ``⟨multiplier, state of the text − state of the reference⟩``. A row of ``residual`` is a cut
    of the whole computation, so it sums to ``difference``: ``|Σ row − difference| = gap ·
    max(|difference|, Σ |row|)``. The rows of ``attention`` and ``mlp`` are what single sublayers add to the
    residual stream, ``heads`` what single heads add to it. A ledger splits a change that all parts make
    together; it is no prediction of what happens if one part alone changes.

    Args:
        tokens: The T tokens of the text; where the reference has more, fillers among them.
        reference_tokens: The token of the reference at each of these positions.
        target: What is explained.
        value: The target's value on the text.
        reference_value: Its value on the reference.
        residual: What enters each of the L blocks, and the last block's output, shape ``(L + 1, T)``.
        attention: What attention adds to the stream in each block, shape ``(L, T)``.
        mlp: What the other sublayers add to it, shape ``(L, T)``.
        heads: What each attention head adds, shape ``(L, H)``; ``None`` if heads cannot be read one by one.
        gaps: The completeness gap of each row of ``residual``, shape ``(L + 1,)``.
        corrections: What passed through corrections in place of exact rules, as shares of the difference:
            ``routing`` in a mixture of experts.
        baseline: What the text was compared with if that was no other text: ``mask``, ``pad``, ``mean``, …
        provenance: Origin of the ledger.

    Raises:
        ValueError: The shapes do not match.
        NumericalError: A number is not finite.

    >>> tokens, others = Tokens.from_pieces(["a", "b"]), Tokens.from_pieces(["a", "c"])
    >>> ledger = Ledger(tokens=tokens, reference_tokens=others,
    ...     target=Target(task="sequence-classification"), value=2.0, reference_value=0.5,
    ...     residual=[[0.0, 1.5], [0.5, 1.0]], attention=[[0.5, 0.0]], mlp=[[0.0, 0.25]], gaps=[0.0, 0.0])
    >>> ledger.difference, [tuple(place) for place in ledger.strongest(top=1)]
    (1.5, [(0, 1, 1.5)])
    """

    tokens: Tokens
    reference_tokens: Tokens
    target: Target
    value: float
    reference_value: float
    residual: Float[np.ndarray, "states tokens"]
    attention: Float[np.ndarray, "layers tokens"]
    mlp: Float[np.ndarray, "layers tokens"]
    gaps: Float[np.ndarray, " states"]
    heads: Float[np.ndarray, "layers heads"] | None = None
    corrections: dict[str, float] = field(default_factory=dict)
    baseline: str | None = None
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        count = len(self.tokens)
        if len(self.reference_tokens) != count:
            raise ValueError(f"Got {len(self.reference_tokens)} reference tokens for {count} tokens.")
        residual = read_only(self.residual, np.float32, (None, count), "residual")
        object.__setattr__(self, "residual", residual)
        layers = len(residual) - 1
        for name in ("attention", "mlp"):
            array = read_only(getattr(self, name), np.float32, (layers, count), name)
            object.__setattr__(self, name, array)
        object.__setattr__(self, "gaps", read_only(self.gaps, np.float64, (layers + 1,), "gaps"))
        if self.heads is not None:
            heads = read_only(self.heads, np.float32, (layers, None), "heads")
            object.__setattr__(self, "heads", heads)
        arrays = [self.residual, self.attention, self.mlp, self.gaps, self.difference]
        if not all(np.isfinite(array).all() for array in arrays):
            raise NumericalError(
                "The ledger has numbers that are not finite.",
                hint="Load the model with dtype='float32' and try again.",
            )

    @property
    def difference(self) -> float:
        """The target's value on the text minus its value on the reference."""
        return self.value - self.reference_value

    @property
    def layers(self) -> int:
        """Number of transformer blocks."""
        return len(self.residual) - 1

    def strongest(self, part: Part = "residual", top: int = 10) -> tuple[LedgerPlace, ...]:
        """Return the places that most of the difference passes, by magnitude.

        Args:
            part: ``residual``, ``attention`` or ``mlp``.
            top: Number of places.

        Raises:
            InputError: ``top`` is not a whole number of at least 1.
        """
        values = getattr(self, part)
        order = np.argsort(-np.abs(values), axis=None, kind="stable")[: whole_number(top, "top")]
        rows, columns = np.unravel_index(order, values.shape)
        return tuple(
            LedgerPlace(layer=int(row), token=int(column), value=float(str(values[row, column])))
            for row, column in zip(rows, columns, strict=True)
        )

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a table with one row per part, layer and token."""
        import pandas

        tables = []
        for part in PARTS:
            values = getattr(self, part)
            rows, columns = (axis.ravel() for axis in np.indices(values.shape))
            surfaces, others = self.tokens.surfaces(), self.reference_tokens.surfaces()
            tables.append(
                pandas.DataFrame(
                    {
                        "part": part,
                        "layer": rows,
                        "position": columns,
                        "token": [surfaces[column] for column in columns],
                        "reference_token": [others[column] for column in columns],
                        "value": values.ravel(),
                    }
                )
            )
        return pandas.concat(tables, ignore_index=True)
