"""What a visualizer is given to reproduce a map: its class, its text, and the target by kind of model."""

from types import MappingProxyType
from typing import Any

from model_understanding.results import (
    Attribution,
    Choices,
    MaskFilling,
    Report,
    SpanAnswer,
    Tagging,
    Target,
)
from model_understanding.results.target import LANGUAGE_TASKS
from model_understanding.show.views.questions import choice_of

METHOD_CLASSES = MappingProxyType(
    {"integrated_gradients": "IntegratedGradients", "guided_ablation": "GuidedAblation"}
)
"""Methods whose settings by ``default`` and ``fast`` differ from those of the class."""
_CLASSES = MappingProxyType(
    {
        "causal-lm": "GenerativeModelVisualizer",
        "seq2seq-lm": "Seq2SeqVisualizer",
        "token-classification": "TokenClassificationVisualizer",
        "question-answering": "QuestionAnsweringVisualizer",
        "masked-lm": "MaskedLMVisualizer",
        "multiple-choice": "MultipleChoiceVisualizer",
        "sentence-similarity": "SimilarityVisualizer",
    }
)
_OF_ANSWERS = ("max_answer_len", "max_seq_len", "doc_stride", "question_first")
_CLASSES_OF_CHOICES = MappingProxyType(
    {"choice": "MultipleChoiceVisualizer", "label": "ZeroShotClassificationVisualizer"}
)


def visualizer_name(report: Report) -> str:
    """Return the name of the class that explains the model of a report."""
    task = _task(report)
    if isinstance(report.answer, Choices) and report.answer.kind in _CLASSES_OF_CHOICES:
        return _CLASSES_OF_CHOICES[report.answer.kind]
    if isinstance(report.answer, Choices) and task != "sentence-similarity":
        return "RerankerVisualizer"
    return _CLASSES.get(task, "ModelVisualizer")


def visualizer_options(report: Report) -> dict[str, Any]:
    """Return how a visualizer must be set up to give the answer of a report."""
    choices, (architecture, _, pooling) = report.answer, report.provenance.architecture.partition(", ")
    if isinstance(choices, SpanAnswer):  # a saved report may come from an untrusted source
        settings = choices.settings.items()
        return {name: value for name, value in settings if name in _OF_ANSWERS and isinstance(value, int)}
    if _task(report) == "sentence-similarity" and architecture == report.provenance.model:
        return {"pooling": pooling.removesuffix(" pooling")} if pooling.endswith(" pooling") else {}
    if not isinstance(choices, Choices) or choices.kind != "label" or len(choices.tokens.texts) < 2:
        names = ("source_language", "target_language")
        languages = {name: getattr(report.provenance, name) for name in names}
        return {name: language for name, language in languages.items() if language is not None}
    hypothesis = choices.tokens.texts[1]
    template = hypothesis.replace(choices.label, "{}", 1)
    options: dict[str, Any] = {"hypothesis_template": template} if template != hypothesis else {}
    return options | ({"multi_label": True} if choices.multi_label else {})


def model_input(report: Report) -> Any:
    """Return the text of a report as its visualizer takes it: a string, or a tuple."""
    answer, texts = report.answer, report.texts
    match answer:
        case Choices():
            return answer.question, list(answer.names)
        case SpanAnswer() if len(texts) == 2:
            return tuple(texts) if answer.context == 1 else tuple(reversed(texts))
        case _ if _task(report) in LANGUAGE_TASKS:
            return texts[0]
        case _:
            return texts[0] if len(texts) == 1 else tuple(texts)


def target_arguments(report: Report, attribution: Attribution) -> dict[str, Any]:
    """Return the arguments that name the targets of an attribution; none where they are the default."""
    targets = attribution.targets
    match report.answer:
        case Tagging() as tagging:
            return _of_entities(tagging, targets)
        case SpanAnswer() as answer:
            return _of_spans(answer, targets)
        case MaskFilling() as filling:
            return _of_masks(filling, targets)
        case Choices() as choices:
            index = choice_of(report, choices, attribution)
            return {} if index is None else {"target": index}
        case _:
            return _of_class(targets[0])


def _task(report: Report) -> str:
    known = (report.attributions[0].targets[0].task,) if _has_targets(report) else ()
    return next((task for task in (*known, report.provenance.task) if task != "unknown"), "")


def _has_targets(report: Report) -> bool:
    return bool(report.attributions and report.attributions[0].targets)


def _of_class(target: Target) -> dict[str, Any]:
    if target.task != "sequence-classification" or len(target.indices) != 1:
        return {}
    against = {"against": target.against[0]} if len(target.against) == 1 else {}
    return {"target": target.indices[0], **against}


def _of_entities(tagging: Tagging, targets: tuple[Target, ...]) -> dict[str, Any]:
    places = [(entity.tokens, entity.indices) for entity in tagging.entities]
    found = [(target.positions, target.indices) for target in targets]
    against = {"against": targets[0].against_labels[0]} if targets[0].against_labels else {}
    if found == places:
        return against
    items = [
        places.index(place) if place in places else _place(target)
        for place, target in zip(found, targets, strict=True)
    ]
    return {"target": items[0] if len(items) == 1 else items, **against}


def _place(target: Target) -> Any:
    """Return a label at a token or a span, as a tagger's target names it."""
    first, last = min(target.positions), max(target.positions)
    label = target.labels[0] if target.labels else target.indices[0]
    return (first, label) if first == last else ((first, last), label)


def _of_spans(answer: SpanAnswer, targets: tuple[Target, ...]) -> dict[str, Any]:
    def named(target: Target, indices: tuple[int, ...]) -> Any:
        if len(indices) == 2:
            return "no answer" if indices == (answer.no_answer.first, answer.no_answer.last) else indices
        return ("start" if target.positions == (0,) else "end"), (indices[0], indices[0])

    items = [named(target, target.indices) for target in targets]
    others = [named(target, target.against) for target in targets if target.against]
    against = {"against": others[0]} if others else {}
    if items == [(answer.best.first, answer.best.last)]:
        return against
    return {"target": items[0] if len(items) == 1 else items, **against}


def _of_masks(filling: MaskFilling, targets: tuple[Target, ...]) -> dict[str, Any]:
    masks = filling.positions.tolist()
    found = [
        (masks.index(target.positions[0]), target.indices[0]) for target in targets if _is_at(target, masks)
    ]
    others = [target.against[0] for target in targets if target.against]
    against = {"against": others[0]} if others else {}
    if found == [(mask, int(ids[0])) for mask, ids in enumerate(filling.top_ids)]:
        return against
    if len(masks) == 1:
        tokens = [token for _, token in found]
        return {"target": tokens[0] if len(tokens) == 1 else tokens, **against}
    return {"target": dict(found), **against}


def _is_at(target: Target, masks: list[int]) -> bool:
    return len(target.positions) == 1 and target.positions[0] in masks
