"""Which targets of a language model share a forward pass: a target needs only the tokens before it.

One forward pass over the longest prefix serves every target, but then each target's backward pass covers all
of it. Additional forward passes over shorter prefixes make backward passes shorter; the cheapest grouping
depends on the lengths.
"""

from collections.abc import Sequence

from model_understanding.model.causality import is_causal
from model_understanding.model.model import Model
from model_understanding.model.prefixes import prefixes_agree
from model_understanding.passes.target_values import Entry
from model_understanding.text.encoding import Encoding

# Costs in token positions of a forward pass. A backward pass to the embeddings costs about as much as a
# forward pass: each matrix product has one counterpart, since gradients of weights are not computed.
BACKWARD = 1.0
FIXED = 32.0  # overhead of a forward pass of any length: the weights are read once
_MOST_CUTS = 32  # number of positions considered for a cut between groups


def prefixes_of(
    model: Model, encoding: Encoding, entries: Sequence[Entry], *, gradients: bool
) -> list[tuple[int, list[Entry]]]:
    """Group entries by the forward pass that they are read from.

    Targets of a causal model share forward passes over the tokens before them, if passes over prefixes of
    these lengths agree. If they do not, or if the model is not causal and would see the token it predicts,
    each position needs a forward pass over its own prefix. A causal model's loss is, as in transformers, that
    of one pass over the whole text.

    Args:
        model: The model.
        encoding: The text, or texts of one length.
        entries: The entries of all targets.
        gradients: Whether each target needs a backward pass.

    Returns:
        For each group, the length of its prefix and its entries.
    """
    tokens = encoding.ids.shape[1]
    if not model.is_language_model:
        return [(tokens, list(entries))]
    lengths = [entry.position + 1 for entry in entries]
    is_loss = all(entry.is_loss for entry in entries) and is_causal(model)
    shortest, longest = (max(lengths), tokens) if is_loss else (min(lengths), max(lengths))
    if prefixes_agree(model, encoding, shortest, longest):
        return cheapest_prefixes(entries) if gradients else shared_prefix(entries)
    if is_loss:
        return [(tokens, list(entries))]
    return [
        (length, [entry for entry in entries if entry.position == length - 1])
        for length in sorted({*lengths})
    ]


def shared_prefix(entries: Sequence[Entry]) -> list[tuple[int, list[Entry]]]:
    """Return one group over the longest prefix, which is cheapest without gradients."""
    return [(max(entry.position for entry in entries) + 1, list(entries))]


def cheapest_prefixes(entries: Sequence[Entry]) -> list[tuple[int, list[Entry]]]:
    """Group targets by prefix so that forward and backward passes together cover the fewest positions.

    ``cost = Σ_groups length · (1 + targets · BACKWARD) + FIXED``, minimized over contiguous groups of
    targets in the order of their last position. A target with several positions is not divided, because
    its gradient is one backward pass.

    Args:
        entries: The entries of all targets.

    Returns:
        For each group, the length of its prefix and its entries.

    >>> entry = lambda target, position: Entry(0, target, position, 0, None, 1.0)
    >>> [length for length, _ in cheapest_prefixes([entry(i, 31 + i) for i in range(32)])]
    [40, 51, 63]
    """
    by_target: dict[int, list[Entry]] = {}
    for entry in entries:
        by_target.setdefault(entry.target, []).append(entry)
    targets = sorted(by_target.values(), key=_length)
    count = len(targets)
    step = -(-count // _MOST_CUTS)
    cuts = [*range(0, count, step), count]
    best, previous = [0.0], [0]
    for end in range(1, len(cuts)):
        length = _length(targets[cuts[end] - 1])
        costs = [
            best[start] + length * (1 + (cuts[end] - cuts[start]) * BACKWARD) + FIXED for start in range(end)
        ]
        previous.append(min(range(end), key=costs.__getitem__))
        best.append(costs[previous[-1]])
    groups, end = [], len(cuts) - 1
    while end:
        members = targets[cuts[previous[end]] : cuts[end]]
        groups.append((_length(members[-1]), [entry for target in members for entry in target]))
        end = previous[end]
    return groups[::-1]


def _length(target: Sequence[Entry]) -> int:
    return max(entry.position for entry in target) + 1
