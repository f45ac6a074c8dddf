r"""Which tokens of two texts make them similar: contributions of pairs of tokens, one of each text.

With embeddings e(a), e(b) whose inner product is the similarity, and references r (the texts with every token
replaced, special ones excepted), let P leave out the directions of both references. Then ``P e(rₐ) = 0``, and

``e(a)·e(b) = P e(a) · P e(b) + rest``,

where rest is how similar both texts are along the references: to texts without words. A text's change from
its reference is a sum over its tokens, ``e(a) − e(rₐ) = Σᵢ vᵢ``, where vᵢ is the integral of token i's part
of the derivative along the straight path between them (Möller et al. 2023, 2024, who do without P; the
references of two texts are nearly the same, so that their product would be part of every pair). So the pairs
``P vᵢ · P vⱼ`` sum to the first term. The derivatives are central differences of forward passes, which every
model allows whose embeddings can be replaced.

Differences of embeddings in half precision are mostly rounding errors, so both methods run a copy of the
weights in 32 bits. The difference between the model's own similarity and the copy's is part of the
completeness gap.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from model_understanding.errors import InputError
from model_understanding.loading.sentence_encoder import comparable, similarity_of
from model_understanding.model.batching import Batches
from model_understanding.model.embeddings import has_embeddings, replaced_embeddings
from model_understanding.model.guard import guarded
from model_understanding.model.metering import count_forward
from model_understanding.model.model import Model
from model_understanding.model.own_copy import OwnCopy
from model_understanding.model.precision import precise
from model_understanding.passes.runner import Runner
from model_understanding.paths.baselines import baseline_embeddings, movable_tokens, resolved_baseline
from model_understanding.perturbation.token_removal import ModelTokenRemoval
from model_understanding.perturbation.units import membership, units_of
from model_understanding.text.encoding import Encoding

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(6)
_STEP = 0.02  # of a piece of the path, to each side of a node
_FIRST_PIECES = (0.0, 0.125, 0.25, 0.5, 1.0)  # embeddings change most near the reference
_TOLERANCE = 2.5e-4  # of a text's whole change, that its tokens may lack in a piece; 32 bits allow a third
_MOST_PIECES = 64
_NUMBERS_AT_ONCE = 2**24  # of embeddings that are made at once
_SAME = 1e-3  # of two references, by which they may differ and still count as one
_INNER_PRODUCTS = ("cosine", "dot")
_PLAIN_DTYPES = (torch.float16, torch.bfloat16, torch.float32)
_MOST_COPIED = 2**29  # weights of which a copy in 32 bits is made: 2 GB
_MOST_GAP = 0.1  # of the similarity, that a completeness gap may be without a warning
_SMALL_GAP = 1e-3  # of all links, likewise: a similarity of nearly 0 makes every gap look large


@dataclass(frozen=True, slots=True)
class Links:
    """Contributions of pairs of tokens.

    Args:
        scores: The contributions, shape ``(first, second)``.
        similarity: The similarity of both texts.
        rest: What the pairs do not explain.
        gap: What the scores lack to their exact sum.
        reference: What replaces tokens.
        method: ``integrated_jacobians`` or ``removals``.
        cautions: Warnings about the numbers.
    """

    scores: Float[np.ndarray, "first second"]
    similarity: float
    rest: float
    gap: float
    reference: str
    method: str
    cautions: tuple[str, ...] = ()


def token_links(
    runner: Runner,
    first: Encoding,
    second: Encoding,
    method: str,
    unit: str,
    own_similarity: Callable[[], float],
) -> Links:
    """Return the links of two texts, and warnings where they do not sum to the similarity.

    Args:
        runner: The runner of a sentence encoder.
        first: The first text.
        second: The second text.
        method: ``integrated_jacobians``, ``removals``, or ``default``: the first of them that the model
            supports, and in which rounding does not decide.
        unit: What ``removals`` removes at a time.
        own_similarity: Gives the similarity as the model answers it, in half precision.

    Raises:
        InputError: The similarity is no inner product, which ``integrated_jacobians`` needs.
        UnsupportedModelError: The model's embeddings cannot be replaced, likewise.
    """
    model, cautions = runner.model, ()
    is_rounded = model.dtype.itemsize < 4
    has_copy = is_rounded and _is_cheap_in_32_bits(model)
    if method == "default":
        is_exact = has_copy or not is_rounded
        method = "integrated_jacobians" if is_exact and replaces_embeddings(model) else "removals"
    precise_runner = _in_32_bits(runner) if has_copy else runner
    links = (
        removal_links(precise_runner, first, second, unit)
        if method == "removals"
        else integrated_links(precise_runner, first, second)
    )
    if has_copy:
        similarity = own_similarity()
        links = replace(links, similarity=similarity, gap=links.gap + similarity - links.similarity)
    elif is_rounded:
        dtype = str(model.dtype).removeprefix("torch.")
        cautions = (
            f"The links are differences of embeddings in {dtype}, so rounding errors are a large part of "
            "them. Load the model with dtype='float32'.",
        )
    return replace(links, cautions=(*cautions, *_cautions_about_gap(links, model.module.similarity)))


def _cautions_about_gap(links: Links, kind: str) -> tuple[str, ...]:
    """Return the warning about links and a rest that sum to another number than the similarity."""
    allowed = max(_MOST_GAP * abs(links.similarity), _SMALL_GAP * float(np.abs(links.scores).sum()))
    if abs(links.gap) <= allowed:
        return ()
    size = f" ({abs(links.gap / links.similarity):.1%} of it)".replace("%", " %") if links.similarity else ""
    return (
        f"The links and their rest sum to {links.similarity - links.gap:.3g}, but the {kind} is "
        f"{links.similarity:.3g}: the completeness gap is {links.gap:.3g}{size}, so read the links with "
        "care.",
    )


def _is_cheap_in_32_bits(model: Model) -> bool:
    """Return whether a copy of the weights in 32 bits is small, and the same model."""
    weights = list(model.module.parameters())
    is_plain = getattr(model.config, "quantization_config", None) is None and all(
        type(weight) is nn.Parameter and weight.dtype in _PLAIN_DTYPES and weight.device == model.device
        for weight in weights
    )
    return is_plain and sum(weight.numel() for weight in weights) <= _MOST_COPIED


def _in_32_bits(runner: Runner) -> Runner:
    """Return a runner of a copy of the model in 32 bits."""
    loaded = runner.model.loaded
    with torch.inference_mode(False):
        module = OwnCopy(loaded.model).module.float()  # which changes the copy's weights, not the caller's
    return Runner(replace(loaded, model=module)).at_layer(runner.layer)


def has_inner_product(model: Model) -> bool:
    """Return whether the similarity of two texts is an inner product, which a sum over pairs can explain."""
    return model.module.similarity in _INNER_PRODUCTS


def integrated_links(runner: Runner, first: Encoding, second: Encoding) -> Links:
    """Return the links by integrated Jacobians.

    Args:
        runner: The runner of a sentence encoder.
        first: The first text.
        second: The second text.

    Raises:
        InputError: The similarity is no inner product.
        UnsupportedModelError: The model's embeddings cannot be replaced.
    """
    kind = runner.model.module.similarity
    if not has_inner_product(runner.model):
        raise InputError(
            f"Integrated Jacobians explain a cosine or an inner product, not {kind!r}.",
            hint="Pass method='removals', or load the model with similarity='cosine'.",
        )
    a, b = (_change_of(runner, encoding) for encoding in (first, second))
    references = _directions(np.stack([a.reference, b.reference]))
    similarity = float(a.embedding @ b.embedding)
    rest = float((a.embedding @ references) @ (references.T @ b.embedding))
    scores = a.parts @ b.parts.T - (a.parts @ references) @ (references.T @ b.parts.T)
    return Links(
        scores=scores,
        similarity=similarity,
        rest=rest,
        gap=similarity - rest - float(scores.sum()),
        reference=resolved_baseline(runner, "default"),
        method="integrated_jacobians",
    )


def removal_links(runner: Runner, first: Encoding, second: Encoding, unit: str) -> Links:
    """Return the links by removals of one unit of each text: second differences of the similarity.

    ``score(u, w) = s(a, b) − s(a without u, b) − s(a, b without w) + s(a without u, b without w)``

    Each of the variants is encoded once. A unit's score is divided equally among its tokens.

    Args:
        runner: The runner of a sentence encoder.
        first: The first text.
        second: The second text.
        unit: ``token``, ``word`` or ``sentence``.
    """
    kind = runner.model.module.similarity
    (a, of_a, reference), (b, of_b, _) = (_without_units(runner, each, unit) for each in (first, second))
    values = similarity_of(kind, a[:, None], b[None]).numpy()
    of_units = values[0, 0] - values[1:, :1] - values[:1, 1:] + values[1:, 1:]
    shares = [is_member / is_member.sum(axis=1, keepdims=True) for is_member in (of_a, of_b)]
    scores = shares[0].T @ of_units @ shares[1]
    similarity = float(values[0, 0])
    return Links(scores, similarity, similarity - float(scores.sum()), 0.0, reference, "removals")


@dataclass(order=True, slots=True)
class _Piece:
    """A piece of the path from the reference, the one whose parts lack most of its change first."""

    lacking: float
    low: float
    high: float
    parts: Any = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Change:
    """A text's embedding, that of its reference, and each token's part in the change."""

    embedding: Float[np.ndarray, " embedding"]
    reference: Float[np.ndarray, " embedding"]
    parts: Float[np.ndarray, "tokens embedding"]


def _change_of(runner: Runner, encoding: Encoding) -> _Change:
    """Return how a text's embedding changes from its reference, token by token."""
    model, kind = runner.model, runner.model.module.similarity
    text = precise(runner.embed(encoding))[0]
    start = baseline_embeddings(runner, encoding, "default")[0]
    moved = torch.nonzero(movable_tokens(runner, encoding)[0])[:, 0]
    change = text - start

    def embedded(rows: Float[Tensor, "rows tokens width"]) -> Float[np.ndarray, "rows embedding"]:
        return comparable(kind, _embeddings(model, encoding, rows)).double().cpu().numpy()

    ends = {0.0: embedded(start[None])[0], 1.0: embedded(text[None])[0]}
    allowed = _TOLERANCE * float(np.linalg.norm(ends[1.0] - ends[0.0]))
    places = moved.tolist()

    def measured(low: float, high: float) -> _Piece:
        for place in {low, high} - ends.keys():
            ends[place] = embedded((start + place * change)[None])[0]
        parts = _piece(embedded, start, change, places, low, high)
        lacking = float(np.linalg.norm(ends[high] - ends[low] - parts.sum(axis=0)))
        return _Piece(-lacking, low, high, parts)

    pieces = [measured(low, high) for low, high in pairwise(_FIRST_PIECES)]
    heapify(pieces)
    while -pieces[0].lacking > allowed and len(pieces) < _MOST_PIECES:
        worst = heappop(pieces)
        middle = (worst.low + worst.high) / 2
        for low, high in ((worst.low, middle), (middle, worst.high)):
            heappush(pieces, measured(low, high))
    parts = np.zeros((len(text), len(ends[0.0])))
    parts[places] = sum(piece.parts for piece in sorted(pieces, key=lambda piece: piece.low))
    return _Change(ends[1.0], ends[0.0], parts)


