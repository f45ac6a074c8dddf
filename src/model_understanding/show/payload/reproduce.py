"""Python code that reproduces a result.

Code is a list of pieces, for the page to fill in what is chosen there: every second piece is the name of a
value. Joined with the names in their places, it is valid Python in ASCII, which cannot contain hidden
characters. Numbers that were computed elsewhere have no code.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from model_understanding.results import AttentionMap, Attribution, LogitLens, Provenance, Report
from model_understanding.results.target import LANGUAGE_TASKS
from model_understanding.show.payload.reproduced_input import (
    METHOD_CLASSES,
    model_input,
    target_arguments,
    visualizer_name,
    visualizer_options,
)
from model_understanding.show.shared.tasks import side_of


def attribution_code(report: Report, attribution: Attribution) -> list[str]:
    """Return code that reproduces an attribution of a report.

    Args:
        report: The report.
        attribution: One of its attributions.

    Returns:
        The pieces of the code.
    """
    target, method = attribution.targets[0], _method(attribution)
    arguments: dict[str, Any] = {}
    if not _is_of_language_model(report):
        arguments |= target_arguments(report, attribution)
        arguments |= {"method": method, "quantity": target.quantity}
    elif target.quantity == "loss":
        arguments |= {"target": "loss", "method": method}
    elif report.generation is None and len(report.texts) == 1:
        arguments |= {"target": "next", "method": method, "quantity": target.quantity}
        if len(target.against) == 1:
            arguments["against"] = target.against[0]
    else:
        arguments["target"] = "continuation"
        arguments |= _continuation(report)
        arguments |= {"per_token": len(attribution.targets) > 1, "method": method}
        arguments["quantity"] = target.quantity
    parameters = ", ".join(f"{name}={value!r}" for name, value in attribution.parameters.items())
    comment = f"  # {ascii(parameters)[1:-1]}" if parameters and not isinstance(method, _Expression) else ""
    plot = ("plot_saliency(attribution)",)
    return _code(report, "attribution", "compute_saliency", arguments, plot, comment)


def contrast_code(report: Report, contrasts: Attribution) -> list[str]:
    """Return code that reproduces a contrast of a report, with places for ``STEP`` and ``OTHER``."""
    counts = Counter(target.positions for target in contrasts.targets)
    arguments = _continuation(report)
    arguments |= {"alternatives": max(counts.values()), "method": _method(contrasts), "show": False}
    plot = ("plot_saliency(report.contrast(", _Place("STEP"), ", ", _Place("OTHER"), "))")
    return _code(report, "report", "analyze", arguments, plot)


def attention_code(report: Report, attention: AttentionMap) -> list[str]:
    """Return code that computes a matrix of a map, with places for ``LAYER`` and ``HEAD``."""
    arguments: dict[str, Any] = {}
    if _is_of_language_model(report):
        arguments |= _continuation(report)
        if attention.steps is None and attention.stack is None:
            arguments["queries"] = "prompt"
    if attention.stack is not None:
        arguments["stack"] = attention.stack
    arguments |= {"kind": attention.map, "layer": _Place("LAYER"), "head": _Place("HEAD")}
    plot = ("plot_attention(attention)",)
    if side_of(report, attention):  # the model reads each text by itself
        return _code(report, "attention", "compute_attention", arguments, plot, text=attention.keys.texts[0])
    return _code(report, "attention", "compute_attention", arguments, plot)


def links_code(report: Report) -> list[str]:
    """Return code that reproduces the links of two texts."""
    return _code(report, "links", "compute_links", {}, ("links.show()",), of_result=True)


def lens_code(report: Report, lens: LogitLens) -> list[str]:
    """Return code that reproduces the logit lens of a report."""
    arguments: dict[str, Any] = {}
    if _is_of_language_model(report):
        arguments |= _whole_continuation(report)
        arguments["positions"] = lens.positions.tolist()
    arguments["top"] = lens.top_ids.shape[2]
    return _code(report, "lens", "compute_logit_lens", arguments, ("plot_logit_lens(lens)",))


def query_key_code(report: Report) -> list[str]:
    """Return code for the query and keys of a head, with places for ``LAYER``, ``HEAD`` and ``QUERY``."""
    arguments: dict[str, Any] = {name.lower(): _Place(name) for name in ("LAYER", "HEAD", "QUERY")}
    arguments |= _whole_continuation(report)
    return _code(report, "products", "compute_query_key", arguments, ("plot_query_key(products)",))


def _is_of_language_model(report: Report) -> bool:
    return report.generation is not None or report.provenance.task in LANGUAGE_TASKS


def _continuation(report: Report) -> dict[str, Any]:
    """Return the argument that gives the continuation, or says how long the generated one is."""
    if report.generation is not None and not report.generation.given:
        return {"max_new_tokens": len(report.generation.probabilities)}
    return _whole_continuation(report)


def _whole_continuation(report: Report) -> dict[str, Any]:
    """Return the argument that gives the continuation as text; none for a prompt alone."""
    if not _is_of_language_model(report):
        return {}
    if report.generation is not None:
        return {"continuation": report.generation.text}
    return {"continuation": report.texts[1]} if len(report.texts) > 1 else {}


class _Expression(str):
    """A Python expression, written without quotes."""

    def __repr__(self) -> str:
        return str(self)


class _Place(str):
    """The name of a value that the page fills in."""


def _method(attribution: Attribution) -> str:
    """Return the name of a method, or a call of its class with its settings.

    A saved report may come from an untrusted source: only plain values with plain names become code.
    """
    settings = attribution.parameters
    plain = all(
        name.isascii() and name.isidentifier() and isinstance(value, int | float | str)
        for name, value in settings.items()
    )
    if attribution.method not in METHOD_CLASSES or not plain or "layer" in settings:
        return attribution.method
    keywords = ", ".join(f"{name}={value!a}" for name, value in settings.items())
    return _Expression(f"{METHOD_CLASSES[attribution.method]}({keywords})")


def _code(
    report: Report,
    result: str,
    method: str,
    arguments: dict[str, Any],
    plot: tuple[str, ...],
    comment: str = "",
    of_result: bool = False,
    text: Any = None,
) -> list[str]:
    """Return code that calls a method of the report's visualizer and plots what it returns.

    Args:
        report: The report.
        result: Name of the variable for what the method returns.
        method: Name of the method.
        arguments: Its arguments after the text.
        plot: The call that shows the result.
        comment: Follows the call.
        of_result: Whether ``plot`` is a call of the result's own, not of the visualizer.
        text: The text that the method is called with; by default that of the report.
    """
    if report.provenance.model == "unknown":
        return []
    visualizer, text = visualizer_name(report), ascii(model_input(report) if text is None else text)
    method_class = str(arguments.get("method", "")).partition("(")[0]
    imported = f"{visualizer}, {method_class}" if method_class in METHOD_CLASSES.values() else visualizer
    options = "".join(f", {name}={value!a}" for name, value in visualizer_options(report).items())
    keywords = (
        part
        for name, value in arguments.items()
        for part in (f",\n    {name}=", value if isinstance(value, _Place) else ascii(value))
    )
    return _pieces(
        (
            f"from model_understanding import {imported}\n\n",
            f"visualizer = {visualizer}({model_argument(report.provenance)}{options})\n",
            f"{result} = visualizer.{method}(\n    {text}",
            *keywords,
            f",\n){comment}\n",
            *(() if of_result else ("visualizer.",)),
            *plot,
            "\n",
        )
    )


def model_argument(provenance: Provenance) -> str:
    """Return what a visualizer is built from: a Hub ID, or a path or model for the reader to fill in."""
    if provenance.is_local:
        return ascii(f"path/to/{provenance.model}")
    if provenance.model == provenance.architecture.partition(",")[0]:
        return "model=model, tokenizer=tokenizer"
    return ascii(provenance.model)


def _pieces(parts: Iterable[str]) -> list[str]:
    """Return parts with the code between two places joined, so that code and places take turns."""
    pieces = [""]
    for part in parts:
        if isinstance(part, _Place):
            pieces += [str(part), ""]
        else:
            pieces[-1] += part
    return pieces
