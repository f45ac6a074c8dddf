"""Which layers attend, and with how many heads: measured, and called by the model's own numbers."""

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
import tiny_tokenizers
import torch
import transformers as hf
from tiny_models import visualizer_of
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from model_understanding import GenerativeModelVisualizer, InputError, ModelVisualizer, Report
from model_understanding.results import HeadScores

SIZE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 96,
}
MAMBA = {
    "mamba_n_heads": 8,
    "mamba_d_head": 8,
    "mamba_n_groups": 1,
    "mamba_d_state": 8,
    "mamba_expand": 2,
    "mamba_chunk_size": 16,
}
EVERY_SECOND = ["linear_attention", "full_attention"] * 2
HYBRIDS: dict[str, tuple[Any, dict[str, Any], tuple[int, ...]]] = {
    "lfm2": (hf.Lfm2Config, {"layer_types": ["conv", "full_attention", "conv", "conv"]}, (1,)),
    "jamba": (
        hf.JambaConfig,
        {
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "num_experts": 2,
            "num_experts_per_tok": 1,
            "mamba_d_state": 8,
            "mamba_dt_rank": 4,
            "use_mamba_kernels": False,
        },
        (1, 3),
    ),
    "bamba": (hf.BambaConfig, {"attn_layer_indices": [0, 2], **MAMBA}, (0, 2)),
    "falcon-h1": (hf.FalconH1Config, {"mamba_d_ssm": 64, "head_dim": 8, **MAMBA}, (0, 1, 2, 3)),
    "granite": (
        hf.GraniteMoeHybridConfig,
        {
            "layer_types": ["mamba", "attention", "mamba", "attention"],
            "num_local_experts": 2,
            "num_experts_per_tok": 1,
            "shared_intermediate_size": 32,
            **MAMBA,
        },
        (1, 3),
    ),
    "zamba2": (
        hf.Zamba2Config,
        {
            "num_key_value_heads": 4,
            "attention_head_dim": 16,
            "layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"],
            "mamba_d_state": 8,
            "mamba_ngroups": 1,
            "n_mamba_heads": 8,
            "chunk_size": 16,
            "num_mem_blocks": 1,
            "adapter_rank": 8,
        },
        (1, 3),
    ),
    "recurrent-gemma": (
        hf.RecurrentGemmaConfig,
        {
            "num_hidden_layers": 3,
            "num_key_value_heads": 1,
            "head_dim": 8,
            "attention_window_size": 16,
            "lru_width": 32,
            "block_types": ["recurrent", "recurrent", "attention"],
        },
        (2,),
    ),
    "qwen3-next": (
        hf.Qwen3NextConfig,
        {
            "head_dim": 8,
            "linear_num_value_heads": 2,
            "linear_num_key_heads": 2,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
            "num_experts": 2,
            "num_experts_per_tok": 1,
            "moe_intermediate_size": 16,
            "shared_expert_intermediate_size": 16,
            "layer_types": EVERY_SECOND,
        },
        (1, 3),
    ),
}
TEXT = "a dull plot but a wonderful film"


def randomized(model):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.15)
    return model.eval()


@cache
def hybrid(name):
    config, options, _ = HYBRIDS[name]
    tokenizer = tiny_tokenizers.llama_like()
    torch.manual_seed(0)
    own = config(**{**SIZE, "vocab_size": len(tokenizer), **options})
    return GenerativeModelVisualizer(
        model=randomized(AutoModelForCausalLM.from_config(own)), tokenizer=tokenizer
    )


def eager_weights(model, ids):
    """Return what the model itself returns as attentions, first attention layer first."""
    implementation = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            outputs = model(input_ids=ids, output_attentions=True, use_cache=False)
    finally:
        model.set_attn_implementation(implementation)
    return torch.stack([weights[0] for weights in outputs.attentions if weights is not None]).numpy()


