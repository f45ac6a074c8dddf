"""What replaces what, where it is planted: copies, earlier statements, needles in long texts."""

from typing import ClassVar

import numpy as np
import pytest
from tiny_models import fresh, visualizer_of

from model_understanding.answer_map.removal import Removals

FILLER = ["It was blue.", "It was green.", "It was bad.", "It was wonderful."]
FACT, COPY = "The plot was dull.", "Dull was the plot."
DROP = 8.0


class Planted(Removals):
    """An answer whose planted words drop by so many nats where none of the texts that say them is left.

    A text says a word if it has it; so does an earlier statement of the answer.
    """

    removal = "hidden"
    drops: ClassVar = {"dull": DROP}

    def __init__(self, model, encoding):
        super().__init__(model, encoding)
        tokens = encoding.tokens[0]
        self.words = {word: self._places(tokens, 1, word) for word in self.drops}
        self.saying = {word: self._places(tokens, 0, word) for word in self.drops}
        self.passes = 0

    @staticmethod
    def _places(tokens, segment, word):
        text, start, places = tokens.texts[segment].lower(), -1, []
        while (start := text.find(word, start + 1)) >= 0:
            starts, ends = tokens.offsets.T
            inside = (starts < start + len(word)) & (ends > start) & (tokens.segments == segment)
            places.append(np.flatnonzero(inside))
        return places

    def without(self, removed):
        self.passes += len(removed)
        values = np.zeros((len(removed), len(self.answer)))
        for row, mask in zip(values, removed, strict=True):
            for word, drop in self.drops.items():
                for number, place in enumerate(self.words[word]):
                    texts = [*self.saying[word], *self.words[word][:number]]
                    if texts and all(mask[text].all() for text in texts):
                        row[place - self.prompt_length] = -drop / len(place)
        return values

    def cost(self, removed):
        return len(removed)


class PlantedForm(Planted):
    """An answer whose last word drops by 8 nats without the word “was” of the first statement."""

    def without(self, removed):
        values = super().without(removed)
        tokens = self.encoding.tokens[0]
        form = self._places(tokens, 1, "was")[0]
        last = np.flatnonzero((tokens.segments == 1) & (tokens.offsets[:, 0] >= len(tokens.texts[1]) - 6))
        rows = removed[:, form].all(1)
        values[np.ix_(rows, last - self.prompt_length)] -= DROP / len(last)
        return values


class PlantedEffects(Planted):
    """An answer of which some words drop without some others of the prompt, each by so many nats."""

    effects: ClassVar = {}

    def without(self, removed):
        values = np.zeros((len(removed), len(self.answer)))
        tokens = self.encoding.tokens[0]
        for (said, written), drop in self.effects.items():
            text, places = self._places(tokens, 0, said)[0], self._places(tokens, 1, written)[0]
            values[np.ix_(removed[:, text].all(1), places - self.prompt_length)] -= drop / len(places)
        return values


class Opposed(PlantedEffects):
    """Without “dull”, “dull” drops and the rest of the statement rises by more."""

    effects: ClassVar = {
        ("dull", "dull"): 8.0,
        ("dull", "was"): -10.0,
        ("blue", "was"): 1.0,
        ("bad", "was"): 0.5,
    }


class Titled(PlantedEffects):
    """Without the title “Melody” the value drops by a little more than without the sentence that says it."""

    effects: ClassVar = {("melody", "dull"): 4.1, ("dull", "dull"): 4.0}


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
    removed = int(answers.is_sentence_removed.sum())
    assert 24 <= removed <= 40
    assert int(answers.is_sentence_screened.sum()) == sentences + 4 - removed
    assert passes <= 40 + 6 * np.sqrt(sentences)


@pytest.mark.parametrize("drop", [1.5, 3.0, 8.0])
def test_a_value_that_stands_twice_is_found_where_the_rest_of_the_statement_stands_once(
    mapped, monkeypatch, drop
):
    monkeypatch.setattr(Planted, "drops", {"actors": 20.0, "dull": drop})
    documents = [document((1, "The actors are dull.")), document(), document((3, COPY)), document()]
    answers, passes = mapped(documents, "The actors are dull.")
    (statement,) = answers.statements
    name, value = statement.values
    assert (name.text, name.origin, name.effect) == ("actors", "sources", 20.0)
    assert (value.text, value.without_sources, value.effect, value.control) == ("dull", drop, drop, 0.0)
    assert value.origin == ("sources" if drop >= 2.5 else "unclear")  # never “nothing”
    found = [(part.source, part.sentence, part.alone) for part in statement.sources]
    is_clear = drop >= 2.5
    assert found == ([(0, 1, 20.0 + drop), (2, 3, drop)] if is_clear else [(0, 1, None)])
    assert statement.is_redundant == is_clear
    # Each document and all of them, their sentences, each document and sentence of two alone, and the rest.
    assert passes <= 5 + 8 + 4 + 8 + 10


