"""The prompt of an answer map, from what its caller gives: a question, messages or a text, and documents."""

from collections.abc import Sequence, Sized
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
from model_understanding.model.generation import end_ids
from model_understanding.model.model import Model
from model_understanding.text.chat import is_chat
from model_understanding.text.encoding import Encoding
from model_understanding.text.ids import ids_in
from model_understanding.text.tokenization import require_encodable
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


def require_answer(answer: Any) -> None:
    """Refuse an answer that is empty, or no answer.

    Args:
        answer: A text or token ids; ``None`` if it is generated.

    Raises:
        InputError: It has no text or no tokens, or is neither.
    """
    if answer is None:
        return
    is_empty = (
        not answer.strip() if isinstance(answer, str) else isinstance(answer, Sized) and not len(answer)
    )
    if is_empty:
        raise InputError("The answer is empty.", hint="Pass an answer, or leave it out to generate one.")
    if isinstance(answer, str):
        require_encodable(answer, "The answer")
    elif ids_in(answer, "answer") is None:
        raise InputError(
            f"The answer must be a string or token ids. Got {type(answer).__name__}.",
            hint="Pass for example answer='It opened in 1931.', or leave it out to generate one.",
        )


def with_cautions_of_answer(model: Model, encoding: Encoding, answer: Any, max_new_tokens: int) -> Encoding:
    """Return a prompt and its answer with warnings that call it so, and one if it was cut.

    Args:
        model: The model.
        encoding: The prompt and the answer.
        answer: The answer that was given; ``None`` for one that the model generated.
        max_new_tokens: Most tokens that it generates.
    """
    cautions = [
        caution.replace("the continuation", "the answer").replace("The continuation", "The answer")
        for caution in encoding.cautions
    ]
    assert encoding.prompt_length is not None
    ids = encoding.tokens[0].ids[encoding.prompt_length :].tolist()
    if answer is None and ids[-1] not in end_ids(model.module, model.output_tokenizer):
        count = f"{len(ids)} token{'s' * (len(ids) != 1)}"
        cautions.append(
            f"The answer was cut after {count}: raise max_new_tokens (--max-new-tokens)."
            if len(ids) >= max_new_tokens
            else f"The answer was cut after {count}, at the {model.longest_input} tokens that {model.name} "
            "accepts at most: pass fewer or shorter documents."
        )
    return replace(encoding, cautions=tuple(cautions))


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
    if model.longest_input is None:
        return
    tokens, _ = tokenized(model.tokenizer, prompt.prompt)
    whole_number(max_new_tokens, "max_new_tokens")
    given = max_new_tokens
    if answer is not None:
        ids = ids_in(answer, "answer")
        given = len(tokenized(model.tokenizer, answer)[0] if ids is None else ids)
    require_room(model.name, model.longest_input, tokens, prompt, given, 1 if answer is None else given)
