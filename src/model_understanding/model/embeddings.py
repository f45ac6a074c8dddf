"""A text's embeddings: where gradients are taken, and what baselines replace.

A token's embedding is all that a model looks up for its id. Lookups that give the same vectors share them, so
that a gradient adds both uses (the stacks of BART); different ones lie side by side (the tables of Gemma 3n).
Whether they carry the whole text is measured: with another text's embeddings, the logits must be that text's.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from model_understanding.errors import NumericalError, UnsupportedModelError
from model_understanding.loading.wrappers import input_embeddings
from model_understanding.model.guard import guarded
from model_understanding.model.lookups import (
    BY_IDS_HINT,
    EmbeddingHook,
    Lookup,
    given_ids,
    looked_up,
    offset_of,
    replaced_lookups,
    vectors_in,
    vectors_of,
)
from model_understanding.model.model import Model, measured_once
from model_understanding.model.probes import encoded, probe_texts, unchanged_modules
from model_understanding.text.encoding import Encoding

_TOLERANCE = 1e-5  # relative to the largest logit


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """A call of a module with the text's ids, before it is known whether it looks them up."""

    module: nn.Module
    call: int
    offset: int
    wraps: bool
    transposed: bool
    part: int | None


def id_lookups(model: Model) -> tuple[Lookup, ...]:
    """Return the calls in which a model looks up a text's ids; located once per model.

    Raises:
        UnsupportedModelError: They cannot be located, or do not carry the whole text.
    """
    lookups = _lookups_or_reason(model)
    if isinstance(lookups, str):
        raise UnsupportedModelError(lookups, hint=BY_IDS_HINT)
    return lookups


def has_embeddings(model: Model) -> bool:
    """Return whether a text's embeddings can be replaced and differentiated; measured once per model."""
    return not isinstance(_lookups_or_reason(model), str)


def replaced_embeddings(
    model: Model,
    input_ids: Int[Tensor, "batch tokens"],
    embeddings: Float[Tensor, "batch tokens width"] | None = None,
    source_length: int | None = None,
) -> AbstractContextManager[EmbeddingHook]:
    """Make a text's embeddings a leaf of the graph, or replace them; see ``replaced_lookups``."""
    return replaced_lookups(model.module, id_lookups(model), input_ids, embeddings, source_length)


