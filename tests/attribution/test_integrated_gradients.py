"""Integrated gradients: exact on linear models, complete on sharp ones, captum's at equal nodes."""

import dataclasses
import logging

import numpy as np
import oracles
import pytest
import tiny_models
import torch
from loaded_demos import sentiment
from pass_counts import measured
from tiny_models import PROBE, TEXTS, encoded, visualizer_of
from transformers import BertConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from model_understanding import InputError, IntegratedGradients
from model_understanding.passes.runner import Runner
from model_understanding.paths import integration
from model_understanding.paths.baselines import baseline_embeddings
from model_understanding.results import Target

NAMES = ("bert", "roberta", "modernbert", "gpt2-classifier", "llama-classifier", "xlnet",
         "gpt2", "llama", "gemma2", "gemma3", "mamba", "bert-as-language-model")  # fmt: skip


class LinearClassifier(PreTrainedModel):
    """Three logits, each a weighted sum of all embeddings, a weight for each place and width."""

    config_class = BertConfig

    def __init__(self, config):
        super().__init__(config)
        generator = torch.Generator().manual_seed(3)
        self.table = torch.nn.Embedding(config.vocab_size, 8)
        self.table.weight.data = torch.randn(config.vocab_size, 8, generator=generator)
        self.weights = torch.nn.Parameter(torch.randn(3, 96, 8, generator=generator))

    def get_input_embeddings(self):
        return self.table

    def forward(self, input_ids, attention_mask=None, token_type_ids=None, return_dict=True):
        rows = self.table(input_ids)
        return SequenceClassifierOutput(
            logits=torch.einsum("btd,ctd->bc", rows, self.weights[:, : rows.shape[1]])
        )


def linear_visualizer():
    tokenizer = tiny_models.tokenizer_of("bert")
    model = LinearClassifier(BertConfig(vocab_size=len(tokenizer), num_labels=3)).eval()
    visualizer = visualizer_of("bert")
    loaded = dataclasses.replace(visualizer.runner.model.loaded, model=model)
    return model, Runner(loaded), encoded(visualizer, PROBE)


def targets_of(visualizer, encoding, count=1):
    if visualizer.task == tiny_models.CLASSIFIER:
        return [Target(task=visualizer.task, indices=(number,)) for number in range(count)]
    return [
        Target(task=visualizer.task, positions=(place,), indices=(9 + place,), quantity="log_prob")
        for place in range(encoding.ids.shape[1] - count, encoding.ids.shape[1])
    ]


@pytest.mark.parametrize(
    "baseline", ["default", "mask", "pad", "mean", "zero", "id:9", "text:sea", "mask,mean"]
)
def test_a_linear_model_is_attributed_exactly(baseline):
    model, runner, encoding = linear_visualizer()
    targets = [Target(task="sequence-classification", indices=(number,)) for number in range(3)]
    found = IntegratedGradients(baseline=baseline, nodes=1)(runner, encoding, [targets])
    rows = torch.stack([baseline_embeddings(runner, encoding, name)[0] for name in baseline.split(",")])
    difference = runner.embed(encoding)[0] - rows.mean(0)
    expected = torch.einsum("td,ctd->ct", difference, model.weights[:, : len(difference)]).detach()
    assert oracles.close(found.scores[0], expected)
    assert np.abs(found.gaps).max() <= 1e-5 * np.abs(found.scores).sum(-1).max()
    assert not found.scores[0][:, encoding.tokens[0].special].any()


