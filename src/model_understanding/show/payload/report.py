"""The data of a report's interactive page: ``Payload`` of ``static/payload.schema.json``."""

from typing import Any

import numpy as np

from model_understanding.results import Attribution, Evaluation, Prediction, Report, TokenLinks
from model_understanding.results import Generation as GenerationResult
from model_understanding.results.target import LANGUAGE_TASKS
from model_understanding.show.payload.attention import encoded_heads, encoded_maps
from model_understanding.show.payload.parts import (
    SCHEMA,
    decimal,
    decimals,
    encoded_agreements,
    encoded_lens,
    encoded_neurons,
    encoded_palette,
    script_json,
)
from model_understanding.show.payload.reproduce import attribution_code, contrast_code, links_code
from model_understanding.show.payload.reproduced_command import attribution_command
from model_understanding.show.payload.tables import Tables, encoded_table
from model_understanding.show.shared.headline import report_headline
from model_understanding.show.shared.tasks import second_start, sides_of, target_noun
from model_understanding.show.shared.words import (
    READING_NOTES,
    cautions_of,
    control_name,
    evaluation_condition,
    evaluation_value,
    explained_name,
    method_name,
    metric_name,
    printable,
    provenance_rows,
    raw_value_and_range,
    sign_meanings,
    target_name,
    target_value,
)
from model_understanding.show.views.answers import answer_view
from model_understanding.show.views.links import links_view
from model_understanding.show.views.questions import target_names
from model_understanding.show.views.reading import Reading, map_title, readings
from model_understanding.show.views.tested import question_of
from model_understanding.tokens import Tokens


def report_payload(report: Report, attention_bytes: int | None = None) -> dict[str, Any]:
    """Return the data of the interactive page of a report.

    Args:
        report: The report.
        attention_bytes: Most bytes of attention; by default more for longer texts.

    Returns:
        ``Payload`` of the schema, with exact scores and quantized attention weights, in as much detail as the
        byte budget of the page allows; ``omitted`` describes what is not included.
    """
    tables = Tables(report)
    omitted: list[str] = []
    attention = encoded_maps(report, tables, omitted, attention_bytes)
    contrasts = () if report.contrasts is None else (report.contrasts,)
    attributions = (*report.attributions, *contrasts)
    lens = encoded_lens(report, tables)
    neurons = encoded_neurons(report, tables, omitted)
    maps = readings(report)
    return {
        "schema": SCHEMA,
        "title": report_headline(report),
        "origin": " · ".join(
            printable(name) for name in (report.provenance.task, report.provenance.model) if name != "unknown"
        ),
        "prediction": None if report.prediction is None else _prediction(report.prediction, tables),
        "generation": None if report.generation is None else _generation(report.generation, tables),
        "answer": None if report.answer is None else _answer(report, report.answer.tokens, tables),
        "attributions": [_attribution(report, attribution, tables) for attribution in attributions],
        "contrasts": -1 if report.contrasts is None else len(attributions) - 1,
        "readings": [_reading(reading) for reading in maps],
        "links": None if report.links is None else _links(report, report.links),
        "attention": attention,
        "heads": encoded_heads(report, omitted),
        "tables": [encoded_table(tokens) for tokens in tables.tables],
        # The page computes the completeness gap of each attribution from its targets.
        "evaluations": [
            _evaluation(evaluation, map_title(evaluation, maps))
            for evaluation in report.evaluations
            if evaluation.metric != "completeness"
        ],
        "agreements": encoded_agreements(report),
        "lens": lens,
        "neurons": neurons,
        "cautions": list(cautions_of(report)),
        "notes": list(READING_NOTES),
        "provenance": [
            {"name": name, "value": printable(value)} for name, value in provenance_rows(report.provenance)
        ],
        "omitted": list(dict.fromkeys(omitted)),
        "palette": encoded_palette(),
    }


def payload_json(report: Report, attention_bytes: int | None = None) -> str:
    """Return ``report_payload`` as JSON that may stand in a page's script element."""
    return script_json(report_payload(report, attention_bytes))


def _prediction(prediction: Prediction, tables: Tables) -> dict[str, Any]:
    return {
        "table": tables.locate(prediction.tokens)[0],
        "labels": [printable(label, 80) for label in prediction.labels],
        "logits": decimals(prediction.logits),
        "probabilities": None if prediction.probabilities is None else decimals(prediction.probabilities),
        "problem": prediction.problem,
    }


def _answer(report: Report, tokens: Tokens, tables: Tables) -> dict[str, Any]:
    answer = answer_view(report)
    return {
        "title": answer.title,
        "value": answer.value,
        "facts": answer.facts,
        "texts": list(answer.texts),
        "columns": list(answer.columns),
        "table": tables.locate(tokens)[0],
        "marks": [
            {
                "first": mark.first,
                "last": mark.last,
                "label": mark.label,
                "value": mark.value,
                "opens": mark.reading,
            }
            for mark in answer.marks
        ],
        "rows": [
            {
                "label": row.label,
                "tag": row.tag,
                "group": row.group,
                "value": row.value,
                "share": None if row.share is None else decimal(row.share),
                "predicted": row.predicted,
                "opens": row.reading,
            }
            for row in answer.rows
        ],
        "omitted": answer.omitted,
        "opens": answer.opens,
    }


