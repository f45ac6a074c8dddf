"""From names of head scores to the scores of every head of a model, and which heads rank first."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, is_dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from model_understanding.attention.capture.layout import with_known_layout
from model_understanding.attention.keep import AxisChoice
from model_understanding.checks import index_in, whole_number
from model_understanding.errors import InputError
from model_understanding.head_scores.context import HeadScoreContext, head_means
from model_understanding.head_scores.protocol import HeadScoreMethod
from model_understanding.model.attention_layout import Stack, attention_layout, chosen_stack
from model_understanding.model.model import Model
from model_understanding.model.prefixes import read_in_one_pass
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
        InputError: A name is unknown, an object is not a head score, none is given, or one is given twice.
    """
    if scores is None:
        scores = DEFAULT_HEAD_SCORES
    several = [scores] if isinstance(scores, str) or not isinstance(scores, Sequence) else list(scores)
    methods: list[HeadScoreMethod] = []
    for score in several:
        method = HEAD_SCORES.load(score)() if isinstance(score, str) else score
        if isinstance(method, type) or not (callable(method) and hasattr(method, "measure")):
            raise InputError(
                f"A head score is a name or a score object. Got {method!r}.",
                hint=f"Pass one of {', '.join(HEAD_SCORES.names())} or for example Induction(period=10).",
            )
        methods.append(method)  # pyright: ignore[reportArgumentType]
    names = [method.name for method in methods]
    if len(set(names)) != len(names) or not names:
        raise InputError(
            f"Expected one or more head scores, each named once. Got {', '.join(names) or 'none'}.",
            hint=f"Choose among {', '.join(HEAD_SCORES.names())}.",
        )
    return tuple(methods)


def scored_heads(
    model: Model,
    encoding: Encoding,
    methods: Sequence[HeadScoreMethod],
    *,
    target: Target | None = None,
    function: Callable[[Any], Any] | None = None,
    attribution: Attribution | None = None,
    stack: str | None = None,
    where_suited: bool = False,
) -> HeadScores:
    """Score every head of a model on a text.

    Args:
        model: The model.
        encoding: One text.
        methods: The scores.
        target: What is explained, for scores that need it.
        function: The caller's own function of the model's outputs, where that is the target.
        attribution: The saliency map to compare heads with.
        stack: Which stack of an encoder–decoder; the default one where left out.
        where_suited: Whether to leave out scores that have no meaning for the heads of that stack.

    Returns:
        The scores.

    Raises:
        InputError: The text has only one token, or a score compares positions of one text, and the stack
            attends from one to another.
        UnsupportedModelError: The model's attention cannot be read exactly.
    """
    tokens = encoding.tokens[0]
    if len(tokens) < 2:
        raise InputError(
            f"Head scores need a text of two tokens or more. Got {len(tokens)}.", hint="Pass a longer text."
        )
    started = time.perf_counter()
    encoding = read_in_one_pass(model, encoding, "The heads' attention comes")
    targets = function if function is not None else None if target is None else (target,)

    def read() -> tuple[Stack | None, list[HeadScoreMethod], list[Float[np.ndarray, "layers heads"]]]:
        own = chosen_stack(model, stack)
        suited = [method for method in methods if not where_suited or suits_stack(method, own)]
        _require_one_text(suited, own)
        context = HeadScoreContext(
            model=model, encoding=encoding, targets=targets, attribution=attribution, stack=own
        )
        measures = [method.measure(context) for method in suited]
        used = [measure for measure in measures if measure is not None]
        # One forward pass for all of them.
        means = iter(head_means(model, encoding, used, stack=own) if used else ())
        scores = [
            method(context, None if measure is None else next(means)[0])
            for method, measure in zip(suited, measures, strict=True)
        ]
        return own, suited, scores

    own, methods, scores = with_known_layout(model, encoding, read)
    seeds = {method.seed for method in methods if hasattr(method, "seed")}  # pyright: ignore[reportAttributeAccessIssue]
    return HeadScores(
        tokens=tokens,
        names=tuple(method.name for method in methods),
        scores=np.stack(scores),
        layers=attention_layout(model, own).layers,
        stack=own,
        meanings=tuple(method.meaning for method in methods),
        signed=tuple(method.signed for method in methods),
        target=target,
        parameters={
            method.name: asdict(method) if is_dataclass(method) else {}  # pyright: ignore[reportArgumentType]
            for method in methods
        },
        provenance=replace(
            model.provenance(encoding, time.perf_counter() - started),
            seed=seeds.pop() if len(seeds) == 1 else None,
        ),
    )


def suits_stack(method: HeadScoreMethod, stack: Stack | None) -> bool:
    """Return whether a score has a meaning for the heads of a stack.

    Args:
        method: The score.
        stack: The stack of an encoder–decoder; ``None`` for a model that has only one.
    """
    if stack is None:
        return True
    is_of_random_text = method.name == "induction"
    return not is_of_random_text and not (stack == "cross" and getattr(method, "compares_positions", False))


def _require_one_text(methods: Sequence[HeadScoreMethod], stack: Stack | None) -> None:
    """Raise InputError where a score compares positions of two texts."""
    unsuited = [method.name for method in methods if not suits_stack(method, stack)]
    if stack == "cross" and unsuited:
        raise InputError(
            f"The score {unsuited[0]!r} compares positions in one text; cross attention goes from the output "
            "to the source.",
            hint="Use stack='encoder' or stack='decoder', or the scores entropy, sink, delimiter, ablation "
            "or saliency_agreement.",
        )


def top_heads(
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
        InputError: Something else is passed, or there is no such layer or head.
    """
    heads = list(ranking)
    for name, choice, default in (("layer", layer, -1), ("head", head, "mean")):
        if isinstance(choice, str | int):
            if choice in (default, "all") and not isinstance(choice, bool):
                continue
            raise InputError(
                f"With rank, {name} must be a list of indices, or left out for all. Got {name}={choice!r}.",
                hint=f"Leave {name} out, or pass a list as {name}=[0].",
            )
        present = sorted({getattr(ranked, name) for ranked in ranking})
        indices = {
            index if index in present else present[index_in(index, len(present), name)] for index in choice
        }
        if not indices:
            raise InputError(f"{name}=[] names no {name}.", hint=f"Leave {name} out for all.")
        heads = [ranked for ranked in heads if getattr(ranked, name) in indices]
    return tuple(heads[: whole_number(top, "top")])