@pytest.mark.parametrize("drop", [3.0, 8.0])
def test_a_value_that_stands_twice_in_one_document_has_both_sentences(mapped, monkeypatch, drop):
    monkeypatch.setattr(Planted, "drops", {"actors": 20.0, "dull": drop})
    planted = [(0, "The actors are dull."), (2, COPY)]
    answers, _ = mapped([document(), document(*planted), document()], "The actors are dull.")
    (part,) = answers.statements[0].sources
    assert (part.source, part.copies) == (1, (0, 2))
    assert [value.origin for value in answers.statements[0].values] == ["sources", "sources"]


def test_what_any_document_does_to_a_value_is_from_none(mapped, monkeypatch):
    """A value that drops only where no document is left, whatever the documents say."""
    monkeypatch.setattr(Planted, "drops", {"actors": 20.0, "it was": 3.0})
    documents = [document((1, "Brilliant actors.")), document(), document()]
    answers, _ = mapped(documents, "The actors left. It was Rome.")
    assert [value.origin for value in answers.statements[0].values] == ["sources", "nothing"]


@pytest.mark.parametrize("place", [2, 3])
def test_the_named_sentence_is_the_one_that_says_the_value(mapped, monkeypatch, place):
    """The form of the statement depends on another sentence of the document, and more."""
    monkeypatch.setattr(Planted, "drops", {"are": 20.0, "dull": DROP})
    planted = document((0, "You are here."), (place, COPY))
    answers, _ = mapped([document(), planted, document()], "You are dull.")
    (statement,) = answers.statements
    assert [value.text for value in statement.values] == ["dull"]
    (part,) = statement.sources
    assert (part.source, part.sentence) == (1, place)
    assert np.allclose([part.effect, part.sentence_effect, part.deleted], [20.0 + DROP, DROP, DROP])


def test_without_a_value_the_named_sentence_is_the_one_with_the_largest_effect(mapped, monkeypatch):
    monkeypatch.setattr(Planted, "drops", {"are": 20.0})
    answers, _ = mapped([document(), document((0, "You are here.")), document()], "You are dull.")
    assert found(answers) == ("nothing", [(1, 0, ())])


@pytest.mark.parametrize("answer", ["There are 7 seats.", "Answer the documents.", "Read document 3."])
def test_the_built_in_prompts_own_words_are_not_the_questions(mapped, answer):
    answers, _ = mapped([document()] * 8, answer)
    assert answers.layout == "built-in prompt"
    words = {word.strip(".") for word in answer.split()} - {"the", "There", "are"}
    (statement,) = answers.statements
    assert {part for value in statement.values for part in value.text.split()} & words
    assert statement.origin == "nothing"


def test_the_questions_words_are_no_values_in_the_built_in_prompt(mapped):
    answers, _ = mapped([document()] * 3, "What was it?")
    assert answers.statements[0].origin == "question"


def test_the_sentence_of_a_value_is_named_where_its_source_opposes_the_rest_of_the_statement(mapped):
    documents = ["It was blue. It was red.", "It was bad. It was new.", "It was old. It was dull."]
    answers, _ = mapped(documents, planted=Opposed)
    (statement,) = answers.statements
    assert statement.origin == "sources"
    named = {part.source: part for part in statement.sources}[2]
    assert named.effect == pytest.approx(-2.0)
    assert (named.sentence, named.sentence_effect) == (1, pytest.approx(-2.0))


def test_a_title_is_not_the_sentence_that_says_a_value_where_another_one_counts(mapped):
    documents = [{"title": "Melody", "text": "It was old. It was dull."}, "It was blue."]
    answers, _ = mapped(documents, planted=Titled)
    assert [sentence.text for sentence in answers.sources[0].sentences] == [
        "Melody",
        "It was old.",
        "It was dull.",
    ]
    (named,) = answers.statements[0].sources
    assert (named.source, named.sentence) == (0, 2)


def test_the_only_sentence_of_a_source_was_removed_with_it(mapped):
    answers, _ = mapped(["It was blue.", "It was dull.", "It was bad.", "It was green."])
    assert answers.is_sentence_removed.all()
    assert answers.sentence_effects == pytest.approx(answers.effects)
