"""The options that say which one number of a model's output a command splits."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from model_understanding.cli.model_input import GENERATING
from model_understanding.cli.options import QuantityName
from model_understanding.cli.request import token_or_id


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetOptions:
    """One class or token of a classifier or language model, and the quantity of it."""

    target: Annotated[
        str | None,
        typer.Option(
            metavar="TARGET",
            help="Class, or next token (id:NUMBER for its ID), to explain.",
            show_default="the model's answer to the text; for diff, that of BASE",
        ),
    ] = None
    against: Annotated[
        str | None,
        typer.Option(metavar="TARGET", help="Other class or token: the difference of both is explained."),
    ] = None
    quantity: Annotated[
        QuantityName | None,
        typer.Option(
            help="Quantity to explain.", show_default="logit for classifiers, log_prob for language models"
        ),
    ] = None

    def of(self, task: str) -> dict[str, Any]:
        """Return the arguments that a visualizer of a task takes for them."""
        name = token_or_id if task in GENERATING else str
        arguments: dict[str, Any] = {
            "target": None if self.target is None else name(self.target),
            "against": None if self.against is None else name(self.against),
        }
        return arguments if self.quantity is None else {**arguments, "quantity": self.quantity.value}
