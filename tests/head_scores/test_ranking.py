"""Asking for heads: names, targets, rankings, maps of the heads ranked first, and what reports hold."""

import numpy as np
import pytest
import tiny_models
from loaded_demos import sentiment
from tiny_models import PROBE, visualizer_of

from model_understanding import InputError, Report, UnsupportedModelError
from model_understanding.errors import ModelUnderstandingError
from model_understanding.head_scores.induction import Induction
from model_understanding.registry import DEFAULT_HEAD_SCORES, HEAD_SCORES

SAID_TWICE = f"{PROBE} The film was wonderful."


@pytest.mark.parametrize("score", HEAD_SCORES.names())
@pytest.mark.parametrize("name", tiny_models.each(tiny_models.BY_NAME))
def test_every_score_of_every_architecture_is_finite_or_refused_by_name(name, score):
    visualizer = visualizer_of(name)
    if not tiny_models.BY_NAME[name].has_attention:
        with pytest.raises(UnsupportedModelError, match="Models of type 'mamba' have no attention"):
            visualizer.score_heads(SAID_TWICE, scores=score)
        return
    found = visualizer.score_heads(SAID_TWICE, scores=score)
    assert found.names == (score,)
    assert found.of(score).shape == (3, 4)
    assert np.isfinite(found.scores).all()
    kind = HEAD_SCORES.load(score)
    if kind.maximum is not None:
        assert np.abs(found.scores).max() <= kind.maximum + 1e-6
    assert (found.target is not None) == kind.needs_target
    assert np.array_equal(type(found).from_json(found.to_json()).scores, found.scores)


def test_the_scores_that_need_nothing_are_asked_for_where_none_is_named():
    found = visualizer_of("bert").score_heads(PROBE)
    assert found.names == DEFAULT_HEAD_SCORES
    assert found.parameters["induction"] == {"period": 25, "sequences": 4, "seed": 0}
    for place, name in enumerate(DEFAULT_HEAD_SCORES):
        alone = visualizer_of("bert").score_heads(PROBE, scores=name)
        assert np.allclose(alone.of(name), found.scores[place], rtol=1e-6, atol=1e-7)
        assert found.meanings[place] == alone.meanings[0] == HEAD_SCORES.load(name).meaning


