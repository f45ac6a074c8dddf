"""DeepLIFT: exact differences from references, against captum, formulas by hand and single comparisons."""

import numpy as np
import pytest
import tiny_models
import torch
from oracles import close
from pass_counts import counted
from tiny_models import PROBE, TEXTS, encoded, visualizer_of
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from model_understanding import (
    DeepLift,
    InputError,
    IntegratedGradients,
    ModelVisualizer,
    UnsupportedModelError,
)
from model_understanding.finite_backward import mode as modes
from model_understanding.finite_backward.run import EMBEDDINGS, Side, finite_backward
from model_understanding.model.memory import Memory
from model_understanding.paths.baselines import baseline_embeddings

NEXT = {"target": 9}
CONTINUED = {"target": "continuation", "continuation": " a bad film"}


def options_of(name, **others):
    return {"target": 1, **others} if name in tiny_models.CLASSIFIERS else {**NEXT, **others}


class Mlp(nn.Module):
    """Tokens by themselves, then their mean."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(len(tiny_models.tokenizer_of("bert")), 16)
        self.first, self.second, self.out = nn.Linear(16, 24), nn.Linear(24, 12), nn.Linear(12, 3)
        self.tanh, self.relu = nn.Tanh(), nn.ReLU()

    def from_embeddings(self, x):
        return self.out(self.relu(self.second(self.tanh(self.first(x)).mean(1))))

    def forward(self, input_ids):
        return self.from_embeddings(self.table(input_ids))


class Linear(Mlp):
    def from_embeddings(self, x):
        return self.out(self.second(self.first(x)).sum(1))


class Pooled(Mlp):
    """Attention of one query, whose scores and values are the embeddings' own."""

    def from_embeddings(self, x):
        states = self.first(x)
        weights = torch.softmax(states[..., 0], -1)
        return (weights[..., None] * states[..., 1:4]).sum(1)


def small(kind):
    return ModelVisualizer(model=kind().eval(), tokenizer=tiny_models.tokenizer_of("bert"))


def pairs(visualizer, names=("mask", "mean")):
    """Return a text's embeddings and those of its references, in 64 bits."""
    text = encoded(visualizer, PROBE)
    embeddings = visualizer.runner.embed(text).double()[0]
    return embeddings, [baseline_embeddings(visualizer.runner, text, name)[0].double() for name in names]


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")
def test_activations_are_those_of_captum():
    from captum.attr import DeepLift as Captum

    visualizer = small(Mlp)
    found = visualizer.compute_saliency(PROBE, target=2, method="deep_lift")
    module = visualizer.model.double()
    module.forward = module.from_embeddings
    embeddings, references = pairs(small(Mlp))
    expected = [
        Captum(module).attribute(embeddings[None].requires_grad_(), baselines=each[None], target=2)[0].sum(-1)
        for each in references
    ]
    assert close(found.scores[0], torch.stack(expected).mean(0).detach())


def test_of_a_linear_model_they_are_its_terms():
    visualizer = small(Linear)
    module = visualizer.model
    found = visualizer.compute_saliency(PROBE, target=1, method=DeepLift(baseline="mean"))
    weights = (module.out.weight[1] @ module.second.weight @ module.first.weight).double()
    embeddings, (mean,) = pairs(visualizer, ("mean",))
    assert close(found.scores[0], ((embeddings - mean) @ weights).detach())


def test_of_attention_they_are_those_of_logarithmic_means():
    visualizer = small(Pooled)
    found = visualizer.compute_saliency(PROBE, target=0, method=DeepLift(baseline="mask"))
    layer = visualizer.model.first
    embeddings, (mask,) = pairs(visualizer, ("mask",))
    x1, x0 = (
        (each @ layer.weight.double().T + layer.bias.double()).detach().numpy() for each in (embeddings, mask)
    )
    p1, p0 = (np.exp(x[:, 0]) / np.exp(x[:, 0]).sum() for x in (x1, x0))
    same = np.isclose(p1, p0)
    with np.errstate(all="ignore"):
        means = np.where(same, p1, (p1 - p0) / (np.log(p1) - np.log(p0)))
    m = (x0[:, 1] + x1[:, 1]) / 2
    to_scores = means * (m - (means * m).sum() / means.sum())
    change = x1 - x0
    assert close(found.scores[0], to_scores * change[:, 0] + (p0 + p1) / 2 * change[:, 1], 1e-4)


