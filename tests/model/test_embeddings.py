"""Every place where a model reads a text's ids counts, or gradients are refused and ids are replaced.

The oracle differentiates the weights: where a token stands in a text once, the gradient of its row of a table
is the sum over all places where the model looks it up, without any hook.
"""

from functools import cache

import numpy as np
import oracles
import pytest
import tiny_tokenizers
import torch
import transformers as hf
from torch import nn

from model_understanding import (
    GenerativeModelVisualizer,
    IntegratedGradients,
    LeaveOneOut,
    ModelVisualizer,
    NumericalError,
    UnsupportedModelError,
)
from model_understanding.model.embeddings import has_embeddings, id_lookups

TEXT = "A far land"
LONGER = "The dull king, a plot!"
SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 98,
}
STACKS = {
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "decoder_start_token_id": 2,
    "max_position_embeddings": 98,
}
T5 = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 1, "num_heads": 4, "decoder_start_token_id": 1}
GEMMA = {
    **SMALL,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "sliding_window": 5,
    "hidden_size_per_layer_input": 4,
    "num_kv_shared_layers": 0,
    "layer_types": ["sliding_attention", "full_attention"],
}
GEMMA_3N = {"laurel_rank": 4, "altup_num_inputs": 2, "activation_sparsity_pattern": [0.0, 0.0]}
REFORMER = {
    "attn_layers": ["local"],
    "local_attn_chunk_length": 4,
    "axial_pos_shape": (8, 16),
    "axial_pos_embds_dim": (8, 24),
    "feed_forward_size": 48,
    "attention_head_size": 8,
    "is_decoder": False,
}
CONFIGS = {
    "bart": (hf.BartConfig, STACKS),
    "mbart": (hf.MBartConfig, STACKS),
    "mvp": (hf.MvpConfig, STACKS),
    "plbart": (hf.PLBartConfig, STACKS),
    "t5": (hf.T5Config, T5),
    "umt5": (hf.UMT5Config, T5),
    "longformer": (hf.LongformerConfig, {**SMALL, "attention_window": 4}),
    "perceiver": (
        hf.PerceiverConfig,
        {"d_model": 32, "d_latents": 32, "num_latents": 4, "num_self_attends_per_block": 1, "num_blocks": 1}
        | {"num_self_attention_heads": 4, "num_cross_attention_heads": 4, "max_position_embeddings": 98},
    ),
    "canine": (hf.CanineConfig, {**SMALL, "num_hash_buckets": 64, "max_position_embeddings": 128}),
    "reformer": (hf.ReformerConfig, {**SMALL, **REFORMER}),
    "ibert": (hf.IBertConfig, SMALL),
    "esm": (
        hf.EsmConfig,
        {**SMALL, "mask_token_id": 4, "token_dropout": True, "position_embedding_type": "rotary"},
    ),
    "bert": (hf.BertConfig, SMALL),
    "bigbird": (hf.BigBirdConfig, {**SMALL, "block_size": 2, "num_random_blocks": 1}),
    "gemma4": (hf.Gemma4TextConfig, GEMMA),
    "gemma3n": (hf.Gemma3nTextConfig, {**GEMMA, **GEMMA_3N}),
}


class Bigrams(hf.BertForSequenceClassification):
    """A classifier that reads each pair of ids by a hash, besides the table."""

    def __init__(self, config):
        super().__init__(config)
        self.bigrams = nn.Embedding(97, config.num_labels)

    def forward(self, input_ids=None, attention_mask=None, **options):
        outputs = super().forward(input_ids=input_ids, attention_mask=attention_mask, **options)
        outputs.logits = outputs.logits + self.bigrams((input_ids[:, 1:] + 7 * input_ids[:, :-1]) % 97).mean(
            1
        )
        return outputs


@cache
def built(name):
    kind, options = CONFIGS["bert" if name == "bigrams" else name]
    tokenizer = tokenizer_of(name)
    torch.manual_seed(0)
    names = {key: getattr(tokenizer, key) for key in ("pad_token_id", "bos_token_id", "eos_token_id")}
    sizes = {"vocab_size": len(tokenizer), "vocab_size_per_layer_input": len(tokenizer)}
    config = kind(**{**sizes, **names, **options})
    config.num_labels = 3
    if name == "bigrams":
        model = Bigrams(config)
    elif name.startswith("gemma"):
        model = hf.AutoModelForCausalLM.from_config(config)
    else:
        model = hf.AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.copy_(torch.randn(weight.shape) * 0.15)
    return model.eval()


