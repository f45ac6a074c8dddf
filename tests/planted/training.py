"""Tiny models trained here until they answer every held-out text of a task."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from filelock import FileLock
from safetensors.torch import load_model, save_model
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
)

from planted import tasks, vocabulary
from planted.tasks import MASKED, Task, Texts
from planted.vocabulary import NUMBER

KEPT: Path | None = None  # a folder that keeps trained models from one run of the tests to the next
BATCH, POSITIONS, HELD_OUT = 64, 1024, 256
SIGNALS = [NUMBER[word] for word in (*vocabulary.SIGNALS, *vocabulary.VALUES)]
# From the usual .02 a model of this width learns no negation in hundreds of steps; from .1 in 150.
SIZE = {
    "vocab_size": vocabulary.SIZE,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "initializer_range": 0.1,
}


def trained(task: Task, seed: int = 0, architecture: str | None = None) -> Any:
    """Return a model trained on a task, the same at every call with a seed.

    Args:
        task: The task.
        seed: Of weights and texts.
        architecture: Its ``model_type``; BERT for a classifier, Llama for a language model where left out.
            Some learn more slowly than these, so that all others train three times as long.
    """
    usual = "llama" if _is_causal(task) else "bert"
    if architecture not in (None, usual):
        task = replace(task, steps=3 * task.steps)
    if KEPT is None:
        return _trained(task, seed, architecture or usual)
    path = KEPT / f"{_digest(task, seed, architecture or usual)}.safetensors"
    with FileLock(path.with_suffix(".lock")):  # another process may want the same model
        if not path.exists():
            save_model(_trained(task, seed, architecture or usual), str(path))
    model = _built(task, architecture or usual).eval()
    load_model(model, str(path))
    return model


def _digest(task: Task, seed: int, architecture: str) -> str:
    """Return a name for what a model is trained from: this folder's code, the packages and the question."""
    sources = [Path(module.__file__).read_bytes() for module in (sys.modules[__name__], tasks, vocabulary)]
    question = repr((task.name, task.steps, seed, architecture, torch.__version__, transformers.__version__))
    return sha256(b"".join([*sources, question.encode()])).hexdigest()[:16]


def untrained_classifier(architecture: str, labels: Sequence[str]) -> Any:
    """Return a tiny classifier of texts without dropout, with random weights.

    Args:
        architecture: Its ``model_type``.
        labels: The names of its classes.
    """
    names = {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
    config = AutoConfig.for_model(architecture, **SIZE, max_position_embeddings=64, pad_token_id=0, **names)
    for name in config.to_dict():
        if "drop" in name:
            setattr(config, name, 0.0)
    return AutoModelForSequenceClassification.from_config(config)


def kept(build: Callable[[], Any], train: Callable[[], Any], sources: Sequence[bytes]) -> Any:
    """Return a trained model, from the folder of kept models where it has been trained before.

    Args:
        build: Builds the model without training it.
        train: Builds and trains it.
        sources: What it is trained from, besides this module, the vocabulary and the packages.
    """
    if KEPT is None:
        return train()
    modules = [Path(module.__file__ or "").read_bytes() for module in (sys.modules[__name__], vocabulary)]
    versions = f"{torch.__version__} {transformers.__version__}".encode()
    path = KEPT / f"{sha256(b''.join([*modules, *sources, versions])).hexdigest()[:16]}.safetensors"
    with FileLock(path.with_suffix(".lock")):  # another process may want the same model
        if not path.exists():
            save_model(train(), str(path))
    model = build().eval()
    load_model(model, str(path))
    return model


@contextmanager
def one_thread(seed: int) -> Iterator[None]:
    """Train in one thread from a seed, so that weights are the same on every machine of a kind."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def _trained(task: Task, seed: int, architecture: str) -> Any:
    with one_thread(seed):
        return _train(_built(task, architecture), task, np.random.default_rng(seed))


def accuracy(model: Any, task: Task) -> float:
    """Return the share of right answers on held-out texts of the length that is explained."""
    generator = np.random.default_rng(1)
    kinds = [draw(generator, HELD_OUT, task.length) for draw in (task.draw, task.absent) if draw]
    with torch.no_grad():
        right = [
            _logits(model, task, _with_specials(texts.ids, task), texts.masks).argmax(-1).numpy()
            == texts.answers
            for texts in kinds
        ]
    return float(np.mean(right))


def _built(task: Task, architecture: str) -> Any:
    without_dropout = {name: 0.0 for name in AutoConfig.for_model(architecture).to_dict() if "drop" in name}
    sized = partial(AutoConfig.for_model, architecture, **SIZE, **without_dropout)
    if task.is_masked:
        return AutoModelForMaskedLM.from_config(sized(max_position_embeddings=64))
    if task.classes is None:
        tokens = {"pad_token_id": 0, "bos_token_id": NUMBER["<s>"], "eos_token_id": None}
        heads = SIZE["num_attention_heads"]  # Qwen2 would have 32 for keys
        config = sized(max_position_embeddings=256, num_key_value_heads=heads, **tokens)
        return AutoModelForCausalLM.from_config(config)
    config = sized(max_position_embeddings=64, num_labels=task.classes)
    return AutoModelForSequenceClassification.from_config(config)


def _train(model: Any, task: Task, generator: np.random.Generator) -> Any:
    optimizer = torch.optim.AdamW(model.parameters(), lr=task.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, task.learning_rate, total_steps=task.steps)
    model.train()
    for _ in range(task.steps):
        length = round(np.exp(generator.uniform(*np.log(task.lengths))))
        batch = min(BATCH, POSITIONS // length)
        kinds = [draw for draw in (task.draw, task.absent) if draw]
        drawn = [draw(generator, batch // len(kinds), length) for draw in kinds]
        ids = np.concatenate([_masked(generator, texts) for texts in drawn])
        answers = torch.tensor(np.concatenate([texts.answers for texts in drawn]))
        masks = np.concatenate([texts.masks for texts in drawn]) if task.is_masked else None
        logits = _logits(model, task, _with_specials(ids, task), masks)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits, answers).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model.eval()


def _masked(generator: np.random.Generator, texts: Texts) -> np.ndarray:
    hidden = (generator.random(texts.ids.shape) < MASKED) & ~np.isin(texts.ids, SIGNALS)
    return np.where(hidden, NUMBER["[MASK]"], texts.ids)


def _with_specials(ids: np.ndarray, task: Task) -> np.ndarray:
    before, after = (("<s>",), ()) if _is_causal(task) else (("[CLS]",), ("[SEP]",))
    parts = [np.full((len(ids), 1), NUMBER[word]) for word in before]
    return np.concatenate([*parts, ids, *(np.full((len(ids), 1), NUMBER[word]) for word in after)], axis=1)


def _is_causal(task: Task) -> bool:
    return task.classes is None and not task.is_masked


def _logits(model: Any, task: Task, rows: np.ndarray, masks: np.ndarray | None) -> torch.Tensor:
    ids = torch.tensor(rows)
    if task.is_masked:
        return model(input_ids=ids).logits[torch.arange(len(ids)), torch.tensor(masks) + 1]
    if task.classes is None:
        return model(input_ids=ids, logits_to_keep=1, use_cache=False).logits[:, -1]
    return model(input_ids=ids).logits
