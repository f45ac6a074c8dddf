"""Ablation of heads: against a hook that puts one head's part of one module's input to zero."""

import functools

import numpy as np
import oracles
import pytest
import tiny_models
import torch
from pass_counts import forwards_of, measured
from tiny_models import PROBE, encoded, visualizer_of

from model_understanding import InputError, UnsupportedModelError
from model_understanding.head_scores import ablated_forward
from model_understanding.head_scores.ablation import Ablation
from model_understanding.model.prefixes import prefixes_agree

from . import by_hand

IMPLEMENTATIONS = [None, "eager"]


def loss(ids):
    def read(logits):
        chances = torch.log_softmax(logits[:-1], dim=-1)
        return -float(chances[range(len(ids) - 1), ids[1:]].mean())

    return read


def question(name, inputs):
    """Return how a target is read by hand, and the options that ask for it."""
    if name in tiny_models.CLASSIFIERS:
        return (lambda logits: float(logits[2] - logits[0])), {"target": 2, "against": 0}
    return loss(inputs["input_ids"][0]), {}


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("name", by_hand.PROJECTIONS)
def test_effects_are_those_of_a_hook_on_the_projection(name, implementation):
    visualizer = visualizer_of(name, implementation)
    inputs = encoded(visualizer, PROBE).inputs
    read, options = question(name, inputs)
    expected = by_hand.ablation(name, inputs, read)
    found = visualizer.score_heads(PROBE, scores="ablation", **options)
    assert np.abs(expected).max() > 1e-3
    assert oracles.close(found.of("ablation"), expected, 1e-3)  # differences of values in 32 bits


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_the_mean_over_the_text_may_stand_in(name):
    visualizer = visualizer_of(name)
    inputs = encoded(visualizer, PROBE).inputs
    read, options = question(name, inputs)
    if name in tiny_models.LANGUAGE_MODELS:  # its last token is read by no target, and is not run
        inputs = {key: values[:, :-1] for key, values in inputs.items()}
        ids = encoded(visualizer, PROBE).ids[0]

        def read(logits):
            return -float(torch.log_softmax(logits, dim=-1)[range(len(ids) - 1), ids[1:]].mean())

    expected = by_hand.ablation(name, inputs, read, uses_mean=True)
    found = visualizer.score_heads(PROBE, scores=Ablation(replacement="mean"), **options)
    assert oracles.close(found.of("ablation"), expected, 1e-3)
    zeroed = visualizer.score_heads(PROBE, scores="ablation", **options).of("ablation")
    assert not oracles.close(zeroed, expected, 1e-2)


def test_other_targets_are_those_of_the_same_hook():
    visualizer = visualizer_of("llama")
    encoding = encoded(visualizer, PROBE)
    start = encoding.ids.shape[1]
    ids = visualizer.generate(PROBE, continuation=" a dull plot").tokens.ids.tolist()
    whole, following = torch.tensor([ids]), ids[start:]

    def said(logits):
        steps = torch.log_softmax(logits[start - 1 : -1], dim=-1)
        return float(steps[range(len(following)), following].sum())

    found = visualizer.score_heads(PROBE, scores="ablation", continuation=" a dull plot")
    assert found.target.name == "continuation"
    assert found.tokens.ids.tolist() == whole[0].tolist()
    expected = by_hand.ablation("llama", {"input_ids": whole}, said)
    assert oracles.close(found.of("ablation"), expected, 1e-3)
    first, second = 7, 11
    found = visualizer.score_heads(PROBE, scores="ablation", target=first, against=second, quantity="logit")
    expected = by_hand.ablation(
        "llama", encoding.inputs, lambda logits: float(logits[-1, first] - logits[-1, second])
    )
    assert oracles.close(found.of("ablation"), expected, 1e-3)
    with pytest.raises(InputError) as caught:
        visualizer.score_heads(PROBE, scores="ablation", target=[first, second])
    assert str(caught.value) == "Heads are scored for one target. Got 2. Pass one of them as target."


def test_a_function_of_the_outputs_is_a_target():
    for name in ("bert", "gpt2"):
        visualizer = visualizer_of(name)
        inputs = encoded(visualizer, PROBE).inputs
        found = visualizer.score_heads(
            PROBE, scores="ablation", target=lambda outputs: outputs.logits.square().mean()
        )
        expected = by_hand.ablation(name, inputs, lambda logits: float(logits.square().mean()))
        assert oracles.close(found.of("ablation"), expected, 1e-3)
        assert found.target.quantity == "custom"


