"""Comparisons of reports made by hand, for what shows them."""

from dataclasses import replace

from compared_reports import attention, attribution, classification, words
from sample_results import HOSTILE, generation, hostile

from model_understanding import compare
from model_understanding.comparison import Comparison


def found(**changed: object) -> Comparison:
    first, second = words("a good film here"), words("a bad film indeed here")
    return compare(
        classification(first, attribution(first, [1, 5, 2, 2]), attention=(attention(first),)),
        classification(
            second,
            attribution(second, [1, -5, 2, 0.5, 4]),
            positive=0.65,
            attention=(attention(second),),
            **changed,
        ),
        names=("a.json", "b.json"),
    )


def hostile_pair() -> Comparison:
    report = hostile()
    scores = report.attributions[0].scores[:, ::-1]
    changed = replace(report.attributions[0], scores=scores)
    other = replace(
        report,
        attributions=(changed, *report.attributions[1:]),
        provenance=replace(report.provenance, model=" ".join(HOSTILE[::-1])),
    )
    return compare(report, other, names=(HOSTILE[0], HOSTILE[4]))


def of_generations() -> Comparison:
    first = generation()
    turned = tuple(replace(one, scores=one.scores[:, ::-1] * one.valid) for one in first.attributions)
    return compare(first, replace(first, attributions=turned[::-1]))
