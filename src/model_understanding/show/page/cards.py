"""Small results as HTML for a notebook: a title, facts and tables in plain elements with inline styles.

They need neither a script nor a style sheet, so they look the same where a host removes both.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from model_understanding.comparison import LikelihoodComparison
from model_understanding.results import (
    Assessment,
    AssessmentSummary,
    Estimate,
    Evaluation,
    Failure,
    HeadScores,
    MetricMean,
    ModelDiff,
    Prediction,
    PseudoLikelihood,
    Report,
)
from model_understanding.results.evaluation import NOT_EVALUATED, VERDICTS
from model_understanding.show.page.blocks import Bar, Paragraph, Word, bar, paragraph, word_style
from model_understanding.show.page.document import rendered
from model_understanding.show.shared.runs import Run
from model_understanding.show.shared.words import (
    cautions_of,
    format_number,
    format_percent,
    model_name,
    printable,
)
from model_understanding.show.views.answers import answer_view
from model_understanding.show.views.heads import scored_heads
from model_understanding.show.views.likelihood import LikelihoodView, compared_likelihoods, likelihood_view
from model_understanding.show.views.model_diff import DiffRow, model_diff_view
from model_understanding.show.views.summary import Result, summary_lines
from model_understanding.show.views.tested import question_of, tested_rows
from model_understanding.show.views.trust import SYMBOLS, trust_of

_HEADS = 3  # heads that are listed for each score


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a table: its first cell is a text, the others are numbers or short texts."""

    cells: tuple[str, ...]
    bar: Bar | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with the names of its columns (empty for none)."""

    columns: tuple[str, ...] = ()
    rows: tuple[Row, ...]

    @property
    def has_bars(self) -> bool:
        """Whether a row has a bar."""
        return any(row.bar is not None for row in self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColoredText:
    """A text in colors, with a line above it."""

    title: str = ""
    paragraphs: tuple[Paragraph, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A small result.

    Args:
        title: What it is, large.
        texts: The text that it is about, above the title.
        lines: Sentences below the title.
        colored: Texts in colors.
        facts: Smaller facts below them.
        tables: Tables.
        cautions: Warnings.
    """

    title: str
    texts: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    colored: tuple[ColoredText, ...] = ()
    facts: str = ""
    tables: tuple[Table, ...] = ()
    cautions: tuple[str, ...] = ()


def card_fragment(result: Result) -> str:
    """Return a small result as HTML for a notebook's output.

    Args:
        result: The result.
    """
    return rendered("card.html.jinja", {"card": _card(result)})


def _card(result: Result) -> Card:
    match result:
        case Prediction() if result.labels:
            return _of_prediction(result)
        case Assessment():
            return _of_assessment(result)
        case Evaluation():
            return _of_evaluation(result)
        case AssessmentSummary():
            return _of_assessments(result)
        case HeadScores():
            return _of_heads(result)
        case ModelDiff():
            return _of_model_diff(result)
        case PseudoLikelihood():
            return _of_likelihood(result)
        case LikelihoodComparison():
            return _of_likelihoods(result)
        case Estimate():
            rows = tuple(Row(cells=(name, printable(value))) for name, value in result.facts())
            return Card(title=printable(result.headline()), tables=(Table(rows=rows),))
        case Failure():
            return Card(title="No result", cautions=(printable(str(result), 1000),))
        case _:
            title, *lines = summary_lines(result)
            return Card(title=title, lines=tuple(lines))


def _of_prediction(prediction: Prediction) -> Card:
    answer = answer_view(Report.of(prediction))
    rows = [
        Row(
            cells=(entry.label, entry.value),
            bar=None if entry.share is None else bar(entry.share, signed=False),
        )
        for entry in answer.rows
    ]
    omitted = f"{answer.omitted} more with lower logits not shown" if answer.omitted else ""
    return Card(title=answer.headline, texts=answer.texts, facts=omitted, tables=(Table(rows=tuple(rows)),))


def _of_assessment(assessment: Assessment) -> Card:
    trusts = [trust_of(metric) for metric in assessment.evaluations if metric.verdict is not None]
    words = [trust.words for trust in trusts[:1] if trust.words] or assessment.reasons
    forwards = format_number(assessment.forwards)
    cost = f"{assessment.variants:,} variants of the text, {forwards} forward passes over it"
    metrics = [metric for metric in assessment.evaluations if metric.verdict is None]
    return Card(
        title=_verdict(assessment.verdict),
        lines=tuple(printable(line, 400) for line in words),
        facts=_joined(assessment.method, assessment.target, cost if assessment.variants else ""),
        tables=_tested(metrics),
    )


def _of_evaluation(evaluation: Evaluation) -> Card:
    return Card(
        title=question_of(evaluation.metric) if evaluation.verdict is None else _verdict(evaluation.verdict),
        lines=tuple(printable(line, 400) for line in evaluation.reasons),
        facts=_joined(evaluation.method, evaluation.target),
        tables=_tested([evaluation]),
    )


def _tested(evaluations: Sequence[Evaluation]) -> tuple[Table, ...]:
    rows = tuple(
        Row(cells=(row.question, row.condition, row.value, row.control, row.better))
        for row in tested_rows(evaluations)
    )
    columns = ("question", "measured", "value", "control", "better")
    return (Table(columns=columns, rows=_once(rows)),) if rows else ()


