"""What the interactive page draws: plain strings and numbers, by ``static/payload.schema.json``."""

from typing import Any

import numpy as np

from model_understanding.results import Attribution, Evaluation, Prediction, Report, Target
from model_understanding.results import Generation as GenerationResult
from model_understanding.show.page.css import payload_palette
from model_understanding.show.payload.attention import encoded_heads, encoded_maps
from model_understanding.show.payload.parts import (
    SCHEMA,
    decimal,
    decimals,
    encoded_agreements,
    encoded_lens,
    encoded_neurons,
    script_json,
)
from model_understanding.show.payload.tables import Tables, encoded_table
from model_understanding.show.reproduce import attribution_code, contrast_code
from model_understanding.show.shared.words import (
    READING_NOTES,
    answer_words,
    before_normalizing,
    cautions,
    control_words,
    evaluation_condition,
    evaluation_value,
    method_name,
    output_words,
    provenance_rows,
    shown,
    sign_words,
    target_name,
    targets_name,
)


def report_payload(report: Report) -> dict[str, Any]:
    """Return everything the interactive page draws.

    Args:
        report: The report.

    Returns:
        ``Payload`` of the schema: scores exact, attention weights quantized in as much detail as the
        page's budget allows; ``omitted`` says what that leaves out.
    """
    tables = Tables(report)
    omitted: list[str] = []
    attention = encoded_maps(report, tables, omitted)
    contrasts = () if report.contrasts is None else (report.contrasts,)
    attributions = (*report.attributions, *contrasts)
    lens = encoded_lens(report, tables.place)
    neurons = encoded_neurons(report, tables.place, omitted)
    return {
        "schema": SCHEMA,
        "title": answer_words(report),
        "origin": " · ".join(
            shown(name) for name in (report.provenance.task, report.provenance.model) if name != "unknown"
        ),
        "prediction": None if report.prediction is None else _prediction(report.prediction, tables),
        "generation": None if report.generation is None else _generation(report.generation, tables),
        "attributions": [_attribution(report, attribution, tables) for attribution in attributions],
        "contrasts": -1 if report.contrasts is None else len(attributions) - 1,
        "attention": attention,
        "heads": encoded_heads(report, omitted),
        "tables": [encoded_table(tokens) for tokens in tables.held],
        # The page tells the gap of every attribution from its own figures.
        "evaluations": [_evaluation(one) for one in report.evaluations if one.metric != "completeness"],
        "agreements": encoded_agreements(report),
        "lens": lens,
        "neurons": neurons,
        "cautions": list(cautions(report)),
        "notes": list(READING_NOTES),
        "provenance": [{"name": name, "value": shown(value)} for name, value in provenance_rows(report)],
        "omitted": list(dict.fromkeys(omitted)),
        "palette": payload_palette(),
    }


def payload_json(report: Report) -> str:
    """Return the payload as JSON that may stand in a page's script element."""
    return script_json(report_payload(report))


def _prediction(prediction: Prediction, tables: Tables) -> dict[str, Any]:
    return {
        "table": tables.place(prediction.tokens)[0],
        "labels": [shown(label, 80) for label in prediction.labels],
        "logits": decimals(prediction.logits),
        "probabilities": None if prediction.probabilities is None else decimals(prediction.probabilities),
        "problem": prediction.problem,
    }


def _generation(generation: GenerationResult, tables: Tables) -> dict[str, Any]:
    return {
        "table": tables.place(generation.tokens)[0],
        "promptLength": generation.prompt_length,
        "probabilities": decimals(generation.probabilities),
        "entropies": decimals(generation.entropies),
        "topLabels": [
            [shown(label.strip(" ") or label, 40) for label in labels] for labels in generation.top_labels
        ],
        "topProbabilities": decimals(generation.top_probabilities),
        "topIds": generation.top_ids.tolist(),
        "given": generation.given,
        "ended": generation.ended,
    }


def _attribution(report: Report, attribution: Attribution, tables: Tables) -> dict[str, Any]:
    table, positions = tables.place(attribution.tokens)
    is_single = len(attribution.targets) == 1
    what = target_name(attribution.targets[0]) if is_single else targets_name(attribution.targets)
    norm = "sum" if attribution.signed else str(attribution.parameters.get("norm", "l2"))
    scores = decimals(attribution.scores)
    for row, allowed in zip(scores, attribution.valid, strict=True):
        for token in np.flatnonzero(~allowed):
            row[token] = None
    errors = attribution.standard_errors
    return {
        "title": what,
        "method": shown(attribution.method),
        "methodWords": method_name(attribution),
        "table": table,
        "positions": positions,
        "signed": attribution.signed,
        "norm": norm if norm in ("l1", "l2", "max") else "sum",
        "targets": [
            _target(report, attribution, place, target) for place, target in enumerate(attribution.targets)
        ],
        "scores": scores,
        "errors": None if errors is None else decimals(errors),
        "python": contrast_code(report, attribution)
        if attribution is report.contrasts
        else attribution_code(report, attribution),
    }


def _target(report: Report, attribution: Attribution, place: int, target: Target) -> dict[str, Any]:
    above, below = sign_words(target)
    name = shown(target.name or ", ".join(target.labels[:4]) or target.description(), 60)
    other = shown(", ".join(target.against_labels[:4]), 60)
    step = -1
    if report.generation is not None and len(target.positions) == 1 and target.quantity != "loss":
        step = target.positions[0] + 1 - report.generation.prompt_length
    baselines, gaps = attribution.baseline_outputs, attribution.gaps
    return {
        "name": name.strip(" ") or name,
        "description": target_name(target),
        "output": decimal(attribution.outputs[place]),
        "outputWords": output_words(attribution, place),
        "above": above,
        "below": below,
        "step": step if step >= 0 else -1,
        "against": target.against[0] if len(target.against) == 1 else -1,
        "againstName": other.strip(" ") or other,
        "baseline": None if baselines is None else decimal(baselines[place]),
        "gap": None if gaps is None else decimal(gaps[place]),
    }


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "metric": shown(evaluation.metric, 60),
        "condition": shown(evaluation_condition(evaluation), 60),
        "value": None if evaluation.value is None else decimal(evaluation.value),
        "valueWords": evaluation_value(evaluation),
        "limits": before_normalizing(evaluation),
        "curve": decimals(evaluation.curve),
        "control": decimals(evaluation.control),
        "controlWords": control_words(evaluation),
        "higherIsBetter": evaluation.higher_is_better,
        "verdict": None if evaluation.verdict is None else shown(evaluation.verdict, 400),
        "reasons": [shown(reason, 400) for reason in evaluation.reasons],
    }
