"""Two texts as two sequences of one length.

Texts of equal length are compared position by position. Of others the tokens that both share stand at one
position (a diff of their ids; the last token of both always does), and where one has no counterpart, a filler
stands in the other: the embedding of the mask token, of the padding token, or the mean embedding.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from model_understanding.finite_backward.run import Side
from model_understanding.model.embeddings import embeddings_of
from model_understanding.model.guard import guarded
from model_understanding.model.vocabulary import embedded, mean_embedding
from model_understanding.passes.runner import Runner
from model_understanding.paths.baselines import resolved_baseline
from model_understanding.text.encoding import Encoding
from model_understanding.text.max_length import check_length
from model_understanding.tokens import Tokens

FILLER = "…"
"""The piece of a filler whose embedding is the mean, which no token has."""


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """A text of a pair, in as many positions as the other.

    Args:
        side: The text's inputs, with fillers.
        places: The position of each of its own tokens.
        fillers: Number of fillers.
    """

    side: Side
    places: tuple[int, ...]
    fillers: int


def aligned(runner: Runner, text: Encoding, reference: Encoding) -> tuple[Aligned, Aligned]:
    """Return a text and its reference as sequences of one length.

    Args:
        runner: The runner of the model.
        text: One text.
        reference: The text that it is compared with.

    Raises:
        InputError: Together with the fillers they are longer than the model allows.
    """
    ids = [each.ids[0].tolist() for each in (text, reference)]
    if len(ids[0]) == len(ids[1]):
        places = tuple(range(len(ids[0])))
        return Aligned(Side(text), places, 0), Aligned(Side(reference), places, 0)
    pairs = paired_positions(*ids)
    check_length(runner.model.name, runner.model.longest_input, len(pairs))
    first = _filled(runner, text, reference, pairs)
    return first, _filled(runner, reference, text, [(b, a) for a, b in pairs])


def paired_positions(first: Sequence[int], second: Sequence[int]) -> list[tuple[int | None, int | None]]:
    """Return the positions of two sequences of ids side by side, ``None`` where one has no counterpart.

    Of two stretches of other lengths the last tokens are paired, so that what a language model predicts
    from is a token of both.

    >>> paired_positions([5, 6, 7, 9], [5, 8, 9])
    [(0, 0), (1, None), (2, 1), (3, 2)]
    """
    a, b = list(first[:-1]), list(second[:-1])
    pairs: list[tuple[int | None, int | None]] = []
    for _, i0, i1, j0, j1 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        length = max(i1 - i0, j1 - j0)
        left: list[int | None] = [*[None] * (length - (i1 - i0)), *range(i0, i1)]
        right: list[int | None] = [*[None] * (length - (j1 - j0)), *range(j0, j1)]
        pairs += zip(left, right, strict=True)
    return [*pairs, (len(a), len(b))]


def _filled(
    runner: Runner, own: Encoding, other: Encoding, pairs: Sequence[tuple[int | None, int | None]]
) -> Aligned:
    places = tuple(place for place, (mine, _) in enumerate(pairs) if mine is not None)
    gaps = [place for place, (mine, _) in enumerate(pairs) if mine is None]
    name = resolved_baseline(runner, "default")
    # The inputs of a filler are those of its counterpart, so that nothing but its embedding differs.
    inputs = {
        key: torch.stack(
            [
                other.inputs[key][:, theirs] if mine is None else values[:, mine]
                for mine, theirs in pairs
                if mine is not None or theirs is not None
            ],
            dim=1,
        )
        for key, values in own.inputs.items()
    }
    encoding = replace(own, tokens=(_with_fillers(runner, own.tokens[0], pairs, name),), inputs=inputs)
    if own.prompt_length is not None:
        start = places[own.prompt_length] if own.prompt_length < len(places) else len(pairs)
        encoding = replace(encoding, prompt_length=start)
    if not gaps:
        return Aligned(Side(encoding), places, 0)
    with guarded(runner.model.module, gradients=False):
        rows = embeddings_of(runner.model, encoding.ids).clone()
        rows[0, gaps] = _filler_row(runner, name).to(rows)
    return Aligned(Side(encoding, rows), places, len(gaps))


def _filler_row(runner: Runner, name: str) -> Tensor:
    if name == "mean":
        return mean_embedding(runner.model).reshape(-1)
    token = torch.tensor([[runner.model.token_id(name)]], device=runner.model.device)
    return embedded(runner.model, token).reshape(-1)


def filler_piece(runner: Runner, name: str) -> str:
    """Return how a filler is written: as the token whose embedding it has."""
    return FILLER if name == "mean" else str(getattr(runner.model.tokenizer, f"{name}_token"))


def _with_fillers(
    runner: Runner, tokens: Tokens, pairs: Sequence[tuple[int | None, int | None]], name: str
) -> Tokens:
    own = [mine for mine, _ in pairs]
    is_gap = np.array([mine is None for mine in own])
    piece = filler_piece(runner, name)

    def spread(values: np.ndarray, fill: int | bool) -> np.ndarray:
        picked = values[[0 if mine is None else mine for mine in own]].copy()
        picked[is_gap] = fill
        return picked

    identity = runner.model.token_id(name) if name != "mean" else None
    return Tokens(
        texts=tokens.texts,
        pieces=tuple(piece if mine is None else tokens.pieces[mine] for mine in own),
        ids=spread(tokens.ids, -1 if identity is None else identity),
        segments=spread(tokens.segments, -1),
        offsets=spread(tokens.offsets, 0),
        words=spread(tokens.words, -1),
        special=spread(tokens.special, True),
        unknown=spread(tokens.unknown, False),
    )
