"""Pseudo-log-likelihoods in the terminal: the text colored by how unlikely its tokens are."""

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from model_understanding.comparison.likelihoods import LikelihoodComparison
from model_understanding.results import PseudoLikelihood
from model_understanding.show.shared.colors import palette, text_on
from model_understanding.show.terminal.report import colored_bar, plain_table, print_cautions
from model_understanding.show.views.likelihood import LikelihoodView, compared_likelihoods, likelihood_view

_COLORS = palette("light")


def print_likelihood(likelihood: PseudoLikelihood, console: Console | None = None) -> None:
    """Print a pseudo-log-likelihood.

    Args:
        likelihood: The likelihood.
        console: Where to print; standard output by default.
    """
    console = console or Console()
    view = likelihood_view(likelihood)
    console.print(Text(view.headline, style="bold"))
    print_cautions(view.cautions, console)
    console.print(Padding(_colored(view), (1, 2)))
    table = plain_table()
    table.add_column("least likely", overflow="fold", max_width=48)
    table.add_column("log-probability", justify="right", no_wrap=True)
    table.add_column("probability", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for unit in view.least_likely():
        cells = Text(unit.label), Text(unit.value_text), Text(unit.probability)
        table.add_row(*cells, colored_bar(unit.strength, "unsigned"))
    console.print(Padding(table, (0, 2)))
    console.print(Text(view.facts, style="dim"))


def print_likelihoods(comparison: LikelihoodComparison, console: Console | None = None) -> None:
    """Print two pseudo-log-likelihoods on one color scale, and where they differ most.

    Args:
        comparison: The comparison.
        console: Where to print; standard output by default.
    """
    console = console or Console()
    view = compared_likelihoods(comparison)
    console.print(Text(view.headline, style="bold"))
    for name, side in zip(view.names, view.sides, strict=True):
        console.print()
        console.print(Text.assemble(f"{name}: ", (side.headline, "dim")))
        print_cautions(side.cautions, console)
        console.print(Padding(_colored(side), (0, 2)))
    table = plain_table()
    for name in (*view.names, "log-probabilities", "difference"):
        table.add_column(name, overflow="fold", max_width=36)
    for change in view.changes:
        values = " → ".join(change.values)
        table.add_row(Text(change.first), Text(change.second), Text(values), Text(change.difference))
    console.print(Padding(table, (1, 2)))
    console.print(Text(view.sides[0].facts, style="dim"))


def _colored(view: LikelihoodView) -> Text:
    text = Text(overflow="fold")
    for index, runs in enumerate(view.paragraphs):
        if index:
            text.append("\n")
        for run in runs:
            unit = None if run.unit is None else view.units[run.unit]
            if run.is_pill and (unit is None or not unit.value_text):
                text.append(f" {run.text} " if run.source < 0 else run.text, style="dim italic")
            elif unit is None or not unit.value_text:
                text.append(run.text)
            else:
                color = _COLORS.magnitude(unit.strength)
                text.append(run.text, style=f"{text_on(color)} on {color}")
            if run.is_unknown:
                text.stylize("underline", len(text) - len(run.text))
    return text
