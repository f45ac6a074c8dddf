"""How far the scores of a run are to be believed: the evaluation of a random sample of its rows."""

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from model_understanding.attribution.isolation import attempted
from model_understanding.dataset.opening import CLOSE, difference_from_stored, explained_again
from model_understanding.dataset.summary.reading import StoredRows
from model_understanding.dataset.summary.sampling import EVALUATED, Reservoir
from model_understanding.results import Assessment, Failure
from model_understanding.results.assessment_summary import summarize
from model_understanding.results.dataset_summary import TrustSample
from model_understanding.results.evaluation import NOT_EVALUATED, VERDICTS
from model_understanding.statistics import wilson_interval

MOST_PASSES = 250  # forward passes that the evaluation of a row takes, at most
LEAST = 20  # rows that are to be believed least
_ORDER = ("not supported", "weak", "supported")  # least believed first


class _Evaluated(NamedTuple):
    """A row of the sample.

    Args:
        verdict: Its verdict.
        z_score: The z-score that it rests on; 0 if only the verdict is known.
        row: Its place in the input.
    """

    verdict: str
    z_score: float
    row: int

    def key(self) -> tuple[int, float, int]:
        """Return what rows are sorted by, those that are to be believed least first."""
        return _ORDER.index(self.verdict), self.z_score, self.row


def measure_trust(
    explainer: Any,
    rows: StoredRows,
    sample: int = EVALUATED,
    seed: int = 0,
    *,
    progress: Callable[[str, int, int | None], Any] | None = None,
) -> TrustSample:
    """Return how far the scores of a run are to be believed, from a random sample of its rows.

    Every row that was explained is in the sample with the same probability. Each is explained again by the
    run's method and settings, and its scores are evaluated: the sample takes at most ``MOST_PASSES`` forward
    passes a row beside those of the method. Where the run has evaluated its rows, the verdicts of all of them
    are counted, and nothing is computed. This is what
    ``model-understanding summarize --sample N`` measures.

    Args:
        explainer: The visualizer of the run's model, as ``model_of_run`` returns it; not needed where the run
            has evaluated its rows.
        rows: The rows of the run.
        sample: Rows of the sample, at most.
        seed: Seed of the sample.
        progress: Called with what is being done, the rows that are done and how many there are.
    """
    if rows.manifest["evaluate"]:
        return _stored(rows)
    chosen = Reservoir[int](sample, seed)
    for row, error in rows.columns("row", "error"):
        if error is None:
            chosen.add(row)
    evaluated: list[_Evaluated] = []
    assessments: list[Assessment] = []
    problems: list[str] = []
    differences: list[float] = []
    for done, row in enumerate(sorted(chosen)):
        if progress is not None:
            progress("Evaluating a sample", done, len(chosen))
        result = attempted(partial(_evaluated, explainer, rows, row), "skip")
        if isinstance(result, Failure):
            problems.append(result.message)
            continue
        assessment, difference = result
        differences.append(difference)
        if assessment.verdict == NOT_EVALUATED:
            problems += assessment.reasons[:1]
            continue
        assessments.append(assessment)
        evaluated.append(_Evaluated(assessment.verdict, assessment.advantage or 0.0, row))
    if progress is not None:
        progress("Evaluating a sample", len(chosen), len(chosen))
    counts = Counter(each.verdict for each in evaluated)
    counts[NOT_EVALUATED] = len(problems)
    least = heapq.nsmallest(LEAST, evaluated, key=_Evaluated.key)
    means = summarize(assessments)[0].means if assessments else ()
    return _sample(counts, least, means=means, cautions=_cautions(differences, problems))


def _evaluated(explainer: Any, rows: StoredRows, row: int) -> tuple[Assessment, float]:
    """Return the evaluation of a row's scores, and how far they are from those that the run stored."""
    stored = rows.values(row)
    report = explained_again(
        explainer, rows.manifest, stored, evaluate=False, attention=False, scores_only=True
    )
    attribution = report.attributions[0]
    difference = difference_from_stored(
        attribution if len(attribution.targets) == 1 else attribution.summed(), stored
    )
    return explainer.evaluate(attribution), 1.0 if difference is None else difference


def _stored(rows: StoredRows) -> TrustSample:
    """Return the verdicts that the run has measured."""
    counts: Counter[str] = Counter()

    def evaluated() -> Any:
        for row, error, verdict in rows.columns("row", "error", "verdict"):
            if error is None:
                counts[verdict or NOT_EVALUATED] += 1
                if verdict in _ORDER:
                    yield _Evaluated(verdict, 0.0, row)

    least = heapq.nsmallest(LEAST, evaluated(), key=_Evaluated.key)
    return _sample(counts, least)


def _sample(counts: Counter[str], least: Sequence[_Evaluated], **fields: Any) -> TrustSample:
    total = sum(counts[verdict] for verdict in _ORDER)
    return TrustSample(
        rows=total,
        verdicts={verdict: counts[verdict] for verdict in VERDICTS if counts[verdict]},
        supported=counts["supported"] / max(total, 1),
        interval=wilson_interval(counts["supported"], total),
        least=tuple(each.row for each in least),
        verdict_of={each.row: each.verdict for each in least},
        **fields,
    )


def _cautions(differences: Sequence[float], problems: Sequence[str]) -> tuple[str, ...]:
    """Return what is to be known about the sample, in sentences."""
    cautions: list[str] = []
    others = [difference for difference in differences if difference > CLOSE]
    if others:
        largest = f"{100 * max(others):.0f} % of the largest score"
        cautions.append(
            f"The scores of {_rows(len(others))} of the sample, computed again, differ from those that the "
            f"run stored by up to {largest}; the verdicts are of the new ones."
        )
    if problems:
        (reason, _), *more = Counter(problems).most_common()
        example = ", for example" if more else ""
        cautions.append(f"{_rows(len(problems))} of the sample could not be evaluated{example}: {reason}")
    return tuple(cautions)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
