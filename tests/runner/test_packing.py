"""Batches that fit, and halving where they do not."""

import pytest
import torch

from model_understanding import NumericalError
from model_understanding.runner.packing import POSITIONS_AT_ONCE, packed


def test_every_variant_is_run_once_in_order():
    positions = POSITIONS_AT_ONCE // 3
    assert packed(lambda start, end: list(range(start, end)), 7, positions) == [[0, 1, 2], [3, 4, 5], [6]]


def test_a_variant_larger_than_the_budget_still_runs():
    assert packed(lambda start, end: end - start, 2, 10 * POSITIONS_AT_ONCE) == [1, 1]


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory")]
)
def test_a_batch_is_halved_where_memory_runs_out(error, caplog):
    def run(start, end):
        if end - start > 2:
            raise error
        return list(range(start, end))

    assert [number for batch in packed(run, 9, 1) for number in batch] == list(range(9))
    assert "Out of memory with 9 variants at once; going on with 4." in caplog.text


def test_one_variant_too_many_is_told():
    def run(start, end):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(NumericalError) as caught:
        packed(run, 4, 100)
    assert str(caught.value) == (
        "There is not enough memory for one variant of 100 token positions. "
        "Use a shorter text, a smaller number type, or another device."
    )


def test_other_errors_pass():
    def run(start, end):
        raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        packed(run, 1, 1)
