"""From attributions to assessments: which tokens are removed, one shared batch, every metric asked for."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from model_understanding.checks import whole_number
from model_understanding.errors import InputError, ModelUnderstandingError, StoppedError
from model_understanding.evaluation.protocol import Metric
from model_understanding.evaluation.ranked_text import RankedText, candidates_of
from model_understanding.evaluation.removals import Removals, measures_of
from model_understanding.evaluation.rerun import again_of
from model_understanding.model.metering import counting
from model_understanding.passes.runner import Runner
from model_understanding.registry import METRICS
from model_understanding.results import Assessment, Attribution, Evaluation, Target
from model_understanding.results.evaluation import NOT_EVALUATED
from model_understanding.results.target import sum_of_steps
from model_understanding.text.encoding import Encoding

MIN_CANDIDATES = 6  # with 5, even perfect scores have a z-score of only 2
MIN_DRAWS = 5


def metrics_of(asked: Sequence[str | Metric] | None) -> tuple[Metric, ...]:
    """Return the metrics asked for: the default ones, and those asked for besides.

    Args:
        asked: Names of metrics that run on request, or metrics with settings of their own, which then
            stand for the default ones of their name.

    Raises:
        InputError: There is no such metric.
    """
    if isinstance(asked, str):
        asked = (asked,)
    given = [METRICS.load(one)() if isinstance(one, str) else one for one in asked or ()]
    default: list[Metric] = [METRICS.load(name)() for name in METRICS.names()]
    found = {metric.name: metric for metric in default if not metric.on_request}
    return tuple({**found, **{metric.name: metric for metric in given}}.values())


def assess(
    runner: Runner,
    encoding: Encoding,
    attributions: Sequence[Attribution],
    *,
    function: Callable[[Any], Any] | None = None,
    metrics: Sequence[str | Metric] | None = None,
    draws: int = MIN_DRAWS,
    seed: int = 0,
    replacements: Sequence[str] | None = None,
) -> list[Assessment]:
    """Assess attributions of one text, each target of each; variants are shared between them.

    Args:
        runner: The runner.
        encoding: The text they explain.
        attributions: The attributions.
        function: The caller's function, where the target is one.
        metrics: Metrics beside the default ones, by name or as they are.
        draws: Random orders.
        seed: Seed of these orders.
        replacements: What stands in for removed tokens; the first two that fit the model where left out.

    Returns:
        An assessment for each attribution and target, in order.

    Raises:
        InputError: A metric is unknown, or there are too few random orders.
    """
    draws = whole_number(draws, "draws", least=MIN_DRAWS)
    chosen = metrics_of(metrics)
    held: dict[Target, Removals] = {}
    rows = [row for one in attributions for row in _rows(one, runner.is_language_model)]
    found = []
    for row in rows:
        others = tuple(other for other in rows if other is not row and other.targets == row.targets)
        question = {"draws": draws, "seed": seed, "others": others}
        found.append(_assessed(runner, encoding, row, function, chosen, replacements, held, question))
    return found


def evaluations_for_report(
    runner: Runner,
    encoding: Encoding,
    attribution: Attribution,
    function: Callable[[Any], Any] | None,
    metrics: Sequence[str | Metric] | None = None,
) -> tuple[Evaluation, ...]:
    """Return what an evaluation of a report's main attribution found; where none is possible, why.

    Args:
        runner: The runner.
        encoding: The text it explains.
        attribution: The attribution.
        function: The caller's function, where the target is one.
        metrics: Metrics beside the default ones, by name or as they are.

    Raises:
        InputError: There is no such metric.
        StoppedError: The caller's progress function returned ``False``.
    """
    chosen = metrics_of(metrics)  # a name that is wrong is no reason to call the explanation not evaluated
    try:
        found = assess(runner, encoding, [attribution], function=function, metrics=chosen)[0]
    except StoppedError:  # the caller's wish, not a reason
        raise
    except ModelUnderstandingError as error:  # an explanation that cannot be judged is still one
        found = Assessment(
            method=attribution.method,
            target=attribution.targets[0].description(),
            verdict=NOT_EVALUATED,
            reasons=(str(error).partition("\n")[0],),
        )
    if found.evaluations:
        return found.evaluations
    return (
        Evaluation(
            metric="verdict",
            value=None,
            curve=np.zeros((0, 2)),
            control=np.zeros(0),
            higher_is_better=True,
            method=found.method,
            target=found.target,
            verdict=found.verdict,
            reasons=found.reasons,
        ),
    )


def check_same_tokens(attribution: Attribution, encoding: Encoding) -> None:
    """Raise InputError unless an attribution's tokens are those of its text as this model sees it."""
    if not np.array_equal(attribution.tokens.ids, encoding.tokens[0].ids):
        raise InputError(
            "The tokens of the attribution are not the tokens of this model for the text.",
            hint="Evaluate an attribution from this model, without words() or sentences().",
        )