@pytest.mark.parametrize("name", NAMES)
def test_the_scores_add_up_to_within_the_tolerance(name):
    visualizer = visualizer_of(name)
    for text in TEXTS[:2]:
        encoding = encoded(visualizer, text)
        targets = targets_of(visualizer, encoding)
        found = IntegratedGradients()(visualizer.runner, encoding, targets)
        change = found.outputs - found.baseline_outputs
        assert np.abs(found.gaps - (found.scores.sum(-1) - change)).max() <= 1e-9
        scale = np.maximum(np.abs(change), 0.01 * np.abs(found.scores).sum(-1))
        assert (np.abs(found.gaps) <= 0.01 * scale).all()
        assert found.cautions == ((),)
        # The ends are real: the text itself, and the model run on the baseline.
        own = visualizer.runner.values(encoding, targets)
        rows = baseline_embeddings(visualizer.runner, encoding, "default")
        start = visualizer.runner.values(encoding, targets, embeddings=rows)
        assert oracles.close(found.outputs, own)
        assert oracles.close(found.baseline_outputs, start)
        # Interpreto's map (|·| before the sum) is never negative and does not add up: it would fail here.
        assert (found.scores < 0).any()
        assert (np.abs(np.abs(found.scores).sum(-1) - change) > 0.01 * scale).all()


def test_the_demo_model_adds_up():
    visualizer = sentiment()
    found = visualizer.compute_saliency(TEXTS[0], method=IntegratedGradients())
    change = found.outputs - found.baseline_outputs
    assert np.abs(found.scores.sum(-1) - change) <= 0.0101 * np.abs(change)
    finer = visualizer.compute_saliency(TEXTS[0], method=IntegratedGradients(nodes=256))
    assert oracles.close(found.scores, finer.scores, 0.02)


@pytest.mark.parametrize(
    "name", ["bert", "roberta", "modernbert", "llama-classifier", "gpt2", "llama", "gemma3"]
)
def test_the_scores_are_captums_at_the_same_nodes(name):
    from captum.attr import LayerIntegratedGradients

    visualizer = visualizer_of(name)
    encoding = encoded(visualizer, PROBE)
    targets = targets_of(visualizer, encoding)
    ids = encoding.inputs["input_ids"]
    word = 20
    filled = ids.clone()
    filled[0, torch.from_numpy(~encoding.tokens[0].special)] = word
    others = {name: values for name, values in encoding.inputs.items() if name != "input_ids"}

    def forward(input_ids):
        repeated = {key: values.expand(len(input_ids), -1) for key, values in others.items()}
        logits = visualizer.model(input_ids=input_ids, **repeated).logits
        if visualizer.task == tiny_models.CLASSIFIER:
            return logits[:, 0]
        return logits[:, -1].log_softmax(-1)[:, targets[0].indices[0]]

    explainer = LayerIntegratedGradients(forward, visualizer.model.get_input_embeddings())
    expected = explainer.attribute(ids, baselines=filled, n_steps=12, method="gausslegendre")
    found = IntegratedGradients(baseline=f"id:{word}", nodes=12, max_nodes=12)(
        visualizer.runner, encoding, targets
    )
    assert oracles.close(found.scores[0, 0], expected[0].sum(-1).detach(), 1e-4)


def test_a_map_that_has_not_converged_says_so(caplog):
    visualizer = visualizer_of("gemma2")
    encoding = encoded(visualizer, PROBE)
    targets = targets_of(visualizer, encoding)
    with caplog.at_level(logging.WARNING, logger="model_understanding"):
        found = IntegratedGradients(baseline="zero")(visualizer.runner, encoding, targets)
    change = found.outputs - found.baseline_outputs
    assert (np.abs(found.gaps) > 0.2 * np.abs(change)).all()
    assert len(found.cautions) == 1
    assert found.cautions[0][0].startswith("The integral did not converge: after ")
    assert found.cautions[0][0] in caplog.text
    from_mean = IntegratedGradients(baseline="mean")(visualizer.runner, encoding, targets)
    assert from_mean.cautions == ((),)