def tokenizer_of(name):
    return tiny_tokenizers.llama_like() if name.startswith("gemma") else tiny_tokenizers.roberta_like()


def visualizer_of(name, model=None):
    kind = GenerativeModelVisualizer if name.startswith("gemma") else ModelVisualizer
    return kind(model=model or built(name), tokenizer=tokenizer_of(name))


def options_of(name):
    return {"target": "next", "quantity": "logit"} if name.startswith("gemma") else {"target": 0}


def value_of(model, ids):
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    if logits.ndim == 2:
        return logits[0, 0]
    return logits[0, -1, TOKEN[model]]


TOKEN = {}


def ids_of(name, text):
    ids = tokenizer_of(name)(text, return_tensors="pt")["input_ids"]
    model = built(name)
    with torch.no_grad():
        logits = model(input_ids=ids).logits
    TOKEN[model] = int(logits[0, -1].argmax()) if logits.ndim == 3 else 0
    return ids


def norms_by_weights(name, ids):
    """Return the norm of each token's gradient with respect to all its rows, for tokens that occur once."""
    model, size = built(name), len(tokenizer_of(name))
    tables = [m for m in model.modules() if isinstance(m, nn.Embedding) and m.num_embeddings == size]
    scales = {table.weight: float(getattr(table, "embed_scale", 1.0)) for table in tables}
    gradients = torch.autograd.grad(value_of(model, ids), list(scales))
    rows = [rows[ids[0]] / scale for rows, scale in zip(gradients, scales.values(), strict=True)]
    return torch.cat(rows, dim=-1).norm(dim=-1)


def left_out_by_hand(name, ids, replacement):
    model = built(name)
    drops = np.zeros(ids.shape[1])
    with torch.no_grad():
        for position in np.flatnonzero(ids[0].numpy() > 4):
            changed = ids.clone()
            changed[0, position] = replacement
            drops[position] = float(value_of(model, ids) - value_of(model, changed))
    return drops


@pytest.mark.parametrize("text", [TEXT, "A far lands"])
@pytest.mark.parametrize(
    "name", ["bart", "mbart", "mvp", "plbart", "t5", "umt5", "longformer", "perceiver", "gemma4", "gemma3n"]
)
def test_the_gradient_counts_every_lookup(name, text):
    ids = ids_of(name, text)
    # Special ids may be looked up elsewhere, too, and tokens that occur twice share a row.
    own = torch.tensor([token > 4 and ids[0].tolist().count(token) == 1 for token in ids[0].tolist()])
    assert own.sum() >= 5
    attribution = visualizer_of(name).compute_saliency(text, method="saliency", **options_of(name))
    assert not name.startswith("gemma") or TOKEN[built(name)] not in ids[0]
    expected = norms_by_weights(name, ids)
    assert oracles.close(attribution.scores[0][own.numpy()], expected[own].numpy(), 1e-4)


@pytest.mark.parametrize("name", ["bart", "t5", "longformer", "gemma4", "ibert"])
def test_paths_end_at_the_texts_own_value(name):
    """The scores add up only if the baseline replaces every lookup and the gradient counts it."""
    method = IntegratedGradients(baseline="mean", nodes=64, max_nodes=512)
    found = visualizer_of(name).compute_saliency(TEXT, method=method, **options_of(name))
    with torch.no_grad():
        assert oracles.close(found.outputs[0], float(value_of(built(name), ids_of(name, TEXT))), 1e-4)
    assert abs(found.scores[0].sum() - (found.outputs - found.baseline_outputs)[0]) < 0.03 * abs(
        (found.outputs - found.baseline_outputs)[0]
    )


@pytest.mark.parametrize(
    "name",
    ["bart", "mbart", "t5", "longformer", "perceiver", "canine", "reformer", "ibert", "esm", "bigrams"],
)
def test_removal_by_ids_is_what_the_model_answers(name):
    ids = ids_of(name, LONGER)
    found = visualizer_of(name).compute_saliency(LONGER, method=LeaveOneOut(replacement="mask"), target=0)
    assert oracles.close(found.scores[0], left_out_by_hand(name, ids, 4), 1e-4)