@pytest.mark.parametrize("name", HYBRIDS)
def test_attention_of_a_hybrid_is_called_by_the_models_own_layers(name):
    visualizer, layers = hybrid(name), HYBRIDS[name][2]
    attention = visualizer.compute_attention(TEXT, queries="prompt", layer="all", head="all")
    assert attention.layers == layers
    ids = torch.as_tensor(attention.keys.ids.copy())[None]
    expected = eager_weights(visualizer.model, ids)
    assert np.abs(attention.weights - expected).max() < 1e-5
    last = visualizer.compute_attention(TEXT, queries="prompt", layer=layers[-1], head="all")
    assert last.layers == (layers[-1],)
    assert np.array_equal(last.weights[0], attention.weights[-1])
    default = visualizer.compute_attention(TEXT, queries="prompt")
    assert default.layers == (layers[-1],)
    mean = visualizer.compute_attention(TEXT, queries="prompt", layer="mean")
    assert np.abs(mean.weights[0, 0] - expected.mean(axis=(0, 1))).max() < 1e-5
    for missing in {*range(4)} - {*layers}:
        if missing < visualizer.model.config.num_hidden_layers:
            with pytest.raises(InputError, match=f"Layer {missing} has no attention that can be read"):
                visualizer.compute_attention(TEXT, queries="prompt", layer=missing)


@pytest.mark.parametrize("name", ["jamba", "lfm2"])
def test_every_part_of_a_report_calls_a_layer_by_the_same_number(name, tmp_path):
    visualizer, layers = hybrid(name), HYBRIDS[name][2]
    report = visualizer.analyze(TEXT, " a film", method="saliency", evaluate=False, show=False)
    assert report.attention[1].layers == layers
    assert report.heads.layers == layers
    assert {ranked.layer for ranked in report.heads.ranking("entropy")} == {*layers}
    assert list(report.heads.to_dataframe()["layer"].unique()) == list(layers)
    assert any(
        "The map rollout is omitted" in sentence for one in report.attention for sentence in one.left_out
    )
    again = Report.load(report.save(tmp_path / "report.json"))
    assert again.heads.layers == layers
    assert again.attention[1].layers == layers
    assert f"layer {layers[-1]}" in report.to_html()
    ranked = visualizer.compute_attention(TEXT, queries="prompt", rank="previous_token", top=3)
    assert {one.layer for one in ranked.ranking} <= {*layers}
    effects = visualizer.score_heads(TEXT, scores="ablation")
    assert effects.layers == layers
    products = visualizer.compute_query_key(TEXT, layer=layers[-1], head=1)
    assert products.layer == layers[-1]
    whole = visualizer.compute_attention(TEXT, queries="prompt", layer=layers[-1], head=1)
    assert np.abs(products.weights - whole.weights[0, 0, -1]).max() < 1e-5


def test_head_scores_saved_before_layers_had_numbers_still_load():
    data = json.loads(visualizer_of("bert").score_heads(TEXT, scores="entropy").to_json())
    layers = data.pop("layers")
    assert HeadScores.from_json(json.dumps(data)).layers == tuple(layers) == (0, 1, 2)


def pruned_bert():
    """A classifier whose first layer has lost two of its four heads."""
    tokenizer = tiny_tokenizers.wordpiece()
    torch.manual_seed(0)
    config = hf.BertConfig(**{**SIZE, "num_hidden_layers": 2, "vocab_size": len(tokenizer)})
    model = randomized(AutoModelForSequenceClassification.from_config(config))
    attention = model.bert.encoder.layer[0].attention
    attention.self.num_attention_heads, attention.self.all_head_size = 2, 16
    for name in ("query", "key", "value"):
        part = getattr(attention.self, name)
        part.weight = torch.nn.Parameter(part.weight[:16].clone())
        part.bias = torch.nn.Parameter(part.bias[:16].clone())
    output = attention.output.dense
    output.weight = torch.nn.Parameter(output.weight[:, :16].clone())
    return ModelVisualizer(model=model, tokenizer=tokenizer)


