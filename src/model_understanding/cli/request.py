"""What ``explain`` computes: from a request to a report."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from model_understanding.cli.options import LevelName, QuantityName
from model_understanding.errors import InputError
from model_understanding.results import Report

if TYPE_CHECKING:
    from model_understanding.visualizers import GenerativeModelVisualizer, ModelVisualizer

DEFAULT_NEW_TOKENS = 32
_TOKEN_ID = "id:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked about each text.

    Args:
        method: The method object, ``default`` or ``fast``.
        targets: Labels, indices or the name of a target; empty for the default.
        against: The contrast; a token for each step of a continuation.
        quantity: What is read; ``None`` for the default.
        layer: The block whose entering hidden states are scored; ``None`` for the embeddings.
        pair: The second text of a pair.
        continuation: What follows a prompt; ``None`` to generate.
        max_new_tokens: Most tokens to generate; ``None`` for the default.
        per_token: Whether each token of the continuation is a target of its own.
        alternatives: How many likely other tokens of each step are explained too.
        span: The part of it, or of the prompt, that is explained: a text or ``START:END`` in tokens.
        chat: Whether the text is a user's message.
        level: What is one unit in what is shown and saved.
        estimate: Whether only the cost is asked for.
        evaluate: Whether to measure how far the explanation may be believed.
        metrics: Metrics beside the default ones.
        as_page: Whether a page is saved, which shows more attention than the main map.
    """

    method: Any = "default"
    targets: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    quantity: QuantityName | None = None
    layer: int | None = None
    pair: str | None = None
    continuation: str | None = None
    max_new_tokens: int | None = None
    per_token: bool = False
    alternatives: int = 0
    span: str | None = None
    chat: bool = False
    level: LevelName = LevelName.TOKEN
    estimate: bool = False
    evaluate: bool = True
    metrics: tuple[str, ...] = ()
    as_page: bool = False


def explained(
    visualizer: "ModelVisualizer | GenerativeModelVisualizer",
    text: str,
    request: Request,
    progress: Any = False,
) -> Any:
    """Explain one text, or estimate what that costs.

    Args:
        visualizer: The loaded model.
        text: The text or prompt.
        request: What is asked about it.
        progress: As the visualizers take it.

    Returns:
        The ``Report``, its tokens joined as asked; or the ``Estimate``.

    Raises:
        ModelUnderstandingError: The request does not fit the model, or the text cannot be explained.
    """
    from model_understanding.visualizers import ModelVisualizer

    if isinstance(visualizer, ModelVisualizer):
        found = _explained_answer(visualizer, text, request, progress)
    else:
        found = _explained_continuation(visualizer, text, request, progress)
    return found if request.estimate else joined_tokens(found, request.level)


def joined_tokens(report: Report, level: LevelName) -> Report:
    """Return a report whose attributions and attention count words or sentences instead of tokens."""
    if level is LevelName.TOKEN:
        return report
    return replace(
        report,
        attributions=tuple(attribution.folded(level.value) for attribution in report.attributions),
        contrasts=None if report.contrasts is None else report.contrasts.folded(level.value),
        attention=tuple(attention.folded(level.value) for attention in report.attention),
    )


def check_request(request: Request, *, is_classifier: bool) -> None:
    """Refuse what does not belong to the model's task, or not together.

    Raises:
        InputError: An option belongs to the other kind of model, or two options exclude each other.
    """
    if is_classifier:
        foreign = {
            "--continuation": request.continuation is not None,
            "--max-new-tokens": request.max_new_tokens is not None,
            "--per-token": request.per_token,
            "--alternatives": request.alternatives > 0,
            "--span": request.span is not None,
            "a second --against": len(request.against) > 1,
            "--chat": request.chat,
        }
        kind, other = "a classifier", "language models"
    else:
        foreign = {"--pair": request.pair is not None}
        kind, other = "a language model", "classifiers"
    for option, is_given in foreign.items():
        if is_given:
            raise InputError(
                f"The model is explained as {kind}, and {option} is for {other}.",
                hint=f"Leave {option} out, or choose the other kind with --task.",
            )
    named = [name for name in ("loss", "continuation", "next") if name in request.targets]
    if not is_classifier and named and len(request.targets) > 1:
        raise InputError(
            f"--target {named[0]} stands alone, and {len(request.targets)} targets were given.",
            hint="Give it alone, or only tokens.",
        )
    if request.metrics and not request.evaluate:
        raise InputError(
            f"--metrics {','.join(request.metrics)} asks for an evaluation, and --no-evaluate for none.",
            hint="Leave one of them out.",
        )
    if request.per_token and request.targets and request.targets[0] != "continuation":
        raise InputError(
            f"--per-token explains each token of the continuation. Got --target {request.targets[0]}.",
            hint="Leave one of them out.",
        )


def _explained_answer(visualizer: "ModelVisualizer", text: str, request: Request, progress: Any) -> Any:
    targets = request.targets
    return visualizer.analyze(
        classified_of(text, request),
        method=request.method,
        target=None if not targets else targets[0] if len(targets) == 1 else list(targets),
        against=request.against[0] if request.against else None,
        quantity=(request.quantity or QuantityName.LOGIT).value,
        layer=request.layer,
        progress=progress,
        estimate=request.estimate,
        evaluate=request.evaluate,
        metrics=request.metrics,
        maps=None if request.as_page else (),
        show=False,
    )


def _explained_continuation(
    visualizer: "GenerativeModelVisualizer", text: str, request: Request, progress: Any
) -> Any:
    target = _one_or_all([_token(text) for text in request.targets])
    if target is None and (request.per_token or request.span is not None or request.against):
        target = "continuation"
    length = request.max_new_tokens or DEFAULT_NEW_TOKENS
    if target not in (None, "continuation") and request.max_new_tokens is None:
        length = 1  # a report tells what follows; the target does not need it
    return visualizer.analyze(
        prompt_of(text, request),
        request.continuation,
        length,
        method=request.method,
        target=target,
        per_token=request.per_token or (not request.targets and request.span is None),
        span=None if request.span is None else _span(request.span),
        against=_one_or_all([_token(text) for text in request.against]),
        alternatives=request.alternatives,
        quantity=(request.quantity or QuantityName.LOG_PROB).value,
        layer=request.layer,
        progress=progress,
        estimate=request.estimate,
        evaluate=request.evaluate,
        metrics=request.metrics,
        maps=None if request.as_page else (),
        show=False,
    )


def prompt_of(text: str, request: Request) -> Any:
    """Return a text as a prompt, or as one message of a user."""
    return [{"role": "user", "content": text}] if request.chat else text


def classified_of(text: str, request: Request) -> Any:
    """Return what a classifier is given: a text, or a text and its pair."""
    return text if request.pair is None else (text, request.pair)


def _one_or_all(given: list[str | int]) -> Any:
    """Return what an option was given: nothing, the one value, or all of them."""
    return None if not given else given[0] if len(given) == 1 else given


def _span(text: str) -> Any:
    """Return a span as the visualizer takes it: ``2:5`` counts tokens, all else is a text."""
    start, _, end = text.partition(":")
    return (int(start), int(end)) if start.isdecimal() and end.isdecimal() else text


def _token(text: str) -> str | int:
    """Return a target as the visualizer takes it: ``id:42`` is the token 42."""
    number = text.removeprefix(_TOKEN_ID)
    return int(number) if text.startswith(_TOKEN_ID) and number.isdecimal() else text
