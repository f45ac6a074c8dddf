"""What replaces what, where it is planted: copies, earlier statements, needles in long texts."""

import numpy as np
import pytest
from tiny_models import fresh, visualizer_of

from model_understanding.answer_map.removal import Removals

FILLER = ["It was blue.", "It was green.", "It was bad.", "It was wonderful."]
FACT, COPY = "The plot was dull.", "Dull was the plot."
DROP = 8.0


class Planted(Removals):
    """An answer whose word “dull” drops by 8 nats where none of the texts that say it is left.

    A text says it if it has the word; so does an earlier statement of the answer.
    """

    removal = "hidden"

    def __init__(self, model, encoding):
        super().__init__(model, encoding)
        tokens = encoding.tokens[0]
        text = tokens.texts[1]
        start = -1
        self.words = []
        while (start := text.lower().find("dull", start + 1)) >= 0:
            self.words.append(self._tokens(tokens, 1, start, start + 4))
        prompt, start, self.saying = tokens.texts[0], -1, []
        while (start := prompt.lower().find("dull", start + 1)) >= 0:
            self.saying.append(self._tokens(tokens, 0, start, start + 4))
        self.passes = 0

    @staticmethod
    def _tokens(tokens, segment, start, end):
        inside = (tokens.offsets[:, 0] < end) & (tokens.offsets[:, 1] > start) & (tokens.segments == segment)
        return np.flatnonzero(inside)

    def without(self, removed):
        self.passes += len(removed)
        values = np.zeros((len(removed), len(self.answer)))
        for row, mask in zip(values, removed, strict=True):
            for number, word in enumerate(self.words):
                texts = [*self.saying, *self.words[:number]]
                if texts and all(mask[text].all() for text in texts):
                    row[word - self.prompt_length] = -DROP / len(word)
        return values

    def cost(self, removed):
        return len(removed)


class PlantedForm(Planted):
    """An answer whose last word drops by 8 nats without the word “was” of the first statement."""

    def without(self, removed):
        values = super().without(removed)
        tokens = self.encoding.tokens[0]
        text = tokens.texts[1]
        start = text.index("was")
        form = self._tokens(tokens, 1, start, start + 3)
        last = np.flatnonzero((tokens.segments == 1) & (tokens.offsets[:, 0] >= len(text) - 6))
        rows = removed[:, form].all(1)
        values[np.ix_(rows, last - self.prompt_length)] -= DROP / len(last)
        return values


@pytest.fixture
def mapped(monkeypatch):
    visualizer = visualizer_of("llama", model=fresh("llama", max_position_embeddings=16384))
    made = []

    def run(documents, answer="It was dull.", planted=Planted):
        def removals_of(model, encoding, *_):
            made.append(planted(model, encoding))
            return made[-1], made[-1]

        monkeypatch.setattr("model_understanding.answer_map.compute.removals_of", removals_of)
        answers = visualizer.map_answer(question="What was it?", documents=documents, answer=answer)
        return answers, made[-1].passes

    return run


def document(*planted, length=4):
    """Filler with sentences at the given places."""
    sentences = [FILLER[i % 4] for i in range(length)]
    for place, sentence in planted:
        sentences[place] = sentence
    return " ".join(sentences)


def found(answers, number=0):
    statement = answers.statements[number]
    return statement.origin, [(part.source, part.sentence, part.copies) for part in statement.sources]


def test_one_sentence_says_it(mapped):
    answers, _ = mapped([document(), document((2, FACT)), document()])
    assert found(answers) == ("sources", [(1, 2, ())])
    (part,) = answers.statements[0].sources
    assert (part.effect, part.sentence_effect, part.alone, part.deleted) == (DROP, DROP, None, DROP)
    (value,) = answers.statements[0].values
    assert value.controls == (0.0, 0.0, 0.0)
    assert not answers.statements[0].is_redundant


@pytest.mark.parametrize("count", [2, 3])
def test_copies_in_one_document_replace_each_other(mapped, count):
    planted = [(0, FACT), (2, COPY), (5, FACT)][:count]
    answers, _ = mapped([document(), document(*planted, length=6), document()])
    copies = tuple(place for place, _ in planted)
    assert found(answers) == ("sources", [(1, 0, copies)])
    (part,) = answers.statements[0].sources
    assert part.sentence_effect == 0.0
    assert part.deleted == DROP  # of all of them
    assert not answers.statements[0].is_redundant


def test_copies_in_different_documents_replace_each_other(mapped):
    answers, _ = mapped([document((1, FACT)), document(), document((3, COPY))])
    assert found(answers) == ("sources", [(0, 1, ()), (2, 3, ())])
    assert answers.statements[0].is_redundant
    assert [part.alone for part in answers.statements[0].sources] == [DROP, DROP]


def test_copies_in_one_document_and_in_another(mapped):
    answers, _ = mapped([document((0, FACT), (2, COPY)), document(), document((3, COPY))])
    assert found(answers) == ("sources", [(0, 0, (0, 2)), (2, 3, ())])


def test_what_an_earlier_statement_says_comes_from_it_or_from_the_source(mapped):
    answers, _ = mapped([document((1, FACT)), document()], "It was dull. So it is dull.")
    first, second = answers.statements
    assert found(answers)[0] == "sources"
    assert (second.origin, second.earlier, second.joint_source) == ("answer", 0, 0)
    assert (second.earlier_effect, second.joint_effect, second.without_all) == (0.0, DROP, DROP)
    assert first.joint_source is None


def test_the_form_of_an_earlier_statement_is_no_source(mapped):
    answers, _ = mapped([document((1, FACT)), document()], "It was dull. So it is green.", PlantedForm)
    assert found(answers)[0] == "sources"
    second = answers.statements[1]
    assert second.origin == "nothing"
    assert second.earlier_effect == pytest.approx(DROP)
    assert answers.unsupported == (second,)


def test_a_negative_control_makes_no_effect_larger(mapped):
    class Likelier(Planted):
        """All words are likelier without a source."""

        def without(self, removed):
            return super().without(removed) + DROP * removed[:, : self.prompt_length].any(1)[:, None]

    answers, _ = mapped([document(), document(), document()], "It was dull.", Likelier)
    (value,) = answers.statements[0].values
    assert max(value.controls) < 0
    assert (value.control, value.origin) == (0, "nothing")


def test_what_nothing_says_rests_on_nothing(mapped):
    answers, _ = mapped([document(), document()], "It was dull.")
    assert found(answers)[0] == "nothing"


@pytest.mark.parametrize("sentences", [120, 400])
def test_a_needle_in_a_long_document_is_found_at_a_bounded_cost(mapped, sentences):
    answers, passes = mapped([document((sentences - 7, FACT), length=sentences), document()])
    assert found(answers) == ("sources", [(0, sentences - 7, ())])
    assert int(answers.is_sentence_removed.sum()) == 100
    assert int(answers.is_sentence_screened.sum()) == sentences + 4 - 100
    assert passes <= 100 + 3 * np.sqrt(sentences) + 20
