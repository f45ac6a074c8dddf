"""Filled masks and pseudo-log-likelihoods: to JSON and back, and what is no such result."""

import json
import math

import numpy as np
import pytest
from hard_results import same

from model_understanding.results import MaskFilling, PseudoLikelihood, result_from_json
from model_understanding.tokens import Tokens

TOKENS = Tokens.from_pieces(["[CLS]", "a", "[MASK]", "film", "[SEP]"])


def filling(**changes):
    fields = {
        "tokens": TOKENS,
        "positions": [2],
        "top_ids": [[5, 7]],
        "top_logits": [[2.5, -1.0]],
        "top_probabilities": [[0.9, 0.05]],
        "top_labels": (("dull", " fine"),),
    }
    return MaskFilling(**{**fields, **changes})


def likelihood(**changes):
    fields = {"tokens": TOKENS, "positions": [1, 3], "log_probabilities": [-0.1, -7.3]}
    return PseudoLikelihood(**{**fields, **changes})


@pytest.mark.parametrize("result", [filling(cautions=("x",)), likelihood(masking="word-l2r")])
def test_they_come_back_from_json_to_the_bit(result):
    assert same(result_from_json(result.to_json()), result)
    assert json.loads(result.to_json())["schema"] == 1


def test_likeliest_words_and_their_probabilities():
    assert filling().words == ("dull",)
    assert filling().probabilities.tolist() == [np.float32(0.9)]


def test_totals_are_sums_in_nats():
    result = likelihood()
    assert result.total == pytest.approx(-7.4, abs=1e-6)
    assert result.mean == pytest.approx(-3.7, abs=1e-6)
    assert result.perplexity == pytest.approx(math.exp(3.7), rel=1e-6)
    table = result.to_dataframe()
    assert table["token"].tolist() == ["a", "film"]
    np.testing.assert_allclose(table["probability"], np.exp([-0.1, -7.3]), rtol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: filling(positions=[5]),
        lambda: filling(positions=[]),
        lambda: filling(top_labels=(("dull",),)),
        lambda: filling(top_ids=[[5]]),
        lambda: filling(top_probabilities=[[1.5, 0.1]]),
        lambda: likelihood(positions=[1]),
        lambda: likelihood(positions=[1, 9]),
        lambda: likelihood(log_probabilities=[0.5, -1]),
        lambda: likelihood(masking="sentence"),
    ],
)
def test_what_is_no_such_result_is_refused(make):
    with pytest.raises(ValueError, match=r"must|Got"):
        make()
