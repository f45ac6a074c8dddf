"""The words that figures, terminal and page share: what a score, a target, a layer or a sink is called.

Everything returned here is free of control characters and direction overrides.
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
from model_understanding.tokens import visible_text

_GRAPHEME = regex.compile(r"\X")
_QUANTITIES = {"log_prob": "log-probability of ", "prob": "probability of ", "logit": "logit of "}
_NAMED = 3  # columns called by their name
LABEL_LENGTH = 20  # visible characters of a token's label
NOTHING_SCORED = "no token has a score"
READING_NOTES = (
    "A saliency map says how this one answer changes when its method changes tokens of this text: a little "
    "(gradients), or by taking them out. It is local: another text, or another change, may behave otherwise.",
    "An attention map says where the model looked, not why it answered: attention is not cause. Information "
    "also moves through other layers, and a token much looked at may change nothing.",
    "A sink is a token that soaks up attention whoever asks (often the first one). It is named and taken off "
    "the color scale; nothing is rescaled.",
)


def shown(text: str, length: int | None = None) -> str:
    """Return text with controls visible, cut in the middle to a number of visible characters.

    >>> shown("abcdefgh", 5)
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


def method_name(attribution: Attribution) -> str:
    """Return the method and its parameters, as ``saliency (norm l2)``."""
    parameters = ", ".join(f"{name} {_value(value)}" for name, value in attribution.parameters.items())
    return shown(f"{attribution.method} ({parameters})" if parameters else attribution.method, 120)


def target_name(target: Target) -> str:
    """Return the target in words, fit for one line."""
    return shown(target.description(), 100)


def targets_name(targets: Sequence[Target]) -> str:
    """Return several targets in words, as ``log-probability of each generated token``."""
    what = "each generated token" if is_generation(targets) else "each target"
    return _QUANTITIES.get(targets[0].quantity, "") + what


def is_generation(targets: Sequence[Target]) -> bool:
    """Return whether each target reads the step at which a language model produced a token."""
    positions = [target.positions for target in targets]
    return all(positions) and len(set(positions)) == len(positions)


def output_words(attribution: Attribution, target: int = 0) -> str:
    """Return a target's value, with the probability or perplexity that it stands for."""
    value, quantity = float(attribution.outputs[target]), attribution.targets[target].quantity
    words = number(value)
    chosen = attribution.targets[target]
    if quantity == "log_prob" and len(chosen.indices) == 1 and not chosen.against:
        words += f" (probability {percent(float(np.exp(min(value, 0.0))))})"
    if quantity == "loss" and value < 20:
        words += f" nats a token (perplexity {number(float(np.exp(value)))})"
    return words


def sign_words(target: Target) -> tuple[str, str]:
    """Return what a score above zero does, and what a score below zero does."""
    if target.quantity == "loss":
        return "raises the loss", "lowers the loss"
    if target.quantity == "custom":
        return f"raises {shown(target.name or 'the target', 24)}", "lowers it"
    what = shown(target.name or ", ".join(label.strip() for label in target.labels[:3]) or "the target", 24)
    if target.against_labels:
        other = shown(", ".join(label.strip() for label in target.against_labels[:3]), 24)
        return f"speaks for {what} over {other}", f"speaks for {other} over {what}"
    return f"supports {what}", f"speaks against {what}"


def predicted(lens: LogitLens, layer: int, place: int, length: int) -> str:
    """Return the likeliest answer of a layer, short enough for a cell."""
    label = lens.label(int(lens.top_ids[layer, place, 0]))
    return shown(label.strip(" ") or label, length)


def score_words(signed: bool, normalized: bool) -> str:
    """Return what the numbers on a score axis are."""
    if not normalized:
        return "raw score"
    return "share of all |score|" if signed else "share of the total score"


