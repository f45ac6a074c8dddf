"""ContextCite: a sparse linear model of what an answer's probability is with random halves of the context.

Benjamin Cohen-Wang, Harshay Shah, Kristian Georgiev, Aleksander Madry. "ContextCite: Attributing Model
Generation to Context." NeurIPS 2024, https://arxiv.org/abs/2409.00729. As published: each sentence is kept
with probability 1/2, the target is the logit of the answer's probability divided by its number of tokens,
features are standardized, and the LASSO's penalty is .01. The LASSO is solved by coordinate descent: Jerome
Friedman, Trevor Hastie, Robert Tibshirani. "Regularization Paths for Generalized Linear Models via Coordinate
Descent." Journal of Statistical Software 33 (2010), https://doi.org/10.18637/jss.v033.i01.
"""

import numpy as np

PENALTY = 0.01
_SWEEPS, _TOLERANCE = 1000, 1e-8


def halves(count: int, sentences: int, seed: int) -> np.ndarray:
    """Return which sentences are kept, each with probability 1/2, shape ``(count, sentences)``."""
    return np.random.default_rng(seed).random((count, sentences)) < 0.5


def logits(log_probs: np.ndarray) -> np.ndarray:
    """Return the logit of the probability of each answer, from the log-probabilities of its tokens."""
    total = np.minimum(log_probs.sum(-1), -1e-12)
    return total - np.log(-np.expm1(total))


def weights(kept: np.ndarray, values: np.ndarray, tokens: int) -> np.ndarray:
    """Return the weight of each sentence.

    Args:
        kept: Which sentences were kept, shape ``(count, sentences)``.
        values: The logits of the answer's probability, shape ``(count,)``.
        tokens: Number of tokens of the answer.
    """
    features = kept.astype(float)
    spread = features.std(0)
    spread[spread == 0] = 1.0
    fitted = lasso((features - features.mean(0)) / spread, values / tokens, PENALTY)
    return fitted / spread * tokens


def lasso(features: np.ndarray, values: np.ndarray, penalty: float) -> np.ndarray:
    """Return the coefficients that minimize ``‖y − Xb − c‖² / 2n + penalty · ‖b‖₁``, by coordinate descent.

    Args:
        features: Centered features, shape ``(n, features)``.
        values: What they predict, shape ``(n,)``.
        penalty: The weight of the absolute sum.
    """
    fitted = np.zeros(features.shape[1])
    left = values - values.mean()
    squares = (features**2).mean(0)
    for _ in range(_SWEEPS):
        largest = 0.0
        for place in np.flatnonzero(squares):
            before = fitted[place]
            slope = features[:, place] @ left / len(left) + squares[place] * before
            fitted[place] = np.sign(slope) * max(abs(slope) - penalty, 0) / squares[place]
            if fitted[place] != before:
                left = left - (fitted[place] - before) * features[:, place]
                largest = max(largest, abs(fitted[place] - before))
        if largest < _TOLERANCE:
            break
    return fitted