@pytest.mark.parametrize("name", tiny_models.each(tiny_models.CLASSIFIERS + tiny_models.LANGUAGE_MODELS))
def test_the_scores_add_up_for_every_architecture(name):
    visualizer = visualizer_of(name)
    found = visualizer.compute_saliency(TEXTS[1], method="deep_lift", **options_of(name))
    change = float(found.outputs[0] - found.baseline_outputs[0])
    size = max(abs(change), float(np.abs(found.scores).sum()))
    assert abs(float(found.scores[0].astype(float).sum()) - change) <= 1e-4 * size + 1e-6 * abs(
        found.outputs[0]
    )
    assert not found.scores[0][found.tokens.special].any()
    plain = visualizer.compute_saliency(TEXTS[1], method="input_x_gradient", **options_of(name))
    np.testing.assert_allclose(found.outputs, plain.outputs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "modernbert", "gpt2-classifier", "llama-classifier", "xlnet"])
def test_of_a_classifier_baselines_are_averaged(name):
    """Values of the baseline are those of the model, and each baseline alone gives its share."""
    visualizer = visualizer_of(name)
    both = visualizer.compute_saliency(PROBE, target=1, method="deep_lift")
    names = both.parameters["baseline"].split(",")
    assert names[-1] == "mean"
    assert both.parameters.keys() == {"baseline"}  # nothing is drawn
    assert both.provenance.seed is None
    alone = [visualizer.compute_saliency(PROBE, target=1, method=DeepLift(baseline=each)) for each in names]
    assert close(both.scores, np.mean([each.scores for each in alone], axis=0))
    lines = [
        visualizer.compute_saliency(
            PROBE, target=1, method=IntegratedGradients(baseline=each, nodes=1, max_nodes=1, tolerance=1e9)
        )
        for each in names
    ]
    for one, line in zip(alone, lines, strict=True):
        np.testing.assert_allclose(one.baseline_outputs, line.baseline_outputs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["gpt2", "llama", "mamba", "bert-as-language-model"])
