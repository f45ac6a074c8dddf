"""Generate a continuation from the caller's settings alone, with the model that explanations run.

transformers generates where it uses the same logits as our forward passes, which is measured; elsewhere each
token is the one that our forward passes give.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.checks import whole_number
from model_understanding.errors import InputError
from model_understanding.model.guard import guarded, pass_settings
from model_understanding.model.model import Model, measured_once
from model_understanding.model.outputs import module_inputs
from model_understanding.model.prefixes import prefixes_agree
from model_understanding.model.rotary import original_frequencies
from model_understanding.text.cautions import listed
from model_understanding.text.encoding import Encoding
from model_understanding.text.source_and_output import languages_of, names_languages
from model_understanding.text.tokenization import added_ids
from model_understanding.tokens import Tokens

_PROBE = (6, 3)  # tokens of the prompt and of the continuation on which both ways are compared
# Relative difference of logits between both ways that is rounding error, which in half precision may send a
# token to another expert.
_TOLERANCE, _HALF_TOLERANCE = 1e-3, 0.2
_log = logging.getLogger("model_understanding")

_NEUTRAL = {
    "do_sample": False,
    "num_beams": 1,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0,
    "min_length": 0,
    "min_new_tokens": 0,
    "forced_eos_token_id": None,
}
"""Settings of generation, and the values with which they change nothing."""

_SET_BY_GENERATE = ("generation_config", "prepare_inputs_for_generation")


def end_ids(model: Any, tokenizer: Any) -> list[int]:
    """Return the ids that end a continuation: the generation config's, else the tokenizer's."""
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    ids = tokenizer.eos_token_id if configured is None else configured
    return [] if ids is None else [ids] if isinstance(ids, int) else list(ids)


def unused_settings(model: Model, ids: Sequence[int]) -> list[str]:
    """Return the settings of a model's generation config that may change what greedy decoding wrote.

    Args:
        model: The model.
        ids: What it wrote. A last token is forced only where it did not end by itself.
    """
    config = getattr(model.module, "generation_config", None)
    values = {name: getattr(config, name, None) for name in _NEUTRAL}
    if ids and ids[-1] in end_ids(model.module, model.output_tokenizer):
        del values["forced_eos_token_id"]
    return [f"{name}={value}" for name, value in values.items() if value not in (None, _NEUTRAL[name])]


def forbidden_ids(model: Model) -> list[int]:
    """Return the ids that a model's generation config never lets it write, such as Marian's padding."""
    config = getattr(model.module, "generation_config", None)
    alone = [ids[0] for ids in getattr(config, "bad_words_ids", None) or () if len(ids) == 1]
    return sorted({*alone, *(getattr(config, "suppress_tokens", None) or ())})


def decoder_start_ids(model: Model) -> tuple[int, ...]:
    """Return what the decoder of an encoder–decoder starts with, as transformers' ``generate`` has it.

    That is the start token, and a first token that the settings force: mostly one that names the language.
    Tokenizers that name languages say which token that is: one before a target is forced after the start
    token, one after its end is the start token itself in models that move it there (mBART), else forced too.

    Args:
        model: An encoder–decoder.

    Raises:
        InputError: The output's language has to be named, or the settings name no start token.
    """
    start = _setting(model, "decoder_start_token_id")
    forced = _setting(model, "forced_bos_token_id")
    tokenizer = model.output_tokenizer
    if names_languages(tokenizer):
        before, after = added_ids(tokenizer)
        moves_end = not before and _moves_end_to_start(model, after)
        is_named = model.loaded.provenance.target_language is not None
        is_set = forced is not None or (start is not None and moves_end)
        if not is_named and not is_set and tokenizer.tgt_lang is None:
            raise InputError(
                f"{model.name} starts its output with a token for the language, and none is named.",
                hint="Pass target_language=… (--target-language), one of "
                f"{listed(languages_of(tokenizer))}; and source_language=… (--source-language) for the "
                "source.",
            )
        if moves_end:
            start = after[-1] if is_named or start is None else start
        elif is_named or forced is None:
            forced = before[0] if before else after[-1]
    if start is None:
        start = _setting(model, "bos_token_id")
    if start is None:
        raise InputError(
            f"The settings of {model.name} do not say which token its decoder starts with.",
            hint="Set model.generation_config.decoder_start_token_id.",
        )
    return (start,) if forced is None else (start, forced)


def _setting(model: Model, name: str) -> int | None:
    """Return a setting of generation: the generation config's, else the configuration's."""
    for settings in (getattr(model.module, "generation_config", None), model.config):
        value = getattr(settings, name, None)
        value = value[0] if isinstance(value, list | tuple) and value else value
        if isinstance(value, int):
            return value
    return None


def _moves_end_to_start(model: Model, after: Sequence[int]) -> bool:
    """Return whether a model trains its decoder to start with the last token of a target."""
    prepare = getattr(model.module, "prepare_decoder_input_ids_from_labels", None)
    if prepare is None or not after:
        return False
    labels = torch.tensor([[*range(3, 5), *after]], device=model.device)
    return int(prepare(labels=labels)[0, 0]) == after[-1]


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

    The model's own generation config (sampling, penalties) is not used, except for its end tokens and the
    tokens that it never allows.

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
    limit = model.longest_input if encoding.source_length is None else model.longest_output
    before = length - (encoding.source_length or 0)
    if limit is not None and before >= limit:
        raise InputError(
            f"The prompt has {before} tokens, which leaves no room for a continuation: the model's "
            f"maximum is {limit}.",
            hint="Pass a shorter prompt.",
        )
    room = max_new_tokens if limit is None else min(max_new_tokens, limit - before)
    ends = end_ids(model.module, model.output_tokenizer)
    sampling = None if seed is None else {"temperature": temperature, "top_p": top_p, "top_k": top_k}

    def generated(generate: Callable[..., list[int]]) -> list[int]:
        with torch.random.fork_rng(_cuda_devices(model)):
            if seed is not None:
                torch.manual_seed(seed)
            return generate(model, encoding, room, ends, sampling)

    if not model.generates or not _cache_agrees(model):
        return generated(_by_forward_passes)
    ids = generated(_by_transformers)
    # The last token's own row is not needed: it was read one position before.
    written = _followed_by(encoding, ids[:-1])
    if prefixes_agree(model, written, length, written.ids.shape[1]):
        return ids
    return generated(_by_forward_passes)


def _by_transformers(
    model: Model, encoding: Encoding, room: int, ends: list[int], sampling: dict[str, Any] | None
) -> list[int]:
    """Return what transformers generates, which keeps keys and values of earlier positions."""
    sequences = _generate(model, encoding, room, ends, do_sample=sampling is not None, **(sampling or {}))
    return [int(token) for token in sequences[0, encoding.parts()[-1].shape[1] :]]


def _by_forward_passes(
    model: Model, encoding: Encoding, room: int, ends: list[int], sampling: dict[str, Any] | None
) -> list[int]:
    """Return what explanations' own forward passes generate, one over the whole text for each token."""
    ids: list[int] = []
    while len(ids) < room and not (ids and ids[-1] in ends):
        scores = _next_logits(model, _followed_by(encoding, ids))[None].float()
        scores[:, forbidden_ids(model)] = -torch.inf
        for change in [] if sampling is None else _sampled_from(**sampling):
            scores = change(encoding.ids, scores)
        token = scores.argmax(-1) if sampling is None else torch.multinomial(scores.softmax(-1), 1)
        ids.append(int(token))
    return ids


