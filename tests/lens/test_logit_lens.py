"""The logit lens against hidden states, norm and head put together by hand; else a refusal."""

import numpy as np
import oracles
import pytest
import tiny_models
import torch
import transformers as hf
from tiny_models import GROUPED, PROBE, SMALL, TEXTS, encoded, visualizer_of
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from model_understanding import GenerativeModelVisualizer, InputError, ModelVisualizer, UnsupportedModelError
from model_understanding.lens import replay
from model_understanding.lens.logit_lens import read_layers
from model_understanding.model.causality import is_causal

HINT = "Use compute_saliency (the command explain): it does not read inner layers through the head."
# Where each model keeps its last norm, and what it does to the head's output: written down by hand.
NORMS = {
    "gpt2": "transformer.ln_f", "llama": "model.norm", "mistral": "model.norm", "qwen2": "model.norm",
    "qwen3": "model.norm", "gemma2": "model.norm", "gemma3": "model.norm", "phi3": "model.norm",
    "gpt-neox": "gpt_neox.final_layer_norm", "opt": "model.decoder.final_layer_norm",
    "bloom": "transformer.ln_f", "falcon": "transformer.ln_f", "mixtral": "model.norm",
    "gpt-oss": "model.norm", "mamba": "backbone.norm_f",
}  # fmt: skip
AFTER = {"gemma2": lambda logits: 30 * torch.tanh(logits / 30)}


def by_hand(model, ids, norm, after=lambda logits: logits, before=lambda states: states):
    """Return each layer's logits from the model's hidden states, its norm and its head."""
    with torch.no_grad():
        outputs = model(ids, output_hidden_states=True)
        head, states = model.get_output_embeddings(), outputs.hidden_states
        if model.config.model_type == "mamba":  # it records what leaves each block, and not the embeddings
            states = (model.get_input_embeddings()(ids), *states[:-2], states[-1])
        inner = [head(before(norm(one))) for one in states[:-1]]
        return torch.stack([after(logits)[0] for logits in inner] + [outputs.logits[0]]).double()


def assert_reads(found, logits, following, relative=2e-5):
    """Compare a lens with logits ``(layers, positions, vocabulary)``."""
    logs = torch.log_softmax(logits, -1)
    probabilities, final = logs.exp(), logs[-1]
    top = probabilities.sort(-1, descending=True)
    assert oracles.close(found.top_probabilities, top.values[..., : found.top_ids.shape[2]], relative)
    chosen = probabilities.gather(-1, torch.tensor(found.top_ids))
    assert oracles.close(found.top_probabilities, chosen, relative)  # ids go with their probabilities
    assert oracles.close(found.entropies, -(probabilities * logs).sum(-1), relative)
    assert oracles.close(found.divergences, (final.exp() * (final - logs)).sum(-1), 1e-4)
    for ids, ranks, values in (
        (torch.tensor(found.final_ids), found.final_ranks, found.final_probabilities),
        (torch.tensor(following), found.next_ranks, found.next_probabilities),
    ):
        places = ids.clamp(min=0).expand(len(logits), -1)[..., None]
        own = logits.gather(-1, places)
        rounding = 1e-5 * logits.abs().max()  # two logits may be equal but for it
        least = ((logits > own + rounding).sum(-1) + 1).numpy()
        most = ((logits > own - rounding).sum(-1) + 1).numpy()
        known = ids.numpy() >= 0
        assert ((ranks >= least) & (ranks <= most))[:, known].all()
        chances = probabilities.gather(-1, places)[..., 0]
        assert not known.any() or oracles.close(values[:, known], chances[:, known], relative)
        assert not ranks[:, ~known].any()
        assert not values[:, ~known].any()


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", NORMS)
def test_every_layer_is_hidden_states_through_norm_and_head(name, text):
    visualizer, model = visualizer_of(name), tiny_models.build(name)
    ids = encoded(visualizer, text).ids
    expected = by_hand(model, ids, model.get_submodule(NORMS[name]), AFTER.get(name, lambda logits: logits))
    found = visualizer.compute_logit_lens(text)
    assert_reads(found, expected, [*ids[0, 1:].tolist(), -1])
    assert found.layer_count == 4
    assert found.divergences[0].max() > 1e-3  # the oracle can fail: layers differ
    # The last layer is the model's own answer, to the last bit.
    logits = visualizer.runner.model.logits(encoded(visualizer, text))[0]
    own = torch.softmax(logits.float(), -1).gather(-1, torch.tensor(found.top_ids[-1]))
    assert oracles.close(found.top_probabilities[-1], own, 5e-7)
    assert not found.divergences[-1].any()


