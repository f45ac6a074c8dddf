"""A result in a few lines of plain text: what ``print`` shows, and what a notebook stores beside the page."""

from collections.abc import Iterator

import numpy as np

from model_understanding.comparison import Comparison, LikelihoodComparison
from model_understanding.results import (
    AnswerMap,
    Assessment,
    AssessmentSummary,
    AttentionMap,
    Attribution,
    Choices,
    DatasetComparison,
    DatasetSummary,
    Estimate,
    Evaluation,
    Failure,
    Generation,
    HeadScores,
    Ledger,
    LogitLens,
    MaskFilling,
    ModelDiff,
    ModelDiffSummary,
    Prediction,
    PseudoLikelihood,
    QueryKey,
    Report,
    SpanAnswer,
    Tagging,
    TokenLinks,
)
from model_understanding.results.evaluation import VERDICTS
from model_understanding.show.shared.headline import report_headline, similarity_headline
from model_understanding.show.shared.words import (
    attention_title,
    cautions_of,
    evaluation_name,
    evaluation_value,
    explained_name,
    format_entry,
    format_number,
    format_percent,
    gap_text,
    method_name,
    model_name,
    prediction_label,
    printable,
    stack_name,
    target_label,
    target_value,
    warning_text,
)
from model_understanding.show.views.answer_map import NOTE, headline
from model_understanding.show.views.answers import answer_view
from model_understanding.show.views.attention import attention_view
from model_understanding.show.views.comparison import comparison_view
from model_understanding.show.views.dataset_comparison import comparison_text
from model_understanding.show.views.dataset_summary import summary_text
from model_understanding.show.views.ledger import ledger_view
from model_understanding.show.views.likelihood import compared_likelihoods, likelihood_view
from model_understanding.show.views.links import links_view
from model_understanding.show.views.model_diff import model_diff_summary_view, model_diff_view
from model_understanding.show.views.report import map_views
from model_understanding.show.views.saliency import TOP, saliency_view
from model_understanding.show.views.sources import LISTED
from model_understanding.tokens import Tokens

Result = (
    Report
    | Comparison
    | Attribution
    | AttentionMap
    | Prediction
    | Generation
    | Tagging
    | SpanAnswer
    | MaskFilling
    | Choices
    | TokenLinks
    | Evaluation
    | Assessment
    | AssessmentSummary
    | HeadScores
    | Ledger
    | ModelDiff
    | AnswerMap
    | ModelDiffSummary
    | LogitLens
    | QueryKey
    | PseudoLikelihood
    | LikelihoodComparison
    | DatasetSummary
    | DatasetComparison
    | Estimate
    | Failure
)
_TEXT, _LINE = 100, 240  # characters of the text, and of any other line
_MOST = 5  # classes, targets, heads and metrics that are listed
_MOST_WARNINGS = 2
_OF_VERDICT = ("verdict", "z_score")  # metrics that the reasons of a verdict give in words


def summary_lines(result: Result) -> tuple[str, ...]:
    """Return a result in a few lines: what it is, its largest values, how it was computed, its size.

    Args:
        result: Any result.

    Returns:
        Lines without control characters, the most important first; never a whole array.

    >>> summary_lines(Attribution.from_arrays(["good", "film"], [0.75, -0.25]))[2]
    'good +75.0 %, film −25.0 %'
    """
    return tuple(printable(line, _LINE) for line in _lines(result) if line)


