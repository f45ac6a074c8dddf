"""Where the sources are in a prompt, and the prompt that is made of documents and a question.

Marks are put around the sources before the chat template renders them, so that they are found wherever it
writes them, whatever other text has the same words.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from model_understanding.answer_map.chat_texts import contents_of, tool_name, with_marks
from model_understanding.answer_map.documents import Document, numbered, records_of
from model_understanding.answer_map.markers import Part, split_by_markers
from model_understanding.errors import InputError
from model_understanding.text.chat import Chat, chat_of, chat_text
from model_understanding.text.tokenization import require_encodable

Spans = tuple[tuple[int, int], ...]
# Characters that Unicode keeps out of texts: a mark is the start, the source's number, a separator.
_START, _NUMBERED, _END = "\ufdd2", "\ufdd3", "\ufdd4"
_MARK = re.compile(f"{_START}(\\d+){_NUMBERED}|{_END}")
_INSTRUCTION, _ASKED, _ANSWER = "Answer the question with the documents.", "Question: ", "Answer:"
BUILT_IN = "built-in prompt"
TEMPLATE = "the chat template's documents"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcedPrompt:
    """A prompt and the sources in it.

    Args:
        prompt: The prompt: a text or a chat.
        text: Its text, as the model reads it.
        names: The names of the sources.
        spans: Where each of them is in the text; a title and a text may be apart.
        layout: How the sources got into the prompt, or where in it they were found.
        missing: Names of documents that the prompt does not contain.
        skipped: Files of folders that were not read, each with the reason in parentheses.
        question: The question about the documents, where it was given by itself.
    """

    prompt: Any
    text: str
    names: tuple[str, ...]
    spans: tuple[Spans, ...]
    layout: str
    missing: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    question: str = ""


def prompt_of_question(tokenizer: Any, question: str, documents: Sequence[Document]) -> SourcedPrompt:
    """Return a prompt of documents and a question.

    Documents go through the chat template where it writes them, which is measured; else into a message, or,
    without a template, into a plain text.

    Args:
        tokenizer: The model's tokenizer.
        question: The question.
        documents: The documents.

    Raises:
        InputError: The question cannot be used.
    """
    hint = "Pass for example question='Who …?'."
    if not isinstance(question, str):
        raise InputError(f"The question must be a text. Got {type(question).__name__}.", hint=hint)
    if not question.strip():
        raise InputError("The question is empty.", hint=hint)
    require_encodable(question, "The question")
    has_template = bool(getattr(tokenizer, "chat_template", None))
    if has_template and (found := _by_template(tokenizer, _user(question), documents)) is not None:
        return found

    def made(mark: Callable[[str, int], str]) -> Any:
        parts = [_INSTRUCTION]
        for number, document in enumerate(documents):
            title = f" ({mark(document.title, number)})" if document.title else ""
            parts.append(f"Document {number + 1}{title}:\n{mark(document.text.strip(), number)}")
        text = "\n\n".join([*parts, f"{_ASKED}{question}"])
        return Chat(_user(text)) if has_template else f"{text}\n\n{_ANSWER}\n"

    return _located(tokenizer, made, documents, BUILT_IN)


def without_headings(outside: str, prompt: SourcedPrompt) -> str:
    """Return what a prompt says outside of its sources, without the built-in prompt's own words.

    “Document 7:” does not say what “7” of an answer does.

    Args:
        outside: The text of the prompt outside of the sources.
        prompt: The prompt.
    """
    question = prompt.question.strip()
    before, begun, rest = outside.partition(_INSTRUCTION)
    _, asked, after = rest.rpartition(f"{_ASKED}{question}")
    if prompt.layout != BUILT_IN or not (begun and question and asked):
        return outside
    return "\n".join([before, question, after.strip().removesuffix(_ANSWER)])


def sources_in_chat(
    tokenizer: Any, messages: Any, documents: Sequence[Document] | None = None
) -> SourcedPrompt:
    """Return a chat and the sources in it: documents, its tools' messages, or parts of one message.

    A tool's message that has several documents, as JSON or separated by markers, is as many sources.

    Args:
        tokenizer: The model's tokenizer.
        messages: The chat.
        documents: The documents; if left out, tools' messages are the sources, else what markers separate.

    Raises:
        InputError: The chat has no sources, or none of the documents.
    """
    chat = chat_of(messages)
    for index, text in contents_of(chat):
        require_encodable(text, f"Message {index} ({chat.messages[index]['role']})")
    if documents is not None:
        return _documents_in_chat(tokenizer, chat, documents)
    return _messages_of_tools(tokenizer, chat) or _parts_of_chat(tokenizer, chat)


def sources_in_text(text: str, documents: Sequence[Document] | None = None) -> SourcedPrompt:
    """Return a text and the sources in it: documents, or parts that markers separate.

    Args:
        text: The prompt.
        documents: The documents, or ``None``.

    Raises:
        InputError: The text has no sources, or none of the documents.
    """
    if documents is None:
        split = split_by_markers(text)
        if split is None:
            raise _no_sources()
        return SourcedPrompt(
            prompt=text,
            text=text,
            names=numbered([part.name for part in split.parts]),
            spans=tuple(((part.start, part.end),) for part in split.parts),
            layout=split.layout,
        )
    places = _search([text], documents)
    if not any(places):
        raise _not_found(documents)
    return SourcedPrompt(
        prompt=text,
        text=text,
        names=tuple(each.name for each, place in zip(documents, places, strict=True) if place),
        spans=tuple(((place[1], place[2]),) for place in places if place),
        layout="documents in the prompt",
        missing=tuple(each.name for each, place in zip(documents, places, strict=True) if not place),
    )


# Marks.


def _marked(text: str, number: int) -> str:
    return f"{_START}{number}{_NUMBERED}{text}{_END}"


def _plain(text: str, number: int) -> str:
    return text


def _unmarked(marked: str) -> tuple[str, dict[int, list[tuple[int, int]]]]:
    """Return a text without its marks, and the spans of each number."""
    parts: list[str] = []
    spans: dict[int, list[tuple[int, int]]] = {}
    length = end = 0
    number = begun = None
    for match in _MARK.finditer(marked):
        parts.append(marked[end : match.start()])
        length, end = length + len(parts[-1]), match.end()
        if match.group(1) is not None:
            number, begun = int(match.group(1)), length
        elif number is not None and begun is not None:
            if length > begun:
                spans.setdefault(number, []).append((begun, length))
            number = begun = None
    return "".join([*parts, marked[end:]]), spans


def _located(
    tokenizer: Any,
    made: Callable[[Callable[[str, int], str]], Any],
    documents: Sequence[Document],
    layout: str,
) -> SourcedPrompt:
    """Return a prompt with the places of its documents.

    Args:
        tokenizer: The tokenizer.
        made: Makes the prompt, given what puts a mark around a part of a document.
        documents: The documents, in the order of their numbers.
        layout: How they got there.
    """
    prompt = made(_plain)
    text = _text(tokenizer, prompt)
    spans: dict[int, list[tuple[int, int]]] = {}
    try:
        unmarked, found = _unmarked(_text(tokenizer, made(_marked)))
        if unmarked == text:
            spans = found
    except InputError:  # a template may reject what begins with a mark
        pass
    if not spans:  # it treats marked texts in another way
        places = _search([text], documents)
        spans = {number: [place[1:]] for number, place in enumerate(places) if place}
    if not spans:
        raise _not_found(documents)
    return SourcedPrompt(
        prompt=prompt,
        text=text,
        names=tuple(document.name for number, document in enumerate(documents) if number in spans),
        spans=tuple(tuple(spans[number]) for number in range(len(documents)) if number in spans),
        layout=layout,
        missing=tuple(document.name for number, document in enumerate(documents) if number not in spans),
    )


def _text(tokenizer: Any, prompt: Any) -> str:
    return prompt if isinstance(prompt, str) else chat_text(tokenizer, prompt)


def _user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


# Documents.


def _by_template(
    tokenizer: Any, messages: Any, documents: Sequence[Document], chat: Chat | None = None
) -> SourcedPrompt | None:
    """Return the prompt with the documents where the chat template writes them, if it writes all of them."""
    chat = chat or Chat(messages)

    def made(mark: Callable[[str, int], str]) -> Any:
        listed = [
            {"title": mark(document.title or document.name, number), "text": mark(document.text, number)}
            for number, document in enumerate(documents)
        ]
        return replace(chat, documents=listed)

    try:
        text = _text(tokenizer, made(_plain))
        if not all(_search([text], documents)):
            return None
        return _located(tokenizer, made, documents, TEMPLATE)
    except InputError:
        return None


def _documents_in_chat(tokenizer: Any, chat: Chat, documents: Sequence[Document]) -> SourcedPrompt:
    texts = [text for _, text in contents_of(chat)]
    places = _search(texts, documents)
    if not any(places):
        found = _by_template(tokenizer, None, documents, chat)
        if found is None:
            raise _not_found(documents)
        return found
    by_text: dict[int, list[tuple[int, int, int]]] = {}
    for number, place in enumerate(places):
        if place:
            by_text.setdefault(place[0], []).append((place[1], place[2], number))
    made = with_marks(chat, by_text)
    return _located(tokenizer, made, documents, "documents in the messages")


def _messages_of_tools(tokenizer: Any, chat: Chat) -> SourcedPrompt | None:
    """Return a chat whose sources are what its tools returned, if they returned anything."""
    messages = chat.messages
    tools = [index for index, message in enumerate(messages) if message["role"] == "tool"]
    documents: list[Document] = []
    by_text: dict[int, list[tuple[int, int, int]]] = {}
    for place, (index, text) in enumerate(contents_of(chat)):
        if index not in tools or not text.strip():
            continue
        name = tool_name(messages, index, tools.index(index) + 1)
        parts = _parts_of_tool(text)
        for part in parts or [Part("", 0, len(text))]:
            by_text.setdefault(place, []).append((part.start, part.end, len(documents)))
            documents.append(Document(f"{name}: {part.name}" if parts else name, text[part.start : part.end]))
    if not documents:
        return None
    names = numbered([document.name for document in documents])
    named = [replace(each, name=name) for each, name in zip(documents, names, strict=True)]
    return _located(tokenizer, with_marks(chat, by_text), named, "messages of tools")


def _parts_of_tool(text: str) -> list[Part]:
    """Return the documents in what a tool returned, if they are several."""
    records = records_of(text)
    if records:
        places = _search([text], records)
        parts = [Part(each.name, *place[1:]) for each, place in zip(records, places, strict=True) if place]
    else:
        split = split_by_markers(text, blank_lines=False)
        parts = list(split.parts) if split else []
    return parts if len(parts) > 1 else []


def _parts_of_chat(tokenizer: Any, chat: Chat) -> SourcedPrompt:
    """Return the parts of the message that has the most characters of those with markers."""
    texts = [text for _, text in contents_of(chat)]
    splits = [split_by_markers(text, blank_lines=False) for text in texts]
    if not any(splits):
        splits = [split_by_markers(text) for text in texts]
    chosen = max(
        (index for index, split in enumerate(splits) if split), key=lambda i: len(texts[i]), default=None
    )
    split = None if chosen is None else splits[chosen]
    if split is None or chosen is None:
        raise _no_sources()
    spans = [(part.start, part.end, number) for number, part in enumerate(split.parts)]
    names = numbered([part.name for part in split.parts])
    documents = [
        Document(name, texts[chosen][part.start : part.end])
        for name, part in zip(names, split.parts, strict=True)
    ]
    return _located(tokenizer, with_marks(chat, {chosen: spans}), documents, split.layout)


def _search(texts: Sequence[str], documents: Sequence[Document]) -> list[tuple[int, int, int] | None]:
    """Return the text and the span in it of each document, ``None`` where there is none.

    Documents are expected in order, and found in any; no two share a character.
    """
    used: list[tuple[int, int, int]] = []
    places: list[tuple[int, int, int] | None] = []
    last = (0, 0)
    for document in documents:
        place = None
        candidates = [
            (index, *span)
            for index, text in enumerate(texts)
            for span in _occurrences(text, document.text)
            if not any(index == other and span[0] < end and span[1] > start for other, start, end in used)
        ]
        if candidates:
            place = next((each for each in candidates if each[:2] >= last), candidates[0])
            used.append(place)
            last = (place[0], place[2])
        places.append(place)
    return places


def _occurrences(text: str, needle: str) -> list[tuple[int, int]]:
    """Return where a text is in another: as it is, escaped by JSON or HTML, or with other blanks."""
    needle = needle.strip()
    if not needle:
        return []
    forms = (
        needle,
        json.dumps(needle, ensure_ascii=False)[1:-1],
        json.dumps(needle)[1:-1],
        escape(needle),
        escape(needle, quote=False),
    )
    for form in dict.fromkeys(forms):
        spans = [(match.start(), match.end()) for match in re.finditer(re.escape(form), text)]
        if spans:
            return spans
    pattern = r"\s+".join(map(re.escape, needle.split()))
    return [(match.start(), match.end()) for match in re.finditer(pattern, text)]


def _no_sources() -> InputError:
    return InputError(
        "No sources were found in the prompt: it has no messages of tools, and nothing separates documents.",
        hint="Put the documents into the prompt, separated by “Document 1:”, “[1]”, <doc> tags or blank "
        "lines; or pass question=… with documents=[…].",
    )


def _not_found(documents: Sequence[Document]) -> InputError:
    names = ", ".join(document.name for document in documents[:5]) + (", …" if len(documents) > 5 else "")
    return InputError(
        f"The prompt contains none of the documents ({names}).",
        hint="Put their texts into the prompt or a message, or pass question=… in place of it.",
    )
