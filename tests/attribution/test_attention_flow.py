"""The maps as attribution methods: the row of the position where the answer was read."""

import numpy as np
import oracles
import pytest
import tiny_models
import torch
from pass_counts import forwards_of
from tiny_models import PROBE, TEXTS, encoded, visualizer_of

from model_understanding import InputError, Target, UnsupportedModelError
from model_understanding.attention import relevance
from model_understanding.model.metering import PassCounter, counted_by
from model_understanding.passes.dry_run import DryRun
from model_understanding.registry import MAPS, METHODS

MAP_OF = {
    "attention_rollout": "rollout",
    "value_weighted_attention": None,
    "gradient_weighted_attention": "gradient_weighted",
    "value_zeroing_rollout": "value_zeroing",
    "information_flow_routes": "information_flow",
}
POOLS_LAST = ("gpt2-classifier", "llama-classifier", "xlnet")
TEXT = TEXTS[1]


def scores_of(name, method, implementation=None, text=TEXT, **options):
    if name in tiny_models.LANGUAGE_MODELS:
        options = options or {"target": "next"}
    return visualizer_of(name, implementation).compute_saliency(text, method=method, **options)


def map_row(name, map, position, text=TEXT):
    visualizer = visualizer_of(name)
    encoding = encoded(visualizer, text)
    return MAPS.load(map)()(visualizer.runner.model, encoding, [2], "mean", [position]).weights[0, 0, 0, 0]


@pytest.mark.parametrize("method", [method for method, map in MAP_OF.items() if map])
@pytest.mark.parametrize("name", tiny_models.each(tiny_models.WITH_ATTENTION))
def test_scores_are_the_maps_row_where_the_answer_was_read(name, method):
    visualizer = visualizer_of(name)
    tokens = len(encoded(visualizer, TEXT).tokens[0])
    is_last = name in (*tiny_models.LANGUAGE_MODELS, *POOLS_LAST)
    position = tokens - 1 if is_last else 0
    row = map_row(name, MAP_OF[method], position)
    options = {"target": "next", "quantity": "logit"} if name in tiny_models.LANGUAGE_MODELS else {}
    found = scores_of(name, method, **options)
    if method == "gradient_weighted_attention":
        row[position] -= 1
    assert oracles.close(found.scores[0], row, 1e-4)
    assert found.outputs[0] == pytest.approx(scores_of(name, "saliency", **options).outputs[0], rel=1e-5)


@pytest.mark.parametrize("implementation", [None, "eager"])
@pytest.mark.parametrize("name", tiny_models.each(tiny_models.WITH_ATTENTION))
def test_value_weighted_rollout_is_the_product_of_its_norms(name, implementation):
    visualizer = visualizer_of(name, implementation)
    encoding = encoded(visualizer, TEXT)
    norms = MAPS.load("value_weighted")()(visualizer.runner.model, encoding, range(3), "mean").weights[
        0, :, 0
    ]
    found = torch.eye(norms.shape[-1])
    for layer in norms:
        found = (layer / layer.sum(-1, keepdim=True) + torch.eye(len(layer))) / 2 @ found
    is_last = name in (*tiny_models.LANGUAGE_MODELS, *POOLS_LAST)
    scores = scores_of(name, "value_weighted_attention", implementation).scores[0]
    assert oracles.close(scores, found[-1 if is_last else 0])


@pytest.mark.parametrize("method", MAP_OF)
@pytest.mark.parametrize("name", ["llama", "bert-as-language-model"])
def test_a_span_is_the_sum_of_its_tokens(name, method):
    options = {"target": "continuation", "continuation": " a king"}
    each = scores_of(name, method, per_token=True, **options)
    whole = scores_of(name, method, **options)
    if method != "gradient_weighted_attention":  # a positive part is not linear in the target
        assert oracles.close(whole.scores[0], each.scores.sum(0))
    positions = [target.positions[0] for target in each.targets]
    assert len(positions) > 1
    for row, position in zip(each.scores, positions, strict=True):
        assert not row[position + 1 :].any()
        assert row[: position + 1].any()


def test_gradient_weighted_scores_follow_the_target():
    one, other = (scores_of("bert", "gradient_weighted_attention", target=c).scores for c in (0, 1))
    assert not oracles.close(one, other, 1e-2)
    for method in MAP_OF:
        if method != "gradient_weighted_attention":
            one, other = (scores_of("bert", method, target=c).scores for c in (0, 1))
            assert np.array_equal(one, other)


