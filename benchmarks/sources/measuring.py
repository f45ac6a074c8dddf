"""What answer maps say of prompts whose source is known: one row for each prompt."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import paragraphs
import prompts
import sentences
from prompts import Prompt

from model_understanding import GenerativeModelVisualizer
from model_understanding.model.metering import counting
from model_understanding.results import AnswerMap
from model_understanding.results.answer_map import StatedValue, Statement
from model_understanding.visualizers.sourced_prompts import sourced_prompt

Row = dict[str, Any]
_LONGEST_ANSWER = 24  # tokens
OWN: tuple[prompts.Set, ...] = ("planted", "redundant", "paragraphs")
"""Sets in which a model answers by itself; its answer is taken where it has the value."""


def of_set(set_: prompts.Set) -> list[Prompt]:
    """Return the prompts of a set."""
    return paragraphs.asked() if set_ == "paragraphs" else prompts.drawn(set_)


def rows(
    visualizer: GenerativeModelVisualizer, model: str, known: set[str], *, answers_itself: bool
) -> Iterator[Row]:
    """Yield a row for each prompt that has none.

    Args:
        visualizer: The model.
        model: Its name in the rows.
        known: Keys of the rows that are there.
        answers_itself: Whether the model generates answers; else the given ones are explained.
    """
    for prompt in in_turn():
        key = f"{model}: {prompt.key}"
        if key not in known:
            own = answers_itself and prompt.set in OWN
            yield {"key": key, "model": model, **_row(visualizer, prompt, own=own)}


def in_turn() -> list[Prompt]:
    """Return all prompts, those of all sets in turn: an interrupted run has some of each."""
    sets: tuple[prompts.Set, ...] = (*prompts.COUNTS, "paragraphs")
    placed = [
        (place / len(listed), prompt) for listed in map(of_set, sets) for place, prompt in enumerate(listed)
    ]
    return [prompt for _, prompt in sorted(placed, key=lambda pair: pair[0])]


def mapped(visualizer: GenerativeModelVisualizer, prompt: Prompt, answer: str) -> AnswerMap:
    """Return the answer map of an answer to a prompt."""
    return visualizer.map_answer(question=prompt.question, documents=list(prompt.documents), answer=answer)


def _row(visualizer: GenerativeModelVisualizer, prompt: Prompt, *, own: bool) -> Row:
    generated = _generated(visualizer, prompt) if own else ""
    answer = generated if prompt.value in generated else prompt.answer
    started = time.process_time()
    with counting() as counter:
        answers = mapped(visualizer, prompt, answer)
    seconds = time.process_time() - started
    statement = stating(answers, prompt.value)
    exact = sentences.exact_positions(answers)
    row: Row = {
        "set": prompt.set,
        "kind": prompt.kind,
        "pronoun": prompt.pronoun,
        "tokens": len(answers.tokens),
        "sentences": len(answers.is_sentence_removed),
        "removal": answers.removal,
        "answer": answer,
        "own": own and answer == generated,
        "seconds": seconds,
        "positions": counter.positions,
        "share": counter.positions / exact,
        "origin": statement.origin,
        **_value(answers, statement, prompt.value),
        "named": [[part.source, part.sentence, round(part.effect, 3)] for part in statement.sources],
    }
    if own and answer != generated:
        row["generated"] = generated
    if prompt.facts:
        row |= _found(answers, statement, prompt)
    if prompt.set == "paragraphs":
        row["exact_drop"] = _exact_drop(visualizer, answers, statement, prompt)
    return row


def _generated(visualizer: GenerativeModelVisualizer, prompt: Prompt) -> str:
    documents = list(prompt.documents)
    chat = sourced_prompt(visualizer.tokenizer, None, prompt.question, None, documents).prompt
    return visualizer.generate(chat, max_new_tokens=_LONGEST_ANSWER).tokens.texts[-1].strip()


def stating(answers: AnswerMap, value: str) -> Statement:
    """Return the statement of an answer that has a value."""
    return next(statement for statement in answers.statements if value in statement.text)


def _value(answers: AnswerMap, statement: Statement, text: str) -> Row:
    """Return how far the words of a statement that hold a value are from their controls."""
    value = _judged(statement, text)
    if value is None:
        return {}
    return {
        "margin": value.margin,
        "effect": value.effect,
        "value_origin": value.origin,
        "value_log_prob": float(answers.log_probs[value.first : value.last].sum()),
    }


def _judged(statement: Statement, text: str) -> StatedValue | None:
    """Return the words of a statement that hold a value, if it is judged on them."""
    words = set(text.replace(",", " ").split())
    found = [value for value in statement.values if words & set(value.text.replace(",", " ").split())]
    return max(found, key=lambda value: value.margin, default=None)


def _strongest_of_value(answers: AnswerMap, statement: Statement, text: str) -> tuple[int, int] | None:
    """Return the sentence with the largest effect on a value's own words, where the statement has more."""
    value = _judged(statement, text)
    if value is None:
        return None
    effects = answers.sentence_effects[:, value.first : value.last].sum(1, dtype=np.float64)
    return owners_of(answers)[int(effects.argmax())]


