"""Saved reports are small, keep what every view shows, and keep every digit on request."""

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from sample_results import classification, generation, heads, with_heads

from model_understanding.results import Report
from model_understanding.results.files import size_words
from model_understanding.show.payload.report import report_payload
from model_understanding.show.terminal.report import print_report


def many_heads() -> Report:
    """A report as ``analyze`` makes them: the mean of the last layer, which is printed, and every head."""
    report = with_heads(128, causal=True, layers=6)
    (whole,) = report.attention
    mean = replace(
        whole, weights=whole.weights[-1:].mean(1, keepdims=True), layers=(5,), heads="mean", sinks=None
    )
    return replace(report, attention=(mean, whole))


def printed(report: Report) -> str:
    output = io.StringIO()
    print_report(report, Console(file=output, width=120))
    return output.getvalue()


@pytest.mark.parametrize("suffix", [".json", ".npz"])
@pytest.mark.parametrize("make", [many_heads, classification, generation])
def test_a_loaded_report_says_the_same(tmp_path, suffix, make):
    report = make()
    loaded = Report.load(report.save(tmp_path / f"x{suffix}"))
    assert printed(loaded) == printed(report)
    first, second = report_payload(report), report_payload(loaded)
    for part, again in zip(first["attention"], second["attention"], strict=True):
        shares = [[round(share, 4) for share in row] for row in part.pop("sinkShares")]
        assert shares == [[round(share, 4) for share in row] for row in again.pop("sinkShares")]
        assert len(part["weights"].pop("blocks")) == len(again["weights"].pop("blocks"))
    assert first == second


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_a_report_is_at_most_twice_its_page(tmp_path, suffix):
    report = many_heads()
    page = len(report.to_html())
    assert report.save(tmp_path / f"x{suffix}").stat().st_size <= 2 * page


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_weights_are_rounded_unless_every_digit_is_requested(tmp_path, suffix):
    report = many_heads()
    rounded = Report.load(report.save(tmp_path / f"rounded{suffix}"))
    exact = Report.load(report.save(tmp_path / f"exact{suffix}", exact=True))
    for original, loaded, whole in zip(report.attention, rounded.attention, exact.attention, strict=True):
        np.testing.assert_array_equal(whole.weights, original.weights)
        error = np.abs(loaded.weights - original.weights).max() / original.weights.max()
        assert error <= 9e-5 if original.weights.shape[1] > 1 else error == 0
        assert loaded.weights.dtype == np.float32
    np.testing.assert_array_equal(rounded.attributions[0].scores, report.attributions[0].scores)


def test_heads_are_rounded_to_zero_only_where_they_are_next_to_nothing():
    weights = heads(64, causal=False, layers=1).weights
    assert (weights > 0).all()
    assert size_words(len(weights.tobytes())) == "197 kB"
