"""Tiny seeded encoder–decoders, and their logits and gradients by plain torch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import tiny_tokenizers
import torch
import transformers as hf
from torch import Tensor

from model_understanding import Seq2SeqVisualizer

SOURCE = "The film was wonderful, but a dull plot."
OUTPUT = "Der Film war wunderbar."
SOURCES = (SOURCE, "Don't call it bad!", "A far away land 👨‍👩‍👧 and a king: שלום 你好")

_T5 = {
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 48,
    "num_layers": 2,
    "num_decoder_layers": 2,
    "num_heads": 4,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 16,
    "decoder_start_token_id": 0,
}
_BART = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 96,
}
_PROPHET = {
    "hidden_size": 32,
    "num_encoder_layers": 2,
    "num_decoder_layers": 2,
    "num_encoder_attention_heads": 4,
    "num_decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 96,
    "ngram": 2,
    "num_buckets": 8,
    "relative_max_distance": 16,
    "decoder_start_token_id": 2,
}
BERT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 96,
}
_ENDS_FIRST = {**_BART, "decoder_start_token_id": 2}
_BEGINS_FIRST = {**_BART, "decoder_start_token_id": 0}
_PADS_FIRST = {**_BART, "decoder_start_token_id": 0, "eos_token_id": 1}
_MARIAN = {**_BART, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0, "bos_token_id": None}


@dataclass(frozen=True)
class Architecture:
    """How to build one.

    Args:
        name: Its name here.
        tokenizer: Makes its tokenizer.
        config: Its configuration's class, or a function of the vocabulary's size that makes one.
        options: Settings of the configuration.
        languages: ``source_language`` and ``target_language`` of the visualizer, where it needs them.
        prefix: What the decoder starts with, as tokens.
    """

    name: str
    tokenizer: Callable[[], Any]
    config: Callable[..., Any]
    options: dict[str, Any]
    prefix: tuple[str, ...]
    languages: dict[str, str] = field(default_factory=dict)


def _bert_to_gpt2(vocab_size: int, **_: Any) -> Any:
    """An encoder and a decoder of different kinds and widths, with one tokenizer."""
    encoder = hf.BertConfig(vocab_size=vocab_size, **BERT)
    decoder = hf.GPT2Config(
        vocab_size=vocab_size, n_embd=24, n_layer=2, n_head=4, n_positions=96, add_cross_attention=True,
        is_decoder=True, bos_token_id=2, eos_token_id=3,
    )  # fmt: skip
    config = hf.EncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = 2, 0, 3
    return config


def _bert_to_bert(vocab_size: int, **_: Any) -> Any:
    encoder, decoder = (hf.BertConfig(vocab_size=vocab_size, **BERT) for _ in range(2))
    config = hf.EncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = 2, 0, 3
    return config


def _t5gemma(vocab_size: int, **_: Any) -> Any:
    part = {
        **BERT,
        "vocab_size": vocab_size,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "sliding_window": 5,
        "layer_types": ["sliding_attention", "full_attention"],
        "query_pre_attn_scalar": 8,
        "pad_token_id": 0,
        "eos_token_id": 2,
        "bos_token_id": 1,
    }
    return hf.T5GemmaConfig(encoder=dict(part), decoder=dict(part), vocab_size=vocab_size)


_UNIGRAM, _BPE, _WP = tiny_tokenizers.t5_like, tiny_tokenizers.roberta_like, tiny_tokenizers.wordpiece
_GERMAN = {"source_language": "en_XX", "target_language": "de_DE"}
ARCHITECTURES = (
    Architecture("t5", _UNIGRAM, hf.T5Config, _T5, ("<pad>",)),
    Architecture(
        "mt5", _UNIGRAM, hf.MT5Config,
        {**_T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}, ("<pad>",),
    ),
    Architecture("umt5", _UNIGRAM, hf.UMT5Config, _T5, ("<pad>",)),
    Architecture(
        "longt5", _UNIGRAM, hf.LongT5Config, {**_T5, "local_radius": 3, "encoder_attention_type": "local"},
        ("<pad>",),
    ),
    Architecture(
        "switch", _UNIGRAM, hf.SwitchTransformersConfig,
        {**_T5, "num_experts": 4, "expert_capacity": 64, "num_sparse_encoder_layers": 1,
         "num_sparse_decoder_layers": 1},
        ("<pad>",),
    ),
    Architecture("bart", _BPE, hf.BartConfig, _ENDS_FIRST, ("</s>",)),
    Architecture(
        "bart-forced", _BPE, hf.BartConfig, {**_ENDS_FIRST, "forced_bos_token_id": 0}, ("</s>", "<s>"),
    ),
    Architecture("mbart", tiny_tokenizers.mbart_like, hf.MBartConfig, _BART, ("de_DE",), _GERMAN),
    Architecture(
        "mbart50", tiny_tokenizers.mbart50_like, hf.MBartConfig, _ENDS_FIRST,
        ("</s>", "de_DE"), _GERMAN,
    ),
    Architecture(
        "nllb", tiny_tokenizers.nllb_like, hf.M2M100Config, _ENDS_FIRST,
        ("</s>", "deu_Latn"), {"source_language": "eng_Latn", "target_language": "deu_Latn"},
    ),
    Architecture("marian", _UNIGRAM, hf.MarianConfig, _MARIAN, ("<pad>",)),
    Architecture(
        "marian-two-tables", tiny_tokenizers.two_vocabularies, hf.MarianConfig,
        {**_MARIAN, "share_encoder_decoder_embeddings": False, "tie_word_embeddings": False,
         "decoder_vocab_size": len(tiny_tokenizers.two_vocabularies().target_encoder)},
        ("<pad>",),
    ),
    Architecture("pegasus", _UNIGRAM, hf.PegasusConfig, _PADS_FIRST, ("<pad>",)),
    Architecture(
        "bigbird-pegasus", _UNIGRAM, hf.BigBirdPegasusConfig,
        {**_PADS_FIRST, "attention_type": "original_full"}, ("<pad>",),
    ),
    Architecture(
        "led", _BPE, hf.LEDConfig,
        {**{k: v for k, v in _ENDS_FIRST.items() if k != "max_position_embeddings"},
         "max_encoder_position_embeddings": 96, "max_decoder_position_embeddings": 96,
         "attention_window": [4, 4]},
        ("</s>",),
    ),
    Architecture("prophetnet", _WP, hf.ProphetNetConfig, _PROPHET, ("[CLS]",)),
    Architecture("blenderbot", _BPE, hf.BlenderbotConfig, _BEGINS_FIRST, ("<s>",)),
    Architecture("blenderbot-small", _BPE, hf.BlenderbotSmallConfig, _BEGINS_FIRST, ("<s>",)),
    Architecture("plbart", _BPE, hf.PLBartConfig, _ENDS_FIRST, ("</s>",)),
    Architecture("mvp", _BPE, hf.MvpConfig, {**_ENDS_FIRST, "use_prompt": False}, ("</s>",)),
    Architecture("bert-to-bert", _WP, _bert_to_bert, {}, ("[CLS]",)),
    Architecture("bert-to-gpt2", _WP, _bert_to_gpt2, {}, ("[CLS]",)),
    Architecture("t5gemma", tiny_tokenizers.llama_like, _t5gemma, {}, ("<s>",)),
)  # fmt: skip
BY_NAME = {architecture.name: architecture for architecture in ARCHITECTURES}
NAMES = tuple(BY_NAME)


def tokenizer_of(name: str) -> Any:
    """Return the tokenizer of an architecture."""
    return BY_NAME[name].tokenizer()


@cache
def build(name: str) -> Any:
    """Return a tiny model; every test shares it."""
    return fresh(name)


def fresh(name: str, **changes: Any) -> Any:
    """Return a model of one's own to change or break."""
    architecture = BY_NAME[name]
    tokenizer = architecture.tokenizer()
    special = {key: getattr(tokenizer, key) for key in ("pad_token_id", "bos_token_id", "eos_token_id")}
    given = {**special, **architecture.options, **changes}
    config = architecture.config(vocab_size=len(tokenizer), **given)
    torch.manual_seed(0)
    model = hf.AutoModelForSeq2SeqLM.from_config(config).eval()
    model.generation_config.forced_bos_token_id = given.get("forced_bos_token_id")
    model.generation_config.encoder_no_repeat_ngram_size = None  # Blenderbot's is 3
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 1:  # biases and norms: at zero and one they hide mistakes
                weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
            else:
                weight.copy_(0.2 * torch.randn(weight.shape, generator=generator))
    return model


