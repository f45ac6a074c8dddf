"""Tiny seeded token classifiers of several architectures and kinds of tokenizer.

Their weights are scaled up until attention is sharp and labels differ, as those of ``tiny_models``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import tiny_tokenizers
import torch
import transformers as hf
from tiny_models import GROUPED, PROBE, SMALL
from transformers import AutoModelForTokenClassification

IOB = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG")


@dataclass(frozen=True)
class Tagger:
    """How to build one."""

    tokenizer: Callable[[], Any]
    config: Callable[..., Any]
    options: dict[str, Any]
    reads_attention: bool = True
    """Whether its attention is plain: neither windowed nor by blocks."""


_ROBERTA = {**SMALL, "max_position_embeddings": 98, "pad_token_id": 1, "type_vocab_size": 1}
_WP, _RB = tiny_tokenizers.wordpiece, tiny_tokenizers.roberta_like
TAGGERS = {
    "bert": Tagger(_WP, hf.BertConfig, SMALL),
    "roberta": Tagger(_RB, hf.RobertaConfig, _ROBERTA),
    "distilbert": Tagger(
        _WP,
        hf.DistilBertConfig,
        {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48, "max_position_embeddings": 96},
    ),
    "deberta-v2": Tagger(
        _WP,
        hf.DebertaV2Config,
        {
            **SMALL,
            "relative_attention": True,
            "position_buckets": 8,
            "pos_att_type": ["p2c", "c2p"],
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "type_vocab_size": 0,
        },
    ),
    "electra": Tagger(_WP, hf.ElectraConfig, {**SMALL, "embedding_size": 16}),
    "xlm-roberta": Tagger(tiny_tokenizers.xlmr_like, hf.XLMRobertaConfig, _ROBERTA),
    "modernbert": Tagger(
        _WP,
        hf.ModernBertConfig,
        {
            **SMALL,
            "local_attention": 6,
            "global_attn_every_n_layers": 2,
            "cls_token_id": 2,
            "sep_token_id": 3,
            "bos_token_id": 2,
            "eos_token_id": 3,
        },
    ),
    "gpt2": Tagger(
        tiny_tokenizers.gpt2_like,
        hf.GPT2Config,
        {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 96, "bos_token_id": 0, "eos_token_id": 0},
    ),
    "llama": Tagger(tiny_tokenizers.llama2_like, hf.LlamaConfig, GROUPED),
    "longformer": Tagger(
        _RB, hf.LongformerConfig, {**_ROBERTA, "attention_window": [4, 4, 4]}, reads_attention=False
    ),
    "big-bird": Tagger(
        tiny_tokenizers.xlmr_like, hf.BigBirdConfig, {**SMALL, "block_size": 4, "num_random_blocks": 1}
    ),
}


@cache
def build(name: str, labels: tuple[str, ...] = IOB) -> Any:
    """Return a tagger with these labels, the same weights at every call."""
    return fresh(name, labels)


def fresh(name: str, labels: tuple[str, ...] = IOB, **options: Any) -> Any:
    """Return a tagger of one's own to change or break; ``options`` are those of ``from_config``."""
    tagger = TAGGERS[name]
    tokenizer = tagger.tokenizer()
    special = {
        key: getattr(tokenizer, key)
        for key in ("pad_token_id", "bos_token_id", "eos_token_id")
        if key not in tagger.options
    }
    names = {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
    torch.manual_seed(0)
    config = tagger.config(vocab_size=len(tokenizer), **{**special, **tagger.options}, **names)
    model = AutoModelForTokenClassification.from_config(config, **options).eval()
    return _sharpened(model, tokenizer)


def tokenizer_of(name: str) -> Any:
    """Return the tokenizer of a tagger."""
    return TAGGERS[name].tokenizer()


def _sharpened(model: Any, tokenizer: Any) -> Any:
    """Scale weights up, and set the head so that each label is as likely as any other at some token."""
    inputs = tokenizer(PROBE, return_tensors="pt")
    inputs.pop("token_type_ids", None)
    generator = torch.Generator().manual_seed(1)
    heads = [module for module in model.modules() if getattr(module, "out_features", 0) == model.num_labels]
    head = heads[-1]
    with torch.no_grad():
        for parameter in model.parameters():  # biases and norms too: at zero and one they hide mistakes
            scale = 0.1 if parameter.ndim == 1 else 2 * float(parameter.std())
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
        logits = model(**inputs).logits[0]
        spread = logits.std(dim=0)
        head.weight.mul_(2 / spread[:, None])
        head.bias.copy_(-2 * (logits - head.bias).mean(dim=0) / spread)
    return model
