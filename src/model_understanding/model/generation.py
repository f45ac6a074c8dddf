"""Generate a continuation with transformers' own loop, and with nobody's settings but the caller's."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from model_understanding.errors import InputError
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding
from model_understanding.text.max_length import longest_input


def end_ids(model: Any, tokenizer: Any) -> list[int]:
    """Return the ids that end an answer: the generation config's, else the tokenizer's."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    ids = tokenizer.eos_token_id if configured is None else configured
    return [] if ids is None else [ids] if isinstance(ids, int) else list(ids)


def generated_ids(
    model: Model,
    encoding: Encoding,
    *,
    max_new_tokens: int,
    seed: int | None = None,
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int = 0,
) -> list[int]:
    """Return the ids a model puts after a prompt: the likeliest at each step unless a seed is given.

    The model's own generation config (sampling, penalties) does not take part; its end tokens do.

    Args:
        model: The model, its model guarded.
        encoding: The prompt.
        max_new_tokens: Most tokens to generate.
        seed: Seed to sample with; greedy where left out.
        temperature: Temperature of sampling.
        top_p: Share of probability to sample from.
        top_k: How many of the likeliest tokens to sample from; 0 for all.

    Returns:
        The new ids, an end token included where the model ended.

    Raises:
        InputError: No token is asked for, or prompt and answer exceed the model's positions.
    """
    if max_new_tokens < 1:
        raise InputError(
            f"max_new_tokens must be at least 1. Got {max_new_tokens}.", hint="Ask for one token or more."
        )
    length = encoding.ids.shape[1]
    limit = longest_input(model.module, model.tokenizer)
    if limit is not None and length >= limit:
        raise InputError(
            f"The prompt has {length} tokens and the model positions for {limit}: no room for an answer.",
            hint="Pass a shorter prompt.",
        )
    room = max_new_tokens if limit is None else min(max_new_tokens, limit - length)
    ends = end_ids(model.module, model.tokenizer)
    sampling = {} if seed is None else {"temperature": temperature, "top_p": top_p, "top_k": top_k}
    with _neutral_settings(model.module, ends), torch.random.fork_rng(_cuda_devices(model)):
        if seed is not None:
            torch.manual_seed(seed)
        sequences = model.module.generate(  # pyright: ignore[reportCallIssue]
            **{
                name: encoding.inputs[name]
                for name in ("input_ids", "attention_mask")
                if name in encoding.inputs
            },
            max_new_tokens=room,
            do_sample=seed is not None,
            **sampling,
        )
    return [int(token) for token in sequences[0, length:]]


@contextmanager
def _neutral_settings(model: Any, ends: list[int]) -> Iterator[None]:
    """Put a plain generation config in the model's place of its own, for one call."""
    from transformers import GenerationConfig

    own = model.generation_config
    padding = own.pad_token_id
    model.generation_config = GenerationConfig(
        eos_token_id=ends or None,
        bos_token_id=own.bos_token_id,
        # One row is never padded, but without an id transformers warns.
        pad_token_id=padding if isinstance(padding, int) else (ends[0] if ends else 0),
    )
    try:
        yield
    finally:
        model.generation_config = own


def _cuda_devices(model: Model) -> list[int]:
    device = model.device
    return [device.index or 0] if device.type == "cuda" else []
