"""A row of a run as a full report: explained again by the run's model, or as it is stored."""

import difflib
import heapq
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice, takewhile
from typing import Any, cast

import numpy as np

from model_understanding.attention.for_report import MapChoice
from model_understanding.checks import whole_number
from model_understanding.dataset.local import class_named
from model_understanding.dataset.model_identity import model_of_run
from model_understanding.dataset.summary.reading import StoredRows
from model_understanding.errors import InputError, LoadingError, MissingExtraError
from model_understanding.evaluation.protocol import Metric
from model_understanding.registry import METHODS
from model_understanding.results import Attribution, Provenance, Report, Target
from model_understanding.results.target import QUANTITY_NAMES, Quantity
from model_understanding.targets.names import CAUSAL_LM
from model_understanding.text.chat import is_chat
from model_understanding.tokens import Tokens

CLOSE = 0.01  # share of the largest score: what another batch or another device changes at most
_LOSS = "language-model "  # how the description of a loss begins
_CANDIDATES = 200  # ids that are compared letter by letter
_LONGEST = 60  # characters of an answer or a label that names a row
_SHOWN = 5  # rows or ids that an error names


def report_of(
    folder: str | os.PathLike[str],
    id: str | None = None,
    *,
    row: int | None = None,
    model: Any = None,
    evaluate: bool = True,
    metrics: Sequence[str | Metric] | None = None,
    attention: MapChoice = None,
    scores_only: bool = False,
    **options: Any,
) -> Report:
    """Return a row of a run over a data set as a full report, with attention and evaluation.

    The run's model explains the row again, with the run's method, quantity, target and continuation; the
    scores are those that the run stored. Where the model cannot be loaded, or is another one by now, the
    report has what is stored, and a warning that says so.

    Args:
        folder: The folder of the run.
        id: The row's id.
        row: The row's place in the input, from 0, in place of an id.
        model: A name, a folder, a model or a pipeline, or the visualizer of one: the run's model, where the
            run does not say where it is. One that is not the run's is refused.
        evaluate: Whether the scores are evaluated, as ``analyze`` takes it.
        metrics: Extra metrics, likewise.
        attention: The attention maps, likewise.
        scores_only: Whether only the answer and the scores are wanted.
        **options: Further settings of the visualizer, such as ``device``.

    Returns:
        The report.

    Raises:
        InputError: There is no such row, several have this id, the row has no explanation but an error, or
            the given model is not the run's.

    >>> import tempfile
    >>> from model_understanding import explain_dataset
    >>> folder = tempfile.mkdtemp()
    >>> run = explain_dataset("demo:sentiment", ["A fine film.", "A dull one."], folder, form="jsonl")
    >>> report_of(folder, row=1, scores_only=True).prediction.label
    'negative'
    """
    rows = StoredRows(folder)
    stored = rows.values(_row_of(rows, id, row))
    if stored["error"] is not None:
        raise InputError(
            f"Row {stored['row']} (id {stored['id']!r}) was not explained. {stored['error']}",
            hint="Rows without an error have a report.",
        )
    try:
        explainer = model_of_run(rows.manifest, model, **options)
    except (InputError, LoadingError, MissingExtraError) as error:
        if model is not None:
            raise
        reason = f"This report has only what the run stored: {error.message} {error.hint}"
        return _stored_report(rows.manifest, stored).with_cautions(reason)
    given = {"evaluate": evaluate, "metrics": metrics, "attention": attention, "scores_only": scores_only}
    return _with_stored_scores(explained_again(explainer, rows.manifest, stored, **given), stored)


