"""The difference between two models as heat maps: blocks × their modules, blocks × tokens, tokens."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float

from model_understanding.results import ModelDiff, ModuleChange
from model_understanding.show.shared.modules import module_words, name_in_block
from model_understanding.show.shared.words import format_number, printable
from model_understanding.show.views.difference_map import (
    Columns,
    DifferenceMap,
    RankedCell,
    folded_spans,
    share_text,
)
from model_understanding.show.views.model_diff import main_token, token_in_quotes

_LISTED_FROM = 1e-3  # of the largest contribution
_OUTSIDE = "outside of blocks"
_NO_TOKEN = "no single token"
_LENGTH = 30


def model_diff_maps(diff: ModelDiff, top: int = 8) -> tuple[DifferenceMap, ...]:
    """Return the heat maps of a diff; none where no module makes any difference.

    Args:
        diff: The diff.
        top: Number of places in each list.
    """
    if not any(change.value for change in diff.modules):
        return ()
    return tuple(_maps(diff, top))


def _maps(diff: ModelDiff, top: int) -> Iterator[DifferenceMap]:
    keys = _row_keys(diff)
    names = tuple(_row_name(key) for key in keys)
    labels = _row_labels(keys, diff.modules)
    row_of = [keys.index(_row_key(change)) for change in diff.modules]
    by_token, has_rest = _by_token(diff)

    columns, column_of = _module_columns(diff, row_of, len(keys))
    values = np.zeros((len(keys), len(columns.names)))
    for change, row, column in zip(diff.modules, row_of, column_of, strict=True):
        values[row, column] += change.value
    reach = float(np.abs(values).max()) or 1.0
    yield DifferenceMap(
        key="modules",
        name="modules",
        meaning="What the changed weights of each module make of the difference.",
        rows=names,
        row_labels=labels,
        row_noun="block",
        columns=columns,
        values=values,
        difference=diff.difference,
        is_cut=False,
        ranked=tuple(
            _ranked(
                diff, row_of[index], column_of[index], _place(diff, index), diff.modules[index].value, reach
            )
            for index in _strongest(np.array([change.value for change in diff.modules]), top)
        ),
    )
    if not diff.at_tokens.any():
        return
    tokens = _token_columns(diff, by_token, has_rest)
    in_rows = np.zeros((len(keys), by_token.shape[1]))
    np.add.at(in_rows, row_of, by_token)
    yield _token_map(
        diff,
        tokens,
        in_rows,
        names,
        labels,
        top,
        key="blocks",
        name="blocks and tokens",
        meaning="What the changed weights of each block make of the difference at each token.",
    )
    yield _token_map(
        diff,
        tokens,
        in_rows.sum(0, keepdims=True),
        ("all modules",),
        ("all",),
        top,
        key="tokens",
        name="tokens (all modules)",
        meaning="What all changed weights make of the difference at each token.",
    )


def _token_map(
    diff: ModelDiff,
    columns: Columns,
    values: Float[np.ndarray, "rows columns"],
    rows: tuple[str, ...],
    labels: tuple[str, ...],
    top: int,
    *,
    key: str,
    name: str,
    meaning: str,
) -> DifferenceMap:
    reach = float(np.abs(values).max()) or 1.0
    count = values.shape[1]
    ranked = []
    for index in _strongest(values.ravel(), top):
        row, column = divmod(index, count)
        at = columns.name((column, column))
        place = f"{rows[row]}, {at}" if len(rows) > 1 else columns.names[column]
        ranked.append(_ranked(diff, row, column, place, float(values[row, column]), reach))
    return DifferenceMap(
        key=key,
        name=name,
        meaning=meaning,
        rows=rows,
        row_labels=labels,
        row_noun="block",
        columns=columns,
        values=values,
        difference=diff.difference,
        is_cut=False,
        ranked=tuple(ranked),
    )


def _ranked(diff: ModelDiff, row: int, column: int, place: str, value: float, reach: float) -> RankedCell:
    return RankedCell(
        row=row,
        column=column,
        place=place,
        value=format_number(value),
        share=share_text(value, diff.difference),
        strength=min(max(value / reach, -1.0), 1.0),  # modules that share a cell may cancel
    )


def _strongest(values: Float[np.ndarray, " values"], top: int) -> list[int]:
    order = np.argsort(-np.abs(values), kind="stable")[:top]
    least = _LISTED_FROM * float(np.abs(values).max(initial=0.0))
    return [int(index) for index in order if abs(values[index]) > least]


def _place(diff: ModelDiff, index: int) -> str:
    change = diff.modules[index]
    words, at = printable(module_words(change.name, change.layer), 60), main_token(diff, index)
    return f"{words}, mostly at {at}" if at else words


def _row_key(change: ModuleChange) -> int | str:
    return change.name if change.layer is None else change.layer


def _row_keys(diff: ModelDiff) -> list[int | str]:
    """Return the rows: modules before the blocks, each block up to the last that changed, modules after."""
    layers = [change.layer for change in diff.modules if change.layer is not None]
    first = next((index for index, change in enumerate(diff.modules) if change.layer is not None), 0)
    outside = [(index, change.name) for index, change in enumerate(diff.modules) if change.layer is None]
    before: list[int | str] = [name for index, name in outside if index < first]
    after: list[int | str] = [name for index, name in outside if index >= first]
    return [*before, *(range(max(layers) + 1) if layers else ()), *after]


def _row_name(key: int | str) -> str:
    return f"block {key}" if isinstance(key, int) else printable(module_words(key, None), 60)


def _row_labels(keys: list[int | str], modules: Sequence[ModuleChange]) -> tuple[str, ...]:
    """Return short names of rows: of modules the last parts that no other module's name ends with."""
    names = [change.name for change in modules]
    return tuple(printable(str(key) if isinstance(key, int) else _short(key, names), 24) for key in keys)