def _lines(result: Result) -> Iterator[str]:
    match result:
        case Report():
            yield from _of_report(result)
        case Comparison():
            view = comparison_view(result)
            yield view.headline
            yield " → ".join(result.names)
            if view.largest:
                yield view.largest.sentence
        case Attribution():
            yield from _of_attribution(result)
        case AttentionMap():
            yield from _of_attention(result)
        case Prediction():
            yield report_headline(Report.of(result))
            yield _quoted(result.tokens)
            yield from _of_prediction(result)
        case Generation():
            yield _quoted(result.tokens)
            yield report_headline(Report.of(result))
            yield from map(warning_text, result.cautions[:_MOST_WARNINGS])
        case Tagging() | SpanAnswer() | MaskFilling() | Choices():
            yield report_headline(Report.of(result))
            yield _quoted(result.tokens)
            yield from _of_answer(Report.of(result))
        case TokenLinks():
            yield from _of_links(result)
        case Evaluation():
            yield _metric(result)
            yield from result.reasons
            yield _joined(result.method, result.target)
        case Assessment():
            yield f"Faithfulness: {result.verdict}"
            yield from result.reasons
            yield _joined(result.method, result.target)
            metrics = [metric for metric in result.evaluations if metric.metric not in _OF_VERDICT]
            yield ", ".join(map(_metric, metrics[:_MOST]))
        case DatasetSummary():
            yield from summary_text(result)
        case DatasetComparison():
            yield from comparison_text(result)
        case AssessmentSummary():
            counts = zip(VERDICTS, result.verdicts, strict=True)
            yield f"{result.method}: {_counted(result.texts, 'text')}"
            yield ", ".join(f"{count} {verdict}" for verdict, count in counts if count)
        case HeadScores():
            yield from _of_heads(result)
        case Ledger():
            yield from _of_ledger(result)
        case ModelDiff():
            yield from _of_model_diff(result)
        case AnswerMap():
            yield headline(result)
            yield f"“{printable(' '.join(result.answer.split()), _TEXT)}”"
            yield NOTE
            yield from _warnings(result)
        case ModelDiffSummary():
            yield from _of_model_diffs(result)
        case LogitLens():
            yield from _of_lens(result)
        case QueryKey():
            yield from _of_query_key(result)
        case PseudoLikelihood():
            yield from _of_likelihood(result)
        case LikelihoodComparison():
            view = compared_likelihoods(result)
            yield view.headline
            yield ", ".join(
                f"{change.first} → {change.second} {change.difference}" for change in view.changes
            )
        case Estimate():
            yield from str(result).split("\n")
        case Failure():
            yield str(result)


def _of_answer(report: Report) -> Iterator[str]:
    """Yield what is answered beside the headline: entities, spans, tokens for each mask, choices."""
    answer = answer_view(report)
    yield answer.facts if answer.has_table else ""
    groups: dict[str, list[str]] = {}
    for row in answer.rows if answer.has_table else ():
        groups.setdefault(row.group, []).append(row.words)
    for group, rows in list(groups.items())[:_MOST]:
        more = len(rows) - _MOST + (answer.omitted if len(groups) == 1 else 0)
        listed = ", ".join(printable(words, 60) for words in rows[:_MOST])
        yield f"{f'{group}: ' if group else ''}{listed}{f' and {more} more' if more > 0 else ''}"


def _of_report(report: Report) -> Iterator[str]:
    yield _joined(report_headline(report), model_name(report.provenance))
    yield _quoted(report.tokens)
    yield from _of_answer(report)
    maps = map_views(report)
    for shown in maps[:_MOST]:
        method = report.attributions[shown.reading.attribution].method
        yield f"{shown.reading.title} {shown.reading.sentence} ({method})"
    if len(maps) > _MOST:
        yield f"and {_counted(len(maps) - _MOST, 'more map')}"
    for main in (shown.reading for shown in maps[:1]):
        yield f"Faithfulness: {main.trust.verdict}. {main.trust.words}".rstrip()
    for attention in report.attention:
        yield f"{attention_title(attention)} ({_shape(attention)})"
    if report.links is not None:
        yield links_view(report.links).sum_text
    contrasts = 0 if report.contrasts is None else len(report.contrasts.targets)
    others = {
        "head scores": report.heads is not None,
        "logit lens": report.lens is not None,
        "queries and keys": bool(report.query_keys),
        _counted(contrasts, "contrast"): bool(contrasts),
    }
    yield ", ".join(name for name, is_there in others.items() if is_there)
    yield from _warnings(report)


