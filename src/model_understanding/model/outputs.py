"""What the module of each task is called with, and its outputs as one tensor of logits.

A target reads a class at a position of the logits, whatever the task: ``(batch, positions, classes)``.

=====================  ===============  =====================================================
task                   positions        classes
=====================  ===============  =====================================================
sequence classifier    one              its classes
multiple choice        one              one: the logit of this choice
similarity             one              one: the similarity of both texts
token classifier       every token      its labels
masked language model  every token      the vocabulary: the token at this position
language model         every token      the vocabulary: the token that follows
encoder–decoder        those of output  the vocabulary: the token that follows
question answering     start, end       the tokens of the text
=====================  ===============  =====================================================
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.errors import InputError
from model_understanding.targets.names import (
    CAUSAL_LM,
    MASKED_LM,
    MULTIPLE_CHOICE,
    QUESTION_ANSWERING,
    SEQ2SEQ_LM,
    SIMILARITY,
    TOKEN_CLASSIFICATION,
)
from model_understanding.text.encoding import sequences

NEXT_TOKEN = frozenset({CAUSAL_LM, SEQ2SEQ_LM})
"""Tasks whose logits at a position predict the token after it."""
EACH_TOKEN = frozenset({CAUSAL_LM, SEQ2SEQ_LM, MASKED_LM, TOKEN_CLASSIFICATION})
"""Tasks with logits at each token."""
OF_VOCABULARY = frozenset({CAUSAL_LM, SEQ2SEQ_LM, MASKED_LM})
"""Tasks whose classes are the vocabulary."""
_SECOND = {SEQ2SEQ_LM: "decoder_{}", SIMILARITY: "other_{}"}  # what the second sequence's inputs are called
TWO_SEQUENCES = frozenset(_SECOND)
"""Tasks whose models read two sequences: a source and its output so far, or two texts."""


def module_inputs(task: str, inputs: Mapping[str, Tensor], source_length: int | None) -> dict[str, Tensor]:
    """Return what a module is called with.

    Args:
        task: The task.
        inputs: The inputs by the tokenizer's names, each ``(B, T)``.
        source_length: Number of leading tokens that are the first of two sequences.

    Returns:
        The inputs by the module's names; those of a second sequence have names of their own, and of a
        multiple choice each row is the only choice of a question, ``(B, 1, T)``.
    """
    if task == MULTIPLE_CHOICE:
        return {name: values[:, None] for name, values in inputs.items()}
    if source_length is None:
        return dict(inputs)
    split = {name: sequences(values, source_length) for name, values in inputs.items()}
    first = {name: parts[0] for name, parts in split.items()}
    return first | {_SECOND[task].format(name): parts[1] for name, parts in split.items()}


def logits_at(
    task: str, logits: Tensor, keep_from: int, tokens: int, virtual: int = 0
) -> Float[Tensor, "batch positions classes"]:
    """Return the logits from a position on, where a module gave those of more positions.

    A language model gives those of the last positions, or of a prompt before the text too. Perceiver gives
    those of all positions that it has, the text's first.

    Args:
        task: The task.
        logits: What the module returned.
        keep_from: The first position.
        tokens: Number of tokens of the text.
        virtual: Number of positions that an adapter puts before the text.
    """
    if task == QUESTION_ANSWERING:
        return logits[:, keep_from:]
    if task not in EACH_TOKEN:
        return logits[:, None]
    if task not in NEXT_TOKEN and logits.shape[1] > tokens + virtual:
        return logits[:, virtual + keep_from : virtual + tokens]
    positions = tokens - keep_from
    return logits[:, -positions:] if logits.shape[1] > positions else logits


def span_logits(outputs: Any, name: str) -> Float[Tensor, "batch 2 tokens"]:
    """Return the start and end logits of a question answering model.

    Args:
        outputs: What the module returned.
        name: The module's name, for the message.

    Raises:
        InputError: It returned none.
    """
    start, end = (getattr(outputs, f"{side}_logits", None) for side in ("start", "end"))
    if start is None or end is None:
        raise InputError(
            f"{name} returns no start and end logits of each token.",
            hint="Pass a model whose outputs have start_logits and end_logits.",
        )
    return torch.stack([start, end], dim=1)


def positions_of(task: str, tokens: int) -> int:
    """Return the number of positions of the logits of a text of so many tokens."""
    if task == QUESTION_ANSWERING:
        return 2
    return tokens if task in EACH_TOKEN else 1


def configured_classes(task: str, config: Any) -> int | None:
    """Return how many classes a configuration gives the logits of a task; ``None`` if it does not say."""
    if task == SEQ2SEQ_LM:
        size = getattr(config, "decoder_vocab_size", None)
        return size or getattr(config.get_text_config(decoder=True), "vocab_size", None)
    if task in OF_VOCABULARY:
        return getattr(config.get_text_config(), "vocab_size", None)
    if task in (MULTIPLE_CHOICE, SIMILARITY):
        return 1
    return None if task == QUESTION_ANSWERING else getattr(config, "num_labels", None)