def test_a_pooling_mean_gives_every_position_its_share():
    model = tiny_models.fresh("modernbert", classifier_pooling="mean")
    visualizer = visualizer_of("modernbert", model=model)
    encoding = encoded(visualizer, TEXT)
    found = visualizer.compute_saliency(TEXT, method="attention_rollout").scores[0]
    rows = MAPS.load("rollout")()(visualizer.runner.model, encoding, [2], "mean").weights[0, 0, 0].numpy()
    shares = np.linalg.lstsq(rows.T.astype(np.float64), found.astype(np.float64), rcond=None)[0]
    assert found.sum() == pytest.approx(1, rel=1e-5)
    assert (shares > 0.005).all()
    assert not np.allclose(found, rows[0], rtol=1e-2)


@pytest.mark.parametrize(
    ("name", "options", "saved"),
    [
        ("bert", {}, 1),
        ("roberta", {}, 1),
        ("gpt2-classifier", {}, 1),
        ("modernbert", {"classifier_pooling": "mean"}, 0),
    ],
)
def test_the_one_position_that_a_classifier_reads_costs_no_pass_of_its_own(name, options, saved, monkeypatch):
    visualizer = visualizer_of(name, model=tiny_models.fresh(name, **options))
    differentiate, calls = torch.autograd.grad, []
    monkeypatch.setattr(torch.autograd, "grad", lambda *a, **k: calls.append(a) or differentiate(*a, **k))

    def explained(text):
        calls.clear()
        return visualizer.compute_saliency(text, method="gradient_weighted_attention"), len(calls)

    first, before = explained(TEXT)
    again, after = explained(TEXT)
    assert np.array_equal(first.scores, again.scores)
    assert before - after == saved
    other, count = explained(PROBE)  # of another length, whose position is found by its own gradient
    assert count == after
    unseen = visualizer_of(name, model=visualizer.runner.model.module)
    unseen.runner.model.measured.clear()
    assert np.array_equal(
        other.scores, unseen.compute_saliency(PROBE, method="gradient_weighted_attention").scores
    )


def test_a_text_in_a_batch_scores_as_alone():
    visualizer = visualizer_of("bert")
    texts = [TEXT, TEXT[:-1] + "?", PROBE]
    for method in MAP_OF:
        for text, found in zip(texts, visualizer.compute_saliency(texts, method=method), strict=True):
            alone = visualizer.compute_saliency(text, method=method)
            assert oracles.close(found.scores, alone.scores)


WORDS = ("the", "plot", "was", "bad", "and", "the", "film", "was", "good")


def of_one_length(visualizer):
    """Return texts with as many tokens each: the words in another order."""
    orders = (" ".join(WORDS[shift:] + WORDS[:shift]) for shift in range(len(WORDS)))
    by_length = {}
    for text in orders:
        by_length.setdefault(len(encoded(visualizer, text).tokens[0]), []).append(text)
    return max(by_length.values(), key=len)[:4]


@pytest.mark.parametrize("method", MAP_OF)
@pytest.mark.parametrize("implementation", [None, "eager"])
@pytest.mark.parametrize("name", tiny_models.each(tiny_models.WITH_ATTENTION))
def test_texts_of_one_length_score_in_a_batch_as_alone(name, implementation, method):
    visualizer = visualizer_of(name, implementation)
    texts = of_one_length(visualizer)
    options = {"target": "next"} if name in tiny_models.LANGUAGE_MODELS else {}
    assert len(texts) > 1
    for text, found in zip(texts, visualizer.compute_saliency(texts, method=method, **options), strict=True):
        alone = visualizer.compute_saliency(text, method=method, **options)
        assert oracles.close(found.scores, alone.scores, 1e-4)
        assert oracles.close(found.outputs, alone.outputs, 1e-4)


def row_by_hand(model, ids, monkeypatch):
    """Return ``(I + Ā_last) ⋯ (I + Ā_first) − I`` at the pooled position, of one text run by itself."""
    softmax, weights = torch.nn.functional.softmax, []

    def recorded(*arguments, **keywords):
        result = softmax(*arguments, **keywords)
        return weights.append(result) or result if result.ndim == 4 else result

    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.functional, "softmax", recorded)
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
    gradients = torch.autograd.grad(logits.max(), weights)
    found = identity = torch.eye(ids.shape[1])
    for gradient, weight in zip(gradients, weights, strict=True):
        found = found + (gradient * weight)[0].clamp(min=0).mean(0).detach() @ found
    return (found - identity)[0], logits.argmax(), logits.max().item()


@pytest.mark.parametrize("name", ["bert", "distilbert", "roberta", "albert", "electra"])
def test_a_batch_of_answers_and_scores_is_that_of_each_text_by_hand(name, monkeypatch):
    model = tiny_models.build(name, "eager")
    visualizer = visualizer_of(name)  # which reads the fused kernel
    texts = of_one_length(visualizer)
    found = list(visualizer._answers_and_scores(texts, method="fast", quantity="logit", positions=512))
    assert sorted(index for index, _ in found) == list(range(len(texts)))
    for index, report in found:
        row, answer, value = row_by_hand(model, encoded(visualizer, texts[index]).ids, monkeypatch)
        (attribution,) = report.attributions
        assert attribution.method == "gradient_weighted_attention"
        assert oracles.close(attribution.scores[0], row, 1e-4)
        assert attribution.outputs[0] == pytest.approx(value, rel=1e-4)
        assert report.prediction.index == answer


