"""Lookups: the calls of a forward pass in which a model turns a text's ids into vectors.

Most models have one, of their embedding table. An encoder–decoder has one in each stack, the decoder's with
the ids moved by one; Gemma 3n has one for the first block and one for all others; Longformer pads the ids
first. ``embeddings.py`` locates a model's lookups; this module replaces what they give.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from model_understanding.errors import UnsupportedModelError
from model_understanding.text.encoding import sequences

BY_IDS_HINT = (
    "Use a method that replaces tokens by others: leave_one_out, guided_ablation, occlusion, "
    "shapley_sampling, kernel_shap or lime."
)


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """One call of a module that turns the text's ids into vectors.

    Args:
        module: The module.
        call: Index of the call among the module's calls in a forward pass.
        offset: Position of the text's first token in the call.
        wraps: Whether the position before that holds the text's last token.
        transposed: Whether the call's ids are ``(tokens, batch)`` (XLNet).
        start: First column of its vectors in the embeddings.
        end: The column after the last one.
        part: Which of two sequences it embeds; ``None`` where the model reads one.
    """

    module: nn.Module
    call: int
    offset: int
    wraps: bool
    transposed: bool
    start: int
    end: int
    part: int | None = None

    @property
    def columns(self) -> tuple[int, int]:
        """Its columns of the embeddings; lookups that give the same vectors share them."""
        return self.start, self.end


@dataclass(slots=True)
class EmbeddingHook:
    """Holds the tensor that the hook passed to the model: the leaf that gradients are taken for."""

    leaf: Float[Tensor, "batch tokens width"] | None = None


def tables_of(lookups: Sequence[Lookup]) -> list[nn.Module]:
    """Return the module that gives each part of the embeddings, in the order of their columns."""
    tables = {lookup.columns: lookup.module for lookup in reversed(lookups)}
    return [tables[columns] for columns in sorted(tables)]


def looked_up(
    lookups: Sequence[Lookup], ids: Int[Tensor, "batch tokens"]
) -> Float[Tensor, "batch tokens width"]:
    """Return the embeddings of ids; the model must be guarded."""
    parts = [vectors_in(table, ids).detach() for table in tables_of(lookups)]
    return parts[0] if len(parts) == 1 else torch.cat([part.to(ids.device) for part in parts], dim=-1)


def vectors_of(output: Any) -> Any:
    """Return the vectors that a lookup gave; I-BERT's table returns them with their scale."""
    return output[0] if isinstance(output, tuple) and output else output


