"""Every text model of these tasks in transformers, built tiny from its configuration.

The sizes of a configuration are made small by name, wherever it has that name; `OPTIONS` holds what an
architecture needs besides. Weights are random and larger than at initialization, so that answers differ.
"""

from functools import cache
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    BertConfig,
    PreTrainedConfig,
)
from transformers.models.auto import configuration_auto, modeling_auto

CLASSIFIER, LANGUAGE_MODEL, SEQ2SEQ = "sequence-classification", "causal-lm", "seq2seq-lm"
TAGGER, MASKED = "token-classification", "masked-lm"
_AUTO = {
    CLASSIFIER: AutoModelForSequenceClassification,
    TAGGER: AutoModelForTokenClassification,
    LANGUAGE_MODEL: AutoModelForCausalLM,
    SEQ2SEQ: AutoModelForSeq2SeqLM,
    MASKED: AutoModelForMaskedLM,
}
VOCABULARY = 400

SIZES = {
    **dict.fromkeys(
        ("vocab_size", "vocab_size_per_layer_input", "src_vocab_size", "tgt_vocab_size"), VOCABULARY
    ),
    **dict.fromkeys(
        ("hidden_size", "d_model", "n_embd", "dim", "embedding_size", "embedding_dim", "emb_dim", "n_embed"),
        32,
    ),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), 2),
    **dict.fromkeys(("encoder_layers", "decoder_layers", "num_encoder_layers", "num_decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("intermediate_size", "d_ff", "hidden_dim", "ffn_dim", "d_inner", "dff", "n_inner"), 48),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "ffn_hidden_size"), 48),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx"), 140),
    **dict.fromkeys(("head_dim", "d_kv", "global_head_dim"), 8),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "num_experts_per_token", "moe_k", "moe_topk"), 2),
    **dict.fromkeys(
        ("moe_intermediate_size", "shared_expert_intermediate_size", "expert_ffn_hidden_size"), 16
    ),
    **dict.fromkeys(("n_group", "topk_group", "first_k_dense_replace", "n_shared_experts"), 1),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "qk_head_dim"), 16),
    **dict.fromkeys(("qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim"), 8),
    **dict.fromkeys(("state_size", "mamba_d_state", "ssm_state_size", "hidden_size_per_layer_input"), 8),
    **dict.fromkeys(("mamba_n_heads", "mamba_num_heads", "time_step_rank", "mamba_dt_rank"), 4),
    **dict.fromkeys(("mamba_d_head", "mamba_head_dim"), 16),
    **dict.fromkeys(("mamba_n_groups", "n_groups"), 1),
    "num_key_value_heads": 2,
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "lru_width": 32,
    "sliding_window": 5,
    "type_vocab_size": 2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
}
"""Small values by the name of a setting."""

_WHOLE_HEADS = {"num_key_value_heads": 4}
_FOUR_LAYERS = {"num_hidden_layers": 4}
_MIXED = {"layer_types": ["linear_attention", "full_attention"]}
_AXIAL = {"axial_pos_embds": False}
_ROTARY = {"rotary_dim": 4}

OPTIONS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(
        ("axk1", "axk2", "deepseek_v2", "deepseek_v3", "minicpm3", "deepseek_v32", "glm4_moe_lite"),
        _WHOLE_HEADS,
    ),
    **dict.fromkeys(("glm_moe_dsa", "youtu", "esmc"), _WHOLE_HEADS),
    **dict.fromkeys(
        ("qwen3_5_text", "qwen3_next", "lfm3", "qwen3_5_moe_text", "recurrent_gemma", "bailing_hybrid"),
        _FOUR_LAYERS,
    ),
    **dict.fromkeys(("gptj", "codegen"), _ROTARY),
    "bailing_hybrid": {**_FOUR_LAYERS, **_WHOLE_HEADS, "layer_group_size": 2, "num_expert_group": 1},
    "bamba": {"attn_layer_indices": [1]},
    "cohere_compass_text": {
        "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 10000.0}}
    },
    "dots3_note_text": _WHOLE_HEADS,
    "falcon_h1": {"mamba_d_ssm": 64},
    "gemma3n_text": {
        "num_hidden_layers": 4,
        "num_kv_shared_layers": 1,
        "activation_sparsity_pattern": [0.0] * 4,
    },
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "granitemoehybrid": _MIXED,
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "kimi_linear": {**_MIXED, **_WHOLE_HEADS, "linear_head_dim": 8, "linear_num_heads": 4},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "luke": {"entity_vocab_size": 8, "entity_emb_size": 8},
    "mamba2": {"expand": 2, "num_heads": 4, "head_dim": 16},
    "mistral4": {
        **_WHOLE_HEADS,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "llama_4_scaling_beta": 0.1,
            "original_max_position_embeddings": 140,
        },
    },
    "perceiver": {
        "num_latents": 8,
        "d_latents": 16,
        "num_self_attends_per_block": 1,
        "num_cross_attention_heads": 4,
    },
    "qwen4_exp_text": {
        "layer_types": ["linear_attention", "full_attention"],
        "ple_layer_ids": [1],
        "ngram_vocab_size_base": 50,
        "make_ngram_vocab_size_divisible_by": 2,
        "split_ngram_parts": 1,
        "heads_per_ngram": 2,
        "indexer_n_heads": 2,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 8,
        "indexer_budget": 64,
        "indexer_compress_ratio": 4,
    },
    "neomme": {"head_dim": 16},
    "reformer": {**_AXIAL, "is_decoder": False},
    "roc_bert": {"pronunciation_vocab_size": 16, "shape_vocab_size": 16},
    "t5": {"decoder_start_token_id": 0},
    "xmod": {"default_language": "en_XX"},
    "zaya": {"num_experts_per_tok": 1, "layer_types": ["hybrid", "hybrid"]},
    "zamba": {
        "num_hidden_layers": 4,
        "layers_block_type": ["linear_attention", "hybrid", "linear_attention", "hybrid"],
        "num_key_value_heads": 4,
        "attention_head_dim": 16,
    },
    "zamba2": {
        "num_hidden_layers": 4,
        "layers_block_type": ["linear_attention", "hybrid", "linear_attention", "hybrid"],
        "num_key_value_heads": 4,
        "attention_head_dim": 16,
        "mamba_headdim": 16,
        "n_mamba_heads": 4,
    },
}
"""What an architecture needs besides small sizes, by its ``model_type``."""