def test_fixed_nodes_from_zero_fail_on_llama_where_added_nodes_converge():
    visualizer = visualizer_of("llama")
    encoding = encoded(visualizer, PROBE)
    targets = targets_of(visualizer, encoding)
    fixed = IntegratedGradients(baseline="zero", nodes=16, max_nodes=16)(visualizer.runner, encoding, targets)
    assert np.abs(fixed.gaps[0, 0]) > np.abs(fixed.outputs - fixed.baseline_outputs)[0, 0]
    assert fixed.cautions[0]
    added = IntegratedGradients(baseline="zero", nodes=8)(visualizer.runner, encoding, targets)
    assert np.abs(added.gaps[0, 0]) <= 0.01 * np.abs(added.outputs - added.baseline_outputs)[0, 0]
    assert not added.cautions[0]


@pytest.mark.parametrize("name", ["mixtral", "gpt-oss"])
def test_a_router_that_jumps_leaves_a_gap_that_is_told(name):
    visualizer = visualizer_of(name)
    encoding = encoded(visualizer, PROBE)
    found = IntegratedGradients(max_nodes=100)(visualizer.runner, encoding, targets_of(visualizer, encoding))
    change = found.outputs - found.baseline_outputs
    scale = np.maximum(np.abs(change), 0.01 * np.abs(found.scores).sum(-1))
    assert bool((np.abs(found.gaps) > 0.01 * scale).any()) == bool(found.cautions[0])
    assert oracles.close(found.gaps, found.scores.sum(-1) - change)


FAULTS = {
    "absolute values before the sum": np.abs,
    "a token lost": lambda products: np.where(np.arange(products.shape[-1]) == 5, 0, products),
    "half a gradient": lambda products: products / 2,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_does_not_add_up(fault, monkeypatch):
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, PROBE)
    targets = targets_of(visualizer, encoding)
    assert not IntegratedGradients(max_nodes=60)(visualizer.runner, encoding, targets).cautions[0]
    name = "gradients_times_differences"
    own = getattr(integration, name)
    monkeypatch.setattr(integration, name, lambda *arguments: FAULTS[fault](own(*arguments)))
    found = IntegratedGradients(max_nodes=60)(visualizer.runner, encoding, targets)
    assert found.cautions[0]
    assert (np.abs(found.gaps) > 0.05 * np.abs(found.outputs - found.baseline_outputs)).all()


def test_several_baselines_are_averaged():
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, PROBE)
    targets = targets_of(visualizer, encoding)
    both, mask, mean = (
        IntegratedGradients(baseline=name)(visualizer.runner, encoding, targets)
        for name in ("mask,mean", "mask", "mean")
    )
    assert not oracles.close(mask.scores, mean.scores, 0.1)
    for field in ("scores", "baseline_outputs"):
        expected = (getattr(mask, field) + getattr(mean, field)) / 2
        assert oracles.close(getattr(both, field), expected)


@pytest.mark.parametrize("name", ["bert", "llama", "bert-as-language-model", "gemma3"])
def test_many_targets_in_one_call_are_those_one_by_one(name):
    visualizer = visualizer_of(name)
    encoding = encoded(visualizer, TEXTS[1])
    targets = targets_of(visualizer, encoding, 3)
    method = IntegratedGradients(nodes=24, max_nodes=24)
    together = method(visualizer.runner, encoding, targets)
    for number, target in enumerate(targets):
        alone = method(visualizer.runner, encoding, [[target]])
        assert oracles.close(together.scores[:, number], alone.scores[:, 0], 2e-5)
        assert oracles.close(together.outputs[:, number], alone.outputs[:, 0])
        # A causal target depends on nothing after it.
        if target.positions:
            assert not together.scores[0, number, target.positions[0] + 1 :].any()


