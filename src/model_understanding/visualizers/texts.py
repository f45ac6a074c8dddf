"""What counts as many texts: a list, a table's column, an array, a generator."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from model_understanding.errors import InputError, StoppedError
from model_understanding.evaluation.run import metrics_of
from model_understanding.registry import MAPS
from model_understanding.results import Failure, Report
from model_understanding.show.progress import progress_bar
from model_understanding.text.chat import is_chat
from model_understanding.text.ids import ids_in
from model_understanding.text.tokenization import check_text, tokenize
from model_understanding.text.words import Words, words_or_text
from model_understanding.tokens import Tokens

TEXTS_AT_ONCE = 256  # texts of one length share batches among so many; the results of so many wait in memory


def texts_of(value: Any, *, pairs: bool = False) -> tuple[list[Any], bool]:
    """Return a collection's texts, or a single text, pair or chat as a list of one; and whether it was many.

    Args:
        value: A text, a (text, pair) tuple, words, chat messages, token ids; or a list, ``pandas.Series``,
            array, column of a data set, generator or other iterable of them.
        pairs: Whether a tuple is a pair of texts, and an array of two columns holds pairs.

    Raises:
        InputError: It is a whole table, or an array of other dimensions.

    >>> texts_of("A fine film."), texts_of(np.array(["A fine film."]))
    ((['A fine film.'], False), (['A fine film.'], True))
    """
    if hasattr(value, "columns") and hasattr(value, "iloc"):  # a table would give the names of its columns
        raise InputError(
            f"A whole table is not a list of texts. Got a {type(value).__name__} with the columns "
            f"{', '.join(map(str, value.columns))}.",
            hint='Pass one of its columns, as table["text"].',
        )
    is_one = (
        isinstance(value, str | bytes | Mapping | Words)
        or is_chat(value)
        or (isinstance(value, tuple) if pairs else ids_in(value, "prompt") is not None)
    )
    if is_one or not isinstance(value, Iterable):
        return [value], False
    if isinstance(value, np.ndarray):
        return _from_array(value, pairs)
    return [_plain(item) for item in value], True


def tokenized(tokenizer: Any, text: Any, output: Any = None) -> tuple[Tokens, dict[str, list[int]]]:
    """Return the tokens and inputs of a text, of its words, or of a pair of these.

    Args:
        tokenizer: A transformers tokenizer.
        text: A text or a (text, pair) tuple; a list of strings is the words of a text.
        output: What the tokenizer returned for a text, if it has read it.

    Raises:
        InputError: It is empty, no text, or a tuple of another length.
    """
    text = words_or_text(text)
    if not isinstance(text, tuple) or isinstance(text, Words):
        return tokenize(tokenizer, text, allowed="a string, or a (text, pair) tuple", output=output)
    if len(text) != 2:
        raise InputError(
            f"A pair is a tuple of two texts. Got {len(text)}.", hint="Pass (text, pair), or a list."
        )
    first, second = map(words_or_text, text)
    check_text(second, "(text, pair), both strings")  # None would be no pair at all
    return tokenize(tokenizer, first, second)


def in_chunks(texts: Any, *, pairs: bool = False) -> Iterator[list[Any]]:
    """Yield the texts of a collection in lists that are short enough for their results to wait in memory.

    Args:
        texts: The texts, as ``texts_of`` takes them; a generator is read as far as needed.
        pairs: As ``texts_of`` takes it.
    """
    remaining = texts if isinstance(texts, Iterator) else iter(texts_of(texts, pairs=pairs)[0])
    while chunk := [_plain(item) for item in islice(remaining, TEXTS_AT_ONCE)]:
        yield chunk


def check_parts(metrics: Sequence[Any] | None, attention: Sequence[Any] | None) -> None:
    """Refuse an unknown metric or map before the first of many texts, and not once for each.

    Raises:
        InputError: There is no such metric or map.
    """
    metrics_of(metrics)
    for kind in attention or ():
        if isinstance(kind, str):
            MAPS.load(kind)


def reports_of(
    analyses: Callable[[], Iterator[Report | Failure]], count: int, progress: Any, show: bool | None
) -> Any:
    """Return the reports of many texts, and show how many are done.

    Args:
        analyses: Begins to explain the texts.
        count: Their number.
        progress: As ``analyze`` takes it.
        show: Whether to show each report.

    Raises:
        StoppedError: The caller's function returned ``False``.
    """
    reports: list[Report | Failure] = []
    with progress_bar(progress) as tell:
        for report in analyses():
            reports.append(report)
            if show and isinstance(report, Report):
                report.show()
            if tell is not None and tell(len(reports), count) is False:
                raise StoppedError(
                    f"Stopped by the progress function after {len(reports)} of {count} texts.",
                    hint="Use analyze_each, which yields each report when it is done.",
                )
    return reports


def _from_array(array: np.ndarray, pairs: bool) -> tuple[list[Any], bool]:
    if array.ndim == 0:
        return [_plain(array.item())], False
    if array.dtype.kind not in "UOT":
        return [array], False
    if array.ndim == 1:
        return [_plain(item) for item in array.tolist()], True
    if array.ndim == 2 and array.shape[1] == 2 and pairs:
        return [tuple(row) for row in array.tolist()], True
    allowed = "one column of texts, or two of pairs" if pairs else "one column of texts"
    raise InputError(
        f"An array of texts has {allowed}. Got the shape {array.shape}.", hint="Pass array[:, 0]."
    )


def _plain(text: Any) -> Any:
    """Return a text of numpy's type as a plain string."""
    return str(text) if isinstance(text, np.str_) else text
