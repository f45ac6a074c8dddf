"""Targets of a causal language model: the prompt's loss, the next token, and a continuation or its span.

The logits at position p predict the token at p + 1.
"""

from collections.abc import Sequence
from typing import Any

from model_understanding.checks import is_whole, one_of
from model_understanding.errors import InputError
from model_understanding.results import Target
from model_understanding.results.target import QUANTITIES, Quantity
from model_understanding.targets.names import CAUSAL_LM
from model_understanding.targets.vocabulary import VocabularyItem, following_ids, vocabulary_id
from model_understanding.text.detokenization import token_text
from model_understanding.tokens import Tokens

RUNNER_UP = "runner-up"  # as a contrast: the most likely token other than the target
Span = tuple[int, int] | str
Contrast = VocabularyItem | Sequence[VocabularyItem]


def loss_target(tokens: Tokens, span: Span | None = None) -> Target:
    """Return the language-model loss of a prompt, or of a span of it.

    ``−1/|S| Σ_{t∈S} log p(id_t | id_<t)``; S is every token but the first, what transformers returns for
    ``labels=input_ids``, or the tokens of the span.

    Args:
        tokens: The prompt.
        span: Start and end of the span in tokens, or its text exactly; ``None`` for the whole prompt.

    Returns:
        The target.

    Raises:
        InputError: The prompt has only one token, which the model does not predict; the span does not
            occur or starts with that token.
    """
    if len(tokens) < 2:
        raise InputError(
            "A one-token prompt has no loss: the model does not predict its first token.",
            hint="Pass a longer prompt, or target='next'.",
        )
    steps = range(1, len(tokens)) if span is None else span_of(tokens, range(len(tokens)), span, "prompt")
    if steps.start == 0:
        raise InputError(
            f"The span {span!r} starts at the prompt's first token, which the model does not predict.",
            hint="Start the span at token 1 or later.",
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
    before: Tokens,
    token: int,
    against: VocabularyItem | None,
    quantity: Quantity,
) -> Target:
    """Return the token after others as a target.

    Args:
        tokenizer: The tokenizer, for labels.
        vocabulary: Size of the vocabulary.
        before: The tokens that it follows; the logits of the last one predict it.
        token: Its id.
        against: The contrast token, or ``None``.
        quantity: ``logit``, ``log_prob`` or ``prob``.

    Returns:
        The target.

    Raises:
        InputError: The contrast or the quantity is unknown.
    """
    one_of(quantity, "quantity", QUANTITIES)
    contrast = () if against is None else (vocabulary_id(tokenizer, vocabulary, against, before),)
    if contrast == (token,):
        raise InputError(
            f"The target and its contrast are both {token_text(tokenizer, token)!r}.",
            hint="Pass a different token as against.",
        )
    return Target(
        task=CAUSAL_LM,
        positions=(len(before) - 1,),
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
    """Return the tokens of a continuation, or of a span of it, as one target or as one target each.

    One target is the sum of its tokens' logits or of their log-probabilities, which is their joint
    log-probability. Their probabilities have no meaningful sum.

    Args:
        tokens: The prompt and the continuation.
        steps: Positions of the explained tokens.
        per_token: Whether each token is a target of its own.
        quantity: ``log_prob``, ``logit`` or, for single tokens, ``prob``.
        against: A contrast token for each step, given the same preceding tokens; empty for none.
        against_labels: Their texts.
        name: The name of one target over all steps.

    Returns:
        One target, or one for each step.

    Raises:
        InputError: The quantity is unknown or cannot be summed over tokens, or a target is its own
            contrast.
    """
    one_of(quantity, "quantity", QUANTITIES)
    if quantity == "prob" and not per_token and len(steps) > 1:
        raise InputError(
            f"The probabilities of {len(steps)} tokens cannot be summed to one target.",
            hint="Pass quantity='log_prob' for their joint log-probability, or per_token=True.",
        )
    ids, labels = [int(tokens.ids[step]) for step in steps], tokens.select(steps).surfaces()
    equal = [i for i, contrast in enumerate(against) if contrast == ids[i]]
    if equal and (per_token or len(equal) == len(steps)):
        raise InputError(
            f"The target and its contrast are both {labels[equal[0]]!r} at step {equal[0]}.",
            hint="Pass a different contrast for that step, or a span without it.",
        )
    if not per_token:
        return (
            Target(
                task=CAUSAL_LM,
                positions=tuple(step - 1 for step in steps),
                indices=tuple(ids),
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
            indices=(ids[i],),
            labels=(labels[i],),
            against=tuple(against[i : i + 1]),
            against_labels=tuple(against_labels[i : i + 1]),
            quantity=quantity,
        )
        for i, step in enumerate(steps)
    )


def span_of(tokens: Tokens, within: range, span: Span, what: str) -> range:
    """Return the positions of the tokens of a span.

    Args:
        tokens: All tokens.
        within: Positions of the prompt or of the continuation.
        span: Start and end among these, counted from 0, the end not included; or a text that occurs there
            once: every token that spells a part of it.
        what: ``prompt`` or ``continuation``, for messages.

    Returns:
        Positions among all tokens.

    Raises:
        InputError: There are no such tokens, or the text occurs more than once.
    """
    if isinstance(span, str):
        return _span_of_text(tokens, within, span, what)
    if not (isinstance(span, tuple | list) and len(span) == 2 and all(is_whole(end) for end in span)):
        raise InputError(
            f"A span must be (start, end) in tokens, or a text. Got {span!r}.",
            hint="Pass for example (0, 3) or ' Paris'.",
        )
    start, end = span
    if not 0 <= start < end <= len(within):
        raise InputError(
            f"Invalid span ({start}, {end}): the {what} has {len(within)} tokens.",
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
            f"{span[:60]!r} does not occur in the {what} {text[:60]!r}.",
            hint="Pass a part of its text exactly, or (start, end) in tokens.",
        )
    if text.find(span, start + 1) >= 0:
        raise InputError(
            f"{span[:60]!r} occurs in the {what} {text[:60]!r} more than once.",
            hint="Pass a longer part of its text, or (start, end) in tokens.",
        )
    end = start + len(span)
    overlapping = [
        position
        for position in within
        if tokens.segments[position] == segment
        and tokens.offsets[position, 0] < end
        and tokens.offsets[position, 1] > start
    ]
    if not overlapping:
        raise InputError(
            f"No token of the {what} spells {span[:60]!r}.",
            hint="Pass a longer part of its text, or (start, end) in tokens.",
        )
    return range(overlapping[0], overlapping[-1] + 1)


def span_text(tokens: Tokens, steps: range) -> str:
    """Return the text of a span, as the name of its target."""
    first, last = steps[0], steps[-1]
    segment = int(tokens.segments[first])
    if segment < 0 or segment != tokens.segments[last]:
        text = "".join(tokens.select(steps).surfaces())
    else:
        text = tokens.texts[segment][int(tokens.offsets[first, 0]) : int(tokens.offsets[last, 1])]
    return text.strip() or text


def contrast_ids(
    tokenizer: Any, vocabulary: int, against: Contrast, tokens: Tokens, steps: range
) -> tuple[int, ...]:
    """Return a contrast token for each step of a continuation.

    Args:
        tokenizer: The tokenizer.
        vocabulary: Size of the vocabulary.
        against: Tokens by id or text, one for each step; or a text of as many tokens, which is tokenized
            together with the text before the first step.
        tokens: The prompt and the continuation.
        steps: Positions of the explained tokens.

    Returns:
        Their ids.

    Raises:
        InputError: There is not one for each step, or one is not in the vocabulary.
    """
    if isinstance(against, str) and len(steps) > 1:
        ids = following_ids(tokenizer, tokens.select(range(steps.start)), against)
        if tokenizer.unk_token_id in ids and tokenizer.unk_token not in against:
            raise InputError(
                f"{against[:60]!r} contains text that is not in this tokenizer's vocabulary.",
                hint="Pass a text that is in the vocabulary, or ids.",
            )
    else:
        items = [against] if isinstance(against, str) or not isinstance(against, Sequence) else against
        at = [*steps, *[steps.stop] * (len(items) - len(steps))]  # too many: refused below
        ids = [
            vocabulary_id(tokenizer, vocabulary, item, tokens.select(range(step)), is_contrast=True)
            for item, step in zip(items, at, strict=False)
        ]
    if len(ids) != len(steps):
        raise InputError(
            f"Expected a contrast token for each of the {len(steps)} explained tokens. Got {len(ids)} in "
            f"{str(against)[:60]!r}.",
            hint=f"Pass a token for each step, a text of as many tokens, or {RUNNER_UP!r}.",
        )
    return tuple(ids)
