"""Documents as callers have them: texts, dicts, files, and objects of retrieval libraries, none imported."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from model_understanding.errors import InputError

_TEXTS = ("text", "content", "page_content", "body", "snippet")
_NAMES = ("title", "name", "file_name", "source", "file_path", "url", "id")
_METADATA = ("metadata", "meta", "extra_info")
_ALLOWED = (
    "a string, a dict with 'text' or 'content', a pathlib.Path, or a document of LangChain, LlamaIndex or "
    "Haystack"
)
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


def documents_of(given: Any) -> tuple[Document, ...]:
    """Return the documents that a caller passed, each with a name of its own.

    Args:
        given: A list of documents, or a single one; a folder stands for its text files.

    Raises:
        InputError: There is none, one is of another type or has no text, or a file cannot be read.
    """
    # Documents of LangChain and LlamaIndex can be iterated, too: over their fields.
    is_several = isinstance(given, list | tuple) or (
        isinstance(given, Iterable) and not isinstance(given, PurePath) and _text_of(given) is None
    )
    several: Iterable[Any] = given if is_several else [given]
    documents = [document for number, each in enumerate(several, start=1) for document in _read(each, number)]
    if not documents:
        raise InputError("No document is given.", hint=_HINT)
    names = numbered([document.name for document in documents])
    return tuple(replace(each, name=name) for each, name in zip(documents, names, strict=True))


def _read(given: Any, number: int) -> list[Document]:
    if isinstance(given, PurePath):
        return _of_path(Path(given))
    if isinstance(given, tuple) and given and not isinstance(given[0], str):
        return _read(given[0], number)  # a document and its score, as vector stores return them
    text, title = _text_of(given), _title_of(given)
    if text is None:
        raise InputError(f"Document {number} must be {_ALLOWED}. Got {type(given).__name__}.", hint=_HINT)
    if not text.strip():
        raise InputError(f"Document {number} has no text.", hint="Leave it out, or pass its text.")
    return [Document(_short(title) or f"document {number}", text, title)]


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


def _of_path(path: Path) -> list[Document]:
    path = path.expanduser()
    if not path.is_dir():
        return [Document(path.name, _file_text(path), path.name)]
    files = sorted(
        file
        for file in path.rglob("*")
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    documents = []
    for file in files:
        text = _text_or_none(file)
        if text is not None and text.strip():
            name = file.relative_to(path).as_posix()
            documents.append(Document(name, text, name))
    if not documents:
        raise InputError(f"The folder {path} has no text files.", hint="Pass a folder with UTF-8 text files.")
    return documents


def _text_or_none(path: Path) -> str | None:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError):
        return None
    return None if "\x00" in text else text


def _file_text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not valid UTF-8.", hint="Convert it to UTF-8, or pass its text."
        ) from error
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or error}.", hint="Check the path.") from error
    if not text.strip():
        raise InputError(f"{path} has no text.", hint="Leave it out.")
    return text


def numbered(names: Sequence[str]) -> tuple[str, ...]:
    """Return names, numbered where they are the same.

    >>> numbered(["a.txt", "b.txt", "a.txt"])
    ('a.txt (1)', 'b.txt', 'a.txt (2)')
    """
    listed = list(names)
    return tuple(
        name if listed.count(name) == 1 else f"{name} ({listed[: place + 1].count(name)})"
        for place, name in enumerate(listed)
    )