SCALED = {
    "head's output multiplied": (
        hf.CohereConfig, {**GROUPED, "logit_scale": 0.5},
        lambda model: {"norm": model.model.norm, "after": lambda logits: logits * 0.5},
    ),
    "head's output divided, embeddings multiplied": (
        hf.GraniteConfig, 
        {**GROUPED, "logits_scaling": 4.0, "embedding_multiplier": 7.0, "residual_multiplier": 0.5},
        lambda model: {"norm": model.model.norm, "after": lambda logits: logits / 4},
    ),
    "no last norm, a projection before the head": (
        hf.OPTConfig,
        {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "ffn_dim": 48,
         "word_embed_proj_dim": 16, "do_layer_norm_before": False, "max_position_embeddings": 96},
        lambda model: {"norm": lambda states: states, "before": model.model.decoder.project_out},
    ),
    "a head of its own, with a bias": (
        hf.PhiConfig, {**GROUPED, "tie_word_embeddings": False},
        lambda model: {"norm": model.model.final_layernorm},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SCALED)
def test_what_stands_between_the_last_block_and_the_logits_is_kept(case):
    config, options, parts = SCALED[case]
    tokenizer = tiny_models.tokenizer_of("llama")
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config(vocab_size=len(tokenizer), **options)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(
                parameter * 4 if parameter.ndim > 1 else parameter + 0.1 * torch.randn_like(parameter)
            )
    visualizer = GenerativeModelVisualizer(model=model, tokenizer=tokenizer)
    ids = encoded(visualizer, PROBE).ids
    found = visualizer.compute_logit_lens(PROBE)
    if case.startswith("no last norm"):
        with torch.no_grad():
            states = model(ids, output_hidden_states=True).hidden_states
            # transformers projects the last hidden states already: what leaves the last block comes before
            inner = [model.lm_head(model.model.decoder.project_out(one))[0] for one in states[:3]]
            expected = torch.stack([*inner, model(ids).logits[0]]).double()
    else:
        expected = by_hand(model, ids, **parts(model))
    assert_reads(found, expected, [*ids[0, 1:].tolist(), -1])
    assert found.divergences[0].max() > 1e-3


def test_the_oracle_fails_without_the_last_norm():
    model = tiny_models.build("llama")
    visualizer = visualizer_of("llama")
    wrong = by_hand(model, encoded(visualizer, PROBE).ids, lambda states: states)
    found = visualizer.compute_logit_lens(PROBE)
    with pytest.raises(AssertionError):
        assert_reads(found, wrong, found.next_ids.tolist())


def test_a_continuation_is_read_where_its_tokens_were_chosen():
    visualizer = visualizer_of("llama")
    found = visualizer.compute_logit_lens(PROBE, continuation=" a bad film")
    generation = visualizer.generate(PROBE, continuation=" a bad film")
    start = generation.prompt_length
    assert found.positions.tolist() == list(range(start - 1, len(generation.tokens) - 1))
    assert found.next_ids.tolist() == generation.tokens.ids[start:].tolist()
    assert oracles.close(found.next_probabilities[-1], generation.probabilities, 1e-6)
    assert oracles.close(found.entropies[-1], generation.entropies, 1e-6)
    assert np.array_equal(found.top_ids[-1], generation.top_ids)
    assert [found.top_labels(-1, place) for place in range(len(found.positions))] == list(
        generation.top_labels
    )


def test_chosen_positions_are_rows_of_the_whole():
    visualizer = visualizer_of("gemma2")
    whole = visualizer.compute_logit_lens(PROBE, top=3)
    some = visualizer.compute_logit_lens(PROBE, positions=[-1, 2, np.int64(5)], top=3)
    assert some.positions.tolist() == [len(whole.tokens) - 1, 2, 5]
    for name in ("top_probabilities", "entropies", "divergences", "next_probabilities", "final_ranks"):
        assert oracles.close(getattr(some, name), getattr(whole, name)[:, some.positions]), name
    assert visualizer.compute_logit_lens(PROBE, positions=-1).positions.tolist() == [len(whole.tokens) - 1]


def test_one_forward_serves_all_layers_and_positions():
    visualizer = visualizer_of("llama", model=tiny_models.fresh("llama"))
    counts, blocks = [], []
    handles = [
        visualizer.model.register_forward_hook(lambda *_: counts.append(1)),
        visualizer.model.model.layers[1].register_forward_hook(lambda *_: blocks.append(1)),
    ]
    try:
        visualizer.compute_logit_lens(PROBE)
        # Measured once: where are ids looked up, is it causal, do its prefixes agree, where are its blocks.
        assert len(counts) == 8
        visualizer.compute_logit_lens(PROBE, continuation=" bad")
        visualizer.compute_logit_lens(TEXTS[1], positions=[0, 3])
        assert len(counts) == len(blocks) == 10
    finally:
        for handle in handles:
            handle.remove()


def test_nothing_of_layers_by_positions_by_vocabulary_is_held():
    class Largest(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.sizes = []

        def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
            result = function(*arguments, **(keywords or {}))
            self.sizes += [result.numel()] if isinstance(result, torch.Tensor) else []
            return result

    visualizer = visualizer_of("llama")
    encoding = encoded(visualizer, " ".join([PROBE] * 3))  # longer than the head is wide
    visualizer.compute_logit_lens(PROBE)
    tokens, vocabulary = encoding.ids.shape[1], visualizer.model.config.vocab_size
    with Largest() as largest:
        read_layers(visualizer.runner.model, encoding, positions=range(tokens), tracked=[-1] * tokens, top=5)
    assert max(largest.sizes) == tokens * vocabulary


def test_the_model_keeps_no_trace():
    model = tiny_models.fresh("llama")
    visualizer = visualizer_of("llama", model=model)
    visualizer.compute_logit_lens(PROBE)

    def hooks():
        return [m for m in model.modules() if m._forward_pre_hooks or m._forward_hooks]

    assert hooks() == []
    broken = model.model.norm.register_forward_hook(lambda *_: (_ for _ in ()).throw(KeyError("broken")))
    with pytest.raises(InputError, match="KeyError"):
        visualizer.compute_logit_lens(PROBE)
    broken.remove()
    assert hooks() == []


def test_half_precision_reads_the_model_s_own_logits():
    visualizer = visualizer_of("llama", model=tiny_models.fresh("llama").to(torch.bfloat16))
    found = visualizer.compute_logit_lens(PROBE)
    logits = visualizer.runner.model.logits(encoded(visualizer, PROBE))[0]
    own = torch.softmax(logits.float(), -1).gather(-1, torch.tensor(found.top_ids[-1]))
    assert oracles.close(found.top_probabilities[-1], own, 5e-7)


def refused(model, name="llama"):
    with pytest.raises(UnsupportedModelError) as caught:
        visualizer_of(name, model=model).compute_logit_lens(PROBE)
    return str(caught.value)


def test_a_path_around_the_last_block_is_refused():
    """A planted model: the embeddings enter again after the last block."""
    model = tiny_models.fresh("llama")
    kept = []
    model.model.embed_tokens.register_forward_hook(lambda _, __, rows: kept.append(rows))
    model.model.norm.register_forward_pre_hook(lambda _, given: (given[0] + 0.01 * kept[-1],))
    assert refused(model) == (
        "The logits of LlamaForCausalLM do not depend on its last block alone: other hidden states enter "
        f"after it. {HINT}"
    )


def test_a_head_that_reads_several_positions_is_refused():
    model = tiny_models.fresh("llama")
    model.model.norm.register_forward_hook(lambda _, __, states: states + states.mean(1, keepdim=True))
    visualizer = visualizer_of("llama", model=model)
    visualizer.runner.model.measured[is_causal.__wrapped__,] = (
        True  # as it would be with a mean over the tokens before
    )
    with pytest.raises(UnsupportedModelError) as caught:
        visualizer.compute_logit_lens(PROBE, positions=3)
    assert str(caught.value) == (
        f"Replaying LlamaForCausalLM's final layers does not reproduce its logits. {HINT}"
    )


def test_an_operation_that_is_lost_is_noticed(monkeypatch):
    index_of = replay.FinalLayers._index_of

    def forgetful(self, leaf):
        index = index_of(self, leaf)
        self._operations = [one for one in self._operations if one.function is not torch.rsqrt]
        return index

    monkeypatch.setattr(replay.FinalLayers, "_index_of", forgetful)
    with pytest.raises((UnsupportedModelError, KeyError)):
        visualizer_of("llama").compute_logit_lens(PROBE)


def test_an_end_that_cannot_be_followed_is_refused():
    """A planted model: its last norm leaves torch and comes back."""
    model = tiny_models.fresh("llama")
    model.model.norm.register_forward_hook(lambda _, __, states: torch.from_numpy(states.numpy().copy()))
    visualizer = visualizer_of("llama", model=model)
    visualizer.runner.model.measured[is_causal.__wrapped__,] = True  # nobody can differentiate it
    with pytest.raises(UnsupportedModelError) as caught:
        visualizer.compute_logit_lens(PROBE)
    assert str(caught.value) == (
        f"Could not trace the logits of LlamaForCausalLM back to its last block. {HINT}"
    )


def test_operations_in_place_are_done_again_in_place():
    model = tiny_models.fresh("llama")
    model.lm_head.register_forward_hook(lambda _, __, logits: logits.mul_(0.5))
    visualizer = visualizer_of("llama", model=model)
    ids = encoded(visualizer, PROBE).ids
    expected = by_hand(model, ids, model.model.norm)
    assert_reads(visualizer.compute_logit_lens(PROBE), expected, [*ids[0, 1:].tolist(), -1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"positions": 99}, "There is no position 99: the text has 23. "
         "Pass an index from 0 to 22, or from -23 to -1 counting from the end."),
        ({"positions": "last"}, "There is no position 'last': the text has 23. "
         "Pass an index from 0 to 22, or from -23 to -1 counting from the end."),
        ({"positions": [True]}, "There is no position True: the text has 23. "
         "Pass an index from 0 to 22, or from -23 to -1 counting from the end."),
        ({"positions": []}, "positions=[] names no position. Leave positions out, or pass positions=-1."),
        ({"top": 0}, "top must be a whole number, 1 or more. Got 0. Pass top=1."),
        ({"top": 2.5}, "top must be a whole number, 1 or more. Got 2.5. Pass top=1."),
    ],
)  # fmt: skip
def test_what_is_not_there_is_refused(options, message):
    with pytest.raises(InputError) as caught:
        visualizer_of("llama").compute_logit_lens(PROBE, **options)
    assert str(caught.value) == message


