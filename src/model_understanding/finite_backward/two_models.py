"""Two models that read one text: which weights differ between them, and whose they are."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from model_understanding.finite_backward.calls import Call, tensors_in

Book = Callable[[str, Tensor], None]
"""Takes the name of a module, and what of the difference its weights make, entry by entry."""


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """A module whose weights take another form in each model, such as a linear map with an adapter.

    Args:
        name: Its name in the reference.
        reference: The module of the reference.
        text: The module that takes its place in the other model.
    """

    name: str
    reference: nn.Module
    text: nn.Module


@dataclass(frozen=True, slots=True, eq=False)
class TwoModels:
    """What is known of two models before they run.

    Args:
        owners: For each weight, by its id, the names of the modules that have it; none where the other
            model's weight is the same.
        units: The units, by their modules in both models.
        book: Where what weights change is booked.
    """

    owners: Mapping[int, frozenset[str]]
    units: Mapping[nn.Module, Unit]
    book: Book

    def owners_of(self, tensors: Iterable[Tensor]) -> frozenset[str]:
        """Return the modules whose weights constants are made of, as far as the models differ in them."""
        found: frozenset[str] = frozenset()
        for tensor in tensors:
            found |= self.owners.get(id(tensor)) or getattr(tensor, "_owners", frozenset())
        return found

    def is_shared(self, tensor: Tensor) -> bool:
        """Return whether a tensor is a weight that is the same in both models."""
        return self.owners.get(id(tensor)) == frozenset()

    def run_constant(self, call: Call) -> Any:
        """Run a call on constants alone, and note which weights its results are made of."""
        result = call.run()
        self.note(result, self.owners_of(call.tensors()))
        return result

    def note(self, constants: Any, owners: frozenset[str]) -> None:
        """Note which modules' weights constants are made of."""
        for tensor in tensors_in(constants) if owners else ():
            if id(tensor) not in self.owners:
                tensor._owners = owners  # pyright: ignore[reportAttributeAccessIssue]
