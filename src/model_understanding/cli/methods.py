"""``methods``: the catalog of attribution methods."""

import inspect
import json
from collections.abc import Sequence
from typing import Any, TextIO

from model_understanding.cli.options import Json


def methods(json_output: Json = False) -> None:
    """List the attribution methods, their fields, and what each costs."""
    from model_understanding.cli.console import print_json, quiet_libraries, reserved_stdout

    quiet_libraries()
    with reserved_stdout() as data:
        catalog = method_catalog()
        if json_output:
            for entry in catalog:
                print_json(json.dumps(entry, ensure_ascii=False), data)
            return
        _print_catalog(catalog, data)


def _print_catalog(catalog: Sequence[dict[str, Any]], stream: TextIO) -> None:
    """Print a short block for each method: name and promises in columns, then what it is and costs."""
    from rich.text import Text

    from model_understanding.cli.console import data_console
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
        fields = ", ".join(f"{field}={words}" for field, words in entry["fields"].items())
        lines = {
            "": entry["description"],
            "cost: ": entry["cost"],
            "fields: ": fields,
            "from: ": entry["reference"],
        }
        for label, words in lines.items():
            if words:
                console.print(Text(f"    {label}{visible_text(words)}"), soft_wrap=True)


def method_catalog() -> list[dict[str, Any]]:
    """Return what is known of each method, those of other packages included."""
    from model_understanding.cli.settings import method_fields, type_in_words
    from model_understanding.registry import CHOICES, METHODS

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
