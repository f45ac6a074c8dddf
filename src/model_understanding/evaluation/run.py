"""Assess attributions: the default metrics and the requested ones, on variants of the text they share."""

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
from model_understanding.evaluation.rerun import rerun_of
from model_understanding.evaluation.verdict import Verdict
from model_understanding.model.metering import counting
from model_understanding.passes.runner import Runner
from model_understanding.registry import METRICS
from model_understanding.results import Assessment, Attribution, Evaluation, Target
from model_understanding.results.evaluation import NOT_EVALUATED
from model_understanding.targets.names import TOKEN_CLASSIFICATION
from model_understanding.text.encoding import Encoding

MIN_CANDIDATES = 6  # with five tokens even a perfect map has a z-score of only 2
MIN_DRAWS = 5
MOST_TESTED = 16  # targets of a report whose maps are tested, each by its own order of removals


def metrics_of(requested: Sequence[str | Metric] | None) -> tuple[Metric, ...]:
    """Return the default metrics and the requested ones.

    Args:
        requested: Names of metrics that run on request; or metrics with other settings, which replace
            default ones of the same name.

    Raises:
        InputError: There is no such metric.
    """
    if isinstance(requested, str):
        requested = (requested,)
    extra = [METRICS.load(metric)() if isinstance(metric, str) else metric for metric in requested or ()]
    registered: list[Metric] = [METRICS.load(name)() for name in METRICS.names()]
    default = {metric.name: metric for metric in registered if not metric.on_request}
    return tuple({**default, **{metric.name: metric for metric in extra}}.values())


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
    """Assess attributions of one text, for each target of each; they share the variants of the text.

    Args:
        runner: The runner.
        encoding: The text they explain.
        attributions: The attributions.
        function: The caller's function, where that is the target.
        metrics: Metrics in addition to the default ones, by name or as objects.
        draws: The number of random orders.
        seed: Seed of these orders.
        replacements: Replacements for removed tokens; ``None`` for the first two that the model supports.

    Returns:
        An assessment for each attribution and target, in order.

    Raises:
        InputError: A metric is unknown, or there are too few random orders.
    """
    draws = whole_number(draws, "draws", MIN_DRAWS)
    all_metrics = metrics_of(metrics)
    rows = [
        row for attribution in attributions for row in _single_targets(attribution, runner.is_language_model)
    ]
    each = [(row, all_metrics) for row in rows]
    return _assess_rows(runner, encoding, each, function, draws, seed, replacements)


def _assess_rows(
    runner: Runner,
    encoding: Encoding,
    rows: Sequence[tuple[Attribution, tuple[Metric, ...]]],
    function: Callable[[Any], Any] | None,
    draws: int = MIN_DRAWS,
    seed: int = 0,
    replacements: Sequence[str] | None = None,
) -> list[Assessment]:
    """Assess attributions of one target each, each by its own metrics."""
    targets = list(dict.fromkeys(row.targets[0] for row, _ in rows))
    shares_passes = runner.model.task == TOKEN_CLASSIFICATION and len(targets) > 1 and function is None
    if shares_passes and runner.shared is None:
        runner = runner.sharing()
    removals: dict[Target, Removals] = {}
    together: list[Target] = []  # what all targets read of a variant, if one pass gives them all

    def removals_of(target: Target) -> Removals:
        if shares_passes and not together:
            measures = (measures_of(runner, encoding, other, None) for other in targets)
            together.extend(
                value for each in measures for value in each.values() if isinstance(value, Target)
            )
        if target not in removals:
            measures = measures_of(runner, encoding, target, function)
            removals[target] = Removals(runner, encoding, measures, replacements, together)
        return removals[target]

    assessments = []
    for row, metrics in rows:
        others = tuple(other for other, _ in rows if other is not row and other.targets == row.targets)
        rerun = rerun_of(runner, encoding, row, function, seed)
        options = {"draws": draws, "seed": seed, "others": others, "rerun": rerun}
        assessments.append(_assess_row(row, runner.is_language_model, removals_of, metrics, options))
    return assessments


