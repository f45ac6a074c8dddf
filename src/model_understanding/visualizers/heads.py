"""Score a model's attention heads, and compute the attention maps of those that a score ranks first."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from model_understanding.attention.keep import AxisChoice
from model_understanding.attribution.choose import MethodChoice
from model_understanding.attribution.run import attribute
from model_understanding.errors import InputError, ModelUnderstandingError
from model_understanding.head_scores.protocol import HeadScoreMethod
from model_understanding.head_scores.run import HeadScoreChoice, head_scores_of, scored_heads, top_heads
from model_understanding.passes.runner import Runner
from model_understanding.registry import DEFAULT_HEAD_SCORES
from model_understanding.results import AttentionMap, Attribution, HeadScores, RankedHead, Target
from model_understanding.text.encoding import Encoding

RankChoice = str | HeadScoreMethod | Sequence[RankedHead] | None
Attend = Callable[[AxisChoice, AxisChoice], AttentionMap]
"""Computes the attention map of some layers and heads."""

MOST_TOKENS_IN_REPORT = 2048  # of a longer text a report scores no heads


def chosen_head_scores(scores: HeadScoreChoice, target: Any) -> tuple[HeadScoreMethod, ...]:
    """Return the head scores that were chosen, after checking that the target suits them.

    Args:
        scores: Names or score objects, as ``score_heads`` takes them.
        target: What the caller wants explained; ``None`` for the default.

    Raises:
        InputError: A score is unknown, or a target was given that no score uses.
    """
    methods = head_scores_of(scores)
    if target is not None and not needs_target(methods):
        raise InputError(
            f"None of the chosen scores ({', '.join(score.name for score in methods)}) uses a target. Got "
            f"target={target!r}.",
            hint="Leave target out, or choose 'ablation' or another score that needs a target.",
        )
    return methods


def needs_target(methods: Sequence[HeadScoreMethod]) -> bool:
    """Return whether any of some head scores measures how heads matter to a target."""
    return any(score.needs_target for score in methods)


def scores_of_heads(
    runner: Runner,
    encoding: Encoding,
    methods: Sequence[HeadScoreMethod],
    targets: Sequence[Target] | None,
    *,
    function: Callable[[Any], Any] | None = None,
    attribution: Attribution | None = None,
    method: MethodChoice = "default",
    stack: str | None = None,
    where_suited: bool = False,
) -> HeadScores:
    """Return the scores of every head; a saliency map that a score compares heads with is computed first.

    Args:
        runner: The runner.
        encoding: One text.
        methods: The scores.
        targets: The one target, for scores that need it.
        function: The caller's function of the model's outputs, if that is the target.
        attribution: The saliency map to compare heads with, if it is already computed.
        method: The attribution method that computes it otherwise.
        stack: Which stack of an encoder–decoder.
        where_suited: Whether to leave out scores that have no meaning for its heads.

    Raises:
        InputError: There are several targets, or the text or the target does not suit a score.
        UnsupportedModelError: The model's attention cannot be read, or its heads cannot be ablated.
    """
    if targets is not None and len(targets) != 1:
        raise InputError(
            f"Heads are scored for one target. Got {len(targets)}.", hint="Pass one of them as target."
        )
    needs_attribution = any(score.name == "saliency_agreement" for score in methods)
    if needs_attribution and attribution is None and targets is not None:
        (attribution,) = attribute(runner, method, [encoding], [targets], function)
    return scored_heads(
        runner.model,
        encoding,
        methods,
        target=None if targets is None else targets[0],
        function=function,
        attribution=attribution,
        stack=stack,
        where_suited=where_suited,
    )


def check_rank(rank: RankChoice) -> None:
    """Raise InputError for what is no ranking, before anything runs."""
    if isinstance(rank, str) or callable(rank):
        head_scores_of(rank)  # pyright: ignore[reportArgumentType]
    elif rank is not None and not (
        isinstance(rank, Sequence) and rank and all(isinstance(head, RankedHead) for head in rank)
    ):
        raise InputError(
            f"rank must be the name of a head score, a score object or a list of ranked heads. Got {rank!r}.",
            hint="Pass for example rank='induction', or rank=scores.ranking('ablation', 8).",
        )


def attention_of_heads(
    runner: Runner,
    encoding: Encoding,
    attend: Attend,
    layer: AxisChoice,
    head: AxisChoice,
    *,
    rank: RankChoice,
    top: int,
    default_target: Callable[[], Sequence[Target]],
    stack: str | None = None,
) -> AttentionMap:
    """Return the attention map of the chosen layers and heads, or of the heads that a ranking puts first.

    Args:
        runner: The runner.
        encoding: One text.
        attend: Computes the map.
        layer: Layers, as ``compute_attention`` takes them; with a ranking those to choose from.
        head: Heads, likewise.
        rank: A head score, or ranked heads; ``None`` for no ranking.
        top: How many heads of the ranking.
        default_target: Returns the target of a score that needs one.
        stack: Which stack of an encoder–decoder.
    """
    if rank is None:
        return attend(layer, head)
    check_rank(rank)
    if isinstance(rank, Sequence) and not isinstance(rank, str):
        ranking = tuple(rank)
    else:
        (method,) = chosen_head_scores(rank, None)
        targets = default_target() if method.needs_target else None
        ranking = scores_of_heads(runner, encoding, (method,), targets, stack=stack).ranking(method.name)
        ranking = top_heads(ranking, layer, head, top)
    layers = list(dict.fromkeys(ranked.layer for ranked in ranking))
    heads = list(dict.fromkeys(ranked.head for ranked in ranking))
    return replace(attend(layers, heads), ranking=ranking)


def head_scores_for_report(runner: Runner, encoding: Encoding, attribution: Attribution) -> HeadScores:
    """Return the head scores that a report holds: those that need no target, two forward passes in all.

    Args:
        runner: The runner.
        encoding: The text.
        attribution: The report's first attribution, with which heads are compared if it is of the same text.

    Raises:
        InputError: The text is too short, or longer than what a report scores.
        UnsupportedModelError: The model's attention cannot be read.
    """
    tokens = encoding.tokens[0]
    if len(tokens) > MOST_TOKENS_IN_REPORT:
        raise InputError(
            f"A report scores the heads of texts of up to {MOST_TOKENS_IN_REPORT} tokens. Got {len(tokens)}.",
            hint="Use score_heads.",
        )
    names = [*DEFAULT_HEAD_SCORES]
    choices = [names, [name for name in names if name != "induction"]]
    if np.array_equal(attribution.tokens.ids, tokens.ids):
        choices.insert(0, [*names, "saliency_agreement"])
    *preferred, least = choices

    def score(methods: Sequence[HeadScoreMethod]) -> HeadScores:
        return scores_of_heads(runner, encoding, methods, None, attribution=attribution, where_suited=True)

    for choice in preferred:  # a text may be too short for a comparison, a model unable to repeat tokens
        try:
            return score(head_scores_of(choice))
        except ModelUnderstandingError:
            continue
    return score(head_scores_of(least))