def test_layers_may_have_different_numbers_of_heads():
    visualizer = pruned_bert()
    heads = [visualizer.compute_attention(TEXT, layer=layer, head="all") for layer in (0, 1)]
    assert [one.heads for one in heads] == [(0, 1), (0, 1, 2, 3)]
    ids = torch.as_tensor(heads[0].keys.ids.copy())[None]
    visualizer.model.set_attn_implementation("eager")
    with torch.no_grad():
        expected = visualizer.model(input_ids=ids, output_attentions=True).attentions
    for one, weights in zip(heads, expected, strict=True):
        assert np.abs(one.weights[0] - weights[0].numpy()).max() < 1e-5
    means = visualizer.compute_attention(TEXT, layer="all")
    assert means.weights.shape[:2] == (2, 1)
    with pytest.raises(InputError, match="layer 0: 2, layer 1: 4"):
        visualizer.compute_attention(TEXT, layer="all", head="all")
    with pytest.raises(InputError, match="There is no head 3"):
        visualizer.compute_attention(TEXT, layer=0, head=3)
    report = visualizer.analyze(TEXT, evaluate=False, show=False)
    assert [(one.map, one.weights.shape[:2]) for one in report.attention][:3] == [
        ("raw", (1, 1)),
        ("raw", (2, 1)),
        ("raw", (1, 4)),
    ]
    assert any("This report has no head scores" in caution for caution in report.provenance.cautions)


def classifier(config, **options):
    tokenizer = tiny_tokenizers.wordpiece()
    torch.manual_seed(0)
    own = config(**{"vocab_size": len(tokenizer), **options})
    model = randomized(AutoModelForSequenceClassification.from_config(own))
    return ModelVisualizer(model=model, tokenizer=tokenizer)


def test_fewer_heads_than_the_configuration_says():
    options = {**SIZE, "num_hidden_layers": 2, "embedding_size": 32, "head_ratio": 2, "conv_kernel_size": 3}
    visualizer = classifier(hf.ConvBertConfig, **options)
    attention = visualizer.compute_attention(TEXT, layer="all", head="all")
    expected = eager_weights(visualizer.model, torch.as_tensor(attention.keys.ids.copy())[None])
    assert attention.weights.shape[:2] == (2, 2)
    assert np.abs(attention.weights - expected).max() < 1e-5


def test_layers_that_pool_their_queries_are_named():
    visualizer = classifier(
        hf.FunnelConfig, d_model=32, d_head=8, n_head=4, d_inner=48, block_sizes=[1, 1], num_decoder_layers=1
    )
    attention = visualizer.compute_attention(TEXT, layer="all", head="all")
    assert attention.layers == (0,)
    (caution,) = attention.provenance.cautions
    assert caution.startswith("The attention of layer 1 is not shown: its softmax is over scores of shape")
    with pytest.raises(InputError, match="The attention of layer 1 cannot be read"):
        visualizer.compute_attention(TEXT, layer=1)


