"""Compare what two reports have in common."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar, overload

from model_understanding.comparison.alignment import Matching, match_tokens
from model_understanding.comparison.attention import compare_attention
from model_understanding.comparison.attributions import compare_attributions, kind_of, same_target
from model_understanding.comparison.comparison import Comparison
from model_understanding.comparison.likelihoods import LikelihoodComparison, compare_likelihoods
from model_understanding.comparison.outputs import (
    ValuePair,
    compare_answers,
    compare_evaluations,
    compare_generations,
    compare_predictions,
)
from model_understanding.errors import InputError
from model_understanding.results.attention_map import AttentionMap
from model_understanding.results.attribution import Attribution
from model_understanding.results.choices import Choices
from model_understanding.results.generation import Generation
from model_understanding.results.mask_filling import MaskFilling
from model_understanding.results.prediction import Prediction
from model_understanding.results.pseudo_likelihood import PseudoLikelihood
from model_understanding.results.report import Report
from model_understanding.results.span_answer import SpanAnswer
from model_understanding.results.tagging import Tagging
from model_understanding.tokens import Tokens

_SIDES = ("first", "second")
_PROVENANCE_NAMES = {
    "model": "models",
    "revision": "revisions",
    "architecture": "architectures",
    "tokenizer": "tokenizers",
    "dtype": "dtypes",
    "attention_implementation": "attention implementations",
    "versions": "versions",
}
_MODEL_FIELDS = ("model", "revision", "architecture")
_MODEL_SCALE_METRICS = ("comprehensiveness", "sufficiency", "deletion", "insertion")
_NORMALIZED = "normalized_aopc"
_KINDS: dict[type, str] = {
    Prediction: "a classifier",
    Generation: "a language model",
    Tagging: "a tagger",
    SpanAnswer: "a question answering model",
    MaskFilling: "a masked language model",
}
_KINDS_OF_CHOICES = {
    "choice": "a multiple choice model",
    "label": "labels by hypothesis",
    "document": "ranked documents",
}
Part = TypeVar("Part", Attribution, AttentionMap)
PartComparison = TypeVar("PartComparison")


@overload
def compare(first: Report, second: Report, *, names: tuple[str, str] | None = None) -> Comparison: ...
@overload
def compare(
    first: PseudoLikelihood, second: PseudoLikelihood, *, names: tuple[str, str] | None = None
) -> LikelihoodComparison: ...
def compare(
    first: Any, second: Any, *, names: tuple[str, str] | None = None
) -> Comparison | LikelihoodComparison:
    """Compare two reports, for example of two prompts, checkpoints, classes or methods.

    Tokens are aligned by their text (``alignment.match_tokens``), so reports with different tokenizers can be
    compared. Raw scores are compared if method, target and quantity are the same, else shares; the result
    says which, and why. Two pseudo-log-likelihoods are compared too: which text a masked language model finds
    more natural, and where.

    Args:
        first: A report, or a pseudo-log-likelihood.
        second: Another one of the same kind of model; differences are second minus first.
        names: Names of the two.

    Returns:
        The comparison.

    Raises:
        InputError: One is not a report, the models are of different kinds, or the texts have no token in
            common.

    >>> from model_understanding.results import Attribution, Prediction
    >>> def report(*scores):
    ...     tokens = Tokens.from_pieces(["a", "dull", "film"])
    ...     answer = Prediction(tokens=tokens, labels=("x",), logits=[1], probabilities=[1], problem="m")
    ...     return Report(prediction=answer, attributions=(Attribution.from_arrays(tokens, scores),))
    >>> compare(report(0, 3, 1), report(0, 2, 2)).attributions[0].differences.tolist()
    [[0.0, -1.0, 1.0]]
    """
    if isinstance(first, PseudoLikelihood) and isinstance(second, PseudoLikelihood):
        return compare_likelihoods(first, second, names or ("first text", "second text"))
    for side, report in zip(_SIDES, (first, second), strict=True):
        if not isinstance(report, Report):
            raise InputError(
                f"The {side} argument must be a Report. Got {type(report).__name__}.",
                hint="Pass the result of analyze, or Report.load('x.json').",
            )
    assert isinstance(first, Report)
    return _compared_reports(first, second, names or ("first report", "second report"))


def _compared_reports(first: Report, second: Report, names: tuple[str, str]) -> Comparison:
    sources = _sources(first, second, names)
    matching = match_tokens(*sources)
    alignment = matching.alignment(*sources)
    if not (alignment.same & ~alignment.special).any():
        quoted = [_quoted(report) for report in (first, second)]
        raise InputError(
            f"The texts have no token in common: {quoted[0]} ({names[0]}), {quoted[1]} ({names[1]}).",
            hint="Compare reports on the same text, or on texts that share words.",
        )
    unmatched: list[tuple[Attribution, str]] = []
    missing: list[tuple[AttentionMap, str]] = []
    two_classes = _has_same_two_classes(first, second)
    attributions = _compare_parts(
        "attribution",
        _compared_maps(first),
        _compared_maps(second),
        _attribution_similarity,
        lambda ours, theirs: compare_attributions(ours, theirs, matching, two_classes=two_classes),
        _attribution_label,
        unmatched,
    )
    attention = _compare_parts(
        "attention map",
        first.attention,
        second.attention,
        _map_similarity,
        compare_attention,
        _map_label,
        missing,
    )
    # A report that was saved as a page has more maps than one that was not: that is no difference.
    stacks = {part.first.stack for part in attention}
    extra = tuple(sentence for one, sentence in missing if one.stack in stacks)
    omissions = [
        *(sentence for _, sentence in unmatched),
        *(sentence for one, sentence in missing if one.stack not in stacks),
    ]
    outputs = tuple(_outputs(first, second, matching))
    parts = [*attributions, *(part for part in attention if part.has_shares), *outputs]
    return Comparison(
        first=_without_explanations(first),
        second=_without_explanations(second),
        names=names,
        alignment=alignment,
        outputs=outputs,
        attributions=attributions,
        attention=attention,
        evaluations=tuple(compare_evaluations(first.evaluations, second.evaluations)),
        notes=(
            *_provenance_notes(first, second),
            *_metric_notes(first, second),
            *_other_texts(first, second),
            *extra,
        ),
        left_out=tuple(omissions),
        change=max((part.change for part in parts), default=0.0),
    )


def _without_explanations(report: Report) -> Report:
    return replace(report, attributions=(), contrasts=None, attention=(), heads=None, lens=None, links=None)


def _has_same_two_classes(first: Report, second: Report) -> bool:
    """Return whether both reports have the same two classes, of which exactly one is true."""
    sides = first.prediction, second.prediction
    return (
        all(side is not None and side.problem == "single_label" and len(side.labels) == 2 for side in sides)
        and len({side.labels for side in sides if side is not None}) == 1
    )


def _sources(first: Report, second: Report, names: Sequence[str]) -> tuple[Tokens, Tokens]:
    ours, theirs = (report.prediction or report.generation or report.answer for report in (first, second))
    for source, name in ((ours, names[0]), (theirs, names[1])):
        if source is None:
            raise InputError(
                f"The report {name} has no prediction, generation or other answer to compare.",
                hint="Compare reports that analyze returned.",
            )
    kinds = [_kind(source) for source in (ours, theirs)]
    if kinds[0] != kinds[1]:
        for side, report in enumerate((first, second)):
            if report.prediction is not None and report.provenance.task == "sentence-similarity":
                kinds[side] = "the similarity of two texts"
        raise InputError(
            f"Cannot compare a report on {kinds[0]} ({names[0]}) with one on {kinds[1]} ({names[1]}).",
            hint="Compare two reports on models of one kind.",
        )
    return first.tokens, second.tokens


def _kind(answer: object) -> str:
    """Return what a report with this answer is on."""
    if isinstance(answer, Choices):
        return _KINDS_OF_CHOICES.get(answer.kind, "choices")
    return _KINDS[type(answer)]


def _compared_maps(report: Report) -> tuple[Attribution, ...]:
    """Return the attributions that can be compared: of choices, only those over the text of the answer."""
    if not isinstance(report.answer, Choices):
        return report.attributions
    return tuple(one for one in report.attributions if one.tokens.texts == report.texts)


def _other_texts(first: Report, second: Report) -> Iterator[str]:
    """Yield that maps of other choices are not compared, if there are some."""
    for side, report in zip(_SIDES, (first, second), strict=True):
        count = len(report.attributions) - len(_compared_maps(report))
        if count:
            maps = "the map of another choice" if count == 1 else f"the maps of {count} other choices"
            yield f"Only the model's own choices are compared, not {maps} of the {side} report."


def _outputs(first: Report, second: Report, matching: Matching) -> Iterator[ValuePair]:
    if first.prediction is not None and second.prediction is not None:
        yield from compare_predictions(first.prediction, second.prediction)
    if first.answer is not None and second.answer is not None:
        yield from compare_answers(first.answer, second.answer)
    if first.generation is not None and second.generation is not None:
        yield from compare_generations(first.generation, second.generation, matching)


def _compare_parts(
    kind: str,
    first: Sequence[Part],
    second: Sequence[Part],
    similarity: Callable[[Part, Part], int],
    compare_pair: Callable[[Part, Part], PartComparison | str],
    label: Callable[[Part], str],
    omissions: list[tuple[Part, str]],
) -> tuple[PartComparison, ...]:
    """Compare the most similar parts, each at most once; add what cannot be compared, and why."""
    candidates = sorted(
        (
            (-score, i, j)
            for i, ours in enumerate(first)
            for j, theirs in enumerate(second)
            if (score := similarity(ours, theirs)) >= 0
        ),
    )
    comparisons: dict[int, PartComparison] = {}
    used: tuple[set[int], set[int]] = (set(), set())
    for _, i, j in candidates:
        if i in used[0] or j in used[1]:
            continue
        result = compare_pair(first[i], second[j])
        used[0].add(i)
        used[1].add(j)
        if isinstance(result, str):
            labels = " and ".join(dict.fromkeys((label(first[i]), label(second[j]))))
            omissions.append((first[i], f"The {kind}s {labels} are not compared: {result}."))
        else:
            comparisons[i] = result
    for side, parts in enumerate((first, second)):
        for index, part in enumerate(parts):
            if index not in used[side]:
                omissions.append((part, f"Only the {_SIDES[side]} report has the {kind} {label(part)}."))
    return tuple(comparisons[index] for index in sorted(comparisons))


def _attribution_similarity(first: Attribution, second: Attribution) -> int:
    """Return how well two attributions correspond, −1 if their targets are of different kinds."""
    if kind_of(first) != kind_of(second):
        return -1
    same = len(first.targets) == len(second.targets) and all(map(same_target, first.targets, second.targets))
    return 4 * (first.method == second.method) + 2 * same + (first.parameters == second.parameters)


def _map_label(attention: AttentionMap) -> str:
    return attention.map if attention.stack is None else f"{attention.map} ({attention.stack} attention)"


def _map_similarity(first: AttentionMap, second: AttentionMap) -> int:
    """Return how well two maps correspond, −1 if they are of different kinds or stacks."""
    if (first.map, first.stack) != (second.map, second.stack):
        return -1
    return (
        4 * ((first.steps is None) == (second.steps is None))
        + 2 * (first.layers == second.layers)
        + (first.heads == second.heads)
    )


def _attribution_label(attribution: Attribution) -> str:
    count = len(attribution.targets)
    target = attribution.targets[0].description() if count == 1 else f"{count} targets"
    return f"{attribution.method} ({target})"


def _provenance_notes(first: Report, second: Report) -> Iterator[str]:
    for name, plural in _PROVENANCE_NAMES.items():
        ours, theirs = getattr(first.provenance, name), getattr(second.provenance, name)
        if name == "versions":
            changed = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
            ours, theirs = (
                ", ".join(f"{key} {side[key]}" for key in changed if key in side) or "unknown"
                for side in (ours, theirs)
            )
        if ours != theirs:
            yield f"Different {plural}: {ours or 'unknown'}; {theirs or 'unknown'}."


def _metric_notes(first: Report, second: Report) -> Iterator[str]:
    """Yield which metrics cannot be compared between two models: those on the scale of the model's output."""
    sides = first.provenance, second.provenance
    if all(getattr(sides[0], name) == getattr(sides[1], name) for name in _MODEL_FIELDS):
        return
    metrics = [{evaluation.metric for evaluation in report.evaluations} for report in (first, second)]
    incomparable = [name for name in _MODEL_SCALE_METRICS if all(name in side for side in metrics)]
    if not incomparable:
        return
    if all(_NORMALIZED in side for side in metrics):
        alternative = f"{_NORMALIZED} can: it is normalized to the range of each model."
    else:
        alternative = f"create both reports with metrics=['{_NORMALIZED}'] (--metrics {_NORMALIZED}) instead."
    listed = " and ".join(filter(None, (", ".join(incomparable[:-1]), incomparable[-1])))
    yield (
        f"Values of {listed} cannot be compared between models, because each model has its own scale; "
        f"{alternative}"
    )


def _quoted(report: Report) -> str:
    text = " ".join(" ".join(report.texts).split())
    return f"“{text if len(text) <= 60 else text[:59] + '…'}”"
