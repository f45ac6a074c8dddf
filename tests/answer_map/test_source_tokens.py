"""The text of a prompt outside of its sources: its words, whatever part of it the tokens cover."""

import numpy as np
import pytest

from model_understanding.answer_map.source_tokens import text_outside
from model_understanding.results.answer_map import AnswerSource, SourceSentence
from model_understanding.tokens import Tokens

PROMPT = "Read this. Red roses. Which roses are red?"


@pytest.mark.parametrize("blanks", ["before", "after", "apart"])
def test_words_outside_of_the_sources_are_apart_whichever_token_has_the_blank(blanks):
    words, offsets, place = PROMPT.split(), [], 0
    for word in words:
        start = PROMPT.index(word, place)
        place = end = start + len(word)
        offsets.append((start - (blanks == "before" and start > 0), end + (blanks == "after")))
    tokens = Tokens.from_spans(
        texts=(PROMPT + " ",),
        pieces=words,
        ids=np.arange(len(words)),
        segments=[0] * len(words),
        offsets=offsets,
        special=[False] * len(words),
    )
    source = AnswerSource(
        name="a", sentences=(SourceSentence(text="Red roses.", positions=np.array([2, 3])),)
    )
    text = text_outside(tokens, len(words), [source])
    assert text.split() == ["Read", "this.", "Which", "roses", "are", "red?"]
    assert [line.strip() for line in text.splitlines()] == ["Read this.", "Which roses are red?"]
