"""The options of a chat: a system prompt, tools, and arguments of the chat template."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_understanding.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatOptions:
    """How a text becomes a chat: as the user's message, after a system prompt if there is one.

    Args:
        option: The option that makes the text a chat, for messages.
        system: The system prompt.
        tools: JSON schemas of the functions the model may call.
        template_arguments: Arguments of the chat template.
    """

    option: str = "--chat"
    system: str | None = None
    tools: Sequence[Any] | None = None
    template_arguments: Mapping[str, Any] = field(default_factory=dict)

    def of(self, text: str) -> dict[str, Any]:
        """Return the chat of one text, as the visualizers take it."""
        system = [] if self.system is None else [{"role": "system", "content": self.system}]
        return {
            "messages": [*system, {"role": "user", "content": text}],
            "tools": self.tools,
            "chat_template_kwargs": self.template_arguments,
        }


def parse_chat(
    chat: bool, system: str | None, tools: Path | None, template_arguments: Sequence[str]
) -> ChatOptions | None:
    """Return the options of a chat, or ``None`` if the text is no chat.

    Args:
        chat: Whether ``--chat`` is given; each of the other options implies it.
        system: The system prompt.
        tools: A file with a JSON list of schemas.
        template_arguments: ``NAME=VALUE`` as typed; values are JSON, or else strings.

    Raises:
        InputError: The file cannot be read, or an argument has no name.

    >>> parse_chat(False, None, None, ["enable_thinking=false"]).template_arguments
    {'enable_thinking': False}
    """
    given = {
        "--chat": chat,
        "--system": system is not None,
        "--tools": tools is not None,
        "--template-argument": bool(template_arguments),
    }
    option = next((name for name, is_given in given.items() if is_given), None)
    if option is None:
        return None
    arguments = {}
    for argument in template_arguments:
        name, equals, value = argument.partition("=")
        if not equals or not name.isidentifier():
            raise InputError(
                f"Invalid --template-argument {argument!r}. Expected NAME=VALUE.",
                hint="Pass for example --template-argument enable_thinking=false.",
            )
        arguments[name] = _json_or_text(value)
    return ChatOptions(
        option=option,
        system=system,
        tools=None if tools is None else _read_tools(tools),
        template_arguments=arguments,
    )


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return {"True": True, "False": False, "None": None}.get(value, value)


def _read_tools(path: Path) -> list[Any]:
    try:
        tools = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is not JSON ({error})"
        raise InputError(f"Cannot read {path}: {reason}.", hint="Check the path after --tools.") from error
    if isinstance(tools, dict):
        tools = [tools]
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise InputError(
            f"{path} does not hold a list of JSON schemas.",
            hint='Write for example [{"type": "function", "function": {"name": "…", "parameters": {…}}}].',
        )
    return tools
