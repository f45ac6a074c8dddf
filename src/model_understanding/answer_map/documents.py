"""Documents as callers have them: texts, dicts, files, and objects of retrieval libraries, none imported."""

import codecs
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO, TextIOWrapper
from itertools import count
from pathlib import Path, PurePath
from typing import Any

from model_understanding.errors import InputError
from model_understanding.text.tokenization import require_encodable

_TEXTS = ("text", "content", "page_content", "body", "snippet")
_NAMES = ("title", "name", "file_name", "source", "file_path", "url", "id")
_METADATA = ("metadata", "meta", "extra_info")
_ALLOWED = (
    "a string, a dict with 'text' or 'content', a pathlib.Path, or a document of LangChain, LlamaIndex or "
    "Haystack"
)
_LONGEST_PATH = 300
_LONGEST_LIST = 200  # characters of the fields that an error names
_NOT_UTF8 = "not UTF-8 text"
_MARKS = (  # UTF-32's little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MOST_LISTED = 5  # files that an error names
_HINT = "Pass for example documents=['…', {'title': '…', 'text': '…'}, pathlib.Path('notes.txt')]."


@dataclass(frozen=True, slots=True)
class Document:
    """A document.

    Args:
        name: What it is called in results.
        text: Its text.
        title: Its title in a prompt; empty if it has none.
    """

    name: str
    text: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Documents:
    """The documents that a caller passed.

    Args:
        read: The documents, each with a name of its own.
        skipped: Files of folders that were not read, each with the reason in parentheses.
    """

    read: tuple[Document, ...]
    skipped: tuple[str, ...] = ()


def documents_of(given: Any) -> Documents:
    """Return the documents that a caller passed.

    Args:
        given: A list of documents, a dict of texts by name, a data frame, or a single document; a folder
            stands for its text files.

    Raises:
        InputError: There is none, one is of another type or has no text, or a file cannot be read.
    """
    documents: list[Document] = []
    skipped: list[str] = []
    for each in _several(given):
        documents += _read(each, len(documents) + 1, skipped)
    if not documents:
        raise InputError("No document is given.", hint=_HINT)
    names = numbered([document.name for document in documents])
    named = (replace(each, name=name) for each, name in zip(documents, names, strict=True))
    return Documents(tuple(named), tuple(skipped))


def _several(given: Any) -> Iterable[Any]:
    """Return what was given as one document after another."""
    if hasattr(given, "columns") and callable(getattr(given, "to_dict", None)):
        return given.to_dict("records")  # a data frame, whose iteration yields its columns
    # Documents of LangChain and LlamaIndex can be iterated, too: over their fields.
    if isinstance(given, list | tuple):
        return given
    if isinstance(given, PurePath) or _text_of(given) is not None:
        return [given]
    if isinstance(given, Mapping):
        is_named = bool(given) and all(isinstance(text, str) for text in given.values())
        return [{"title": str(name), "text": text} for name, text in given.items()] if is_named else [given]
    return given if isinstance(given, Iterable) and not isinstance(given, bytes) else [given]


def _read(given: Any, number: int, skipped: list[str]) -> list[Document]:
    if isinstance(given, PurePath):
        return _of_path(Path(given), skipped)
    if isinstance(given, tuple) and given and not isinstance(given[0], str):
        return _read(given[0], number, skipped)  # a document and its score, as vector stores return them
    text, title = _text_of(given), _short(_title_of(given))
    if text is None and isinstance(given, Mapping):
        fields = ", ".join(map(str, given))
        raise InputError(
            f"Document {number} has no text: none of {', '.join(_TEXTS)} is a string. "
            + (f"It has {fields[:_LONGEST_LIST]}." if fields else "It is empty."),
            hint="Leave it out, or pass its text as 'text'.",
        )
    if text is None:
        raise InputError(f"Document {number} must be {_ALLOWED}. Got {type(given).__name__}.", hint=_HINT)
    if not text.strip():
        raise InputError(f"Document {number} has no text.", hint="Leave it out, or pass its text.")
    require_encodable(text, f"Document {number}")
    require_encodable(title, f"The title of document {number}")
    if isinstance(given, str) and _is_path(given):
        raise InputError(
            f"Document {number} is the path {given!r}, and a string is taken as the document itself.",
            hint=f"Pass pathlib.Path({given!r}) to read it.",
        )
    return [Document(title or f"document {number}", text, title)]


def records_of(text: str) -> tuple[Document, ...]:
    """Return the documents in a text that is JSON: a list of records, by itself or in an object.

    Args:
        text: A text, of any kind.

    >>> records_of('{"results": [{"title": "a", "text": "x"}, {"text": "y"}]}')
    (Document(name='a', text='x', title=''), Document(name='2', text='y', title=''))
    """
    if not text.lstrip().startswith(("[", "{")):
        return ()
    try:
        parsed = json.loads(text)
    except ValueError:
        return ()
    listed = [parsed, *parsed.values()] if isinstance(parsed, dict) else [parsed]
    for records in listed:
        texts = [_text_of(each) for each in records] if isinstance(records, list) else []
        if any(each and each.strip() for each in texts):
            return tuple(
                Document(_short(_title_of(record)) or str(number), own)
                for number, (record, own) in enumerate(zip(records, texts, strict=True), start=1)
                if own and own.strip()
            )
    return ()


def _is_path(text: str) -> bool:
    """Return whether a string names a file or folder, which no document does."""
    if len(text) > _LONGEST_PATH or "\n" in text or not any(mark in text for mark in "/\\."):
        return False
    try:
        return Path(text).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def _text_of(given: Any) -> str | None:
    if isinstance(given, str):
        return given
    node = _member(given, "node")
    if node is not None and _text_of(node) is not None:  # LlamaIndex: a node and its score
        return _text_of(node)
    for name in _TEXTS:
        value = _member(given, name)
        if isinstance(value, str):
            return value
    get_content = getattr(given, "get_content", None)
    value = get_content() if callable(get_content) else None
    return value if isinstance(value, str) else None


def _title_of(given: Any) -> str:
    """Return what a document is called, by itself or in its metadata; empty if nothing says it."""
    if isinstance(given, str):
        return ""
    node = _member(given, "node")
    holders = [given, *(_member(given, name) for name in _METADATA)]
    holders = [holder for holder in holders if holder is not None]
    values = (
        _member(holder, name)
        for name in _NAMES
        for holder in holders
        if name != "id" or isinstance(holder, Mapping)  # objects have random ids
    )
    title = next((str(value) for value in values if isinstance(value, str | PurePath) and str(value)), "")
    return title or ("" if node is None else _title_of(node))


def _member(given: Any, name: str) -> Any:
    return given.get(name) if isinstance(given, Mapping) else getattr(given, name, None)


def _short(title: str) -> str:
    """Return the last part of a path; another title stays as it is."""
    is_path = ("/" in title or "\\" in title) and " " not in title.strip()
    return title.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] if is_path else title


