"""A tiny model of each task, with its tokenizer, as a module or as a folder."""

from functools import cache
from pathlib import Path
from typing import Any

import tiny_masked
import tiny_models
import tiny_qa
import tiny_seq2seq
import tiny_similarity
import tiny_taggers
import torch
from transformers import AutoModelForMultipleChoice, AutoModelForSequenceClassification

CLASS_OF = {
    "sequence-classification": "ModelVisualizer",
    "causal-lm": "GenerativeModelVisualizer",
    "token-classification": "TokenClassificationVisualizer",
    "question-answering": "QuestionAnsweringVisualizer",
    "masked-lm": "MaskedLMVisualizer",
    "seq2seq-lm": "Seq2SeqVisualizer",
    "multiple-choice": "MultipleChoiceVisualizer",
    "sentence-similarity": "SimilarityVisualizer",
    "zero-shot-classification": "ZeroShotClassificationVisualizer",
    "reranking": "RerankerVisualizer",
}
OWN = tuple(task for task in CLASS_OF if task not in ("zero-shot-classification", "reranking"))
"""Tasks that a model's class or folder says."""


@cache
def build(task: str) -> Any:
    """Return a tiny model of a task."""
    match task:
        case "sequence-classification":
            return tiny_models.build("bert")
        case "causal-lm":
            return tiny_models.build("gpt2")
        case "token-classification":
            return tiny_taggers.build("bert")
        case "question-answering":
            return tiny_qa.build("bert")
        case "masked-lm":
            return tiny_masked.build("bert")
        case "seq2seq-lm":
            return tiny_seq2seq.build("t5")
        case "sentence-similarity":
            return tiny_similarity.encoder("bert")
    torch.manual_seed(0)
    if task == "multiple-choice":
        return AutoModelForMultipleChoice.from_config(tiny_models.build("bert").config).eval()
    config = type(tiny_models.build("bert").config)(**tiny_models.build("bert").config.to_dict())
    names = ("relevance",) if task == "reranking" else ("contradiction", "neutral", "entailment")
    config.id2label = dict(enumerate(names))
    config.label2id = {label: index for index, label in config.id2label.items()}
    return AutoModelForSequenceClassification.from_config(config).eval()


def tokenizer_of(task: str) -> Any:
    """Return the tokenizer of the tiny model of a task."""
    match task:
        case "causal-lm":
            return tiny_models.tokenizer_of("gpt2")
        case "token-classification":
            return tiny_taggers.tokenizer_of("bert")
        case "question-answering":
            return tiny_qa.tokenizer_of("bert")
        case "masked-lm":
            return tiny_masked.tokenizer_of("bert")
        case "seq2seq-lm":
            return tiny_seq2seq.tokenizer_of("t5")
    return tiny_models.tokenizer_of("bert")


def save(task: str, folder: Path) -> str:
    """Save the tiny model of a task, and return its folder."""
    if task == "sentence-similarity":
        return str(tiny_similarity.save_folder(folder))
    build(task).save_pretrained(folder)
    tokenizer_of(task).save_pretrained(folder)
    return str(folder)
