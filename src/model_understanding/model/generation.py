"""Generate a continuation with transformers' ``generate``, using the caller's settings alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from model_understanding.checks import whole_number
from model_understanding.errors import InputError
from model_understanding.model.guard import pass_settings
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding

_SET_BY_GENERATE = ("generation_config", "prepare_inputs_for_generation")


def end_ids(model: Any, tokenizer: Any) -> list[int]:
    """Return the ids that end a continuation: the generation config's, else the tokenizer's."""
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
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
    """Return the ids that a model generates after a prompt: greedily, or by sampling if there is a seed.

    The model's own generation config (sampling, penalties) is not used, except for its end tokens.

    Args:
        model: The model, its module already guarded.
        encoding: The prompt.
        max_new_tokens: Maximum number of tokens to generate.
        seed: Seed for sampling; greedy decoding by default.
        temperature: Temperature of sampling.
        top_p: Cumulative probability of the tokens to sample from.
        top_k: Number of most likely tokens to sample from; 0 for all.

    Returns:
        The new ids, including the end token if the model generated one.

    Raises:
        InputError: ``max_new_tokens`` is not a positive integer, or the prompt leaves no position free.
    """
    whole_number(max_new_tokens, "max_new_tokens")
    length = encoding.ids.shape[1]
    limit = model.longest_input
    if limit is not None and length >= limit:
        raise InputError(
            f"The prompt has {length} tokens, which leaves no room for a continuation: the model's "
            f"maximum is {limit}.",
            hint="Pass a shorter prompt.",
        )
    room = max_new_tokens if limit is None else min(max_new_tokens, limit - length)
    ends = end_ids(model.module, model.tokenizer)
    if not model.generates:
        return _by_full_passes(model, encoding, room, ends, seed, temperature, top_p, top_k)
    sampling = {} if seed is None else {"temperature": temperature, "top_p": top_p, "top_k": top_k}
    settings = _neutral_settings(model.module, ends)
    with settings, pass_settings(model.module, model.config), torch.random.fork_rng(_cuda_devices(model)):
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


def _by_full_passes(
    model: Model,
    encoding: Encoding,
    count: int,
    ends: list[int],
    seed: int | None,
    temperature: float,
    top_p: float,
    top_k: int,
) -> list[int]:
    """Return the ids that a module without ``generate`` writes, by one forward pass of the text for each."""
    from transformers import (
        LogitsProcessorList,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    changes = LogitsProcessorList()
    if seed is not None:
        changes.append(TemperatureLogitsWarper(float(temperature)))
        changes += [TopKLogitsWarper(top_k)] if top_k else []
        changes += [TopPLogitsWarper(top_p)] if top_p < 1 else []
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    ids, start = encoding.ids, encoding.ids.shape[1]
    while ids.shape[1] < start + count:
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        inputs = {name: values for name, values in inputs.items() if name in encoding.inputs}
        text, last = Encoding(encoding.tokens, inputs), ids.shape[1] - 1
        logits = model.logits_of(model.forward(text, last), text, last)[:, -1].float().cpu()
        scores = changes(ids.cpu(), logits).softmax(-1)  # pyright: ignore[reportArgumentType]
        likeliest = scores.argmax(-1, keepdim=True)
        following = likeliest if generator is None else torch.multinomial(scores, 1, generator=generator)
        ids = torch.cat([ids, following.to(ids.device)], dim=1)
        if int(following) in ends:
            break
    return ids[0, start:].tolist()


@contextmanager
def _neutral_settings(model: Any, ends: list[int]) -> Iterator[None]:
    """Replace the model's generation config by a plain one, for one call.

    It belongs to the model that a wrapper wraps; wrappers set attributes of their own in ``generate``, which
    are removed again.
    """
    from transformers import GenerationConfig

    original = model.generation_config
    padding = original.pad_token_id
    plain = GenerationConfig(
        eos_token_id=ends or None,
        bos_token_id=original.bos_token_id,
        # A single row is never padded, but transformers warns if there is no id.
        pad_token_id=padding if isinstance(padding, int) else (ends[0] if ends else 0),
    )
    parts = [
        (part, {name: vars(part)[name] for name in _SET_BY_GENERATE if name in vars(part)})
        for part in model.modules()
    ]
    try:
        for part, values in parts:
            if "generation_config" in values:
                part.generation_config = plain
        yield
    finally:
        for part, values in parts:
            for name in _SET_BY_GENERATE:
                vars(part).pop(name, None)
            vars(part).update(values)


def _cuda_devices(model: Model) -> list[int]:
    device = model.device
    return [device.index or 0] if device.type == "cuda" else []
