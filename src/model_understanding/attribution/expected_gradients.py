"""Expected gradients: integrated gradients averaged over random baselines, at one point of each path."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from model_understanding.attribution.protocol import Scores
from model_understanding.checks import one_of, whole_number
from model_understanding.model.precision import precise
from model_understanding.model.vocabulary import ordinary_ids
from model_understanding.passes.runner import Runner, Targets
from model_understanding.paths.baselines import embedded_ids, movable_tokens
from model_understanding.paths.integration import (
    Variants,
    gradients_times_differences,
    selected_texts,
    target_values,
    values_at,
)
from model_understanding.text.encoding import Encoding

_REFERENCES = ("both", "text", "vocabulary")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedGradients:
    r"""Integrated gradients averaged over random baselines, at one random point of each path.

    ``score_t = E_b E_α Σ_d (x − b)_td · ∂ target / ∂ embedding_td (b + α (x − b))``, ``α ~ U(0, 1)``

    In expectation the scores add up to the target's change from the mean of the baselines. The gap that
    remains with this number of samples is in the result's ``gaps``, together with the standard errors of
    the scores. Special and chat-template tokens keep their embeddings: their scores are 0. At a layer ``b``
    is the hidden states of the baseline, which takes two more forward passes per sample.

    Args:
        samples: Number of baselines, each with one point. ``α`` is stratified: one value in each of as many
            equal parts of (0, 1).
        references: The tokens of the baselines. ``text``: the ordinary tokens of the text in random order,
            which isolates the effect of the order. ``vocabulary``: ids drawn uniformly from the vocabulary
            without special tokens. ``both``: alternates.
        seed: Seed of baselines and points, the same for each text of a batch.

    Raises:
        InputError: There are fewer than 2 samples, the references are unknown, or the seed is negative.

    Reference:
        Erion, Janizek, Sturmfels, Lundberg, Lee (2021), "Improving performance of deep learning models with
        axiomatic attribution priors and expected gradients", equation 4. There the baselines are drawn from
        the training data; here, without data, from the text and the vocabulary. Stratification is not in
        the paper; the standard errors ignore it and are slightly too large.

    >>> ExpectedGradients(samples=64).seed
    0
    """

    name: ClassVar[str] = "expected_gradients"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    takes_layer: ClassVar[bool] = True
    cost: ClassVar[str] = "2 × samples + 1 forward passes, samples backward passes"
    reference: ClassVar[str] = "Erion et al. 2021"

    samples: int = 64
    references: Literal["both", "text", "vocabulary"] = "both"
    seed: int = 0

    def __post_init__(self) -> None:
        whole_number(self.samples, "samples", least=2, example=64)
        one_of(self.references, "references", _REFERENCES)
        whole_number(self.seed, "seed", least=0)

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        embeddings = precise(runner.embed(encoding))
        movable = movable_tokens(runner.at_layer(None), encoding).cpu().numpy()
        vocabulary = ordinary_ids(runner.model).numpy()
        ids, alphas = [], []
        for row, text in enumerate(encoding.ids.cpu().numpy()):
            generator = np.random.default_rng(self.seed)
            ids.append(self._references(text, movable[row], vocabulary, generator))
            stratified = (np.arange(self.samples) + generator.random(self.samples)) / self.samples
            alphas.append(generator.permutation(stratified))
        reference_ids = torch.from_numpy(np.concatenate(ids)).to(embeddings.device)
        fractions = torch.from_numpy(np.concatenate(alphas)).to(embeddings.device, torch.float32)

        def points(start: int, end: int, at: Tensor = fractions) -> Variants:
            rows = [sample // self.samples for sample in range(start, end)]
            texts, _ = selected_texts(encoding, targets, rows)
            differences = embeddings[rows] - embedded_ids(runner, texts, reference_ids[start:end])
            variants = embeddings[rows] - (1 - at[start:end, None, None]) * differences
            return Variants(rows, variants, differences)

        def references(start: int, end: int) -> Variants:
            return points(start, end, torch.zeros_like(fractions))

        count = len(reference_ids)
        products = gradients_times_differences(runner, encoding, targets, points, count)
        products = products.reshape(len(encoding), self.samples, *products.shape[1:])
        starts = values_at(runner, encoding, targets, references, count)
        outputs, scores = target_values(runner, encoding, targets), products.mean(1)
        baseline_outputs = starts.reshape(len(encoding), self.samples, -1).mean(1)
        return Scores(
            scores=scores,
            outputs=outputs,
            baseline_outputs=baseline_outputs,
            gaps=scores.sum(-1) - (outputs - baseline_outputs),
            standard_errors=products.std(1, ddof=1) / np.sqrt(self.samples),
            sample_counts=np.full(outputs.shape, self.samples),
        )

    def _references(
        self, text: np.ndarray, movable: np.ndarray, vocabulary: np.ndarray, generator: np.random.Generator
    ) -> np.ndarray:
        """Return the ids of each baseline, ``(samples, T)``, with special tokens and padding unchanged."""
        ids = np.repeat(text[None], self.samples, axis=0)
        for sample in range(self.samples):
            from_text = self.references == "text" or (self.references == "both" and sample % 2 == 0)
            ids[sample, movable] = (
                generator.permutation(text[movable])
                if from_text
                else generator.choice(vocabulary, size=int(movable.sum()))
            )
        return ids
