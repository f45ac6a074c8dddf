"""A visualizer goes to a worker process: it explains there as here."""

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import oracles
import pytest
import torch
from tiny_models import PROBE, fresh, visualizer_of

SENTIMENT = "A fine film, really."


def explain(visualizer, text):
    return visualizer.compute_saliency(text, method="saliency").scores


@pytest.mark.parametrize("name", ["bert", "gpt2-classifier", "llama"])
def test_a_copy_by_pickle_explains_the_same(name):
    visualizer = visualizer_of(name, model=fresh(name))
    expected = explain(visualizer, PROBE)
    copy = pickle.loads(pickle.dumps(visualizer))
    assert oracles.close(explain(copy, PROBE), expected, 0.0)
    assert copy.model is not visualizer.model


def test_a_worker_process_explains_the_same():
    visualizer = visualizer_of("bert", model=fresh("bert"))
    expected = [explain(visualizer, text) for text in (PROBE, SENTIMENT)]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as workers:
        found = list(workers.map(explain, [visualizer] * 2, (PROBE, SENTIMENT)))
    for scores, wanted in zip(found, expected, strict=True):
        assert torch.from_numpy(scores).shape == wanted.shape
        assert oracles.close(scores, wanted, 1e-6)
