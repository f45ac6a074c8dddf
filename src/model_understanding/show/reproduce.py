"""A result as the Python that computes it again."""

from collections import Counter
from typing import Any

from model_understanding.results import AttentionMap, Attribution, LogitLens, Report


def attribution_code(report: Report, attribution: Attribution) -> str:
    """Return code that computes an attribution of a report again.

    Args:
        report: The report, whose texts and model it names.
        attribution: One of its attributions.

    Returns:
        Python source in ASCII, so that nothing in it can hide.
    """
    target, method = attribution.targets[0], _method_of(attribution)
    choices: dict[str, Any] = {}
    if report.prediction is not None:
        if target.task == "sequence-classification" and len(target.indices) == 1:
            choices["target"] = target.indices[0]
            if len(target.against) == 1:
                choices["against"] = target.against[0]
        choices |= {"method": method, "quantity": target.quantity}
    elif target.quantity == "loss":
        choices |= {"target": "loss", "method": method}
    else:
        choices["target"] = "continuation"
        if report.generation is not None and report.generation.given:
            choices["continuation"] = report.generation.text
        elif report.generation is not None:
            choices["max_new_tokens"] = len(report.generation.probabilities)
        choices |= {"per_token": len(attribution.targets) > 1, "method": method}
        choices["quantity"] = target.quantity
    parameters = ", ".join(f"{name}={value!r}" for name, value in attribution.parameters.items())
    remark = f"  # {ascii(parameters)[1:-1]}" if parameters and not isinstance(method, _Name) else ""
    return _code(report, "attribution", "compute_saliency", choices, "plot_saliency(attribution)", remark)


def contrast_code(report: Report, contrasts: Attribution) -> str:
    """Return code that explains one contrast of a report again; ``STEP`` and ``OTHER`` say which."""
    counts = Counter(target.positions for target in contrasts.targets)
    generation = report.generation
    assert generation is not None
    choices: dict[str, Any] = (
        {"continuation": generation.text}
        if generation.given
        else {"max_new_tokens": len(generation.probabilities)}
    )
    choices |= {"alternatives": max(counts.values()), "method": _method_of(contrasts), "show": False}
    plot = "plot_saliency(report.contrast(STEP, OTHER))"
    return _code(report, "report", "analyze", choices, plot, "")


def attention_code(report: Report, attention: AttentionMap) -> str:
    """Return code that computes one plane of a map; ``LAYER`` and ``HEAD`` stand for its place."""
    choices: dict[str, Any] = {}
    if report.generation is not None:
        if report.generation.given:
            choices["continuation"] = report.generation.text
        else:
            choices["max_new_tokens"] = len(report.generation.probabilities)
        if attention.steps is None:
            choices["queries"] = "prompt"
    choices |= {"layer": _Name("LAYER"), "head": _Name("HEAD"), "map": attention.map}
    return _code(report, "attention", "compute_attention", choices, "plot_attention(attention)", "")


def lens_code(report: Report, lens: LogitLens) -> str:
    """Return code that computes the logit lens of a report again."""
    choices: dict[str, Any] = {}
    if report.generation is not None:
        choices["continuation"] = report.generation.text
        choices["positions"] = lens.positions.tolist()
    choices["top"] = lens.top_ids.shape[2]
    return _code(report, "lens", "compute_logit_lens", choices, "plot_logit_lens(lens)", "")


def query_key_code(report: Report) -> str:
    """Return code that reads one head's queries and keys; ``LAYER``, ``HEAD`` and ``QUERY`` say which."""
    choices: dict[str, Any] = {"layer": _Name("LAYER"), "head": _Name("HEAD"), "query": _Name("QUERY")}
    if report.generation is not None:
        choices["continuation"] = report.generation.text
    return _code(report, "products", "compute_query_key", choices, "plot_query_key(products)", "")


class _Name(str):
    """A word of code that stands without quotes."""

    def __repr__(self) -> str:
        return str(self)


# Methods that ``default`` and ``fast`` set otherwise than their own fields do.
_CLASSES = {"integrated_gradients": "IntegratedGradients", "guided_ablation": "GuidedAblation"}


def _method_of(attribution: Attribution) -> str:
    """Return a method by its name; one with settings of its own as the call that makes it.

    What a saved report holds may come from anywhere: only plain values under plain names become code.
    """
    settings = attribution.parameters
    plain = all(
        name.isascii() and name.isidentifier() and isinstance(value, int | float | str)
        for name, value in settings.items()
    )
    if attribution.method not in _CLASSES or not plain or "layer" in settings:
        return attribution.method
    words = ", ".join(f"{name}={value!a}" for name, value in settings.items())
    return _Name(f"{_CLASSES[attribution.method]}({words})")


def _code(report: Report, result: str, method: str, choices: dict[str, Any], plot: str, remark: str) -> str:
    is_generation = report.generation is not None
    kind = "GenerativeModelVisualizer" if is_generation else "ModelVisualizer"
    texts = report.texts[:1] if is_generation else report.texts
    text = ascii(texts[0]) if len(texts) == 1 else ascii(tuple(texts))
    made = str(choices.get("method", "")).partition("(")[0]
    imported = f"{kind}, {made}" if made in _CLASSES.values() else kind
    arguments = "".join(f",\n    {name}={value!a}" for name, value in choices.items())
    return (
        f"from model_understanding import {imported}\n\n"
        f"visualizer = {kind}({report.provenance.model!a})\n"
        f"{result} = visualizer.{method}(\n    {text}{arguments},\n){remark}\n"
        f"visualizer.{plot}\n"
    )
