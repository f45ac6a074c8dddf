"""What a text's embeddings are compared with: the same text with nothing said in it.

Special and chat-template tokens (and padding) keep their own embedding: without ``[CLS]`` a text is not
an empty text but no input at all. All rows are what the embedding module itself gives, so a module that
scales its output (Gemma 3) is compared with scaled rows. Where a runner explains hidden states, a baseline
is what the model makes of such a text up to there, and all its states differ from the text's.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model_understanding.errors import InputError
from model_understanding.model.vocabulary import embedded, mean_embedding, vocabulary_size
from model_understanding.passes.runner import Runner
from model_understanding.paths.tensor_baseline import TensorBaseline
from model_understanding.text.encoding import Encoding

_NAMES = ("default", "mask", "pad", "mean", "zero")
_ALLOWED = f"{', '.join(_NAMES)}, id:NUMBER, text:WORDS"
OneBaseline = str | TensorBaseline
Baseline = str | np.ndarray | Tensor | TensorBaseline | Sequence[str | np.ndarray | Tensor | TensorBaseline]


def checked_baselines(baseline: Baseline) -> tuple[OneBaseline, ...]:
    """Return the baselines given by a method's field, without running anything.

    Args:
        baseline: ``default``, ``mask``, ``pad``, ``mean``, ``zero``, ``id:NUMBER``, several of them
            separated by commas, or ``text:WORDS`` (all that follows is the text, commas included); or
            a ``TensorBaseline`` or what it takes; or a sequence of these.

    Returns:
        Names and tensors, one for each baseline.

    Raises:
        InputError: A name is unknown, a tensor cannot be used, or there is no baseline.

    >>> checked_baselines("mask,mean"), checked_baselines(["text:well, well", "zero"])
    (('mask', 'mean'), ('text:well, well', 'zero'))
    """
    if isinstance(baseline, np.ndarray | Tensor):
        return (TensorBaseline(baseline),)
    if isinstance(baseline, TensorBaseline):
        return (baseline,)
    if isinstance(baseline, list | tuple) and baseline:
        return tuple(one for given in baseline for one in checked_baselines(given))
    if not isinstance(baseline, str):
        raise InputError(
            f"A baseline is a name, a tensor, or a list of them. Got {baseline!r}.",
            hint=f"Use baseline='default'. Names: {_ALLOWED}.",
        )
    names = (baseline,) if baseline.startswith("text:") else tuple(n.strip() for n in baseline.split(","))
    for name in names:
        is_id = name.startswith("id:") and name[3:].isdecimal()
        is_text = name.startswith("text:") and len(name) > len("text:")
        if name not in _NAMES and not is_id and not is_text:
            raise InputError(
                f"Baseline {name!r} is unknown. Allowed: {_ALLOWED}.",
                hint="Use baseline='default', or several separated by commas, as 'mask,mean'.",
            )
    return names


def kept_baseline(baseline: Baseline) -> str | TensorBaseline | tuple[OneBaseline, ...]:
    """Return a method's field as the method keeps it: checked, hashable, and never changed from outside.

    Args:
        baseline: As ``checked_baselines`` takes it.

    Returns:
        A string as it is; a tensor as a ``TensorBaseline``; a sequence as a tuple of both.

    Raises:
        InputError: See ``checked_baselines``.

    >>> kept_baseline("mask,mean"), kept_baseline(["mask", np.zeros(2)])[0]
    ('mask,mean', 'mask')
    """
    found = checked_baselines(baseline)
    if isinstance(baseline, str):
        return baseline
    return found if isinstance(baseline, list | tuple) else found[0]


def recorded_baseline(runner: Runner, baseline: Baseline) -> str | list[str]:
    """Return a method's baselines as a result records them: names for names, a digest for a tensor.

    Args:
        runner: The runner, which says what ``default`` stands for.
        baseline: As ``checked_baselines`` takes it.

    Returns:
        A string for a string (names separated by commas) or one tensor, else a list of strings. A tensor
        is recorded by its shape, number type and the first 16 digits of the SHA-256 of its bytes (32-bit
        floats, little-endian, row by row).
    """
    names = [
        repr(one) if isinstance(one, TensorBaseline) else resolved_baseline(runner, one)
        for one in checked_baselines(baseline)
    ]
    return names if isinstance(baseline, list | tuple) else ",".join(names)


def movable_tokens(runner: Runner, encoding: Encoding) -> Bool[Tensor, "batch tokens"]:
    """Return which tokens' embeddings a baseline or noise may change: neither special ones nor padding.

    At a layer all but padding: there the states of special tokens hold what they took from the text.
    """
    movable = torch.zeros_like(encoding.ids, dtype=torch.bool)
    for row, tokens in enumerate(encoding.tokens):
        moved = np.ones(len(tokens), dtype=bool) if runner.layer is not None else ~tokens.special
        part = torch.from_numpy(moved[: movable.shape[1]])
        movable[row, : len(part)] = part.to(movable.device)
    return movable


def resolved_baseline(runner: Runner, baseline: str) -> str:
    """Return what ``default`` means for a model; any other name as it is.

    The mask token where the tokenizer has one, else the padding token, else the mean embedding. A token
    whose embedding is all zeros (a padding row that was never trained) is passed over: from the zero
    embedding a path does not converge on models with RMSNorm.

    Args:
        runner: The runner.
        baseline: One baseline's name.

    Returns:
        ``mask``, ``pad`` or ``mean`` in place of ``default``.
    """
    if baseline != "default":
        return baseline
    for kind in ("mask", "pad"):
        number = getattr(runner.model.tokenizer, f"{kind}_token_id", None)
        if (
            number is not None
            and number < vocabulary_size(runner.model)
            and bool(embedded(runner.model, _ids(runner, number)).any())
        ):
            return kind
    return "mean"


def baseline_embeddings(
    runner: Runner, encoding: Encoding, baseline: OneBaseline
) -> Float[Tensor, "batch tokens width"]:
    """Return the embeddings of a baseline, as long as the texts; at a layer, the hidden states there.

    Args:
        runner: The runner.
        encoding: The texts that are explained.
        baseline: One baseline, as ``checked_baselines`` returns it. ``text:WORDS`` is tokenized alone,
            without special tokens, and fills the places of the ordinary tokens in order, over and over
            where it is shorter. A name's embeddings are carried through the model up to the runner's layer;
            a tensor stands for the values there themselves.

    Returns:
        Embeddings in 32-bit precision; the texts' own at tokens that are not moved.

    Raises:
        InputError: The tokenizer has no such token, the id is beyond the vocabulary, the baseline's text
            has no tokens or more than an explained text, or a tensor's shape does not fit.
    """
    if isinstance(baseline, TensorBaseline):
        own = runner.embed(encoding).float()
        rows = baseline.fitted(own, [len(tokens) for tokens in encoding.tokens])
        return torch.where(movable_tokens(runner, encoding)[..., None], rows, own)
    table = runner.at_layer(None)
    own, movable = table.embed(encoding).float(), movable_tokens(table, encoding)
    kind = resolved_baseline(runner, baseline)
    if kind == "zero":
        rows = torch.zeros_like(own)
    elif kind == "mean":
        rows = mean_embedding(runner.model).expand_as(own)
    elif kind.startswith("text:"):
        ids = _ids_of_text(runner, kind.removeprefix("text:"))
        rows = embedded(runner.model, _cycled(encoding.ids, movable, ids))
    else:
        rows = embedded(runner.model, _ids(runner, _id_of(runner, kind))).expand_as(own)
    return runner.embed(encoding, torch.where(movable[..., None], rows, own)).float()


def embedded_ids(
    runner: Runner, encoding: Encoding, ids: Int[Tensor, "batch tokens"]
) -> Float[Tensor, "batch tokens width"]:
    """Return the embeddings of other ids in the texts' places; at a layer, the hidden states there."""
    return runner.embed(encoding, embedded(runner.model, ids)).float()


