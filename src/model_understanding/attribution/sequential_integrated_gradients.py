"""Sequential integrated gradients: a separate path for each token, with the rest of the text unchanged."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from model_understanding.attribution.protocol import Scores
from model_understanding.checks import one_of
from model_understanding.model.precision import precise
from model_understanding.passes.runner import Runner, Targets
from model_understanding.paths.baselines import (
    Baseline,
    baseline_embeddings,
    checked_baselines,
    hashable_baseline,
    movable_tokens,
)
from model_understanding.paths.integration import Integral, Line, cautions_of, check_nodes, integrate
from model_understanding.registry import setting_of
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens

_LEVELS = ("token", "word")


@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialIntegratedGradients:
    r"""Integrated gradients for one token (or word) at a time, with the rest of the text unchanged.

    ``score_t = Σ_d (x − b)_td · ∫₀¹ ∂ target / ∂ embedding_td (x with α x_t + (1 − α) b_t at t) dα``

    Along a path only one token changes, whereas all tokens change along the path of integrated gradients.
    Each path adds up by itself: a token's score is the target's value for the text minus its value with
    this token at the baseline (at ``level="word"``, this holds for the sum over a word's tokens). The sum
    over a text has no such meaning. Special and chat-template tokens never change: their scores are 0. At
    a layer the paths are of hidden states, and special tokens have paths too.

    Args:
        baseline: See ``IntegratedGradients``; scores of several baselines are averaged.
        level: What has a separate path: each ``token``, or each ``word``, whose tokens change together.
        tolerance: The largest completeness gap that is accepted, relative to the largest change along one of
            the text's paths.
        nodes: Gauss–Legendre nodes of a path to start with, and of each half that needs more.
        max_nodes: Maximum number of gradients per path.

    Raises:
        InputError: A baseline is unknown or not available in the tokenizer, the level is unknown, or a
            number is out of its range.

    Reference:
        Enguehard (2023), "Sequential Integrated Gradients: a simple but effective method for explaining
        language models", equations 2 to 4, with the mask token as the baseline. There the scores of a text
        are divided by their norm; here they keep the target's unit. Paths of words are not in the paper.

    >>> SequentialIntegratedGradients(level="word").complete
    False
    """

    name: ClassVar[str] = "sequential_integrated_gradients"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    takes_layer: ClassVar[bool] = True
    cost: ClassVar[str] = (
        "per baseline, (nodes + 1) × tokens + 1 forward passes and nodes × tokens backward passes"
    )
    reference: ClassVar[str] = "Enguehard 2023"

    baseline: Baseline = "default"
    level: Literal["token", "word"] = "token"
    tolerance: float = 0.01
    nodes: int = 4
    max_nodes: int = 64

    def __post_init__(self) -> None:
        object.__setattr__(self, "baseline", hashable_baseline(self.baseline))
        check_nodes(self.nodes, self.max_nodes, self.tolerance)
        one_of(self.level, "level", _LEVELS)

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        embeddings, movable = precise(runner.embed(encoding)), movable_tokens(runner, encoding)
        names = checked_baselines(self.baseline)
        lines = []
        for name in names:
            differences = embeddings - baseline_embeddings(runner, encoding, name)
            lines += [
                Line(row, differences[row], moved)
                for row, tokens in enumerate(encoding.tokens)
                for moved in self._units(tokens, movable[row])
            ]
        integrals = integrate(
            runner,
            encoding,
            targets,
            lines,
            nodes=self.nodes,
            max_nodes=self.max_nodes,
            tolerance=self.tolerance,
            relative_to_largest=True,
        )
        texts: list[list[Integral]] = [[] for _ in range(len(encoding))]
        for line, integral in zip(lines, integrals, strict=True):
            texts[line.row].append(integral)
        return Scores(
            scores=np.stack([np.sum([i.scores for i in text], axis=0) / len(names) for text in texts]),
            outputs=np.stack([text[0].end for text in texts]),
            cautions=cautions_of(
                encoding,
                targets,
                texts,
                self.tolerance,
                setting_of(self.name, max_nodes=max(200, 4 * self.max_nodes)),
            ),
        )

    def _units(self, tokens: Tokens, movable: Bool[Tensor, " tokens"]) -> list[Bool[Tensor, " tokens"]]:
        """Return the tokens of each path; a text of special tokens alone has one path without changes."""
        units = []
        for group in tokens.groups(self.level):
            is_member = torch.zeros_like(movable)
            is_member[list(group)] = True
            if bool((is_member & movable).any()):
                units.append(is_member & movable)
        return units or [torch.zeros_like(movable)]
