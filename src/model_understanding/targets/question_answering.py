"""Answers and targets of a question answering model: spans of the context, and "no answer".

Its logits have two rows, whose classes are the positions of the tokens: row 0 says where the answer starts,
row 1 where it ends.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.checks import is_whole, one_of
from model_understanding.errors import InputError
from model_understanding.results import AnswerSpan, SpanAnswer, Target
from model_understanding.results.target import QUANTITIES, Quantity
from model_understanding.targets.language_model import RUNNER_UP
from model_understanding.targets.names import QUESTION_ANSWERING
from model_understanding.tokens import Tokens

NO_ANSWER = "no answer"
ENDS = {"start": (0,), "end": (1,)}
"""The rows of the logits that a single end of an answer is read from."""
_BOTH = (0, 1)
_ALLOWED = (
    "Pass a text of the context, (first, last) positions of tokens (--target 3-5), 'start' or 'end' of the "
    "answer, 'no answer', or 'all' for every span that predict returns."
)
_POSITIONS = re.compile(r"(\d+)(?:\s*[,:–-]\s*(\d+))?")  # the command line knows only strings

SpanName = str | tuple[int, int] | AnswerSpan
SpanTarget = SpanName | tuple[str, SpanName]


def span_answer(
    tokens: Tokens,
    context: int,
    logits: Float[np.ndarray, "2 tokens"],
    tokenizer: Any,
    *,
    max_answer_len: int,
    top_k: int,
    settings: dict[str, Any] | None = None,
) -> SpanAnswer:
    """Return the best answers of a question answering model from its logits.

    The best span has the greatest ``start logit[first] + end logit[last]`` among the ordinary tokens of the
    context, with ``first ≤ last`` and at most ``max_answer_len`` tokens, as in transformers' pipeline.

    Args:
        tokens: Question and context.
        context: The segment of the context.
        logits: Start and end logits.
        tokenizer: The tokenizer, which knows the token of "no answer".
        max_answer_len: Most tokens of an answer.
        top_k: Most spans that are listed.
        settings: How the visualizer was set up, where that is not the default.

    Returns:
        The answer, with the next best spans that overlap no better one.
    """
    precise = logits.astype(np.float64)
    allowed = in_context(tokens, context)
    empty = no_answer_position(tokens, tokenizer)
    is_cls = tokens.ids == (-1 if tokenizer.cls_token_id is None else tokenizer.cls_token_id)
    own = _log_softmax(precise)
    of_context = _log_softmax(np.where((tokens.segments == context) | is_cls, precise, -np.inf))

    def span(first: int, last: int, *, is_empty: bool = False) -> AnswerSpan:
        text, start, end = ("", 0, 0) if is_empty else text_of_span(tokens, first, last)
        return AnswerSpan(
            first=first,
            last=last,
            text=text,
            start=start,
            end=end,
            logit=float(precise[0, first] + precise[1, last]),
            probability=float(np.exp(own[0, first] + own[1, last])),
            score=float(np.exp(of_context[0, first] + of_context[1, last])),
        )

    best = best_spans(precise, allowed, max_answer_len)
    return SpanAnswer(
        tokens=tokens,
        context=context,
        start_logits=logits[0],
        end_logits=logits[1],
        spans=tuple(span(*ends) for _, ends in zip(range(top_k), best, strict=False)),
        no_answer=span(empty, empty, is_empty=True),
        settings=settings or {},
    )


def in_context(tokens: Tokens, context: int) -> Bool[np.ndarray, " tokens"]:
    """Return the tokens that an answer can start and end with: the ordinary ones of the context."""
    return (tokens.segments == context) & ~tokens.special


def no_answer_position(tokens: Tokens, tokenizer: Any) -> int:
    """Return the position at which a model is trained to say "no answer".

    As in transformers' training: the classification token, which XLNet has at the end; else the token that
    begins a sequence; else the first token.

    Args:
        tokens: Question and context.
        tokenizer: Their tokenizer.
    """
    for name in ("cls_token_id", "bos_token_id"):
        places = np.flatnonzero((tokens.ids == getattr(tokenizer, name, None)) & (tokens.segments < 0))
        if len(places):
            return int(places[0])
    return 0


def best_spans(
    logits: Float[np.ndarray, "2 tokens"],
    allowed: Bool[np.ndarray, " tokens"],
    max_answer_len: int,
    taken: Sequence[tuple[int, int]] = (),
) -> Iterator[tuple[int, int]]:
    """Yield first and last token of the spans with the greatest sums of logits that overlap no earlier one.

    Args:
        logits: Start and end logits.
        allowed: The tokens that a span can start and end with.
        max_answer_len: Most tokens of a span.
        taken: Spans that no other may overlap.
    """
    count = logits.shape[1]
    lengths = min(max_answer_len, count)
    lasts = np.arange(count)[:, None] + np.arange(lengths)  # (first, length − 1) → last
    inside = lasts < count
    lasts = np.where(inside, lasts, 0)
    sums = logits[0][:, None] + logits[1][lasts]
    sums = np.where(inside & allowed[:, None] & allowed[lasts], sums, -np.inf)

    def take(first: int, last: int) -> None:
        sums[(np.arange(count)[:, None] <= last) & (lasts >= first)] = -np.inf

    for ends in taken:
        take(*ends)
    while True:
        first, length = np.unravel_index(int(sums.argmax()), sums.shape)
        if np.isneginf(sums[first, length]):
            return
        ends = (int(first), int(lasts[first, length]))
        yield ends
        take(*ends)


def text_of_span(tokens: Tokens, first: int, last: int) -> tuple[str, int, int]:
    """Return the text from a token to another of the same text, without blanks around it, and its place.

    Args:
        tokens: The tokens.
        first: Position of the first one.
        last: Position of the last one.

    Returns:
        The text, its first character, and the character after its last one. Tokens without a place in the
        text give what they stand for.
    """
    segment = int(tokens.segments[first])
    own = [
        position
        for position in range(first, last + 1)
        if tokens.segments[position] == segment and tokens.offsets[position, 1] > tokens.offsets[position, 0]
    ]
    if segment < 0 or not own:
        place = int(tokens.offsets[first, 0])
        return "".join(tokens.select(range(first, last + 1)).surfaces()).strip(), place, place
    start, end = int(tokens.offsets[own, 0].min()), int(tokens.offsets[own, 1].max())
    text = tokens.texts[segment][start:end]
    core = text.strip() or text
    start += text.index(core)
    return core, start, start + len(core)


def span_targets(
    answer: SpanAnswer,
    target: SpanTarget | Sequence[SpanTarget] | None,
    against: SpanName | None,
    quantity: Quantity,
    max_answer_len: int,
) -> tuple[Target, ...]:
    """Return the targets for the spans that a caller named.

    ``value = quantity(start logits[first]) + quantity(end logits[last])``, minus the same of the contrast.

    Args:
        answer: The model's answer.
        target: ``None`` for the best span; a text of the context (its likeliest occurrence), ``(first,
            last)`` positions of tokens, a span that ``predict`` lists, or ``"no answer"``; ``"start"`` or
            ``"end"`` for one end of the best span, ``("start", span)`` for that of another; ``"all"`` spans
            that ``predict`` lists; or a list of these.
        against: The span to subtract, named likewise; or ``"runner-up"``, the next best that does not
            overlap the target.
        quantity: ``logit`` or ``log_prob`` (softmax over the tokens); of one end alone, also ``prob``.
        max_answer_len: Most tokens of the runner-up.

    Returns:
        One target for each span.

    Raises:
        InputError: A span does not exist, is its own contrast, or has no such quantity.
    """
    one_of(quantity, "quantity", QUANTITIES)
    explained = list(_named_spans(answer, target))
    if not explained:
        raise InputError("No target span is given.", hint=_ALLOWED)
    pairs = [(rows, span, _contrast(answer, span, against, max_answer_len)) for rows, span in explained]
    names: dict[str, set[tuple[int, int]]] = {}  # spans of one text are told apart by their positions
    for _, span, other in pairs:
        for each in (span, other):
            if each is not None:
                names.setdefault(_text(answer, each), set()).add(each)

    def named(span: tuple[int, int]) -> str:
        text = _text(answer, span)
        return text if len(names[text]) == 1 else f"{text} ({_tokens_of(span)})"

    return tuple(_target(answer, rows, span, other, quantity, named) for rows, span, other in pairs)


def _target(
    answer: SpanAnswer,
    rows: tuple[int, ...],
    span: tuple[int, int],
    other: tuple[int, int] | None,
    quantity: Quantity,
    named: Any,
) -> Target:
    indices = tuple(span[row] for row in rows)
    contrast = () if other is None else tuple(other[row] for row in rows)
    if contrast == indices:
        what = "" if len(rows) == 2 else f"{'start' if rows == (0,) else 'end'} of the "
        raise InputError(
            f"The {what}target and its contrast are both {_tokens_of(indices)} ({named(span)!r}).",
            hint="Pass a different span as against.",
        )
    if quantity == "prob" and len(rows) == 2:
        raise InputError(
            "The probabilities of an answer's start and end have no meaningful sum.",
            hint="Pass quantity='log_prob' for the log-probability of both, or target='start' or 'end'.",
        )
    prefix = "" if len(rows) == 2 else f"{'start' if rows == (0,) else 'end'} of "
    labels = answer.tokens.labels()
    return Target(
        task=QUESTION_ANSWERING,
        positions=rows,
        indices=indices,
        labels=tuple(labels[index] for index in indices),
        against=contrast,
        against_labels=() if other is None else (f"{prefix}{named(other)}",),
        quantity=quantity,
        name=f"{prefix}{named(span)}",
    )


def _named_spans(answer: SpanAnswer, target: Any) -> Iterator[tuple[tuple[int, ...], tuple[int, int]]]:
    """Yield the rows of the logits and the span of each target that a caller named."""
    best = (answer.best.first, answer.best.last)
    if target is None:
        yield _BOTH, best
    elif isinstance(target, str) and target in ENDS:
        yield ENDS[target], best
    elif isinstance(target, str) and target == "all":
        for span in answer.spans:
            yield _BOTH, (span.first, span.last)
    elif _is_end_of_span(target):
        yield ENDS[target[0]], _span(answer, target[1], "target")
    elif isinstance(target, Sequence) and not isinstance(target, str) and not _is_positions(target):
        for each in target:
            yield from _named_spans(answer, each)
    else:
        yield _BOTH, _span(answer, target, "target")


def _contrast(
    answer: SpanAnswer, span: tuple[int, int], against: Any, max_answer_len: int
) -> tuple[int, int] | None:
    if against is None:
        return None
    if _is_end_of_span(against):
        against = against[1]  # the target says which end
    if not isinstance(against, str) or against != RUNNER_UP:
        return _span(answer, against, "against")
    logits = np.stack([answer.start_logits, answer.end_logits]).astype(np.float64)
    allowed = in_context(answer.tokens, answer.context)
    runner_up = next(best_spans(logits, allowed, max_answer_len, taken=(span,)), None)
    if runner_up is None:
        raise InputError(
            f"The context has no other span than {_text(answer, span)!r}.",
            hint="Pass against='no answer', or leave it out.",
        )
    return runner_up


def _is_end_of_span(target: Any) -> bool:
    is_pair = isinstance(target, tuple) and len(target) == 2
    first, second = target if is_pair else (None, None)
    return isinstance(first, str) and first in ENDS and not (isinstance(second, str) and second in ENDS)


def _is_positions(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(is_whole(end) for end in value)


def _span(answer: SpanAnswer, name: Any, argument: str) -> tuple[int, int]:
    """Return first and last token of a span that a caller named."""
    if isinstance(name, AnswerSpan):
        name = (name.first, name.last)
    if _is_positions(name):
        first, last = int(name[0]), int(name[1])
        if not 0 <= first <= last < len(answer.tokens):
            raise InputError(
                f"Invalid span ({first}, {last}): question and context have {len(answer.tokens)} tokens.",
                hint=f"Pass 0 ≤ first ≤ last ≤ {len(answer.tokens) - 1}; the context has the tokens "
                f"{_context_positions(answer)}.",
            )
        return first, last
    if not isinstance(name, str):
        raise InputError(f"A span cannot be {name!r:.60}, as {argument} has it.", hint=_ALLOWED)
    if name == NO_ANSWER:
        return answer.no_answer.first, answer.no_answer.last
    places = _places_of(answer, name)
    if places:
        scores = [answer.start_logits[first] + answer.end_logits[last] for first, last in places]
        return places[int(np.argmax(scores))]
    positions = _POSITIONS.fullmatch(name.strip())
    if positions is not None:
        first, last = positions.groups()
        return _span(answer, (int(first), int(last or first)), argument)
    context = answer.tokens.texts[answer.context]
    where = "part of the context that is explained" if name in context else "context"
    raise InputError(f"{name[:60]!r} does not occur in the {where}: {context[:60]!r}.", hint=_ALLOWED)


def _places_of(answer: SpanAnswer, text: str) -> list[tuple[int, int]]:
    """Return first and last token of every occurrence of a text in the context, else ignoring case."""
    tokens, context = answer.tokens, answer.tokens.texts[answer.context]
    core = text.strip()
    if not core:
        return []
    own = np.flatnonzero(tokens.segments == answer.context)
    starts, ends = tokens.offsets[own].T
    for flags in (0, re.IGNORECASE):
        places = []
        for found in re.finditer(f"(?=({re.escape(core)}))", context, flags):
            start, end = found.span(1)
            inside = own[(starts < end) & (ends > start)]
            if len(inside) and starts[own == inside[0]] <= start and ends[own == inside[-1]] >= end:
                places.append((int(inside[0]), int(inside[-1])))
        if places:
            return list(dict.fromkeys(places))
    return []


def _text(answer: SpanAnswer, span: tuple[int, int]) -> str:
    if span == (answer.no_answer.first, answer.no_answer.last):
        return NO_ANSWER
    return text_of_span(answer.tokens, *span)[0].strip() or _tokens_of(span)


def _tokens_of(span: Sequence[int]) -> str:
    return f"token {span[0]}" if span[0] == span[-1] else f"tokens {span[0]}–{span[-1]}"


def _context_positions(answer: SpanAnswer) -> str:
    own = np.flatnonzero(answer.tokens.segments == answer.context)
    return f"{own[0]} to {own[-1]}"


def _log_softmax(logits: Float[np.ndarray, "2 tokens"]) -> Float[np.ndarray, "2 tokens"]:
    largest = logits.max(axis=1, keepdims=True)
    return logits - largest - np.log(np.exp(logits - largest).sum(axis=1, keepdims=True))
