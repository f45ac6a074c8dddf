"""Colored words and bars of a page without scripts, with inline styles.

The styles stay where a style sheet is removed: in untrusted notebooks, on GitHub, in nbconvert and e-mail.
Colors are translucent, so that one set is right on light and dark backgrounds. The templates of
``blocks.html.jinja`` draw these forms.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from model_understanding.show.shared.colors import tint
from model_understanding.show.shared.runs import Run, direction_of
from model_understanding.show.views.answer import AnswerView
from model_understanding.show.views.saliency import SaliencyView, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A span of text.

    Args:
        text: The text.
        style: Inline style; empty for plain text.
        tip: Tooltip; empty for none.
        is_pill: Whether it is set apart from the text: a special token.
    """

    text: str
    style: str = ""
    tip: str = ""
    is_pill: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """Words in the reading direction of their text; ``side`` says which of two it is, as in ``question``."""

    words: tuple[Word, ...]
    direction: str
    side: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bar: its length in percent, and its inline style."""

    width: float
    style: str


def colored_text(view: SaliencyView) -> tuple[Paragraph, ...]:
    """Return the text of a view, each word in the color of its score and with its numbers as tooltip.

    Args:
        view: The view.
    """
    return tuple(
        paragraph(
            [_word(run, view) for run in part.runs],
            [run.text for run in part.runs if not run.is_pill],
            side=part.side,
        )
        for part in view.paragraphs
    )


def paragraph(words: Sequence[Word], texts: Sequence[str] | None = None, side: str = "") -> Paragraph:
    """Return words as a paragraph.

    Args:
        words: The words.
        texts: The texts that decide the direction; by default all words that are not set apart.
        side: What the text is of two; empty for a single text.
    """
    if texts is None:
        texts = [word.text for word in words if not word.is_pill]
    return Paragraph(words=tuple(words), direction=direction_of(texts), side=side)


def word_style(strength: float, signed: bool, *, faded: bool = False) -> str:
    """Return the inline style of a colored word.

    Args:
        strength: Its color, from −1 to 1.
        signed: Whether the sign has a meaning.
        faded: Whether the scores are not supported: pale, with a dashed line.
    """
    color = tint(abs(strength), _kind(strength, signed), faded=faded)
    return f"background-color:{color};border-radius:3px" + (";border-bottom:1px dashed" if faded else "")


def bar(strength: float, signed: bool, *, faded: bool = False, kind: str = "") -> Bar:
    """Return a bar.

    Args:
        strength: Its length, from −1 to 1.
        signed: Whether the sign has a meaning.
        faded: Whether the scores are not supported: pale, with a dashed border.
        kind: Kind of color, by default that of the sign; see ``tint``.
    """
    style = f"background-color:{tint(1.0, kind or _kind(strength, signed), faded=faded)}"
    return Bar(width=100 * min(abs(strength), 1.0), style=style + (";border:1px dashed" if faded else ""))


MARKED = "border:1.5px solid #8a63d2;border-radius:4px;padding:0 2px"
_TAG = "font-size:0.72em;font-weight:600;margin:0 2px"


def marked_text(answer: AnswerView) -> tuple[Paragraph, ...]:
    """Return the texts of an answer with its marks: entities, the answer span, masks.

    Args:
        answer: The answer.
    """
    found = []
    for part in answer.marked:
        words: list[Word] = []
        for text, index in part.parts:
            if index < 0:
                words.append(Word(text=text))
                continue
            mark = answer.marks[index]
            tip = f"{mark.label} {mark.value}"
            words += [
                Word(text=text, style=MARKED, tip=tip),
                Word(text=f" {mark.label} ", style=_TAG, tip=tip),
            ]
        found.append(paragraph(words, [text for text, _ in part.parts], side=part.side))
    return tuple(found)


def _kind(strength: float, signed: bool) -> str:
    return "unsigned" if not signed else "supports" if strength >= 0 else "against"


def _word(run: Run, view: SaliencyView) -> Word:
    if run.unit is None:
        return Word(text=run.text)
    unit = view.units[run.unit]
    tip = unit_tip(unit)
    if unit.special and run.source >= 0:  # of a chat template: part of the text
        return Word(text=run.text, style="opacity:0.7;font-style:italic", tip=tip)
    style = word_style(unit.strength, view.signed, faded=view.faded) if unit.colored else ""
    if unit.target:
        style = f"{style};font-weight:600".lstrip(";")
    return Word(text=run.text, style=style, tip=tip, is_pill=run.is_pill)


def unit_tip(unit: Unit) -> str:
    """Return the numbers of a unit as a tooltip; empty without a score."""
    return f"{unit.share_text} · score {unit.score_text}" if unit.scored else ""
