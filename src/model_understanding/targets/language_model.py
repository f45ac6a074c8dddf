"""Causal language models: the prompt's loss, the next token, and a continuation or a span of it.

The logits at position p say what the model expects at p + 1.
"""

from collections.abc import Sequence
from typing import Any

from model_understanding.errors import InputError
from model_understanding.results import Target
from model_understanding.results.target import QUANTITIES, Quantity
from model_understanding.targets.names import CAUSAL_LM
from model_understanding.targets.vocabulary import VocabularyItem, token_text, vocabulary_id
from model_understanding.tokens import Tokens

RUNNER_UP = "runner-up"  # as a contrast: the likeliest token other than the target
Span = tuple[int, int] | str
Contrast = VocabularyItem | Sequence[VocabularyItem]


def loss_target(tokens: Tokens, span: Span | None = None) -> Target:
    """Return the language-model loss of a prompt, or of a part of it.

    ``−1/|S| Σ_{t∈S} log p(id_t | id_<t)``; S is every token but the first, what transformers returns for
    ``labels=input_ids``, or the tokens of the span.

    Args:
        tokens: The prompt.
        span: Start and end of the part in tokens, or its text as it stands there; all where left out.

    Returns:
        The target.

    Raises:
        InputError: The prompt has one token, which nothing predicts; the span is not there or begins with
            that token.
    """
    if len(tokens) < 2:
        raise InputError(
            "A prompt of one token has no loss: nothing comes before it to predict it.",
            hint="Pass a longer prompt, or target='next'.",
        )
    steps = range(1, len(tokens)) if span is None else span_of(tokens, range(len(tokens)), span, "prompt")
    if steps.start == 0:
        raise InputError(
            f"The span {span!r} begins with the prompt's first token, which nothing predicts.",
            hint="Begin the span at token 1 or later.",
        )
    return Target(
        task=CAUSAL_LM,
        positions=tuple(step - 1 for step in steps),
        indices=tuple(int(tokens.ids[step]) for step in steps),
        reduce="mean",
        quantity="loss",
        name="loss" if span is None else f"loss of {span_text(tokens, steps)}",
    )


def next_target(
    tokenizer: Any,
    vocabulary: int,
    position: int,
    token: int,
    against: VocabularyItem | None,
    quantity: Quantity,
) -> Target:
    """Return the token after a position as target.

    Args:
        tokenizer: The tokenizer, for names.
        vocabulary: Size of the vocabulary.
        position: Position of the logits that predict it.
        token: Its id.
        against: Another token as contrast, or ``None``.
        quantity: ``logit``, ``log_prob`` or ``prob``.

    Returns:
        The target.

    Raises:
        InputError: The contrast or the quantity is unknown.
    """
    check_quantity(quantity)
    contrast = () if against is None else (vocabulary_id(tokenizer, vocabulary, against),)
    if contrast == (token,):
        raise InputError(
            f"The target and its contrast are both {token_text(tokenizer, token)!r}.",
            hint="Pass another token as against.",
        )
    return Target(
        task=CAUSAL_LM,
        positions=(position,),
        indices=(token,),
        labels=(token_text(tokenizer, token),),
        against=contrast,
        against_labels=tuple(token_text(tokenizer, other) for other in contrast),
        quantity=quantity,
    )


def continuation_targets(
    tokens: Tokens,
    steps: range,
    *,
    per_token: bool,
    quantity: Quantity,
    against: Sequence[int] = (),
    against_labels: Sequence[str] = (),
    name: str | None = "continuation",
) -> tuple[Target, ...]:
    """Return the tokens of a continuation, or of a span of it, as one target or each as one.

    One target is the sum of its tokens' log-probabilities (the logarithm of the probability of all of
    them) or logits. There is no sum of probabilities: no event has it.

    Args:
        tokens: The prompt and the continuation.
        steps: Where the explained tokens stand.
        per_token: Whether each token is a target of its own.
        quantity: ``log_prob``, ``logit`` or, of single tokens, ``prob``.
        against: A contrast token for each step, after the same tokens before it; none where left out.
        against_labels: Their texts.
        name: What to call one target over all steps.

    Returns:
        One target, or one for each step.

    Raises:
        InputError: The quantity is unknown or is no quantity of several tokens, or a target is its own
            contrast.
    """
    check_quantity(quantity)
    if quantity == "prob" and not per_token and len(steps) > 1:
        raise InputError(
            f"The probability of {len(steps)} tokens is their product: the sum of theirs means nothing.",
            hint="Use quantity='log_prob', whose exponential it is, or per_token=True.",
        )
    wanted, labels = [int(tokens.ids[step]) for step in steps], tokens.select(steps).surfaces()
    same = [place for place, other in enumerate(against) if other == wanted[place]]
    if same and (per_token or len(same) == len(steps)):
        raise InputError(
            f"The target and its contrast are both {labels[same[0]]!r} at step {same[0]}.",
            hint="Pass another token there, or a span without it.",
        )
    if not per_token:
        return (
            Target(
                task=CAUSAL_LM,
                positions=tuple(step - 1 for step in steps),
                indices=tuple(wanted),
                labels=labels,
                against=tuple(against),
                against_labels=tuple(against_labels),
                quantity=quantity,
                name=name,
            ),
        )
    return tuple(
        Target(
            task=CAUSAL_LM,
            positions=(step - 1,),
            indices=(wanted[place],),
            labels=(labels[place],),
            against=tuple(against[place : place + 1]),
            against_labels=tuple(against_labels[place : place + 1]),
            quantity=quantity,
        )
        for place, step in enumerate(steps)
    )


