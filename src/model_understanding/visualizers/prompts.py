"""A prompt as a language model sees it: alone, with what follows it, and taken out of the two again."""

from dataclasses import replace
from typing import Any

from model_understanding.model.model import Model
from model_understanding.passes.runner import Runner
from model_understanding.text.chat import Messages, is_chat, tokenize_chat
from model_understanding.text.continuation import generated_tokens, joined
from model_understanding.text.encoding import Encoding
from model_understanding.text.tokenization import tokenize
from model_understanding.tokens import Tokens

Prompt = str | Messages


def encoded_prompt(model: Model, prompt: Prompt, continuation: str | None = None) -> Encoding:
    """Return a prompt alone, or with what follows it; a continuation is tokenized by itself.

    Args:
        model: The model of a language model.
        prompt: A text, or chat messages.
        continuation: What follows, where something does.

    Raises:
        InputError: One of them is empty, or both are too long.
    """
    tokens, _ = _tokenized(model.tokenizer, prompt)
    if continuation is None:
        return model.encode(tokens, prompt_length=len(tokens))
    following, _ = tokenize(model.tokenizer, continuation, special_tokens=False)
    return model.encode(joined(tokens, following), prompt_length=len(tokens))


def continued_prompt(
    runner: Runner, prompt: Prompt, continuation: str | None, max_new_tokens: int, **sampling: Any
) -> Encoding:
    """Return prompt and continuation as one encoding; what is generated is never re-tokenized.

    Args:
        runner: A language model's runner.
        prompt: A text, or chat messages.
        continuation: What follows; generated where left out.
        max_new_tokens: Most tokens to generate.
        **sampling: How to generate, as ``Runner.generate`` takes it.

    Raises:
        InputError: One of them is empty, or both are too long.
    """
    model = runner.model
    if continuation is not None:
        return encoded_prompt(model, prompt, continuation)
    tokens, inputs = _tokenized(model.tokenizer, prompt)
    ids = runner.generate(
        tokens, {"input_ids": inputs["input_ids"]}, max_new_tokens=max_new_tokens, **sampling
    )
    following = generated_tokens(model.tokenizer, tokens, ids)
    return model.encode(joined(tokens, following), prompt_length=len(tokens))


def prompt_of(model: Model, encoding: Encoding) -> Encoding:
    """Return the prompt's part of a continued prompt, as an encoding of its own."""
    length = encoding.prompt_length
    assert length is not None
    whole = encoding.tokens[0]
    prompt = replace(whole.select(range(length)), texts=whole.texts[:1])
    return model.encode(prompt, prompt_length=length)


def steps_of(encoding: Encoding) -> tuple[list[int], Tokens]:
    """Return the positions that produced a continuation's tokens, and these tokens."""
    assert encoding.prompt_length is not None
    tokens = encoding.tokens[0]
    steps = range(encoding.prompt_length, len(tokens))
    return [step - 1 for step in steps], tokens.select(steps)


def _tokenized(tokenizer: Any, prompt: Prompt) -> tuple[Tokens, dict[str, list[int]]]:
    if is_chat(prompt):
        return tokenize_chat(tokenizer, prompt)  # pyright: ignore[reportArgumentType]
    return tokenize(tokenizer, prompt)  # pyright: ignore[reportArgumentType]
