"""Scores that read attention: against loops over a truly eager model's weights."""

import numpy as np
import oracles
import pytest
import tiny_models
import torch
from tiny_models import PROBE, encoded, visualizer_of

from model_understanding import InputError
from model_understanding.head_scores import delimiter, previous_token
from model_understanding.head_scores.delimiter import delimiters_of
from model_understanding.head_scores.induction import Induction
from model_understanding.head_scores.repeated_text import added_ids, repeated_random_text
from model_understanding.registry import DEFAULT_HEAD_SCORES
from model_understanding.results import attention_sinks

from . import by_hand

NAMES = ("bert", "modernbert", "xlnet", "gpt2", "llama", "mistral", "gpt-oss", "bloom")
SAID_TWICE = f"{PROBE} The film was wonderful and the plot is dull."


def inputs_of(name, text=PROBE):
    return encoded(visualizer_of(name), text).inputs


def score(name, what, text=PROBE, implementation=None, **options):
    return (
        visualizer_of(name, implementation)
        .score_heads(text, scores=what, **options)
        .of(what if isinstance(what, str) else what.name)
    )


@pytest.mark.parametrize("implementation", [None, "eager"])
@pytest.mark.parametrize("name", NAMES)
def test_scores_of_rows_are_those_of_loops(name, implementation, monkeypatch):
    # Tiny untrained models have no sinks; with low thresholds some keys are.
    monkeypatch.setattr(attention_sinks, "SINK_SHARE", 0.04)
    monkeypatch.setattr(attention_sinks, "SINK_EXCESS", 1.03)
    inputs = inputs_of(name)
    tokens = encoded(visualizer_of(name), PROBE).tokens[0]
    delimiters = np.flatnonzero(delimiters_of(tokens))
    sinks = sorted(by_hand.sinks_of(name, inputs))
    assert 0 < len(sinks) < len(tokens)
    expected = {
        "entropy": by_hand.by_loops(name, inputs, by_hand.entropy),
        "distance": by_hand.by_loops(name, inputs, by_hand.distance),
        "previous_token": by_hand.previous_token(name, inputs),
        "delimiter": by_hand.by_loops(name, inputs, lambda row, _: row[delimiters].sum()),
        "sink": by_hand.by_loops(name, inputs, lambda row, _: row[sinks].sum()),
    }
    found = visualizer_of(name, implementation).score_heads(PROBE, scores=list(expected))
    for what, wanted in expected.items():
        assert oracles.close(found.of(what), wanted, 1e-5), what
    assert found.of("entropy").std() > 0.01
    assert found.of("previous_token").std() > 0.001


def test_of_a_text_without_a_sink_the_score_is_0():
    assert not by_hand.sinks_of("bert", inputs_of("bert"))
    assert not score("bert", "sink").any()


def added_by(visualizer, text):
    return added_ids(visualizer.runner.model, encoded(visualizer, text))


def test_induction_is_measured_once_and_again_when_the_model_changes():
    visualizer = visualizer_of("gpt2", model=tiny_models.fresh("gpt2"))
    visualizer.score_heads("a dull plot", scores="entropy")  # what else is measured once for a model
    seen = []
    visualizer.model.register_forward_pre_hook(lambda *_: seen.append(1))

    def passes(text):
        before = len(seen)
        found = visualizer.score_heads(text, scores="induction").of("induction")
        return len(seen) - before, found

    count, first = passes("a dull plot")
    assert count == 1
    count, again = passes("a wonderful film, really")
    assert count == 0
    assert np.array_equal(first, again)
    weight = visualizer.model.transformer.h[0].attn.c_attn.weight
    with torch.no_grad():
        weight.mul_(1.5)  # as a step of training does
    count, changed = passes("a dull plot")
    assert count == 1
    assert not np.array_equal(first, changed)
    weight.data = weight.data / 1.5
    count, restored = passes("a dull plot")
    assert count == 1
    assert np.allclose(first, restored, atol=1e-5)
    handle = visualizer.model.transformer.h[0].register_forward_hook(lambda *_: None)
    assert passes("a dull plot")[0] == 1
    handle.remove()


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "xlnet", "gemma3"])
def test_induction_is_the_weight_on_what_followed_in_random_tokens_said_twice(name):
    visualizer = visualizer_of(name)
    method = Induction(period=7, sequences=3, seed=5)
    text, start, period = repeated_random_text(
        visualizer.runner.model, added_by(visualizer, PROBE), period=7, count=3, seed=5
    )
    assert period == 7
    found = []
    for row in text.ids:
        half, again = row[start : start + 7].tolist(), row[start + 7 : start + 14].tolist()
        assert half == again
        assert len(set(half)) == 7
        assert not {*half} & {*visualizer.tokenizer.all_special_ids}
        weights = oracles.eager_attention(name, {"input_ids": row[None]}).double().numpy()
        second = range(start + 7, start + 14)
        found.append(np.mean([weights[:, :, q, q - 6] for q in second], axis=0))
    assert len({tuple(row.tolist()) for row in text.ids}) == 3
    scores = visualizer.score_heads(PROBE, scores=method)
    assert oracles.close(scores.of("induction"), np.mean(found, axis=0), 1e-5)
    assert scores.parameters == {"induction": {"period": 7, "sequences": 3, "seed": 5}}
    assert scores.provenance.seed == 5
    # The same whatever the text, and other tokens for another seed.
    assert np.array_equal(scores.of("induction"), score(name, method, "Another text."))
    assert not np.array_equal(scores.of("induction"), score(name, Induction(period=7, sequences=3)))


