"""Rows of attention that sum to less than 1: what a learned sink takes is measured and said."""

import re

import oracles
import pytest
from tiny_models import PROBE, encoded, visualizer_of


def share_in(result):
    """Return the share that a result's warning gives, in percent."""
    said = [caution for caution in result.provenance.cautions if "learned sink" in caution]
    return float(re.search(r"takes (\d+\.\d) % of each row on average", said[0])[1]) if said else 0.0


@pytest.mark.parametrize("keep", ["rows", "top:3", "pooled:4", "mass"])
@pytest.mark.parametrize(
    ("layer", "head", "chosen"),
    [
        (-1, "mean", slice(2, 3)),
        ("all", "all", slice(None)),
        ("mean", "max", slice(None)),
        ([0, 2], 1, [0, 2]),
    ],
)
def test_the_share_is_what_the_models_own_rows_lack(keep, layer, head, chosen):
    if keep == "top:3" and layer == "mean":
        return
    visualizer = visualizer_of("gpt-oss")
    inputs = encoded(visualizer, PROBE).inputs
    whole = oracles.eager_attention("gpt-oss", inputs)[chosen]
    whole = whole[:, 1] if head == 1 else whole
    attention = visualizer.compute_attention(PROBE, queries="prompt", layer=layer, head=head, keep=keep)
    assert share_in(attention) == pytest.approx(100 * (1 - float(whole.sum(-1).mean())), abs=0.06)
    assert share_in(attention) > 1


@pytest.mark.parametrize("name", ["bert", "gpt2", "gemma3"])
def test_models_without_one_say_nothing(name):
    options = {} if name == "bert" else {"queries": "prompt"}
    assert share_in(visualizer_of(name).compute_attention(PROBE, layer="all", head="all", **options)) == 0


def test_every_view_of_a_report_says_it():
    report = visualizer_of("gpt-oss").analyze(PROBE, " a", evaluate=False, show=False)
    assert "A learned sink takes" in report.to_html()
    assert share_in(report.main_attention[0]) > 1