def _piece(
    embedded: Callable[[Tensor], Float[np.ndarray, "rows embedding"]],
    start: Float[Tensor, "tokens width"],
    change: Float[Tensor, "tokens width"],
    places: list[int],
    low: float,
    high: float,
) -> Float[np.ndarray, "places embedding"]:
    """Return the integral of each token's part of the derivative over a piece of the path."""
    length = high - low
    step = _STEP * length
    nodes = [float(low + length * (node + 1) / 2) for node in _NODES]
    moves = [(node, place, sign * step) for node in nodes for sign in (1, -1) for place in places]

    def moved(part: Sequence[tuple[float, int, float]]) -> Float[Tensor, "rows tokens width"]:
        rows = torch.stack([start + node * change for node, _, _ in part])
        for row, (_, place, size) in zip(rows, part, strict=True):
            row[place] += size * change[place]
        return rows

    at_once = max(1, _NUMBERS_AT_ONCE // change.numel())
    parts = [moves[first : first + at_once] for first in range(0, len(moves), at_once)]
    values = np.concatenate([embedded(moved(part)) for part in parts])
    values = values.reshape(len(nodes), 2, len(places), -1)
    slopes = (values[:, 0] - values[:, 1]) / (2 * step)
    return length / 2 * np.tensordot(_WEIGHTS, slopes, axes=1)


def _directions(vectors: Float[np.ndarray, "vectors width"]) -> Float[np.ndarray, "width directions"]:
    """Return an orthonormal basis of vectors, without directions in which they hardly differ."""
    _, sizes, rows = np.linalg.svd(vectors, full_matrices=False)
    return rows[sizes > _SAME * sizes[0]].T


def _without_units(
    runner: Runner, encoding: Encoding, unit: str
) -> tuple[Float[Tensor, "variants embedding"], Float[np.ndarray, "units tokens"], str]:
    """Return the embeddings of a text and of it without each unit, the units, and what replaces them."""
    units = units_of(encoding.tokens[0], unit)
    is_member = membership(units, len(encoding.tokens[0]))
    removed: Bool[np.ndarray, "variants tokens"] = np.concatenate([np.zeros_like(is_member[:1]), is_member])
    removal = ModelTokenRemoval(runner, encoding, (), reuse=False)
    variants, rows = removal.variants(torch.from_numpy(removed).to(runner.model.device))
    if rows is None:
        embeddings = _of_texts(runner.model, variants)
    else:
        embeddings = _embeddings(runner.model, encoding, rows)
    return precise(embeddings).cpu(), is_member.astype(float), removal.replacement


def _of_texts(model: Model, texts: Encoding) -> Float[Tensor, "batch embedding"]:
    return model.logits(texts)[:, 0]


def _embeddings(
    model: Model, encoding: Encoding, rows: Float[Tensor, "rows tokens width"]
) -> Float[Tensor, "rows embedding"]:
    """Return what the encoder makes of a text whose token embeddings are replaced, row by row."""
    tokens, parts = encoding.ids.shape[1], []
    batches = Batches(len(rows), tokens, model.memory)
    with guarded(model.module, gradients=False):
        for start, end in batches:
            with batches.halving():
                part = encoding.repeated(end - start)
                with replaced_embeddings(model, part.ids, rows[start:end]):
                    outputs = model.run(part)
                parts.append(model.logits_of(outputs, part, 0)[:, 0])
                count_forward(part.ids.numel())
    return torch.cat(parts)


def replaces_embeddings(model: Model) -> bool:
    """Return whether integrated Jacobians apply: the model's embeddings can be replaced."""
    return has_embeddings(model) and has_inner_product(model)
