"""Tiny seeded models of every architecture the suite holds, strong enough to tell right from wrong.

At default initialization BERT's attention is uniform and a lost mask moves a logit by 1e-4: a test on it
cannot fail. Weights are scaled up until some attention weight exceeds .5 and logits differ by .1.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import tiny_tokenizers
import torch
import transformers as hf
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from model_understanding import GenerativeModelVisualizer, ModelVisualizer
from model_understanding.text.encoding import Encoding
from model_understanding.text.tokenization import tokenize

CLASSIFIER, LANGUAGE_MODEL = "sequence-classification", "causal-lm"
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 96,
}
GROUPED = {**SMALL, "num_key_value_heads": 2}


@dataclass(frozen=True)
class Architecture:
    """How to build one."""

    name: str
    task: str
    tokenizer: Callable[[], Any]
    config: Callable[..., Any]
    options: dict[str, Any]
    has_attention: bool = True
    is_causal: bool = True


def _classifier(name: str, config: Any, tokenizer: Any, **options: Any) -> Architecture:
    return Architecture(name, CLASSIFIER, tokenizer, config, {"num_labels": 3, **options}, is_causal=False)


def _language_model(
    name: str, config: Any, tokenizer: Any = tiny_tokenizers.llama_like, **options: Any
) -> Architecture:
    flags = {key: options.pop(key) for key in ("has_attention", "is_causal") if key in options}
    return Architecture(name, LANGUAGE_MODEL, tokenizer, config, options, **flags)


_GPT2 = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 96, "bos_token_id": 0, "eos_token_id": 0}
_WP, _RB = tiny_tokenizers.wordpiece, tiny_tokenizers.roberta_like
_ROBERTA = {**SMALL, "max_position_embeddings": 98, "pad_token_id": 1, "type_vocab_size": 1}
_XLNET = {"d_model": 32, "n_layer": 3, "n_head": 4, "d_inner": 48}
_HEADS = {**GROUPED, "head_dim": 8}
_WINDOW = {"sliding_window": 5}

ARCHITECTURES = (
    _classifier("bert", hf.BertConfig, _WP, **SMALL),
    _classifier(
        "distilbert",
        hf.DistilBertConfig,
        _WP,
        dim=32,
        n_layers=3,
        n_heads=4,
        hidden_dim=48,
        max_position_embeddings=96,
    ),
    _classifier("roberta", hf.RobertaConfig, _RB, **_ROBERTA),
    _classifier("albert", hf.AlbertConfig, _WP, **SMALL, embedding_size=16),
    _classifier("electra", hf.ElectraConfig, _WP, **SMALL, embedding_size=16),
    _classifier(
        "deberta-v2",
        hf.DebertaV2Config,
        _WP,
        **SMALL,
        relative_attention=True,
        position_buckets=8,
        pos_att_type=["p2c", "c2p"],
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        type_vocab_size=0,
    ),
    _classifier("xlm-roberta", hf.XLMRobertaConfig, _RB, **_ROBERTA),
    _classifier("mpnet", hf.MPNetConfig, _RB, **{**_ROBERTA, "type_vocab_size": 0}),
    _classifier(
        "modernbert",
        hf.ModernBertConfig,
        _WP,
        **SMALL,
        local_attention=6,
        global_attn_every_n_layers=2,
        pad_token_id=0,
        cls_token_id=2,
        sep_token_id=3,
        bos_token_id=2,
        eos_token_id=3,
    ),
    _classifier("gpt2-classifier", hf.GPT2Config, tiny_tokenizers.gpt2_like, **_GPT2),
    _classifier("llama-classifier", hf.LlamaConfig, tiny_tokenizers.llama_like, **GROUPED, pad_token_id=0),
    _classifier("xlnet", hf.XLNetConfig, _RB, **_XLNET, pad_token_id=1),
    _language_model("gpt2", hf.GPT2Config, tiny_tokenizers.gpt2_like, **_GPT2),
    _language_model("llama", hf.LlamaConfig, **GROUPED),
    _language_model("mistral", hf.MistralConfig, **GROUPED, **_WINDOW),
    _language_model("qwen2", hf.Qwen2Config, **GROUPED),
    _language_model("qwen3", hf.Qwen3Config, **_HEADS),
    _language_model("gemma2", hf.Gemma2Config, **_HEADS, **_WINDOW, query_pre_attn_scalar=8),
    _language_model(
        "gemma3",
        hf.Gemma3TextConfig,
        **_HEADS,
        **_WINDOW,
        query_pre_attn_scalar=8,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
    ),
    _language_model("phi3", hf.Phi3Config, **GROUPED),
    _language_model("gpt-neox", hf.GPTNeoXConfig, **SMALL),
    _language_model(
        "opt",
        hf.OPTConfig,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        ffn_dim=48,
        max_position_embeddings=96,
        word_embed_proj_dim=32,
    ),
    _language_model("bloom", hf.BloomConfig, hidden_size=32, n_layer=3, n_head=4),
    _language_model(
        "falcon",
        hf.FalconConfig,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=96,
    ),
    _language_model("mixtral", hf.MixtralConfig, **GROUPED, num_local_experts=4, num_experts_per_tok=2),
    _language_model(
        "gpt-oss",
        hf.GptOssConfig,
        **_HEADS,
        **_WINDOW,
        num_local_experts=4,
        num_experts_per_tok=2,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
    ),
    _language_model(
        "mamba", hf.MambaConfig, hidden_size=32, num_hidden_layers=3, state_size=8, has_attention=False
    ),
    _language_model("bert-as-language-model", hf.BertConfig, _WP, **SMALL, is_causal=False),
)
BY_NAME = {architecture.name: architecture for architecture in ARCHITECTURES}
CLASSIFIERS = tuple(a.name for a in ARCHITECTURES if a.task == CLASSIFIER)
LANGUAGE_MODELS = tuple(a.name for a in ARCHITECTURES if a.task == LANGUAGE_MODEL)
WITH_ATTENTION = tuple(a.name for a in ARCHITECTURES if a.has_attention)
# Architectures that share what matters here with the one before the colon; of each family the tests that
# run every architecture take one by default, and all with ``--full``.
FAMILIES = {
    "bert": ("distilbert", "albert", "electra"),
    "roberta": ("xlm-roberta",),
    "deberta-v2": ("mpnet",),
    "gpt2": ("opt",),
    "llama": ("mistral", "qwen2", "qwen3", "phi3"),
    "gemma3": ("gemma2",),
    "gpt-neox": ("falcon",),
}
FAMILY = {name: first for first, others in FAMILIES.items() for name in (first, *others)}
PROBE = "The film was wonderful, but a dull plot is bad."
TEXTS = (PROBE, "Don't call it bad!", "A far away land 👨‍👩‍👧 and a king: שלום 你好")


def each(names: Iterable[str]) -> list[Any]:
    """Return names as parameters of a test: one of each family by default, all with ``--full``."""
    chosen = list(names)
    found: dict[str, str] = {}
    for name in sorted(chosen, key=lambda name: name not in FAMILIES):
        found.setdefault(FAMILY.get(name, name), name)
    return [pytest.param(name, marks=[] if name in found.values() else [pytest.mark.full]) for name in chosen]


@cache
def build(name: str, implementation: str | None = None) -> Any:
    """Return a tiny model, the same weights whatever the attention implementation."""
    architecture = BY_NAME[name]
    model = _constructed(architecture, implementation)
    model.load_state_dict(_weights(name))
    return model


def tokenizer_of(name: str) -> Any:
    """Return the tokenizer of an architecture."""
    return BY_NAME[name].tokenizer()


def fresh(name: str, implementation: str | None = None, **changes: Any) -> Any:
    """Return a model of one's own to change or break."""
    model = _constructed(BY_NAME[name], implementation, **changes)
    weights = _weights(name)
    own = model.state_dict()
    model.load_state_dict(
        {
            key: weights.get(key)
            if weights.get(key, own[key]).shape == own[key].shape and key in weights
            else own[key]
            for key in own
        }
    )
    return model