def vectors_in(table: nn.Module, ids: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch tokens width"]:
    """Return a table's vectors of ids; of one that it lacks, another's, which the model never reads.

    The source's and the output's tables of an encoder–decoder may have vocabularies of their own, and each
    of them stands beside the other at every token.
    """
    rows = getattr(table, "num_embeddings", None)
    return vectors_of(table(ids if rows is None else ids.clamp(max=int(rows) - 1)))


def given_ids(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Tensor | None:
    """Return the ids that a module is called with, or ``None`` if its first input is something else."""
    value = arguments[0] if arguments else next(iter(keywords.values()), None)
    is_ids = isinstance(value, Tensor) and value.ndim == 2 and value.dtype in (torch.int64, torch.int32)
    return value if is_ids else None


def offset_of(ids: Tensor, text: Tensor) -> int | None:
    """Return the position of a text's first token in a call's ids, or ``None`` if the text is not in them.

    The last token may be missing where the text is moved by one.

    >>> offset_of(torch.tensor([[7, 8, 0]]), torch.tensor([[7, 8]]))
    0
    >>> offset_of(torch.tensor([[2, 7, 8]]), torch.tensor([[7, 8, 9]]))
    1
    """
    if len(ids) != len(text):
        return None
    last = max(ids.shape[1] - text.shape[1], 1)
    return next((offset for offset in range(last + 1) if _is_at(ids, text, offset)), None)


@contextmanager
def replaced_lookups(
    model: nn.Module,
    lookups: Sequence[Lookup],
    input_ids: Int[Tensor, "batch tokens"],
    embeddings: Float[Tensor, "batch tokens width"] | None = None,
    source_length: int | None = None,
) -> Iterator[EmbeddingHook]:
    """Make what the lookups give a leaf of the graph, or replace it, for one forward pass.

    Args:
        model: The model, already guarded.
        lookups: Its lookups.
        input_ids: The ids of this forward pass.
        embeddings: Values that replace the embeddings; default: the embeddings themselves.
        source_length: Number of leading tokens that are the first of two sequences.

    Yields:
        The hook; its ``leaf`` is the tensor that the model uses, ``(batch, tokens, width)``.

    Raises:
        UnsupportedModelError: The model looks up other ids than these, or not as often as measured.
    """
    own = looked_up(lookups, input_ids)
    leaf = own if embeddings is None else embeddings.to(own.dtype)
    leaf = leaf.detach().requires_grad_(torch.is_grad_enabled())
    ids_of, leaf_of = (sequences(values, source_length) for values in (input_ids, leaf))
    by_call = {(lookup.module, lookup.call): lookup for lookup in lookups}
    calls: Counter[nn.Module] = Counter()
    served = 0

    def replace(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any], output: Any) -> Any:
        nonlocal served
        lookup = by_call.get((module, calls[module]))
        calls[module] += 1
        if lookup is None:
            return None
        served += 1
        ids, vectors = given_ids(arguments, keywords), vectors_of(output)
        own_ids = ids_of[lookup.part or 0]
        if ids is None or not _is_lookup(ids.T if lookup.transposed else ids, own_ids, lookup):
            raise _call_error(model)
        # A copy, because some models scale their embeddings in place, which a leaf does not allow.
        entering = _placed(lookup, leaf_of[lookup.part or 0], vectors).to(vectors.dtype)
        return (entering, *output[1:]) if isinstance(output, tuple) else entering

    modules = dict.fromkeys(lookup.module for lookup in lookups)
    handles = [module.register_forward_hook(replace, with_kwargs=True) for module in modules]
    try:
        yield EmbeddingHook(leaf)
    finally:
        for handle in handles:
            handle.remove()
    if served != len(lookups):
        raise _call_error(model)


def _placed(lookup: Lookup, leaf: Tensor, vectors: Tensor) -> Tensor:
    """Return what a lookup hands on: the leaf's rows at the text's tokens, its own vectors elsewhere."""
    rows = leaf if leaf.shape[-1] == lookup.end - lookup.start else leaf[..., lookup.start : lookup.end]
    own = vectors.transpose(0, 1) if lookup.transposed else vectors
    if lookup.offset == 0 and rows.shape == own.shape:
        entering = rows.clone()
    else:
        count, offset = min(rows.shape[1], own.shape[1] - lookup.offset), lookup.offset
        before, after = own[:, :offset], own[:, offset + count :]
        if lookup.wraps:
            before = torch.cat([own[:, : offset - 1].to(rows), rows[:, -1:]], dim=1)
        entering = torch.cat([before.to(rows), rows[:, :count], after.to(rows)], dim=1)
    entering = entering.to(vectors.device)
    return entering.transpose(0, 1) if lookup.transposed else entering


def _is_at(ids: Tensor, text: Tensor, offset: int) -> bool:
    """Return whether a call's ids are those of a text from an offset on, and at most its last is missing."""
    count = min(text.shape[1], ids.shape[1] - offset)
    is_whole = len(ids) == len(text) and count >= max(text.shape[1] - min(offset, 1), 1)
    return is_whole and bool((ids[:, offset : offset + count].to(text.device) == text[:, :count]).all())


def _is_lookup(ids: Tensor, text: Tensor, lookup: Lookup) -> bool:
    """Return whether a call's ids are those of a text where the lookup was measured to have them."""
    if not _is_at(ids, text, lookup.offset):
        return False
    return not lookup.wraps or bool((ids[:, lookup.offset - 1].to(text.device) == text[:, -1]).all())


def _call_error(model: nn.Module) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{type(model).__name__} does not look up this text's ids as it does those of other texts, so its "
        "embeddings cannot be replaced or differentiated.",
        hint=BY_IDS_HINT,
    )
