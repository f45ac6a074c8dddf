"""DeepLIFT: the exact difference of a target between a text and references, divided among the tokens."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool

from model_understanding.attribution.protocol import Scores
from model_understanding.checks import whole_number
from model_understanding.finite_backward.differences import differences
from model_understanding.model.precision import precise
from model_understanding.passes.runner import Runner, Targets
from model_understanding.paths.baselines import (
    Baseline,
    SingleBaseline,
    baseline_embeddings,
    checked_baselines,
    hashable_baseline,
    movable_tokens,
    resolved_baseline,
)
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens

_ROUTED = 0.01  # share of the difference that may pass routers by a correction without a warning


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepLift:
    r"""The difference of the target between the text and a reference, divided among the tokens exactly.

    ``score_t = ⟨ m_t, x_t − r_t ⟩``, where x and r are the embeddings of text and reference, and m are
    DeepLIFT's multipliers: a backward pass in which each operation's derivative is replaced by its exact
    difference between both runs, as Δf/Δx for an activation (Rescale rule).

    The scores of a text add up to the target's change from the baseline to the text, up to rounding. The text
    runs once for all references and targets. Special and chat-template tokens keep their embeddings: their
    scores are 0. At a layer references are hidden states, and every token changes.

    Args:
        baseline: What replaces tokens in the references, as for ``IntegratedGradients``; of several, such
            as ``default,mean``, the scores are averaged.
        halvings: Number of random halvings of the words for each baseline: one reference replaces one half,
            another the other half. A token's score is from the reference that replaces it, and
            ``baseline_outputs`` are the outputs minus the change by both halves. With 0, a reference replaces
            all words at once. What a language model says without any word of its prompt shows little of what
            each of them does, so ``None`` is 1 for language models, and 0 otherwise.
        seed: Seed of the halvings, the same for each text of a batch.

    Raises:
        InputError: A baseline is unknown, not available in the tokenizer or of the wrong shape, or another
            field is out of its range.
        UnsupportedModelError: The model's two runs cannot be compared exactly: an operation has no exact
            rule, or the runs select other experts or entries where that matters.

    Reference:
        Shrikumar, Greenside, Kundaje (2017), "Learning Important Features Through Propagating Activation
        Differences", for multipliers and the Rescale rule. The rules for products, attention, norms and
        mixtures of experts, several references, and halves are not in the paper.

    >>> DeepLift(baseline="mask").complete
    True
    """

    name: ClassVar[str] = "deep_lift"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = True
    takes_layer: ClassVar[bool] = True
    cost: ClassVar[str] = (
        "baselines + 1 forward passes, baselines backward passes; "
        "with halvings, the default for language models, 2 × baselines × halvings in place of baselines"
    )
    reference: ClassVar[str] = "Shrikumar et al. 2017"

    baseline: Baseline = "default,mean"
    halvings: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "baseline", hashable_baseline(self.baseline))
        if self.halvings is not None:
            whole_number(self.halvings, "halvings", least=0, example=1)
        whole_number(self.seed, "seed", least=0)

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        embeddings = precise(runner.embed(encoding))
        halvings = self._halvings(runner)
        movable = movable_tokens(runner, encoding).cpu().numpy()
        generators = [np.random.default_rng(self.seed) for _ in range(len(encoding))]
        references = []
        for baseline in self._baselines(runner, halvings):
            replacements = baseline_embeddings(runner, encoding, baseline)
            for _ in range(halvings):
                halves = [_half(*row) for row in zip(encoding.tokens, movable, generators, strict=True)]
                half = torch.from_numpy(np.stack(halves)).to(embeddings.device)[..., None]
                references.append(torch.where(half, replacements, embeddings))
                references.append(torch.where(half, embeddings, replacements))
            if not halvings:
                references.append(replacements)
        found = differences(runner, encoding, targets, references)
        samples = len(references) // 2 if halvings else len(references)
        scores = found.contributions.sum(0) / samples
        changes = (found.outputs - found.references).sum(0) / samples
        caution = _routing_caution(found.corrections)
        return Scores(
            scores=scores,
            outputs=found.outputs,
            baseline_outputs=found.outputs - changes,
            gaps=scores.sum(-1) - changes,
            cautions=(caution,) * len(encoding),
        )

    def used_parameters(self, runner: Runner) -> dict[str, Any]:
        """Return the fields that matter for a model, with what ``None`` stands for.

        Args:
            runner: The runner.
        """
        halvings = self._halvings(runner)
        drawn = {"halvings": halvings, "seed": self.seed} if halvings else {}
        return {"baseline": self.baseline, **drawn}

    def _halvings(self, runner: Runner) -> int:
        return int(runner.is_language_model) if self.halvings is None else self.halvings

    def _baselines(self, runner: Runner, halvings: int) -> list[SingleBaseline]:
        """Return the baselines; equal ones count once, unless other halves are drawn for each."""
        names = [
            resolved_baseline(runner, single) if isinstance(single, str) else single
            for single in checked_baselines(self.baseline)
        ]
        return names if halvings else list(dict.fromkeys(names))


def _half(
    tokens: Tokens, movable: Bool[np.ndarray, " tokens"], generator: np.random.Generator
) -> Bool[np.ndarray, " tokens"]:
    """Return which tokens belong to a random half of the words of each text: a prompt, its continuation."""
    is_member = np.zeros_like(movable)
    words = [word for word in tokens.groups("word") if movable[list(word)].all()]
    for segment in np.unique(tokens.segments):
        own = [word for word in words if tokens.segments[word[0]] == segment]
        for index in generator.permutation(len(own))[: (len(own) + 1) // 2]:
            is_member[list(own[index])] = True
    return is_member


def _routing_caution(corrections: dict[str, float]) -> tuple[str, ...]:
    share = corrections.get("routing", 0.0)
    if share < _ROUTED:
        return ()
    return (
        f"The baseline is routed to other experts: {100 * share:.0f} % of the difference passes the routers "
        "by a correction, not by an exact rule. The sum is exact; its distribution is less certain.",
    )
