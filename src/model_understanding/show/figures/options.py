"""What a caller sets of a plot, by the names and meanings of ``seaborn.heatmap``."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from matplotlib.colors import Colormap, ListedColormap

from model_understanding.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlotOptions:
    """What a caller sets of a plot; ``None`` leaves it to the plot.

    Args:
        title: The title; empty for none.
        vmin: Value at the start of the scale.
        vmax: Value at the end of the scale; with the same limits several plots are on one scale.
        cmap: Colors of the scale: a name, a matplotlib colormap, or a list of colors.
        annot: Whether values are written, or the texts to write, one per cell.
        fmt: Format of the written values, for example ``.2f``.
        cbar: Whether there is a color bar.
    """

    title: str | None = None
    vmin: float | None = None
    vmax: float | None = None
    cmap: Any = None
    annot: Any = None
    fmt: str | None = None
    cbar: bool | None = None

    def __post_init__(self) -> None:
        for name in ("vmin", "vmax"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, Real) and math.isfinite(value)):
                raise InputError(f"{name} must be a finite number. Got {value!r}.", hint=f"Leave {name} out.")
        if self.vmin is not None and self.vmax is not None and self.vmin >= self.vmax:
            raise InputError(
                f"vmin={self.vmin:g} must be less than vmax={self.vmax:g}.", hint="Exchange the two."
            )
        if self.fmt is not None:
            self.formatted(0.5)
        self.color_map()

    @property
    def has_limits(self) -> bool:
        """Whether the caller sets the scale."""
        return self.vmin is not None or self.vmax is not None

    def titled(self, title: str) -> str:
        """Return the caller's title if there is one, else the plot's."""
        return title if self.title is None else self.title

    def formatted(self, value: float) -> str:
        """Return a value in the caller's format.

        Raises:
            InputError: It is no format of a number.
        """
        try:
            return format(value, self.fmt or "").replace("-", "−")
        except (ValueError, TypeError) as error:
            raise InputError(
                f"fmt={self.fmt!r} is no format of a number.", hint="Pass for example fmt='.2f'."
            ) from error

    def color_map(self) -> Colormap | None:
        """Return the caller's colors; ``None`` for those of the theme.

        Raises:
            InputError: They are no colors.
        """
        if self.cmap is None or isinstance(self.cmap, Colormap):
            return self.cmap
        import seaborn

        try:
            if isinstance(self.cmap, str):
                return seaborn.color_palette(self.cmap, as_cmap=True)
            return ListedColormap([tuple(color) for color in seaborn.color_palette(self.cmap)])
        except (ValueError, TypeError) as error:
            raise InputError(
                f"Unknown cmap {self.cmap!r}. Allowed: a matplotlib colormap or its name, a seaborn palette, "
                "a list of colors.",
                hint="Pass for example cmap='viridis'.",
            ) from error

    def cell_texts(self, shape: tuple[int, int]) -> tuple[tuple[str, ...], ...] | None:
        """Return the texts that the caller wants in the cells; ``None`` for none of his own.

        Raises:
            InputError: They are not one per cell.
        """
        if self.annot is None or isinstance(self.annot, bool | np.bool_):
            return None
        texts = np.asarray(self.annot)
        if texts.shape != shape:
            raise InputError(
                f"annot has the shape {texts.shape}, the plot {shape[0]} × {shape[1]} cells.",
                hint="Pass annot=True for the plot's own values.",
            )
        return tuple(
            tuple(
                self.formatted(text) if self.fmt and isinstance(text, int | float) else str(text)
                for text in row
            )
            for row in texts.tolist()
        )

    def refuse(self, what: str, *names: str) -> None:
        """Raise InputError if the caller set one of some options that a plot does not have.

        Args:
            what: The plot, for the message.
            *names: The options.
        """
        for name in names:
            if getattr(self, name) is not None:
                allowed = [other for other in self.__slots__ if other not in names]
                raise InputError(
                    f"{what} has no {name}. Allowed: {', '.join(allowed)}.", hint=f"Leave {name} out."
                )


NO_OPTIONS = PlotOptions()
