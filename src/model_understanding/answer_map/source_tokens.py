"""The tokens of the sources in a prompt, sentence by sentence, and the text outside of them."""

from collections.abc import Sequence

import numpy as np

from model_understanding.answer_map.prompt import SourcedPrompt
from model_understanding.errors import InputError
from model_understanding.results.answer_map import AnswerSource, SourceSentence
from model_understanding.tokens import Tokens


def sources_of(
    tokens: Tokens, prompt_length: int, prompt: SourcedPrompt
) -> tuple[tuple[AnswerSource, ...], tuple[str, ...]]:
    """Return the sources with their tokens, and the names of those that have none of their own.

    The last token of the prompt is never removed: the answer's first token is read from it.

    Args:
        tokens: Tokens of the prompt and the answer.
        prompt_length: Number of tokens of the prompt.
        prompt: The prompt's sources.
    """
    owner = np.full(prompt_length - 1, -1)
    starts, ends = tokens.offsets[: prompt_length - 1].T
    is_text = (tokens.segments[: prompt_length - 1] == 0) & (ends > starts)
    for index, spans in enumerate(prompt.spans):
        for start, end in spans:
            owner[is_text & (starts < end) & (ends > start) & (owner < 0)] = index
    sources, empty = [], []
    for index, name in enumerate(prompt.names):
        if not (owner == index).any():
            empty.append(name)
            continue
        sources.append(AnswerSource(name=name, sentences=_sentences(tokens, owner == index)))
    return tuple(sources), tuple(empty)


def _sentences(tokens: Tokens, is_own: np.ndarray) -> tuple[SourceSentence, ...]:
    groups: list[list[int]] = []
    for group in tokens.groups("sentence"):
        own = [position for position in group if position < len(is_own) and is_own[position]]
        if not own:
            continue
        text = _text(tokens, own)
        if groups and not any(character.isalnum() for character in text):
            groups[-1] += own
        else:
            groups.append(own)
    return tuple(
        SourceSentence(text=_text(tokens, group).strip(), positions=np.array(group)) for group in groups
    )


def _text(tokens: Tokens, positions: Sequence[int]) -> str:
    start, end = tokens.offsets[positions[0], 0], tokens.offsets[positions[-1], 1]
    return tokens.texts[0][int(start) : int(end)]


def require_room(
    name: str, limit: int | None, tokens: Tokens, prompt: SourcedPrompt, answer: int, least: int
) -> None:
    """Refuse a prompt that leaves no room for its answer, and say which of its sources fit.

    Args:
        name: The model's name.
        limit: Most tokens that the model reads, if there is a limit.
        tokens: Tokens of the prompt.
        prompt: The prompt's sources.
        answer: Most tokens of the answer.
        least: Fewest tokens of the answer.

    Raises:
        InputError: The prompt and the shortest answer are too long.
    """
    total = len(tokens)
    if limit is None or total + least <= limit:
        return
    sources, _ = sources_of(tokens, total, prompt)
    lengths = np.array([len(source.positions) for source in sources], dtype=int)
    room = limit - answer - (total - int(lengths.sum()))
    fitting = int((np.cumsum(lengths) <= room).sum())
    if not len(lengths) or room < 1:
        hint = (
            "Pass fewer or shorter documents, a shorter question or a smaller max_new_tokens: the prompt has "
            f"{total - int(lengths.sum())} tokens outside of the documents' text."
        )
    else:
        longest = int(lengths.argmax())
        first = "only the first one fits" if fitting == 1 else f"the first {fitting} fit"
        advice = f"Pass fewer documents ({first})" if fitting else "Pass shorter documents"
        hint = (
            f"{advice}: there is room for {room} of their tokens, and the longest, {sources[longest].name}, "
            f"has {lengths[longest]}."
        )
    count = f"{len(sources)} document{'s' * (len(sources) != 1)}"
    raise InputError(
        f"The prompt has {total} tokens ({int(lengths.sum())} in {count}) before an answer of "
        f"{'at least 1' if least < answer else answer}; {name} accepts at most {limit}.",
        hint=hint,
    )


def text_outside(tokens: Tokens, prompt_length: int, sources: Sequence[AnswerSource]) -> str:
    """Return the text of the prompt outside of its sources and of the chat template.

    Args:
        tokens: Tokens of the prompt and the answer.
        prompt_length: Number of tokens of the prompt.
        sources: The sources.
    """
    is_outside = (tokens.segments[:prompt_length] == 0) & ~tokens.special[:prompt_length]
    for source in sources:
        is_outside[source.positions] = False
    places = np.flatnonzero(is_outside)
    runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
    # Blanks between tokens are not part of them in every tokenizer.
    return "\n".join(_text(tokens, run.tolist()) for run in runs if len(run))
