"""What a command asks of a model about a text, and the explanation that answers it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from model_understanding.cli.chat import ChatOptions
from model_understanding.cli.model_argument import TaskName
from model_understanding.cli.options import LevelName, QuantityName
from model_understanding.errors import InputError
from model_understanding.results import Estimate, Failure, Report

if TYPE_CHECKING:
    from model_understanding.visualizers import GenerativeModelVisualizer, ModelVisualizer

DEFAULT_NEW_TOKENS = 32
_TOKEN_ID = "id:"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInput:
    """How a text becomes a model's input.

    Args:
        pair: The second text of a pair.
        pair_column: The column of a file that holds second texts.
        continuation: The continuation of a prompt; ``None`` to generate it.
        max_new_tokens: Maximum number of tokens to generate; ``None`` for the default.
        chat: The options of a chat with the text as the user's message; ``None`` for a plain text.
    """

    pair: str | None = None
    pair_column: str | None = None
    continuation: str | None = None
    max_new_tokens: int | None = None
    chat: ChatOptions | None = None

    def of(self, text: Any, pair: str | None = None) -> Any:
        """Return a text as the visualizers take it: a text, a pair of texts, or a chat.

        Args:
            text: The text; chat messages, which only a file holds, stay as they are.
            pair: The second text of a pair, if a file holds one for each text.
        """
        pair = self.pair if pair is None else pair
        if pair is not None:
            return (text, pair)
        return text if not isinstance(text, str) or self.chat is None else self.chat.of(text)

    def generation(self) -> dict[str, Any]:
        """Return the arguments that choose a language model's continuation."""
        return {
            "continuation": self.continuation,
            "max_new_tokens": self.max_new_tokens or DEFAULT_NEW_TOKENS,
        }

    def check(self, task: TaskName, language_model_options: Mapping[str, bool] | None = None) -> None:
        """Refuse options that do not apply to a task.

        Args:
            task: The model's task.
            language_model_options: Further options for language models only, and whether each is given.

        Raises:
            InputError: An option applies to the other task.
        """
        if task is TaskName.SEQUENCE_CLASSIFICATION:
            options = {
                "--continuation": self.continuation is not None,
                "--max-new-tokens": self.max_new_tokens is not None,
                **({} if self.chat is None else {self.chat.option: True}),
                **(language_model_options or {}),
            }
            models, other = "language models", TaskName.CAUSAL_LM
        else:
            options = {"--pair": self.pair is not None, "--pair-column": self.pair_column is not None}
            models, other = "classifiers", TaskName.SEQUENCE_CLASSIFICATION
        for option, is_given in options.items():
            if is_given:
                raise InputError(
                    f"{option} is for {models} only, but this model's task is {task.value}.",
                    hint=f"Drop {option}, or load the model with --task {other.value}.",
                )


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

    def check(self, task: TaskName) -> None:
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
        if task is TaskName.CAUSAL_LM and names and len(self.targets) > 1:
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
    visualizer: "ModelVisualizer | GenerativeModelVisualizer",
    text: Any,
    request: ExplainRequest,
    progress: Any = False,
) -> Report | Estimate:
    """Explain one text, or estimate what that costs.

    Args:
        visualizer: The loaded model.
        text: The text or prompt, as ``ModelInput.of`` returns it.
        request: What to explain.
        progress: As the visualizers take it.

    Returns:
        The report, its tokens joined as requested; or the estimate.

    Raises:
        ModelUnderstandingError: The request does not fit the model, or the text cannot be explained.
    """
    if request.estimate:
        return visualizer.estimate_analysis(text, **_options(visualizer, request))
    report: Any = visualizer.analyze(
        text,
        **_options(visualizer, request),
        **_parts(request),
        attention=None if request.as_page else (),
        progress=progress,
        show=False,
    )
    return join_tokens(report, request.level)


def explain_texts(
    visualizer: "ModelVisualizer | GenerativeModelVisualizer",
    texts: Sequence[Any],
    request: ExplainRequest,
) -> Iterator[Report | Failure]:
    """Explain several texts; those of one length share batches.

    Args:
        visualizer: The loaded model.
        texts: The texts or prompts, as ``ModelInput.of`` returns them.
        request: What to explain. Besides the main attention map no maps are kept.

    Yields:
        The report of each text, in order, its tokens joined as requested; or why it has none.

    Raises:
        ModelUnderstandingError: The request does not fit the model.
    """
    reports = visualizer.analyze_each(
        texts, **_options(visualizer, request), **_parts(request), attention=(), errors="skip"
    )
    for report in reports:
        yield report if isinstance(report, Failure) else join_tokens(report, request.level)


def _options(visualizer: Any, request: ExplainRequest) -> dict[str, Any]:
    """Return what is explained, and how, as the visualizer takes it."""
    from model_understanding.visualizers import ModelVisualizer

    is_classifier = isinstance(visualizer, ModelVisualizer)
    options = _classifier_options(request) if is_classifier else _language_model_options(request)
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


def _classifier_options(request: ExplainRequest) -> dict[str, Any]:
    return {
        "target": _none_one_or_all(request.targets),
        "against": _none_one_or_all(request.against),
        "quantity": (request.quantity or QuantityName.LOGIT).value,
    }


def _language_model_options(request: ExplainRequest) -> dict[str, Any]:
    target = _none_one_or_all([_token(text) for text in request.targets])
    if target is None and (request.per_token or request.span is not None or request.against):
        target = "continuation"
    generation = request.input.generation()
    if target not in (None, "continuation") and request.input.max_new_tokens is None:
        generation["max_new_tokens"] = 1  # the report shows the next token; the target does not need it
    return {
        **generation,
        "target": target,
        "against": _none_one_or_all([_token(text) for text in request.against]),
        "quantity": (request.quantity or QuantityName.LOG_PROB).value,
        "per_token": request.per_token or (not request.targets and request.span is None),
        "alternatives": request.alternatives,
        "span": None if request.span is None else _span(request.span),
    }


def _none_one_or_all(values: tuple[str, ...] | list[str | int]) -> Any:
    """Return the values of a repeatable option: ``None`` without any, a single one by itself, else a list."""
    return None if not values else values[0] if len(values) == 1 else list(values)


def _span(text: str) -> Any:
    """Return a span as the visualizer takes it: ``2:5`` means tokens, everything else is a text."""
    start, _, end = text.partition(":")
    return (int(start), int(end)) if start.isdecimal() and end.isdecimal() else text


def _token(text: str) -> str | int:
    """Return a target as the visualizer takes it: ``id:42`` is the token with ID 42."""
    number = text.removeprefix(_TOKEN_ID)
    return int(number) if text.startswith(_TOKEN_ID) and number.isdecimal() else text
