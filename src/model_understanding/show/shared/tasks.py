"""What views call the parts of a text and the targets of each kind of model."""

from collections.abc import Sequence
from types import MappingProxyType

import numpy as np

from model_understanding.results import AttentionMap, Attribution, Choices, Report, SpanAnswer, Target
from model_understanding.results.target import LANGUAGE_TASKS
from model_understanding.tokens import Tokens

_SIDES = MappingProxyType(
    {
        "question-answering": ("question", "context"),
        "multiple-choice": ("question", "choice"),
        "seq2seq-lm": ("source", "output"),
    }
)
_SIDES_OF_CHOICES = MappingProxyType(
    {"choice": ("question", "choice"), "label": ("text", "hypothesis"), "document": ("query", "document")}
)
_PAIR = ("first text", "second text")
_NOUNS = MappingProxyType(
    {
        "token-classification": "entity",
        "masked-lm": "mask",
        "question-answering": "answer",
        "multiple-choice": "choice",
    }
)


def text_names(task: str, texts: Sequence[str]) -> tuple[str, ...]:
    """Return what the two texts that a model reads are called; nothing for a single text, or a prompt.

    Args:
        task: The task of the model.
        texts: The texts.

    >>> text_names("question-answering", ("Who?", "Anna."))
    ('question', 'context')
    """
    return _SIDES.get(task, _PAIR) if len(texts) == 2 and task != "causal-lm" else ()


def sides_of(report: Report, attribution: Attribution | None = None) -> tuple[str, ...]:
    """Return what the two texts of a report, or of one of its attributions, are called.

    Args:
        report: The report: its answer says which text is the context, and what the texts were compared for.
        attribution: One of its attributions.
    """
    task = report.provenance.task
    for explained in (*report.attributions[:1], attribution):
        task = explained.targets[0].task if explained is not None and explained.targets else task
    names = text_names(task, report.texts if attribution is None else attribution.tokens.texts)
    match report.answer:
        case Choices() as choices if names:
            return _SIDES_OF_CHOICES.get(choices.kind, names)
        case SpanAnswer() as answer if names and answer.context == 0:
            return names[::-1]
        case _:
            return names


def second_start(tokens: Tokens, task: str) -> int:
    """Return the first token of the second of two texts, −1 for a single text.

    A special token between them, such as ``[SEP]``, ends the first. Two texts that are read one by one each
    begin with the same special tokens.

    Args:
        tokens: The tokens of both.
        task: The task of the model.
    """
    second = np.flatnonzero(tokens.segments == 1)
    if not len(second):
        return -1
    start = int(second[0])
    words = np.flatnonzero(~tokens.special)
    count = int(words[0]) if len(words) else 0
    is_begun_twice = (
        task == "sentence-similarity" and start >= 2 * count and tokens.special[start - count : start].all()
    )
    same = is_begun_twice and np.array_equal(tokens.ids[:count], tokens.ids[start - count : start])
    return start - count if same else start


def side_of(report: Report, attention: AttentionMap) -> str:
    """Return which of two texts a map is of, where the model reads each by itself; empty otherwise."""
    texts = attention.keys.texts
    sides = sides_of(report) if len(texts) == 1 else ()
    return next((name for name, text in zip(sides, report.texts, strict=False) if texts == (text,)), "")


def are_steps(targets: Sequence[Target]) -> bool:
    """Return whether each target belongs to a generation step of its own."""
    positions = [target.positions for target in targets]
    is_generated = all(target.task in LANGUAGE_TASKS for target in targets)
    return is_generated and all(positions) and len(set(positions)) == len(positions)


def target_noun(targets: Sequence[Target]) -> str:
    """Return what one of several targets is called: ``generated token``, ``entity``, ``mask``.

    >>> target_noun([Target(task="masked-lm", positions=(3,), indices=(7,))])
    'mask'
    """
    if are_steps(targets):
        return "generated token"
    tasks = {target.task for target in targets}
    return _NOUNS.get(tasks.pop(), "target") if len(tasks) == 1 else "target"


def entity_label(label: str) -> str:
    """Return the label of an entity without the letter for its place in a span.

    >>> entity_label("B-PER"), entity_label("O"), entity_label("B-")
    ('PER', 'O', 'B-')
    """
    prefix, mark, name = label.partition("-")
    return name if mark and name and prefix in ("B", "I", "E", "L", "S", "U") else label
