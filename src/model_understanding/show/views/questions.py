"""The question that a saliency map answers, and what its target is called."""

from model_understanding.results import Attribution, Choices, MaskFilling, Report, SpanAnswer, Tagging, Target
from model_understanding.show.shared.headline import NO_ANSWER
from model_understanding.show.shared.tasks import entity_label
from model_understanding.show.shared.words import explained_name, ordinal, printable, target_label
from model_understanding.tokens import Tokens

_LABEL = 48  # characters of a named word, label or text


def question(report: Report, source: Attribution, index: int) -> str:
    """Return the question that the map of one target answers.

    Args:
        report: The report that has the map.
        source: The attribution.
        index: Index of the target.
    """
    row = source.row(index)
    target = row.targets[0]
    if target.quantity in ("loss", "custom"):
        return f"What changes the {explained_name(row)}?"
    match target.task:
        case "sentence-similarity":
            return "What makes these texts similar?"
        case "question-answering":
            return _of_span(report, row, target)
        case "token-classification":
            return _of_entity(report, _own_tokens(report, row), target)
        case "masked-lm":
            name = _quoted(target_label(target, _LABEL))
            return f"{_why(target, name, is_text=True)}{_at_mask(report, target)}?"
        case _:
            is_text = bool(target.positions)
            return f"{_of_choice(report, source) or _why(target, _name(target), is_text=is_text)}?"


def target_names(report: Report | None, attribution: Attribution, length: int = 28) -> tuple[str, ...]:
    """Return a short name of each target of an attribution: its class, token, entity or choice.

    Args:
        report: The report that has the attribution, if there is one.
        attribution: The attribution.
        length: Maximum number of characters.
    """
    return tuple(_target_name(report, attribution, target, length) for target in attribution.targets)


def _target_name(report: Report | None, attribution: Attribution, target: Target, length: int) -> str:
    if target.quantity in ("loss", "custom"):
        return target_label(target, length)
    if target.task == "token-classification" and target.labels and target.positions and not target.name:
        text = entity_text(report, _own_tokens(report, attribution), target)
        return printable(f"{text} {entity_label(target.labels[0])}", length)
    if target.task == "masked-lm" and report is not None:
        return f"{target_label(target, length)}{_at_mask(report, target)}"
    if target.task == "question-answering" and target.against_labels:
        return printable(f"{target_label(target, length)} over {target.against_labels[0]}", 2 * length)
    return target_label(target, length)


def text_between(tokens: Tokens, first: int, last: int) -> str:
    """Return the text from one token to another, in one line."""
    spans = [
        tokens.offsets[at] for at in range(first, last + 1) if tokens.segments[at] == tokens.segments[first]
    ]
    segment = int(tokens.segments[first])
    if segment < 0 or not spans:
        return tokens.labels()[first]
    return " ".join(tokens.texts[segment][int(spans[0][0]) : int(spans[-1][1])].split())


def choice_of(report: Report, choices: Choices, attribution: Attribution) -> int | None:
    """Return the index of the choice that an attribution explains; ``None`` if it explains none.

    Attributions follow the ranking of the choices; one that names another choice is of that.

    Args:
        report: The report.
        choices: Its choices.
        attribution: One of its attributions.
    """
    place = next(
        (place for place, one in enumerate(report.attributions) if one is attribution), len(choices.names)
    )
    if not attribution.targets:
        return None
    target = attribution.targets[0]
    named = [name for name in (target.name, *target.labels[:1]) if name in choices.names]
    ranked = choices.ranking[place] if place < len(choices.names) else None
    if ranked is not None and (not named or choices.names[ranked] in named):
        return ranked
    return choices.names.index(named[0]) if named else None


def _own_tokens(report: Report | None, row: Attribution) -> Tokens:
    """Return the tokens that a target's positions count: a row of scores may be joined to words."""
    answer = None if report is None else report.answer
    return answer.tokens if isinstance(answer, SpanAnswer | Tagging | MaskFilling) else row.tokens


def _of_span(report: Report, row: Attribution, target: Target) -> str:
    tokens = _own_tokens(report, row)
    if len(target.indices) == 1:
        edge = "start" if target.positions == (0,) else "end"
        token = text_between(tokens, target.indices[0], target.indices[0])
        return f"Why does the answer {edge} at {_quoted(token)}?"
    answer = report.answer if isinstance(report.answer, SpanAnswer) else None
    text = _span_text(answer, tokens, target.indices)
    if not target.against:
        return f"Why this answer: {text}?" if text != NO_ANSWER else "Why no answer?"
    return f"Why {text} and not {_span_text(answer, tokens, target.against)}?"


def _span_text(answer: SpanAnswer | None, tokens: Tokens, indices: tuple[int, ...]) -> str:
    first, last = indices[0], indices[-1]
    none = (0, 0) if answer is None else (answer.no_answer.first, answer.no_answer.last)
    if (first, last) == none and (answer is None or not answer.no_answer.text):
        return NO_ANSWER
    return _quoted(text_between(tokens, first, last))


def _of_entity(report: Report, tokens: Tokens, target: Target) -> str:
    other = printable(entity_label(target.against_labels[0]), _LABEL) if target.against_labels else ""
    if target.name:
        return f"Why {printable(target.name, 2 * _LABEL)}{f' and not {other}' if other else ''}?"
    text = _quoted(entity_text(report, tokens, target))
    label = printable(entity_label(target.labels[0]) if target.labels else target_label(target), _LABEL)
    return f"Why {label}{f' and not {other}' if other else ''} for {text}?"


def entity_text(report: Report | None, tokens: Tokens, target: Target) -> str:
    """Return the text of the entity or token that a target of a tagger is about."""
    if report is not None and isinstance(report.answer, Tagging):
        for entity in report.answer.entities:
            if entity.tokens == target.positions:
                return entity.text
    return text_between(tokens, min(target.positions), max(target.positions)) if target.positions else ""


def _at_mask(report: Report, target: Target) -> str:
    """Return which mask a target is about, where there are several."""
    masks = report.answer.positions.tolist() if isinstance(report.answer, MaskFilling) else []
    if len(masks) < 2 or len(target.positions) != 1 or target.positions[0] not in masks:
        return ""
    return f" at mask {masks.index(target.positions[0]) + 1}"


def _of_choice(report: Report, source: Attribution) -> str:
    """Return why a choice has its value; empty for other answers."""
    choices = report.answer
    if not isinstance(choices, Choices):
        return ""
    index = choice_of(report, choices, source)
    if index is None:
        return ""
    name = _quoted(choices.names[index])
    if choices.kind == "document":
        place = ordinal(choices.ranking.index(index) + 1)
        return f"Why is {name} ranked {place}"
    return f"Why {name}"


def _why(target: Target, name: str, *, is_text: bool) -> str:
    if not target.against_labels:
        return f"Why {name}"
    other = printable(", ".join(label.strip(" ") or label for label in target.against_labels[:3]), _LABEL)
    return f"Why {name} and not {f'“{other}”' if is_text else other}"


def _name(target: Target) -> str:
    name = target_label(target, _LABEL)
    return f"“{name}”" if target.positions else name


def _quoted(text: str) -> str:
    return f"“{printable(' '.join(text.split()) or text, _LABEL)}”"
