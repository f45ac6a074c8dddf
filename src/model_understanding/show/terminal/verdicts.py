"""Verdicts on explanations in the terminal: one below a report, or a table of several methods."""

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
    format_number,
    format_percent,
    limits_range,
    limits_source,
    metric_name,
    printable,
)
from model_understanding.show.views.trust import Trust, trust_of

DEFAULT_METRICS = ("z_score", "comprehensiveness", "sufficiency", "completeness", "agreement")
"""Metrics of every evaluation, which the verdict summarizes. The terminal prints only additional metrics."""
_MAX_REASONED = 3  # verdicts from which on only their own line is printed
_STYLES = {"supported": "bold green", "weak": "bold yellow", "not supported": "bold red"}


def trust_line(trust: Trust) -> Text:
    """Return the verdict on a map with its symbol, and what it rests on.

    Args:
        trust: The verdict.
    """
    style = _STYLES.get(trust.verdict, "bold")
    return Text.assemble(
        (f"{trust.symbol} {trust.verdict}", style), f"  {trust.words}" if trust.words else ""
    )


def print_tests(
    evaluations: Sequence[Evaluation], console: Console, shown: Trust | None = None, untested: int = 0
) -> None:
    """Print how maps were tested: the reasons for the verdicts, and the additional metrics.

    Args:
        evaluations: The evaluations.
        console: Where to print.
        shown: The verdict that stands above already; others are named here with what they are about.
        untested: How many maps have no verdict.
    """
    said = shown.words if shown is not None else ""
    verdicts: list[tuple[Evaluation, Trust, list[str]]] = []
    for one in evaluations:
        if one.verdict is not None:
            reasons = [reason for reason in one.reasons if printable(reason, 400) != said]
            verdicts.append((one, trust_of(one), reasons))
    if _extra(evaluations) or any(reasons or trust != shown for _, trust, reasons in verdicts):
        console.print()
        console.print(Text("How was this tested?", style="bold"))
    own = next((index for index, (_, trust, _) in enumerate(verdicts) if trust == shown), -1)
    is_brief = shown is not None and len(verdicts) > _MAX_REASONED
    for index, (one, trust, reasons) in enumerate(verdicts):
        is_other = shown is not None and index != own
        if is_other:
            about = Text(f"  {printable(one.target)}: ")
            console.print(about.append(f"{trust.symbol} {trust.verdict}", style=_style(trust)))
        if not (is_brief and is_other):
            _print_reasons(reasons, console)
    rest = (
        [f"{untested} more {'map was' if untested == 1 else 'maps were'} not tested."]
        if untested and len(verdicts) > 1
        else []
    )
    if is_brief:
        rest.append("The reasons for each are in the saved page (.html) and in report.evaluations.")
    _print_reasons(rest, console)
    _print_metrics(evaluations, console)


def print_assessments(assessments: Sequence[Assessment], console: Console) -> None:
    """Print one row per assessment, then the reasons and additional metrics of each.

    Args:
        assessments: The assessments, of one text or several.
        console: Where to print.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("method", no_wrap=True)
    table.add_column("target", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("z-score", justify="right")
    table.add_column("variants", justify="right")
    table.add_column("passes", justify="right")
    for assessment in assessments:
        table.add_row(
            Text(printable(assessment.method)),
            Text(printable(assessment.target)),
            _verdict(assessment.verdict),
            _optional(assessment.advantage),
            str(assessment.variants),
            format_number(assessment.forwards),
        )
    console.print(table)
    console.print(
        Text("z-score: against permuted scores; passes: forward passes over the whole text", style="dim")
    )
    methods = [assessment.method for assessment in assessments]
    for assessment in assessments:
        console.print()
        heading = Text(printable(assessment.method), style="bold")
        if methods.count(assessment.method) > 1:  # of several targets
            heading.append(f"  {printable(assessment.target)}", style="not bold")
        console.print(heading)
        _print_reasons(assessment.reasons, console)
        _print_metrics(assessment.evaluations, console)


def print_summaries(
    summaries: Sequence[AssessmentSummary], console: Console, *, texts: int | None = None
) -> None:
    """Print the summaries of assessments over many texts, one method after another.

    Args:
        summaries: The summaries.
        console: Where to print.
        texts: How many texts were explained, if some of them by several targets.
    """
    for index, summary in enumerate(summaries):
        if index:
            console.print()
        is_of_targets = texts is not None and summary.texts != texts
        counted = (
            f"{summary.texts} targets in {texts} texts"
            if is_of_targets
            else f"{summary.texts} text{'' if summary.texts == 1 else 's'}"
        )
        headline = Text.assemble((printable(summary.method), "bold"), f"  {counted}")
        for verdict, count in zip(VERDICTS, summary.verdicts, strict=True):
            if count:
                headline.append(f" · {format_percent(summary.share(verdict))} ")
                headline.append(_verdict(verdict))
        console.print(headline)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("metric", overflow="fold")
        what = "targets" if is_of_targets else "texts"
        for title in (what, "mean", "95 % CI", "z-score", "95 % CI"):
            table.add_column(title, justify="right", no_wrap=True)
        for mean in summary.means:
            name = " · ".join(filter(None, (metric_name(mean.metric), mean.quantity, mean.replacement)))
            table.add_row(
                Text(printable(name)),
                str(mean.texts),
                format_number(mean.mean),
                _interval(mean.low, mean.high),
                _optional(mean.advantage),
                _interval(mean.advantage_low, mean.advantage_high),
            )
        console.print(table)
    console.print(Text("z-score: against random removal orders or permuted scores", style="dim"))


def _print_reasons(reasons: Sequence[str], console: Console) -> None:
    for reason in reasons:
        console.print(Padding(Text(printable(reason), style="dim"), (0, 0, 0, 2)))


def _print_metrics(evaluations: Sequence[Evaluation], console: Console) -> None:
    """Print the metrics that were requested in addition to the default ones."""
    extra = _extra(evaluations)
    if not extra:
        return
    limits = [evaluation.limits for evaluation in extra if evaluation.limits]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("extra metric", overflow="fold")
    for title in ("value", "control", "z-score", *(("raw value",) if limits else ())):
        table.add_column(title, justify="right")
    if limits:
        table.add_column("possible range")
    for index, evaluation in enumerate(extra):
        if not index or evaluation.metric != extra[index - 1].metric:
            table.add_row(Text(metric_name(evaluation.metric)))
        cells = [
            evaluation_value(evaluation),
            _optional(evaluation.control_mean),
            _optional(evaluation.advantage),
        ]
        if limits:
            cells += [_optional(evaluation.raw), limits_range(evaluation.limits)]
        condition = Padding(Text(printable(evaluation_condition(evaluation) or "value")), (0, 0, 0, 2))
        table.add_row(condition, *map(Text, cells))
    console.print(Padding(table, (1, 0, 0, 2)))
    if limits:
        source = limits_source(next((inexact for inexact in limits if not inexact.exact), limits[0]))
        note = f"raw value: before normalization; possible range: over all removal orders ({source})"
        _print_reasons([note], console)
    _print_reasons(
        list(dict.fromkeys(reason for evaluation in extra for reason in evaluation.reasons)), console
    )


def _extra(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    return [one for one in evaluations if one.verdict is None and one.metric not in DEFAULT_METRICS]


def _style(trust: Trust) -> str:
    return _STYLES.get(trust.verdict, "bold")


def _optional(value: float | None) -> str:
    return "–" if value is None else format_number(value)


def _interval(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{format_number(low)} to {format_number(high)}"


def _verdict(verdict: str) -> Text:
    return Text(verdict, style=_STYLES.get(verdict, "bold"))
