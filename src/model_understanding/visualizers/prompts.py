"""A prompt as a language model reads it: alone, with its continuation, and separated from it again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from model_understanding.errors import InputError
from model_understanding.model.model import Model
from model_understanding.passes.runner import Runner
from model_understanding.text.chat import Chat, Messages, is_chat, tokenize_chat
from model_understanding.text.continuation import continuation_of, joined, tokens_of_ids
from model_understanding.text.encoding import Encoding
from model_understanding.text.ids import ids_in
from model_understanding.text.tokenization import tokenize
from model_understanding.text.words import Words, words_or_text
from model_understanding.tokens import Tokens

Ids = Sequence[int]  # or a one-dimensional array or tensor of whole numbers
Prompt = str | Messages | Chat | Mapping[str, Any] | Words | Ids
Prompts = (
    Iterable[str] | Iterable[Messages] | Iterable[Chat] | Iterable[Words] | Iterable[Ids] | Iterable[Prompt]
)
Continuation = str | Ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How a continuation is generated, as ``GenerativeModelVisualizer.generate`` takes it.

    Args:
        seed: Seed to sample with; ``None`` takes the likeliest token at each step.
        temperature: Temperature of sampling.
        top_p: Share of the probability to sample from.
        top_k: How many of the likeliest tokens to sample from; 0 for all.
    """

    seed: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0


def encoded_prompt(model: Model, prompt: Prompt, continuation: Continuation | None = None) -> Encoding:
    """Return a prompt alone, or with its continuation.

    Args:
        model: A language model.
        prompt: A text, chat messages, words or token ids.
        continuation: What follows the prompt, if anything does: a text, which is tokenized together with the
            prompt, or token ids.

    Raises:
        InputError: One of them is empty, or both together are too long.
    """
    tokens, cautions = tokenized(model.tokenizer, prompt)
    if continuation is None:
        return model.encode(tokens, prompt_length=len(tokens), cautions=cautions)
    ids = ids_in(continuation, "continuation")
    if ids is not None:
        following = tokens_of_ids(model.tokenizer, ids, tokens)
    elif not isinstance(continuation, str):
        raise InputError(
            f"A continuation must be a string or token ids. Got {type(continuation).__name__}.",
            hint="Pass for example ' Paris.' or [3681, 29889].",
        )
    else:
        following, boundary = continuation_of(model.tokenizer, tokens, continuation)
        cautions = (*cautions, *boundary)
    return model.encode(joined(tokens, following), prompt_length=len(tokens), cautions=cautions)


def continued_prompt(
    runner: Runner,
    prompt: Prompt,
    continuation: Continuation | None,
    max_new_tokens: int,
    sampling: Sampling | None = None,
) -> Encoding:
    """Return prompt and continuation as one encoding; generated tokens are never tokenized again.

    Args:
        runner: A language model's runner.
        prompt: A text, chat messages, words or token ids.
        continuation: What follows the prompt, as ``encoded_prompt`` takes it; generated if left out.
        max_new_tokens: Most tokens to generate.
        sampling: How to generate; greedily if left out.

    Raises:
        InputError: One of them is empty, or both together are too long.
    """
    model = runner.model
    if continuation is not None:
        return encoded_prompt(model, prompt, continuation)
    tokens, cautions = tokenized(model.tokenizer, prompt)
    ids = runner.generate(
        model.encode(tokens), max_new_tokens=max_new_tokens, **asdict(sampling or Sampling())
    )
    following = tokens_of_ids(model.tokenizer, ids, tokens)
    return model.encode(joined(tokens, following), prompt_length=len(tokens), cautions=cautions)


def prompt_of(model: Model, encoding: Encoding) -> Encoding:
    """Return the prompt's part of a continued prompt, as an encoding of its own."""
    length = encoding.prompt_length
    assert length is not None
    whole, source_length = encoding.tokens[0], encoding.source_length
    texts = whole.texts[:1] if source_length is None else (whole.texts[0], "")
    prompt = replace(whole.select(range(length)), texts=texts)
    return model.encode(prompt, prompt_length=length, source_length=source_length)


def steps_of(encoding: Encoding) -> tuple[list[int], Tokens]:
    """Return the positions that produced a continuation's tokens, and these tokens."""
    assert encoding.prompt_length is not None
    tokens = encoding.tokens[0]
    steps = range(encoding.prompt_length, len(tokens))
    return [step - 1 for step in steps], tokens.select(steps)


def continuation_for_each(
    continuation: Continuation | Sequence[Continuation] | None, prompts: Sequence[Prompt], *, is_list: bool
) -> list[Continuation | None]:
    """Return a continuation for each prompt: the same for all, or one of a list for each.

    Args:
        continuation: One continuation, a list of them, or ``None`` to generate.
        prompts: The prompts.
        is_list: Whether the caller gave a list of prompts.

    Raises:
        InputError: There are more or fewer continuations than prompts.
    """
    if continuation is None or isinstance(continuation, str) or ids_in(continuation, "continuation"):
        return [continuation] * len(prompts)  # pyright: ignore[reportReturnType]
    if not isinstance(continuation, Sequence | np.ndarray):
        raise InputError(
            f"A continuation must be a string or token ids. Got {type(continuation).__name__}.",
            hint="Pass for example ' Paris.' or [3681, 29889].",
        )
    if not is_list or len(continuation) != len(prompts):
        raise InputError(
            f"Got {len(continuation)} continuations for {len(prompts)} prompt{'s' * (len(prompts) != 1)}.",
            hint="Pass a list of prompts and as many continuations, or one continuation for all.",
        )
    return list(continuation)  # pyright: ignore[reportReturnType]


def tokenized(tokenizer: Any, prompt: Prompt) -> tuple[Tokens, tuple[str, ...]]:
    """Return a prompt's tokens, and warnings about how it was read."""
    if is_chat(prompt):
        return tokenize_chat(tokenizer, prompt)
    ids = ids_in(prompt, "prompt")
    if ids is not None:
        return tokens_of_ids(tokenizer, ids), ()
    return tokenize(tokenizer, words_or_text(prompt), allowed="a string, chat messages or token ids")[0], ()  # pyright: ignore[reportArgumentType]