def attention_title(attention: AttentionMap, layer: int | None = None, head: int | None = None) -> str:
    """Return a map's title, as ``Attention (rollout): layer 5, mean of heads 0–11``."""
    return f"{attention_name(attention)}: {layer_words(attention, layer, head)}"


def attention_name(attention: AttentionMap) -> str:
    """Return what a map is called, as ``Attention (rollout)``; one that is not of single weights says so."""
    name = "" if attention.map == "raw" else f" ({shown(attention.map, 40)})"
    kept = "" if attention.keep == "rows" else f", {shown(attention.keep.replace(':', ' '), 30)}"
    return f"Attention{name}{kept}"


def layer_words(attention: AttentionMap, layer: int | None = None, head: int | None = None) -> str:
    """Return which layer and head a matrix shows, as ``layer 5, mean of heads 0–11``."""
    return f"{_axis('layer', attention.layers, layer)}, {_axis('head', attention.heads, head)}"


def named_shares(
    names: Sequence[str], columns: Sequence[int], shares: Sequence[float], before: str = ""
) -> str:
    """Return what some columns take, as ``71.0 % on <bos>, 20.3 % on .``; three of them are named.

    Args:
        names: Labels of all columns.
        columns: Which columns.
        shares: What each of them takes.
        before: A word before each share, as ``at least ``.
    """
    named = [
        f"{before}{percent(share)} on {names[column]}"
        for column, share in zip(columns[:_NAMED], shares, strict=False)
    ]
    return ", ".join(named) + (f" and {len(columns) - _NAMED} more" if len(columns) > _NAMED else "")


def cautions(*results: Any) -> tuple[str, ...]:
    """Return every caution of some results once, in order, fit to print."""
    found: dict[str, None] = {}
    for result in results:
        parts = (result, *result.attributions, *result.attention) if isinstance(result, Report) else (result,)
        for part in parts:
            found.update(dict.fromkeys(shown(caution, 400) for caution in part.provenance.cautions))
    return tuple(found)


def source_words(provenance: Provenance) -> tuple[str, ...]:
    """Return the model's name, or nothing where it is not known."""
    return (shown(provenance.model, 80),) if provenance.model != "unknown" else ()


