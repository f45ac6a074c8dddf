"""Displaying and saving of results: the only module of ``results`` that calls ``show``."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from model_understanding.results.files import FIGURE_SUFFIXES, csv_text, reading, save_as
from model_understanding.results.serialization import JsonResult

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

_MAX_REPR = 400  # characters


class Displayed(JsonResult, abstract=True):
    """A result that describes itself in a few lines and shows itself in a notebook.

    Dataclasses that inherit it are declared with ``repr=False``: theirs would print every number.
    """

    __slots__ = ("__weakref__",)  # a notebook's figure is kept as long as its result

    def __str__(self) -> str:
        return "\n".join(_show().summary_lines(self))

    def __repr__(self) -> str:
        name = type(self).__name__
        try:
            text = " · ".join(_show().summary_lines(self))
        except Exception:  # a debugger also shows a result whose fields are not set yet
            return f"<{name}>"
        return f"<{name}: {text if len(text) <= _MAX_REPR else f'{text[:_MAX_REPR]}…'}>"

    def show(self) -> None:
        """Show the result: the page in a notebook, figures in a window, text elsewhere."""
        _show().show(self)

    def _repr_html_(self) -> str:
        return self._repr_mimebundle_(include=("text/html",))["text/html"]

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, Any]:
        """Return the result by MIME type: text, the page, and a figure for frontends that show no HTML."""
        return _show().notebook_bundle(self, include, exclude)


class Rendered(Displayed, abstract=True):
    """A result that ``show`` can also save as a page or a figure."""

    __slots__ = ()

    SUFFIXES: ClassVar[tuple[str, ...]] = (".html", *FIGURE_SUFFIXES, ".json", ".csv")
    """The formats that ``save`` writes."""

    def save(self, path: str | os.PathLike[str], *, exact: bool = False) -> Path:
        """Write the result in the format of the file's suffix.

        ``.html`` is a self-contained page; ``.png``, ``.svg`` and ``.pdf`` are figures; ``.csv`` has the
        scores. ``.json`` and ``.npz`` (reports and attention maps, the arrays under names of their own) can
        be loaded again and give the same page, figures and text: scores and the matrix that is printed
        have every digit, attention weights of several layers or heads are rounded by at most 0.01 % of the
        largest unless ``exact``.

        Args:
            path: File to write; it is written atomically.
            exact: Whether ``.json`` and ``.npz`` have every digit of the attention weights, which makes them
                two to three times as large. A map that is saved by itself always has.

        Returns:
            The path written.

        Raises:
            InputError: The suffix is not supported, or the file cannot be written.
        """
        return save_as(path, self.SUFFIXES, lambda suffix: self._bytes(suffix, exact))

    def to_html(self) -> str:
        """Return the result as a self-contained HTML page."""
        return _show().render(self, ".html").decode("utf-8")

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return the result as a table, as ``.csv`` has it."""
        raise NotImplementedError

    def _bytes(self, suffix: str, exact: bool) -> bytes:
        if suffix == ".json":  # an unpaired surrogate, which UTF-8 cannot encode, as a JSON escape
            text = self.to_json(indent=1, pack=True, exact=exact)
            return f"{text}\n".encode("utf-8", "backslashreplace")
        if suffix == ".csv":
            return csv_text(self.to_dataframe()).encode("utf-8", "backslashreplace")
        return _show().render(self, suffix)


class Drawn(Rendered, abstract=True):
    """A result that is a plot by itself."""

    __slots__ = ()

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw the result with matplotlib.

        Args:
            ax: Axes to draw into; by default a new pyplot figure that grows with the text.
            **options: Options of ``plot_saliency`` for an attribution, of ``plot_attention`` for an attention
                map, of ``plot_ledger`` for a ledger: ``level="word"``, ``theme="dark"`` and so on; of a diff
                the same as of a ledger, with ``kind`` one of ``modules``, ``blocks`` and ``tokens``; of an
                answer map the same without ``kind``.

        Returns:
            The axes.
        """
        return _show().plot(self, ax, options)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a result that ``save`` wrote as ``.json``; drawing it needs no torch.

        Args:
            path: The file.

        Returns:
            The result.

        Raises:
            InputError: The file does not exist or holds something else.
        """
        source, name = Path(path).expanduser(), cls.__name__
        with reading(
            f"{'an' if name[0] in 'AEIOU' else 'a'} {name}", source, f"{cls.__name__}.save('x.json')"
        ):
            return cls.from_json(source.read_text(encoding="utf-8"))


def render_reports(entries: Sequence[Any]) -> str:
    """Return the reports of many texts (``reports.Entry``) as one self-contained HTML page."""
    return _show().render_reports(entries)


def _show() -> ModuleType:
    from model_understanding import show

    return show
