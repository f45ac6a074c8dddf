"""The tiny models of the tests, and pairs of texts of one length for them."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2] / "tests" / "support")]

from tiny_models import ARCHITECTURES, encoded, visualizer_of  # noqa: E402

__all__ = ["ARCHITECTURES", "PAIRS", "encoded", "visualizer_of"]

_TEXT = "The film was wonderful, but a dull plot is bad."
_EXCHANGES = (("wonderful", "dull"), ("film", "plot"), ("dull", "bad"), ("was", "is"), ("wonderful", "bad"))
PAIRS = tuple(
    (_TEXT, _TEXT.replace(first, "\0").replace(second, first).replace("\0", second))
    for first, second in _EXCHANGES
)
"""A text, and the same with two words exchanged."""