def evaluations_for_report(
    runner: Runner,
    encoding: Encoding,
    attribution: Attribution,
    function: Callable[[Any], Any] | None,
    metrics: Sequence[str | Metric] | None = None,
) -> tuple[Evaluation, ...]:
    """Return the evaluations of a report's main map, or one that says why it has none.

    It is the sum over the steps of a continuation; of several other targets, the map of the first. The
    labels of a text have a verdict each: forward passes without some tokens serve all of them.

    Args:
        runner: The runner.
        encoding: The text it explains.
        attribution: The attribution.
        function: The caller's function, where that is the target.
        metrics: Metrics in addition to the default ones, by name or as objects.

    Raises:
        InputError: There is no such metric.
        StoppedError: The caller's progress function returned ``False``.
    """
    all_metrics = metrics_of(metrics)  # raises here, not below: a wrong name must not pass as a reason
    rows = _single_targets(attribution, runner.is_language_model)
    tested = rows[: MOST_TESTED if runner.model.task == TOKEN_CLASSIFICATION else 1]
    each = [(row, all_metrics if row is tested[0] else (Verdict(),)) for row in tested]
    try:
        assessments = _assess_rows(runner, encoding, each, function)
    except StoppedError:  # requested by the caller
        raise
    except ModelUnderstandingError as error:  # the report is still useful without a verdict
        assessments = [
            Assessment(
                method=attribution.method,
                target=attribution.targets[0].description(),
                verdict=NOT_EVALUATED,
                reasons=(str(error).partition("\n")[0],),
            )
        ]
    first, *others = assessments
    verdicts = (
        next((one for one in other.evaluations if one.verdict is not None), _without_value(other))
        for other in others
    )
    return (*(first.evaluations or (_without_value(first),)), *verdicts)


def _without_value(assessment: Assessment) -> Evaluation:
    """Return a verdict that says why there is none."""
    return Evaluation(
        metric="verdict",
        value=None,
        curve=np.zeros((0, 2)),
        control=np.zeros(0),
        higher_is_better=True,
        method=assessment.method,
        target=assessment.target,
        verdict=assessment.verdict,
        reasons=assessment.reasons,
    )


def check_same_tokens(attribution: Attribution, encoding: Encoding) -> None:
    """Raise InputError unless an attribution's tokens are those of its text for this model."""
    if not np.array_equal(attribution.tokens.ids, encoding.tokens[0].ids):
        raise InputError(
            "The tokens of the attribution are not the tokens of this model for the text.",
            hint="Evaluate an attribution from this model, without words() or sentences().",
        )


def _assess_row(
    row: Attribution,
    is_language_model: bool,
    removals_of: Callable[[Target], Removals],
    metrics: tuple[Metric, ...],
    options: dict[str, Any],
) -> Assessment:
    """Assess an attribution of one target.

    Args:
        row: The attribution.
        is_language_model: Whether the model predicts tokens.
        removals_of: Returns the removals of a target, the same for all attributions of it.
        metrics: The metrics to run.
        options: Other fields of the ``RankedText``.
    """
    start_time = time.perf_counter()
    (target,) = row.targets
    not_evaluated = Assessment(method=row.method, target=target.description(), verdict=NOT_EVALUATED)
    candidates = candidates_of(row, is_language_model)
    if row.parameters.get("layer") is not None:
        reason = "Scores of a layer's hidden states cannot be evaluated; only scores of the input tokens can."
        return replace(not_evaluated, reasons=(reason,))
    if len(candidates) < MIN_CANDIDATES:
        tokens = f"{len(candidates)} token{'' if len(candidates) == 1 else 's'}"
        reason = f"The text is too short: {tokens} can be removed, at least {MIN_CANDIDATES} are needed."
        return replace(not_evaluated, reasons=(reason,))
    with counting() as counter:
        removals = removals_of(target)
        if not removals.replacements:
            reason = "This model supports no replacement for removed tokens."
            return replace(not_evaluated, reasons=(reason,))
        variants_before = removals.variants
        text = RankedText(removals=removals, attribution=row, candidates=candidates, **options)
        unchanged = np.zeros((1, len(row.tokens)), dtype=bool)
        variants = np.concatenate([unchanged, *(metric.removals(text) for metric in metrics)])
        removals.values(variants)  # those of all metrics in one batch
        evaluations = tuple(evaluation for metric in metrics for evaluation in metric(text))
    verdict = next(evaluation for evaluation in evaluations if evaluation.verdict is not None)
    return replace(
        not_evaluated,
        verdict=verdict.verdict or not_evaluated.verdict,
        reasons=verdict.reasons,
        evaluations=evaluations,
        variants=removals.variants - variants_before,
        forwards=round(counter.positions / len(row.tokens), 2),
        seconds=time.perf_counter() - start_time,
    )


def _single_targets(attribution: Attribution, is_language_model: bool) -> list[Attribution]:
    """Return an attribution of each target; of a continuation's steps, one attribution of their sum."""
    targets = attribution.targets
    is_continuation = (
        is_language_model and len(targets) > 1 and len({target.positions for target in targets}) > 1
    )
    if not is_continuation:
        return [attribution.row(index) for index in range(len(targets))]
    return [attribution.summed()]
