"""Reports whose differences are known, for the tests of comparisons."""

import numpy as np

from model_understanding.results import (
    AttentionMap,
    Attribution,
    Generation,
    Prediction,
    Provenance,
    Report,
    Target,
)
from model_understanding.tokens import Tokens


def cut(text: str, *pieces: str, special: bool = False) -> Tokens:
    """Cut a text into the pieces given, in order, skipping what lies between; [CLS], [SEP] around it."""
    offsets, reached = [], 0
    for piece in pieces:
        start = text.index(piece, reached)
        reached = start + len(piece)
        offsets.append((start, reached))
    ends = [(0, 0)] if special else []
    count = len(pieces) + 2 * len(ends)
    return Tokens.from_spans(
        texts=(text,),
        pieces=["[CLS]", *pieces, "[SEP]"] if special else pieces,
        ids=range(count),
        segments=[-1, *[0] * len(pieces), -1] if special else [0] * len(pieces),
        offsets=[*ends, *offsets, *ends],
        special=[special, *[False] * len(pieces), special] if special else [False] * len(pieces),
    )


def words(text: str, *, special: bool = False) -> Tokens:
    return cut(text, *text.split(), special=special)


def target(label: str = "positive", quantity: str = "logit") -> Target:
    return Target(task="sequence-classification", indices=(1,), labels=(label,), quantity=quantity)


def attribution(tokens: Tokens, scores: list[float] | np.ndarray, **changed: object) -> Attribution:
    fields: dict[str, object] = {
        "tokens": tokens,
        "targets": (target(),),
        "scores": np.atleast_2d(np.array(scores, dtype=float)),
        "valid": np.ones((1, len(tokens)), dtype=bool),
        "signed": True,
        "outputs": np.atleast_2d(scores).sum(axis=1),
        "method": "input_x_gradient",
    }
    return Attribution(**{**fields, **changed})


def attention(tokens: Tokens, weights: np.ndarray | None = None, **changed: object) -> AttentionMap:
    """One layer and head that looks, from each token, at itself and what comes before, evenly."""
    count = len(tokens)
    even = np.tril(np.ones((count, count))) / np.arange(1, count + 1)[:, None]
    fields: dict[str, object] = {
        "queries": tokens,
        "keys": tokens,
        "weights": (even if weights is None else weights).reshape(-1, 1, count, count),
        "mask": np.tril(np.ones((count, count), dtype=bool)),
        "layers": (5,),
        "heads": (0,),
    }
    return AttentionMap(**{**fields, **changed})


def classification(
    tokens: Tokens, *attributions: Attribution, positive: float = 0.9, **changed: object
) -> Report:
    share = np.array([1 - positive, positive])
    answer = Prediction(
        tokens=tokens,
        labels=("negative", "positive"),
        logits=np.log(share),
        probabilities=share,
        problem="single_label",
    )
    fields = {"provenance": Provenance(model="m", task="sequence-classification"), **changed}
    return Report(prediction=answer, attributions=attributions, **fields)


def generation(prompt: str, answer: str, **changed: object) -> Report:
    """A generation of words, the n-th with the probability 1 / (n + 1), without explanations."""
    pieces = [*prompt.split(), *answer.split()]
    tokens = Tokens.from_spans(
        texts=(prompt, answer),
        pieces=pieces,
        ids=range(len(pieces)),
        segments=[0] * len(prompt.split()) + [1] * len(answer.split()),
        offsets=[*words(prompt).offsets.tolist(), *words(answer).offsets.tolist()],
        special=[False] * len(pieces),
    )
    steps = len(answer.split())
    return Report(
        generation=Generation(
            tokens=tokens,
            prompt_length=len(prompt.split()),
            probabilities=1 / np.arange(2, steps + 2),
            entropies=np.zeros(steps),
            top_ids=np.zeros((steps, 0), int),
            top_probabilities=np.zeros((steps, 0)),
            top_labels=[()] * steps,
            given=False,
            ended=True,
        ),
        **changed,
    )


def step_targets(report: Report) -> tuple[Target, ...]:
    generation = report.generation
    assert generation is not None
    labels = generation.continuation_tokens().labels()
    return tuple(
        Target(
            task="causal-lm",
            positions=(generation.prompt_length - 1 + step,),
            indices=(step,),
            labels=(label,),
            quantity="log_prob",
        )
        for step, label in enumerate(labels)
    )


def step_attribution(report: Report, scores: np.ndarray) -> Attribution:
    generation = report.generation
    assert generation is not None
    count, length = len(generation.probabilities), len(generation.tokens)
    before = np.arange(length) < generation.prompt_length + np.arange(count)[:, None]
    return attribution(
        generation.tokens, np.where(before, scores, 0), targets=step_targets(report), valid=before
    )
