"""Chats, rendered by the tokenizer's own template; tokens of the template are special."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from model_understanding.errors import InputError
from model_understanding.text.chat_contents import content_spans, marked_fields
from model_understanding.text.tokenization import tokenize
from model_understanding.tokens import Tokens

Messages = Sequence[Mapping[str, Any]]
_FIELDS = ("messages", "tools", "documents", "chat_template_kwargs")
# Arguments of apply_chat_template that say how to tokenize, not what to render.
_RESERVED = (
    "tokenize",
    "return_dict",
    "return_tensors",
    "return_assistant_tokens_mask",
    "padding",
    "truncation",
)
_OF_RENDERING = ("chat_template", "add_generation_prompt", "continue_final_message")
_EXAMPLE = "Pass for example [{'role': 'user', 'content': '…'}]."


@dataclass(frozen=True, slots=True)
class Chat:
    """Chat messages with what the chat template takes besides them.

    A list of messages needs no ``Chat``. A last message of the assistant is continued, as the text-generation
    pipeline of transformers does; after any other message the assistant's turn begins.

    Args:
        messages: ``[{"role": …, "content": …}]``, with ``tool_calls`` and tool messages where there are any.
        tools: Functions the model may call: JSON schemas, or Python functions with type hints and docstrings.
        documents: Documents for retrieval-augmented generation, as ``[{"title": …, "text": …}]``.
        chat_template_kwargs: Arguments of the template, such as ``{"enable_thinking": False}``.

    >>> Chat([{"role": "user", "content": "Weather?"}], chat_template_kwargs={"enable_thinking": False}).tools
    """

    messages: Messages
    tools: Sequence[Mapping[str, Any] | Callable[..., Any]] | None = None
    documents: Sequence[Mapping[str, Any]] | None = None
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict)


def is_chat(value: object) -> bool:
    """Return whether a value is a chat: messages, a ``Chat``, or a mapping with ``messages``."""
    return isinstance(value, Chat | Mapping) or (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) > 0
        and all(isinstance(message, Mapping) and "messages" not in message for message in value)
    )


def chat_of(value: Any) -> Chat:
    """Return a chat as a ``Chat``.

    Args:
        value: Anything for which ``is_chat`` holds.

    Raises:
        InputError: A mapping has no messages, or keys that mean nothing; a message cannot be rendered.
    """
    if isinstance(value, Mapping):
        unknown = [str(key) for key in value if key not in _FIELDS]
        if "messages" not in value or unknown:
            raise InputError(
                f"A chat as a dict needs 'messages'. Got the keys {sorted(map(str, value))}; allowed: "
                f"{', '.join(_FIELDS)}.",
                hint="Pass a list of messages, or {'messages': […], 'tools': […]}.",
            )
        value = Chat(**{key: item for key, item in value.items() if item is not None})
    chat = value if isinstance(value, Chat) else Chat(value)
    if not isinstance(chat.messages, Sequence) or isinstance(chat.messages, str) or not chat.messages:
        raise InputError(f"A chat needs a list of messages. Got {chat.messages!r:.60}.", hint=_EXAMPLE)
    for message in chat.messages:
        _check_message(message)
    reserved = [name for name in _RESERVED if name in chat.chat_template_kwargs]
    if reserved:
        raise InputError(
            f"{reserved[0]!r} is no argument of a chat template.",
            hint="Leave it out: the chat is rendered to text and then tokenized.",
        )
    return chat


def chat_text(tokenizer: Any, value: Any) -> str:
    """Return a chat as the tokenizer's chat template renders it.

    Args:
        tokenizer: A transformers tokenizer with a chat template.
        value: Messages, a ``Chat``, or a mapping with ``messages``.

    Raises:
        InputError: A message cannot be rendered, or the template rejects them.
    """
    return _rendered(tokenizer, chat_of(value))[0]


def tokenize_chat(tokenizer: Any, value: Any) -> tuple[Tokens, tuple[str, ...]]:
    """Render a chat with the model's chat template and tokenize it.

    Args:
        tokenizer: A transformers tokenizer with a chat template.
        value: Messages, a ``Chat``, or a mapping with ``messages``.

    Returns:
        The tokens, with those of the template marked special, and warnings about what it leaves out.

    Raises:
        InputError: The tokenizer has no template, a message cannot be rendered, or the template rejects them.
    """
    chat = chat_of(value)
    if not getattr(tokenizer, "chat_template", None):
        raise InputError(
            f"{type(tokenizer).__name__} has no chat template.", hint="Pass the prompt as a single string."
        )
    text, chat = _rendered(tokenizer, chat)
    tokens, _ = tokenize(tokenizer, text, special_tokens=False)
    marked = replace(chat, **marked_fields(chat.messages, chat.tools, chat.documents))
    spans = content_spans(text, chat.messages, lambda: _apply(tokenizer, marked))
    special = tokens.special | ~_overlap(tokens, spans)
    tokens = replace(tokens, special=special, words=np.where(special, -1, tokens.words))
    return tokens, _left_out(tokenizer, text, chat)


def _check_message(message: object) -> None:
    if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
        got = f"the keys {sorted(map(str, message))}" if isinstance(message, Mapping) else f"{message!r:.60}"
        raise InputError(f"A chat message needs a 'role'. Got {got}.", hint=_EXAMPLE)
    content = message.get("content")
    if all(value is None for key, value in message.items() if key != "role"):
        raise InputError(
            f"The chat message of role {message['role']!r} has no content.",
            hint="Pass its text as 'content'; an assistant's message may have 'tool_calls' instead.",
        )
    if content is not None and not isinstance(content, str | Mapping | list | tuple):
        raise InputError(
            "The content of a chat message must be a string or a list of parts. "
            f"Got {type(content).__name__}.",
            hint=_EXAMPLE,
        )
    for part in content if isinstance(content, list | tuple) else ():
        if isinstance(part, Mapping) and "type" in part and part["type"] != "text" and "text" not in part:
            raise InputError(
                f"A part of a message's content has the type {part['type']!r}; only text can be explained.",
                hint="Pass parts such as {'type': 'text', 'text': '…'}.",
            )


# Rendering.


def _rendered(tokenizer: Any, chat: Chat) -> tuple[str, Chat]:
    """Return the rendered text, and the chat whose contents it holds.

    A template that takes only strings writes a list of parts as Python prints it, or fails; for such a
    template the texts of the parts are joined.
    """
    chat = replace(chat, tools=_schemas(chat.tools), messages=[dict(message) for message in chat.messages])
    parts = [
        message["content"] for message in chat.messages if isinstance(message.get("content"), list | tuple)
    ]
    try:
        text = _apply(tokenizer, chat)
        takes_parts = not any(str(part) in text for part in parts)
    except Exception as error:  # a template may raise exceptions of any type
        if not parts:
            raise _rejected(error, chat) from error
        takes_parts, text = False, ""
    if takes_parts:
        return text, chat
    chat = replace(chat, messages=[_with_joined_parts(message) for message in chat.messages])
    try:
        return _apply(tokenizer, chat), chat
    except Exception as error:
        raise _rejected(error, chat) from error


def _apply(tokenizer: Any, chat: Chat) -> str:
    return tokenizer.apply_chat_template(
        list(chat.messages),
        tools=None if chat.tools is None else list(chat.tools),
        documents=None if chat.documents is None else list(chat.documents),
        tokenize=False,
        **_ending(chat),
        **chat.chat_template_kwargs,
    )


def _ending(chat: Chat) -> dict[str, bool]:
    """Return how the prompt ends: within the assistant's last message, or where its turn begins.

    A message that calls tools is complete: nothing is continued, and the turn is not the assistant's.
    """
    if {"add_generation_prompt", "continue_final_message"} & chat.chat_template_kwargs.keys():
        return {}
    last = chat.messages[-1]
    if last["role"] != "assistant":
        return {"add_generation_prompt": True}
    is_begun = last.get("content") is not None and not last.get("tool_calls")
    return {"continue_final_message": is_begun}


def _schemas(tools: Sequence[Any] | None) -> list[Any] | None:
    """Return tools as JSON schemas; Python functions become the schemas that transformers makes of them."""
    if tools is None:
        return None
    from transformers.utils.chat_template_utils import get_json_schema

    schemas = []
    for tool in tools:
        try:
            schemas.append(get_json_schema(tool) if callable(tool) else dict(tool))
        except (
            Exception
        ) as error:  # transformers raises several types for a function without hints or docstring
            raise InputError(
                f"A tool cannot be described to the model: {str(error).rstrip('.')}.",
                hint="Pass its JSON schema, or a function with type hints and a docstring.",
            ) from error
    return schemas


def _with_joined_parts(message: Mapping[str, Any]) -> Mapping[str, Any]:
    content = message.get("content")
    if not isinstance(content, list | tuple):
        return message
    texts = [part if isinstance(part, str) else str(part.get("text", "")) for part in content]
    return {**message, "content": "\n".join(texts)}


def _rejected(error: Exception, chat: Chat) -> InputError:
    roles = ", ".join(str(message["role"]) for message in chat.messages[:8])
    more = ", …" if len(chat.messages) > 8 else ""
    return InputError(
        f"The chat template rejects these messages: {str(error).splitlines()[0].rstrip('.')}.",
        hint=f"Use the roles and the order that this model's template expects (got {roles}{more}), or pass "
        "the rendered prompt as text.",
    )


def _left_out(tokenizer: Any, text: str, chat: Chat) -> tuple[str, ...]:
    """Return warnings about what the template does not write, which the model does not read."""
    calls = [call for message in chat.messages for call in message.get("tool_calls") or ()]
    parts = {
        f"message {number} ({message['role']})": [message.get("content")]
        for number, message in enumerate(chat.messages)
    }
    parts["the tool calls"] = [_function_name(call) for call in calls]
    parts["the tools"] = [_function_name(tool) for tool in chat.tools or ()]
    parts["the documents"] = [document.get("text") for document in chat.documents or ()]
    missing = []
    for what, contents in parts.items():
        written = [content for content in contents if isinstance(content, str) and content.strip()]
        if written and not any(_occurs(content, text) for content in written):
            missing.append(what)
    cautions = []
    if missing:
        cautions.append(f"Left out by the chat template, so not read by the model: {', '.join(missing)}.")
    template = str(tokenizer.chat_template)
    unread = [name for name in chat.chat_template_kwargs if name not in template]
    unread = [repr(name) for name in unread if name not in _OF_RENDERING]
    if unread:
        cautions.append(f"Without effect, because the chat template does not use it: {', '.join(unread)}.")
    return tuple(cautions)


def _function_name(item: Any) -> Any:
    """Return the name of a tool or of the function that a call calls."""
    function = item.get("function", item) if isinstance(item, Mapping) else None
    return function.get("name") if isinstance(function, Mapping) else None


def _occurs(content: str, text: str) -> bool:
    """Return whether a line of a content is in the text, in upper or lower case."""
    lines = [line.strip().casefold() for line in content.splitlines()]
    return any(line in text.casefold() for line in lines if line)


def _overlap(tokens: Tokens, spans: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return which tokens overlap a span."""
    token_starts, token_ends = tokens.offsets.T
    overlap = np.zeros(len(tokens), dtype=bool)
    for start, end in spans:
        overlap |= (token_starts < end) & (token_ends > start)
    return overlap & (tokens.segments >= 0)