def row_in_words(folder: str | os.PathLike[str], id: str | None = None, *, row: int | None = None) -> str:
    """Return which row of a run it is, what the model answered, and whether that is right.

    Args:
        folder: The folder of the run.
        id: The row's id.
        row: The row's place in the input, from 0, in place of an id.

    Raises:
        InputError: There is no such row, or several have this id.

    >>> import tempfile
    >>> from model_understanding import explain_dataset
    >>> folder = tempfile.mkdtemp()
    >>> data = [{"id": "a", "text": "A fine film.", "label": "negative"}]
    >>> run = explain_dataset("demo:sentiment", data, folder, form="jsonl", method="saliency")
    >>> row_in_words(folder, "a").split(" · ")[0], row_in_words(folder, "a")[-25:]
    ('a', ' labeled negative (wrong)')
    """
    rows = StoredRows(folder)
    stored = rows.values(_row_of(rows, id, row))
    place, name, answer = stored["row"], str(stored["id"]), stored["prediction"]
    words = f"row {name}" if name == str(place) else name
    if answer is None:
        return words
    if not rows.gives_classes:
        return f"{words} · answered {_shortened(answer)!r}"
    labels, probabilities = [*rows.labels], stored["probabilities"]
    words += f" · answered {answer}"
    if probabilities is not None and answer in labels:
        words += f" {100 * float(probabilities[labels.index(answer)]):.1f} %"
    if stored["label"] is None:
        return words
    label = rows.classes.get(stored["label"])
    if label is None:
        return f"{words}, labeled {_shortened(str(stored['label']))} (no class of the model)"
    return f"{words}, labeled {label} ({'right' if label == answer else 'wrong'})"


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _row_of(rows: StoredRows, id: str | None, row: int | None) -> int:
    """Return the place of the row that is meant."""
    if (id is None) == (row is None):
        raise InputError("Pass either the id of a row or its place.", hint="For example row=0.")
    if row is not None:
        return whole_number(row, "row", least=0)
    matches = [place for place, name in rows.columns("row", "id") if name == id]
    if not matches:
        raise InputError(f"No row of {str(rows.folder)!r} has the id {id!r}.", hint=_near(rows, str(id)))
    if len(matches) > 1:
        shown = ", ".join(map(str, matches[:_SHOWN])) + (" …" if len(matches) > _SHOWN else "")
        raise InputError(
            f"{len(matches)} rows have the id {id!r}: rows {shown}.",
            hint=f"Pass a row instead: --row {matches[0]}, or row={matches[0]} in Python.",
        )
    return matches[0]


def _near(rows: StoredRows, id: str) -> str:
    """Return in words which ids are like one that does not exist."""
    ids = (name for (name,) in rows.columns("id"))
    likely = heapq.nlargest(_CANDIDATES, ids, key=lambda name: _likeness(name, id))
    same = [name for name in likely if _simple(name) == _simple(id)]
    if close := [*dict.fromkeys([*same, *difflib.get_close_matches(id, likely)])][:3]:
        return f"Did you mean {' or '.join(map(repr, close))}?"
    first = [repr(name) for (name,) in islice(rows.columns("id"), 3)]
    return f"Its ids begin with {', '.join(first)}; --row N takes a row by its place, from 0."


def _likeness(first: str, second: str) -> tuple[bool, int]:
    """Return whether two ids are the same but for their form, and how many letters they share."""
    start = _shared(first, second)
    return _simple(first) == _simple(second), start + _shared(first[start:][::-1], second[start:][::-1])


def _shared(first: str, second: str) -> int:
    return sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(first, second, strict=False)))


def _simple(id: str) -> str:
    """Return an id in lower case, without blanks around it and zeros before its numbers."""
    return re.sub(r"(?<!\d)0+(?=\d)", "", id.strip().casefold())


def explained_again(
    explainer: Any, manifest: Mapping[str, Any], stored: Mapping[str, Any], **given: Any
) -> Report:
    """Return the report of a row as the run's engine would have made it, with the parts that are wanted.

    Args:
        explainer: The visualizer of the run's model.
        manifest: The run's manifest.
        stored: All columns of the row.
        **given: What ``analyze`` takes about parts of the report.
    """
    options = {"method": manifest["method"], "show": False, "progress": False, **given}
    if manifest["quantity"] is not None:
        options["quantity"] = manifest["quantity"]
    target = stored["requested_target"]
    if manifest["task"] == CAUSAL_LM:
        options |= {
            "target": target or "continuation",
            "continuation": stored["continuation"],
            "max_new_tokens": manifest["max_new_tokens"],
            "per_token": False,
        }
    elif target is not None:
        options["target"] = class_named(explainer, target)
    report = None
    for text in _texts_of(stored):
        report = explainer.analyze(text, **options)
        if list(report.attributions[0].tokens.surfaces()) == list(stored["tokens"]):
            return report
    assert report is not None
    return report


def _texts_of(stored: Mapping[str, Any]) -> Iterable[Any]:
    """Return what the model may have been given: a pair; chat messages; or the text itself."""
    if stored["pair"] is not None:
        return [(stored["text"], stored["pair"])]
    try:
        chat = json.loads(stored["text"])
    except (ValueError, RecursionError):
        return [stored["text"]]
    return [chat, stored["text"]] if is_chat(chat) else [stored["text"]]


