"""Baselines: embeddings of an uninformative text that the explained text is compared with.

Special and chat-template tokens and padding keep their own embeddings, since a text without ``[CLS]`` is not
an empty text but an invalid input. All rows are outputs of the embedding module, so that they are scaled
where the module scales (Gemma 3). At a layer, a baseline is the hidden states that the model computes from
such embeddings, which differ from the text's at every token.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model_understanding.errors import InputError
from model_understanding.model.embeddings import reads_id_itself
from model_understanding.model.precision import precise
from model_understanding.model.vocabulary import embedded, mean_embedding, vocabulary_size
from model_understanding.passes.runner import Runner
from model_understanding.paths.tensor_baseline import TensorBaseline
from model_understanding.targets.names import SIMILARITY
from model_understanding.text.encoding import Encoding

_NAMES = ("default", "mask", "pad", "mean", "zero")
_ALLOWED = f"{', '.join(_NAMES)}, id:NUMBER, text:WORDS"
SingleBaseline = str | TensorBaseline
Baseline = str | np.ndarray | Tensor | TensorBaseline | Sequence[str | np.ndarray | Tensor | TensorBaseline]


def checked_baselines(baseline: Baseline) -> tuple[SingleBaseline, ...]:
    """Return the baselines that a method's field lists, without running anything.

    Args:
        baseline: ``default``, ``mask``, ``pad``, ``mean``, ``zero``, ``id:NUMBER``, several of these
            separated by commas, or ``text:WORDS`` (everything that follows is the text, including commas);
            or a ``TensorBaseline``, an array or a tensor; or a list of these.

    Returns:
        A name or a tensor for each baseline.

    Raises:
        InputError: A name is unknown, a tensor cannot be used, or the list is empty.

    >>> checked_baselines("mask,mean"), checked_baselines(["text:well, well", "zero"])
    (('mask', 'mean'), ('text:well, well', 'zero'))
    """
    if isinstance(baseline, np.ndarray | Tensor):
        return (TensorBaseline(baseline),)
    if isinstance(baseline, TensorBaseline):
        return (baseline,)
    if isinstance(baseline, list | tuple) and baseline:
        return tuple(single for item in baseline for single in checked_baselines(item))
    if not isinstance(baseline, str):
        raise InputError(
            f"A baseline must be a name, an array, a tensor, or a list of them. Got {baseline!r}.",
            hint=f"Pass baseline='default', or another of {_ALLOWED}.",
        )
    names = (baseline,) if baseline.startswith("text:") else tuple(n.strip() for n in baseline.split(","))
    for name in names:
        is_id = name.startswith("id:") and name[3:].isdecimal()
        is_text = name.startswith("text:") and len(name) > len("text:")
        if name not in _NAMES and not is_id and not is_text:
            raise InputError(
                f"Unknown baseline {name!r}. Allowed: {_ALLOWED}.",
                hint="Pass baseline='default', or several separated by commas, such as 'mask,mean'.",
            )
    return names


def hashable_baseline(baseline: Baseline) -> str | TensorBaseline | tuple[SingleBaseline, ...]:
    """Return a method's baseline field as an immutable, hashable value.

    Args:
        baseline: See ``checked_baselines``.

    Returns:
        A string unchanged, a tensor as a ``TensorBaseline``, a list as a tuple of these.

    Raises:
        InputError: See ``checked_baselines``.

    >>> hashable_baseline("mask,mean"), hashable_baseline(["mask", np.zeros(2)])[0]
    ('mask,mean', 'mask')
    """
    baselines = checked_baselines(baseline)
    if isinstance(baseline, str):
        return baseline
    return baselines if isinstance(baseline, list | tuple) else baselines[0]


def recorded_baseline(runner: Runner, baseline: Baseline) -> str | list[str]:
    """Return a method's baselines as recorded in results: names, with ``default`` resolved, and digests.

    Args:
        runner: The runner, whose model determines what ``default`` means.
        baseline: See ``checked_baselines``.

    Returns:
        A string for a string (names separated by commas) or a single tensor, else a list of strings. A
        tensor is recorded by its shape, dtype and the first 16 digits of the SHA-256 of its bytes (32-bit
        floats, little-endian, in row-major order).
    """
    names = [
        repr(single) if isinstance(single, TensorBaseline) else resolved_baseline(runner, single)
        for single in checked_baselines(baseline)
    ]
    return names if isinstance(baseline, list | tuple) else ",".join(names)


def movable_tokens(runner: Runner, encoding: Encoding) -> Bool[Tensor, "batch tokens"]:
    """Return which tokens' embeddings a baseline or noise may change: all but special tokens and padding.

    At a layer all but padding, because hidden states of special tokens contain information from the text.
    """
    movable = torch.zeros_like(encoding.ids, dtype=torch.bool)
    for row, tokens in enumerate(encoding.tokens):
        is_movable = np.ones(len(tokens), dtype=bool) if runner.layer is not None else ~tokens.special
        part = torch.from_numpy(is_movable[: movable.shape[1]])
        movable[row, : len(part)] = part.to(movable.device)
    return movable


def resolved_baseline(runner: Runner, baseline: str) -> str:
    """Return what ``default`` means for a model; any other name is returned unchanged.

    The default is the mask token if the tokenizer has one, else the padding token, else the mean embedding.
    A token whose embedding is zero (an untrained padding row) is skipped, because paths from the zero
    embedding do not converge on models with RMSNorm; so is a mask token that a model treats specially (ESM).

    Args:
        runner: The runner.
        baseline: Name of a baseline.

    Returns:
        ``mask``, ``pad`` or ``mean`` for ``default``.
    """
    if baseline != "default":
        return baseline
    for kind in ("mask", "pad"):
        token = runner.model.token_id(kind)
        if (
            token is not None
            and token < vocabulary_size(runner.model)
            and bool(embedded(runner.model, _ids(runner, token)).any())
            and not (kind == "mask" and reads_id_itself(runner.model, token))
        ):
            return kind
    return "mean"


def baseline_cautions(runner: Runner, baseline: Baseline) -> tuple[str, ...]:
    """Return a warning for each baseline whose output is not the model's answer to a text of that token.

    Of two texts whose similarity is explained, a warning says that they are the same at the baseline.

    Args:
        runner: The runner.
        baseline: See ``checked_baselines``.
    """
    names = [single for single in checked_baselines(baseline) if isinstance(single, str)]
    names = [resolved_baseline(runner, name) for name in names]
    of_similarity = (
        "At the baseline both texts are the same, so their similarity is highest there: the scores sum to "
        "how much less similar the texts are.",
    )
    of_similarity = of_similarity if names and runner.model.task == SIMILARITY else ()
    return of_similarity + tuple(
        f"{runner.model.name} treats the id of the baseline {name!r} specially. The baseline is this token's "
        "embedding alone, so its output is not the model's answer to a text of these tokens."
        for name in dict.fromkeys(names)
        if name.startswith(("mask", "pad", "id:")) and reads_id_itself(runner.model, _id_of(runner, name))
    )


def baseline_embeddings(
    runner: Runner, encoding: Encoding, baseline: SingleBaseline
) -> Float[Tensor, "batch tokens width"]:
    """Return the embeddings of a baseline for texts; at a layer, the hidden states there.

    Args:
        runner: The runner.
        encoding: The texts that are explained.
        baseline: A baseline, as ``checked_baselines`` returns it. ``text:WORDS`` is tokenized by itself,
            without special tokens, and replaces the ordinary tokens in order; it is repeated if it is
            shorter. At a layer, named baselines are run through the model up to the layer, whereas a tensor
            gives the hidden states themselves.

    Returns:
        Embeddings in 32-bit precision or better; at tokens that are not movable, the texts' embeddings.

    Raises:
        InputError: The tokenizer has no such token, the id is outside the vocabulary, the baseline's text
            has no tokens or more than an explained text, or a tensor has the wrong shape.
    """
    if isinstance(baseline, TensorBaseline):
        embeddings = precise(runner.embed(encoding))
        rows = baseline.expanded(embeddings, [len(tokens) for tokens in encoding.tokens])
        return torch.where(movable_tokens(runner, encoding)[..., None], rows, embeddings)
    table = runner.at_layer(None)
    embeddings, movable = precise(table.embed(encoding)), movable_tokens(table, encoding)
    name = resolved_baseline(runner, baseline)
    if name == "zero":
        rows = torch.zeros_like(embeddings)
    elif name == "mean":
        rows = mean_embedding(runner.model).expand_as(embeddings)
    elif name.startswith("text:"):
        ids = _ids_of_text(runner, name.removeprefix("text:"))
        rows = embedded(runner.model, _with_repeated_ids(encoding.ids, movable, ids))
    else:
        rows = embedded(runner.model, _ids(runner, _id_of(runner, name))).expand_as(embeddings)
    return precise(runner.embed(encoding, torch.where(movable[..., None], rows, embeddings)))


def embedded_ids(
    runner: Runner, encoding: Encoding, ids: Int[Tensor, "batch tokens"]
) -> Float[Tensor, "batch tokens width"]:
    """Return the embeddings of other ids at the texts' positions; at a layer, the hidden states there."""
    return precise(runner.embed(encoding, embedded(runner.model, ids)))