def provenance_rows(report: Report) -> list[tuple[str, str]]:
    """Return what is known of where a report comes from, as names and values."""
    provenance = report.provenance
    rows = [
        ("model", provenance.model),
        ("revision", provenance.revision),
        ("architecture", provenance.architecture),
        ("tokenizer", provenance.tokenizer),
        ("task", provenance.task),
        ("number type", provenance.dtype),
        ("device", provenance.device),
        ("attention implementation", provenance.attention_implementation),
        ("seed", provenance.seed),
        ("seconds", None if provenance.seconds is None else f"{provenance.seconds:.2f}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in provenance.versions.items())),
    ]
    return [(name, str(value)) for name, value in rows if value not in (None, "", "unknown")]


def answer_words(report: Report) -> str:
    """Return a classifier's answer with its probability, or how a continuation ended."""
    if report.prediction is not None:
        prediction = report.prediction
        if prediction.problem == "regression":
            return ", ".join(
                f"{shown(label, 40)} {number(float(value))}"
                for label, value in zip(prediction.labels, prediction.logits, strict=True)
            )
        if prediction.problem == "multi_label" and prediction.probabilities is not None:
            chosen = [
                f"{shown(label, 40)} {percent(float(p))}"
                for label, p in zip(prediction.labels, prediction.probabilities, strict=True)
                if p >= 0.5
            ]
            return ", ".join(chosen) or "no label reaches 50 %"
        probability = prediction.probability
        share = "" if probability is None else f" {percent(probability)}"
        return f"{shown(prediction.label, 60)}{share}"
    assert report.generation is not None
    generation = report.generation
    count = len(generation.probabilities)
    origin = "given" if generation.given else "generated"
    end = ", ended by the model" if generation.ended else ""
    return f"{count} token{'' if count == 1 else 's'} {origin}{end}"


def ordinal(number: int) -> str:
    """Return a number of a place, as ``3rd``."""
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def number(value: float) -> str:
    """Return a number with three significant digits and a true minus sign.

    >>> number(-0.01234)
    '−0.0123'
    """
    words = f"{value:.3g}" if abs(value) < 1e4 or not np.isfinite(value) else f"{value:.3e}"
    return words.replace("-", "−")


def percent(share: float) -> str:
    """Return a share as percent; what rounds to all or nothing says so.

    >>> percent(0.9999), percent(0.431), percent(0.0002), percent(-0.2)
    ('> 99.9 %', '43.1 %', '< 0.1 %', '−20.0 %')
    """
    if 0 < abs(share) < 0.001:
        return "< 0.1 %" if share > 0 else "> −0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{100 * share:.1f} %".replace("-", "−").replace("100.0", "100")


def _axis(name: str, held: tuple[int, ...] | str, wanted: int | None) -> str:
    if wanted is not None:
        return f"{name} {wanted}"
    if isinstance(held, str):
        return f"{held} over all {name}s"
    if len(held) == 1:
        return f"{name} {held[0]}"
    consecutive = list(held) == list(range(held[0], held[-1] + 1))
    which = f"{held[0]}–{held[-1]}" if consecutive else ", ".join(map(str, held))
    return f"mean of {name}s {which}"


def _value(value: object) -> str:
    return number(value) if isinstance(value, float) else str(value)


def evaluation_name(evaluation: Evaluation) -> str:
    """Return a metric's name with what it reads and what stands in for removed tokens.

    >>> from model_understanding.results import Evaluation
    >>> evaluation_name(Evaluation(metric="deletion", value=1.0, curve=[[0, 1]], control=[1.0],
    ...     higher_is_better=True, quantity="probability", replacement="mask"))
    'deletion · probability · mask'
    """
    return " · ".join(filter(None, (evaluation.metric, evaluation_condition(evaluation))))


def evaluation_value(evaluation: Evaluation) -> str:
    """Return a metric's value in words, ``–`` where it has none."""
    return "–" if evaluation.value is None else number(evaluation.value)


def limits_range(limits: Limits | None) -> str:
    """Return what a metric can be on a text and model before it is normalized, ``–`` where it is not.

    >>> from model_understanding.results import Limits
    >>> limits_range(Limits(lower=-1.4, upper=4.34, exact=False))
    '−1.4 to 4.34'
    """
    return "–" if limits is None else f"{number(limits.lower)} to {number(limits.upper)}"


def limits_source(limits: Limits | None) -> str:
    """Return how limits were found: ``exact`` or ``by search``."""
    return "–" if limits is None else "exact" if limits.exact else "by search"


def before_normalizing(evaluation: Evaluation) -> str:
    """Return a normalized value before that was done, with what it can be; nothing where it was not."""
    if evaluation.limits is None:
        return ""
    own = "" if evaluation.raw is None else f"raw {number(evaluation.raw)}, "
    return f"{own}possible {limits_range(evaluation.limits)} ({limits_source(evaluation.limits)})"


def evaluation_condition(evaluation: Evaluation) -> str:
    """Return what a metric reads and what stands in for removed tokens."""
    return " · ".join(filter(None, (evaluation.quantity, evaluation.replacement)))


def control_words(evaluation: Evaluation) -> str:
    """Return what a metric's control is of, ``""`` where it has none.

    Some metrics remove tokens in random orders as well; others deal the map's own scores out to the tokens at
    random, and run nothing more.

    >>> from model_understanding.results import Evaluation
    >>> control_words(Evaluation(metric="standing", value=1.0, curve=np.zeros((0, 2)), control=[0.2],
    ...     higher_is_better=True, shuffled=True))
    'shuffled scores'
    """
    if not evaluation.control.size:
        return ""
    return "shuffled scores" if evaluation.shuffled else "random orders"
