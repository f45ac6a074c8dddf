"""Large arrays in files: what is packed comes back, what is damaged or swollen is refused."""

import base64
import zlib

import numpy as np
import pytest

from model_understanding.results.packed_arrays import packed, unpacked

NUMBERS = np.random.default_rng(0)


@pytest.mark.parametrize(
    "array",
    [
        NUMBERS.random((3, 4, 5), dtype=np.float32),
        NUMBERS.random((7, 2)),
        NUMBERS.integers(-5, 500, (4, 6)),
        NUMBERS.random((9, 9)) < 0.5,
        np.zeros((0, 3), np.float32),
        NUMBERS.random((4, 6), dtype=np.float32).T,
    ],
    ids=["float32", "float64", "integers", "booleans", "empty", "transposed"],
)
def test_an_array_comes_back_to_the_bit(array):
    again = unpacked(packed(array))
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array)


@pytest.mark.parametrize("least", [0.0, -0.5])
def test_a_rounded_array_is_off_by_half_a_step_and_keeps_its_zeros(least):
    array = np.where(NUMBERS.random((2, 50, 50)) < 0.3, 0, NUMBERS.uniform(least, 3.0, (2, 50, 50))).astype(
        np.float32
    )
    content = packed(array, rounded=True)
    again = unpacked(content)
    assert np.abs(again - array).max() <= content["step"] / 2 + 1e-7
    assert content["step"] <= 3.0 / 8192
    assert (again[array == 0] == 0).all()
    assert unpacked(packed(again, rounded=True)).tolist() == again.tolist()
    single = unpacked(packed(array[:1], rounded=True))
    np.testing.assert_array_equal(single, array[:1], "a single matrix, which is printed, keeps every digit")


def test_zeros_alone_can_be_rounded():
    assert unpacked(packed(np.zeros((2, 1, 2), np.float32), rounded=True)).tolist() == [[[0, 0]], [[0, 0]]]


def data_of(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content)).decode()


WHOLE = packed(np.ones((2, 3), np.float32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "object"}, "needs dtype"),
        ({"shape": [2, -3]}, "invalid shape"),
        ({"shape": [2, 3.0]}, "invalid shape"),
        ({"shape": [10**6, 10**6]}, "larger than"),
        ({"shape": [4, 3]}, "24 bytes in place of 48"),
        ({"data": data_of(b"\0" * 1_000_000)}, "25 bytes in place of 24"),
        ({"data": "no base64"}, "damaged"),
        ({"data": base64.b64encode(b"no zlib").decode()}, "damaged"),
        ({"step": "1"}, "invalid step"),
        ({"step": float("inf")}, "invalid step"),
    ],
)
def test_a_damaged_array_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        unpacked({**WHOLE, **change})
