"""Load a sentence encoder: a folder of sentence-transformers, or any transformer with a named pooling."""

from dataclasses import replace
from typing import Any

from tokenizers.normalizers import Lowercase
from tokenizers.normalizers import Sequence as NormalizerSequence
from torch import nn

from model_understanding.errors import InputError, LoadingError
from model_understanding.loading.from_pretrained import load_config, load_tokenizer, load_weights
from model_understanding.loading.loaded_model import LoadedModel, provenance_of
from model_understanding.loading.options import LoadingOptions
from model_understanding.loading.sentence_encoder import POOLING_MODES, SIMILARITIES, Pooling, SentenceEncoder
from model_understanding.loading.sentence_folder import is_sentence_folder, read_sentence_folder
from model_understanding.loading.supported import check_tokenizer
from model_understanding.loading.wrappers import config_of, device_of, dtype_of
from model_understanding.targets.names import SIMILARITY

_ENCODER_ALONE = frozenset(
    {
        "blenderbot",
        "blenderbot-small",
        "longt5",
        "m2m_100",
        "marian",
        "mt5",
        "pegasus",
        "pegasus_x",
        "prophetnet",
        "switch_transformers",
        "t5",
        "t5gemma",
        "umt5",
    }
)
"""Encoder–decoders of which sentence-transformers runs the encoder; of others (BART) it runs both."""


def load_text_encoder(name: str, checkpoint: str, tokenizer: Any, options: LoadingOptions) -> LoadedModel:
    """Load a sentence encoder by name.

    Args:
        name: The name it is shown by.
        checkpoint: The hub id or folder.
        tokenizer: Its tokenizer; ``None`` for the checkpoint's own.
        options: How to load it. A pooling or similarity that is named there replaces the checkpoint's own.

    Raises:
        InputError: It says no pooling and none is named, or it embeds texts in a way that is not supported.
        LoadingError: It cannot be loaded.
        UnsafeModelError: Loading it would run code the caller did not ask for.
    """
    if is_sentence_folder(checkpoint, options):
        saved = read_sentence_folder(checkpoint, options)
    else:
        saved = None
        stated_pooling(name, options)
    place, inner = checkpoint, options
    if saved is not None and saved.transformer:
        place, inner = _inside(checkpoint, saved.transformer, options)
    config = load_config(place, inner)
    transformer, missing = load_weights(place, config, SIMILARITY, inner)
    encoder = encoder_of(transformer)
    present = {key for key, _ in transformer.named_parameters()}
    untrained = [key for key in missing if key in present and not _is_unused(key)]
    own_tokenizer = tokenizer is None
    if own_tokenizer:
        tokenizer = load_tokenizer(place, inner)
    check_tokenizer(tokenizer)
    if saved is not None and saved.lower_case and own_tokenizer:
        _lowercase(tokenizer)
    module = _assembled(encoder, saved, options).eval()  # not of a caller's transformer, which keeps its mode
    cautions = ()
    if untrained:
        cautions = (f"untrained weights: this explains random weights ({', '.join(untrained[:3])})",)
    return _loaded(name, module, tokenizer, options, cautions)


def given_text_encoder(module: nn.Module, tokenizer: Any, options: LoadingOptions) -> LoadedModel:
    """Return a sentence encoder of a transformer that is already loaded.

    Args:
        module: The transformer; of one with a head the part below it.
        tokenizer: Its tokenizer.
        options: Options that name a pooling.

    Raises:
        InputError: No pooling is named.
    """
    name = getattr(config_of(module), "_name_or_path", "") or type(module).__name__
    if isinstance(module, SentenceEncoder):
        return _loaded(name, module, tokenizer, options)
    return _loaded(name, _assembled(encoder_of(module), None, options), tokenizer, options)


def encoder_of(model: Any) -> Any:
    """Return the part of a model that gives hidden states of a text: below its head, and without its decoder.

    Args:
        model: A transformers model.
    """
    config = config_of(model)
    if getattr(config, "is_encoder_decoder", False) and config.model_type in _ENCODER_ALONE:
        return model.get_encoder()
    return getattr(model, "base_model", model)


def stated_pooling(name: str, options: LoadingOptions) -> tuple[str, ...]:
    """Return the pooling that a caller names.

    Args:
        name: The model, for the message.
        options: The options.

    Raises:
        InputError: There is none, or no such pooling.
    """
    pooling = options.pooling
    if pooling is None:
        raise InputError(
            f"{name!r} does not say how it makes one embedding of a text.",
            hint=f"Pass pooling='mean', or another of {', '.join(POOLING_MODES)}; or a folder of "
            "sentence-transformers, which says it in its modules.json.",
        )
    modes = (pooling,) if isinstance(pooling, str) else tuple(pooling)
    for mode in modes:
        if mode not in POOLING_MODES:
            raise InputError(
                f"Unknown pooling {mode!r}. Allowed: {', '.join(POOLING_MODES)}.", hint="Pass pooling='mean'."
            )
    return modes


def _assembled(encoder: Any, saved: Any, options: LoadingOptions) -> SentenceEncoder:
    """Return a transformer with the layers after it, on its device and in its dtype."""
    similarity = options.similarity or ("cosine" if saved is None else saved.similarity)
    if similarity not in SIMILARITIES:
        raise InputError(
            f"Unknown similarity {similarity!r}. Allowed: {', '.join(SIMILARITIES)}.",
            hint="Pass similarity='cosine'.",
        )
    layers: tuple[nn.Module, ...] = () if saved is None else saved.layers
    if options.pooling is not None or saved is None:
        pooling = Pooling(stated_pooling(type(encoder).__name__, options))
        layers = tuple(pooling if isinstance(layer, Pooling) else layer for layer in layers) or (pooling,)
    for layer in layers:
        layer.to(device=device_of(encoder), dtype=dtype_of(encoder))
    return SentenceEncoder(
        encoder,
        layers,
        similarity=similarity,
        max_tokens=None if saved is None else saved.max_length,
        prompts=None if saved is None else saved.prompts,
        default_prompt=None if saved is None else saved.default_prompt,
    )


def _loaded(
    name: str,
    module: SentenceEncoder,
    tokenizer: Any,
    options: LoadingOptions,
    cautions: tuple[str, ...] = (),
) -> LoadedModel:
    origin = provenance_of(name, SIMILARITY, module, tokenizer, options, cautions)
    return LoadedModel(module, tokenizer, SIMILARITY, replace(origin, architecture=module.description))


def _inside(checkpoint: str, folder: str, options: LoadingOptions) -> tuple[str, LoadingOptions]:
    """Return where the transformer of a checkpoint is that keeps it in a folder of its own."""
    from pathlib import Path

    if (Path(checkpoint) / folder).is_dir():
        return str(Path(checkpoint) / folder), options
    if Path(checkpoint).exists():
        raise LoadingError(
            f"{checkpoint!r} lacks the folder {folder} of its transformer.", hint="Download the model again."
        )
    return checkpoint, replace(options, subfolder=folder)


def _is_unused(key: str) -> bool:
    """Return whether a weight is of the layer that some transformers have for their first token's state.

    The hidden states themselves are pooled, so checkpoints may lack it.
    """
    return "pooler" in key.split(".")


def _lowercase(tokenizer: Any) -> None:
    """Let a tokenizer lowercase texts; their tokens keep their places."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        tokenizer.do_lower_case = True
        return
    before = [] if backend.normalizer is None else [backend.normalizer]
    backend.normalizer = NormalizerSequence([Lowercase(), *before])
