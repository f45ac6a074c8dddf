"""Planted facts and SmolLM2: their sentence comes first, and what no document says rests on nothing."""

import pytest
from loaded_demos import smollm2

pytestmark = pytest.mark.real

TEXTS = {
    "museum.txt": ("The Harlow Museum opened in 1931.", "It was designed by the architect Ida Renner."),
    "river.txt": ("The river Tavel flows through the town.", "It is 48 kilometers long."),
    "library.txt": ("The town library opened in 1949.", "It holds 60,000 books."),
}
DOCUMENTS = [{"title": title, "text": " ".join(sentences)} for title, sentences in TEXTS.items()]
FIRST = "The Harlow Museum opened in 1931, and the river Tavel is 48 kilometers long."


def test_why_1931_and_not_1949_comes_from_the_document_that_says_1931():
    answers = smollm2().map_answer(
        question="When did the Harlow Museum open?",
        documents=DOCUMENTS,
        answer="The Harlow Museum opened in 1931.",
        span="1931",
        against="1949",
    )
    (statement,) = answers.statements
    assert "".join(answers.against) == "1949"
    museum, _, library = answers.statement_effects()[0]
    assert statement.sources[0].source == 0
    assert museum > 2.5 > library  # the library's year makes the contrast likelier


def test_statements_come_from_their_sentences_and_what_is_invented_from_none():
    answers = smollm2().map_answer(
        question="When did the Harlow Museum open, and how long is the river Tavel?",
        documents=DOCUMENTS,
        answer=f"{FIRST} Paris is the capital of France.",
    )
    assert answers.removal == "hidden"
    *planted, invented = answers.statements
    for statement, source, sentence in zip(planted, (0, 1), ("The Harlow Museum", "It is 48"), strict=True):
        strongest = statement.sources[0]
        assert statement.origin == "sources"
        assert strongest.source == source
        assert strongest.sentence is not None
        assert answers.sources[source].sentences[strongest.sentence].text.startswith(sentence)
        assert strongest.deleted == pytest.approx(strongest.sentence_effect, rel=0.3)
    assert invented.origin == "nothing"
    assert str(answers).startswith(
        "2 of 3 statements come from the sources, one from museum.txt and one from river.txt; one rests on "
        "nothing in the sources."
    )
