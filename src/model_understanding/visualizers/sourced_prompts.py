"""The prompt of an answer map, from what its caller gives: a question, messages or a text, and documents."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from model_understanding.answer_map.documents import Document, documents_of
from model_understanding.answer_map.prompt import (
    SourcedPrompt,
    prompt_of_question,
    sources_in_chat,
    sources_in_text,
)
from model_understanding.answer_map.source_tokens import require_room
from model_understanding.checks import whole_number
from model_understanding.errors import InputError
from model_understanding.model.model import Model
from model_understanding.text.chat import is_chat
from model_understanding.visualizers.prompts import tokenized

_HINT = "Pass question=… with documents=…, or messages=[…], or a prompt."


def sourced_prompt(
    tokenizer: Any, prompt: Any, question: Any, messages: Any, documents: Any
) -> SourcedPrompt:
    """Return the prompt and where its sources are.

    Args:
        tokenizer: The model's tokenizer.
        prompt: A text, chat messages or token ids.
        question: A question about the documents.
        messages: Chat messages.
        documents: The documents.

    Raises:
        InputError: Not exactly one of prompt, question and messages is given, or no source is found.
    """
    given = {"prompt": prompt, "question": question, "messages": messages}
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        got = " and ".join(names) or "none of them"
        raise InputError(f"Expected a prompt, a question or messages. Got {got}.", hint=_HINT)
    if documents is None:
        return _sourced(tokenizer, prompt, question, messages, None)
    read = documents_of(documents)
    found = _sourced(tokenizer, prompt, question, messages, read.read)
    return replace(found, skipped=read.skipped)


def _sourced(
    tokenizer: Any, prompt: Any, question: Any, messages: Any, documents: Sequence[Document] | None
) -> SourcedPrompt:
    if question is not None:
        if documents is None:
            raise InputError(
                "A question needs documents.", hint="Pass documents=[…], or a prompt that has them in it."
            )
        return replace(prompt_of_question(tokenizer, question, documents), question=question)
    if messages is not None and not is_chat(messages):
        raise InputError(
            f"The messages must be a list of dicts. Got {type(messages).__name__}.",
            hint="Pass for example messages=[{'role': 'user', 'content': '…'}].",
        )
    chat = prompt if messages is None else messages
    if is_chat(chat):
        return sources_in_chat(tokenizer, chat, documents)
    tokens, _ = tokenized(tokenizer, prompt)
    return replace(sources_in_text(tokens.texts[0], documents), prompt=prompt)


def require_room_for_answer(model: Model, prompt: SourcedPrompt, answer: Any, max_new_tokens: int) -> None:
    """Refuse a prompt that is too long with its answer, and say which documents fit.

    Args:
        model: The model.
        prompt: The prompt.
        answer: The answer, as a text or as token ids; ``None`` if it is generated.
        max_new_tokens: Most tokens to generate.

    Raises:
        InputError: The prompt and the answer have more tokens than the model accepts.
    """
    if model.longest_input is None or not (answer is None or len(answer)):
        return
    tokens, _ = tokenized(model.tokenizer, prompt.prompt)
    whole_number(max_new_tokens, "max_new_tokens")
    given = max_new_tokens
    if answer is not None:
        given = len(tokenized(model.tokenizer, answer)[0] if isinstance(answer, str) else answer)
    require_room(model.name, model.longest_input, tokens, prompt, given, 1 if answer is None else given)