def _sampled_from(temperature: float, top_p: float, top_k: int) -> Iterator[Any]:
    """Yield what transformers does to the logits before it samples, in its order."""
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    if temperature != 1:
        yield TemperatureLogitsWarper(temperature)
    if top_k:
        yield TopKLogitsWarper(top_k)
    if top_p < 1:
        yield TopPLogitsWarper(top_p)


@measured_once
def _cache_agrees(model: Model) -> bool:
    """Return whether the logits that transformers generates from are those of forward passes.

    They are not where generation positions tokens in its own way (RoBERTa with ``is_decoder``), or where
    earlier positions see later ones (BERT), whose keys and values it keeps.
    """
    limit = model.longest_input
    if limit is not None and limit < sum(_PROBE):
        return True
    vocabulary = model.common_ids
    if model.reads_two_sequences:
        vocabulary = min(vocabulary, model.class_count(sum(_PROBE)))
    ids = torch.arange(_PROBE[0], device=model.device)[None] * 7 % max(vocabulary - 1, 1) + 1
    tokens = Tokens.from_pieces([str(i) for i in range(_PROBE[0])])
    prompt = Encoding(
        (tokens,),
        {"input_ids": ids, "attention_mask": torch.ones_like(ids)},
        source_length=_PROBE[0] - 2 if model.reads_two_sequences else None,
    )
    try:
        with guarded(model.module, gradients=False):
            result = _generate(
                model,
                prompt,
                _PROBE[1],
                [],
                output_logits=True,
                return_dict_in_generate=True,
                do_sample=False,
            )
            written = result.sequences[0, prompt.parts()[-1].shape[1] :].tolist()
            return all(
                _is_close(logits[0], _next_logits(model, _followed_by(prompt, written[:step])))
                for step, logits in enumerate(result.logits)
            )
    except (TypeError, ValueError, AttributeError, LookupError, RuntimeError, NotImplementedError) as error:
        _log.info("transformers cannot generate with %s: %s", model.name, error)
        return False