NOT_BUILT = {
    "bros": "reads boxes of a page",
    "blt": "patches of bytes come from a second model",
    "dbrx": "its attention has no rope_theta in this version",
    "dots3_note": "the same as dots3_note_text",
    "gemma3": "its picture encoder stays large",
    "gemma3n": "needs timm",
    "gemma4_assistant": "shares the keys and values of another model",
    "gemma4_unified_assistant": "shares the keys and values of another model",
    "git": "its picture encoder stays large",
    "got_ocr2": "its picture encoder stays large",
    "layoutlmv2": "needs detectron2",
    "layoutlmv3": "its picture encoder stays large",
    "longcat_flash": "its experts stay large",
    "lilt": "reads boxes of a page",
    "modernvbert": "its picture encoder stays large",
    "moss_transcribe_diarize": "its audio encoder stays large",
    "musicgen": "its text encoder stays large",
    "musicgen_melody": "its text encoder stays large",
    "phi4_multimodal": "its picture and audio encoders stay large",
    "qwen3_5": "its picture encoder stays large",
    "qwen3_5_moe": "its picture encoder stays large",
    "qwen4_exp": "its picture encoder stays large",
    "t5gemma2": "its picture encoder stays large",
    "ultravbert": "its picture encoder stays large",
    "xlstm": "its kernels take other shapes than its configuration says",
}
"""Architectures that are left out, and why."""

READ_SOUND = (
    *("audioflamingo3", "glmasr", "granite_speech", "granite_speech_plus", "musicflamingo", "nemo_speechlm"),
    *("qwen2_audio", "qwen3_asr", "vibevoice_asr", "voxtral", "voxtral_realtime"),
)
"""Of the encoder–decoders those that are left out, because their source is no text."""

ARCHITECTURES = [
    (task, model_type)
    for task, names in (
        (CLASSIFIER, modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES),
        (TAGGER, modeling_auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES),
        (LANGUAGE_MODEL, modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES),
        (SEQ2SEQ, modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES),
        (MASKED, modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES),
    )
    for model_type in names
    if model_type not in NOT_BUILT and not (task == SEQ2SEQ and model_type in READ_SOUND)
]


def tiny_config(config_type: type[PreTrainedConfig], **options: Any) -> PreTrainedConfig:
    """Return a configuration with small sizes, of its nested configurations too."""
    default = config_type()
    settings = default.to_dict()
    small: dict[str, Any] = {
        name: size
        for name, size in SIZES.items()
        if name in settings and not isinstance(settings[name], list | dict)
    }
    for name in ("text_config", "encoder", "decoder"):
        nested = getattr(default, name, None)
        if isinstance(nested, PreTrainedConfig):
            small[name] = tiny_config(type(nested)).to_dict()
    return config_type(**{**small, **options})


@cache
def tiny_model(task: str, model_type: str) -> torch.nn.Module:
    """Return the model of an architecture, seeded, with weights of standard deviation 0.15."""
    kind = configuration_auto.CONFIG_MAPPING[model_type]
    if model_type == "encoder-decoder":
        config = kind.from_encoder_decoder_configs(tiny_config(BertConfig), tiny_config(BertConfig))
        config.decoder_start_token_id, config.pad_token_id = 2, 0
    else:
        config = tiny_config(kind, **OPTIONS.get(model_type, {}))
    if task in (CLASSIFIER, TAGGER):
        config.num_labels = 3
    elif model_type in ("reformer",):
        config.is_decoder = task != MASKED
    torch.manual_seed(0)
    model = _AUTO[task].from_config(config).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.15)
    return model
