"""The content of an answer map's page without scripts: strings and numbers, which the template escapes."""

from typing import Any

from model_understanding.results import AnswerMap
from model_understanding.results.answer_map import CITED, Origin
from model_understanding.show.page.blocks import Paragraph, Word, word_style
from model_understanding.show.shared.words import cautions_of, printable, provenance_rows
from model_understanding.show.views.answer_map import headline, headline_parts, unfounded_words
from model_understanding.show.views.sourced_answer import (
    NUMBERS,
    ShownSource,
    SourcedAnswer,
    how_to_read,
    nats,
    note_of,
    origin_of,
    prompt_text,
    strength_of,
)

_MARK = "font-size:0.72em;font-weight:600;margin:0 2px"
_STYLES: dict[Origin, str] = {"nothing": "border-bottom:2px dashed", "unclear": "border-bottom:2px dotted"}
_OMITTED = "opacity:0.7;font-style:italic"


def answer_map_content(answer_map: AnswerMap) -> dict[str, Any]:
    """Return the values of the template of an answer map.

    Args:
        answer_map: The answer map.

    Returns:
        Values by name.
    """
    view = SourcedAnswer(answer_map)
    columns = view.columns()
    others = [index for index, source in enumerate(view.sources) if not (source.statements or source.others)]
    return {
        "title": headline(answer_map),
        "origin": origin_of(answer_map),
        "headline": headline_parts(answer_map),
        "note": note_of(answer_map),
        "cautions": cautions_of(answer_map),
        "question": printable(answer_map.question),
        "answer": (_answer(view),),
        "unfounded": unfounded_words(answer_map),
        "statements": [
            (
                f"{place}. {each.text}",
                each.verdict,
                [
                    (view.name(effect.source), f"effect {nats(effect.effect)}: {effect.words}", effect.quote)
                    for effect in each.effects
                ],
            )
            for place, each in enumerate(view.statements, start=1)
        ],
        "sources": [
            (view.name(index), (_text(source),), source.hint)
            for index, source in enumerate(view.sources)
            if source.statements or source.others
        ],
        "others": [view.name(index) for index in others],
        "little": "with little or negative effect"
        if (view.statement_effects[:, others] <= -CITED).any()
        else "with little effect",
        "columns": [f"[{source + 1}]" for source in columns],
        "rows": [
            (f"{place}. {each.text}", [nats(float(effects[source])) for source in columns], nats(without))
            for place, (each, effects, without) in enumerate(
                zip(
                    view.statements,
                    view.statement_effects,
                    (float(each.without_sources) for each in answer_map.statements),
                    strict=True,
                ),
                start=1,
            )
        ],
        "notes": (*NUMBERS, *how_to_read(answer_map)),
        "prompt": prompt_text(answer_map),
        "layout": printable(answer_map.layout, 200),
        "missing": [printable(name, 100) for name in answer_map.missing],
        "provenance": [(name, printable(value)) for name, value in provenance_rows(answer_map.provenance)],
    }


def _answer(view: SourcedAnswer) -> Paragraph:
    effects = view.by_word(view.answer_map.without_sources[None])[0]
    words: list[Word] = []
    runs = view.runs
    for index, run in enumerate(runs):
        if run.word < 0:
            words.append(Word(text=run.text))
        elif run.is_pill:
            words.append(Word(text=run.text, is_pill=True))
        else:
            strength = strength_of(float(effects[run.word]))
            style = word_style(strength, signed=True) if abs(strength) >= 0.1 else ""
            origin = None if run.statement < 0 else view.statements[run.statement].origin
            own = _STYLES.get(run.origin or origin or "sources", "")
            tip = f"effect {nats(float(effects[run.word]))} of all sources"
            bold = "font-weight:600" if run.origin else ""
            words.append(Word(text=run.text, style=";".join(filter(None, (style, own, bold))), tip=tip))
        following = runs[index + 1].statement if index + 1 < len(runs) else -1
        if run.statement >= 0 and following != run.statement:
            shown = view.statements[run.statement]
            mark = "".join(f"[{source + 1}]" for source in shown.sources) or f"[{shown.mark}]"
            words.append(Word(text=f" {mark}", style=_MARK))
    return Paragraph(words=tuple(words), direction=view.direction)


def _text(source: ShownSource) -> Paragraph:
    words: list[Word] = []
    omitted = 0
    for sentence in (each for each in source.sentences if not each.is_title):
        if not sentence.is_kept:
            omitted += 1
            continue
        if omitted:
            words.append(_omitted(omitted))
            omitted = 0
        strength = strength_of(sentence.effect)
        faded = sentence.is_estimate
        style = word_style(strength, signed=True, faded=faded) if strength >= 0.1 else ""
        what = "largest estimated effect" if faded else "largest effect"
        tip = f"{what} {nats(sentence.effect)}" if sentence.row >= 0 else ""
        text = sentence.text.strip()
        lead, _, trail = sentence.text.partition(text)
        words += [Word(text=lead), Word(text=text, style=style, tip=tip), Word(text=trail)]
    if omitted:
        words.append(_omitted(omitted))
    return Paragraph(words=tuple(words), direction=source.direction)


def _omitted(count: int) -> Word:
    return Word(text=f" … {count} sentences … ", style=_OMITTED)