def _short(name: str, names: Sequence[str]) -> str:
    parts = name.split(".")
    endings = (".".join(parts[first:]) for first in range(len(parts) - 1, 0, -1))
    return next((end for end in endings if sum(f".{each}".endswith(f".{end}") for each in names) == 1), name)


def _module_columns(diff: ModelDiff, row_of: list[int], rows: int) -> tuple[Columns, list[int]]:
    """Return the columns of the map of modules, and which one each module is in."""
    names = [
        _OUTSIDE if change.layer is None else name_in_block(change.name, change.layer) or change.name
        for change in diff.modules
    ]
    distinct = sorted(dict.fromkeys(names), key=lambda name: name == _OUTSIDE)
    column_of = [distinct.index(name) for name in names]
    values = np.zeros((rows, len(distinct)))
    np.add.at(values, (row_of, column_of), [change.value for change in diff.modules])
    labels = tuple(printable(name, _LENGTH) for name in distinct)
    count = len(distinct)
    columns = Columns(
        word="the",
        noun="module",
        names=tuple(
            "module itself" if name == _OUTSIDE else label
            for name, label in zip(distinct, labels, strict=True)
        ),
        labels=tuple(label.removesuffix(" projection") for label in labels),
        seconds=("",) * count,
        marked=(False,) * count,
        muted=tuple(name == _OUTSIDE for name in distinct),
        spans=folded_spans([values], (False,) * count),
    )
    return columns, column_of


def _by_token(diff: ModelDiff) -> tuple[Float[np.ndarray, "modules columns"], bool]:
    """Return the modules' values at tokens, with a last column if any arise at no single token."""
    own = diff.at_tokens.astype(np.float64)
    rest = np.array(
        [0.0 if row.any() else change.value for change, row in zip(diff.modules, diff.at_tokens, strict=True)]
    )
    return (np.column_stack([own, rest]), True) if rest.any() else (own, False)


def _token_columns(
    diff: ModelDiff, by_token: Float[np.ndarray, "modules columns"], has_rest: bool
) -> Columns:
    labels = [printable(label.strip(), _LENGTH) for label in diff.tokens.labels()]
    names = [token_in_quotes(diff, position) for position in range(len(labels))]
    muted = diff.tokens.special.tolist()
    if has_rest:
        labels.append(_NO_TOKEN)
        names.append(_NO_TOKEN)
        muted.append(True)
    count = len(labels)
    kept = [has_rest and column == count - 1 for column in range(count)]
    return Columns(
        word="at",
        noun="token",
        names=tuple(names),
        labels=tuple(labels),
        seconds=("",) * count,
        marked=(False,) * count,
        muted=tuple(muted),
        spans=folded_spans([by_token.sum(0, keepdims=True), by_token], kept),
    )