def ids_of(name: str, source: str = SOURCE, output: str = OUTPUT) -> tuple[Tensor, Tensor, Tensor]:
    """Return the ids of a source, of what the decoder starts with, and of an output, by plain calls."""
    architecture = BY_NAME[name]
    tokenizer = architecture.tokenizer()
    if architecture.languages:
        tokenizer.src_lang = architecture.languages["source_language"]
        tokenizer.tgt_lang = architecture.languages["target_language"]
    source_ids = tokenizer(source)["input_ids"]
    labels = tokenizer(text_target=output)["input_ids"]
    if architecture.languages:
        tokenizer.tgt_lang = None
    prefix = [tokenizer.convert_tokens_to_ids(token) for token in architecture.prefix]
    for given in (prefix, prefix[1:]):
        if given and labels[: len(given)] == given:
            labels = labels[len(given) :]
    if labels[-1] == prefix[0] and name == "mbart":
        labels = labels[:-1]
    return torch.tensor([source_ids]), torch.tensor([prefix]), torch.tensor([labels])


def _call(model: Any, source: Tensor, decoder: Tensor) -> Tensor:
    mask = torch.ones_like(source)  # FSMT's decoder is causal without a cache only
    return model(input_ids=source, attention_mask=mask, decoder_input_ids=decoder, use_cache=False).logits[0]


