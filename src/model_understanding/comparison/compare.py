"""Finds what two reports have in common, and compares it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from model_understanding.comparison.alignment import Matching, match_tokens
from model_understanding.comparison.attention import compare_attention
from model_understanding.comparison.attributions import compare_attributions, kind_of, same_target
from model_understanding.comparison.comparison import Comparison
from model_understanding.comparison.outputs import (
    ValuePair,
    compare_evaluations,
    compare_generations,
    compare_predictions,
)
from model_understanding.errors import InputError
from model_understanding.results.attention_map import AttentionMap
from model_understanding.results.attribution import Attribution
from model_understanding.results.report import Report
from model_understanding.tokens import Tokens

SIDES = ("first", "second")
_NAMED = (
    ("model", "models"),
    ("revision", "revisions"),
    ("architecture", "architectures"),
    ("tokenizer", "tokenizers"),
    ("dtype", "number types"),
    ("attention_implementation", "attention implementations"),
    ("versions", "versions"),
)
_OF_THE_MODEL = ("model", "revision", "architecture")
_IN_UNITS_OF_THE_MODEL = ("comprehensiveness", "sufficiency", "deletion", "insertion")
NORMALIZED = "normalized_aopc"
Part = TypeVar("Part", Attribution, AttentionMap)
Found = TypeVar("Found")


def compare(
    first: Report, second: Report, *, names: tuple[str, str] = ("first report", "second report")
) -> Comparison:
    """Set two reports side by side: two prompts, checkpoints, classes or methods.

    The texts are aligned by what they say (``alignment.match_tokens``), so reports of two tokenizers are
    compared too. Scores are compared raw where method, target and quantity agree, else as shares; the
    result says which, and why.

    Args:
        first: A report.
        second: Another of the same task; differences are the second less the first.
        names: What to call them.

    Returns:
        The comparison.

    Raises:
        InputError: One is no report, their tasks differ, or their texts have no token in common.

    >>> from model_understanding.results import Attribution, Prediction
    >>> def report(*scores):
    ...     tokens = Tokens.from_pieces(["a", "dull", "film"])
    ...     answer = Prediction(tokens=tokens, labels=("x",), logits=[1], probabilities=[1], problem="m")
    ...     return Report(prediction=answer, attributions=(Attribution.from_arrays(tokens, scores),))
    >>> compare(report(0, 3, 1), report(0, 2, 2)).attributions[0].differences.tolist()
    [[0.0, -1.0, 1.0]]
    """
    for name, report in zip(names, (first, second), strict=True):
        if not isinstance(report, Report):
            raise InputError(
                f"{name} is no report but {type(report).__name__}.",
                hint="Pass what analyze returned, or Report.load('x.json').",
            )
    sources = _sources(first, second, names)
    matching = match_tokens(*sources)
    alignment = matching.alignment(*sources)
    if not (alignment.same & ~alignment.special).any():
        quoted = [_quoted(report) for report in (first, second)]
        raise InputError(
            f"The two texts have no token in common: {quoted[0]} in {names[0]}, {quoted[1]} in {names[1]}.",
            hint="Compare reports of one text, or of texts that share words.",
        )
    left_out: list[str] = []
    attributions = _paired(
        "attribution",
        first.attributions,
        second.attributions,
        _likeness_of_attributions,
        lambda ours, theirs: compare_attributions(ours, theirs, matching),
        _attribution_words,
        left_out,
    )
    attention = _paired(
        "attention map",
        first.attention,
        second.attention,
        _likeness_of_maps,
        compare_attention,
        lambda attention: f"{attention.map}",
        left_out,
    )
    outputs = tuple(_outputs(first, second, matching))
    parts = [*attributions, *attention, *outputs]
    return Comparison(
        first=_answer(first),
        second=_answer(second),
        names=names,
        alignment=alignment,
        outputs=outputs,
        attributions=attributions,
        attention=attention,
        evaluations=tuple(compare_evaluations(first.evaluations, second.evaluations)),
        notes=(*_notes(first, second), *_notes_on_metrics(first, second)),
        left_out=tuple(left_out),
        change=max((part.change for part in parts), default=0.0),
    )


def _answer(report: Report) -> Report:
    return replace(report, attributions=(), contrasts=None, attention=(), heads=None, lens=None)


def _sources(first: Report, second: Report, names: Sequence[str]) -> tuple[Tokens, Tokens]:
    ours, theirs = first.prediction or first.generation, second.prediction or second.generation
    assert ours is not None
    assert theirs is not None
    if type(ours) is not type(theirs):
        kinds = [
            "a classifier's" if report.prediction else "a language model's" for report in (first, second)
        ]
        raise InputError(
            f"{names[0]} is {kinds[0]} report and {names[1]} {kinds[1]}: their answers and scores are not "
            "of one kind.",
            hint="Compare two reports of classifiers, or two of language models.",
        )
    return ours.tokens, theirs.tokens


def _outputs(first: Report, second: Report, matching: Matching) -> Iterator[ValuePair]:
    if first.prediction is not None and second.prediction is not None:
        yield from compare_predictions(first.prediction, second.prediction)
    if first.generation is not None and second.generation is not None:
        yield from compare_generations(first.generation, second.generation, matching)


def _paired(
    what: str,
    first: Sequence[Part],
    second: Sequence[Part],
    likeness: Callable[[Part, Part], int],
    compared: Callable[[Part, Part], Found | str],
    words: Callable[[Part], str],
    left_out: list[str],
) -> tuple[Found, ...]:
    """Compare the parts that are most alike, each once; say what has no counterpart."""
    candidates = sorted(
        (
            (-score, place, other)
            for place, ours in enumerate(first)
            for other, theirs in enumerate(second)
            if (score := likeness(ours, theirs)) >= 0
        ),
    )
    found: dict[int, Found] = {}
    used: tuple[set[int], set[int]] = (set(), set())
    for _, place, other in candidates:
        if place in used[0] or other in used[1]:
            continue
        result = compared(first[place], second[other])
        used[0].add(place)
        used[1].add(other)
        if isinstance(result, str):
            both = words(first[place]), words(second[other])
            named = both[0] if both[0] == both[1] else " and ".join(both)
            left_out.append(f"The {what}s {named} are not compared: {result}.")
        else:
            found[place] = result
    for side, parts in enumerate((first, second)):
        for place, part in enumerate(parts):
            if place not in used[side]:
                left_out.append(f"Only the {SIDES[side]} report has this {what}: {words(part)}.")
    return tuple(found[place] for place in sorted(found))


def _likeness_of_attributions(first: Attribution, second: Attribution) -> int:
    """Return how well two attributions fit each other, −1 where they explain different kinds of things."""
    if kind_of(first) != kind_of(second):
        return -1
    same = len(first.targets) == len(second.targets) and all(map(same_target, first.targets, second.targets))
    return 4 * (first.method == second.method) + 2 * same + (first.parameters == second.parameters)


def _likeness_of_maps(first: AttentionMap, second: AttentionMap) -> int:
    """Return how well two maps fit each other, −1 where they are of different kinds."""
    if first.map != second.map:
        return -1
    return (
        4 * ((first.steps is None) == (second.steps is None))
        + 2 * (first.layers == second.layers)
        + (first.heads == second.heads)
    )


def _attribution_words(attribution: Attribution) -> str:
    count = len(attribution.targets)
    target = attribution.targets[0].description() if count == 1 else f"{count} targets"
    return f"{attribution.method} of the {target}" if count == 1 else f"{attribution.method} of {target}"


def _notes(first: Report, second: Report) -> Iterator[str]:
    for name, plural in _NAMED:
        ours, theirs = getattr(first.provenance, name), getattr(second.provenance, name)
        if name == "versions":
            changed = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
            ours, theirs = (
                ", ".join(f"{key} {side[key]}" for key in changed if key in side) or "unknown"
                for side in (ours, theirs)
            )
        if ours != theirs:
            yield f"The {plural} differ: {ours or 'unknown'}; {theirs or 'unknown'}."


def _notes_on_metrics(first: Report, second: Report) -> Iterator[str]:
    """Yield which metrics of two models do not compare: those that count in what the model itself answers."""
    sides = first.provenance, second.provenance
    if all(getattr(sides[0], name) == getattr(sides[1], name) for name in _OF_THE_MODEL):
        return
    metrics = [{one.metric for one in report.evaluations} for report in (first, second)]
    named = [name for name in _IN_UNITS_OF_THE_MODEL if all(name in side for side in metrics)]
    if not named:
        return
    if all(NORMALIZED in side for side in metrics):
        instead = f"those of {NORMALIZED} do, from 0 to 1 between what each model can give on its text."
    else:
        instead = (
            f"make both reports with metrics=['{NORMALIZED}'] (--metrics {NORMALIZED}) for some that do."
        )
    words = " and ".join(filter(None, (", ".join(named[:-1]), named[-1])))
    yield f"Values of {words} do not compare between models, each of which has its own scale; {instead}"


def _quoted(report: Report) -> str:
    text = " ".join(" ".join(report.texts).split())
    return f"“{text if len(text) <= 60 else text[:59] + '…'}”"
