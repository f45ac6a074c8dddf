"""The data of the page of an answer map: ``AnswerMapPayload`` of ``static/payload.schema.json``."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from model_understanding.results import AnswerMap
from model_understanding.show.payload.parts import SCHEMA, encoded_palette, script_json
from model_understanding.show.shared.words import cautions_of, printable, provenance_rows
from model_understanding.show.views.answer_map import headline, headline_parts, unfounded_words
from model_understanding.show.views.sourced_answer import (
    NUMBERS,
    REACH,
    SCALE,
    ShownSource,
    ShownStatement,
    SourcedAnswer,
    how_to_read,
    note_of,
    origin_of,
    prompt_text,
)

_DIGITS = 3  # significant digits of effects on words, which only color them
_LEAST = 0.005  # nats of an effect on a word that is written


def answer_map_payload(answer_map: AnswerMap) -> dict[str, Any]:
    """Return the data of the page of an answer map.

    Args:
        answer_map: The answer map.

    Returns:
        ``AnswerMapPayload`` of the schema.
    """
    view = SourcedAnswer(answer_map)
    return {
        "schema": SCHEMA,
        "title": headline(answer_map),
        "origin": origin_of(answer_map),
        "headline": _names(headline_parts(answer_map)),
        "question": "\n".join(map(printable, answer_map.question.strip().split("\n"))),
        "note": note_of(answer_map),
        "isCompared": bool(answer_map.against),
        "unfounded": unfounded_words(answer_map),
        "cautions": list(cautions_of(answer_map)),
        "direction": view.direction,
        "runs": [
            {
                "text": run.text,
                "statement": run.statement,
                "word": run.word,
                "origin": run.origin or "",
                "isPill": run.is_pill,
            }
            for run in view.runs
        ],
        "statements": [
            _statement(each, effects, sentences)
            for each, effects, sentences in zip(
                view.statements,
                _rounded(view.statement_effects, 7),
                _rounded(view.sentence_effects, 7),
                strict=True,
            )
        ],
        "sources": [_source(each) for each in view.sources],
        "columns": list(view.columns()),
        "words": {
            "all": _rounded(view.by_word(answer_map.without_sources[None]))[0],
            "sources": _rounded(view.by_word(answer_map.effects)),
            "sentences": _rounded(view.by_word(answer_map.sentence_effects[view.measured])),
        },
        "scale": SCALE,
        "reach": REACH,
        "numbers": list(NUMBERS),
        "howToRead": list(how_to_read(answer_map)),
        "layout": printable(answer_map.layout, 200),
        "prompt": prompt_text(answer_map),
        "missing": [printable(name, 100) for name in answer_map.missing],
        "provenance": [
            {"name": name, "value": printable(value)}
            for name, value in provenance_rows(answer_map.provenance)
        ],
        "palette": encoded_palette(),
    }


def answer_map_json(answer_map: AnswerMap) -> str:
    """Return the payload as JSON that may stand in a page's script element."""
    return script_json(answer_map_payload(answer_map))


def _statement(shown: ShownStatement, effects: list[float], sentences: list[float]) -> dict[str, Any]:
    return {
        "text": shown.text,
        "origin": shown.origin,
        "mark": shown.mark,
        "sources": list(shown.sources),
        "verdict": _names(shown.verdict),
        "effects": effects,
        "sentences": sentences,
        "attributed": [
            {
                "source": each.source,
                "effect": each.effect,
                "words": each.words,
                "sentence": each.sentence,
                "quote": each.quote,
                "more": each.more,
                "isMain": each.is_main,
            }
            for each in shown.effects
        ],
        "values": [{"text": text, "origin": origin, "words": words} for text, origin, words in shown.values],
        "more": [{"name": name, "value": value} for name, value in shown.more],
    }


def _names(parts: Iterable[tuple[str, int]]) -> list[dict[str, Any]]:
    return [{"text": text, "source": source} for text, source in parts if text]


def _source(shown: ShownSource) -> dict[str, Any]:
    return {
        "name": shown.name,
        "direction": shown.direction,
        "statements": list(shown.statements),
        "others": list(shown.others),
        "hint": shown.hint,
        "isEstimate": shown.is_estimate,
        "sentences": [
            {
                "text": each.text,
                "row": each.row,
                "isTitle": each.is_title,
                "isKept": each.is_kept,
            }
            for each in shown.sentences
        ],
    }


def _rounded(values: np.ndarray, digits: int = _DIGITS) -> list[list[float]]:
    """Return rows of numbers with a few significant digits; next to nothing is 0."""
    return [
        [float(f"{value:.{digits}g}") if abs(value) >= _LEAST else 0 for value in row]
        for row in np.asarray(values, dtype=np.float64).tolist()
    ]