def test_more_than_the_vocabulary_is_all_of_it():
    visualizer = visualizer_of("llama")
    assert (
        visualizer.compute_logit_lens("A", top=10**6).top_ids.shape[2] == visualizer.model.config.vocab_size
    )


CLASSIFIERS = {
    "bert": lambda model, states: model.classifier(model.bert.pooler(states)),
    "distilbert": lambda model, states: model.classifier(torch.relu(model.pre_classifier(states[:, 0]))),
    "roberta": lambda model, states: model.classifier(states),
    "llama-classifier": lambda model, states: model.score(model.model.norm(states))[:, -1],
    "gpt2-classifier": lambda model, states: model.score(model.transformer.ln_f(states))[:, -1],
    "albert": lambda model, states: model.classifier(torch.tanh(model.albert.pooler(states[:, 0]))),
}  # fmt: skip


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_s_layers_go_through_its_pooling_and_head(name):
    visualizer, model = visualizer_of(name), tiny_models.build(name)
    inputs = encoded(visualizer, PROBE).inputs
    with torch.no_grad():
        outputs = model(**inputs, output_hidden_states=True)
        inner = [CLASSIFIERS[name](model, states) for states in outputs.hidden_states[:3]]
    found = visualizer.compute_logit_lens(PROBE)
    assert_reads(found, torch.stack([*inner, outputs.logits]).double(), [-1])
    assert found.positions.tolist() == [-1]
    assert found.label(int(found.final_ids[0])) == visualizer.predict(PROBE).label


