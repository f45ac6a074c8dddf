"""How far the attributions of a report agree, for its page: each pair that explains the same of one text."""

from itertools import combinations
from typing import Any

import numpy as np

from model_understanding.results import Attribution, Report
from model_understanding.results.agreement import rank_correlation, top_count, top_overlap


def encoded_agreements(report: Report) -> list[dict[str, Any]]:
    """Return the agreement of each pair of attributions with the same tokens and targets.

    Args:
        report: The report.

    Returns:
        ``Agreement`` of the payload's schema for each pair: Spearman's rank correlation and the share of
        the largest tokens in common, for each target. Sizes are compared where one has no signs.
    """
    pairs = combinations(enumerate(report.attributions), 2)
    return [
        {"first": place, "second": other, **_agreement(ours, theirs)}
        for (place, ours), (other, theirs) in pairs
        if ours.targets == theirs.targets and np.array_equal(ours.tokens.ids, theirs.tokens.ids)
    ]


def _agreement(first: Attribution, second: Attribution) -> dict[str, Any]:
    signed = first.signed and second.signed
    correlations, overlaps, counts = [], [], []
    for row in range(len(first.targets)):
        counted = first.valid[row] & second.valid[row] & ~first.tokens.special
        sides = [side.scores[row, counted] for side in (first, second)]
        one, two = sides if signed else map(np.abs, sides)
        counts.append(top_count(len(one)))
        correlations.append(rank_correlation(one, two))
        overlaps.append(top_overlap(one, two, counts[-1]))
    return {"correlations": correlations, "overlaps": overlaps, "counts": counts, "signed": signed}
