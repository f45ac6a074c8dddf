"""Verdicts on explanations in the terminal: one below a report, a table of several methods."""

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from model_understanding.results import Assessment, AssessmentSummary, Evaluation
from model_understanding.results.evaluation import VERDICTS
from model_understanding.show.shared.words import (
    evaluation_condition,
    evaluation_value,
    limits_range,
    number,
    shown,
)

IN_EVERY_EVALUATION = ("standing", "comprehensiveness", "sufficiency", "completeness", "agreement")
"""Metrics that the verdict sums up; pages, tables and JSON hold them. Printed are those asked for besides."""
_STYLES = {"supported": "bold green", "weak": "bold yellow", "not supported": "bold red"}


def print_verdicts(evaluations: Sequence[Evaluation], console: Console) -> None:
    """Print the verdicts among some evaluations, with their reasons, and the metrics asked for besides.

    Args:
        evaluations: What an evaluation gave.
        console: Where to print.
    """
    for evaluation in evaluations:
        if evaluation.verdict is not None:
            console.print()
            console.print(Text.assemble("How far to believe it: ", _verdict(evaluation.verdict)))
            for reason in evaluation.reasons:
                console.print(Padding(Text(shown(reason), style="dim"), (0, 0, 0, 2)))
    _print_metrics(evaluations, console)


def print_assessments(assessments: Sequence[Assessment], console: Console) -> None:
    """Print one row for each assessment: the verdict and what it rests on.

    Args:
        assessments: The assessments, of one text or of several.
        console: Where to print.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("method", no_wrap=True)
    table.add_column("explains", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("above", justify="right")
    table.add_column("variants", justify="right")
    table.add_column("forwards", justify="right")
    for assessment in assessments:
        advantage = "–" if assessment.advantage is None else number(assessment.advantage)
        table.add_row(
            Text(shown(assessment.method)),
            Text(shown(assessment.target)),
            _verdict(assessment.verdict),
            advantage,
            str(assessment.variants),
            number(assessment.forwards),
        )
    console.print(table)
    console.print(
        Text("above: standard deviations above shuffled scores; forwards: of the whole text", style="dim")
    )
    for assessment in assessments:
        console.print()
        console.print(Text(shown(assessment.method), style="bold"))
        for reason in assessment.reasons:
            console.print(Padding(Text(shown(reason), style="dim"), (0, 0, 0, 2)))
        _print_metrics(assessment.evaluations, console)


def print_summaries(summaries: Sequence[AssessmentSummary], console: Console) -> None:
    """Print what the assessments of many texts come to, one method after another.

    Args:
        summaries: The summaries.
        console: Where to print.
    """
    for place, summary in enumerate(summaries):
        if place:
            console.print()
        words = Text.assemble((shown(summary.method), "bold"), f"  {summary.texts} texts")
        for verdict, count in zip(VERDICTS, summary.verdicts, strict=True):
            if count:
                words.append(f" · {summary.share(verdict):.0%} ")
                words.append(_verdict(verdict))
        console.print(words)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("metric", overflow="fold")
        for title in ("texts", "mean", "95 %", "above", "95 %"):
            table.add_column(title, justify="right", no_wrap=True)
        for one in summary.means:
            name = " · ".join(filter(None, (one.metric, one.quantity, one.replacement)))
            table.add_row(
                Text(shown(name)),
                str(one.texts),
                number(one.mean),
                _interval(one.low, one.high),
                "–" if one.advantage is None else number(one.advantage),
                _interval(one.advantage_low, one.advantage_high),
            )
        console.print(table)
    console.print(Text("above: standard deviations above random orders or shuffled scores", style="dim"))


def _print_metrics(evaluations: Sequence[Evaluation], console: Console) -> None:
    """Print the metrics that were asked for besides those of every evaluation."""
    asked = [one for one in evaluations if one.verdict is None and one.metric not in IN_EVERY_EVALUATION]
    if not asked:
        return
    is_normalized = any(one.limits for one in asked)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("metric asked for", overflow="fold")
    titles = ("value", "random", "above", *(("raw", "possible") if is_normalized else ()))
    for title in titles:
        table.add_column(title, justify="left" if title == "possible" else "right")
    for place, one in enumerate(asked):
        if not place or one.metric != asked[place - 1].metric:
            table.add_row(Text(shown(one.metric)))
        cells = [
            evaluation_value(one),
            number(float(one.control.mean())) if one.control.size else "–",
            "–" if one.advantage is None else number(one.advantage),
        ]
        if is_normalized:
            cells += ["–" if one.raw is None else number(one.raw), limits_range(one.limits)]
        condition = Padding(Text(shown(evaluation_condition(one) or "value")), (0, 0, 0, 2))
        table.add_row(condition, *map(Text, cells))
    console.print(Padding(table, (1, 0, 0, 2)))
    if is_normalized:
        how = "exact" if all(one.limits.exact for one in asked if one.limits) else "by search"
        words = f"raw: before normalizing; possible: least and greatest of any order ({how})"
        console.print(Padding(Text(words, style="dim"), (0, 0, 0, 2)))
    for reason in dict.fromkeys(reason for one in asked for reason in one.reasons):
        console.print(Padding(Text(shown(reason), style="dim"), (0, 0, 0, 2)))


def _interval(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{number(low)} to {number(high)}"


def _verdict(verdict: str) -> Text:
    return Text(verdict, style=_STYLES.get(verdict, "bold"))
