"""Scores of heads: rankings, shapes, and reports that hold them or do not."""

import json
from dataclasses import replace

import hard_results as made
import numpy as np
import pytest

from model_understanding import HeadScores, InputError, NumericalError, Report
from model_understanding.results import RankedHead, result_from_json
from model_understanding.tokens import Tokens


def test_heads_are_ranked_highest_first_and_signed_scores_by_size():
    scores = made.head_scores()
    ranking = scores.ranking("sink")
    assert [(layer, head) for layer, head, _ in ranking] == [(1, 2), (1, 1), (1, 0), (0, 2), (0, 1), (0, 0)]
    assert ranking[0] == RankedHead(layer=1, head=2, score=0.71428573, by="sink")
    signed = scores.ranking("ablation", top=3)
    assert [tuple(one) for one in signed] == [(0, 0, -0.9), (0, 2, 0.5), (1, 0, 0.5)]
    assert scores.of("ablation").tolist() == scores.scores[1].tolist()


def test_what_was_not_computed_is_refused():
    scores = made.head_scores()
    for call in (scores.of, scores.ranking):
        with pytest.raises(InputError) as caught:
            call("induction")
        assert str(caught.value) == (
            "The score 'induction' was not computed. Computed: sink, ablation. "
            "Compute it with score_heads(text, scores='induction')."
        )
    with pytest.raises(InputError) as caught:
        scores.ranking("sink", 0)
    assert str(caught.value) == "top must be a whole number, 1 or more. Got 0. Pass top=1."


def test_a_table_has_a_row_for_each_head():
    table = made.head_scores().to_dataframe()
    assert table.columns.tolist() == ["layer", "head", "sink", "ablation"]
    assert table["layer"].tolist() == [0, 0, 0, 1, 1, 1]
    assert table["head"].tolist() == [0, 1, 2, 0, 1, 2]
    assert table["sink"].tolist() == made.head_scores().of("sink").ravel().tolist()


def test_shapes_and_numbers_are_checked():
    kinds = {"tokens": Tokens.from_pieces(["a", "b"]), "meanings": ("x",), "signed": (False,)}
    with pytest.raises(ValueError, match="scores must have shape"):
        HeadScores(names=("sink",), scores=np.zeros((2, 1, 1)), **kinds)
    with pytest.raises(ValueError, match=r"must have the same length\. Got 2, 1 and 1"):
        HeadScores(names=("sink", "entropy"), scores=np.zeros((2, 1, 1)), **kinds)
    with pytest.raises(ValueError, match=r"must be unique\. Got: sink, sink"):
        HeadScores(names=("sink", "sink"), scores=np.zeros((2, 1, 1)), **{**kinds, "meanings": ("x",) * 2})
    with pytest.raises(NumericalError):
        HeadScores(names=("sink",), scores=[[[np.nan]]], **kinds)
    with pytest.raises(ValueError, match="read-only"):
        made.head_scores().scores[0] = 0


def test_a_report_saved_before_there_were_head_scores_still_loads(tmp_path):
    report = made.report()
    data = json.loads(report.to_json())
    assert data["heads"]["type"] == "HeadScores"
    del data["heads"]
    assert result_from_json(json.dumps(data)).heads is None
    for name in ("report.json", "report.npz"):
        loaded = Report.load(report.save(tmp_path / name))
        assert loaded.heads.names == report.heads.names
        assert np.array_equal(loaded.heads.scores, report.heads.scores)
    with np.load(tmp_path / "report.npz") as arrays:
        assert np.array_equal(arrays["head_scores"], report.heads.scores)


def test_a_map_holds_the_heads_that_it_ranks():
    ranked = made.ranked_attention()
    assert [tuple(one) for one in ranked.ranking] == [(3, 2, 1 / 3), (1, 0, 0.1)]
    assert np.array_equal(ranked.matrix(3, 2), ranked.weights[0, 0])
    assert np.array_equal(ranked.matrix(1, 0), ranked.weights[1, 1])
    assert [tuple(one) for one in replace(ranked, layers=(1, 3)).ranking] == [(3, 2, 1 / 3), (1, 0, 0.1)]
    assert not replace(ranked, layers=(0, 2)).ranking
    joined = replace(ranked, weights=ranked.weights[:, :1], heads="mean")
    assert not joined.ranking
    assert ranked.folded("word").ranking == ranked.ranking
