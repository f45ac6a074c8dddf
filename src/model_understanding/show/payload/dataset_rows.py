"""The rows of a data set that a summary's page has: their texts in pieces, with the words' scores."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from model_understanding.results.dataset_summary import DatasetSummary, RowExample
from model_understanding.results.evaluation import NOT_EVALUATED
from model_understanding.show.shared.words import printable
from model_understanding.tokens import visible_text

_BUDGET = 1_200_000  # characters of all rows
_MOST = 1_600  # characters of a text; of a longer one, the parts around its strongest words
_AROUND = 160  # characters kept on each side of a strong word
_STRONGEST = 8
_DIGITS = 3
CUT = "…"


class Rows:
    """The rows of a page, each once; others refer to them by their index.

    Args:
        examples: All rows that a summary has, by their place in the input.
        manifest: What was run: it names the classes.
    """

    def __init__(self, examples: Mapping[int, RowExample], manifest: Mapping[str, Any]) -> None:
        self.encoded: list[dict[str, Any]] = []
        self._examples = examples
        self._labels = [str(label) for label in manifest.get("labels") or ()]
        self._places: dict[int, int] = {}
        self._characters = 0
        self._left_out: set[int] = set()

    def keep(self, cited: Iterable[int]) -> None:
        """Put rows on the page in this order, as many as its budget holds."""
        for row in cited:
            example = self._examples.get(row)
            if example is None or row in self._places:
                continue
            if self._characters > _BUDGET:
                self._left_out.add(row)
                continue
            encoded = self._row(example)
            self._characters += sum(len(part) + 6 for text in encoded["texts"] for part in text["parts"])
            self._places[row] = len(self.encoded)
            self.encoded.append(encoded)

    def indices(self, rows: Iterable[int]) -> list[int]:
        """Return where rows are on the page, without those that are not."""
        return [self._places[row] for row in rows if row in self._places]

    def omissions(self) -> list[str]:
        """Return what is said about rows that are not on the page."""
        if not self._left_out:
            return []
        count = len(self._left_out)
        return [f"{count:,} more example {'row is' if count == 1 else 'rows are'} only in the .json file."]

    def _row(self, example: RowExample) -> dict[str, Any]:
        texts = [example.text] if example.pair is None else [example.text, example.pair]
        segments = example.word_segments or (0,) * len(example.words)
        words = list(zip(segments, example.word_offsets, example.word_scores, strict=True))
        return {
            "row": example.row,
            "id": printable(example.id, 80),
            "argument": argument_of(example.row, "" if example.has_repeated_id else example.id),
            "label": self._class(example.label),
            "prediction": None if example.prediction is None else printable(example.prediction, 400),
            "probability": None if example.probability is None else _rounded(example.probability),
            "verdict": None if example.verdict is None else verdict_name(example.verdict),
            "texts": [
                _text(text, [word[1:] for word in words if word[0] == segment])
                for segment, text in enumerate(texts)
            ],
        }

    def _class(self, label: str | None) -> str | None:
        """Return the name of a right class; the data may hold its number."""
        if label is None:
            return None
        named = label.strip()
        if (
            self._labels
            and named not in self._labels
            and named.isdecimal()
            and int(named) < len(self._labels)
        ):
            named = self._labels[int(named)]
        return printable(named, 120)


def verdict_name(verdict: str) -> str:
    """Return a verdict as a reader sees it."""
    return "not measured" if verdict == NOT_EVALUATED else printable(verdict, 40)


def in_turn(lists: Sequence[Sequence[int]]) -> Iterator[int]:
    """Yield the first row of every list, then the second of each, and so on."""
    for place in range(max(map(len, lists), default=0)):
        yield from (rows[place] for rows in lists if place < len(rows))


def command_of(summary: DatasetSummary) -> dict[str, str] | None:
    """Return the command that opens a row, to be followed by the row's argument; ``None`` without a folder.

    It names the folder without the path to it, which is the author's own; a page that is opened in that
    folder knows the path by itself.
    """
    name = PurePath(summary.folder or "").name
    if not name or visible_text(name) != name:
        return None
    start = ["model-understanding", "explain"]
    if summary.manifest.get("is_local"):
        start.append(f"path/to/{printable(str(summary.manifest.get('model')))}")
    return {"start": shlex.join(start), "folder": name}


def argument_of(row: int, id_: str) -> str:
    """Return what names a row in a command: its id, or its place without one or where some of it is hidden.

    >>> argument_of(3, "a b"), argument_of(3, "-x"), argument_of(3, "")
    ("--id 'a b'", '--id=-x', '--row 3')
    """
    if not id_ or visible_text(id_) != id_:
        return f"--row {row}"
    return f"--id{'=' if id_.startswith('-') else ' '}{shlex.quote(id_)}"


def _text(text: str, words: list[tuple[tuple[int, int], float]]) -> dict[str, Any]:
    """Return a text as parts of which every second is a word, with the words' scores."""
    scored = sorted((start, end, score) for (start, end), score in words if 0 <= start < end <= len(text))
    spans = [(0, len(text))] if len(text) <= _MOST else _excerpts(text, scored)
    parts, scores = [""], []
    for first, last in spans:
        covered = first
        if first:
            parts[-1] += CUT
        for start, end, score in scored:
            if start < covered or end > last:
                continue
            parts[-1] += _visible(text[covered:start])
            parts += [_visible(text[start:end]), ""]
            scores.append(_rounded(score))
            covered = end
        parts[-1] += _visible(text[covered:last])
    if spans and spans[-1][1] < len(text):
        parts[-1] += CUT
    return {"parts": parts, "scores": scores}


def _excerpts(text: str, scored: list[tuple[int, int, float]]) -> list[tuple[int, int]]:
    """Return the spans of a long text that are around its strongest words, and its beginning."""
    strongest = sorted(scored, key=lambda word: -abs(word[2]))[:_STRONGEST]
    spans = sorted(
        (max(0, start - _AROUND), min(len(text), max(end, start) + _AROUND)) for start, end, _ in strongest
    )
    spans.insert(0, (0, _AROUND))
    joined: list[tuple[int, int]] = []
    for first, last in spans:
        last = min(last, first + _MOST)  # a word may be as long as a text
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined


def _visible(text: str) -> str:
    """Return a text with hidden characters made visible; line breaks and blanks are kept."""
    return "\n".join(visible_text(line) if line.strip(" ") else line for line in text.split("\n"))


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
