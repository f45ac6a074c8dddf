"""Axes of the user: a plot stays in their place with its title and labels, and agrees with shared axes."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox

from model_understanding.errors import InputError
from model_understanding.show.figures.frame import EDGE, AxisContent, Panel, house_style, new_axes
from model_understanding.show.shared.colors import Palette

if TYPE_CHECKING:
    from matplotlib.artist import Artist

_SLACK = 0.97  # of the width that a layout engine gives, since other axes may still get labels
_PADDING = 0.04  # inches between a place and what is drawn in it
_LEAST = 0.12  # share of a place that the axes keep, whatever their labels need
_HINT = "Create the axes without sharex and sharey; vmin and vmax put plots on one scale."


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The place of a user's axes.

    Args:
        width: Its width in inches.
        height: Its height in inches.
        x: What axes that share its x axis show on it; ``None`` if there are none.
        y: What axes that share its y axis show on it.
        shares_x: Whether other axes share the x axis.
        shares_y: Whether other axes share the y axis.
        shows_x: Whether the x axis has labels; of shared axes only the outer ones have.
        shows_y: Whether the y axis has labels.
    """

    width: float
    height: float
    x: AxisContent | None = None
    y: AxisContent | None = None
    shares_x: bool = False
    shares_y: bool = False
    shows_x: bool = True
    shows_y: bool = True


Plan = Callable[[Room | None], Panel]
"""Plans a panel for the place of a user's axes, or without one of the size that its text needs."""


def draw_plot(
    plan: Plan, colors: Palette, axes: Axes | None, figsize: tuple[float, float] | None = None
) -> Axes:
    """Draw a plot into axes of the user, or into a new pyplot figure.

    Args:
        plan: Plans the plot.
        colors: The theme's colors.
        axes: Axes of the user.
        figsize: Width and height of a new figure in inches; by default it grows with the text.

    Returns:
        The axes.

    Raises:
        InputError: The axes cannot hold the plot, or share an axis with a plot of something else.
    """
    if axes is not None and figsize is not None:
        raise InputError(
            f"figsize={figsize!r} is the size of a new figure, but ax was given.",
            hint="Leave figsize out, and make your figure of that size.",
        )
    with house_style():
        if axes is not None:
            return _draw_into(_checked(axes), plan, colors)
        if figsize is None:
            return new_axes(plan(None), colors)
        from matplotlib import pyplot

        width, height = _checked_size(figsize)
        figure = pyplot.figure(figsize=(width, height), facecolor=colors.background)
        edges = EDGE / width, EDGE / height
        inner = figure.add_axes((*edges, 1 - 2 * edges[0], 1 - 2 * edges[1]))
        return _draw_into(inner, plan, colors)


def _checked(axes: Any) -> Axes:
    if isinstance(axes, np.ndarray | list | tuple):
        raise InputError(f"ax holds {np.size(axes)} axes.", hint="Pass one of them, for example ax=axes[0].")
    if not isinstance(axes, Axes) or axes.name != "rectilinear":
        kind = getattr(axes, "name", None) or type(axes).__name__
        raise InputError(
            f"ax must be ordinary matplotlib axes; got {kind!r}.", hint="Make them with plt.subplots()."
        )
    return axes


def _checked_size(figsize: Any) -> tuple[float, float]:
    try:
        width, height = (float(side) for side in figsize)
    except (TypeError, ValueError):
        width = height = 0.0
    if not 1 <= min(width, height) <= max(width, height) <= 200:
        raise InputError(
            f"figsize must be a width and a height in inches, from 1 to 200. Got {figsize!r}.",
            hint="Pass figsize=(8, 5).",
        )
    return width, height