def _is_close(logits: Tensor, expected: Tensor) -> bool:
    tolerance = _TOLERANCE if expected.dtype in (torch.float32, torch.float64) else _HALF_TOLERANCE
    difference = (logits.float() - expected.float()).abs().max()
    return bool(difference <= tolerance * expected.float().abs().max())


def _next_logits(model: Model, encoding: Encoding) -> Float[Tensor, " vocabulary"]:
    last = encoding.ids.shape[1] - 1
    return model.logits_of(model.forward(encoding, last), encoding, last)[0, -1]


def _followed_by(encoding: Encoding, ids: Sequence[int]) -> Encoding:
    """Return a prompt's inputs with further tokens."""
    inputs = {}
    for name, values in encoding.inputs.items():
        # An attention mask is 1 here too, and other inputs stay as they are at the last token.
        following = (
            values.new_tensor([list(ids)]) if name == "input_ids" else values[:, -1:].expand(1, len(ids))
        )
        inputs[name] = torch.cat([values, following.to(values)], dim=1)
    return replace(encoding, inputs=inputs)


def _generate(model: Model, encoding: Encoding, room: int, ends: list[int], **options: Any) -> Any:
    """Call the module's ``generate`` with these settings alone."""
    inputs = {
        name: encoding.inputs[name] for name in ("input_ids", "attention_mask") if name in encoding.inputs
    }
    inputs = module_inputs(model.task, inputs, encoding.source_length)
    # Its mask would have to grow with the output; all of it is visible without one.
    inputs.pop("decoder_attention_mask", None)
    start = None if encoding.source_length is None else int(encoding.parts()[1][0, 0])
    with (
        _neutral_settings(model.module, ends, start, forbidden_ids(model)),
        pass_settings(model.module, model.config),
        original_frequencies(model.rotaries),
    ):
        return model.module.generate(**inputs, max_new_tokens=room, **options)


@contextmanager
def _neutral_settings(model: Any, ends: list[int], start: int | None, forbidden: list[int]) -> Iterator[None]:
    """Replace the model's generation config by a plain one, for one call.

    A decoder's first token, where there is an encoder, must be known to transformers, or it would put
    another one before it.

    It belongs to the model that a wrapper wraps; wrappers set attributes of their own in ``generate``, which
    are removed again.
    """
    from transformers import GenerationConfig

    original = model.generation_config
    padding = original.pad_token_id
    plain = GenerationConfig(
        eos_token_id=ends or None,
        bos_token_id=original.bos_token_id,
        decoder_start_token_id=start,
        suppress_tokens=forbidden or None,
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
