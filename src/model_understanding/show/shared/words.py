"""Texts shared by figures, terminal and page: names of targets, layers, metrics and shares.

Every returned string is free of control characters and direction overrides.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import regex

from model_understanding.results import (
    AttentionMap,
    Attribution,
    Evaluation,
    Limits,
    LogitLens,
    Provenance,
    Report,
    Target,
)
from model_understanding.results.target import QUANTITY_NAMES
from model_understanding.show.shared.tasks import entity_label, target_noun
from model_understanding.tokens import visible_text

_GRAPHEME = regex.compile(r"\X")
_MAX_NAMED = 3  # keys that are listed by name
_UNNAMED = regex.compile(r"LABEL_\d+")  # what transformers calls a class without a name
_NAMED_BY_TEXTS = ("question-answering", "multiple-choice")  # tasks whose targets are named by texts
LABEL_LENGTH = 20  # visible characters of a token's label
LENS_NOTE = (
    "Each layer's hidden states go through the model's final norm and output head, which were trained for "
    "the last layer only."
)
READING_NOTES = (
    "A saliency map shows how this one prediction changes when tokens of this text change: slightly "
    "(gradients) or by removal (perturbation). It is local: other texts and other changes may behave "
    "differently.",
    "An attention map shows where the model attends, not why it made its prediction: attention is not "
    "causation. Information also flows through other layers, and a token with high attention may not affect "
    "the prediction.",
    "An attention sink is a token that receives attention whatever the query, often the first token. Sinks "
    "are named and excluded from the color scale; nothing is rescaled.",
)


_METRIC_NAMES = {
    "z_score": "z-score with one replacement",
    "leave_one_out_tau": "leave-one-out tau",
    "normalized_aopc": "normalized AOPC",
}


def printable(text: str, length: int | None = None) -> str:
    """Return text with control characters made visible, shortened in the middle to a number of characters.

    >>> printable("abcdefgh", 5)
    'ab…gh'
    """
    text = visible_text(text)
    if length is None or len(text) <= length:
        return text
    characters = _GRAPHEME.findall(text)
    if len(characters) <= length:
        return text
    head = length // 2
    return "".join(characters[:head]) + "…" + "".join(characters[len(characters) - (length - 1 - head) :])


def format_number(value: float) -> str:
    """Return a number with three significant digits and a true minus sign.

    >>> format_number(-0.01234)
    '−0.0123'
    """
    text = f"{value:.3g}" if abs(value) < 1e4 or not np.isfinite(value) else f"{value:.3e}"
    return text.replace("-", "−")


def format_percent(share: float) -> str:
    """Return a share in percent; shares that would round to 0 or 100 % are marked by < and >.

    >>> format_percent(0.9999), format_percent(0.431), format_percent(0.0002), format_percent(-0.2)
    ('> 99.9 %', '43.1 %', '< 0.1 %', '−20.0 %')
    """
    if 0 < abs(share) < 0.001:
        return "< 0.1 %" if share > 0 else "> −0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{100 * share:.1f} %".replace("-", "−").replace("100.0", "100")


def format_entry(label: str, value: str, length: int = 20) -> str:
    """Return a token with its value, as in ``Paris 43.1 %``.

    Args:
        label: Label of the token.
        value: The formatted value.
        length: Maximum number of characters of the label.
    """
    return f"{printable(label.strip(' ') or label, length)} {value}"


def ordinal(position: int) -> str:
    """Return the ordinal of a position, as in ``3rd``."""
    suffix = "th" if position % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(position % 10, "th")
    return f"{position}{suffix}"


def warning_text(caution: str) -> str:
    """Return a caution of a result as the user sees it."""
    return f"Warning: {caution}"


def cautions_of(*results: Any) -> tuple[str, ...]:
    """Return the cautions of some results, without repetition, in order."""
    cautions: dict[str, None] = {}
    for result in results:
        parts = (result,)
        if isinstance(result, Report):
            links = () if result.links is None else (result.links,)
            parts = (result, *result.attributions, *result.attention, *links)
        for part in parts:
            cautions.update(dict.fromkeys(printable(caution, 400) for caution in part.provenance.cautions))
    return tuple(cautions)


def model_name(provenance: Provenance) -> str:
    """Return the name of the model, empty if it is not known."""
    return "" if provenance.model == "unknown" else printable(provenance.model, 80)


def provenance_rows(provenance: Provenance) -> list[tuple[str, str]]:
    """Return what is known of the origin of a result, as names and values."""
    rows = [
        ("model", provenance.model),
        ("revision", provenance.revision),
        ("architecture", provenance.architecture),
        ("tokenizer", provenance.tokenizer),
        ("task", provenance.task),
        ("source language", provenance.source_language),
        ("target language", provenance.target_language),
        ("dtype", provenance.dtype),
        ("device", provenance.device),
        ("attention implementation", provenance.attention_implementation),
        ("seed", provenance.seed),
        ("seconds", None if provenance.seconds is None else f"{provenance.seconds:.2f}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in provenance.versions.items())),
    ]
    return [(name, str(value)) for name, value in rows if value not in (None, "", "unknown")]


def method_name(attribution: Attribution) -> str:
    """Return the method and its parameters, as in ``saliency (norm l2)``."""
    parameters = ", ".join(
        f"{name} {format_number(value) if isinstance(value, float) else value}"
        for name, value in attribution.parameters.items()
    )
    return printable(f"{attribution.method} ({parameters})" if parameters else attribution.method, 120)


def gap_text(attribution: Attribution) -> str:
    """Return how far the scores are from summing to the target's change; empty if they need not.

    >>> found = Attribution.from_arrays(["a"], [1.0])
    >>> gap_text(found)
    ''
    """
    gaps = attribution.relative_gaps()
    if gaps is None or not gaps.size:
        return ""
    return f"completeness gap {'' if len(gaps) == 1 else 'up to '}{format_percent(float(gaps.max()))}"


def target_name(target: Target) -> str:
    """Return the description of a target, shortened to one line."""
    return printable(target.description(), 100)


def targets_name(targets: Sequence[Target]) -> str:
    """Return a description of several targets, as in ``log-probability of each generated token``."""
    each = f"each {target_noun(targets)}"
    quantity = QUANTITY_NAMES.get(targets[0].quantity)
    return f"{quantity} of {each}" if quantity else each


def explained_name(attribution: Attribution) -> str:
    """Return a description of the target or targets of an attribution."""
    targets = attribution.targets
    return target_name(targets[0]) if len(targets) == 1 else targets_name(targets)


def target_label(target: Target, length: int = 28) -> str:
    """Return a short label of a target: its name, or its tokens or classes."""
    label = target.name or ", ".join(target.labels) or target.description()
    return printable(label.strip(" ") or label, length)


def target_value(attribution: Attribution, index: int = 0) -> str:
    """Return the value of a target, with the corresponding probability or perplexity."""
    value, target = float(attribution.outputs[index]), attribution.targets[index]
    text = format_number(value)
    if target.quantity == "log_prob" and len(target.indices) == 1 and not target.against:
        text += f" (probability {format_percent(float(np.exp(min(value, 0.0))))})"
    if target.quantity == "loss" and value < 20:
        text += f" nats per token (perplexity {format_number(float(np.exp(value)))})"
    return text


def sign_meanings(target: Target) -> tuple[str, str]:
    """Return what positive scores mean, and what negative scores mean."""
    if target.quantity == "loss":
        return "raises the loss", "lowers the loss"
    if target.quantity == "custom":
        return f"raises {printable(target.name or 'the target', 24)}", "lowers it"
    if target.task == "sentence-similarity":
        return "makes the texts more similar", "makes the texts less similar"
    whole = "the output" if target.task == "seq2seq-lm" else "the answer"
    name = whole if target.name == "continuation" else _supported(target)
    is_choice = target.task == "sequence-classification" and target.name
    if not target.against_labels and _UNNAMED.fullmatch(name):  # nothing can support a number
        return f"raises the score of {name}", f"lowers the score of {name}"
    if target.against_labels and not is_choice:  # that of a label's hypothesis is part of its definition
        other = _joined_labels(target, target.against_labels)
        return f"supports {name} over {other}", f"supports {other} over {name}"
    return f"supports {name}", f"opposes {name}"


def _supported(target: Target) -> str:
    if target.task == "token-classification" and target.labels:
        return _joined_labels(target, target.labels)
    if target.task in _NAMED_BY_TEXTS:
        return f"“{printable(target.name or _joined_labels(target, target.labels), 24)}”"
    name = printable(target.name or _joined_labels(target, target.labels) or "the target", 24)
    is_text = target.task == "sequence-classification" and target.name and " " in target.name
    return f"“{name}”" if is_text else name  # a document, or a long label


def _joined_labels(target: Target, labels: Sequence[str]) -> str:
    """Return labels in one line, those of an entity's tokens as one."""
    if target.task == "token-classification":
        labels = tuple(dict.fromkeys(map(entity_label, labels)))
    return printable(", ".join(label.strip(" ") or label for label in labels[:3]), 24)