def test_what_scores_cost():
    visualizer = measured(visualizer_of("bert", model=tiny_models.fresh("bert")))
    tokens = encoded(visualizer, PROBE).ids.shape[1]
    one = (1, tokens)
    for options, expected in (
        ({"scores": "ablation", "target": 1}, [one, *[(4, tokens)] * 3]),
        ({"scores": "ablation"}, [one, one, *[(4, tokens)] * 3]),  # the first names the class
        ({"scores": ["entropy", "sink", "previous_token", "distance", "delimiter"]}, [one]),
        ({}, [one, (4, 52)]),
        ({"scores": "induction"}, [(4, 52)]),  # measured once for a model, but each count adds a hook to it
        ({"scores": ["saliency_agreement", "entropy"], "target": 1, "method": "saliency"}, [one, one]),
    ):
        score = functools.partial(visualizer.score_heads, PROBE, **options)
        assert forwards_of(visualizer.model, score) == expected
    llama = visualizer_of("llama")
    assert prefixes_agree(llama.runner.model, encoded(llama, PROBE), 1, 2)  # measured once for a model
    tokens = encoded(llama, PROBE).ids.shape[1] - 1  # the last token's logits are read by no loss
    found = forwards_of(llama.model, lambda: llama.score_heads(PROBE, scores="ablation"))
    assert found == [(1, tokens), *[(4, tokens)] * 3]
    assert (
        forwards_of(
            llama.model, lambda: llama.score_heads(PROBE, scores="ablation", target=lambda o: o.logits.sum())
        )
        == [(1, tokens + 1)] * 13
    )


def test_batches_are_as_large_as_memory_allows(monkeypatch):
    visualizer = visualizer_of("gpt2")
    whole = visualizer.score_heads(PROBE, scores="ablation").of("ablation")
    tokens = encoded(visualizer, PROBE).ids.shape[1] - 1
    monkeypatch.setattr(visualizer.runner.model.memory, "positions_at_once", lambda *_, **__: 3 * tokens)
    found = []
    rows = forwards_of(
        visualizer.model, lambda: found.append(visualizer.score_heads(PROBE, scores="ablation"))
    )
    assert [row for row, _ in rows] == [1, *[3, 1] * 3]
    assert oracles.close(found[0].of("ablation"), whole, 1e-4)


def test_the_hook_tells_another_head_and_another_layer(monkeypatch):
    inputs = encoded(visualizer_of("llama"), PROBE).inputs
    expected = by_hand.ablation("llama", inputs, loss(inputs["input_ids"][0]))
    true_init = ablated_forward._WithoutHeads.__init__
    for fault in (
        lambda layer, heads: (layer, [(head + 1) % 4 for head in heads]),
        lambda layer, heads: ((layer + 1) % 3, heads),
    ):

        def wrong(self, model, tokens, layer, heads, outputs, *, uses_mean, fault=fault):
            layer, heads = fault(layer, list(heads))
            true_init(self, model, tokens, layer, heads, outputs, uses_mean=uses_mean)

        with monkeypatch.context() as patch:
            patch.setattr(ablated_forward._WithoutHeads, "__init__", wrong)
            patch.setattr(ablated_forward._WithoutHeads, "_require_layout", lambda *_: None)
            found = visualizer_of("llama").score_heads(PROBE, scores="ablation")
        assert not oracles.close(found.of("ablation"), expected, 0.1)


def test_heads_that_do_not_reach_a_projection_as_they_are_are_refused_by_name():
    model = tiny_models.fresh("llama")

    class Gated(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, given):
            return self.inner(given * torch.sigmoid(given))

    model.model.layers[1].self_attn.o_proj = Gated(model.model.layers[1].self_attn.o_proj)
    with pytest.raises(UnsupportedModelError) as caught:
        visualizer_of("llama", model=model).score_heads(PROBE, scores="ablation")
    assert str(caught.value) == (
        "Could not ablate single heads of attention layer 1 of LlamaForCausalLM (implementation 'sdpa'): "
        "no output projection takes its heads' outputs unchanged. "
        "Use a head score that reads attention alone, such as entropy or sink."
    )


def test_a_batch_laid_out_otherwise_is_refused(monkeypatch):
    require = ablated_forward._WithoutHeads._require_layout
    monkeypatch.setattr(
        ablated_forward._WithoutHeads, "_require_layout", lambda self, rows: require(self, rows.flip(1))
    )
    with pytest.raises(UnsupportedModelError) as caught:
        visualizer_of("bert").score_heads(PROBE, scores="ablation")
    assert str(caught.value) == (
        "Could not ablate single heads of attention layer 0 of BertForSequenceClassification (implementation "
        "'sdpa'): the outputs of its heads in a batch are not those of the text alone. "
        "Use a head score that reads attention alone, such as entropy or sink."
    )


def test_an_unknown_replacement_is_refused():
    with pytest.raises(InputError) as caught:
        Ablation(replacement="noise")
    assert str(caught.value) == ("Unknown replacement 'noise'. Allowed: zero, mean. Pass replacement='zero'.")
