"""Which heads to look at: scores, rankings, and maps of the heads ranked first."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from model_understanding.attention.keep import AxisChoice
from model_understanding.attribution.choose import MethodChoice
from model_understanding.attribution.run import attribute
from model_understanding.errors import InputError, ModelUnderstandingError
from model_understanding.head_scores.protocol import HeadScoreMethod
from model_understanding.head_scores.run import HeadScoreChoice, among, head_scores_of, scored_heads
from model_understanding.model.attention_layout import layer_count
from model_understanding.passes.runner import Runner
from model_understanding.registry import DEFAULT_HEAD_SCORES
from model_understanding.results import AttentionMap, Attribution, HeadScores, RankedHead, Target
from model_understanding.text.encoding import Encoding

RankChoice = str | HeadScoreMethod | Sequence[RankedHead] | None

MOST_IN_REPORT = 2048  # tokens up to which a report scores heads unasked


def check_rank(rank: RankChoice) -> None:
    """Raise InputError for what is no ranking, before anything runs."""
    if isinstance(rank, str) or callable(rank):
        head_scores_of(rank)  # pyright: ignore[reportArgumentType]
    elif rank is not None and not (
        isinstance(rank, Sequence) and rank and all(isinstance(one, RankedHead) for one in rank)
    ):
        raise InputError(
            f"rank is the name of a head score, a score object, or some ranked heads. Got {rank!r}.",
            hint="Pass for example rank='induction', or rank=scores.ranking('ablation', 8).",
        )


class RanksHeads:
    """What both visualizers share about heads."""

    runner: Runner

    def score_heads(
        self,
        text: Any,
        scores: HeadScoreChoice = None,
        target: Any = None,
        *,
        attribution: Attribution | None = None,
        method: MethodChoice = "default",
        **options: Any,
    ) -> HeadScores:
        """Return scores of every attention head: which ones to look at.

        Args:
            text: A text, or a (text, pair) tuple; a prompt or chat messages.
            scores: Names or score objects. Left out: ``entropy``, ``distance``, ``previous_token``,
                ``induction``, ``delimiter`` and ``sink``, which cost two forwards together.
                ``induction_in_text`` needs a text that repeats itself; ``agreement`` compares heads with a
                saliency map; ``ablation`` is what the target loses without each head.
            target: What ``agreement`` and ``ablation`` explain, as ``compute_saliency`` takes it, but one
                alone. Left out: the predicted class; of a language model the continuation where one is
                given, else the prompt's loss.
            attribution: The saliency map that heads are compared with; computed where left out.
            method: The method that computes it.
            **options: More of the target, as ``compute_saliency`` takes it: ``against`` and ``quantity``; for
                a language model also ``continuation``, ``span``, ``token`` and ``max_new_tokens``.

        Returns:
            Scores of L layers and H heads for each name; ``.ranking(name)`` puts the heads in order.

        Raises:
            InputError: A score is unknown, or the text or the target does not serve it.
            UnsupportedModelError: The model's attention cannot be read, or its heads not taken away.
        """
        methods = head_scores_of(scores)
        layer_count(self.runner.model.config)  # refuse before anything runs
        needs_target = any(score.needs_target for score in methods)
        if target is not None and not needs_target:
            raise InputError(
                f"No score asked for needs a target ({', '.join(score.name for score in methods)}). Got "
                f"target={target!r}.",
                hint="Leave the target out, or ask for the scores 'ablation' or 'agreement'.",
            )
        encoding, targets, function = self._explained(text, target, with_target=needs_target, **options)
        if targets is not None and len(targets) != 1:
            raise InputError(
                f"Heads are scored for one target. Got {len(targets)}.", hint="Name one of them."
            )
        return self._scored(encoding, methods, targets, function, attribution, method)

    def _explained(
        self, text: Any, target: Any, *, with_target: bool, **options: Any
    ) -> tuple[Encoding, Sequence[Target] | None, Callable[[Any], Any] | None]:
        """Return the text that is run, the targets asked for, and the caller's own function."""
        raise NotImplementedError

    def _answer_of(self, encoding: Encoding) -> Sequence[Target]:
        """Return the target of a text where none is named."""
        raise NotImplementedError

    def _scored(
        self,
        encoding: Encoding,
        methods: Sequence[HeadScoreMethod],
        targets: Sequence[Target] | None,
        function: Callable[[Any], Any] | None = None,
        attribution: Attribution | None = None,
        method: MethodChoice = "default",
    ) -> HeadScores:
        if attribution is None and targets is not None and any(s.name == "agreement" for s in methods):
            (attribution,) = attribute(self.runner, method, [encoding], [targets], function)
        return scored_heads(
            self.runner,
            encoding,
            methods,
            target=None if targets is None else targets[0],
            function=function,
            attribution=attribution,
        )

    def _of_ranked_heads(
        self,
        attend: Callable[[AxisChoice, AxisChoice], AttentionMap],
        encoding: Encoding,
        layer: AxisChoice,
        head: AxisChoice,
        rank: RankChoice,
        top: int,
    ) -> AttentionMap:
        """Return the map of the heads that a ranking puts first; where there is none, of those named."""
        if rank is None:
            return attend(layer, head)
        check_rank(rank)
        if isinstance(rank, Sequence) and not isinstance(rank, str):
            ranking = tuple(rank)
        else:
            (method,) = head_scores_of(rank)
            layer_count(self.runner.model.config)
            targets = self._answer_of(encoding) if method.needs_target else None
            ranking = self._scored(encoding, (method,), targets).ranking(method.name)
            ranking = among(ranking, layer, head, top)
        layers = list(dict.fromkeys(one.layer for one in ranking))
        heads = list(dict.fromkeys(one.head for one in ranking))
        return replace(attend(layers, heads), ranking=ranking)

    def _heads_of_report(self, encoding: Encoding, attribution: Attribution) -> HeadScores | None:
        """Return what a report says of every head: what costs two forwards, and needs nothing else."""
        tokens = encoding.tokens[0]
        if len(tokens) > MOST_IN_REPORT:
            return None
        same_text = np.array_equal(attribution.tokens.ids, tokens.ids)
        choices = [[name for name in DEFAULT_HEAD_SCORES if name != "induction"]]
        choices.insert(0, [*DEFAULT_HEAD_SCORES])
        if same_text:
            choices.insert(0, [*DEFAULT_HEAD_SCORES, "agreement"])
        for names in choices:  # a text may be too short to compare, a model to say anything twice
            try:
                return self._scored(encoding, head_scores_of(names), None, attribution=attribution)
            except ModelUnderstandingError:
                continue
        return None