def score_axis_label(signed: bool, normalized: bool) -> str:
    """Return the label of a score axis."""
    if not normalized:
        return "raw score"
    return "share of the total |score|" if signed else "share of the total score"


def attention_title(attention: AttentionMap, layer: int | None = None, head: int | None = None) -> str:
    """Return the title of a map, as in ``Attention (rollout): layer 5, mean of heads 0–11``."""
    return f"{attention_name(attention)}: {plane_name(attention, layer, head)}"


def attention_name(attention: AttentionMap, *, with_reduction: bool = True) -> str:
    """Return the name of a map, as in ``Attention (rollout)``, with its reduction if there is one."""
    name = "" if attention.map == "raw" else f" ({printable(attention.map, 40)})"
    is_whole = attention.keep == "rows" or not with_reduction
    kept = "" if is_whole else f", {printable(attention.keep.replace(':', ' '), 30)}"
    return f"{stack_name(attention.stack).capitalize()}{name}{kept}"


def attention_kind(attention: AttentionMap) -> str:
    """Return the kind of a map in a list, as in ``rollout``, ``cross attention`` or ``rollout, …``."""
    kind = printable(attention.map, 40)
    if attention.stack is None:
        return kind
    stack = stack_name(attention.stack)
    return stack if attention.is_attention else f"{kind}, {stack}"


