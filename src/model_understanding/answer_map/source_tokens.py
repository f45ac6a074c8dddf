"""The tokens of the sources in a prompt, sentence by sentence, and the text outside of them."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from model_understanding.answer_map.chat_texts import contents_of
from model_understanding.answer_map.prompt import SourcedPrompt
from model_understanding.errors import InputError
from model_understanding.line_breaks.wrapped import joined_lines, wrapped_breaks
from model_understanding.results.answer_map import AnswerSource, SourceSentence
from model_understanding.text.chat import Chat
from model_understanding.tokens import Tokens

_IN_BRACKETS = re.compile(r"<.+>|\[[A-Z_/]+\]")
# Lines below a sentence that say nothing: the end of code, of a comment or of a text in quotes, a rule.
_RULE = re.compile(r"([`~=*_\"'#+-])\1{2,}|\*/")
_MOST_LISTED = 8  # sources that a warning names


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
    places, own = _apart(tokens, prompt_length, prompt)
    sources_of_texts = [source for source, *_ in _texts_of(prompt)]
    sentences: list[list[list[int]]] = [[] for _ in prompt.names]
    for group in own.groups("sentence"):
        _add_sentence(own, sentences[sources_of_texts[own.segments[group[0]]]], list(group))
    breaks = [wrapped_breaks(text) for text in own.texts]
    named = list(zip(prompt.names, sentences, strict=True))
    sources = tuple(
        AnswerSource(
            name=name,
            sentences=tuple(
                SourceSentence(text=_shown(own, group, breaks), positions=places[group]) for group in groups
            ),
        )
        for name, groups in named
        if groups
    )
    return sources, tuple(name for name, groups in named if not groups)


def _texts_of(prompt: SourcedPrompt) -> list[tuple[int, int, int]]:
    """Return the texts of the sources: of which source each is, and where in the prompt."""
    return [(source, *span) for source, spans in enumerate(prompt.spans) for span in spans]


def _text_of_each(tokens: Tokens, prompt_length: int, prompt: SourcedPrompt) -> Int[np.ndarray, " tokens"]:
    """Return which text of the sources each token before the prompt's last one is of, −1 for none."""
    found = np.full(prompt_length - 1, -1)
    starts, ends = tokens.offsets[: prompt_length - 1].T
    is_text = (tokens.segments[: prompt_length - 1] == 0) & (ends > starts)
    for index, (_, start, end) in enumerate(_texts_of(prompt)):
        found[is_text & (starts < end) & (ends > start) & (found < 0)] = index
    return found


def _apart(
    tokens: Tokens, prompt_length: int, prompt: SourcedPrompt
) -> tuple[Int[np.ndarray, " own"], Tokens]:
    """Return the positions of the sources' tokens, and these as tokens of the sources' texts only.

    What is written around a document in the prompt does not change where its sentences end then.
    """
    texts = _text_of_each(tokens, prompt_length, prompt)
    places = np.flatnonzero(texts >= 0)
    borders = np.array([span for _, *span in _texts_of(prompt)], dtype=int).reshape(-1, 2)[texts[places]]
    own = replace(
        tokens.select(places),
        texts=tuple(tokens.texts[0][start:end] for _, start, end in _texts_of(prompt)),
        segments=texts[places],
        offsets=np.clip(tokens.offsets[places], borders[:, :1], borders[:, 1:]) - borders[:, :1],
    )
    return places, own


def _add_sentence(own: Tokens, sentences: list[list[int]], group: list[int]) -> None:
    """Add a sentence to those of its source; one without letters or digits is a part of the one before."""
    if sentences and not any(character.isalnum() for character in _text(own, group)):
        sentences[-1] += group
    else:
        sentences.append(group)


def _shown(own: Tokens, group: Sequence[int], breaks: Sequence[Collection[int]]) -> str:
    """Return the text of a sentence on one line, if its lines are only wrapped."""
    segments = own.segments[list(group)]
    parts = []
    for segment in dict.fromkeys(segments.tolist()):
        starts, ends = own.offsets[np.array(group)[segments == segment]].T
        text = joined_lines(own.texts[segment], int(starts.min()), int(ends.max()), breaks[segment])
        parts.append(_without_rules(text.strip()))
    return "\n".join(parts)


def _without_rules(text: str) -> str:
    lines = text.split("\n")
    while len(lines) > 1 and (not (mark := lines[-1].strip(" \t\r>")) or _RULE.fullmatch(mark)):
        lines.pop()
    return "\n".join(lines).rstrip()