@pytest.mark.parametrize(
    ("config", "options"),
    [
        (
            hf.BartConfig,
            {
                "d_model": 32,
                "encoder_layers": 2,
                "decoder_layers": 3,
                "encoder_attention_heads": 4,
                "decoder_attention_heads": 4,
                "encoder_ffn_dim": 48,
                "decoder_ffn_dim": 48,
            },
        ),
        (
            hf.T5Config,
            {
                "d_model": 32,
                "d_kv": 8,
                "d_ff": 48,
                "num_layers": 2,
                "num_decoder_layers": 3,
                "num_heads": 4,
                "decoder_start_token_id": 0,
            },
        ),
    ],
    ids=["bart", "t5"],
)
def test_of_an_encoder_decoder_each_stack_is_shown_though_all_have_one_length(config, options):
    visualizer = classifier(config, **options, eos_token_id=3, pad_token_id=0)
    passes = []
    visualizer.model.register_forward_pre_hook(lambda *_: passes.append(1))
    maps = {
        stack: visualizer.compute_attention(TEXT, layer="all", head="all", stack=stack)
        for stack in (None, "encoder", "decoder", "cross")
    }
    assert len(passes) == 5  # one that measures the layout, and one for each map
    visualizer.model.set_attn_implementation("eager")
    text = maps[None].keys
    with torch.no_grad():
        outputs = visualizer.model(input_ids=torch.as_tensor(text.ids.copy())[None], output_attentions=True)
    for stack, expected in (
        ("encoder", outputs.encoder_attentions),
        ("decoder", outputs.decoder_attentions),
        ("cross", outputs.cross_attentions),
    ):
        attention = maps[stack]
        assert attention.stack == stack
        assert attention.layers == tuple(range(len(expected)))
        assert np.abs(attention.weights - torch.stack(expected)[:, 0].numpy()).max() < 1e-5
    assert maps[None].stack == "encoder"
    assert np.array_equal(maps[None].weights, maps["encoder"].weights)
    assert not any(maps[stack].provenance.cautions for stack in maps)
    # The decoder reads the text moved by one, after its start token.
    for stack in ("decoder", "cross"):
        assert maps[stack].queries.pieces[1:] == text.pieces[:-1]
        assert maps[stack].queries.ids[0] == visualizer.model.config.decoder_start_token_id
        assert maps[stack].queries.special[0]
    assert maps["cross"].keys.pieces == text.pieces
    assert maps["decoder"].keys.pieces == maps["decoder"].queries.pieces


def test_stacks_are_of_encoder_decoders_only_and_have_names():
    visualizer = classifier(hf.BertConfig, **{**SIZE, "num_hidden_layers": 2})
    with pytest.raises(InputError, match="stack='cross' chooses the attention of an encoder–decoder, and"):
        visualizer.compute_attention(TEXT, stack="cross")
    with pytest.raises(InputError, match="Unknown stack 'middle'"):
        visualizer.score_heads(TEXT, stack="middle")


def test_a_layout_that_is_as_assumed_costs_no_pass():
    visualizer = classifier(hf.BertConfig, **{**SIZE, "num_hidden_layers": 2})
    passes = []
    visualizer.model.register_forward_pre_hook(lambda *_: passes.append(1))
    visualizer.compute_attention(TEXT)
    assert len(passes) == 1
    pruned = pruned_bert()
    pruned.model.register_forward_pre_hook(lambda *_: passes.append(1))
    pruned.compute_attention(TEXT)
    first = len(passes)
    pruned.compute_attention(TEXT)
    assert (first, len(passes)) == (4, 5)  # read, measured, read again; then known


def test_heads_of_layers_that_differ_are_refused_with_what_can_be_had():
    visualizer = pruned_bert()
    with pytest.raises(InputError) as caught:
        visualizer.score_heads(TEXT)
    assert caught.value.hint == (
        "Use compute_attention for the heads of one layer with head='all', as layer=0, or for layers "
        "together with head='mean' or head='max'."
    )
    assert visualizer.compute_attention(TEXT, layer=0, head="all").heads == (0, 1)
    for head in ("mean", "max"):
        assert visualizer.compute_attention(TEXT, layer="all", head=head).layers == (0, 1)


def test_fast_explains_a_model_whose_attention_cannot_be_followed():
    visualizer = pruned_bert()
    assert visualizer.compute_saliency(TEXT, method="fast").method == "gradient_weighted_attention"
    funnel = classifier(
        hf.FunnelConfig, d_model=32, d_head=8, n_head=4, d_inner=48, block_sizes=[1, 1], num_decoder_layers=1
    )
    assert funnel.compute_saliency(TEXT, method="fast").method == "saliency"