def side_names(attention: AttentionMap) -> tuple[str, str]:
    """Return what the queries and the keys of a map are called: in cross attention by their side."""
    return ("decoder", "source") if attention.stack == "cross" else ("query", "key")


def stack_name(stack: str | None) -> str:
    """Return the name of a stack of attention, as in ``cross attention``."""
    if stack is not None and stack.endswith(" text"):  # one of two texts that a model reads by themselves
        return f"attention of the {printable(stack, 20)}"
    return "attention" if stack is None else f"{printable(stack, 20)} attention"


def plane_name(attention: AttentionMap, layer: int | None = None, head: int | None = None) -> str:
    """Return the layer and the head of a matrix, as in ``layer 5, mean of heads 0–11``."""
    return f"{axis_name('layer', attention.layers, layer)}, {axis_name('head', attention.heads, head)}"


def axis_name(name: str, indices: tuple[int, ...] | str, index: int | None = None) -> str:
    """Return a layer or head, or the layers or heads of a mean, as in ``mean of heads 0–11``.

    Args:
        name: ``layer`` or ``head``.
        indices: Indices on the axis, or the name of its reduction.
        index: A single index; ``None`` for the whole axis.
    """
    if index is not None:
        return f"{name} {index}"
    if isinstance(indices, str):
        return printable(f"{indices} over all {name}s")
    if len(indices) == 1:
        return f"{name} {indices[0]}"
    consecutive = list(indices) == list(range(indices[0], indices[-1] + 1))
    listed = f"{indices[0]}–{indices[-1]}" if consecutive else ", ".join(map(str, indices))
    return f"mean of {name}s {listed}"