def _tables(model: Any) -> list[Any]:
    """Return the tables of tokens; FSMT's positions are looked up by ids, too."""
    tables = [module for module in model.modules() if isinstance(module, torch.nn.Embedding)]
    return [table for table in tables if "Position" not in type(table).__name__]


def logits(model: Any, source: Tensor, decoder: Tensor) -> Tensor:
    """Return the logits of a plain teacher-forced call."""
    with torch.no_grad():
        return _call(model, source, decoder)


def gradients(
    model: Any, source: Tensor, decoder: Tensor, read: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Return a value's gradients with respect to what the encoder and the decoder look up, by plain hooks."""
    kept: dict[str, Tensor] = {}

    def cut(module: Any, arguments: tuple[Any, ...], output: Tensor) -> Tensor | None:
        ids = arguments[0] if arguments else None
        if not isinstance(ids, Tensor) or ids.is_floating_point() or output.ndim != 3:
            return None
        for part, own in (("source", source), ("decoder", decoder)):
            if part not in kept and ids.shape == own.shape and torch.equal(ids, own):
                kept[part] = output.detach().requires_grad_()
                return kept[part].clone()
        return None

    hooks = [table.register_forward_hook(cut) for table in _tables(model)]
    try:
        value = read(_call(model, source, decoder))
    finally:
        for hook in hooks:
            hook.remove()
    first, second = torch.autograd.grad(value, [kept["source"], kept["decoder"]])
    return first[0], second[0]


@cache
def visualizer_of(name: str) -> Seq2SeqVisualizer:
    """Return the visualizer of an architecture, over the model that every test shares."""
    return Seq2SeqVisualizer(model=build(name), tokenizer=tokenizer_of(name), **BY_NAME[name].languages)


def removed(
    model: Any,
    source: Tensor,
    decoder: Tensor,
    position: int,
    substitute: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return the logits where what is looked up at a position of source and decoder is replaced.

    Args:
        model: The model.
        source: Ids of the source.
        decoder: Ids that the decoder reads.
        position: A position in both, one after the other.
        substitute: Makes the vector in its place from the whole table's vectors.
    """
    in_source = position < source.shape[1]
    own, row = (source, position) if in_source else (decoder, position - source.shape[1])
    done = False

    def replace(module: Any, arguments: tuple[Any, ...], output: Tensor) -> Tensor | None:
        nonlocal done
        ids = arguments[0] if arguments else None
        is_own = isinstance(ids, Tensor) and ids.shape == own.shape and torch.equal(ids, own)
        if done or not is_own or output.ndim != 3:
            return None
        done = True
        changed = output.clone()
        hooks.pop(module).remove()
        changed[0, row] = substitute(module(torch.arange(module.num_embeddings)[None])[0])
        return changed

    hooks = {table: table.register_forward_hook(replace) for table in _tables(model)}
    try:
        result = logits(model, source, decoder)
    finally:
        for hook in hooks.values():
            hook.remove()
    assert done
    return result
