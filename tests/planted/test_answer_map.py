"""A model that copies a planted value: the document and the line that hold it come first, and both copies."""

from functools import cache

import numpy as np
import pytest

from model_understanding import GenerativeModelVisualizer
from planted import training, vocabulary
from planted.tasks import MARKER_COPY
from planted.vocabulary import FILLER, VALUES

DOCUMENTS, LINES, WORDS = 4, 3, 6


@cache
def visualizer():
    model = training.trained(MARKER_COPY)
    return GenerativeModelVisualizer(model=model, tokenizer=vocabulary.of_a_language_model())


def drawn(seed, copies=1):
    """Documents of filler, with other values without a marker; some hold the marker and its value."""
    numbers = np.random.default_rng(seed)
    words = numbers.choice(FILLER, (DOCUMENTS, LINES, WORDS)).astype(object)
    answer, other = numbers.choice(VALUES, 2, replace=False)
    places = numbers.choice(DOCUMENTS, copies + 1, replace=False)
    lines = numbers.integers(0, LINES, copies)
    for document, line in zip(places, lines, strict=False):
        words[document, line, 2:4] = "marker", answer
    words[places[-1], 1, 3] = other
    documents = ["\n".join(" ".join(line) for line in document) for document in words]
    return documents, answer, list(zip(places.tolist(), lines.tolist(), strict=False))


def mapped(documents, answer):
    # “\n” and “marker” are apart from the last document, so that the answer follows a question.
    return visualizer().map_answer(
        prompt="\n\n".join(documents) + "\n\nword1 word2 marker", documents=documents, answer=answer
    )


@pytest.mark.parametrize("seed", range(8))
def test_the_planted_line_is_first_and_is_confirmed(seed):
    documents, answer, [(document, line)] = drawn(seed)
    answers = mapped(documents, answer)
    (statement,) = answers.statements
    assert answers.removal == "hidden"
    assert statement.origin == "sources"
    first = statement.sources[0]
    assert (first.source, first.sentence) == (document, line)
    assert first.effect == pytest.approx(answers.effects[document, 0], abs=1e-5)
    assert first.deleted > 1
    assert not statement.is_redundant
    others = np.delete(answers.effects[:, 0], document)
    assert others.max() < first.effect / 2


@pytest.mark.parametrize("seed", range(4))
def test_both_copies_are_found(seed):
    documents, answer, places = drawn(seed, copies=2)
    answers = mapped(documents, answer)
    (statement,) = answers.statements
    assert statement.is_redundant
    assert statement.origin == "sources"
    found = {(part.source, part.sentence) for part in statement.sources if part.alone is not None}
    assert found == set(places)
    assert max(part.effect for part in statement.sources) < statement.without_sources / 2
