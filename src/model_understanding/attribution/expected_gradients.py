"""Expected gradients: integrated gradients averaged over many baselines, one point of each path."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from model_understanding.attribution.protocol import Scores
from model_understanding.errors import InputError
from model_understanding.model.vocabulary import ordinary_ids
from model_understanding.passes.runner import Runner, Targets
from model_understanding.paths.baselines import embedded_ids, movable_tokens
from model_understanding.paths.integration import Variants, chosen_texts, slopes, target_values, values_at
from model_understanding.text.encoding import Encoding

_REFERENCES = ("both", "text", "vocabulary")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedGradients:
    r"""The way from a random reference to the text times the gradient at a random point of it, averaged.

    ``score_t = E_b E_α Σ_d (x − b)_td · ∂ target / ∂ embedding_td (b + α (x − b))``, ``α ~ U(0, 1)``

    The scores add up to the target's change from the mean reference in expectation; what is missing after
    this many samples is in the result's ``gaps``, and the standard error of each score beside it. Special
    and chat-template tokens keep their embedding: their scores are 0. At a layer ``b`` is what the model
    makes of the reference up to there, which takes two more forwards for each sample.

    Args:
        samples: How many references, each with one point. ``α`` is stratified: one in each of as many
            equal parts of (0, 1).
        references: What stands in the places of the ordinary tokens. ``text``: this text's own ordinary
            tokens, shuffled, so that what counts is which token stands where. ``vocabulary``: ids drawn
            uniformly from the vocabulary without its special tokens. ``both``: in turns.
        seed: Of the references and points; each text of a batch starts from it anew.

    Raises:
        InputError: There are fewer than 2 samples, or the references are unknown.

    Reference:
        Erion, Janizek, Sturmfels, Lundberg, Lee (2021), "Improving performance of deep learning models with
        axiomatic attribution priors and expected gradients", equation 4. They draw references from the
        training data; for one text without data we draw from the text and the vocabulary. The strata are
        ours; the standard errors ignore them and are thus a little too large.

    >>> ExpectedGradients(samples=64).seed
    0
    """

    name: ClassVar[str] = "expected_gradients"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    takes_layer: ClassVar[bool] = True
    cost: ClassVar[str] = "2 × samples + 1 forwards, samples backwards"
    reference: ClassVar[str] = "Erion et al. 2021"

    samples: int = 64
    references: Literal["both", "text", "vocabulary"] = "both"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 2:
            raise InputError(f"samples must be at least 2. Got {self.samples}.", hint="Use samples=64.")
        if self.references not in _REFERENCES:
            raise InputError(
                f"References {self.references!r} are unknown. Allowed: {', '.join(_REFERENCES)}.",
                hint="Use references='both'.",
            )

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        own = runner.embed(encoding).float()
        movable = movable_tokens(runner.at_layer(None), encoding).cpu().numpy()
        vocabulary = ordinary_ids(runner.model).numpy()
        ids, alphas = [], []
        for row, text in enumerate(encoding.ids.cpu().numpy()):
            generator = np.random.default_rng(self.seed)
            ids.append(self._references(text, movable[row], vocabulary, generator))
            parts_of_line = (np.arange(self.samples) + generator.random(self.samples)) / self.samples
            alphas.append(generator.permutation(parts_of_line))
        drawn = torch.from_numpy(np.concatenate(ids)).to(own.device)
        places = torch.from_numpy(np.concatenate(alphas)).to(own.device, torch.float32)

        def points(start: int, end: int, at: Tensor = places) -> Variants:
            rows = [number // self.samples for number in range(start, end)]
            texts, _ = chosen_texts(encoding, targets, rows)
            differences = own[rows] - embedded_ids(runner, texts, drawn[start:end])
            embeddings = own[rows] - (1 - at[start:end, None, None]) * differences
            return Variants(rows, embeddings, differences)

        def references(start: int, end: int) -> Variants:
            return points(start, end, torch.zeros_like(places))

        parts = slopes(runner, encoding, targets, points, len(drawn))
        parts = parts.reshape(len(encoding), self.samples, *parts.shape[1:])
        starts = values_at(runner, encoding, targets, references, len(drawn))
        outputs, scores = target_values(runner, encoding, targets), parts.mean(1)
        baseline_outputs = starts.reshape(len(encoding), self.samples, -1).mean(1)
        return Scores(
            scores=scores,
            outputs=outputs,
            baseline_outputs=baseline_outputs,
            gaps=scores.sum(-1) - (outputs - baseline_outputs),
            standard_errors=parts.std(1, ddof=1) / np.sqrt(self.samples),
        )

    def _references(
        self, own: np.ndarray, places: np.ndarray, vocabulary: np.ndarray, generator: np.random.Generator
    ) -> np.ndarray:
        """Return the ids of each reference, ``(samples, T)``; special tokens and padding as they are."""
        ids = np.repeat(own[None], self.samples, axis=0)
        for number in range(self.samples):
            from_text = self.references == "text" or (self.references == "both" and number % 2 == 0)
            ids[number, places] = (
                generator.permutation(own[places])
                if from_text
                else generator.choice(vocabulary, size=int(places.sum()))
            )
        return ids
