"""The rows of a data set: which columns are the text, the label and what is explained."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain, islice
from typing import Any

from model_understanding.dataset.column_names import OTHER_TEXT_NAMES, TEXT_NAMES, could_be_name, normalized
from model_understanding.dataset.objects import is_missing
from model_understanding.dataset.sources import Record, Source
from model_understanding.dataset.text_format import SAMPLE_ROWS
from model_understanding.errors import InputError
from model_understanding.text.chat import is_chat

_PAIRS = (
    *(("premise", "hypothesis"), ("sentence1", "sentence2"), ("question", "context"), ("text_a", "text_b")),
    *(("text1", "text2"), ("question1", "question2"), ("query", "document"), ("query", "passage")),
)
_LABELS = ("label", "labels", "class", "category", "sentiment")
_IDS = ("id", "uid", "guid", "row_id", "index")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns of a data set are what.

    Args:
        text: The text; ``None`` to guess.
        pair: The second text of a pair.
        label: The right class, to which the model's answer is compared.
        target: What is explained, in place of the model's answer.
        continuation: What follows a prompt.
        chat: Chat messages in place of a text.
        id: What names a row.
    """

    text: str | None = None
    pair: str | None = None
    label: str | None = None
    target: str | None = None
    continuation: str | None = None
    chat: str | None = None
    id: str | None = None

    def named(self) -> dict[str, str]:
        """Return the columns that are set, by what they are."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: column for name, column in values.items() if column is not None}

    def description(self) -> str:
        """Return the columns as in ``text from 'review', label from 'stars'``."""
        return ", ".join(f"{name} from {column!r}" for name, column in self.named().items())


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRow:
    """A row to explain.

    Args:
        index: Its place in the input, from 0.
        id: Its name: the value of the id column, else its place.
        place: Where it comes from, in words.
        text: The text or prompt, or chat messages.
        pair: The second text of a pair.
        label: The right class.
        target: What is explained, in place of the model's answer.
        continuation: What follows the prompt.
        problem: Why it cannot be explained; empty if it can.
    """

    index: int
    id: str
    place: str
    text: Any = ""
    pair: str | None = None
    label: str | None = None
    target: str | None = None
    continuation: str | None = None
    problem: str = ""

    def text_or_pair(self) -> Any:
        """Return the text, or both texts as a tuple."""
        return self.text if self.pair is None else (self.text, self.pair)

    def plain(self) -> list[Any]:
        """Return what the row's result depends on, as plain values."""
        return [self.id, self.text, self.pair, self.label, self.target, self.continuation, self.problem]


def rows_of(source: Source, columns: Columns) -> tuple[Columns, Iterator[DataRow], tuple[str, ...]]:
    """Return which columns of a data set are what, its rows, and the names of all of its columns.

    Args:
        source: The data set.
        columns: The columns that the caller names; those that are not named are guessed from their names.

    Returns:
        The columns, the rows, and the names of those in the first rows; none of single texts.

    Raises:
        InputError: It has no such column, or which one holds the texts is not clear.
    """
    records = source.read()
    sample = list(islice(records, SAMPLE_ROWS))
    if not sample:
        raise InputError(f"{source.name} has no rows.", hint="Pass a data set with at least one text.")
    names = tuple(dict.fromkeys(name for record in sample for name in record.values or ()))
    resolved = _resolved(columns, names, sample, source.name)
    everything = chain(sample, records)
    return resolved, (_row(index, record, resolved) for index, record in enumerate(everything)), names


def _resolved(columns: Columns, names: Sequence[str], sample: Sequence[Record], source: str) -> Columns:
    given = columns.named()
    for what, column in given.items():
        if names and column not in names:
            raise InputError(
                f"{source} has no column {column!r} for {what}. Its columns are {', '.join(names)}.",
                hint="Pass one of them.",
            )
    if not names:
        if given:
            raise InputError(
                f"{source} holds single texts, not records with the column {next(iter(given.values()))!r}.",
                hint="Leave the columns out.",
            )
        return columns
    known = {normalized(name): name for name in reversed(names)}
    others = {
        "label": columns.label or next((known[name] for name in _LABELS if name in known), None),
        "id": columns.id or next((known[name] for name in _IDS if name in known), None),
    }
    text, pair = columns.text, columns.pair
    if text is None and columns.chat is None:
        both = next((each for each in _PAIRS if pair is None and all(name in known for name in each)), None)
        if both is not None:
            text, pair = (known[name] for name in both)
        else:
            taken = {*given.values(), *others.values()}
            text = _guessed([name for name in names if name not in taken], sample, source)
    return replace(columns, text=text, pair=pair, **others)


def _guessed(names: Sequence[str], sample: Sequence[Record], source: str) -> str:
    """Return the one column that can be the texts: by its name, else as the only one with several words."""
    candidates: list[str] = []
    for known in (TEXT_NAMES, OTHER_TEXT_NAMES):
        candidates = candidates or [name for name in names if normalized(name) in known]
    if not candidates:
        candidates = [name for name in names if could_be_name(name) and _holds_texts(name, sample)]
    if len(candidates) == 1:
        return candidates[0]
    if not names:
        raise InputError(
            f"{source} has no column for the texts: all of its columns are used for something else.",
            hint="Name it: --column, or columns={'text': …} in Python.",
        )
    several = f": it may be {' or '.join(candidates)}" if candidates else ""
    example = (candidates or list(names))[0]
    raise InputError(
        f"Which column of {source} holds the texts is not clear{several}. "
        f"Its columns are {', '.join(names)}.",
        hint=f"Name it: --column {example}, for example; in Python columns={{'text': {example!r}}}.",
    )


def _holds_texts(name: str, sample: Sequence[Record]) -> bool:
    values = [(record.values or {}).get(name) for record in sample]
    words = [isinstance(value, str) and len(value.split()) > 1 for value in values if value not in (None, "")]
    return bool(words) and 2 * sum(words) > len(words)


def _json_chat(value: Any) -> Any:
    """Return chat messages that a table holds as JSON; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        chat = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return chat if is_chat(chat) else value


def _row(index: int, record: Record, columns: Columns) -> DataRow:
    values = record.values if record.values is not None else {columns.text or "text": record.single}

    def cell(column: str | None) -> str | None:
        value = None if column is None else values.get(column)
        return None if is_missing(value) or value == "" else str(value)

    row = DataRow(
        index=index,
        id=cell(columns.id) or str(index),
        place=record.place,
        pair=cell(columns.pair),
        label=cell(columns.label),
        target=cell(columns.target),
        continuation=cell(columns.continuation),
        problem=record.problem,
    )
    if row.problem:
        return row
    text = values.get(columns.text or "text")
    if columns.chat is not None:
        text = _json_chat(values.get(columns.chat))
    if isinstance(text, tuple) and len(text) == 2 and columns.pair is None:
        text, pair = text
        row = replace(row, pair=str(pair))
    if is_missing(text) or (isinstance(text, str) and not text.strip()):
        return replace(row, problem="The text is empty.")
    if not isinstance(text, str) and not is_chat(text):
        return replace(row, problem=f"The text is {type(text).__name__}, not a string or chat messages.")
    if columns.pair is not None and row.pair is None:
        return replace(row, text=text, problem="The second text is missing.")
    return replace(row, text=text)
