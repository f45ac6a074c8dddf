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
        method: The method object.
        targets: Labels, indices or the name of a target; empty for the default.
        against: The contrast.
        quantity: What is read; ``None`` for the default.
        pair: The second text of a pair.
        continuation: What follows a prompt; ``None`` to generate.
        max_new_tokens: Most tokens to generate; ``None`` for the default.
        per_token: Whether each token of the continuation is a target of its own.
        chat: Whether the text is a user's message.
        level: What is one unit in what is shown and saved.
    """

    method: Any = "default"
    targets: tuple[str, ...] = ()
    against: str | None = None
    quantity: QuantityName | None = None
    pair: str | None = None
    continuation: str | None = None
    max_new_tokens: int | None = None
    per_token: bool = False
    chat: bool = False
    level: LevelName = LevelName.TOKEN


def explained(
    visualizer: "ModelVisualizer | GenerativeModelVisualizer", text: str, request: Request
) -> Report:
    """Explain one text.

    Args:
        visualizer: The loaded model.
        text: The text or prompt.
        request: What is asked about it.

    Returns:
        The report, its tokens joined as asked.

    Raises:
        ModelUnderstandingError: The request does not fit the model, or the text cannot be explained.
    """
    from model_understanding.visualizers import ModelVisualizer

    if isinstance(visualizer, ModelVisualizer):
        report = _explained_answer(visualizer, text, request)
    else:
        report = _explained_continuation(visualizer, text, request)
    return joined_tokens(report, request.level)


def joined_tokens(report: Report, level: LevelName) -> Report:
    """Return a report whose attributions and attention count words or sentences instead of tokens."""
    if level is LevelName.TOKEN:
        return report
    return replace(
        report,
        attributions=tuple(attribution.folded(level.value) for attribution in report.attributions),
        attention=tuple(attention.folded(level.value) for attention in report.attention),
    )


def check_request(request: Request, *, is_classifier: bool) -> None:
    """Refuse what does not belong to the model's task.

    Raises:
        InputError: An option belongs to the other kind of model.
    """
    if is_classifier:
        foreign = {
            "--continuation": request.continuation is not None,
            "--max-new-tokens": request.max_new_tokens is not None,
            "--per-token": request.per_token,
            "--chat": request.chat,
        }
        kind, other = "a classifier", "language models"
    else:
        foreign = {"--pair": request.pair is not None, "a second --target": len(request.targets) > 1}
        kind, other = "a language model", "classifiers"
    for option, is_given in foreign.items():
        if is_given:
            raise InputError(
                f"The model is explained as {kind}, and {option} is for {other}.",
                hint=f"Leave {option} out, or choose the other kind with --task.",
            )
    if (
        not is_classifier
        and request.against is not None
        and _named_target(request) in ("loss", "continuation")
    ):
        raise InputError(
            "--against contrasts one token with another, which needs a token as target.",
            hint="Add --target next, or --target with the text of a token.",
        )


def _explained_answer(visualizer: "ModelVisualizer", text: str, request: Request) -> Report:
    targets = request.targets
    return visualizer.analyze(
        text if request.pair is None else (text, request.pair),
        method=request.method,
        target=None if not targets else targets[0] if len(targets) == 1 else list(targets),
        against=request.against,
        quantity=(request.quantity or QuantityName.LOGIT).value,
        show=False,
    )


def _explained_continuation(visualizer: "GenerativeModelVisualizer", text: str, request: Request) -> Report:
    target = _token(request.targets[0]) if request.targets else "continuation" if request.per_token else None
    length = request.max_new_tokens or DEFAULT_NEW_TOKENS
    if target not in (None, "continuation") and request.max_new_tokens is None:
        length = 1  # a report tells what follows; the target does not need it
    return visualizer.analyze(
        prompt_of(text, chat=request.chat),
        request.continuation,
        length,
        method=request.method,
        target=target,
        per_token=request.per_token or not request.targets,
        against=None if request.against is None else _token(request.against),
        quantity=(request.quantity or QuantityName.LOG_PROB).value,
        show=False,
    )


def prompt_of(text: str, *, chat: bool) -> Any:
    """Return a text as a prompt, or as one message of a user."""
    return [{"role": "user", "content": text}] if chat else text


def _named_target(request: Request) -> str:
    return request.targets[0] if request.targets else "continuation"


def _token(text: str) -> str | int:
    """Return a target as the visualizer takes it: ``id:42`` is the token 42."""
    number = text.removeprefix(_TOKEN_ID)
    return int(number) if text.startswith(_TOKEN_ID) and number.isdecimal() else text
