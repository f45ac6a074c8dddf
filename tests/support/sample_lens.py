"""A language model's report with a logit lens, made by hand."""

from dataclasses import replace

import numpy as np
from sample_results import PIECES, generation

from model_understanding.results import LogitLens, Report


def with_lens(layers: int = 6) -> Report:
    report = generation()
    source = report.generation
    assert source is not None
    positions = np.arange(source.prompt_length - 1, len(source.tokens) - 1)
    numbers = np.random.default_rng(1)
    plane = (layers, len(positions))
    following = source.tokens.ids[positions + 1]
    known = [int(entry) for entry in dict.fromkeys(following.tolist())]
    ids = [*range(10**6, 10**6 + 5), *known]
    lens = LogitLens(
        tokens=source.tokens,
        positions=positions,
        top_ids=numbers.integers(0, 5, (*plane, 3)) + 10**6,
        top_probabilities=-np.sort(-numbers.random((*plane, 3)) / 3),
        entropies=numbers.random(plane),
        divergences=np.where(np.arange(layers)[:, None] == layers - 1, 0, numbers.random(plane)),
        final_ranks=np.where(np.arange(layers)[:, None] == layers - 1, 1, 1234) * np.ones(plane, dtype=int),
        final_probabilities=numbers.random(plane),
        next_ids=following,
        next_ranks=np.ones(plane, dtype=int),
        next_probabilities=numbers.random(plane),
        ids=np.array(ids),
        labels=(*PIECES, *(f"token {entry}" for entry in known)),
    )
    return replace(report, lens=lens)
