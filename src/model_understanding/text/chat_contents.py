"""Where the contents of chat messages are in the rendered text; the rest is the template's."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Message = Mapping[str, Any]
_REASONING = ("reasoning_content", "reasoning", "thinking")
# Characters that Unicode keeps out of texts, and that mean nothing to any template.
_START, _END = "\ufdd0", "\ufdd1"
_MARK = re.compile(f"[{_START}{_END}]")
_MARKED = re.compile(f"{_START}([^{_START}{_END}]*){_END}")


def marked_fields(
    messages: Sequence[Message], tools: Sequence[Any] | None, documents: Sequence[Any] | None
) -> dict[str, Any]:
    """Return messages, tools and documents with a mark before and after each string that is the user's."""
    return {
        "messages": [_marked_message(message) for message in messages],
        "tools": _marked(tools),
        "documents": _marked(documents),
    }


def content_spans(
    text: str, messages: Sequence[Message], render_marked: Callable[[], str]
) -> list[tuple[int, int]]:
    """Return the spans of the contents in the rendered text; a template may trim, repeat or omit them.

    What is outside the marks of the marked chat belongs to the template, whatever words the contents contain.

    Args:
        text: The rendered text.
        messages: The messages.
        render_marked: Renders the chat with ``marked_fields``.

    Returns:
        Start and end of each content.
    """
    try:
        marked = render_marked()
    except Exception:  # a template may reject a content that starts with a mark
        return _spans_in_order(text, messages)
    if marked.replace(_START, "").replace(_END, "") == text:
        return list(_marked_spans(marked, messages))
    pattern = "".join(
        f"({_trimmed_or_not(part)})" if i % 2 else re.escape(part)
        for i, part in enumerate(_MARKED.split(marked))
    )
    match = re.fullmatch(pattern, text)
    return _spans_in_order(text, messages) if match is None else list(match.regs[1:])


def _marked_message(message: Mapping[str, Any]) -> Mapping[str, Any]:
    marked = dict(message)
    for name in ("content", *_REASONING, "name"):
        if name in marked:
            marked[name] = _marked(marked[name])
    if isinstance(marked.get("tool_calls"), list | tuple):
        marked["tool_calls"] = [_marked_call(call) for call in marked["tool_calls"]]
    return marked


def _marked_call(call: Any) -> Any:
    """Return a tool call with its name and arguments marked."""
    if not isinstance(call, Mapping):
        return call
    if "function" in call:
        return {**call, "function": _marked_call(call["function"])}
    return {
        name: _mark(item) if name == "name" else _marked_arguments(item) if name == "arguments" else item
        for name, item in call.items()
    }


def _marked(value: Any) -> Any:
    """Return a value with a mark around each string in it.

    Names are a format's own (``text``, ``description``), apart from those of a schema's properties, which its
    ``required`` repeats. The values of ``type`` are not marked, since templates compare them.
    """
    if isinstance(value, Mapping):
        return {name: _marked_item(name, item) for name, item in value.items()}
    return [_marked(item) for item in value] if isinstance(value, list | tuple) else _mark(value)


def _marked_item(name: Any, item: Any) -> Any:
    if name == "properties" and isinstance(item, Mapping):
        return {_mark(own): _marked(schema) for own, schema in item.items()}
    return item if name == "type" else _marked(item)


def _marked_arguments(value: Any) -> Any:
    """Return the arguments of a call with a mark around each string in them, names included."""
    if isinstance(value, Mapping):
        return {_mark(name): _marked_arguments(item) for name, item in value.items()}
    return [_marked_arguments(item) for item in value] if isinstance(value, list | tuple) else _mark(value)


def _mark(value: Any) -> Any:
    return f"{_START}{value}{_END}" if isinstance(value, str) and value.strip() else value


def _marked_spans(marked: str, messages: Sequence[Message]) -> Iterator[tuple[int, int]]:
    """Yield the spans of what is marked, in the text without marks.

    Numbers and other values in the arguments of a call cannot carry a mark; they follow their name.
    """
    contents = set(_marked_strings([_marked_message(message) for message in messages]))
    end = 0
    for match in _MARK.finditer(marked):
        position = _unmarked(marked, match.start())
        if match.group() == _START and (paired := _MARKED.match(marked, match.start())):
            end = _unmarked(marked, paired.end())
            yield position, end
        elif match.group() == _START:  # the template drops the end of a content
            following = marked[match.end() :]
            yield position, position + max((_common_prefix(following, one) for one in contents), default=0)
        elif position > end:  # the template drops its beginning
            before = marked[: match.start()][::-1]
            yield position - max((_common_prefix(before, one[::-1]) for one in contents), default=0), position
    for name, value in _other_arguments(messages):
        forms = dict.fromkeys([json.dumps(value, default=str), str(value)])
        written = "|".join(map(re.escape, forms))
        between = rf"{re.escape(str(_mark(name)))}[^\w{_START}{_END}]{{0,12}}?"
        for match in re.finditer(f"{between}({written})(?!\\w)", marked):
            yield _unmarked(marked, match.start(1)), _unmarked(marked, match.end(1))


def _common_prefix(text: str, content: str) -> int:
    """Return how many characters two texts begin with in common."""
    return next(
        (i for i, (one, other) in enumerate(zip(text, content, strict=False)) if one != other),
        min(len(text), len(content)),
    )


def _unmarked(marked: str, position: int) -> int:
    """Return a position of the marked text in the text without marks."""
    return position - marked.count(_START, 0, position) - marked.count(_END, 0, position)


def _other_arguments(messages: Sequence[Message]) -> Iterator[tuple[str, Any]]:
    """Yield the arguments of all calls that hold no string: numbers, booleans, ``None``, lists of them."""
    for message in messages:
        for call in message.get("tool_calls") or ():
            function = call.get("function", call) if isinstance(call, Mapping) else {}
            yield from _without_strings(function.get("arguments"))


def _without_strings(arguments: Any) -> Iterator[tuple[str, Any]]:
    for name, value in arguments.items() if isinstance(arguments, Mapping) else ():
        if isinstance(value, Mapping):
            yield from _without_strings(value)
        elif _marked_arguments(value) == value:
            yield str(name), value


def _trimmed_or_not(content: str) -> str:
    """Return a pattern for a content, whether the template trims it or not."""
    variants = dict.fromkeys([content, content.rstrip(), content.lstrip(), content.strip()])
    return "|".join(re.escape(variant) for variant in variants)


def _spans_in_order(text: str, messages: Sequence[Message]) -> list[tuple[int, int]]:
    """Search for the contents one after the other, for a template that does not treat them all alike."""
    spans, end = [], 0
    for message in messages:
        for content in map(str.strip, _marked_strings(_marked_message(message))):
            start = text.find(content, end)
            if start >= 0:
                end = start + len(content)
                spans.append((start, end))
    return spans


def _marked_strings(value: Any) -> Iterator[str]:
    """Yield each marked string in a value, without its mark."""
    if isinstance(value, str):
        yield from _MARKED.findall(value)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _marked_strings(name)
            yield from _marked_strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _marked_strings(item)
