"""SmoothGrad: gradients averaged over noisy copies of the text's embeddings."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.attribution.protocol import Scores
from model_understanding.errors import InputError
from model_understanding.model.batching import Batches
from model_understanding.passes.gradients import Norm, check_norm, norms_of
from model_understanding.passes.runner import Runner, Targets
from model_understanding.paths.baselines import movable_tokens
from model_understanding.paths.integration import chosen_texts, target_count, target_values
from model_understanding.text.encoding import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class SmoothGrad:
    r"""The norm of the target's gradient, averaged over embeddings with Gaussian noise.

    ``score_t = ‖ 1/S Σ_s ∂ target / ∂ embedding_t (x + ε_s) ‖``, ``ε_s ~ N(0, (noise · σ)²)``
    with ``squared``: ``score_t = ‖ √( 1/S Σ_s (∂ target / ∂ embedding_t (x + ε_s))² ) ‖``

    ``σ`` is the standard deviation of the numbers in the embeddings of the text's ordinary tokens. Special
    and chat-template tokens get no noise; their gradients count as everyone's. At a layer the noise is of
    the hidden states, and every token gets it.

    Args:
        samples: How many noisy copies.
        noise: The noise's standard deviation, in units of ``σ``.
        squared: Average the squares of the gradients' entries in place of the gradients, so that opposite
            ones do not cancel, and take the root: a score keeps the gradient's unit.
        norm: ``l2``, ``l1`` or ``max`` over the embedding's axis, taken after averaging.
        seed: Of the noise; each text of a batch starts from it anew.

    Raises:
        InputError: There is no sample, the noise is negative, or the norm is unknown.

    Reference:
        Smilkov, Thorat, Kim, Viégas, Wattenberg (2017), "SmoothGrad: removing noise by adding noise",
        section 3; their noise is relative to the range of an image's values. ``squared``: Hooker, Erhan,
        Kindermans, Kim (2019), "A Benchmark for Interpretability Methods in Deep Neural Networks", section
        4.2, without the root.

    >>> SmoothGrad(squared=True).samples
    32
    """

    name: ClassVar[str] = "smooth_grad"
    signed: ClassVar[bool] = False
    complete: ClassVar[bool] = False
    takes_layer: ClassVar[bool] = True
    cost: ClassVar[str] = "samples + 1 forwards, samples backwards"
    reference: ClassVar[str] = "Smilkov et al. 2017; Hooker et al. 2019"

    samples: int = 32
    noise: float = 0.15
    squared: bool = False
    norm: Norm = "l2"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise InputError(f"samples must be at least 1. Got {self.samples}.", hint="Use samples=32.")
        if not 0 <= self.noise < float("inf"):
            raise InputError(f"noise must be 0 or more. Got {self.noise}.", hint="Use noise=0.15.")
        check_norm(self.norm)

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        embeddings = runner.embed(encoding).float()
        movable = movable_tokens(runner, encoding)
        sizes = torch.stack([row[kept].std() for row, kept in zip(embeddings, movable, strict=True)])
        sizes = torch.nan_to_num(sizes)[:, None, None] * self.noise * movable[..., None]
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
                part, part_targets = chosen_texts(encoding, targets, rows)
                variants = embeddings[rows] + torch.stack(noise) * sizes[rows]
                gradients = runner.gradients(part, part_targets, embeddings=variants).gradients
                gradients = gradients**2 if self.squared else gradients
                totals.index_add_(0, torch.tensor(rows, device=totals.device), gradients)
        means = totals / self.samples
        means = means.sqrt() if self.squared else means
        scores = norms_of(means, self.norm)
        return Scores(scores=scores.cpu().numpy(), outputs=target_values(runner, encoding, targets))

    def _noise(self, sample: int, like: Float[Tensor, "tokens width"]) -> Float[Tensor, "tokens width"]:
        """Return a sample's noise: the same for every text, whatever it is batched with."""
        generator = np.random.default_rng([self.seed, sample])
        noise = generator.standard_normal(like.shape, dtype=np.float32)
        return torch.from_numpy(noise).to(like.device)