def _with_stored_scores(report: Report, stored: Mapping[str, Any]) -> Report:
    """Return a report with the scores that the run stored, which other batches may have rounded otherwise."""
    first, *others = report.attributions
    again = first.summed() if len(first.targets) > 1 else first
    difference = difference_from_stored(again, stored)
    if difference is None:
        return report.with_cautions(
            "These scores are not the ones that the run stored: the text has other tokens now, or was stored "
            "without what cannot be written to a file."
        )
    cautions = [caution for caution in stored["cautions"] if caution not in report.provenance.cautions]
    if difference > CLOSE:
        cautions.append(
            "The scores are those that the run stored. Computed again, they differ by up to "
            f"{100 * difference:.0f} % of the largest score; evaluation and attention "
            "are of what was computed now."
        )
    restored = replace(again, scores=np.asarray(stored["scores"])[None], outputs=np.array([stored["output"]]))
    report = replace(report, attributions=(restored, *others))
    return report.with_cautions(*cautions)


def difference_from_stored(attribution: Attribution, stored: Mapping[str, Any]) -> float | None:
    """Return how far scores are from those that a run stored, as a share of the largest one.

    Args:
        attribution: The row's attribution, of one target.
        stored: All columns of the row.

    Returns:
        The largest difference; ``None`` if the tokens are others.
    """
    if list(attribution.tokens.surfaces()) != list(stored["tokens"]):
        return None
    before = np.asarray(stored["scores"])
    difference, largest = np.abs(attribution.scores[0] - before).max(initial=0), np.abs(before).max(initial=0)
    return float(difference / max(largest, 1e-30))


def _stored_report(manifest: Mapping[str, Any], stored: Mapping[str, Any]) -> Report:
    """Return what a run stored of a row as a report; logits, attention and evaluation are not stored."""
    provenance = Provenance(
        **{name: manifest[name] for name in ("model", "is_local", "task", "architecture", "tokenizer")},
        **{name: manifest[name] for name in ("revision", "dtype", "device", "versions")},
        attention_implementation=manifest["attention_implementation"],
        cautions=(_answer_in_words(manifest, stored), *stored["cautions"]),
    )
    scores = np.asarray(stored["scores"])[None]
    attribution = Attribution(
        tokens=_tokens_of(manifest, stored),
        targets=(_target_of(manifest, stored),),
        scores=scores,
        valid=np.ones(scores.shape, dtype=bool),
        signed=METHODS.load(stored["method"]).signed,
        outputs=np.array([stored["output"]]),
        method=stored["method"],
        provenance=provenance,
    )
    return Report(attributions=(attribution,), provenance=provenance)


def _answer_in_words(manifest: Mapping[str, Any], stored: Mapping[str, Any]) -> str:
    answer, probabilities = stored["prediction"], stored["probabilities"]
    if manifest["labels"] is None or probabilities is None or answer not in manifest["labels"]:
        return f"The model's answer was {answer!r}."
    probability = float(probabilities[manifest["labels"].index(answer)])
    return f"The model's answer was {answer!r}, with a probability of {100 * probability:.1f} %."


def _target_of(manifest: Mapping[str, Any], stored: Mapping[str, Any]) -> Target:
    """Return a target of the description that is stored."""
    for quantity, name in QUANTITY_NAMES.items():
        if stored["target"].startswith(f"{name} of "):
            what = stored["target"].removeprefix(f"{name} of ")
            return Target(task=manifest["task"], name=what, quantity=cast(Quantity, quantity))
    if stored["target"].startswith(_LOSS):
        return Target(task=manifest["task"], name=stored["target"].removeprefix(_LOSS), quantity="loss")
    return Target(task=manifest["task"], name=stored["target"], quantity="custom")


def _tokens_of(manifest: Mapping[str, Any], stored: Mapping[str, Any]) -> Tokens:
    surfaces, segments, special = stored["tokens"], stored["segments"], stored["special"]
    second = stored["prediction"] if manifest["task"] == CAUSAL_LM else stored["pair"]
    texts, offsets = (stored["text"], *([] if second is None else [second])), stored["offsets"]
    placed = [
        segment < 0 or start == end or (texts[segment : segment + 1] and texts[segment][start:end] == surface)
        for surface, segment, (start, end) in zip(surfaces, segments, offsets, strict=True)
    ]
    if not all(placed):  # a chat, whose template is not stored
        ends = np.cumsum([len(surface) for surface in surfaces])
        offsets = np.stack([np.concatenate([[0], ends[:-1]]), ends], axis=1)
        texts, segments = ("".join(surfaces),), np.zeros(len(surfaces), dtype=int)
    return Tokens.from_spans(
        texts=texts,
        pieces=surfaces,
        ids=np.full(len(surfaces), -1),
        segments=segments,
        offsets=offsets,
        special=special,
    )
