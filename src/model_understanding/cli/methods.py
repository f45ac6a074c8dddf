"""``methods``: the catalogue of attribution methods."""

import inspect
import json
from collections.abc import Sequence
from typing import Any, TextIO

from model_understanding.cli.options import Json


def methods(json_output: Json = False) -> None:
    """List the attribution methods, their fields, and what each costs."""
    from model_understanding.cli.streams import print_json, quiet_libraries, reserved_stdout

    quiet_libraries()
    with reserved_stdout() as data:
        catalogue = method_catalogue()
        if json_output:
            for entry in catalogue:
                print_json(json.dumps(entry, ensure_ascii=False), data)
            return
        _print_catalogue(catalogue, data)


def _print_catalogue(catalogue: Sequence[dict[str, Any]], stream: TextIO) -> None:
    """Print two lines for each method: its facts in columns, then what it is."""
    from rich.text import Text

    from model_understanding.cli.streams import data_console
    from model_understanding.tokens import visible_text

    rows: list[tuple[str, ...]] = [("method", "signed", "cost", "fields")]
    for entry in catalogue:
        fields = ", ".join(f"{name}={words}" for name, words in entry["fields"].items())
        name = entry["name"] + (" (default)" if entry["default"] else "")
        facts = (name, "yes" if entry["signed"] else "no", entry["cost"], fields or "none")
        rows.append(tuple(map(visible_text, facts)))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    console = data_console(stream)
    for number, row in enumerate(rows):
        cells = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        console.print(Text(cells, style="bold"), soft_wrap=True)
        if number:
            console.print(Text(f"    {visible_text(catalogue[number - 1]['description'])}"), soft_wrap=True)


def method_catalogue() -> list[dict[str, Any]]:
    """Return what is known of each method, those of other packages included."""
    from model_understanding.cli.method_options import method_fields, type_in_words
    from model_understanding.registry import DEFAULT_METHOD, METHODS

    catalogue = []
    for name in METHODS.names():
        method_type = METHODS.load(name)
        catalogue.append(
            {
                "name": name,
                "default": name == DEFAULT_METHOD,
                "signed": bool(method_type.signed),
                "cost": str(method_type.cost),
                "fields": {field: type_in_words(kind) for field, kind in method_fields(method_type).items()},
                "description": (inspect.getdoc(method_type) or "").partition("\n")[0],
            }
        )
    return catalogue