def span_of(tokens: Tokens, within: range, span: Span, what: str) -> range:
    """Return where the tokens of a span stand.

    Args:
        tokens: All tokens.
        within: Positions of the prompt or of the continuation.
        span: Start and end among these, counted from 0, the end not included; or a text that stands there
            once: every token that spells a part of it.
        what: ``prompt`` or ``continuation``, for messages.

    Returns:
        Positions among all tokens.

    Raises:
        InputError: There are no such tokens, or the text stands there more than once.
    """
    if isinstance(span, str):
        return _span_of_text(tokens, within, span, what)
    if not (
        isinstance(span, tuple | list)
        and len(span) == 2
        and all(isinstance(end, int) and not isinstance(end, bool) for end in span)
    ):
        raise InputError(
            f"A span is (start, end) in tokens, or a text. Got {span!r}.", hint="Pass (0, 3) or ' Paris'."
        )
    start, end = span
    if not 0 <= start < end <= len(within):
        raise InputError(
            f"There is no span ({start}, {end}): the {what} has {len(within)} tokens.",
            hint=f"Pass 0 ≤ start < end ≤ {len(within)}.",
        )
    return within[start:end]


def _span_of_text(tokens: Tokens, within: range, span: str, what: str) -> range:
    segments = [int(tokens.segments[position]) for position in within]
    segment = max(segments)
    text = tokens.texts[segment] if segment >= 0 else ""
    start = text.find(span) if span else -1
    if start < 0:
        raise InputError(
            f"{span[:60]!r} does not stand in the {what} {text[:60]!r}.",
            hint="Pass a piece of its text exactly as it is, or (start, end) in tokens.",
        )
    if text.find(span, start + 1) >= 0:
        raise InputError(
            f"{span[:60]!r} stands in the {what} {text[:60]!r} more than once.",
            hint="Pass a longer piece, or (start, end) in tokens.",
        )
    end = start + len(span)
    inside = [
        position
        for position in within
        if tokens.segments[position] == segment
        and tokens.offsets[position, 0] < end
        and tokens.offsets[position, 1] > start
    ]
    if not inside:
        raise InputError(
            f"{span[:60]!r} has no token of its own.", hint="Pass a longer piece, or (start, end) in tokens."
        )
    return range(inside[0], inside[-1] + 1)


def span_text(tokens: Tokens, steps: range) -> str:
    """Return the text of a span, to name a target by."""
    first, last = steps[0], steps[-1]
    segment = int(tokens.segments[first])
    if segment < 0 or segment != tokens.segments[last]:
        text = "".join(tokens.select(steps).surfaces())
    else:
        text = tokens.texts[segment][int(tokens.offsets[first, 0]) : int(tokens.offsets[last, 1])]
    return text.strip() or text


def contrast_ids(tokenizer: Any, vocabulary: int, against: Contrast, steps: int) -> tuple[int, ...]:
    """Return a contrast token for each step of a continuation.

    Args:
        tokenizer: The tokenizer.
        vocabulary: Size of the vocabulary.
        against: Tokens by id or text, one for each step; or a text of as many tokens, tokenized alone.
        steps: How many there are.

    Returns:
        Their ids.

    Raises:
        InputError: They are more or fewer than the steps, or not in the vocabulary.
    """
    if isinstance(against, str) and steps > 1:
        ids = [int(token) for token in tokenizer(against, add_special_tokens=False)["input_ids"]]
        unknown = tokenizer.unk_token_id
        if unknown in ids and tokenizer.unk_token not in against:
            raise InputError(
                f"{against[:60]!r} has parts that are not in this tokenizer's vocabulary.",
                hint="Pass a text it knows, or ids.",
            )
    else:
        given = [against] if isinstance(against, str) or not isinstance(against, Sequence) else against
        ids = [vocabulary_id(tokenizer, vocabulary, item) for item in given]
    if len(ids) != steps:
        raise InputError(
            f"The contrast {str(against)[:60]!r} is {len(ids)} tokens, and {steps} are explained.",
            hint=f"Pass a token for each step, a text of as many tokens, or {RUNNER_UP!r}.",
        )
    return tuple(ids)


def check_quantity(quantity: str) -> None:
    """Raise InputError unless the quantity is one that can be read from logits."""
    if quantity not in QUANTITIES:
        raise InputError(
            f"Quantity {quantity!r} is unknown. Allowed: {', '.join(QUANTITIES)}.",
            hint="Use quantity='log_prob' unless you need another.",
        )
