"""Sequential integrated gradients: each token on a path of its own, the rest of the text in place."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from model_understanding.attribution.protocol import Scores
from model_understanding.errors import InputError
from model_understanding.passes.runner import Runner, Targets
from model_understanding.paths.baselines import (
    Baseline,
    baseline_embeddings,
    checked_baselines,
    kept_baseline,
    movable_tokens,
)
from model_understanding.paths.integration import Integral, Line, cautions_of, check_nodes, integrate
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens

_LEVELS = ("token", "word")


@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialIntegratedGradients:
    r"""Integrated gradients of each token from the text in which this token alone is the baseline's.

    ``score_t = Σ_d (x − b)_td · ∫₀¹ ∂ target / ∂ embedding_td (x with α x_t + (1 − α) b_t at t) dα``

    Every point of a path is the text with one token half gone, where integrated gradients' points are
    texts with all tokens half gone. What adds up is each path by itself: a token's score is the target's
    value on the text − its value with this token (at ``level="word"``: the scores of a word's tokens
    together, and its value with this word) at the baseline. The scores of a text do not add up to
    anything. Special and chat-template tokens are never moved: their scores are 0. At a layer a path is
    one of hidden states, and special tokens have theirs too.

    Args:
        baseline: As in ``IntegratedGradients``, tensors included; several are averaged.
        level: What has a path of its own: each ``token``, or each ``word``, whose tokens move together
            and share its change.
        tolerance: The gap of a path that is small enough, relative to the largest change of the text's paths.
        nodes: Gauss–Legendre nodes of a path to start with, and of each half that needs more.
        max_nodes: Gradients for one path in all.

    Raises:
        InputError: A baseline is unknown or the tokenizer has none, the level is unknown, or a number is
            out of its range.

    Reference:
        Enguehard (2023), "Sequential Integrated Gradients: a simple but effective method for explaining
        language models", equations 2 to 4, with the mask token for a baseline as there. They divide the
        scores of a text by their norm; we keep the target's unit. Paths of words are ours.

    >>> SequentialIntegratedGradients(level="word").complete
    False
    """

    name: ClassVar[str] = "sequential_integrated_gradients"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    takes_layer: ClassVar[bool] = True
    cost: ClassVar[str] = "(nodes + 1) × tokens + 1 forwards, nodes × tokens backwards; for each baseline"
    reference: ClassVar[str] = "Enguehard 2023"

    baseline: Baseline = "default"
    level: Literal["token", "word"] = "token"
    tolerance: float = 0.01
    nodes: int = 4
    max_nodes: int = 64

    def __post_init__(self) -> None:
        object.__setattr__(self, "baseline", kept_baseline(self.baseline))
        check_nodes(self.nodes, self.max_nodes, self.tolerance)
        if self.level not in _LEVELS:
            raise InputError(
                f"Level {self.level!r} is unknown. Allowed: {', '.join(_LEVELS)}.", hint="Use level='token'."
            )

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        own, movable = runner.embed(encoding).float(), movable_tokens(runner, encoding)
        names = checked_baselines(self.baseline)
        lines = []
        for name in names:
            differences = own - baseline_embeddings(runner, encoding, name)
            lines += [
                Line(row, differences[row], moved)
                for row, tokens in enumerate(encoding.tokens)
                for moved in self._units(tokens, movable[row])
            ]
        found = integrate(
            runner,
            encoding,
            targets,
            lines,
            nodes=self.nodes,
            max_nodes=self.max_nodes,
            tolerance=self.tolerance,
            by_largest=True,
        )
        texts: list[list[Integral]] = [[] for _ in range(len(encoding))]
        for line, integral in zip(lines, found, strict=True):
            texts[line.row].append(integral)
        return Scores(
            scores=np.stack([np.sum([i.scores for i in text], axis=0) / len(names) for text in texts]),
            outputs=np.stack([text[0].end for text in texts]),
            cautions=cautions_of(encoding, texts, self.tolerance),
        )

    def _units(self, tokens: Tokens, movable: Bool[Tensor, " tokens"]) -> list[Bool[Tensor, " tokens"]]:
        """Return the tokens of each path; a text of special tokens alone has one path that moves nothing."""
        units = []
        for group in tokens.groups(self.level):
            places = torch.zeros_like(movable)
            places[list(group)] = True
            if bool((places & movable).any()):
                units.append(places & movable)
        return units or [torch.zeros_like(movable)]