def test_what_cannot_be_asked_is_refused():
    visualizer = visualizer_of("bert")
    listed = ", ".join(HEAD_SCORES.names())
    for call, message in (
        (
            lambda: visualizer.score_heads(PROBE, scores="inductions"),
            f"Unknown head score 'inductions'. Allowed: {listed}. Did you mean 'induction'?",
        ),
        (
            lambda: visualizer.score_heads(PROBE, scores=Induction),
            f"A head score is a name or a score object. Got {Induction!r}. Pass one of {listed} or for "
            "example Induction(period=10).",
        ),
        (
            lambda: visualizer.score_heads(PROBE, scores=["sink", "sink"]),
            f"Expected one or more head scores, each named once. Got sink, sink. Choose among {listed}.",
        ),
        (
            lambda: visualizer.score_heads(PROBE, scores=[]),
            f"Expected one or more head scores, each named once. Got none. Choose among {listed}.",
        ),
        (
            lambda: visualizer.score_heads(PROBE, scores="sink", target=1),
            "None of the chosen scores (sink) uses a target. Got target=1. Leave target out, or choose "
            "'ablation' or another score that needs a target.",
        ),
        (
            lambda: visualizer_of("gpt2").score_heads("A", scores="sink"),
            "Head scores need a text of two tokens or more. Got 1. Pass a longer text.",
        ),
        (
            lambda: visualizer.score_heads(PROBE, scores=Induction(period=1)),
            "Induction needs period=2 or more and sequences=1 or more. Got period=1, sequences=4. "
            "Use for example period=25, sequences=4.",
        ),
        (
            lambda: visualizer.compute_attention(PROBE, layer=1, rank="sink"),
            "With rank, layer must be a list of indices, or left out for all. Got layer=1. "
            "Leave layer out, or pass a list as layer=[0].",
        ),
        (
            lambda: visualizer.compute_attention(PROBE, head="max", rank="sink"),
            "With rank, head must be a list of indices, or left out for all. Got head='max'. "
            "Leave head out, or pass a list as head=[0].",
        ),
        (
            lambda: visualizer.compute_attention(PROBE, layer=[3], rank="sink"),
            "There is no layer 3: the model has 3. "
            "Pass an index from 0 to 2, or from -3 to -1 counting from the end.",
        ),
        (
            lambda: visualizer.compute_attention(PROBE, rank="sink", top=0),
            "top must be a whole number, 1 or more. Got 0. Pass top=1.",
        ),
        (
            lambda: visualizer.compute_attention(PROBE, rank=["sink"]),
            "rank must be the name of a head score, a score object or a list of ranked heads. Got ['sink']. "
            "Pass for example rank='induction', or rank=scores.ranking('ablation', 8).",
        ),
        (
            lambda: visualizer.compute_attention(PROBE, rank=7),
            "rank must be the name of a head score, a score object or a list of ranked heads. Got 7. "
            "Pass for example rank='induction', or rank=scores.ranking('ablation', 8).",
        ),
        (
            lambda: visualizer.compute_attention(PROBE, kind="rollout", rank="sink"),
            None,
        ),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert message is None or str(caught.value) == message


def test_a_ranking_that_there_is_not_is_told_before_anything_is_generated():
    visualizer = visualizer_of("llama")
    with pytest.raises(InputError, match="Unknown head score 'sinks'"):
        visualizer.compute_attention(PROBE, rank="sinks", max_new_tokens=10**6)


@pytest.mark.parametrize("rank", ["entropy", "induction", "saliency_agreement", "ablation"])
def test_a_map_of_the_heads_ranked_first_holds_their_attention(rank):
    visualizer = visualizer_of("bert")
    whole = visualizer.compute_attention(PROBE, layer="all", head="all")
    expected = visualizer.score_heads(PROBE, scores=rank).ranking(rank, 5)
    found = visualizer.compute_attention(PROBE, rank=rank, top=5)
    assert found.ranking == expected
    assert found.layers == tuple(dict.fromkeys(one.layer for one in expected))
    assert found.heads == tuple(dict.fromkeys(one.head for one in expected))
    for layer, head, _ in found.ranking:
        assert np.allclose(found.matrix(layer, head), whole.matrix(layer, head), rtol=1e-6, atol=1e-7)
    assert np.array_equal(visualizer.compute_attention(PROBE, rank=expected).weights, found.weights)
    restored = type(found).from_json(found.to_json())
    assert restored.ranking == found.ranking


def test_a_ranking_may_keep_to_some_layers_and_heads():
    visualizer = visualizer_of("gpt2")
    scores = visualizer.score_heads(PROBE, scores="entropy").of("entropy")
    found = visualizer.compute_attention(PROBE, layer=[-1], rank="entropy", queries="prompt")
    assert found.layers == (2,)
    assert list(found.heads) == np.argsort(-scores[2]).tolist()
    assert [one.score for one in found.ranking] == sorted(map(float, map(str, scores[2])), reverse=True)
    found = visualizer.compute_attention(PROBE, head=[0, 3], rank="entropy", queries="prompt", top=3)
    assert len(found.ranking) == 3
    assert set(found.heads) <= {0, 3}


def test_steps_of_a_continuation_are_ranked_on_all_of_it():
    visualizer = visualizer_of("llama")
    for rank in ("distance", "ablation"):
        expected = visualizer.score_heads(PROBE, scores=rank, continuation=" a dull plot").ranking(rank, 2)
        found = visualizer.compute_attention(PROBE, continuation=" a dull plot", rank=rank, top=2)
        assert found.ranking == expected
        assert found.steps.surfaces()[0].startswith(" ")
        loss = visualizer.compute_attention(PROBE, rank=rank, top=2, queries="prompt")
        assert loss.ranking == visualizer.score_heads(PROBE, scores=rank).ranking(rank, 2)


def test_a_map_by_norms_is_ranked_like_any():
    visualizer = visualizer_of("llama")
    found = visualizer.compute_attention(
        PROBE, rank="entropy", kind="value_weighted", queries="prompt", top=3
    )
    whole = visualizer.compute_attention(
        PROBE, layer="all", head="all", kind="value_weighted", queries="prompt"
    )
    for layer, head, _ in found.ranking:
        assert np.allclose(found.matrix(layer, head), whole.matrix(layer, head), rtol=1e-6, atol=1e-7)


def test_a_report_holds_what_can_be_said_of_heads_at_once(tmp_path):
    report = visualizer_of("bert").analyze(PROBE, show=False, method="saliency")
    assert report.heads.names == (*DEFAULT_HEAD_SCORES, "saliency_agreement")
    expected = visualizer_of("bert").score_heads(
        PROBE, scores="saliency_agreement", attribution=report.attributions[0]
    )
    assert np.array_equal(report.heads.of("saliency_agreement"), expected.of("saliency_agreement"))
    assert Report.load(report.save(tmp_path / "report.json")).heads.names == report.heads.names
    report = visualizer_of("gpt2").analyze(PROBE, " a dull plot", show=False)
    assert report.heads.tokens.ids.tolist() == report.generation.tokens.ids.tolist()
    assert report.heads.names == (*DEFAULT_HEAD_SCORES, "saliency_agreement")
    report = visualizer_of("mamba").analyze(PROBE, " a", show=False)
    assert report.heads is None
    assert report.attention == ()
    assert (
        "This report has no attention and no head scores: Models of type 'mamba' have no attention."
        in report.provenance.cautions
    )
    assert (
        visualizer_of("bert").analyze("was bad", show=False, method="saliency").heads.names
        == DEFAULT_HEAD_SCORES
    )
    tight = visualizer_of("bert", model=tiny_models.fresh("bert", max_position_embeddings=5))
    assert tight.analyze("was bad", show=False, method="saliency").heads.names == tuple(
        name for name in DEFAULT_HEAD_SCORES if name != "induction"
    )


def test_the_model_is_left_as_it_was():
    model = tiny_models.fresh("llama")
    model.train()
    visualizer = visualizer_of("llama", model=model)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    visualizer.score_heads(SAID_TWICE, scores=HEAD_SCORES.names())
    assert model.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert all(bool((before[key] == value).all()) for key, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_scores_of_a_pair_and_of_hostile_text_are_finite():
    visualizer = visualizer_of("bert")
    for text in ((PROBE, "A dull plot"), "👨‍👩‍👧 שלום </script> 你好"):
        assert np.isfinite(
            visualizer.score_heads(text, scores=["entropy", "ablation", "saliency_agreement"]).scores
        ).all()
    chat = [{"role": "user", "content": "A dull plot, a dull film"}]
    found = visualizer_of("gpt2").score_heads(chat, scores=HEAD_SCORES.names())
    assert found.tokens.special.any()
    assert np.isfinite(found.scores).all()


def test_an_embedded_classifier_is_scored_by_name():
    visualizer = sentiment()
    scores = visualizer.score_heads("The movie was absolutely fantastic!", scores=["sink", "ablation"])
    assert scores.target.labels == ("positive",)
    layers, heads = scores.of("sink").shape
    assert (layers, heads) == (
        visualizer.model.config.num_hidden_layers,
        visualizer.model.config.num_attention_heads,
    )
    with pytest.raises(ModelUnderstandingError):
        scores.ranking("entropy")
