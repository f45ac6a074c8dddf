"""Compute ``PseudoLikelihood``: each token of a text masked once, all of them in as few batches as fit."""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool

from model_understanding.passes.runner import Runner
from model_understanding.results import PseudoLikelihood, Target
from model_understanding.results.pseudo_likelihood import Masking
from model_understanding.targets.names import MASKED_LM
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens

_IDS_AT_ONCE = 2**22  # of masked variants that are held together


def pseudo_likelihoods(
    runner: Runner, encodings: Sequence[Encoding], masking: Masking
) -> list[PseudoLikelihood]:
    """Return the pseudo-log-likelihood of texts of one length.

    Args:
        runner: The runner of a masked language model.
        encodings: The texts, without padding.
        masking: Which tokens are masked with the one that is scored.
    """
    length = encodings[0].ids.shape[1]
    at_once = max(1, _IDS_AT_ONCE // length**2)
    return [
        likelihood
        for start in range(0, len(encodings), at_once)
        for likelihood in _together(runner, encodings[start : start + at_once], masking)
    ]


def masked_with(tokens: Tokens, masking: Masking) -> Bool[np.ndarray, "scored tokens"]:
    """Return which tokens are masked where each token of a text is scored; special ones are not scored.

    Args:
        tokens: The tokens.
        masking: ``token`` or ``word-l2r``.
    """
    positions = np.flatnonzero(~tokens.special)
    masked = positions[:, None] == np.arange(len(tokens))
    if masking == "word-l2r":
        follows = positions[:, None] < np.arange(len(tokens))
        masked |= follows & (tokens.words[positions][:, None] == tokens.words)
    return masked & ~tokens.special


def _together(runner: Runner, encodings: Sequence[Encoding], masking: Masking) -> list[PseudoLikelihood]:
    started = time.perf_counter()
    mask = int(runner.model.tokenizer.mask_token_id)
    variants: list[Encoding] = []
    targets: list[tuple[Target, ...]] = []
    scored: list[np.ndarray] = []
    for encoding in encodings:
        tokens = encoding.tokens[0]
        masked = torch.from_numpy(masked_with(tokens, masking)).to(encoding.ids.device)
        repeated = encoding.repeated(len(masked))
        ids = repeated.ids.masked_fill(masked, mask)
        variants.append(replace(repeated, inputs={**repeated.inputs, "input_ids": ids}))
        scored.append(np.flatnonzero(~tokens.special))
        targets += [(_target(tokens, int(position)),) for position in scored[-1]]
    values = runner.values(runner.model.batch(variants), targets)[:, 0].float().cpu().numpy()
    seconds = (time.perf_counter() - started) / len(encodings)
    ends = np.cumsum([len(positions) for positions in scored])
    return [
        PseudoLikelihood(
            tokens=encoding.tokens[0],
            positions=positions,
            log_probabilities=np.minimum(part, 0.0),
            masking=masking,
            provenance=runner.model.provenance(encoding, seconds),
        )
        for encoding, positions, part in zip(encodings, scored, np.split(values, ends[:-1]), strict=True)
    ]


def _target(tokens: Tokens, position: int) -> Target:
    return Target(
        task=MASKED_LM, positions=(position,), indices=(int(tokens.ids[position]),), quantity="log_prob"
    )
