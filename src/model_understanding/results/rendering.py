"""Saving and displaying of reports and comparisons: the only module of ``results`` that calls ``show``."""

import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

from model_understanding.results.files import FIGURE_SUFFIXES, csv_text, save_as
from model_understanding.results.serialization import JsonResult

if TYPE_CHECKING:
    import pandas


class Rendered(JsonResult, abstract=True):
    """A result that ``show`` can render as a page, a figure, in a notebook or in a terminal."""

    __slots__ = ()

    SUFFIXES: ClassVar[tuple[str, ...]] = (".html", *FIGURE_SUFFIXES, ".json", ".csv")
    """The formats that ``save`` writes."""

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the result in the format of the file's suffix.

        ``.html`` is a self-contained page; ``.png``, ``.svg`` and ``.pdf`` are figures; ``.json`` has
        everything and can be loaded again (attention of 4,096 weights and more is rounded to a 65,535th of
        its largest; ``to_json`` has every digit); ``.csv`` has the scores; ``.npz`` (reports only) has
        everything with every digit, the arrays under names of their own.

        Args:
            path: File to write; it is written atomically.

        Returns:
            The path written.

        Raises:
            InputError: The suffix is not supported, or the file cannot be written.
        """
        return save_as(path, self.SUFFIXES, self._bytes)

    def show(self) -> None:
        """Show the result: the page in a notebook, figures in a window, colored text elsewhere."""
        _show().show(self)

    def to_html(self) -> str:
        """Return the result as a self-contained HTML page."""
        return _show().render(self, ".html").decode("utf-8")

    def _repr_html_(self) -> str:
        return self._repr_mimebundle_()["text/html"]

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        """Return the result by MIME type: the page, and a figure for frontends that show no HTML."""
        return _show().notebook_bundle(self)

    def _bytes(self, suffix: str) -> bytes:
        if suffix == ".json":  # an unpaired surrogate, which UTF-8 cannot encode, as a JSON escape
            return (self.to_json(indent=1, pack=True) + "\n").encode("utf-8", "backslashreplace")
        if suffix == ".csv":
            return csv_text(self._table()).encode("utf-8", "backslashreplace")
        return _show().render(self, suffix)

    def _table(self) -> "pandas.DataFrame":
        """Return the scores for ``.csv``."""
        raise NotImplementedError


def render_reports(entries: Sequence[Any]) -> str:
    """Return the reports of many texts (``reports.Entry``) as one self-contained HTML page."""
    return _show().render_reports(entries)


def _show() -> ModuleType:
    from model_understanding import show

    return show