@pytest.mark.parametrize("name", ["gemma4", "gemma3n"])
def test_padding_embeddings_are_those_of_every_table(name):
    ids = ids_of(name, LONGER)
    found = visualizer_of(name).compute_saliency(
        LONGER, method=LeaveOneOut(replacement="pad"), **options_of(name)
    )
    expected = left_out_by_hand(name, ids, tokenizer_of(name).pad_token_id)
    own = ids[0].numpy() > 4
    assert oracles.close(found.scores[0][own], expected[own], 1e-4)


def test_a_decoder_may_begin_with_the_last_token():
    lookups = {name: id_lookups(visualizer_of(name).runner.model) for name in ("bart", "mbart")}
    assert [[lookup.offset for lookup in pair] for pair in lookups.values()] == [[0, 1], [0, 1]]
    assert [pair[1].wraps for pair in lookups.values()] == [False, True]


@pytest.mark.parametrize("name", ["canine", "reformer", "bigrams"])
def test_where_gradients_are_refused_the_default_is_not(name):
    visualizer = visualizer_of(name)
    with pytest.raises(UnsupportedModelError, match="leave_one_out"):
        visualizer.compute_saliency(TEXT, method="saliency")
    for method in ("default", "fast"):
        found = visualizer.compute_saliency(TEXT, method=method)
        assert found.method in ("guided_ablation", "gradient_weighted_attention")
    visualizer.analyze(TEXT, show=False, evaluate=False)


@pytest.mark.parametrize("padding", ["<pad>", None])
def test_padding_ids_stand_for_removed_tokens_where_embeddings_cannot(padding):
    tokenizer = hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer_of("bigrams").backend_tokenizer, pad_token=padding, eos_token="</s>"
    )
    visualizer = ModelVisualizer(model=built("bigrams"), tokenizer=tokenizer)
    assert not has_embeddings(visualizer.runner.model)
    ids = ids_of("bigrams", LONGER)
    found = visualizer.compute_saliency(LONGER, method="leave_one_out", target=0)
    own = ids[0].numpy() > 4
    token = padding or "</s>"
    expected = left_out_by_hand("bigrams", ids, tokenizer.convert_tokens_to_ids(token))
    assert found.parameters["replacement"] == "pad"
    assert oracles.close(found.scores[0][own], expected[own], 1e-4)
    assert any(f"replaced by '{token}'" in caution for caution in found.provenance.cautions)
    with pytest.raises(UnsupportedModelError, match="mask_token"):
        visualizer.compute_saliency(LONGER, method=LeaveOneOut(replacement="mean"))


def test_a_baseline_that_the_model_treats_specially_is_no_default():
    visualizer = visualizer_of("esm")
    assert visualizer.compute_saliency(TEXT).method == "guided_ablation"
    found = visualizer.compute_saliency(TEXT, method=IntegratedGradients(baseline="mask"))
    assert any("'mask' specially" in caution for caution in found.provenance.cautions)
    plain = visualizer_of("bert").compute_saliency(TEXT, method=IntegratedGradients(baseline="mask"))
    assert plain.provenance.cautions == ()


@pytest.mark.parametrize("method", ["saliency", "leave_one_out", "default", "fast"])
def test_weights_that_are_not_finite_are_named(method):
    built.cache_clear()
    model = built("bert")
    built.cache_clear()
    model.bert.encoder.layer[1].output.dense.weight.data[0, 0] = float("nan")
    with pytest.raises(NumericalError, match=r"layer\.1\.output\.dense"):
        visualizer_of("bert", model).compute_saliency(TEXT, method=method, target=0)


def test_measuring_leaves_no_trace():
    visualizer = visualizer_of("bigbird")
    id_lookups(visualizer.runner.model)
    assert visualizer.runner.model.module.bert.attention_type == "block_sparse"
    assert visualizer.runner.model.module.bert.encoder.layer[0].attention.attention_type == "block_sparse"


def test_another_table_is_measured_again():
    built.cache_clear()
    model = built("bart")
    built.cache_clear()
    visualizer = visualizer_of("bart", model)
    before = visualizer.compute_saliency(TEXT, method="saliency", target=0)
    model.resize_token_embeddings(len(visualizer.tokenizer) + 8)
    after = visualizer.compute_saliency(TEXT, method="saliency", target=0)
    assert oracles.close(after.scores, before.scores, 1e-6)