def _assessed(
    runner: Runner,
    encoding: Encoding,
    row: Attribution,
    function: Callable[[Any], Any] | None,
    metrics: tuple[Metric, ...],
    replacements: Sequence[str] | None,
    held: dict[Target, Removals],
    question: dict[str, Any],
) -> Assessment:
    started, target = time.perf_counter(), row.targets[0]
    blank = Assessment(method=row.method, target=target.description(), verdict=NOT_EVALUATED)
    candidates = candidates_of(row, runner.is_language_model)
    if row.parameters.get("layer") is not None:
        reason = "Scores of a layer's hidden states cannot be evaluated; only scores of the input tokens can."
        return replace(blank, reasons=(reason,))
    if len(candidates) < MIN_CANDIDATES:
        tokens = f"{len(candidates)} token{'' if len(candidates) == 1 else 's'}"
        reason = f"The text is too short: {tokens} can be removed, at least {MIN_CANDIDATES} are needed."
        return replace(blank, reasons=(reason,))
    with counting() as meter:
        if target not in held:
            measures = measures_of(runner, encoding, target, function)
            held[target] = Removals(runner, encoding, measures, replacements)
        removals = held[target]
        if not removals.replacements:
            reason = "This model supports no replacement for removed tokens."
            return replace(blank, reasons=(reason,))
        before = removals.variants
        text = RankedText(
            removals=removals,
            attribution=row,
            candidates=candidates,
            again=again_of(runner, encoding, row, function, question["seed"]),
            **question,
        )
        wanted = [np.zeros((1, len(row.tokens)), dtype=bool), *(metric.removals(text) for metric in metrics)]
        removals.values(np.concatenate(wanted))  # all variants of all metrics in one packed batch
        evaluations = tuple(one for metric in metrics for one in metric(text))
    verdict = next(one for one in evaluations if one.verdict is not None)
    return replace(
        blank,
        verdict=verdict.verdict or blank.verdict,
        reasons=verdict.reasons,
        evaluations=evaluations,
        variants=removals.variants - before,
        forwards=round(meter.positions / len(row.tokens), 2),
        seconds=time.perf_counter() - started,
    )


def _rows(attribution: Attribution, is_language_model: bool) -> list[Attribution]:
    """Return an attribution's targets one by one; the steps of a continuation as the whole that they make."""
    targets = attribution.targets
    steps = is_language_model and len(targets) > 1 and len({target.positions for target in targets}) > 1
    if not steps:
        return [attribution.row(number) for number in range(len(targets))]
    return [
        replace(
            attribution,
            targets=(sum_of_steps(targets),),
            scores=attribution.scores.sum(axis=0, keepdims=True),
            valid=attribution.valid.any(axis=0, keepdims=True),
            outputs=attribution.outputs.sum(keepdims=True),
            baseline_outputs=_summed(attribution.baseline_outputs),
            gaps=_summed(attribution.gaps),
            standard_errors=None,
        )
    ]


def _summed(values: np.ndarray | None) -> np.ndarray | None:
    return None if values is None else values.sum(keepdims=True)
