"""SmoothGrad: gradients averaged over copies of the text with noisy embeddings."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.attribution.protocol import Scores
from model_understanding.checks import one_of, real_number, whole_number
from model_understanding.model.batching import Batches
from model_understanding.model.precision import precise
from model_understanding.passes.gradients import NORMS, Norm, gradient_norms
from model_understanding.passes.runner import Runner, Targets
from model_understanding.paths.baselines import movable_tokens
from model_understanding.paths.integration import selected_texts, target_count, target_values
from model_understanding.text.encoding import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class SmoothGrad:
    r"""The norm of the target's gradient, averaged over copies of the text with noisy embeddings.

    ``score_t = ‖ 1/S Σ_s ∂ target / ∂ embedding_t (x + ε_s) ‖``, ``ε_s ~ N(0, (noise · σ)²)``
    with ``squared``: ``score_t = ‖ √( 1/S Σ_s (∂ target / ∂ embedding_t (x + ε_s))² ) ‖``

    ``σ`` is the standard deviation of the values in the embeddings of the text's ordinary tokens. Special
    and chat-template tokens get no noise, but have scores. At a layer the noise is added to the hidden
    states of every token.

    Args:
        samples: Number of noisy copies.
        noise: Standard deviation of the noise, in units of ``σ``.
        squared: Whether to average the squares of the gradients, so that opposite ones do not cancel, and
            take the square root, which keeps the gradient's unit.
        norm: Norm of each token's averaged gradient: ``l2``, ``l1`` or ``max``.
        seed: Seed of the noise, the same for each text of a batch.

    Raises:
        InputError: A number is out of its range, or the norm is unknown.

    Reference:
        Smilkov, Thorat, Kim, Viégas, Wattenberg (2017), "SmoothGrad: removing noise by adding noise",
        section 3, with noise relative to the range of an image's values. ``squared``: Hooker, Erhan,
        Kindermans, Kim (2019), "A Benchmark for Interpretability Methods in Deep Neural Networks", section
        4.2, without the root.

    >>> SmoothGrad(squared=True).samples
    32
    """

    name: ClassVar[str] = "smooth_grad"
    signed: ClassVar[bool] = False
    complete: ClassVar[bool] = False
    takes_layer: ClassVar[bool] = True
    cost: ClassVar[str] = "samples + 1 forward passes, samples backward passes"
    reference: ClassVar[str] = "Smilkov et al. 2017; Hooker et al. 2019"

    samples: int = 32
    noise: float = 0.15
    squared: bool = False
    norm: Norm = "l2"
    seed: int = 0

    def __post_init__(self) -> None:
        whole_number(self.samples, "samples", example=32)
        real_number(self.noise, "noise", example=0.15)
        one_of(self.norm, "norm", NORMS)
        whole_number(self.seed, "seed", least=0)

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        embeddings = precise(runner.embed(encoding))
        movable = movable_tokens(runner, encoding)
        scales = torch.stack(
            [row[is_ordinary].std() for row, is_ordinary in zip(embeddings, movable, strict=True)]
        )
        scales = torch.nan_to_num(scales)[:, None, None] * self.noise * movable[..., None]
        totals = embeddings.new_zeros((len(encoding), target_count(targets), *embeddings.shape[1:]))

        tokens = encoding.ids.shape[1]
        batches = Batches(
            len(encoding) * self.samples,
            tokens * totals.shape[1],
            runner.model.memory,
            gradients=True,
            tokens=tokens,
        )
        for start, end in batches:
            with batches.halving():
                rows = [variant // self.samples for variant in range(start, end)]
                noise = [self._noise(variant % self.samples, embeddings[0]) for variant in range(start, end)]
                part, part_targets = selected_texts(encoding, targets, rows)
                variants = embeddings[rows] + torch.stack(noise) * scales[rows]
                gradients = runner.gradients(part, part_targets, embeddings=variants).gradients
                gradients = gradients**2 if self.squared else gradients
                totals.index_add_(0, torch.tensor(rows, device=totals.device), gradients)
        means = totals / self.samples
        means = means.sqrt() if self.squared else means
        scores = gradient_norms(means, self.norm)
        return Scores(scores=scores.cpu().numpy(), outputs=target_values(runner, encoding, targets))

    def _noise(self, sample: int, like: Float[Tensor, "tokens width"]) -> Float[Tensor, "tokens width"]:
        """Return the noise of a sample, which is the same for every text in any batch."""
        generator = np.random.default_rng([self.seed, sample])
        noise = generator.standard_normal(like.shape, dtype=np.float32)
        return torch.from_numpy(noise).to(like.device)
