"""Tiny seeded question answering models, strong enough to tell right from wrong (as ``tiny_models``)."""

from collections.abc import Callable
from functools import cache
from typing import Any

import tiny_models
import tiny_tokenizers
import torch
import transformers as hf
from transformers import AutoModelForQuestionAnswering

from model_understanding import QuestionAnsweringVisualizer

_WP, _RB = tiny_tokenizers.wordpiece, tiny_tokenizers.roberta_like
_BART = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 96,
    "decoder_start_token_id": 2,
}
_T5 = {
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 48,
    "num_layers": 2,
    "num_heads": 4,
    "decoder_start_token_id": 0,
}


def _of(name: str) -> tuple[Callable[[], Any], Any, dict[str, Any]]:
    architecture = tiny_models.BY_NAME[name]
    return architecture.tokenizer, architecture.config, architecture.options


ARCHITECTURES: dict[str, tuple[Callable[[], Any], Any, dict[str, Any]]] = {
    **{
        name: _of(name)
        for name in (
            "bert",
            "roberta",
            "distilbert",
            "albert",
            "electra",
            "deberta-v2",
            "mpnet",
            "modernbert",
            "llama",
            "qwen2",
            "gpt2",
        )
    },
    "xlm-roberta": (tiny_tokenizers.xlmr_like, hf.XLMRobertaConfig, tiny_models.BY_NAME["roberta"].options),
    "xlnet": (tiny_tokenizers.xlnet_like, hf.XLNetConfig, tiny_models._XLNET),
    "bart": (_RB, hf.BartConfig, _BART),
    "t5": (tiny_tokenizers.xlmr_like, hf.T5Config, _T5),
}
ENCODERS = (
    "bert",
    "roberta",
    "xlm-roberta",
    "distilbert",
    "albert",
    "electra",
    "deberta-v2",
    "mpnet",
    "modernbert",
)
DECODERS = ("llama", "qwen2", "gpt2")
ENCODER_DECODERS = ("bart", "t5")
CONTEXT_FIRST = ("xlnet",)
PAIRS = (
    ("Who lived far away?", "Once upon a time there lived a king."),
    ("Is it bad?", "A dull plot, not bad!"),
    ("Who is it? 👨‍👩‍👧", "A king 🙂 שלום and 你好."),
)


@cache
def build(name: str) -> Any:
    """Return a tiny model whose start and end logits differ from token to token."""
    model = constructed(AutoModelForQuestionAnswering, *ARCHITECTURES[name])
    inputs = inputs_of(name, PAIRS[0])

    def spread() -> float:
        outputs = model(**inputs)
        return min(float(outputs.start_logits.std()), float(outputs.end_logits.std()))

    return strengthened(model, spread, least=0.5)


def constructed(auto: Any, tokenizer: Callable[[], Any], config_class: Any, options: dict[str, Any]) -> Any:
    """Return a seeded model with the special tokens of a tokenizer and the head of an auto class."""
    tokens = tokenizer()
    torch.manual_seed(0)
    special = {
        key: getattr(tokens, key)
        for key in ("pad_token_id", "bos_token_id", "eos_token_id")
        if key not in options and getattr(tokens, key) is not None
    }
    sizes = {key: value for key, value in options.items() if key != "num_labels"}
    return auto.from_config(config_class(vocab_size=len(tokens), **{**special, **sizes})).eval()


def strengthened(model: Any, spread: Callable[[], float], least: float) -> Any:
    """Scale a model's weights up until its outputs differ by a least amount."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():  # biases and norms too: at zero and one they hide mistakes
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        for _ in range(40):
            if spread() > least:
                return model
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(1.25)
    raise AssertionError(f"{type(model).__name__}: no scale makes its outputs differ")


def tokenizer_of(name: str) -> Any:
    """Return the tokenizer of an architecture."""
    return ARCHITECTURES[name][0]()


def visualizer_of(name: str, model: Any = None, **options: Any) -> QuestionAnsweringVisualizer:
    """Return the visualizer of an architecture, over a shared model or one given."""
    return QuestionAnsweringVisualizer(model=model or build(name), tokenizer=tokenizer_of(name), **options)


def inputs_of(name: str, pair: tuple[str, str]) -> dict[str, torch.Tensor]:
    """Return what the model of an architecture is called with for a question and a context."""
    texts = pair[::-1] if name in CONTEXT_FIRST else pair
    inputs = dict(tokenizer_of(name)(*texts, return_tensors="pt"))
    if name in ("distilbert", "modernbert"):
        inputs.pop("token_type_ids", None)
    return inputs
