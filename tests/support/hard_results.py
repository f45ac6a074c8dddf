"""One result of each type, with values that are hard to keep."""

from dataclasses import fields, is_dataclass

import numpy as np

from model_understanding.results import (
    AttentionMap,
    Attribution,
    Evaluation,
    Generation,
    HeadScores,
    LogitLens,
    Prediction,
    Provenance,
    QueryKey,
    RankedHead,
    Report,
    Target,
)
from model_understanding.tokens import Tokens

LIMITS = np.finfo(np.float32)
HARD = np.array(
    [LIMITS.max, LIMITS.min, LIMITS.tiny, LIMITS.smallest_subnormal, -0.0, 0.1, 1 / 3, 16777217], np.float32
)
HOSTILE = ("</script>", "\x00\x1b[31m", "\u202egnp", "👨‍👩‍👧", "=1+1", '"\\', "\u2028", "NaN")


def tokens_of(*pieces: str) -> Tokens:
    return Tokens.from_pieces(pieces or HOSTILE)


def provenance() -> Provenance:
    return Provenance(
        model="</script>", versions={"torch": "2", "type": "Tokens"}, seconds=0.1, cautions=("a", "b")
    )


def target(index: int = 1) -> Target:
    return Target(task="sequence-classification", indices=(index,), labels=("'\"",), against=(0,))


def attribution() -> Attribution:
    return Attribution(
        tokens=tokens_of(),
        targets=(target(1), target(2)),
        scores=np.stack([HARD, -HARD[::-1]]),
        valid=np.array([[True] * 8, [True] * 7 + [False]]),
        signed=True,
        outputs=HARD[:2],
        method="m",
        parameters={"norm": "l2", "nested": {"type": "Target"}, "list": [1, 0.1, None]},
        provenance=provenance(),
        baseline_outputs=HARD[2:4],
        gaps=HARD[4:6],
    )


def ranked_attention() -> AttentionMap:
    numbers = np.random.default_rng(1)
    return AttentionMap(
        queries=tokens_of("a", "b"),
        keys=tokens_of("a", "b"),
        weights=numbers.random((2, 2, 2, 2)),
        mask=np.ones((2, 2), bool),
        layers=(3, 1),
        heads=(2, 0),
        ranking=(
            RankedHead(layer=3, head=2, score=1 / 3, by="induction"),
            RankedHead(layer=1, head=0, score=0.1, by="induction"),
        ),
    )


def attention() -> AttentionMap:
    numbers = np.random.default_rng(0)
    return AttentionMap(
        queries=tokens_of("a", "b"),
        keys=tokens_of("a", "b", "c"),
        weights=numbers.random((2, 1, 2, 3)),
        mask=np.array([[True, True, False], [True, True, True]]),
        layers=(3, 1),
        heads="mean",
        steps=tokens_of("b", "c"),
        sinks=(0,),
        parameters={"x": 1},
        provenance=provenance(),
    )


def prediction() -> Prediction:
    return Prediction(
        tokens=tokens_of(),
        labels=("no", "yes"),
        logits=[-0.1, 0.3],
        probabilities=[0.4, 0.6],
        problem="single_label",
    )


def generation() -> Generation:
    return Generation(
        tokens=tokens_of("a", "b", "c"),
        prompt_length=1,
        probabilities=[0.1, 1 / 3],
        entropies=[0.7, 0.0],
        top_ids=[[1, 2], [3, 4]],
        top_probabilities=[[0.5, 0.25], [1, 0]],
        top_labels=(("b", "</script>"), ("\x00", "")),
        given=False,
        ended=True,
    )


def evaluation() -> Evaluation:
    return Evaluation(
        metric="m",
        value=0.1,
        curve=[(0, 1), (1, 1 / 3)],
        control=[0.1, 0.2],
        higher_is_better=True,
        verdict="supported",
        reasons=("because",),
    )


