"""The rows that a run has written, read one after the other as often as a summary needs them."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from model_understanding.dataset.parts import missing_parts, part_number, read_manifest
from model_understanding.dataset.table import FIELDS, parts_of
from model_understanding.errors import InputError
from model_understanding.registry import METHODS
from model_understanding.results.dataset_summary import RowExample
from model_understanding.targets.names import SEQUENCE_CLASSIFICATION
from model_understanding.text.chat import is_chat

_READ = (
    *("row", "id", "text", "pair", "label", "prediction", "probabilities", "method", "target", "gap"),
    *("special", "words", "word_offsets", "word_segments", "word_scores", "verdict", "cautions"),
    "error",
)
_MOST_IDS = 200_000  # different ids that are remembered
_MOST_LABELS = 1000  # different right classes, beyond which a column holds something else


@dataclass(slots=True, kw_only=True)
class StoredRow:
    """A row of a run.

    Args:
        row: Its place in the input, from 0.
        id: Its id.
        text: The text or prompt; chat messages as JSON.
        pair: The second text of a pair.
        label: The right class, by its name; ``None`` if the data has none, or one that the model does not
            have.
        prediction: The class that the model answers, or the text that it writes.
        answer: ``prediction`` where it is a class; ``None`` for language models and regressions.
        explained: The class that the scores explain: ``answer``, unless a column names another.
        probabilities: Probability of each class, or of each token that a language model writes.
        tokens: Number of tokens that the model reads, special ones included.
        words: The words of the input; special and chat-template tokens, and the words of a continuation, are
            excluded.
        word_offsets: Start and end of each word in its text.
        word_segments: Which text each word is part of, 0 or 1.
        word_scores: Score of each word. If scores are never negative, their unit is the mean of the row's
            words, which depends on the text's length and has no meaning by itself: 1 is an average word.
        method: The attribution method.
        gap: Completeness gap.
        verdict: How far to believe the scores, where it was measured.
        cautions: Warnings about the row.
        error: Why the row was not explained; ``None`` for all others, which have words and scores.
    """

    row: int
    id: str
    text: str
    pair: str | None = None
    label: str | None = None
    prediction: str | None = None
    answer: str | None = None
    explained: str | None = None
    probabilities: Float[np.ndarray, " classes"] | None = None
    tokens: int = 0
    words: Sequence[str] = ()
    word_offsets: Int[np.ndarray, "words 2"]
    word_segments: Int[np.ndarray, " words"]
    word_scores: Float[np.ndarray, " words"]
    method: str | None = None
    gap: float | None = None
    verdict: str | None = None
    cautions: Sequence[str] = ()
    error: str | None = None

    def probability(self, labels: Sequence[str]) -> float | None:
        """Return the probability of the answer; ``None`` if the model gives none.

        Args:
            labels: Names of the model's classes.
        """
        if self.probabilities is None or self.prediction not in labels:
            return None
        return float(self.probabilities[labels.index(self.prediction)])


def gives_classes(manifest: Mapping[str, Any]) -> bool:
    """Return whether the answers of a run are classes: not texts or numbers."""
    return manifest["task"] == SEQUENCE_CLASSIFICATION and manifest["problem"] != "regression"


class StoredRows:
    """The rows of a run's folder, read part by part: a million take no more memory than a thousand.

    Args:
        folder: The folder.

    Raises:
        InputError: It is no folder of a run, has no parts, or a part is not whole.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder).expanduser()
        self.manifest: dict[str, Any] = read_manifest(self.folder)
        self._form = parts_of(self.manifest["form"])
        self.parts = tuple(sorted(self.folder.glob(f"part-*.{self._form.suffix}")))
        if not self.parts:
            raise InputError(
                f"The folder {str(folder)!r} has no parts yet.",
                hint="Wait until the run has written some, or continue it with --resume.",
            )
        for path in self.parts:
            if self._form.digest(path) is None:
                raise InputError(
                    f"{str(path)!r} is not whole.",
                    hint="Run the same job again with --resume: it computes what is missing.",
                )

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[StoredRow]:
        for path in self.parts:
            yield from self._rows(path)

    @cached_property
    def _count(self) -> int:
        return sum(map(self._form.count, self.parts))

    @cached_property
    def signed(self) -> bool:
        """Whether scores below 0 oppose what they explain; those of other methods are never negative."""
        method = next((method for (method,) in self.columns("method") if method is not None), None)
        return method not in METHODS.names() or bool(METHODS.load(method).signed)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes; none for language models."""
        return tuple(self.manifest.get("labels") or ())

    @property
    def gives_classes(self) -> bool:
        """Whether the model's answer is a class: not a text or a number."""
        return gives_classes(self.manifest)

    @property
    def missing_parts(self) -> tuple[int, ...]:
        """Numbers of parts that are not there, as far as that is known."""
        return missing_parts(map(part_number, self.parts), self.manifest)

    def columns(self, *names: str) -> Iterator[tuple[Any, ...]]:
        """Yield for each row the values of some columns; the others are not read.

        Args:
            *names: Columns of the parts.
        """
        for path in self.parts:
            for batch in self._form.read(path, names):
                yield from zip(*(batch[name] for name in names), strict=True)

    def example(self, row: int) -> RowExample:
        """Return a row as a summary shows it.

        Args:
            row: Its place in the input.

        Raises:
            InputError: There is no such row.
        """
        found = self.examples([row])
        if row not in found:
            raise self._missing(row)
        return found[row]

    def examples(self, rows: Iterable[int]) -> dict[int, RowExample]:
        """Return rows as a summary shows them, by their places in the input; those that are not there lack.

        Args:
            rows: Their places.
        """
        chosen = {row.row: row for row in self.chosen(rows)}
        ids = {row.id for row in chosen.values()}
        same = Counter(name for (name,) in self.columns("id") if name in ids)
        return {place: self._example(row, same[row.id] > 1) for place, row in chosen.items()}

    def chosen(self, rows: Iterable[int]) -> Iterator[StoredRow]:
        """Yield some rows, in their order; only the parts that have them are read.

        Args:
            rows: Their places in the input.
        """
        chosen, size = set(rows), self.manifest["rows_per_part"]
        parts = {row // size for row in chosen}
        for path in self.parts:
            if part_number(path) in parts:
                yield from self._rows(path, chosen)

    def values(self, row: int) -> dict[str, Any]:
        """Return all columns of a row, as they are stored.

        Args:
            row: Its place in the input.

        Raises:
            InputError: There is no such row.
        """
        for path in self.parts:
            if part_number(path) == row // self.manifest["rows_per_part"]:
                for batch in self._form.read(path, tuple(FIELDS)):
                    if row in batch["row"]:
                        place = batch["row"].index(row)
                        return {name: batch[name][place] for name in FIELDS}
        raise self._missing(row)

    @cached_property
    def repeated_id(self) -> str | None:
        """An id that several rows have; ``None`` if none of the first 200,000 different ones is repeated."""
        known: set[int] = set()
        for (name,) in self.columns("id"):
            if (key := hash(name)) in known:
                return name
            if len(known) < _MOST_IDS:
                known.add(key)
        return None

    @cached_property
    def label_counts(self) -> Mapping[str, int]:
        """Rows with each value of the label column, as the data has them; none if it has too many."""
        counts: dict[str, int] = {}
        if self.manifest["columns"].get("label") is not None:
            for (label,) in self.columns("label"):
                if label is not None:
                    counts[label] = counts.get(label, 0) + 1
                    if len(counts) > _MOST_LABELS:
                        return {}
        return counts

    @cached_property
    def classes(self) -> Mapping[str, str]:
        """The model's class for each value of the label column that stands for one.

        Values are names of classes, in any case; or, if all of them are, numbers of classes from 0.
        """
        return _classes(tuple(self.label_counts), self.labels) if self.gives_classes else {}

    @property
    def classes_by_number(self) -> bool:
        """Whether values of the label column are numbers of classes, and not their names."""
        return any(_class_number(value, len(self.labels)) is not None for value in self.classes) and not any(
            value.strip().casefold() == label.casefold() for value, label in self.classes.items()
        )

    def _rows(self, path: Path, chosen: set[int] | None = None) -> Iterator[StoredRow]:
        kind = _Kind(
            self.labels if self.gives_classes else (),
            self.classes,
            2 if self.manifest["task"] == SEQUENCE_CLASSIFICATION else 1,  # then comes what the model writes
            "target" in self.manifest["columns"],
            self.signed,
        )
        for batch in self._form.read(path, _READ):
            for values in zip(*(batch[name] for name in _READ), strict=True):
                if chosen is None or values[0] in chosen:
                    yield _row(dict(zip(_READ, values, strict=True)), kind)

    def _example(self, row: StoredRow, has_repeated_id: bool) -> RowExample:
        text, offsets = row.text, row.word_offsets
        if _is_json_chat(text):  # the words are those of the chat as the model reads it
            words = [word.strip() for word in row.words]
            text = " ".join(words)
            ends = np.cumsum([len(word) + 1 for word in words])
            offsets = np.array(
                [(end - len(word) - 1, end - 1) for end, word in zip(ends, words, strict=True)]
            )
        return RowExample(
            row=row.row,
            id=row.id,
            text=text,
            pair=row.pair,
            label=row.label,
            prediction=row.prediction,
            probability=row.probability(self.labels),
            words=tuple(row.words),
            word_offsets=tuple((int(start), int(end)) for start, end in offsets),
            word_segments=tuple(row.word_segments.tolist()),
            word_scores=tuple(row.word_scores.tolist()),
            verdict=row.verdict,
            has_repeated_id=has_repeated_id,
        )

    def _missing(self, row: int) -> InputError:
        return InputError(
            f"There is no row {row} in {str(self.folder)!r}.",
            hint=f"Pass the place of one of its {len(self):,} rows in the input, from 0.",
        )


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a row's columns mean.

    Args:
        labels: The classes; none if the model's answer is no class.
        classes: The class for each value of the label column.
        texts: Texts of a row that are input.
        has_targets: Whether a column names what is explained.
        signed: Whether scores have a sign.
    """

    labels: Sequence[str]
    classes: Mapping[str, str]
    texts: int
    has_targets: bool
    signed: bool


_NO_WORDS = (np.zeros((0, 2), np.int32), np.zeros(0, np.int8), np.zeros(0, np.float32))


def _row(values: Mapping[str, Any], kind: "_Kind") -> StoredRow:
    words: Sequence[str] = ()
    offsets, segments, scores = _NO_WORDS
    if values["error"] is None:
        segments = values["word_segments"]
        kept = np.flatnonzero((segments >= 0) & (segments < kind.texts))
        words = [values["words"][index] for index in kept]
        offsets, scores = values["word_offsets"][kept], values["word_scores"][kept]
        segments = segments[kept]
        if not kind.signed and scores.size and (unit := scores.mean()) > 0:
            scores = scores / unit
    answer = explained = values["prediction"] if kind.labels else None
    if kind.has_targets and kind.labels:
        explained = _explained(values["target"], kind.labels)
    return StoredRow(
        row=values["row"],
        id=values["id"],
        text=values["text"],
        pair=values["pair"],
        label=kind.classes.get(values["label"]),
        prediction=values["prediction"],
        answer=answer,
        explained=explained,
        probabilities=values["probabilities"],
        tokens=0 if values["special"] is None else len(values["special"]),
        words=words,
        word_offsets=offsets,
        word_segments=segments,
        word_scores=scores,
        method=values["method"],
        gap=values["gap"],
        verdict=values["verdict"],
        cautions=values["cautions"] or (),
        error=values["error"],
    )


def _explained(target: str | None, labels: Sequence[str]) -> str | None:
    """Return the class that a description of a target names, such as ``logit of positive − negative``."""
    name = "" if target is None else target.partition(" of ")[2]
    named = [label for label in labels if name == label or name.startswith(f"{label} − ")]
    return max(named, key=len, default=None)


def _classes(values: Sequence[str], labels: Sequence[str]) -> dict[str, str]:
    """Return the class that each value of a label column stands for.

    >>> _classes(("Positive", "negative", "neutral"), ("negative", "positive"))
    {'Positive': 'positive', 'negative': 'negative'}
    >>> _classes(("1", "0.0"), ("negative", "positive"))
    {'1': 'positive', '0.0': 'negative'}
    >>> _classes(("1", "2", "3"), ("bad", "fair", "good"))  # not numbers from 0
    {}
    >>> _classes(("0", "1"), ("1", "2"))  # not names, which have no 0
    {'0': '1', '1': '2'}
    """
    folded = {label.casefold(): label for label in labels}
    plain = {label: label for label in labels}
    named = {value: plain.get(value) or folded.get(value.strip().casefold()) for value in values}
    numbers = {value: _class_number(value, len(labels)) for value in values}
    are_numbers = all(number is not None for number in numbers.values())
    if any(name is not None for name in named.values()) and (None not in named.values() or not are_numbers):
        return {value: name for value, name in named.items() if name is not None}
    if not are_numbers:
        return {}
    return {value: labels[number] for value, number in numbers.items() if number is not None}


def _class_number(value: str, count: int) -> int | None:
    if count == 2 and value in ("True", "False"):
        return int(value == "True")
    match = re.fullmatch(r"\s*(\d+)(\.0*)?\s*", value)  # a column with gaps holds 1.0
    return int(match[1]) if match and int(match[1]) < count else None


def _is_json_chat(text: str) -> bool:
    if not text.startswith("[{"):
        return False
    try:
        return is_chat(json.loads(text))
    except (ValueError, RecursionError):
        return False