def _of_attribution(attribution: Attribution) -> Iterator[str]:
    if not attribution.targets or not len(attribution.tokens):
        yield "Saliency without targets" if len(attribution.tokens) else "Saliency without tokens"
        return
    single = len(attribution.targets) == 1
    value = target_value(attribution) if single else ""
    yield _joined(f"Saliency: {explained_name(attribution)}{value and f' = {value}'}")
    yield _quoted(attribution.tokens)
    if single:
        yield _top_units(attribution, 0, TOP) or "all scores are 0"
    else:
        for row, target in enumerate(attribution.targets[:_MOST]):
            yield f"{target_label(target)}: {_top_units(attribution, row, LISTED) or 'no scores'}"
    sizes = (len(attribution.tokens), "token"), (len(attribution.targets), "target")
    yield _joined(method_name(attribution), gap_text(attribution))
    yield _joined(" × ".join(_counted(*size) for size in sizes), model_name(attribution.provenance))
    yield from _warnings(attribution)


def _top_units(attribution: Attribution, target: int, count: int) -> str:
    top = saliency_view(attribution, target).top(count)
    return ", ".join(f"{printable(unit.label, 30)} {unit.share_text}" for unit in top)


def _of_attention(attention: AttentionMap) -> Iterator[str]:
    yield attention_title(attention)
    yield _quoted(attention.keys)
    if not attention.weights.size:
        return
    view = attention_view(attention) if len(attention.queries) * len(attention.keys) <= 1 << 20 else None
    if view is not None:
        yield view.sink_text(view.keys.labels(), "")
        received = np.abs(view.weights).mean(axis=0)
        received[list(view.excluded)] = 0
        labels = view.keys.labels()
        top = [key for key in np.argsort(-received, kind="stable")[:_MOST] if received[key] > 0]
        listed = ", ".join(
            format_entry(labels[key], view.format_weight(float(received[key])), 30) for key in top
        )
        yield f"mean weight of a key: {listed}" if listed else ""
    yield _joined(_shape(attention), model_name(attention.provenance))
    yield from attention.left_out[:_MOST_WARNINGS]
    yield from _warnings(attention)


def _of_prediction(prediction: Prediction) -> Iterator[str]:
    values = prediction.logits if prediction.probabilities is None else prediction.probabilities
    text = format_number if prediction.probabilities is None else format_percent
    order = np.argsort(-prediction.logits, kind="stable")
    yield ", ".join(
        format_entry(prediction.labels[index], text(float(values[index])), 40) for index in order[:_MOST]
    ) + (f" and {len(order) - _MOST} more" if len(order) > _MOST else "")


def _of_heads(heads: HeadScores) -> Iterator[str]:
    of_stack = "" if heads.stack is None else f" ({stack_name(heads.stack)})"
    yield f"Head scores{of_stack}: {', '.join(heads.names)}"
    yield _quoted(heads.tokens)
    for name in heads.names[:_MOST]:
        top = (
            f"layer {layer} head {head} {format_number(score)}"
            for layer, head, score in heads.ranking(name, 3)
        )
        yield f"{name}: {', '.join(top)}"
    _, layers, count = heads.scores.shape
    yield _joined(f"{_counted(layers, 'layer')} × {_counted(count, 'head')}", model_name(heads.provenance))
    yield from _warnings(heads)


def _of_ledger(ledger: Ledger) -> Iterator[str]:
    view = ledger_view(ledger, _MOST)
    yield from view.answer
    yield view.headline
    yield " · ".join(view.texts)
    for shown in view.maps:
        if shown.key != "heads":
            yield f"{shown.name}: " + ", ".join(f"{cell.place}: {cell.share}" for cell in shown.ranked)
    yield from view.facts
    yield from _warnings(ledger)


def _of_model_diff(diff: ModelDiff) -> Iterator[str]:
    view = model_diff_view(diff, _MOST)
    yield from view.answer
    yield view.headline
    yield " · ".join(view.texts)
    for name, rows in (("modules", view.modules), ("tokens", view.tokens)):
        if rows:
            yield f"{name}: " + ", ".join(f"{row.name}: {row.share}" for row in rows)
    yield from view.facts
    yield from _warnings(diff)


