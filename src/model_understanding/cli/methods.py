"""``methods``: the catalog of attribution methods."""

import inspect
import json
from collections.abc import Sequence
from typing import Any, TextIO

from model_understanding.cli.console import data_console, print_json, reserved_stdout
from model_understanding.cli.options import Json
from model_understanding.cli.settings import method_fields, type_in_words
from model_understanding.registry import CHOICES, METHODS


def methods(json_output: Json = False) -> None:
    """List the attribution methods with their fields and costs."""
    with reserved_stdout() as data:
        catalog = method_catalog()
        if not json_output:
            _print_catalog(catalog, data)
            return
        for entry in catalog:
            print_json(json.dumps(entry, ensure_ascii=False), data)


def method_catalog() -> list[dict[str, Any]]:
    """Return a description of each method, including those of other packages."""
    catalog = []
    for name in METHODS.names():
        method_type = METHODS.load(name)
        catalog.append(
            {
                "name": name,
                "chosen": {
                    what: [choice for choice in CHOICES if CHOICES[choice][what] == name]
                    for what in CHOICES["default"]
                    if any(methods[what] == name for methods in CHOICES.values())
                },
                "signed": bool(method_type.signed),
                "complete": bool(method_type.complete),
                "cost": str(method_type.cost),
                "reference": str(method_type.reference),
                "fields": {field: type_in_words(kind) for field, kind in method_fields(method_type).items()},
                "description": (inspect.getdoc(method_type) or "").partition("\n")[0],
            }
        )
    return catalog


def _print_catalog(catalog: Sequence[dict[str, Any]], stream: TextIO) -> None:
    """Print a row for each method (name, signed, complete) and below it what it is and costs."""
    from rich.text import Text

    from model_understanding.tokens import visible_text

    console = data_console(stream)
    names = [
        " ".join(
            [entry["name"], *(f"({' and '.join(uses)} for {what})" for what, uses in entry["chosen"].items())]
        )
        for entry in catalog
    ]
    width = max(map(len, ["method", *names]))
    console.print(Text(f"{'method':<{width}}  signed  complete", style="bold"), soft_wrap=True)
    for name, entry in zip(names, catalog, strict=True):
        signed, complete = ("yes" if entry[promise] else "no" for promise in ("signed", "complete"))
        console.print(
            Text(f"{visible_text(name):<{width}}  {signed:<6}  {complete}", style="bold"), soft_wrap=True
        )
        fields = ", ".join(f"{field}={kind}" for field, kind in entry["fields"].items())
        lines = {
            "": entry["description"],
            "cost: ": entry["cost"],
            "fields: ": fields,
            "reference: ": entry["reference"],
        }
        for label, text in lines.items():
            if text:
                console.print(Text(f"    {label}{visible_text(text)}"), soft_wrap=True)