def test_random_tokens_stand_where_the_tokenizer_puts_a_text():
    for name, first, added in (("bert", 1, 2), ("xlnet", 1, 2), ("llama", 1, 1), ("gpt2", 0, 0)):
        visualizer = visualizer_of(name)
        own = encoded(visualizer, PROBE)
        text, start, _ = repeated_random_text(
            visualizer.runner.model, added_by(visualizer, PROBE), period=5, count=1, seed=0
        )
        assert (start, text.ids.shape[1]) == (first, 10 + added)
        assert text.ids[0, :start].tolist() == own.ids[0, :start].tolist()
        assert text.ids[0, start + 10 :].tolist() == own.ids[0, own.ids.shape[1] - added + start :].tolist()


def test_a_model_of_few_positions_repeats_fewer_tokens():
    model = tiny_models.fresh("gpt2", n_positions=30)
    visualizer = visualizer_of("gpt2", model=model)
    text, start, period = repeated_random_text(
        visualizer.runner.model, added_by(visualizer, "A film"), period=25, count=1, seed=0
    )
    assert (start, period, text.ids.shape[1]) == (0, 15, 30)
    assert visualizer.score_heads("A film", scores="induction").of("induction").shape == (3, 4)


@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2", "llama"])
def test_induction_in_text_is_that_of_loops(name):
    tokens = encoded(visualizer_of(name), SAID_TWICE).tokens[0]
    expected = by_hand.induction_in_text(name, inputs_of(name, SAID_TWICE), tokens.special)
    assert oracles.close(score(name, "induction_in_text", SAID_TWICE), expected, 1e-5)


def test_a_text_that_does_not_repeat_itself_has_no_induction_in_it():
    with pytest.raises(InputError) as caught:
        score("bert", "induction_in_text", "was was bad")
    assert str(caught.value) == (
        "Induction in text needs a token that occurs twice in the text with another one between. "
        "Use the score 'induction', which is measured on repeated random tokens."
    )


def test_agreement_is_the_rank_correlation_with_a_saliency_map():
    for name, options in (
        ("bert", {}),
        ("llama", {"target": "next"}),
        ("llama", {"continuation": " a dull plot"}),
        ("llama", {}),
    ):
        visualizer = visualizer_of(name)
        target = {"target": "continuation"} if "continuation" in options else {}
        saliency = visualizer.compute_saliency(PROBE, **options, **target)  # by the default method
        tokens = len(saliency.tokens)
        rows = list(saliency.targets[0].positions) or list(range(tokens))
        ids = torch.tensor(saliency.tokens.ids.copy())[None]
        found = score(name, "saliency_agreement", **options)
        assert oracles.close(found, by_hand.agreement(name, {"input_ids": ids}, saliency, rows), 1e-5)
        assert found.std() > 0.05
        given = visualizer.compute_saliency(PROBE, **options, **target, method="input_x_gradient")
        other = score(name, "saliency_agreement", attribution=given, **options)
        assert oracles.close(other, by_hand.agreement(name, {"input_ids": ids}, given, rows), 1e-5)
        by_method = score(name, "saliency_agreement", method="input_x_gradient", **options)
        assert np.array_equal(other, by_method)


def test_agreement_refuses_another_texts_map_and_too_short_a_text():
    visualizer = visualizer_of("bert")
    other = visualizer.compute_saliency("Don't call it bad!", method="saliency")
    with pytest.raises(InputError) as caught:
        visualizer.score_heads(PROBE, scores="saliency_agreement", attribution=other)
    assert str(caught.value) == (
        f"The saliency map is of another text: it has {len(other.tokens)} tokens, the text "
        f"{encoded(visualizer, PROBE).ids.shape[1]}. "
        "Pass the saliency map of this text."
    )
    with pytest.raises(InputError) as caught:
        visualizer.score_heads("was bad", scores="saliency_agreement")
    assert str(caught.value) == (
        "saliency_agreement needs 3 tokens or more that are not special. The text has 2. "
        "Pass a longer text, or use another score."
    )


def test_blocks_of_rows_give_what_one_block_gives(monkeypatch):
    from model_understanding.attention.capture import layer

    every = [*DEFAULT_HEAD_SCORES, "induction_in_text", "saliency_agreement"]
    for name in ("bert", "mistral", "gpt-oss"):
        for implementation in (None, "eager"):
            visualizer = visualizer_of(name, implementation)
            whole = visualizer.score_heads(SAID_TWICE, scores=every)
            with monkeypatch.context() as patch:
                patch.setattr(layer, "CELLS_AT_ONCE", 1)
                patch.setattr(layer, "_LEAST_ROWS", 3)
                parts = visualizer.score_heads(SAID_TWICE, scores=every)
            for one in every:  # two weights that are nearly the same may change their rank
                relative = 1e-2 if one == "saliency_agreement" else 5e-6
                assert oracles.close(parts.of(one), whole.of(one), relative)


def test_the_loops_tell_wrong_rows(monkeypatch):
    def one_too_far(block, keys):
        return true_weights(block, keys - 1)

    true_weights = previous_token.weights_at
    monkeypatch.setattr(previous_token, "weights_at", one_too_far)
    assert not oracles.close(
        score("llama", "previous_token"), by_hand.previous_token("llama", inputs_of("llama")), 1e-2
    )
    monkeypatch.setattr(delimiter, "delimiters_of", lambda tokens: ~delimiters_of(tokens))
    tokens = encoded(visualizer_of("bert"), PROBE).tokens[0]
    places = np.flatnonzero(delimiters_of(tokens))
    expected = by_hand.by_loops("bert", inputs_of("bert"), lambda row, _: row[places].sum())
    assert not oracles.close(score("bert", "delimiter"), expected, 1e-2)