def visualizer_of(name: str, implementation: str | None = None, model: Any = None) -> Any:
    """Return the visualizer of an architecture, over a shared model or one given."""
    kind = ModelVisualizer if BY_NAME[name].task == CLASSIFIER else GenerativeModelVisualizer
    return kind(model=model or build(name, implementation), tokenizer=tokenizer_of(name))


def encoded(visualizer: Any, text: str) -> Encoding:
    """Return a text as the visualizer's model reads it."""
    return visualizer.runner.model.encode(*tokenize(visualizer.tokenizer, text))


def _constructed(architecture: Architecture, implementation: str | None, **changes: Any) -> Any:
    torch.manual_seed(0)
    tokenizer = architecture.tokenizer()
    special = {
        key: getattr(tokenizer, key)
        for key in ("pad_token_id", "bos_token_id", "eos_token_id")
        if key not in architecture.options
    }
    if architecture.name == "gpt2-classifier":
        special["pad_token_id"] = None
    config = architecture.config(vocab_size=len(tokenizer), **{**special, **architecture.options, **changes})
    auto = AutoModelForSequenceClassification if architecture.task == CLASSIFIER else AutoModelForCausalLM
    chosen = {} if implementation is None else {"attn_implementation": implementation}
    return auto.from_config(config, **chosen).eval()


@cache
def _weights(name: str) -> dict[str, torch.Tensor]:
    """Return weights scaled up until attention is sharp and the logits differ."""
    architecture = BY_NAME[name]
    implementation = "eager" if architecture.has_attention else None
    model = _constructed(architecture, implementation)
    inputs = architecture.tokenizer()(PROBE, return_tensors="pt")
    inputs.pop("token_type_ids", None)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():  # biases and norms too: at zero and one they hide mistakes
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        for _ in range(40):
            outputs = model(**inputs, **({"output_attentions": True} if architecture.has_attention else {}))
            sharp = not architecture.has_attention or max(
                float(layer[:, :, 3:].max()) for layer in outputs.attentions
            )
            if float(outputs.logits.std()) > 0.1 and float(sharp) > 0.5:
                return {key: value.clone() for key, value in model.state_dict().items()}
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(1.25)
    raise AssertionError(f"{name}: no scale makes its attention sharp")
