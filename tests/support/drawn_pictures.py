"""What a figure really draws: its texts, where they stand, and what lies behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from unittest.mock import patch

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from model_understanding.show.shared.colors import contrast


@dataclass(frozen=True)
class Drawing:
    """A figure drawn once, with its texts seen but not painted, so that what lies behind them shows.

    Args:
        figure: The figure.
        texts: Each text that it drew (not the tick labels outside its limits).
        corners: Left, low, right and high of each, shape ``(N, 4)``.
        picture: What lies behind them, shape ``(H, W, 3)``.
    """

    figure: Figure
    texts: list[Text]
    corners: np.ndarray
    picture: np.ndarray

    def words(self) -> list[str]:
        return [text.get_text() for text in self.texts]

    def overlaps(self) -> list[tuple[str, str]]:
        return _overlaps(self.texts, self.corners)

    def outside(self) -> list[str]:
        """Return each text that is cut off at the figure's edge."""
        width, height = self.figure.bbox.extents[2:]
        corners = self.corners
        is_cut = (corners[:, :2] < -1).any(1) | (corners[:, 2] > width + 1) | (corners[:, 3] > height + 1)
        return [text.get_text() for text, cut in zip(self.texts, is_cut, strict=True) if cut]

    def faint(self, least: float = 4.5) -> list[tuple[str, str, str]]:
        """Return each text whose color is too close to what is really drawn behind it."""
        packed = self.picture.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)
        height = len(packed)
        found = []
        for text, (left, low, right, high) in zip(self.texts, self.corners, strict=True):
            rows = slice(max(int(height - high) + 1, 0), max(int(height - low) - 1, 1))
            behind = packed[rows, max(int(left) + 1, 0) : max(int(right) - 1, 1)]
            values, counts = np.unique(behind, return_counts=True)
            color = to_hex(text.get_color())
            found += [
                (text.get_text(), color, f"#{value:06x}")
                for value in values[counts > 0.08 * counts.sum()].tolist()
                if contrast(color, f"#{value:06x}") < least
            ]
        return found


def drawing_of(figure: Figure) -> Drawing:
    """Draw a figure once; a glyph that no font holds is a warning, as when its texts are painted."""
    FigureCanvasAgg(figure)
    found: dict[int, Text] = {}
    draw = Text.draw

    def record(self: Text, renderer: object, *rest: object, **options: object) -> None:
        if self.get_visible() and self.get_text().strip():
            found[id(self)] = self
        color = self.get_color()
        self.set_color("none")
        draw(self, renderer, *rest, **options)
        self.set_color(color)

    with patch.object(Text, "draw", record), matplotlib.rc_context({"text.hinting": "none"}):  # as in files
        figure.canvas.draw()
        texts = list(found.values())
        corners = _corners(texts)
    picture = np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
    return Drawing(figure, texts, corners, picture)


def drawn_texts(figure: Figure) -> list[Text]:
    """Draw a figure and return each text that it drew."""
    return drawing_of(figure).texts


def overlaps(texts: Sequence[Text]) -> list[tuple[str, str]]:
    """Return each pair of texts that overlap in a figure that is drawn."""
    return _overlaps(texts, _corners(texts))


def _corners(texts: Sequence[Text]) -> np.ndarray:
    return np.array([text.get_window_extent().extents for text in texts]).reshape(-1, 4)


def _overlaps(texts: Sequence[Text], corners: np.ndarray, slack: float = 0.5) -> list[tuple[str, str]]:
    """Return each pair of texts whose boxes share more than ``slack`` pixels each way."""
    low, high = corners[:, None, :2], corners[:, None, 2:]
    shared = np.minimum(high, corners[None, :, 2:]) - np.maximum(low, corners[None, :, :2])
    first, second = np.nonzero(np.triu((shared > slack).all(-1), 1))
    return [(texts[i].get_text(), texts[j].get_text()) for i, j in zip(first, second, strict=True)]