def _interval(mean: MetricMean) -> str:
    if mean.low is None or mean.high is None:
        return "–"
    return f"{format_number(mean.low)} to {format_number(mean.high)}"


def _of_assessments(summary: AssessmentSummary) -> Card:
    verdicts = tuple(
        Row(
            cells=(_mark(verdict), f"{count:,}", format_percent(count / max(summary.texts, 1))),
            bar=bar(count / max(summary.texts, 1), signed=False),
        )
        for verdict, count in zip(VERDICTS, summary.verdicts, strict=True)
    )
    means = tuple(
        Row(
            cells=(
                question_of(mean.metric),
                _joined(mean.quantity, mean.replacement),
                format_number(mean.mean),
                _interval(mean),
            )
        )
        for mean in summary.means
    )
    columns = ("question", "measured", "mean", "95 % interval")
    texts = f"{summary.texts:,} text{'' if summary.texts == 1 else 's'}"
    return Card(
        title=f"Faithfulness of {printable(summary.method, 60)}: {texts}",
        tables=(
            Table(columns=("verdict", "texts", "share"), rows=verdicts),
            *([Table(columns=columns, rows=_once(means))] if means else []),
        ),
    )


def _of_model_diff(diff: ModelDiff) -> Card:
    view = model_diff_view(diff)
    lists = (
        (("modules", "contribution", "share", "mostly at"), [(*_cells(row), row.at) for row in view.modules]),
        (("tokens (all modules)", "contribution", "share"), [_cells(row) for row in view.tokens]),
    )
    return Card(
        title=" ".join(view.answer),
        texts=(view.headline, *view.texts),
        facts=" · ".join(view.facts),
        tables=tuple(
            Table(columns=columns, rows=tuple(Row(cells=cells) for cells in rows))
            for columns, rows in lists
            if rows
        ),
        cautions=cautions_of(diff),
    )


def _cells(row: DiffRow) -> tuple[str, ...]:
    return row.name, row.value, row.share


def _of_heads(heads: HeadScores) -> Card:
    _, layers, count = heads.scores.shape
    rows = []
    for index in range(len(heads.names)):
        view = scored_heads(heads, _HEADS, index)
        name = f"{view.by}: {view.meaning}"
        for row in view.rows:
            head = f"layer\xa0{row.layer}, head\xa0{row.head}"
            rows.append(Row(cells=(name, head, row.score), bar=bar(row.strength, view.signed)))
    return Card(
        title=f"Heads with the highest scores, of {layers} × {count}",
        texts=heads.tokens.texts,
        facts=model_name(heads.provenance),
        tables=(Table(columns=("score", "head", "value"), rows=_once(rows)),),
        cautions=cautions_of(heads),
    )


def _of_likelihood(likelihood: PseudoLikelihood) -> Card:
    view = likelihood_view(likelihood)
    rows = tuple(
        Row(cells=(unit.label, unit.value_text, unit.probability), bar=bar(unit.strength, signed=False))
        for unit in view.least_likely()
    )
    return Card(
        title=view.headline,
        colored=(ColoredText(paragraphs=_colored(view)),),
        facts=view.facts,
        tables=(Table(columns=("least likely", "log-probability", "probability"), rows=rows),),
        cautions=view.cautions,
    )


def _of_likelihoods(comparison: LikelihoodComparison) -> Card:
    view = compared_likelihoods(comparison)
    names = [printable(name, 60) for name in view.names]
    rows = tuple(
        Row(cells=(change.first, change.second, " → ".join(change.values), change.difference))
        for change in view.changes
    )
    return Card(
        title=view.headline,
        colored=tuple(
            ColoredText(title=f"{name}: {side.headline}", paragraphs=_colored(side))
            for name, side in zip(names, view.sides, strict=True)
        ),
        facts=view.sides[0].facts,
        tables=(Table(columns=(*names, "log-probabilities", "difference"), rows=rows),) if rows else (),
        cautions=tuple(dict.fromkeys(caution for side in view.sides for caution in side.cautions)),
    )


def _colored(view: LikelihoodView) -> tuple[Paragraph, ...]:
    def word(run: Run) -> Word:
        unit = None if run.unit is None else view.units[run.unit]
        if unit is None or not unit.value_text:
            return Word(text=run.text, is_pill=run.is_pill)
        tip = f"{unit.probability} · log-probability {unit.value_text}"
        return Word(text=run.text, style=word_style(unit.strength, signed=False), tip=tip)

    return tuple(
        paragraph([word(run) for run in runs], [run.text for run in runs if not run.is_pill])
        for runs in view.paragraphs
    )


def _verdict(verdict: str) -> str:
    return f"Faithfulness: {_mark(verdict)}"


def _mark(verdict: str) -> str:
    """Return a verdict as a reader sees it, with its symbol."""
    shown = "not measured" if verdict == NOT_EVALUATED else verdict
    return next((f"{symbol} {name}" for name, symbol in SYMBOLS.items() if name == shown), shown)


def _once(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Return rows with a first cell only where it differs from that of the row above."""
    shown, last = [], ""
    for row in rows:
        first, *rest = row.cells
        shown.append(Row(cells=("" if first == last else first, *rest), bar=row.bar))
        last = first
    return tuple(shown)


def _joined(*parts: str) -> str:
    return " · ".join(printable(part, 200) for part in parts if part)