def _links(report: Report, links: TokenLinks) -> dict[str, Any]:
    view = links_view(links)
    return {
        "title": view.title,
        "first": list(view.first),
        "second": list(view.second),
        "specialFirst": view.special_first.tolist(),
        "specialSecond": view.special_second.tolist(),
        "scores": decimals(view.scores),
        "peak": decimal(view.peak),
        "links": [
            {
                "row": link.row,
                "column": link.column,
                "words": link.score_text,
                "strength": decimal(link.strength),
            }
            for link in view.links
        ],
        "omitted": view.omitted,
        "quantity": view.quantity,
        "sum": view.sum_text,
        "notes": [*view.notes, *filter(None, [view.method])],
        "python": links_code(report),
    }


def _generation(generation: GenerationResult, tables: Tables) -> dict[str, Any]:
    return {
        "table": tables.locate(generation.tokens)[0],
        "promptLength": generation.prompt_length,
        "probabilities": decimals(generation.probabilities),
        "entropies": decimals(generation.entropies),
        "topLabels": [
            [printable(label.strip(" ") or label, 40) for label in labels] for labels in generation.top_labels
        ],
        "topProbabilities": decimals(generation.top_probabilities),
        "topIds": generation.top_ids.tolist(),
        "given": generation.given,
        "ended": generation.ended,
    }


def _attribution(report: Report, attribution: Attribution, tables: Tables) -> dict[str, Any]:
    table, positions = tables.locate(attribution.tokens)
    norm = "sum" if attribution.signed else str(attribution.parameters.get("norm", "l2"))
    scores = decimals(attribution.scores)
    for row, scored in zip(scores, attribution.scored, strict=True):
        for token in np.flatnonzero(~scored):
            row[token] = None
    errors, sides = attribution.standard_errors, sides_of(report, attribution)
    second = second_start(attribution.tokens, attribution.targets[0].task) if attribution.targets else -1
    return {
        "title": explained_name(attribution),
        "method": printable(attribution.method),
        "methodWords": method_name(attribution),
        "table": table,
        "positions": positions,
        "signed": attribution.signed,
        "norm": norm if norm in ("l1", "l2", "max") else "sum",
        "targets": [
            _target(report, attribution, index, name)
            for index, name in enumerate(target_names(report, attribution, 60))
        ],
        "scores": scores,
        "errors": None if errors is None else decimals(errors),
        "command": attribution_command(report, attribution),
        "sides": list(sides),
        "noun": target_noun(attribution.targets),
        "second": -1 if not sides or second < 0 else positions[second],
        "python": contrast_code(report, attribution)
        if attribution is report.contrasts
        else attribution_code(report, attribution),
    }


def _target(report: Report, attribution: Attribution, index: int, name: str) -> dict[str, Any]:
    target = attribution.targets[index]
    positive, negative = sign_meanings(target)
    other = printable(", ".join(target.against_labels[:4]), 60)
    step = -1
    is_step = target.task in LANGUAGE_TASKS and len(target.positions) == 1 and target.quantity != "loss"
    if report.generation is not None and is_step:
        step = target.positions[0] + 1 - report.generation.prompt_length
    baselines, gaps = attribution.baseline_outputs, attribution.gaps
    return {
        "name": name,
        "description": target_name(target),
        "output": decimal(attribution.outputs[index]),
        "outputWords": target_value(attribution, index),
        "above": positive,
        "below": negative,
        "step": step if step >= 0 else -1,
        "against": target.against[0] if len(target.against) == 1 else -1,
        "againstName": other.strip(" ") or other,
        "baseline": None if baselines is None else decimal(baselines[index]),
        "gap": None if gaps is None else decimal(gaps[index]),
    }


def _reading(reading: Reading) -> dict[str, Any]:
    return {
        "attribution": reading.attribution,
        "first": reading.first,
        "last": reading.last,
        "title": reading.title,
        "why": list(reading.why),
        "level": reading.level,
        "ofPrompt": reading.of_prompt,
        "verdict": reading.trust.verdict,
        "words": reading.trust.words,
    }


def _evaluation(evaluation: Evaluation, about: str) -> dict[str, Any]:
    return {
        "about": about,
        "metric": metric_name(evaluation.metric),
        "question": question_of(evaluation.metric),
        "condition": printable(evaluation_condition(evaluation), 60),
        "value": None if evaluation.value is None else decimal(evaluation.value),
        "valueWords": evaluation_value(evaluation),
        "limits": raw_value_and_range(evaluation),
        "curve": decimals(evaluation.curve),
        "control": decimals(evaluation.control),
        "controlWords": control_name(evaluation),
        "higherIsBetter": evaluation.higher_is_better,
        "verdict": None if evaluation.verdict is None else printable(evaluation.verdict, 400),
        "reasons": [printable(reason, 400) for reason in evaluation.reasons],
    }
