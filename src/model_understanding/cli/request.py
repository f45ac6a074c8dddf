"""What a command asks of a model about a text, and the explanation that answers it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from model_understanding.cli.columns import SourceText
from model_understanding.cli.model_input import GENERATING, ModelInput
from model_understanding.cli.options import LevelName, QuantityName
from model_understanding.errors import InputError
from model_understanding.results import Estimate, Failure, Report
from model_understanding.targets.names import MASKED_LM

_TOKEN_ID = "id:"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainRequest:
    """What ``explain`` computes for each text.

    Args:
        input: How the text becomes the model's input.
        method: The method object, ``default`` or ``fast``.
        targets: Labels, indices, tokens or the name of a target; empty for the default.
        against: The other side of the contrast; for a continuation one token per step.
        quantity: The quantity to explain; ``None`` for the default.
        layer: The block whose input hidden states are scored; ``None`` for the embeddings.
        per_token: Whether each token of the continuation is a target of its own.
        alternatives: How many likely other tokens of each step are explained too.
        span: The part of the continuation or prompt to explain: a text or ``START:END`` in tokens.
        level: The unit in which scores and attention are shown and saved.
        estimate: Whether to estimate the cost only.
        evaluate: Whether to evaluate the explanation's faithfulness.
        metrics: Extra metrics.
        scores_only: Whether to compute only the answer and the scores.
        as_page: Whether an HTML page is saved, which shows more attention maps than the main one.
    """

    input: ModelInput
    method: Any = "default"
    targets: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    quantity: QuantityName | None = None
    layer: int | None = None
    per_token: bool = False
    alternatives: int = 0
    span: str | None = None
    level: LevelName = LevelName.TOKEN
    estimate: bool = False
    evaluate: bool = True
    metrics: tuple[str, ...] = ()
    scores_only: bool = False
    as_page: bool = False

    def check(self, task: str) -> None:
        """Refuse options that do not apply to a task, or exclude each other.

        Raises:
            InputError: An option applies to the other task, or two options exclude each other.
        """
        self.input.check(
            task,
            {
                "--per-token": self.per_token,
                "--alternatives": self.alternatives > 0,
                "--span": self.span is not None,
                "a second --against": len(self.against) > 1,
            },
        )
        names = [name for name in ("loss", "continuation", "next") if name in self.targets]
        if task in GENERATING and names and len(self.targets) > 1:
            raise InputError(
                f"--target {names[0]} cannot be combined with other targets. Got {', '.join(self.targets)}.",
                hint=f"Pass only --target {names[0]}, or only tokens.",
            )
        if self.metrics and self.scores_only:
            raise InputError(
                f"--metrics {','.join(self.metrics)} needs an evaluation, but --scores-only leaves it out.",
                hint="Drop one of them.",
            )
        if self.metrics and not self.evaluate:
            raise InputError(
                f"--metrics {','.join(self.metrics)} needs an evaluation, but --no-evaluate turns it off.",
                hint="Drop one of them.",
            )
        if self.per_token and self.targets and self.targets[0] != "continuation":
            raise InputError(
                f"--per-token needs the target continuation. Got --target {self.targets[0]}.",
                hint="Drop --per-token or --target.",
            )


def explain_text(
    visualizer: Any, source: SourceText, request: ExplainRequest, progress: Any = False
) -> Report | Estimate:
    """Explain one text, or estimate what that costs.

    Args:
        visualizer: The loaded model.
        source: The text or prompt.
        request: What to explain.
        progress: As the visualizers take it.

    Returns:
        The report, its tokens joined as requested; or the estimate.

    Raises:
        ModelUnderstandingError: The request does not fit the model, or the text cannot be explained.
    """
    text, options = request.input.of(visualizer, source), _options(visualizer, request, source)
    if request.estimate:
        return visualizer.estimate_analysis(text, **options)
    report = visualizer.analyze(
        text,
        **options,
        **_parts(request),
        attention=None if request.as_page else (),
        progress=progress,
        show=False,
    )
    return join_tokens(report, request.level)


def explain_texts(
    visualizer: Any, sources: Sequence[SourceText], request: ExplainRequest
) -> Iterator[Report | Failure]:
    """Explain several texts; those of one length share batches.

    Args:
        visualizer: The loaded model.
        sources: The texts or prompts.
        request: What to explain. Besides the main attention map no maps are kept.

    Yields:
        The report of each text, in order, its tokens joined as requested; or why it has none.

    Raises:
        ModelUnderstandingError: The request does not fit the model.
    """
    from model_understanding.attribution.isolation import attempted, readable

    parts = {**_parts(request), "attention": ()}
    if any(source.continuation is not None for source in sources):

        def explain(source: SourceText) -> Any:
            text = request.input.of(visualizer, source)
            return visualizer.analyze(text, **_options(visualizer, request, source), **parts, show=False)

        reports = (attempted(partial(explain, source), "skip") for source in sources)
    else:
        texts = [attempted(partial(request.input.of, visualizer, source), "skip") for source in sources]
        explained = visualizer.analyze_each(
            readable(texts), **_options(visualizer, request), **parts, errors="skip"
        )
        reports = (text if isinstance(text, Failure) else next(explained) for text in texts)
    for report in reports:
        yield report if isinstance(report, Failure) else join_tokens(report, request.level)


def _options(visualizer: Any, request: ExplainRequest, source: SourceText | None = None) -> dict[str, Any]:
    """Return what is explained, and how, as the visualizer takes it."""
    if visualizer.task in GENERATING:
        options = _language_model_options(request, source)
    else:
        options = _answering_options(request, names_tokens=visualizer.task == MASKED_LM)
    if request.quantity is not None:
        options["quantity"] = request.quantity.value
    return options | {"method": request.method, "layer": request.layer}


def _parts(request: ExplainRequest) -> dict[str, Any]:
    metrics = request.metrics or None  # an evaluation that nobody asked for may be missing from a report
    return {"evaluate": request.evaluate, "metrics": metrics, "scores_only": request.scores_only}


def join_tokens(report: Report, level: LevelName) -> Report:
    """Return a report with the tokens of its attributions and attention joined to words or sentences."""
    if level is LevelName.TOKEN:
        return report
    return replace(
        report,
        attributions=tuple(attribution.folded(level.value) for attribution in report.attributions),
        contrasts=None if report.contrasts is None else report.contrasts.folded(level.value),
        attention=tuple(attention.folded(level.value) for attention in report.attention),
    )


def _answering_options(request: ExplainRequest, *, names_tokens: bool) -> dict[str, Any]:
    targets, against = (
        [token_or_id(text) for text in texts] if names_tokens else list(texts)
        for texts in (request.targets, request.against)
    )
    return {"target": none_one_or_all(targets), "against": none_one_or_all(against)}


def _language_model_options(request: ExplainRequest, source: SourceText | None) -> dict[str, Any]:
    target = none_one_or_all([token_or_id(text) for text in request.targets])
    if target is None and (request.per_token or request.span is not None or request.against):
        target = "continuation"
    generation = request.input.generation(source)
    if target not in (None, "continuation") and request.input.max_new_tokens is None:
        generation["max_new_tokens"] = 1  # the report shows the next token; the target does not need it
    return {
        **generation,
        "target": target,
        "against": none_one_or_all([token_or_id(text) for text in request.against]),
        "per_token": request.per_token or (not request.targets and request.span is None),
        "alternatives": request.alternatives,
        "span": None if request.span is None else span_option(request.span),
    }


def none_one_or_all(values: Sequence[str | int]) -> Any:
    """Return the values of a repeatable option: ``None`` without any, a single one by itself, else a list."""
    return None if not values else values[0] if len(values) == 1 else list(values)


def span_option(text: str) -> Any:
    """Return a span as the visualizer takes it: ``2:5`` means tokens, everything else is a text."""
    start, _, end = text.partition(":")
    return (int(start), int(end)) if start.isdecimal() and end.isdecimal() else text


def token_or_id(text: str) -> str | int:
    """Return a target as the visualizer takes it: ``id:42`` is the token with ID 42."""
    number = text.removeprefix(_TOKEN_ID)
    return int(number) if text.startswith(_TOKEN_ID) and number.isdecimal() else text