def test_halves_are_two_comparisons_of_complementary_words(name):
    visualizer = visualizer_of(name)
    runner = visualizer.runner
    method = DeepLift(baseline="mean", seed=3)
    found = visualizer.compute_saliency(PROBE, method=method, **NEXT)
    text = encoded(visualizer, PROBE)
    generator, words = np.random.default_rng(3), text.tokens[0].groups("word")
    words = [word for word in words if not text.tokens[0].special[word[0]]]
    chosen = generator.permutation(len(words))[: (len(words) + 1) // 2]
    half = torch.zeros(text.ids.shape[1], dtype=torch.bool)
    for index in chosen:
        half[list(words[index])] = True
    embeddings, mean = runner.embed(text), baseline_embeddings(runner, text, "mean")

    def read(logits, outputs):
        return torch.log_softmax(logits[:, -1].double(), -1)[:, 9]

    expected, change = torch.zeros(text.ids.shape[1], dtype=torch.float64), 0.0
    for part in (half, ~half):
        reference = torch.where(part[:, None], mean, embeddings)
        result = finite_backward(runner.model, Side(text, reference), Side(text), read)
        expected += result.cuts[EMBEDDINGS][0]
        change += float(result.difference[0])
    assert close(found.scores[0], expected)
    assert float(found.outputs[0] - found.baseline_outputs[0]) == pytest.approx(change, rel=1e-4, abs=1e-5)


def test_halves_are_balanced_in_a_prompt_and_its_continuation_and_drawn_by_the_seed():
    visualizer = visualizer_of("gpt2")

    def explained(**fields):
        return visualizer.compute_saliency(PROBE, method=DeepLift(**fields), **CONTINUED)

    one, other = explained(seed=1), explained(seed=2)
    assert one.parameters == {"baseline": "mean,mean", "halvings": 1, "seed": 1}
    assert one.provenance.seed == 1
    assert np.array_equal(one.scores, explained(seed=1).scores)
    assert not close(one.scores, other.scores, 1e-2)
    assert one.scores[0, one.tokens.segments == 1][:-1].any()  # a later token depends on those before
    assert not one.scores[0, -1]
    # More halvings come closer to the mean of many.
    many = explained(halvings=40, seed=9).scores
    errors = [np.abs(explained(halvings=count, seed=1).scores - many).mean() for count in (1, 16)]
    assert errors[1] < errors[0] / 2


@pytest.mark.parametrize("name", ["bert", "gpt2-classifier", "modernbert", "xlnet"])
def test_texts_of_one_length_share_passes_and_are_those_alone(name):
    visualizer = visualizer_of(name)
    texts = [PROBE, PROBE.replace("wonderful", "bad"), PROBE.replace("dull", "bad"), TEXTS[1]]
    lengths = {len(visualizer.tokenizer(text)["input_ids"]) for text in texts}
    first = visualizer.compute_saliency(PROBE, target=1, method="deep_lift")
    references = len(set(first.parameters["baseline"].split(",")))
    with counted(visualizer.model) as counts:
        together = visualizer.compute_saliency(texts, target=1, method="deep_lift")
    passes = (references + 1) * len(lengths), references * len(lengths)
    assert (counts["forwards"], counts["backwards"]) == passes
    for text, found in zip(texts, together, strict=True):
        assert close(found.scores, visualizer.compute_saliency(text, target=1, method="deep_lift").scores)


@pytest.mark.parametrize("name", ["bert", "roberta", "llama", "gpt-neox", "gpt2"])
def test_fused_and_eager_attention_agree(name):
    scores = [
        visualizer_of(name, kind).compute_saliency(PROBE, method="deep_lift", **options_of(name)).scores
        for kind in ("sdpa", "eager")
    ]
    assert close(*scores)


@pytest.mark.parametrize(
    ("name", "options", "forwards", "backwards"),
    [
        ("bert", {}, 3, 2),
        ("bert", {"target": "all"}, 3, 6),
        ("bert", {"target": 1, "method": DeepLift(baseline="mask")}, 2, 1),
        ("bert", {"target": lambda outputs: outputs.logits[0, 1]}, 3, 2),
        ("bert", {"target": 0, "method": DeepLift(halvings=1)}, 5, 4),
        ("llama-classifier", {"target": 1}, 2, 1),  # without a mask token or a trained padding token
        ("gpt2", NEXT, 5, 4),
        ("gpt2", {"target": "next"}, 5, 4),
        ("llama", {**CONTINUED}, 5, 4),
        ("llama", {**NEXT, "method": DeepLift(baseline="mean")}, 3, 2),
        ("llama", {**NEXT, "method": DeepLift(halvings=3)}, 13, 12),
    ],
)
def test_the_text_runs_once_for_all_references_and_targets(name, options, forwards, backwards):
    visualizer = visualizer_of(name)
    options = {"method": DeepLift(), **options}
    visualizer.compute_saliency(PROBE, **options)  # what is measured once per model has been
    estimate = visualizer.estimate_saliency(PROBE, **options)
    with counted(visualizer.model) as counts:
        visualizer.compute_saliency(PROBE, **options)
    assert (counts["forwards"], counts["backwards"]) == (forwards, backwards)
    assert estimate.is_exact
    assert {field: getattr(estimate, field) for field in counts} == counts


def test_targets_of_a_continuation_are_those_one_by_one_and_add_up_to_it():
    visualizer = visualizer_of("llama")
    rows = visualizer.compute_saliency(PROBE, method="deep_lift", per_token=True, **CONTINUED)
    whole = visualizer.compute_saliency(PROBE, method="deep_lift", **CONTINUED)
    assert len(rows.targets) > 2
    assert close(rows.scores.sum(0), whole.scores[0])
    for row, target in enumerate(rows.targets):
        assert not rows.scores[row, target.positions[0] + 1 :].any()


@pytest.mark.parametrize("quantity", ["logit", "prob", "log_prob"])
def test_every_quantity_adds_up(quantity):
    for name in ("bert", "llama"):
        visualizer = visualizer_of(name)
        options = options_of(name, quantity=quantity, against=0)
        found = visualizer.compute_saliency(PROBE, method="deep_lift", **options)
        assert found.relative_gaps().max() < 1e-4
        plain = visualizer.compute_saliency(PROBE, method="saliency", **options)
        np.testing.assert_allclose(found.outputs, plain.outputs, rtol=1e-4)


@pytest.mark.parametrize("quantity", ["logit", "prob", "log_prob"])
@pytest.mark.parametrize("problem", ["regression", "multi_label_classification"])
def test_the_default_adds_up_for_classifiers_without_a_softmax(problem, quantity):
    if problem == "regression" and quantity != "logit":
        pytest.skip("A number that is estimated has no probability.")
    function = {"logit": lambda x: x, "prob": torch.sigmoid, "log_prob": nn.functional.logsigmoid}[quantity]
    tokenizer = tiny_models.tokenizer_of("bert")
    labels = 1 if problem == "regression" else 3
    torch.manual_seed(0)
    config = BertConfig(**tiny_models.SMALL, vocab_size=len(tokenizer), num_labels=labels)
    config.problem_type = problem
    model = BertForSequenceClassification(config).eval()
    model.bert.embeddings.word_embeddings.weight.data.mul_(20)
    visualizer = ModelVisualizer(model=model, tokenizer=tokenizer)
    found = visualizer.compute_saliency(PROBE, target=labels - 1, quantity=quantity)
    assert (found.method, found.provenance.cautions) == ("deep_lift", ())
    embeddings, references = pairs(visualizer)

    def value(rows):
        with torch.no_grad():
            logits = model.double()(inputs_embeds=rows[None]).logits
        return float(function(logits[0, labels - 1]))

    change = value(embeddings) - np.mean([value(each) for each in references])
    np.testing.assert_allclose(found.scores[0].sum(), change, rtol=1e-3)
    np.testing.assert_allclose(found.outputs[0] - found.baseline_outputs[0], change, rtol=1e-3)


@pytest.mark.parametrize("name", ["albert", "bert", "llama", "gpt-neox"])
def test_hidden_states_of_a_layer_add_up(name):
    visualizer = visualizer_of(name)
    found = visualizer.compute_saliency(PROBE, method="deep_lift", layer=2, **options_of(name))
    assert found.parameters["layer"] == 2
    if name in tiny_models.CLASSIFIERS:  # special tokens as well, which hold what they read of the text
        assert found.scores[0].all()
    assert found.relative_gaps().max() < 1e-4
    line = visualizer.compute_saliency(
        PROBE, method=IntegratedGradients(baseline="mean", tolerance=0.01), layer=2, **options_of(name)
    )
    alone = DeepLift(baseline="mean", halvings=0)
    alone = visualizer.compute_saliency(PROBE, method=alone, layer=2, **options_of(name))
    np.testing.assert_allclose(alone.baseline_outputs, line.baseline_outputs, rtol=1e-3, atol=1e-4)


def test_a_model_that_does_not_pair_is_refused_with_a_method_that_works(monkeypatch):
    monkeypatch.delitem(modes.RULES, "layer_norm")
    visualizer = visualizer_of("bert")
    with pytest.raises(UnsupportedModelError) as caught:
        visualizer.compute_saliency(PROBE, target=1, method="deep_lift")
    assert "layer_norm" in caught.value.message
    assert "leave_one_out" in caught.value.hint
    assert visualizer.compute_saliency(PROBE, target=1, method="leave_one_out").scores.any()


@pytest.mark.parametrize("problem", ["estimate", "run"])
def test_a_text_whose_runs_do_not_fit_is_refused_with_a_method_that_needs_less(monkeypatch, problem):
    visualizer = visualizer_of("bert")
    visualizer.compute_saliency(TEXTS[1], target=1, method="deep_lift")
    if problem == "estimate":
        monkeypatch.setattr(Memory, "fits_graph", lambda self, tokens, logits=1, graphs=1: graphs < 2)
    else:

        def hungry(*arguments, **keywords):
            raise torch.OutOfMemoryError("out of memory")

        monkeypatch.setattr("model_understanding.finite_backward.one_to_one.with_slope", hungry)
    with pytest.raises(UnsupportedModelError, match="not enough memory to compare two runs") as caught:
        visualizer.compute_saliency(PROBE, target=1, method="deep_lift")
    assert "integrated_gradients" in caught.value.hint


def test_a_batch_that_does_not_fit_runs_in_halves(monkeypatch):
    visualizer = visualizer_of("bert")
    texts = [PROBE, PROBE.replace("wonderful", "bad"), PROBE.replace("dull", "bad")]
    expected = visualizer.compute_saliency(texts, target=1, method="deep_lift")
    from model_understanding.finite_backward import differences as module

    compared = module._Pass.compared

    def hungry(self, references):
        if len(self.encoding) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return compared(self, references)

    monkeypatch.setattr(module._Pass, "compared", hungry)
    for one, other in zip(
        visualizer.compute_saliency(texts, target=1, method="deep_lift"), expected, strict=True
    ):
        assert close(one.scores, other.scores)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_16_bit_model_adds_up_to_its_rounding(dtype):
    model = tiny_models.fresh("bert").to(dtype)
    found = visualizer_of("bert", model=model).compute_saliency(PROBE, target=1, method="deep_lift")
    exact = visualizer_of("bert").compute_saliency(PROBE, target=1, method="deep_lift")
    assert found.relative_gaps().max() < 32 * torch.finfo(dtype).eps
    assert np.corrcoef(found.scores[0], exact.scores[0])[0, 1] > 0.95


def test_experts_of_the_baseline_are_named_where_they_matter():
    visualizer = visualizer_of("mixtral")
    found = visualizer.compute_saliency(PROBE, method="deep_lift", **NEXT)
    assert found.relative_gaps().max() < 1e-3
    (caution,) = found.provenance.cautions
    assert caution.startswith("The baseline is routed to other experts: ")


def test_a_tensor_and_words_can_be_the_baseline():
    visualizer = visualizer_of("bert")
    text = encoded(visualizer, PROBE)
    mean = baseline_embeddings(visualizer.runner, text, "mean")[0].numpy()
    by_name, by_values = (
        visualizer.compute_saliency(PROBE, target=1, method=DeepLift(baseline=each))
        for each in ("mean", mean)
    )
    assert close(by_values.scores, by_name.scores)
    words = visualizer.compute_saliency(PROBE, target=1, method=DeepLift(baseline="text:a bad film"))
    assert words.relative_gaps().max() < 1e-4


def test_wrong_fields_are_refused():
    for fields in ({"halvings": -1}, {"halvings": 0.5}, {"seed": -1}, {"baseline": "nothing"}):
        with pytest.raises(InputError):
            DeepLift(**fields)


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_a_single_word_is_the_whole_difference(name):
    """One of its halves is empty, and its reference is the text itself."""
    found = visualizer_of(name).compute_saliency("king", method="deep_lift", **options_of(name))
    assert found.scores.any()
    assert found.relative_gaps().max() < 1e-4
