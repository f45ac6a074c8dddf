"""The difference between two models on one text: which modules' weights make it, and at which token."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleChange(JsonResult):
    """A module whose weights differ, and what of the difference they make; unpacks as ``name, value``.

    Args:
        name: The module's name in the first model.
        kind: ``linear``, ``convolution``, ``embedding``, ``norm``, ``experts`` or ``other``.
        layer: The transformer block that it is a part of; ``None`` outside of the blocks.
        value: What of the difference its weights make.
    """

    name: str
    kind: str
    layer: int | None = None
    value: float

    def __iter__(self) -> Iterator[Any]:
        return iter((self.name, self.value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoration(JsonResult):
    """What comes back if some modules of the other model are replaced by those of the first.

    Modules that share a weight in both models, such as the embeddings and a head that is tied to them, are
    replaced together.

    Args:
        modules: The modules with the largest values in the direction of the difference.
        value: The target's value with these modules replaced.
        share: How much of the difference has come back: 1 if all of it.
        random_shares: The same for as many random modules, once for each draw; empty if all were replaced.
    """

    modules: tuple[str, ...]
    value: float
    share: float
    random_shares: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ModelDiff(Drawn):
    """How the difference of a target between two models on one text is distributed over their weights.

    Each module's value is ``⟨m, f(x̄; other weights) − f(x̄; own weights)⟩``: what its weights change of its
    output at the mean of its inputs in both models, times the multiplier m of that output. They sum to
    ``difference``: ``|Σ values − difference| = gap · max(|difference|, Σ |values|)``. A diff splits a change
    that all modules make together; it is no prediction of what happens if one module alone is changed.

    Args:
        tokens: The T tokens of the text.
        target: What is explained.
        value: The target's value in the first model.
        other_value: Its value in the other model.
        modules: The M modules whose weights differ, in the model's order.
        at_tokens: What of each module's value arises at each token, shape ``(M, T)``. Its rows are 0 for
            modules that do not work token by token, such as a classifier on pooled states, and where it
            is not known at which token something arises, as in experts.
        gap: The completeness gap.
        unchanged: Number of modules with weights whose weights are the same in both models.
        answers: What each model answers.
        corrections: What passed through corrections in place of exact rules, as shares of the difference.
        restored: What comes back if the modules with the largest values are restored, if that was asked for.
        other: The origin of the other model.
        provenance: The origin of the diff and of the first model.

    Raises:
        ValueError: The shapes do not match.
        NumericalError: A number is not finite.

    >>> diff = ModelDiff(tokens=Tokens.from_pieces(["a", "b"]), target=Target(task="sequence-classification"),
    ...     value=0.5, other_value=2.0, at_tokens=[[1.25, 0.0], [0.0, 0.25]], gap=0.0,
    ...     modules=(ModuleChange(name="up", kind="linear", value=1.25),
    ...              ModuleChange(name="down", kind="linear", value=0.25)))
    >>> diff.difference, [tuple(change) for change in diff.strongest(top=1)]
    (1.5, [('up', 1.25)])
    """

    tokens: Tokens
    target: Target
    value: float
    other_value: float
    modules: tuple[ModuleChange, ...]
    at_tokens: Float[np.ndarray, "modules tokens"]
    gap: float
    unchanged: int = 0
    answers: tuple[str, str] | None = None
    corrections: dict[str, float] = field(default_factory=dict)
    restored: Restoration | None = None
    other: Provenance = field(default_factory=Provenance)
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        shape = (len(self.modules), len(self.tokens))
        values = np.zeros(shape) if not self.modules else self.at_tokens
        object.__setattr__(self, "at_tokens", read_only(values, np.float32, shape, "at_tokens"))
        numbers = [self.at_tokens, self.gap, self.difference, [change.value for change in self.modules]]
        if not all(np.isfinite(array).all() for array in numbers):
            raise NumericalError(
                "The diff has numbers that are not finite.",
                hint="Load the models with dtype='float32' (--dtype float32) and try again.",
            )

    @property
    def difference(self) -> float:
        """The target's value in the other model minus its value in the first one."""
        return self.other_value - self.value

    def strongest(self, top: int = 10) -> tuple[ModuleChange, ...]:
        """Return the modules with the largest values, by magnitude.

        Args:
            top: Number of modules.

        Raises:
            InputError: ``top`` is not a whole number of at least 1.
        """
        order = np.argsort([-abs(change.value) for change in self.modules], kind="stable")
        return tuple(self.modules[int(index)] for index in order[: whole_number(top, "top")])

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a table with one row per module and token.

        What of a module arises at no single token is in a row of its own, without token and position.
        """
        import pandas

        surfaces = self.tokens.surfaces()
        rows: list[dict[str, Any]] = []
        for change, values in zip(self.modules, self.at_tokens, strict=True):
            own = {"module": change.name, "kind": change.kind, "layer": change.layer}
            if not values.any():
                rows.append({**own, "position": None, "token": None, "value": change.value})
                continue
            rows += [
                {**own, "position": position, "token": surface, "value": float(str(value))}
                for position, (surface, value) in enumerate(zip(surfaces, values, strict=True))
            ]
        columns = ["module", "kind", "layer", "position", "token", "value"]
        return pandas.DataFrame(rows, columns=columns).astype({"layer": "Int64", "position": "Int64"})
