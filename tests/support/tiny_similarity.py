"""Tiny sentence encoders of several architectures and poolings, and folders of sentence-transformers."""

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import tiny_models
import torch
from safetensors.torch import save_file

from model_understanding import SimilarityVisualizer

POOLINGS = {
    "bert": "mean",
    "roberta": "cls",
    "distilbert": "max",
    "mpnet": "mean_sqrt_len_tokens",
    "xlm-roberta": "weightedmean",
    "modernbert": ("cls", "mean"),
    "albert": "mean",
    "electra": "cls",
    "qwen2": "lasttoken",
    "llama": "mean",
}
"""One pooling for each architecture."""
PAIR = ("The film was wonderful.", "A wonderful plot, but bad actors!")
PAIRS = (
    PAIR,
    ("Paris is the capital of France.", "Rome is the capital of Italy; once upon a time a king lived there."),
    ("A far away land 👨‍👩‍👧 and a king", "שלום 你好 king"),
)


def encoder(name: str) -> Any:
    """Return the transformer of a tiny model, without its head."""
    return copy.deepcopy(tiny_models.build(name).base_model)


@cache
def visualizer(name: str, pooling: Any = None, **options: Any) -> Any:
    """Return the visualizer of a tiny encoder with one pooling."""
    chosen = POOLINGS[name] if pooling is None else pooling
    return SimilarityVisualizer(
        model=encoder(name), tokenizer=tiny_models.tokenizer_of(name), pooling=chosen, **options
    )


def pooled(states: torch.Tensor, mode: str) -> torch.Tensor:
    """Return the pooled hidden states ``(T, D)`` of one text without padding, term by term."""
    rows = list(states)
    if mode == "cls":
        return rows[0]
    if mode == "lasttoken":
        return rows[-1]
    if mode == "max":
        return torch.stack([max(row[i] for row in rows) for i in range(len(rows[0]))])
    if mode == "weightedmean":
        weights = [float(place + 1) for place in range(len(rows))]
    else:
        weights = [1.0] * len(rows)
    total = sum(weight * row for weight, row in zip(weights, rows, strict=True))
    return total / (sum(weights) ** (0.5 if mode == "mean_sqrt_len_tokens" else 1.0))


def embedding_by_hand(model: Any, tokenizer: Any, text: str, pooling: Any) -> torch.Tensor:
    """Return the embedding of a text: the transformer's last hidden states, pooled term by term."""
    inputs = {
        key: value
        for key, value in tokenizer(text, return_tensors="pt").items()
        if key != "token_type_ids" or "token_type_embeddings" in str(dict(model.named_modules()).keys())
    }
    with torch.no_grad():
        states = model(**inputs).last_hidden_state[0]
    modes = (pooling,) if isinstance(pooling, str) else pooling
    return torch.cat([pooled(states, mode) for mode in modes])


def cosine(first: torch.Tensor, second: torch.Tensor) -> float:
    """Return the cosine of two vectors."""
    first, second = first.double(), second.double()
    return float(first @ second / (first @ first).sqrt() / (second @ second).sqrt())


def save_folder(
    folder: Path,
    name: str = "bert",
    *,
    modules: list[tuple[str, str, dict[str, Any] | None]] | None = None,
    transformer: str = "",
    settings: dict[str, Any] | None = None,
    prefix: str = "sentence_transformers.models",
    limits: dict[str, Any] | None = None,
) -> Path:
    """Save a tiny encoder as sentence-transformers does.

    Args:
        folder: The folder to write.
        name: The architecture.
        modules: Kind, folder and configuration of each module after the transformer; mean pooling by default.
        transformer: The transformer's folder inside it.
        settings: ``config_sentence_transformers.json``.
        prefix: What the modules' full names begin with.
        limits: ``sentence_bert_config.json``.
    """
    inside = folder / transformer
    encoder(name).save_pretrained(inside)
    tiny_models.tokenizer_of(name).save_pretrained(inside)
    (inside / "sentence_bert_config.json").write_text(json.dumps(limits or {"max_seq_length": 64}))
    default = [("Pooling", "1_Pooling", {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True})]
    listed = [("Transformer", transformer, None), *(default if modules is None else modules)]
    for _, path, config in listed[1:]:
        (folder / path).mkdir(parents=True, exist_ok=True)
        if config is not None:
            (folder / path / "config.json").write_text(json.dumps(config))
    entries = [
        {"idx": index, "name": str(index), "path": path, "type": f"{prefix}.{kind}"}
        for index, (kind, path, _) in enumerate(listed)
    ]
    (folder / "modules.json").write_text(json.dumps(entries))
    if settings is not None:
        (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    return folder


def save_dense(folder: Path, outputs: int = 8, inputs: int = 32) -> dict[str, torch.Tensor]:
    """Save the weights of a dense layer, and return them."""
    generator = torch.Generator().manual_seed(5)
    weights = {
        "linear.weight": torch.randn(outputs, inputs, generator=generator),
        "linear.bias": torch.randn(outputs, generator=generator),
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "model.safetensors")
    return weights