def _text(tokens: Tokens, positions: Sequence[int]) -> str:
    start, end = tokens.offsets[positions[0], 0], tokens.offsets[positions[-1], 1]
    return tokens.texts[tokens.segments[positions[0]]][start:end]


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
    texts = _text_of_each(tokens, total, prompt)
    owners = np.array([*(source for source, *_ in _texts_of(prompt)), -1])[texts]
    own = [np.flatnonzero(owners == index) for index in range(len(prompt.names))]
    names = [label for label, positions in zip(prompt.names, own, strict=True) if len(positions)]
    own = [positions for positions in own if len(positions)]
    lengths = [len(positions) for positions in own]
    outside, taken = _taken(total, own)
    room = next((left for left in (limit - answer - outside, limit - least - outside) if left > 0), 0)
    fitting = int((np.cumsum(taken) <= room).sum())
    is_question = bool(prompt.question)
    if not room:
        given = " or a shorter answer" if least == answer > 1 else ""
        hint = (
            f"Pass a shorter {'question' if is_question else 'prompt'}{given}: the prompt has {outside} "
            "tokens outside of the documents."
        )
    else:
        longest = lengths.index(max(lengths))
        first = "only the first one fits" if fitting == 1 else f"the first {fitting} fit"
        what = f"fewer documents ({first})" if fitting else "shorter documents"
        advice = f"Pass {what}" if is_question else f"Put {what} into the prompt"
        hint = (
            f"{advice}: there is room for {room} tokens of documents and what separates "
            f"them, and the longest, {names[longest]}, has {lengths[longest]}."
        )
    count = f"{len(names)} document{'s' * (len(names) != 1)}"
    raise InputError(
        f"The prompt has {total} tokens ({sum(lengths)} in {count}) before an answer of "
        f"{'at least 1' if least < answer else answer}; {name} accepts at most {limit}.",
        hint=hint,
    )


def _taken(
    total: int, positions: Sequence[Int[np.ndarray, " own"]]
) -> tuple[int, Int[np.ndarray, " sources"]]:
    """Return the number of tokens outside of sources, and how many each takes with what separates it.

    What is before a source that another one precedes, as a heading, goes with it.
    """
    taken = np.zeros(len(positions), dtype=int)
    begun = None
    for index in sorted(range(len(positions)), key=lambda index: positions[index][-1]):
        end = int(positions[index][-1]) + 1
        taken[index] = end - (int(positions[index][0]) if begun is None else begun)
        begun = end
    return total - int(taken.sum()), taken


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


def control_tokens_caution(
    tokenizer: Any, tokens: Tokens, prompt_length: int, prompt: SourcedPrompt
) -> tuple[str, ...]:
    """Return a warning about texts that spell control tokens, as the end of a turn.

    Args:
        tokenizer: The model's tokenizer.
        tokens: Tokens of the prompt and the answer.
        prompt_length: Number of tokens of the prompt.
        prompt: The prompt's sources.
    """
    control = _control_tokens(tokenizer)
    is_left = np.ones(prompt_length, dtype=bool)  # what is in a source is not said of its message again
    parts = []
    for name, spans in (*zip(prompt.names, prompt.spans, strict=True), *_texts_around(prompt)):
        is_inside = np.zeros(prompt_length, dtype=bool)
        for start, end in spans:
            is_inside |= _is_inside(tokens, prompt_length, start, end)
        ids = tokens.ids[:prompt_length][is_inside & is_left]
        is_left &= ~is_inside
        parts.append((name, ids, [tokens.texts[0][start:end] for start, end in spans]))
    parts.append(("the answer", _without_end(tokens.ids[prompt_length:], control), tokens.texts[1:]))
    named = []
    for name, ids, texts in parts:
        inside = dict.fromkeys(control[index] for index in ids.tolist() if index in control)
        written = [token for token in inside if any(token in text for text in texts)]
        if written:
            named.append(f"{name} ({', '.join(written)})")
    if not named:
        return ()
    listed = ", ".join(named[:_MOST_LISTED]) + (
        f" and {len(named) - _MOST_LISTED} others" if len(named) > _MOST_LISTED else ""
    )
    return (
        f"Control tokens of the model are in the text of {listed}. The model reads them as such, for example "
        "as the end of a turn, and not as text.",
    )


def _texts_around(prompt: SourcedPrompt) -> list[tuple[str, list[tuple[int, int]]]]:
    """Return where in the prompt the question or each message is; a prompt that is a text means its own."""
    if prompt.question:
        texts = [("the question", prompt.question)]
    elif isinstance(prompt.prompt, Chat):
        texts = [(f"message {index}", text) for index, text in contents_of(prompt.prompt)]
    else:
        return []
    spans = [
        (name, [found.span() for found in re.finditer(re.escape(text.strip()), prompt.text)])
        for name, text in texts
        if text.strip()
    ]
    return [(name, places) for name, places in spans if places]


def _without_end(ids: Int[np.ndarray, " answer"], control: Mapping[int, str]) -> Int[np.ndarray, " rest"]:
    """Return an answer without the control tokens after its last word, which end its turn."""
    is_text = ~np.isin(ids, list(control))
    return ids[: int(np.flatnonzero(is_text).max(initial=-1)) + 1]


def _is_inside(tokens: Tokens, prompt_length: int, start: int, end: int) -> Bool[np.ndarray, " tokens"]:
    """Return which tokens of the prompt are in a part of its text."""
    starts, ends = tokens.offsets[:prompt_length].T
    return (tokens.segments[:prompt_length] == 0) & (starts < end) & (ends > start)


def _control_tokens(tokenizer: Any) -> dict[int, str]:
    """Return the text of each special token of a tokenizer, and of those that are written in brackets."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    texts = {
        int(index): str(token)
        for index, token in added.items()
        if getattr(token, "special", False) or _IN_BRACKETS.fullmatch(str(token))
    }
    texts.update(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=False))
    unknown = getattr(tokenizer, "unk_token_id", None)
    return {index: text for index, text in texts.items() if index != unknown}
