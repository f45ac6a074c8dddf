"""How far a report may be believed: agreement of its attributions, metrics by name, in the page."""

from dataclasses import replace

import numpy as np
import pytest
from browsing import EVERYTHING, keep_picture
from sample_results import attribution, classification, generation, tokens_of

from model_understanding.results import Evaluation, Limits, Report
from model_understanding.show.page.document import html_page
from model_understanding.show.payload.report import report_payload
from model_understanding.show.views.tested import question_of
from model_understanding.statistics import rank_correlation, top_overlap


def measured(metric: str, quantity: str, value: float | None, **options: object) -> Evaluation:
    parts = {"curve": [[0, 1], [1, 0]], "control": [0.1, 0.25, 0.2], "higher_is_better": True, **options}
    return Evaluation(metric=metric, quantity=quantity, replacement="mask", value=value, **parts)


def checked() -> Report:
    tokens = tokens_of("The movie was absolutely fantastic, though a bit long!")
    report = classification(tokens)
    other = np.random.default_rng(7).normal(size=len(tokens))
    return replace(
        report,
        attributions=(
            report.attributions[0],
            attribution(tokens, signed=False, scores=other),
            attribution(tokens, scores=other),
        ),
        evaluations=(
            measured("verdict", "", 0.4, verdict="supported", reasons=("Because.",), curve=[[0, 0]]),
            measured("comprehensiveness", "logit margin", 0.4),
            measured("comprehensiveness", "probability", 0.3),
            measured(
                "normalized_aopc",
                "logit margin",
                0.5,
                limits=Limits(lower=-1.0, upper=3.0, exact=False),
            ),
            measured(
                "normalized_aopc",
                "probability",
                None,
                control=[],
                curve=[],
                limits=Limits(lower=0.2, upper=0.2, exact=True),
                reasons=("There is nothing to normalize by.",),
            ),
            measured("a <b>new</b> metric", "", 0.9, curve=[[0, 0]], control=[], reasons=("It says so.",)),
        ),
    )


def test_each_pair_of_attributions_of_the_same_targets_is_compared():
    report = checked()
    found = report_payload(report)["agreements"]
    assert [(pair["first"], pair["second"], pair["signed"]) for pair in found] == [
        (0, 1, False),
        (0, 2, True),
        (1, 2, False),
    ]
    ordinary = ~report.attributions[0].tokens.special
    first, _, third = (side.scores[0, ordinary] for side in report.attributions)
    assert found[1]["correlations"] == [rank_correlation(first, third)]
    assert found[1]["overlaps"] == [top_overlap(first, third, found[1]["counts"][0])]
    assert found[2]["correlations"] == [1.0], "sizes of one and the same scores"


@pytest.mark.parametrize(("shuffled", "words"), [(True, "permuted scores"), (False, "random removal orders")])
def test_a_control_is_called_what_it_is_of(shuffled, words):
    one = measured("a new metric", "probability", 0.3, shuffled=shuffled)
    report = replace(checked(), evaluations=(one,))
    assert [one["controlWords"] for one in report_payload(report)["evaluations"]] == [words]
    assert f"0.183 ({words})" in html_page(report)


def test_attributions_of_other_targets_are_not_compared():
    assert report_payload(generation())["agreements"] == []


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_strip_draws_whatever_was_measured_under_its_name(visit, scheme):
    opened = visit(html_page(checked()), scheme, view=EVERYTHING)
    strip = opened.page.locator(".trust-strip")
    cards = strip.locator(".trust-card h3").all_inner_texts()
    metrics = [question_of(name) for name in ("comprehensiveness", "normalized_aopc", "a <b>new</b> metric")]
    assert cards == ["Verdict", "Completeness", "Agreement between methods", *metrics]
    agreement = strip.locator(".trust-card", has_text="Agreement")
    assert agreement.locator(".trust-row").count() == 2
    assert "shared" in agreement.inner_text()
    rows = strip.locator(".trust-card", has_text=metrics[0]).locator(".trust-row")
    assert rows.locator("bdi").all_inner_texts() == ["logit margin · mask", "probability · mask"]
    assert rows.locator("svg.band").count() == rows.locator("svg.curve").count() == 2
    normalized = strip.locator(".trust-card", has_text=metrics[1])
    assert normalized.locator("strong").all_inner_texts() == ["0.5", "–"]
    assert normalized.locator(".trust-row .note").all_inner_texts() == [
        "raw value 1; possible range −1 to 3 (beam search)",
        "possible range 0.2 to 0.2 (exact)",
    ]
    assert normalized.locator("svg.band").count() == 1
    # The band is all that is possible, 0 to 1, and not only what the random orders reach.
    assert normalized.locator("svg.band circle").get_attribute("cx") == "45"
    assert "There is nothing to normalize by." in normalized.inner_text()
    assert "It says so." in strip.inner_text()
    keep_picture(opened, f"trust-{scheme}")
    assert opened.events == []