def _ids(runner: Runner, token: int) -> Int[Tensor, "1 1"]:
    return torch.tensor([[token]], device=runner.model.device)


def _id_of(runner: Runner, name: str) -> int:
    """Return the id whose embedding is the baseline."""
    if name.startswith("id:"):
        token = int(name.removeprefix("id:"))
    else:
        token = runner.model.token_id(name)
        if token is None:
            raise InputError(
                f"The baseline is {name!r}, but the tokenizer has no {name} token.",
                hint="Pass baseline='mean', or 'default', which works for every tokenizer.",
            )
    size = vocabulary_size(runner.model)
    if token >= size:
        raise InputError(
            f"The baseline {name!r} has id {token}, but the model's vocabulary has {size} tokens.",
            hint=f"Pass baseline='mean', or an id from 0 to {size - 1}.",
        )
    return token


def _ids_of_text(runner: Runner, text: str) -> list[int]:
    ids = runner.model.tokenizer(text, add_special_tokens=False)["input_ids"]
    if not ids:
        raise InputError(
            f"The baseline's text {text!r} has no tokens.",
            hint="Pass a text with at least one word, or baseline='mean'.",
        )
    return ids


def _with_repeated_ids(ids: Tensor, movable: Tensor, replacement: list[int]) -> Int[Tensor, "batch tokens"]:
    """Return the ids with the movable tokens replaced by other ids, which are repeated as necessary."""
    replaced = ids.clone()
    for row, positions in enumerate(movable):
        count = int(positions.sum())
        if 0 < count < len(replacement):
            raise InputError(
                f"The baseline's text has {len(replacement)} tokens, more than the explained text, which has "
                f"{count}.",
                hint=f"Pass a text of at most {count} tokens; a shorter one is repeated.",
            )
        repeated = torch.tensor(replacement, device=ids.device).repeat(count // len(replacement) + 1)[:count]
        replaced[row, positions] = repeated
    return replaced