def test_layers_that_run_for_the_last_positions_only_are_read_whole():
    """Gemma 4's layers that share keys and values run where logits are needed."""
    tokenizer = tiny_tokenizers.llama_like()
    text = {
        **{name: SIZE[name] for name in ("hidden_size", "intermediate_size", "num_attention_heads")},
        "vocab_size": len(tokenizer),
        "num_hidden_layers": 3,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "sliding_window": 5,
        "num_kv_shared_layers": 1,
        "max_position_embeddings": 96,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "model_type": "gemma4_unified_text",
    }
    torch.manual_seed(0)
    config = hf.Gemma4UnifiedConfig(
        text_config=text,
        vision_config={"patch_size": 16, "model_type": "gemma4_unified_vision"},
        audio_config={"model_type": "gemma4_unified_audio"},
        **{f"{name}_token_id": 0 for name in ("image", "audio", "video", "boi", "eoi", "boa")},
        eoa_token_index=0,
    )
    visualizer = GenerativeModelVisualizer(
        model=randomized(AutoModelForCausalLM.from_config(config)), tokenizer=tokenizer
    )
    attention = visualizer.compute_attention(TEXT, queries="prompt", layer="all", head="all")
    ids = torch.as_tensor(attention.keys.ids.copy())[None]
    assert np.abs(attention.weights - eager_weights(visualizer.model, ids)).max() < 2e-5
    lens = visualizer.compute_logit_lens(TEXT, positions=-1)
    with torch.no_grad():
        expected = visualizer.model(input_ids=ids).logits[0, -1].softmax(-1)
    assert lens.final_probabilities[-1, 0] == pytest.approx(float(expected.max()), rel=1e-4)
    assert lens.top_ids[-1, 0, 0] == int(expected.argmax())
    report = visualizer.analyze(TEXT, max_new_tokens=2, evaluate=False, show=False)
    assert report.lens is not None
    assert report.attention[1].layers == (0, 1, 2)
    assert not report.provenance.cautions


SHARED_AXIS = {
    "xglm": (hf.XGLMConfig, {"d_model": 32, "ffn_dim": 48, "num_layers": 2, "attention_heads": 4}),
    "trocr": (
        hf.TrOCRConfig,
        {
            "d_model": 32,
            "decoder_ffn_dim": 48,
            "decoder_layers": 2,
            "decoder_attention_heads": 4,
            "is_decoder": True,
        },
    ),
    "mvp": (
        hf.MvpConfig,
        {
            "d_model": 32,
            "decoder_layers": 2,
            "decoder_attention_heads": 4,
            "decoder_ffn_dim": 48,
            "is_decoder": True,
            "is_encoder_decoder": False,
        },
    ),
}


@pytest.mark.parametrize("name", SHARED_AXIS)
def test_heads_that_share_an_axis_with_the_texts_are_read(name):
    config, options = SHARED_AXIS[name]
    tokenizer = tiny_tokenizers.llama_like()
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config(vocab_size=len(tokenizer), **options))
    visualizer = GenerativeModelVisualizer(model=randomized(model), tokenizer=tokenizer)
    attention = visualizer.compute_attention(TEXT, queries="prompt", layer="all", head="all")
    ids = torch.as_tensor(attention.keys.ids.copy())[None]
    assert np.abs(attention.weights - eager_weights(visualizer.model, ids)).max() < 1e-5
    weighted = visualizer.compute_attention(TEXT, queries="prompt", kind="value_weighted", head="all")
    assert weighted.weights.shape == (1, 4, *attention.weights.shape[2:])
    scores = visualizer.score_heads(TEXT, scores=["previous_token", "induction"])  # a batch of texts
    previous = np.diagonal(attention.weights, -1, axis1=2, axis2=3).mean(axis=-1)
    assert np.abs(scores.of("previous_token") - previous).max() < 1e-5


def test_one_set_of_weights_for_two_sets_of_values_is_read_once():
    tokenizer = tiny_tokenizers.llama_like()
    config = hf.DiffLlamaConfig(vocab_size=len(tokenizer), **{**SIZE, "num_hidden_layers": 2})
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    visualizer = GenerativeModelVisualizer(model=randomized(model), tokenizer=tokenizer)
    attention = visualizer.compute_attention(TEXT, queries="prompt", layer="all", head="all")
    ids = torch.as_tensor(attention.keys.ids.copy())[None]
    assert np.abs(attention.weights - eager_weights(visualizer.model, ids)).max() < 1e-5