def head_scores() -> HeadScores:
    return HeadScores(
        tokens=tokens_of(),
        names=("sink", "ablation"),
        scores=np.stack([np.arange(6).reshape(2, 3) / 7, [[-0.9, 0.1, 0.5], [0.5, 0, LIMITS.tiny]]]),
        meanings=("</script>", "what is lost"),
        signed=(False, True),
        target=target(),
        parameters={"sink": {}, "ablation": {"replacement": "mean"}},
        provenance=provenance(),
    )


def lens() -> LogitLens:
    return LogitLens(
        tokens=tokens_of("a", "</script>", "c"),
        positions=[1, 2],
        top_ids=[[[1, 2], [2, 3]], [[1, 3], [1, 2]], [[3, 1], [2, 1]]],
        top_probabilities=np.full((3, 2, 2), 1 / 3),
        entropies=np.full((3, 2), 0.1),
        divergences=[[0.5, 0.25], [0.1, 0], [0, 0]],
        final_ranks=[[3, 1], [2, 2], [1, 1]],
        final_probabilities=np.full((3, 2), 0.3),
        next_ids=[7, -1],
        next_ranks=[[9, 0], [8, 0], [7, 0]],
        next_probabilities=[[0.01, 0], [0.02, 0], [1 / 3, 0]],
        ids=[1, 2, 3, 7],
        labels=("b", "</script>", "\x00", " x"),
        provenance=provenance(),
    )


def query_key() -> QueryKey:
    return QueryKey(
        tokens=tokens_of("a", "</script>", "c"),
        query=1,
        layer=3,
        head=0,
        query_vector=[0.1, -1 / 3],
        key_vectors=[[1, 2], [0.5, -0.25], [0, 7]],
        scale=0.125,
        additions=[0.1, 0, 0],
        allowed=[True, True, False],
        weights=[0.4, 0.6, 0],
        rival=-0.5,
        provenance=provenance(),
    )


def report() -> Report:
    return Report(
        prediction=prediction(),
        attributions=(attribution(),),
        attention=(attention(),),
        evaluations=(evaluation(),),
        heads=head_scores(),
        provenance=provenance(),
    )


def empty() -> tuple:
    """Results without targets, tokens, steps or points."""
    nothing, one = tokens_of().select([]), tokens_of("a")
    flat = {"targets": (), "scores": np.zeros((0, 1)), "valid": np.zeros((0, 1), bool), "outputs": []}
    return (
        Attribution(tokens=one, signed=True, method="m", **flat),
        Attribution(
            tokens=nothing,
            targets=(target(),),
            scores=np.zeros((1, 0)),
            valid=np.zeros((1, 0), bool),
            signed=True,
            outputs=[0],
            method="m",
        ),
        AttentionMap(
            queries=nothing,
            keys=one,
            weights=np.zeros((1, 1, 0, 1)),
            mask=np.zeros((0, 1), bool),
            layers=(0,),
            heads=(0,),
        ),
        Generation(
            tokens=one,
            prompt_length=1,
            probabilities=[],
            entropies=[],
            top_ids=np.zeros((0, 0), int),
            top_probabilities=np.zeros((0, 0)),
            top_labels=(),
            given=True,
            ended=False,
        ),
        Evaluation(metric="m", value=0, curve=[], control=[], higher_is_better=False),
        Prediction(tokens=nothing, labels=(), logits=[], probabilities=None, problem="regression"),
        Report(generation=generation()),
        Report(generation=generation(), lens=lens()),
        Provenance(),
        Target(task="x"),
        nothing,
    )


def everything() -> tuple:
    return (
        *(attribution(), attention(), ranked_attention(), prediction(), generation()),
        *(lens(), query_key(), evaluation(), report(), provenance(), target(), head_scores()),
        *(result for result in empty() if not isinstance(result, Tokens)),
    )


def same(one, other):
    """Whether two results are equal in every field, to the bit."""
    if type(one) is not type(other):
        return False
    if is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other
