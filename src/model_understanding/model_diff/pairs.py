"""Which modules of two models belong together, and which of their weights differ.

Modules are matched by name, below whatever an adapter of peft wraps around a model. A linear map that one
model has in another form (with an adapter, with weights in few bits) is a unit: it is run as a whole, so
nothing is unfolded. What has the same parts in both is followed operation by operation.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from model_understanding.errors import InputError
from model_understanding.finite_backward.pairing import are_same
from model_understanding.finite_backward.two_models import Unit
from model_understanding.loading.wrappers import without_adapter
from model_understanding.model.model import Model

REPORTS_HINT = "Save a report of each model with explain, and pass both to compare."
_ONE_VOCABULARY = (
    f"In Python, give both one vocabulary: model.resize_token_embeddings(NUMBER). {REPORTS_HINT}"
)
_ONE_ARCHITECTURE = (
    f"A model can be compared with what was made of it: fine-tuned, merged or quantized. {REPORTS_HINT}"
)


@dataclass(frozen=True, slots=True, eq=False)
class PairedModules:
    """What two models have in common.

    Args:
        modules: The modules of the first model, by the names under which changes are booked.
        others: Those of the other model that take their place.
        owners: As ``TwoModels`` takes them.
        units: Likewise.
    """

    modules: dict[str, nn.Module]
    others: dict[str, nn.Module]
    owners: dict[int, frozenset[str]]
    units: dict[nn.Module, Unit]

    @property
    def unchanged(self) -> int:
        """Number of modules whose weights are the same in both models."""
        count = 0
        for module in self.modules.values():
            own = [weight for weight in module._parameters.values() if weight is not None]
            is_changed = module in self.units or any(self.owners.get(id(weight), "unknown") for weight in own)
            count += bool(own) and not is_changed
        return count


def paired_modules(model: Model, other: Model) -> PairedModules:
    """Match the modules of two models; both must be guarded, so that their weights are up to date.

    Args:
        model: The first model.
        other: The other model.

    Raises:
        InputError: Weights of a module have another shape in each.
    """
    matching = _Matching()
    matching.match("", without_adapter(model.module), without_adapter(other.module))
    return PairedModules(
        matching.modules,
        matching.others,
        {key: frozenset(names) for key, names in matching.owners.items()},
        {each: unit for unit in matching.units for each in (unit.reference, unit.text)},
    )


class _Matching:
    """Walks the modules of two models side by side."""

    def __init__(self) -> None:
        self.modules: dict[str, nn.Module] = {}
        self.others: dict[str, nn.Module] = {}
        self.owners: defaultdict[int, set[str]] = defaultdict(set)
        self.units: list[Unit] = []

    def match(self, name: str, first: nn.Module, second: nn.Module) -> None:
        self.modules[name or type(first).__name__], self.others[name or type(first).__name__] = first, second
        if not self._is_followed(first, second):
            _refuse_other_shapes(name, first, second)
            if _is_linear(first) or _is_linear(second):
                self.units.append(Unit(name, first, second))
                return
            for module in (first, second):
                self._add_unmatched(name, module)
            self.modules |= {f"{name}.{key}": part for key, part in first.named_modules() if key}
            return
        for kind in ("_parameters", "_buffers"):
            for key, weight in getattr(first, kind).items():
                self._compare(name or type(first).__name__, weight, getattr(second, kind).get(key))
        for key, child in first._modules.items():
            counterpart = second._modules[key]
            if child is not None and counterpart is not None:
                self.match(f"{name}.{key}" if name else key, child, counterpart)

    def _is_followed(self, first: nn.Module, second: nn.Module) -> bool:
        """Return whether two modules have the same parts, which are compared one by one."""
        if first._modules.keys() != second._modules.keys() or _form(first) != _form(second):
            return False
        if not all(map(_is_ordinary, (first, second))):
            return False
        is_leaf = not any(first._modules.values())
        if is_leaf:
            return type(first) is type(second)
        # An adapted linear map is one map, whatever it is made of; where nothing differs, it costs nothing.
        return not (_is_linear(first) and _is_linear(second)) or _are_same(first, second)

    def _compare(self, name: str, weight: Tensor | None, other: Tensor | None) -> None:
        if weight is None or other is None or not weight.is_floating_point():
            return
        names = set() if are_same(weight, other) else {name}
        for each in (weight, other):
            self.owners[id(each)] |= names

    def _add_unmatched(self, name: str, module: nn.Module) -> None:
        for key, part in module.named_modules():
            for weight in _weights_of(part):
                self.owners[id(weight)].add(f"{name}.{key}" if key else name)


def _weights_of(module: nn.Module) -> Iterator[Tensor]:
    for weight in (*module._parameters.values(), *module._buffers.values()):
        if weight is not None and weight.is_floating_point():
            yield weight


def _form(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a module's own weights."""
    return {name: tuple(weight.shape) for name, weight in module._parameters.items() if weight is not None}


def _is_ordinary(module: nn.Module) -> bool:
    """Return whether a module's weights are tensors of floats, unlike those of most quantized linear maps."""
    if not _is_linear(module):
        return True
    weights = [weight for weight in module._parameters.values() if weight is not None]
    tables = [buffer for buffer in module._buffers.values() if buffer is not None and buffer.ndim > 1]
    return all(type(weight) is nn.Parameter for weight in weights) and all(
        weight.is_floating_point() for weight in (*weights, *tables)
    )


def _are_same(first: nn.Module, second: nn.Module) -> bool:
    weights = [list(module.parameters()) for module in (first, second)]
    return 0 < len(weights[0]) == len(weights[1]) and all(
        a.shape == b.shape and a.dtype == b.dtype and are_same(a, b) for a, b in zip(*weights, strict=True)
    )


def _is_linear(module: nn.Module) -> bool:
    """Return whether a module may be a linear map: it says its widths, or has one weight of two axes."""
    if isinstance(module, nn.Embedding) or hasattr(module, "num_embeddings"):
        return False
    if hasattr(module, "in_features") or hasattr(module, "in_channels"):
        return True
    own = [weight for weight in module._parameters.values() if weight is not None]
    return not any(module._modules.values()) and any(weight.ndim > 1 for weight in own)


def _refuse_other_shapes(name: str, first: nn.Module, second: nn.Module) -> None:
    """Raise InputError where two modules of one class have weights of other shapes."""
    if type(first) is not type(second) or any(first._modules.values()):
        return
    forms = _form(first), _form(second)
    for key, mine in forms[0].items():
        theirs = forms[1].get(key, mine)
        if mine == theirs or not all(map(_is_ordinary, (first, second))):
            continue
        is_vocabulary = mine[1:] == theirs[1:] and isinstance(first, nn.Embedding)
        raise InputError(
            f"{name}.{key} has the shape {mine} in one model and {theirs} in the other.",
            hint=_ONE_VOCABULARY if is_vocabulary else _ONE_ARCHITECTURE,
        )
