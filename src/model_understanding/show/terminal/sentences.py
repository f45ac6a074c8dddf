"""Text in which a number stays on one line with its unit."""

import re
from typing import Any

from rich.console import Console
from rich.containers import Lines
from rich.text import Text

_JOINT = "\ue000"  # rich breaks lines at every blank, no-break ones included


class Sentence(Text):
    """Text that is not broken between a number and ``%``."""

    def wrap(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, console: Console, width: int, **options: Any
    ) -> Lines:
        """Return the text in lines."""
        joined = self.copy()
        joined.plain = re.sub(r"(?<=\d) (?=%)", _JOINT, joined.plain)
        lines = joined.wrap(console, width, **options)
        for line in lines:
            line.plain = line.plain.replace(_JOINT, " ")
        return lines

    @classmethod
    def of(cls, *pieces: "str | Text | tuple[str, str]", style: str = "") -> "Sentence":
        """Return a sentence of pieces, each with its style if it has one.

        Args:
            *pieces: Text, or text and its style.
            style: The style of all.
        """
        sentence = cls(style=style)
        for piece in pieces:
            sentence.append_text(Text.assemble(piece))
        return sentence