class _Fit:
    """Locates axes such that their title, labels and legend are inside the place that the axes had.

    Args:
        axes: The axes.
    """

    def __init__(self, axes: Axes) -> None:
        self.get_subplotspec = axes.get_subplotspec  # which a tight layout asks a locator for
        self.outer = axes.get_axes_locator()  # of axes that others locate: insets, dividers
        self.artists: list[Artist] = []
        self.margins = (0.0, 0.0, 0.0, 0.0)  # inches: left, right, top, bottom
        self.x: AxisContent | None = None
        self.y: AxisContent | None = None
        self.backdrop: Rectangle | None = None

    def place(self, axes: Axes, renderer: Any) -> Bbox:
        """Return the place in fractions of the figure or subfigure."""
        if self.outer is not None:
            return self.outer(axes, renderer)
        return axes.get_position(original=True)

    def __call__(self, axes: Any, renderer: Any) -> Bbox:
        place = self.place(axes, renderer)
        width, height = _figure_size(axes)
        if self.is_gone:
            return place
        left, right, top, bottom = (margin + _PADDING for margin in self.margins)
        x0, x1 = _inner(place.x0, place.x1, left / width, right / width)
        y0, y1 = _inner(place.y0, place.y1, bottom / height, top / height)
        if self.backdrop is not None:
            self.backdrop.set_bounds(*place.bounds)
        return Bbox.from_extents(x0, y0, x1, y1)

    @property
    def is_gone(self) -> bool:
        """Whether the user has cleared the axes since."""
        return bool(self.artists) and self.artists[0].axes is None

    def clear(self, axes: Axes) -> None:
        """Remove what an earlier plot drew."""
        if self.artists:
            for container in list(axes.containers):
                if all(any(bar is artist for artist in self.artists) for bar in container):
                    container.remove()
            axes.set(title="", xlabel="", ylabel="")
        drawn = {id(artist) for artist in axes.get_children()}
        for artist in self.artists:
            if id(artist) not in drawn:  # the user has removed it
                continue
            colorbar = getattr(artist, "colorbar", None)
            if colorbar is not None:
                drawn.discard(id(colorbar.ax))
                colorbar.remove()
            artist.remove()
        if self.backdrop is not None:
            self.backdrop.remove()
        self.artists, self.backdrop, self.x, self.y = [], None, None, None
        self.margins = (0.0, 0.0, 0.0, 0.0)


def _inner(start: float, end: float, before: float, after: float) -> tuple[float, float]:
    """Return a span without its margins, which shrink where too little would remain."""
    scale = min(1.0, (1 - _LEAST) * (end - start) / max(before + after, 1e-9))
    return start + scale * before, end - scale * after


def _draw_into(axes: Axes, plan: Plan, colors: Palette) -> Axes:
    fit = axes.get_axes_locator()
    if isinstance(fit, _Fit):
        fit.clear(axes)
    else:
        fit = _Fit(axes)
        axes.set_axes_locator(fit)
    shared = {name: _fits_on(axes, name) for name in ("x", "y")}
    panel = plan(_room(axes, fit, shared))
    for name in ("x", "y"):
        _check_agreement(axes, name, getattr(panel, name), shared[name])
    limits = {name: getattr(axes, f"get_{name}lim")() for name, fits in shared.items() if fits}
    before = {id(artist) for artist in axes.get_children()}
    fit.margins = (panel.left, panel.right, panel.top, panel.bottom)
    fit.x, fit.y = panel.x, panel.y
    _align(axes, fit)
    _add_backdrop(axes, fit, colors)
    axes.set_aspect("auto")
    _locate(axes, fit)
    panel.draw(axes)
    fit.artists = [artist for artist in axes.get_children() if id(artist) not in before]
    for name, (low, high) in limits.items():
        content: AxisContent | None = getattr(panel, name)
        if content is not None and content.kind == "scores":
            now = getattr(axes, f"get_{name}lim")()
            start, end = min(low, now[0]), max(high, now[1])
            # The room for values was planned for a shorter scale.
            room = 0.08 * (end - start) if now != (low, high) else 0.0
            getattr(axes, f"set_{name}lim")(
                start - (room if start < 0 else 0), end + (room if end > 0 else 0)
            )
    return axes


def _fits_on(axes: Axes, name: str) -> "list[tuple[Axes, _Fit | None]]":
    """Return the other axes that share an axis with some axes and show something on it."""
    group = axes.get_shared_x_axes() if name == "x" else axes.get_shared_y_axes()
    others = [other for other in group.get_siblings(axes) if other is not axes]
    fits = [(other, other.get_axes_locator()) for other in others]
    return [
        (other, fit if isinstance(fit, _Fit) else None)
        for other, fit in fits
        if (isinstance(fit, _Fit) and fit.artists and not fit.is_gone)
        or (not isinstance(fit, _Fit) and other.has_data())
    ]