@pytest.mark.parametrize("implementation", [None, "eager"])
@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2-classifier"])
def test_a_batch_takes_one_forward_and_one_backward_pass(name, implementation, monkeypatch):
    visualizer = visualizer_of(name, implementation)
    texts = of_one_length(visualizer)

    def explain():
        return list(visualizer._answers_and_scores(texts, method="fast", quantity="logit", positions=512))

    explain()  # what is measured once for a model
    counter, whole = PassCounter(), []
    differentiate = torch.autograd.grad

    def gradients(value, inputs, *arguments, **keywords):
        whole.extend(inputs if isinstance(inputs, list) else ())
        return differentiate(value, inputs, *arguments, **keywords)

    monkeypatch.setattr(torch.autograd, "grad", gradients)
    with counted_by(counter):
        shapes = forwards_of(tiny_models.build(name, implementation), explain)
    assert shapes == [(len(texts), len(encoded(visualizer, texts[0]).tokens[0]))]
    assert (counter.forwards, counter.backwards) == (1, 1)
    assert len(whole) == 3  # each layer's output once


@pytest.mark.parametrize("method", MAP_OF)
def test_a_wrong_position_is_seen(method, monkeypatch):
    """Plant a shift of where the answer is read."""
    check, given = test_scores_are_the_maps_row_where_the_answer_was_read, ("bert", method)
    if MAP_OF[method] is None:
        check, given = test_value_weighted_rollout_is_the_product_of_its_norms, ("bert", None)
    pooled = relevance._pooled_positions
    monkeypatch.setattr(relevance, "_pooled_positions", lambda *values: pooled(*values).roll(1, -1))
    with pytest.raises(AssertionError):
        check(*given)


@pytest.mark.parametrize(
    ("method", "forwards", "backwards"),
    [
        ("attention_rollout", 1, 0),
        ("value_weighted_attention", 1, 0),
        ("gradient_weighted_attention", 1, 1),
        ("information_flow_routes", 1, 0),
        ("value_zeroing_rollout", None, 0),
    ],
)
@pytest.mark.parametrize("name", ["bert", "llama"])
def test_what_a_method_costs(name, method, forwards, backwards):
    visualizer = visualizer_of(name)
    encoding = encoded(visualizer, TEXT)
    tokens = encoding.ids.shape[1]
    target = Target(task="sequence-classification", indices=(1,))
    if name == "llama":
        target = Target(task="causal-lm", positions=(tokens - 1,), indices=(9,))
    forwards = tokens + 2 if forwards is None else forwards
    counter, rehearsal = PassCounter(), PassCounter()
    with counted_by(counter):
        METHODS.load(method)()(visualizer.runner, encoding, [target])
    with counted_by(rehearsal):
        METHODS.load(method)()(DryRun(visualizer.runner, longest=True), encoding, [target])
    for counted in (counter, rehearsal):
        assert (counted.forwards, counted.backwards) == (forwards, backwards)
        assert counted.positions == forwards * tokens


@pytest.mark.parametrize("method", MAP_OF)
def test_what_a_method_cannot_do_is_refused(method):
    name = MAP_OF[method] or "value_weighted"
    visualizer = visualizer_of("mamba")
    with pytest.raises(UnsupportedModelError) as caught:
        visualizer.compute_saliency(TEXT, method=method)
    assert str(caught.value) == (
        f"{name} needs attention in every layer, but 3 of the 3 layers of MambaForCausalLM have none. "
        "Use a method that does not read attention, such as leave_one_out or saliency."
    )
    with pytest.raises(InputError, match="There is no start layer 7: the model has 3"):
        scores_of("bert", METHODS.load(method)(start_layer=7))

    def constant(outputs):
        return outputs.logits[0, 0].detach()

    with pytest.raises(InputError, match="has no gradient with respect to the model's outputs"):
        METHODS.load(method)()(visualizer_of("bert").runner, encoded(visualizer_of("bert"), TEXT), constant)


def test_targets_may_be_given_for_each_text():
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, TEXT)
    target = Target(task="sequence-classification", indices=(1,))
    for method in MAP_OF:
        found = METHODS.load(method)()(visualizer.runner, encoding, [[target, target]])
        assert found.scores.shape == (1, 2, encoding.ids.shape[1])
        assert np.array_equal(found.scores[0, 0], found.scores[0, 1])
