"""The texts in a chat's messages, wherever their contents have them, and the names of its tools."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from model_understanding.text.chat import Chat


def contents_of(chat: Chat) -> list[tuple[int, str]]:
    """Return the texts of all contents with the index of their message, as ``with_contents`` visits them.

    Args:
        chat: The chat.
    """
    texts: list[tuple[int, str]] = []

    def note(index: int, text: str) -> str:
        texts.append((index, text))
        return text

    with_contents(chat, note)
    return texts


def with_marks(
    chat: Chat, by_text: Mapping[int, Sequence[tuple[int, int, int]]]
) -> Callable[[Callable[[str, int], str]], Any]:
    """Return what makes a chat with marks around spans of its texts, given what puts a mark around a text.

    Args:
        chat: The chat.
        by_text: For texts, by their place among ``contents_of``, spans with the number of each.
    """

    def made(mark: Callable[[str, int], str]) -> Any:
        places = count()

        def change(_: int, text: str) -> str:
            for start, end, number in sorted(by_text.get(next(places), ()), reverse=True):
                text = text[:start] + mark(text[start:end], number) + text[end:]
            return text

        return with_contents(chat, change)

    return made


def with_contents(chat: Chat, change: Callable[[int, str], str]) -> Chat:
    """Return a chat with the texts of its contents changed.

    Args:
        chat: The chat.
        change: Returns the new text, from the message's index and the text.
    """

    def changed(value: Any, index: int) -> Any:
        if isinstance(value, str):
            return change(index, value)
        if isinstance(value, Mapping):
            return {name: item if name == "type" else changed(item, index) for name, item in value.items()}
        return [changed(item, index) for item in value] if isinstance(value, list | tuple) else value

    messages = [
        {**message, "content": changed(message["content"], index)} if "content" in message else message
        for index, message in enumerate(chat.messages)
    ]
    return replace(chat, messages=messages)


def tool_name(messages: Sequence[Mapping[str, Any]], index: int, number: int) -> str:
    """Return the name of the tool whose message it is, by itself or in the call that it answers.

    Args:
        messages: The messages of a chat.
        index: The index of the tool's message.
        number: Its number among the messages of tools, for one whose tool has no name.
    """
    message = messages[index]
    if isinstance(message.get("name"), str) and message["name"]:
        return message["name"]
    answered = message.get("tool_call_id")
    for other in messages[:index]:
        for call in other.get("tool_calls") or ():
            if answered is not None and isinstance(call, Mapping) and call.get("id") == answered:
                function = call.get("function", call)
                if isinstance(function, Mapping) and isinstance(function.get("name"), str):
                    return function["name"]
    return f"tool message {number}"
