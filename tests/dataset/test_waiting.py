"""Results that wait to be written are as they were, in the order of their rows."""

import numpy as np

from model_understanding.dataset.waiting import WaitingResults


def test_results_come_back_in_the_order_of_their_rows_with_the_same_bits():
    generator = np.random.default_rng(0)
    results = [
        {
            "row": place,
            "scores": generator.normal(size=size).astype(np.float32),
            "offsets": np.arange(2 * size, dtype=np.int32).reshape(-1, 2),
            "error": None if size else "empty",
        }
        for place, size in enumerate([3, 0, 400_000, 17, 1])  # one is larger than a block
    ]
    waiting = WaitingResults()
    for place in (4, 2, 0, 3, 1):
        waiting[place] = results[place]
        if place == 0:
            assert [found["row"] for found in waiting] == [0, 2, 4]
    assert len(waiting) == 5
    for found, given in zip(waiting, results, strict=True):
        assert (found["row"], found["error"]) == (given["row"], given["error"])
        for name in ("scores", "offsets"):
            assert found[name].dtype == given[name].dtype
            assert found[name].tobytes() == given[name].tobytes()
            assert found[name].shape == given[name].shape