def embeddings_of(model: Model, ids: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch tokens width"]:
    """Return the embeddings of ids in the model's dtype; the model must be guarded.

    Raises:
        UnsupportedModelError: What the model looks up does not carry the whole text.
    """
    return looked_up(id_lookups(model), ids)


@measured_once
def reads_id_itself(model: Model, token: int) -> bool:
    """Return whether an id does something that its embedding in the place of another does not.

    ESM scales a text by its number of mask tokens, RoBERTa does not count padding in its positions.

    Args:
        model: A model whose embeddings can be replaced.
        token: The id.
    """
    text, lookups = probe_texts(model)[0], id_lookups(model)
    ids = text.ids[0].tolist()
    special = set(model.tokenizer.all_special_ids)
    half = len(ids) // 2
    middle = max((place for place in range(half + 1) if ids[place] not in special), default=half)
    ids[middle] = token
    changed = encoded(model, ids, text.source_length)
    with guarded(model.module, gradients=False), unchanged_modules(model.module):
        rows = looked_up(lookups, changed.ids)
        return not _gives(model, lookups, text, rows, changed, _logits(model, changed))


def _lookups_or_reason(model: Model) -> tuple[Lookup, ...] | str:
    """Return a model's lookups, or why its embeddings cannot be used."""
    times_copied = model.own_copy.times_copied
    known = model.actual.measured.get(_lookups_or_reason)
    if known is None or known[0] != times_copied:
        known = times_copied, _lookups_of(model, tuple(model.module.modules()))
        model.actual.measured[_lookups_or_reason] = known
    return known[1]


@measured_once
def _lookups_of(model: Model, modules: tuple[nn.Module, ...]) -> tuple[Lookup, ...] | str:
    """Return the lookups of a model that consists of these modules, or why there are none.

    Args:
        model: The model.
        modules: Its modules: where the caller has exchanged some, it is measured again.
    """
    with guarded(model.module, gradients=False), unchanged_modules(model.module):
        try:
            calls, lookups = _measured_lookups(model)
        except Exception:  # some models run on texts of one length only
            return _unmeasured(model)
    if lookups:
        return lookups
    if not calls:
        return f"{model.name} looks up no embeddings for the ids of a text, so gradients do not apply to it."
    return (
        f"A text's ids reach the logits of {model.name} by another path than its embeddings. Gradients and "
        "replaced embeddings would miss a part of each token's effect."
    )


def _measured_lookups(model: Model) -> tuple[list[_Call], tuple[Lookup, ...]]:
    """Return the calls that look up the text's ids, and the lookups among them that carry the whole text."""
    text, other = probe_texts(model)
    with _recorded_calls(model.module, other) as calls:
        outputs = model.forward(other)
    called = dict.fromkeys(call.module for call in calls)
    pointwise = {module for module in called if _is_pointwise(module, other.parts()[0])}
    calls = [call for call in calls if call.module in pointwise]
    choices = dict.fromkeys(_chosen(model.module, pointwise, is_outer) for is_outer in (False, True))
    chosen_calls = ([call for call in calls if call.module in modules] for modules in choices if modules)
    candidates = [_with_columns(some, other.parts()[0]) for some in chosen_calls]
    try:
        expected = model.logits_of(outputs, other, 0)
    except NumericalError:  # nothing can be compared; whoever runs a text of this model is told the same
        return calls, candidates[0] if candidates else ()
    for lookups in candidates:
        if _gives(model, lookups, text, looked_up(lookups, other.ids), other, expected):
            return calls, lookups
    return calls, ()


def _unmeasured(model: Model) -> tuple[Lookup, ...] | str:
    """Return the lookup that a model's table suggests, where a short text cannot be run.

    Every forward pass checks that the table is called with the text's ids.
    """
    table = input_embeddings(model.module)
    if model.reads_two_sequences:
        return f"{model.name} could not be run on a short text, so its embeddings were not located."
    if table is None:
        return f"{model.name} has no embedding table, so gradients do not apply to it."
    width = vectors_of(table(torch.zeros((1, 1), dtype=torch.long, device=model.device))).shape[-1]
    return (Lookup(table, 0, 0, False, False, 0, width),)


def _logits(model: Model, text: Encoding) -> Float[Tensor, "1 positions classes"]:
    return model.logits_of(model.forward(text), text, 0).float()


def _gives(
    model: Model, lookups: Sequence[Lookup], text: Encoding, rows: Tensor, other: Encoding, expected: Tensor
) -> bool:
    """Return whether a text with the embeddings of another one has the logits of that one."""
    try:
        with replaced_lookups(model.module, lookups, text.ids, rows, text.source_length):
            outputs = model.forward(text)
    except UnsupportedModelError:
        return False
    expected = expected.float()
    difference = (model.logits_of(outputs, text, 0).float() - expected).abs().max()
    if difference <= _TOLERANCE * expected.abs().max():
        return True
    # Reformer hashes at random: a second run tells how much of the difference that is.
    return bool(difference <= 2 * (_logits(model, other) - expected).abs().max())


@contextmanager
def _recorded_calls(model: nn.Module, text: Encoding) -> Iterator[list[_Call]]:
    """Record which modules one forward pass calls with the text's ids to get a vector for each."""
    calls: list[_Call] = []
    counts: Counter[nn.Module] = Counter()
    parts = text.parts()

    def record(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any], output: Any) -> None:
        index = counts[module]
        counts[module] += 1
        ids, vectors = given_ids(arguments, keywords), vectors_of(output)
        is_vectors = isinstance(vectors, Tensor) and vectors.is_floating_point() and vectors.ndim == 3
        if ids is None or not is_vectors or vectors.shape[:-1] != ids.shape:
            return
        for part, transposed in product(range(len(parts)), (False, True)):
            own = ids.T if transposed else ids
            offset = offset_of(own, parts[part])
            if offset is not None:
                wraps = offset > 0 and bool((own[:, offset - 1] == parts[part][:, -1]).all())
                of_two = part if len(parts) > 1 else None
                calls.append(_Call(module, index, offset, wraps, transposed, of_two))
                return

    inner = [module for module in model.modules() if module is not model]
    handles = [module.register_forward_hook(record, with_kwargs=True) for module in inner]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _is_pointwise(module: nn.Module, text: Tensor) -> bool:
    """Return whether a module gives each id a vector of its own, wherever it stands."""
    try:
        forwards, backwards = (vectors_in(module, ids) for ids in (text, text.flip(1)))
    except Exception:  # it needs more than ids
        return False
    is_same = torch.allclose(forwards, backwards.flip(1), rtol=1e-5, atol=1e-6, equal_nan=True)
    return is_same and not torch.allclose(forwards, backwards, rtol=1e-5, atol=1e-6)


def _chosen(model: nn.Module, pointwise: set[nn.Module], is_outer: bool) -> tuple[nn.Module, ...]:
    """Return modules of which none is inside another: the model's own table, and inner or outer others."""
    ordered = [module for module in model.modules() if module in pointwise]  # outer ones come first
    ordered = ordered if is_outer else ordered[::-1]
    ordered.sort(key=lambda module: module is not input_embeddings(model))
    chosen: list[nn.Module] = []
    for module in ordered:
        inside = set(module.modules())
        if not any(other in inside or module in set(other.modules()) for other in chosen):
            chosen.append(module)
    return tuple(chosen)


def _with_columns(calls: Sequence[_Call], text: Tensor) -> tuple[Lookup, ...]:
    """Return the lookups of calls, where calls that give the same vectors share their columns."""
    parts: list[tuple[nn.Module, Tensor, int]] = []  # a table, its vectors for the text, their first column
    lookups = []
    for call in calls:
        vectors = vectors_in(call.module, text)
        same = (first for table, known, first in parts if _is_same(call.module, vectors, table, known))
        start = next(same, None)
        if start is None:
            start = sum(known.shape[-1] for _, known, _ in parts)
            parts.append((call.module, vectors, start))
        end = start + vectors.shape[-1]
        lookups.append(
            Lookup(call.module, call.call, call.offset, call.wraps, call.transposed, start, end, call.part)
        )
    return tuple(lookups)


def _is_same(table: nn.Module, vectors: Tensor, other: nn.Module, others: Tensor) -> bool:
    """Return whether two tables give the same vectors because they share their weights, not by chance."""
    weights = [getattr(module, "weight", None) for module in (table, other)]
    return weights[0] is weights[1] and vectors.shape == others.shape and torch.equal(vectors, others)