@pytest.mark.parametrize("name", ["bert", "roberta", "llama-classifier", "gemma3"])
def test_a_padded_batch_gives_what_each_text_gives_alone(name):
    visualizer = visualizer_of(name)
    encodings = [encoded(visualizer, text) for text in TEXTS]
    batch = visualizer.runner.model.batch(encodings)
    task = visualizer.task
    positions = () if task == tiny_models.CLASSIFIER else (4,)
    targets = [[Target(task=task, positions=positions, indices=(row,))] for row in range(len(TEXTS))]
    method = IntegratedGradients(nodes=16, max_nodes=64)
    together = method(visualizer.runner, batch, targets)
    for row, encoding in enumerate(encodings):
        length = encoding.ids.shape[1]
        alone = method(visualizer.runner, encoding, [targets[row]])
        assert oracles.close(together.scores[row, :, :length], alone.scores[0], 1e-4)
        assert not together.scores[row, :, length:].any()
        assert oracles.close(together.baseline_outputs[row], alone.baseline_outputs[0])


def test_a_function_of_the_outputs_is_a_target():
    visualizer = visualizer_of("bert")
    batch = visualizer.runner.model.batch([encoded(visualizer, text) for text in TEXTS])
    method = IntegratedGradients(nodes=8, max_nodes=8)
    custom = method(visualizer.runner, batch, lambda outputs: outputs.logits[0, 0] - outputs.logits[0, 2])
    task = visualizer.task
    named = method(visualizer.runner, batch, [Target(task=task, indices=(0,), against=(2,))])
    assert oracles.close(custom.scores, named.scores, 2e-5)


TARGETS = {
    "next": {"target": "next"},
    "continuation": {"target": "continuation", "continuation": " a king"},
    "per token": {"target": "continuation", "continuation": " a king", "per_token": True},
    "loss": {"target": "loss"},
}


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("name", ["gpt2", "llama", "bert-as-language-model"])
def test_every_target_of_a_language_model_adds_up(name, kind):
    visualizer = visualizer_of(name)
    found = visualizer.compute_saliency(PROBE, method=IntegratedGradients(), **TARGETS[kind])
    change = found.outputs - found.baseline_outputs
    scale = np.maximum(np.abs(change), 0.01 * np.abs(found.scores).sum(-1))
    assert (np.abs(found.scores.sum(-1) - change) <= 0.0101 * scale).all()


def test_forwards_and_backwards_are_counted(monkeypatch):
    visualizer = measured(visualizer_of("bert"))
    encoding = encoded(visualizer, PROBE)
    counts = {"forwards": 0, "positions": 0, "backwards": 0}

    def count_forward(_, arguments, keywords, outputs):
        counts["forwards"] += 1
        counts["positions"] += keywords["input_ids"].numel()

    grad = torch.autograd.grad

    def count_backward(*arguments, **keywords):
        counts["backwards"] += 1
        return grad(*arguments, **keywords)

    monkeypatch.setattr(torch.autograd, "grad", count_backward)
    handle = visualizer.model.register_forward_hook(count_forward, with_kwargs=True)
    try:
        IntegratedGradients()(visualizer.runner, encoding, targets_of(visualizer, encoding))
    finally:
        handle.remove()
    # Both ends in one forward, all nodes in another with one backward.
    assert counts == {"forwards": 2, "positions": (2 + 20) * encoding.ids.shape[1], "backwards": 1}


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_a_16_bit_model_gives_32_bit_scores_near_its_own(name):
    exact = visualizer_of(name)
    rough = visualizer_of(name, model=tiny_models.fresh(name).to(torch.bfloat16))
    encoding = encoded(exact, PROBE)
    targets = targets_of(exact, encoding)
    method = IntegratedGradients(nodes=20, max_nodes=20)
    expected = method(exact.runner, encoding, targets)
    found = method(rough.runner, encoded(rough, PROBE), targets)
    assert oracles.close(found.scores, expected.scores, 0.1)
    assert np.isfinite(found.gaps).all()


def test_misuse_is_refused():
    with pytest.raises(InputError, match="Unknown baseline 'masks'"):
        IntegratedGradients(baseline="masks")
    with pytest.raises(InputError, match="max_nodes must be a whole number, 300 or more"):
        IntegratedGradients(nodes=300)
