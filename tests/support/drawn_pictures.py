"""What a figure really draws: its texts, where they stand, and what lies behind them."""

from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from model_understanding.show.shared.colors import contrast


def drawn_texts(figure: Figure) -> list[Text]:
    """Draw a figure and return each text that it drew (not the tick labels outside its limits)."""
    FigureCanvasAgg(figure)
    found: dict[int, Text] = {}
    draw = Text.draw

    def record(self: Text, renderer: object, *rest: object, **options: object) -> None:
        if self.get_visible() and self.get_text().strip():
            found[id(self)] = self
        draw(self, renderer, *rest, **options)

    with patch.object(Text, "draw", record):
        figure.canvas.draw()
    return list(found.values())


def boxes(texts: Sequence[Text]) -> np.ndarray:
    return np.array([text.get_window_extent().extents for text in texts]).reshape(-1, 4)


def overlaps(texts: Sequence[Text], slack: float = 0.5) -> list[tuple[str, str]]:
    """Return each pair of texts whose boxes share more than ``slack`` pixels each way."""
    corners = boxes(texts)
    low, high = corners[:, None, :2], corners[:, None, 2:]
    shared = np.minimum(high, corners[None, :, 2:]) - np.maximum(low, corners[None, :, :2])
    first, second = np.nonzero(np.triu((shared > slack).all(-1), 1))
    return [(texts[i].get_text(), texts[j].get_text()) for i, j in zip(first, second, strict=True)]


def outside(figure: Figure, texts: Sequence[Text]) -> list[str]:
    """Return each text that is cut off at the figure's edge."""
    width, height = figure.bbox.extents[2:]
    corners = boxes(texts)
    is_cut = (corners[:, :2] < -1).any(1) | (corners[:, 2] > width + 1) | (corners[:, 3] > height + 1)
    return [text.get_text() for text, cut in zip(texts, is_cut, strict=True) if cut]


def faint(figure: Figure, texts: Sequence[Text], least: float = 4.5) -> list[tuple[str, str, str]]:
    """Return each text whose color is too close to what is really drawn behind it."""
    colors = [to_hex(text.get_color()) for text in texts]
    for text in texts:
        text.set_color("none")
    figure.canvas.draw()
    picture = np.asarray(figure.canvas.buffer_rgba())
    height = picture.shape[0]
    found = []
    for text, color, (left, low, right, high) in zip(texts, colors, boxes(texts), strict=True):
        rows = slice(max(int(height - high) + 1, 0), max(int(height - low) - 1, 1))
        patch_behind = picture[rows, max(int(left) + 1, 0) : max(int(right) - 1, 1), :3].reshape(-1, 3)
        values, counts = np.unique(patch_behind, axis=0, return_counts=True)
        for value, count in zip(values, counts, strict=True):
            behind = to_hex(value / 255)
            if count > 0.08 * counts.sum() and contrast(color, behind) < least:
                found.append((text.get_text(), color, behind))
    return found
