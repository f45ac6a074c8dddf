"""Tiny seeded masked language models, strong enough to tell right from wrong (as ``tiny_models``)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import tiny_tokenizers
import torch
import transformers as hf
from tiny_models import GROUPED, SMALL
from transformers import AutoModelForMaskedLM

TEXT = "The film was {}, but a dull plot is {}!"


@dataclass(frozen=True)
class Architecture:
    """How to build one."""

    tokenizer: Callable[[], Any]
    config: Callable[..., Any]
    options: dict[str, Any] = field(default_factory=dict)
    padding: int = 0  # rows of the vocabulary that the tokenizer does not know


_WP, _RB, _XR = tiny_tokenizers.wordpiece, tiny_tokenizers.roberta_like, tiny_tokenizers.xlmr_like
_ROBERTA = {**SMALL, "max_position_embeddings": 98, "pad_token_id": 1, "type_vocab_size": 1}
_BERT_IDS = {
    "pad_token_id": 0,
    "cls_token_id": 2,
    "sep_token_id": 3,
    "bos_token_id": 2,
    "eos_token_id": 3,
}

ARCHITECTURES = {
    "bert": Architecture(_WP, hf.BertConfig, SMALL),
    "bert-padded": Architecture(_WP, hf.BertConfig, SMALL, padding=13),
    "roberta": Architecture(_RB, hf.RobertaConfig, _ROBERTA),
    "xlm-roberta": Architecture(_XR, hf.XLMRobertaConfig, _ROBERTA),
    "distilbert": Architecture(
        _WP,
        hf.DistilBertConfig,
        {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48, "max_position_embeddings": 96},
    ),
    "albert": Architecture(_WP, hf.AlbertConfig, {**SMALL, "embedding_size": 16}),
    "electra": Architecture(_WP, hf.ElectraConfig, {**SMALL, "embedding_size": 16}),
    "deberta-v2": Architecture(
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
    "modernbert": Architecture(
        _WP,
        hf.ModernBertConfig,
        {**SMALL, "local_attention": 6, "global_attn_every_n_layers": 2, **_BERT_IDS},
    ),
    "mpnet": Architecture(_RB, hf.MPNetConfig, {**_ROBERTA, "type_vocab_size": 0}),
    "esm": Architecture(
        _WP,
        hf.EsmConfig,
        {
            **SMALL,
            "position_embedding_type": "rotary",
            "mask_token_id": 4,
            "token_dropout": False,
            "pad_token_id": 0,
        },
    ),
    "eurobert": Architecture(_WP, hf.EuroBertConfig, {**GROUPED, **_BERT_IDS, "mask_token_id": 4}),
    "big_bird": Architecture(
        _WP,
        hf.BigBirdConfig,
        {**SMALL, "attention_type": "original_full", "bos_token_id": 2, "eos_token_id": 3},
    ),
    "convbert": Architecture(_WP, hf.ConvBertConfig, {**SMALL, "embedding_size": 32, "head_ratio": 2}),
    "xlm": Architecture(
        _RB,
        hf.XLMConfig,
        {
            "emb_dim": 32,
            "n_layers": 3,
            "n_heads": 4,
            "max_position_embeddings": 96,
            "n_langs": 1,
            "pad_index": 1,
        },
    ),
    "bart": Architecture(
        _RB,
        hf.BartConfig,
        {
            "d_model": 32,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 48,
            "decoder_ffn_dim": 48,
            "max_position_embeddings": 96,
            "bos_token_id": 0,
            "eos_token_id": 2,
            "decoder_start_token_id": 2,
            "forced_eos_token_id": None,
        },
    ),
    "funnel": Architecture(
        _WP, hf.FunnelConfig, {"d_model": 32, "block_sizes": [1, 1], "n_head": 4, "d_head": 8, "d_inner": 48}
    ),
    "longformer": Architecture(_RB, hf.LongformerConfig, {**_ROBERTA, "attention_window": 8}),
    "roformer": Architecture(_WP, hf.RoFormerConfig, {**SMALL, "embedding_size": 32, "rotary_value": False}),
    "camembert": Architecture(_XR, hf.CamembertConfig, _ROBERTA),
    "perceiver": Architecture(  # with logits of all positions that it has
        _RB,
        hf.PerceiverConfig,
        {
            **{"d_model": 32, "d_latents": 16, "num_latents": 8, "num_self_attends_per_block": 1},
            **{"num_self_attention_heads": 4, "num_cross_attention_heads": 4, "max_position_embeddings": 96},
        },
    ),
    "fnet": Architecture(_WP, hf.FNetConfig, {**SMALL, "tpu_short_seq_length": 96}),
}
WITHOUT_ATTENTION = ("fnet", "convbert")  # Fourier mixing; half of ConvBERT's heads are convolutions


@cache
def build(name: str) -> Any:
    """Return a tiny masked language model: weights are scaled until a word changes the answer at a mask."""
    architecture = ARCHITECTURES[name]
    torch.manual_seed(0)
    tokenizer = architecture.tokenizer()
    special = {"pad_token_id": tokenizer.pad_token_id, **architecture.options}
    config = architecture.config(vocab_size=len(tokenizer) + architecture.padding, **special)
    model = AutoModelForMaskedLM.from_config(config).eval()
    inputs = tokenizer(text_of(name), return_tensors="pt")
    inputs.pop("token_type_ids", None)
    changed = inputs["input_ids"].clone()
    changed[0, 2] = changed[0, -3]
    masks = (inputs["input_ids"][0] == tokenizer.mask_token_id).nonzero()[:, 0]
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        for _ in range(80):
            logits, others = (
                model(**{**inputs, "input_ids": ids}).logits[0, masks]
                for ids in (inputs["input_ids"], changed)
            )
            if float(logits.std(dim=1).mean()) > 0.3 and float((logits - others).abs().max()) > 0.1:
                return model
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(1.1)
    raise AssertionError(f"{name}: no scale makes its logits differ")


def tokenizer_of(name: str) -> Any:
    """Return the tokenizer of an architecture."""
    return ARCHITECTURES[name].tokenizer()


def text_of(name: str, text: str = TEXT) -> str:
    """Return a text with the architecture's mask token in the place of each ``{}``."""
    return text.replace("{}", tokenizer_of(name).mask_token)