def _of_model_diffs(summary: ModelDiffSummary) -> Iterator[str]:
    view = model_diff_summary_view(summary, _MOST)
    yield from view.answer
    if view.modules:
        yield "modules: " + ", ".join(f"{row.name}: {row.share}" for row in view.modules)
    yield from view.facts


def _of_lens(lens: LogitLens) -> Iterator[str]:
    yield "Logit lens: what each layer would predict"
    yield _quoted(lens.tokens)
    layer = lens.layer_names[int(lens.stable_layers()[-1])]
    probability = format_percent(float(lens.final_probabilities[-1, -1]))
    yield f"last prediction: {prediction_label(lens, -1, -1, 30)} {probability}, the top one from: {layer}"
    sizes = (lens.layer_count, "layer"), (len(lens.positions), "position")
    yield _joined(" × ".join(_counted(*size) for size in sizes), model_name(lens.provenance))
    yield from _warnings(lens)


def _of_query_key(query_key: QueryKey) -> Iterator[str]:
    labels = query_key.tokens.labels()
    yield (
        f"Query and keys: layer {query_key.layer}, head {query_key.head}, "
        f"query {printable(query_key.rows.labels()[query_key.query], 30)} (token {query_key.query})"
    )
    yield _quoted(query_key.tokens)
    order = np.argsort(-query_key.weights, kind="stable")[:_MOST]
    yield "attends most to " + ", ".join(
        format_entry(labels[key], format_percent(float(query_key.weights[key])), 30) for key in order
    )
    keys, width = query_key.key_vectors.shape
    yield _joined(
        f"{_counted(keys, 'key')} × {_counted(width, 'dimension')}", model_name(query_key.provenance)
    )
    yield from _warnings(query_key)


def _of_likelihood(likelihood: PseudoLikelihood) -> Iterator[str]:
    view = likelihood_view(likelihood)
    yield view.headline
    yield _quoted(likelihood.tokens)
    listed = (format_entry(unit.label, unit.probability, 30) for unit in view.least_likely())
    yield f"least likely: {', '.join(listed)}"
    yield view.facts
    yield from _warnings(likelihood)


def _of_links(links: TokenLinks) -> Iterator[str]:
    view = links_view(links)
    yield similarity_headline(links)
    yield _quoted_pair(links)
    yield ", ".join(f"{link.first} ↔ {link.second} {link.score_text}" for link in view.links[:_MOST])
    yield view.sum_text
    yield _joined(view.method, model_name(links.provenance))
    yield from _warnings(links)


def _quoted_pair(links: TokenLinks) -> str:
    return " / ".join(filter(None, (_quoted(links.first), _quoted(links.second))))


def _warnings(
    result: Report
    | Attribution
    | AttentionMap
    | HeadScores
    | Ledger
    | ModelDiff
    | AnswerMap
    | LogitLens
    | QueryKey
    | TokenLinks
    | PseudoLikelihood,
) -> Iterator[str]:
    cautions = cautions_of(result)
    yield from map(warning_text, cautions[:_MOST_WARNINGS])
    if len(cautions) > _MOST_WARNINGS:
        yield f"and {_counted(len(cautions) - _MOST_WARNINGS, 'more warning')}"


def _metric(evaluation: Evaluation) -> str:
    return f"{evaluation_name(evaluation)} {evaluation_value(evaluation)}"


def _shape(attention: AttentionMap) -> str:
    layers, heads = attention.weights.shape[:2]
    matrix = f"{_counted(len(attention.rows), 'row')} × {_counted(len(attention.keys), 'key')}"
    sizes = (layers, "layer"), (heads, "head")
    return " × ".join((*(_counted(*size) for size in sizes if size[0] > 1), matrix))


def _quoted(tokens: Tokens) -> str:
    """Return the text of tokens in one line, a prompt and its continuation apart."""
    texts = (" ".join(text.split()) for text in tokens.texts)
    text = printable(" ▸ ".join(filter(None, texts)), _TEXT)
    return f"“{text}”" if text else ""


def _joined(*parts: str) -> str:
    return " · ".join(filter(None, parts))


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
