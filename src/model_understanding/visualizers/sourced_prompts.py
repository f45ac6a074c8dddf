"""The prompt of an answer map, from what its caller gives: a question, messages or a text, and documents."""

from dataclasses import replace
from typing import Any

from model_understanding.answer_map.prompt import (
    SourcedPrompt,
    prompt_of_question,
    sources_in_chat,
    sources_in_text,
)
from model_understanding.errors import InputError
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
    if question is not None:
        if documents is None:
            raise InputError(
                "A question needs documents.", hint="Pass documents=[…], or a prompt that has them in it."
            )
        return prompt_of_question(tokenizer, question, documents)
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
