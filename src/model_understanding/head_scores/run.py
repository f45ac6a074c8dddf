"""From names of head scores to what they say of every head of a model, and which heads come first."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, is_dataclass, replace
from typing import Any

import numpy as np

from model_understanding.attention.keep import AxisChoice
from model_understanding.errors import InputError
from model_understanding.head_scores.context import HeadQuestion, head_means
from model_understanding.head_scores.protocol import HeadScoreMethod
from model_understanding.passes.runner import Runner
from model_understanding.registry import DEFAULT_HEAD_SCORES, HEAD_SCORES
from model_understanding.results import Attribution, HeadScores, RankedHead, Target
from model_understanding.text.encoding import Encoding

HeadScoreChoice = str | HeadScoreMethod | Sequence[str | HeadScoreMethod] | None


def head_scores_of(scores: HeadScoreChoice) -> tuple[HeadScoreMethod, ...]:
    """Return head scores given by name or as objects.

    Args:
        scores: A name, an object, several of them, or ``None`` for those that need no target.

    Returns:
        The scores, in their order.

    Raises:
        InputError: A name is unknown, an object is no head score, none is given, or one stands twice.
    """
    if scores is None:
        scores = DEFAULT_HEAD_SCORES
    several = [scores] if isinstance(scores, str) or not isinstance(scores, Sequence) else list(scores)
    found: list[HeadScoreMethod] = []
    for one in several:
        chosen = HEAD_SCORES.load(one)() if isinstance(one, str) else one
        if isinstance(chosen, type) or not (callable(chosen) and hasattr(chosen, "measure")):
            raise InputError(
                f"A head score is a name or a score object. Got {chosen!r}.",
                hint=f"Pass one of {', '.join(HEAD_SCORES.names())} or for example Induction(period=10).",
            )
        found.append(chosen)  # pyright: ignore[reportArgumentType]
    names = [score.name for score in found]
    if len(set(names)) != len(names) or not names:
        raise InputError(
            f"Head scores are named once each, one or more of them. Got {', '.join(names) or 'none'}.",
            hint=f"Choose among {', '.join(HEAD_SCORES.names())}.",
        )
    return tuple(found)


def scored_heads(
    runner: Runner,
    encoding: Encoding,
    methods: Sequence[HeadScoreMethod],
    *,
    target: Target | None = None,
    function: Callable[[Any], Any] | None = None,
    attribution: Attribution | None = None,
) -> HeadScores:
    """Score every head of a model on a text.

    Args:
        runner: The runner.
        encoding: One text.
        methods: The scores.
        target: What is explained, for scores that need it.
        function: The caller's own function of the model's outputs, where that is the target.
        attribution: The saliency map that heads are compared with.

    Returns:
        The scores.

    Raises:
        InputError: The text has one token, which leaves no head a choice.
        UnsupportedModelError: The model's attention cannot be read exactly.
    """
    tokens = encoding.tokens[0]
    if len(tokens) < 2:
        raise InputError(
            "Heads are scored on a text of two tokens or more: with one token none has a choice.",
            hint="Pass a longer text.",
        )
    started = time.perf_counter()
    targets = function if function is not None else None if target is None else (target,)
    question = HeadQuestion(runner=runner, encoding=encoding, targets=targets, attribution=attribution)
    measures = [method.measure(question) for method in methods]
    wanted = [measure for measure in measures if measure is not None]
    means = iter(head_means(runner, encoding, wanted) if wanted else ())  # one forward for all of them
    found = [
        method(question, None if measure is None else next(means)[0])
        for method, measure in zip(methods, measures, strict=True)
    ]
    seeds = {method.seed for method in methods if hasattr(method, "seed")}  # pyright: ignore[reportAttributeAccessIssue]
    return HeadScores(
        tokens=tokens,
        names=tuple(method.name for method in methods),
        scores=np.stack(found),
        meanings=tuple(method.meaning for method in methods),
        signed=tuple(method.signed for method in methods),
        target=target,
        parameters={
            method.name: asdict(method) if is_dataclass(method) else {}  # pyright: ignore[reportArgumentType]
            for method in methods
        },
        provenance=replace(
            runner.model.loaded.provenance,
            seed=seeds.pop() if len(seeds) == 1 else None,
            seconds=time.perf_counter() - started,
        ),
    )


def among(
    ranking: Sequence[RankedHead], layer: AxisChoice, head: AxisChoice, top: int
) -> tuple[RankedHead, ...]:
    """Return the first heads of a ranking, of all layers and heads or of those listed.

    Args:
        ranking: The heads, best first.
        layer: ``-1`` or ``"all"`` for all, which is what ``compute_attention`` has where none is named; or a
            list, counting from the end where negative.
        head: ``"mean"`` or ``"all"`` for all, likewise.
        top: How many.

    Raises:
        InputError: Something else is asked for, or there is no such layer or head.
    """
    kept = list(ranking)
    for name, choice, default in (("layer", layer, -1), ("head", head, "mean")):
        if isinstance(choice, str | int):
            if choice in (default, "all") and not isinstance(choice, bool):
                continue
            raise InputError(
                f"rank chooses among all heads, or among those of a list. Got {name}={choice!r}.",
                hint=f"Leave {name} out, or pass a list as {name}=[0].",
            )
        count = 1 + max(getattr(one, name) for one in ranking)
        for index in choice:
            if isinstance(index, bool) or not isinstance(index, int) or not -count <= index < count:
                raise InputError(
                    f"There is no {name} {index!r}: the model has {count}.",
                    hint=f"Pass an index from 0 to {count - 1}, or from -{count} to -1 from the end.",
                )
        wanted = {index % count for index in choice}
        if not wanted:
            raise InputError(f"No {name} was chosen.", hint=f"Leave {name} out for all.")
        kept = [one for one in kept if getattr(one, name) in wanted]
    if isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise InputError(f"A ranking holds one head or more. Got top={top!r}.", hint="Use for example 8.")
    return tuple(kept[:top])