def _room(axes: Axes, fit: _Fit, shared: "dict[str, list[tuple[Axes, _Fit | None]]]") -> Room:
    figure = axes.get_figure(root=True)
    engine = figure.get_layout_engine() if figure is not None else None
    if figure is not None and engine is not None:
        axes.set_in_layout(False)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a layout that is too tight is reported when it is drawn
                engine.execute(figure)
        finally:
            axes.set_in_layout(True)
    place = fit.place(axes, _renderer(axes))
    width, height = _figure_size(axes)
    slack = 1.0 if engine is None else _SLACK
    contents = {
        name: next((getattr(other, name) for _, other in fits if other is not None), None)
        for name, fits in shared.items()
    }
    return Room(
        width=max(slack * place.width * width - 2 * _PADDING, 0.2),
        height=max(slack * place.height * height - 2 * _PADDING, 0.2),
        x=contents["x"],
        y=contents["y"],
        shares_x=len(axes.get_shared_x_axes().get_siblings(axes)) > 1,
        shares_y=len(axes.get_shared_y_axes().get_siblings(axes)) > 1,
        shows_x=bool(axes.xaxis.get_tick_params().get("labelbottom", True)),
        shows_y=bool(axes.yaxis.get_tick_params().get("labelleft", True)),
    )


def _check_agreement(
    axes: Axes, name: str, content: AxisContent | None, shared: "list[tuple[Axes, _Fit | None]]"
) -> None:
    """Raise InputError if an axis would show labels or a scale that belong to other axes."""
    for _, fit in shared:
        if fit is None:
            if content is not None and content.kind == "scores":
                continue
            raise InputError(
                f"These axes share their {name} axis with axes that hold other data, whose labels would be "
                "replaced.",
                hint=_HINT,
            )
        other: AxisContent | None = getattr(fit, name)
        if other is None or content is None or other != content:
            raise InputError(
                f"These axes share their {name} axis with a plot of {_described(other)}; this plot has "
                f"{_described(content)} there.",
                hint=_HINT,
            )


def _described(content: AxisContent | None) -> str:
    if content is None:
        return "something else"
    if content.kind == "scores":
        return f"“{content.labels[0]}”"
    listed = ", ".join(label.strip() for label in content.labels[:4])
    return f"the tokens {listed}{', …' if len(content.labels) > 4 else ''}"


def _align(axes: Axes, fit: _Fit) -> None:
    """Give plots of one row or column that share an axis the same margins, so that they are in line."""
    for name, first, second in (("y", 2, 3), ("x", 0, 1)):
        group = axes.get_shared_y_axes() if name == "y" else axes.get_shared_x_axes()
        for other in group.get_siblings(axes):
            beside = other.get_axes_locator()
            if other is axes or not isinstance(beside, _Fit) or getattr(beside, name) is None:
                continue
            ours, theirs = axes.get_position(original=True), other.get_position(original=True)
            spans = [box.intervaly if name == "y" else box.intervalx for box in (ours, theirs)]
            if np.allclose(spans[0], spans[1]):
                margins = [
                    max(pair) if side in (first, second) else pair[0]
                    for side, pair in enumerate(zip(fit.margins, beside.margins, strict=True))
                ]
                fit.margins = (margins[0], margins[1], margins[2], margins[3])
                changed = list(beside.margins)
                changed[first], changed[second] = margins[first], margins[second]
                beside.margins = (changed[0], changed[1], changed[2], changed[3])
                _locate(other, beside)


def _add_backdrop(axes: Axes, fit: _Fit, colors: Palette) -> None:
    """Put the theme's background behind the plot if the figure has another one."""
    figure = axes.get_figure(root=False)
    if figure is None or to_hex(figure.get_facecolor()) == colors.background:
        return
    fit.backdrop = Rectangle((0, 0), 1, 1, facecolor=colors.background, linewidth=0, zorder=-1)
    fit.backdrop.set_transform(figure.transSubfigure)
    fit.backdrop.set_in_layout(False)
    figure.add_artist(fit.backdrop)


def _locate(axes: Axes, fit: _Fit) -> None:
    axes.apply_aspect(fit(axes, _renderer(axes)))


def _renderer(axes: Axes) -> Any:
    figure = axes.get_figure(root=True)
    make = getattr(figure.canvas, "get_renderer", None) if figure is not None else None
    return make() if make is not None else None


def _figure_size(axes: Axes) -> tuple[float, float]:
    """Return the size in inches of the figure or subfigure that holds the axes."""
    figure, root = axes.get_figure(root=False), axes.get_figure(root=True)
    assert figure is not None
    assert root is not None
    return figure.bbox.width / root.dpi, figure.bbox.height / root.dpi