def _of_path(path: Path, skipped: list[str]) -> list[Document]:
    path = path.expanduser()
    if not path.is_dir():
        return [Document(path.name, _file_text(path), path.name)]
    files = sorted(
        file
        for file in path.rglob("*")
        if not file.is_dir() and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    documents, problems = [], []
    for file in files:
        name = file.relative_to(path).as_posix()
        text, problem = _text_in_folder(file)
        if problem:
            problems.append(f"{name} ({problem})")
        else:
            documents.append(Document(name, text, name))
    if not documents:
        listed = ", ".join(problems[:_MOST_LISTED]) + (", …" if len(problems) > _MOST_LISTED else "")
        raise InputError(
            f"The folder {path} has no text files{f': {listed}' if listed else ''}.",
            hint="Pass a folder with UTF-8 text files.",
        )
    skipped += problems
    return documents


def _text_or_problem(path: Path) -> tuple[str, str]:
    """Return the text of a file and what is wrong with it, which is empty if nothing is.

    A byte order mark says the encoding; without one it is UTF-8.
    """
    data = path.read_bytes()
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8-sig")
    try:
        text = TextIOWrapper(BytesIO(data), encoding=encoding).read()  # with \n for all ends of lines
    except UnicodeDecodeError:
        return "", _NOT_UTF8
    # UTF-16 without a mark is valid UTF-8, with a zero byte beside each Latin letter.
    return text, _NOT_UTF8 if "\x00" in text else "empty" if not text.strip() else ""


def _text_in_folder(path: Path) -> tuple[str, str]:
    try:
        return _text_or_problem(path) if path.is_file() else ("", "not a file")
    except OSError as error:
        return "", error.strerror or str(error)


def _file_text(path: Path) -> str:
    try:
        text, problem = _text_or_problem(path)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or error}.", hint="Check the path.") from error
    if problem == _NOT_UTF8:
        raise InputError(f"{path} is not UTF-8 text.", hint="Convert it to UTF-8, or pass its text.")
    if problem:
        raise InputError(f"{path} has no text.", hint="Leave it out.")
    return text


def numbered(names: Sequence[str]) -> tuple[str, ...]:
    """Return names, numbered where they are the same.

    >>> numbered(["a.txt", "b.txt", "a.txt"])
    ('a.txt (1)', 'b.txt', 'a.txt (2)')
    """
    counts = Counter(names)
    taken = {name for name in counts if counts[name] == 1}
    listed = []
    for name in names:
        numbers = (f"{name} ({number})" for number in count(1))
        listed.append(name if counts[name] == 1 else next(new for new in numbers if new not in taken))
        taken.add(listed[-1])
    return tuple(listed)