def attention_note(attention: AttentionMap) -> str:
    """Return what a map shows, and what it does not show."""
    if attention.is_attention:
        return "Attention shows where the model attends, not why it made its prediction."
    return "The map shows how much tokens contribute to each other, not why the model made its prediction."


def share_list(
    labels: Sequence[str], columns: Sequence[int], shares: Sequence[float], prefix: str = ""
) -> str:
    """Return the shares of some columns, as in ``<bos>: 71.0 %, .: 20.3 %``; at most three are listed.

    Args:
        labels: Labels of all columns.
        columns: The columns.
        shares: Share of each of them.
        prefix: Text before each share, for example ``at least ``.
    """
    listed = [
        f"{labels[column]}: {prefix}{format_percent(share)}"
        for column, share in zip(columns[:_MAX_NAMED], shares, strict=False)
    ]
    more = f" and {len(columns) - _MAX_NAMED} more" if len(columns) > _MAX_NAMED else ""
    return ", ".join(listed) + more


def prediction_label(lens: LogitLens, layer: int, index: int, length: int) -> str:
    """Return the top prediction of a layer of a logit lens, shortened to a length."""
    label = lens.label(int(lens.top_ids[layer, index, 0]))
    return printable(label.strip(" ") or label, length)


def metric_name(metric: str) -> str:
    """Return the name of a metric in words.

    >>> metric_name("z_score"), metric_name("my_metric")
    ('z-score with one replacement', 'my metric')
    """
    return _METRIC_NAMES.get(metric) or printable(metric.replace("_", " "), 60)


def evaluation_name(evaluation: Evaluation) -> str:
    """Return the name of a metric with its quantity and replacement.

    >>> from model_understanding.results import Evaluation
    >>> evaluation_name(Evaluation(metric="deletion", value=1.0, curve=[[0, 1]], control=[1.0],
    ...     higher_is_better=True, quantity="probability", replacement="mask"))
    'deletion · probability · mask'
    """
    return " · ".join(filter(None, (metric_name(evaluation.metric), evaluation_condition(evaluation))))


def evaluation_condition(evaluation: Evaluation) -> str:
    """Return the quantity and the replacement of a metric."""
    return " · ".join(filter(None, (evaluation.quantity, evaluation.replacement)))


def evaluation_value(evaluation: Evaluation) -> str:
    """Return the value of a metric, ``–`` if it has none."""
    return "–" if evaluation.value is None else format_number(evaluation.value)


def limits_range(limits: Limits | None) -> str:
    """Return the possible range of a metric before normalization, ``–`` if it is not normalized.

    >>> from model_understanding.results import Limits
    >>> limits_range(Limits(lower=-1.4, upper=4.34, exact=False))
    '−1.4 to 4.34'
    """
    return "–" if limits is None else f"{format_number(limits.lower)} to {format_number(limits.upper)}"


def limits_source(limits: Limits | None) -> str:
    """Return how the range was computed: ``exact`` or ``beam search``; ``–`` if there is none."""
    return "–" if limits is None else "exact" if limits.exact else "beam search"


def raw_value_and_range(evaluation: Evaluation) -> str:
    """Return a normalized value before normalization and its possible range; empty if not normalized."""
    if evaluation.limits is None:
        return ""
    raw = "" if evaluation.raw is None else f"raw value {format_number(evaluation.raw)}; "
    return f"{raw}possible range {limits_range(evaluation.limits)} ({limits_source(evaluation.limits)})"


def control_name(evaluation: Evaluation) -> str:
    """Return the control of a metric, empty if it has none.

    >>> from model_understanding.results import Evaluation
    >>> control_name(Evaluation(metric="z_score", value=1.0, curve=np.zeros((0, 2)), control=[0.2],
    ...     higher_is_better=True, shuffled=True))
    'permuted scores'
    """
    if not evaluation.control.size:
        return ""
    return "permuted scores" if evaluation.shuffled else "random removal orders"