def test_a_mean_over_all_tokens_is_read_too():
    model = tiny_models.fresh("modernbert", classifier_pooling="mean")
    visualizer = visualizer_of("modernbert", model=model)
    with torch.no_grad():
        outputs = model(**encoded(visualizer, PROBE).inputs, output_hidden_states=True)
        inner = [
            model.classifier(model.head(model.model.final_norm(states).mean(1)))
            for states in outputs.hidden_states[:3]
        ]
    expected = torch.stack([*inner, outputs.logits]).double()
    assert_reads(visualizer.compute_logit_lens(PROBE), expected, [-1])


@pytest.mark.parametrize(
    ("changes", "kind"),
    [({"problem_type": "multi_label_classification"}, "multi-label"), ({"num_labels": 1}, "regression")],
)
def test_classes_that_are_no_alternatives_are_refused(changes, kind):
    config = hf.BertConfig(vocab_size=len(tiny_models.tokenizer_of("bert")), **SMALL, **changes)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    with pytest.raises(UnsupportedModelError) as caught:
        ModelVisualizer(model=model, tokenizer=tiny_models.tokenizer_of("bert")).compute_logit_lens(PROBE)
    assert str(caught.value) == (
        "The logit lens needs one distribution over the classes, and BertForSequenceClassification is a "
        f"{kind} model. Use compute_saliency or compute_attention (the commands explain and "
        "attention)."
    )