def _exact_drop(
    visualizer: GenerativeModelVisualizer, answers: AnswerMap, statement: Statement, prompt: Prompt
) -> float | None:
    """Return how much less likely a value is without its sentence, which a model may not need to say it."""
    value = _judged(statement, prompt.value)
    if value is None:
        return None
    model, tokenizer = visualizer.model, visualizer.tokenizer
    deletions = sentences.Deletions(model, tokenizer, answers, value.first, value.last)
    facts = places(answers, prompt)
    kept = np.array([owner not in facts for owner in owners_of(answers)])
    return float((deletions.whole - deletions.score(kept)).sum())


def _found(answers: AnswerMap, statement: Statement, prompt: Prompt) -> Row:
    """Return whether the sentence with the value comes first, and what does where it does not."""
    facts = places(answers, prompt)
    named = [(part.source, part.sentence) for part in statement.sources]
    names = [source.name for source in answers.sources]
    distractor = _name(prompt, prompt.distractor)
    return {
        "facts": [list(fact) for fact in facts],
        "first": bool(named) and named[0] in facts,
        "value_first": _strongest_of_value(answers, statement, prompt.value) in facts,
        "first_source": bool(named) and named[0][0] in {source for source, _ in facts},
        "distractor_first": bool(named) and distractor is not None and names[named[0][0]] == distractor,
        "all_found": set(facts) <= set(named),
        "redundant": statement.is_redundant,
    }


def places(answers: AnswerMap, prompt: Prompt) -> list[tuple[int, int]]:
    """Return the source and the sentence of each of a prompt's facts, as the answer map has them."""
    names = [source.name for source in answers.sources]
    owners = owners_of(answers)
    spans = sentences.spans_of(answers)
    found = []
    for document, text in prompt.facts:
        source = names.index(_name(prompt, document) or "")
        begun = spans[owners.index((source, 0))][0]
        # The sentence may be cut in two, as before a name with initials: the part with the value counts.
        at = answers.prompt.index(prompt.value, answers.prompt.index(text, begun))
        found.append(owners[next(i for i, (start, end) in enumerate(spans) if start <= at < end)])
    return found


def owners_of(answers: AnswerMap) -> list[tuple[int, int]]:
    """Return the source of each sentence, and its place there."""
    return [
        (index, place)
        for index, source in enumerate(answers.sources)
        for place in range(len(source.sentences))
    ]


def _name(prompt: Prompt, document: int | None) -> str | None:
    if document is None:
        return None
    given = prompt.documents[document]
    return f"document {document + 1}" if isinstance(given, str) else given["title"]


def effects_of(answers: AnswerMap, statement: Statement) -> np.ndarray:
    """Return the effect of each sentence on a statement.

    Sentences of sources that were only removed as a whole share its effect by their lengths.
    """
    inside = slice(statement.first, statement.last)
    effects = answers.sentence_effects[:, inside].sum(1, dtype=np.float64)
    for index, source in enumerate(answers.sources):
        rows = list(answers.sentence_rows(index))
        if not answers.is_sentence_removed[rows].any():
            lengths = np.array([len(sentence.positions) for sentence in source.sentences])
            effects[rows] = answers.effects[index, inside].sum(dtype=np.float64) * lengths / lengths.sum()
    return effects


def texts_of(listed: Sequence[Prompt]) -> Iterator[str]:
    """Yield all texts of some prompts."""
    for prompt in listed:
        for document in prompt.documents:
            yield from [document] if isinstance(document, str) else document.values()
        yield from (prompt.question, prompt.answer)