def _ids(runner: Runner, token: int) -> Int[Tensor, "1 1"]:
    return torch.tensor([[token]], device=runner.model.device)


def _id_of(runner: Runner, kind: str) -> int:
    """Return the id whose embedding a baseline repeats."""
    if kind.startswith("id:"):
        number = int(kind.removeprefix("id:"))
    else:
        number = getattr(runner.model.tokenizer, f"{kind}_token_id", None)
        if number is None:
            raise InputError(
                f"The baseline is {kind!r}, but the tokenizer has no {kind} token.",
                hint="Use baseline='mean', or 'default', which takes what there is.",
            )
    size = vocabulary_size(runner.model)
    if number >= size:
        raise InputError(
            f"The baseline {kind!r} has id {number}, but the model's vocabulary has {size} tokens.",
            hint="Use baseline='mean', or an id of the vocabulary.",
        )
    return number


def _ids_of_text(runner: Runner, text: str) -> list[int]:
    ids = runner.model.tokenizer(text, add_special_tokens=False)["input_ids"]
    if not ids:
        raise InputError(
            f"The baseline's text {text!r} has no tokens.", hint="Use a text that has, or baseline='mean'."
        )
    return ids


def _cycled(ids: Tensor, movable: Tensor, filling: list[int]) -> Int[Tensor, "batch tokens"]:
    """Return the ids with the ordinary tokens replaced by others, over and over."""
    filled = ids.clone()
    for row, places in enumerate(movable):
        count = int(places.sum())
        if 0 < count < len(filling):
            raise InputError(
                f"The baseline's text has {len(filling)} tokens, the explained text {count}.",
                hint="Use a baseline of as many tokens or fewer: a shorter one is repeated.",
            )
        repeated = torch.tensor(filling, device=ids.device).repeat(count // len(filling) + 1)[:count]
        filled[row, places] = repeated
    return filled
