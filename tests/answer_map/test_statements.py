"""Answers as statements, and the words that each is judged on."""

import numpy as np
import pytest

from model_understanding.answer_map.statements import clauses_of
from model_understanding.tokens import Tokens


def answer_of(text, size=3):
    """Tokens of a text that are pieces of so many characters, whatever its words are."""
    spans = [(start, min(start + size, len(text))) for start in range(0, len(text), size)]
    return Tokens.from_spans(
        texts=("prompt", text),
        pieces=[text[start:end] for start, end in spans],
        ids=np.arange(len(spans)),
        segments=np.ones(len(spans), dtype=int),
        offsets=spans,
        special=np.zeros(len(spans), dtype=bool),
    )


def found(text, known="", size=1):
    clauses = clauses_of(answer_of(text, size), known)
    return [(clause.text, [words for words, *_ in clause.values]) for clause in clauses]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "The museum opened in 1931, and it was designed by Dr. Anna Weber. It is big.",
            [
                ("The museum opened in 1931,", ["1931"]),
                ("and it was designed by Dr. Anna Weber.", ["Dr. Anna Weber"]),
                ("It is big.", ["big"]),
            ],
        ),
        (
            "Ida Renner opened it on 12 March 1931; tickets cost $3.50.",
            [
                ("Ida Renner opened it on 12 March 1931;", ["Ida Renner", "12 March 1931"]),
                ("tickets cost $3.50.", ["3.50"]),
            ],
        ),
        ("It rests at 21 °C or 70°F.", [("It rests at 21 °C or 70°F.", ["21 °C", "70°F"])]),
        (
            "1. It is 300 km long.\n2. It is deep.",
            [("1. It is 300 km long.", ["300"]), ("2. It is deep.", ["deep"])],
        ),
        (
            "The museum on the river was designed in the winter of\n"
            "a very cold year, which was 1931, by an engineer, Dr.\n"
            "Anna Weber; it has the oldest lift of the town.",
            [
                (
                    "The museum on the river was designed in the winter of a very cold year,",
                    ["museum", "river", "designed", "winter", "cold", "year"],
                ),
                ("which was 1931, by an engineer, Dr. Anna Weber;", ["1931", "Dr. Anna Weber"]),
                ("it has the oldest lift of the town.", ["oldest", "lift", "town"]),
            ],
        ),
        (
            "The rooms of the museum are:\nTools of the mill and of the ferry\nLooms from the town",
            [
                ("The rooms of the museum are:", ["rooms", "museum"]),
                ("Tools of the mill and of the ferry", ["Tools", "mill", "ferry"]),
                ("Looms from the town", ["Looms", "town"]),
            ],
        ),
        ("- It is long.\n- It is deep.", [("- It is long.", ["long"]), ("- It is deep.", ["deep"])]),
        ("Yes.", [("Yes.", ["Yes"])]),
        ("Paris, France, is big.", [("Paris, France, is big.", ["France"])]),
        (
            "彼は1931年に生まれた。東京に住む。",
            [("彼は1931年に生まれた。", ["彼は1931年に生まれた"]), ("東京に住む。", ["東京に住む"])],
        ),
        ("Das Museum öffnete 1931.", [("Das Museum öffnete 1931.", ["Das Museum", "1931"])]),
        ("…", []),
    ],
)
def test_an_answer_is_split_into_clauses_with_their_values(text, expected):
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("The walls are covered in red paint.", ["walls", "covered", "red", "paint"]),
        ("It has six rooms and it isn't old.", ["six", "rooms", "old"]),
        ("The pipes of the house carry gas, which is odd.", ["pipes", "house", "carry", "gas", "odd"]),
        ("The door of it is red.", ["door", "red"]),
        ("Die rote Tür ist aus Öl und Gas.", ["Tür", "Öl", "Gas"]),
        ("Les murs sont en or.", ["murs", "or"]),
        ("Las puertas son de gas y oro.", ["puertas", "gas", "oro"]),
        ("Talo on vanha ja iso.", ["Talo", "vanha"]),  # without a list, short words are none
    ],
)
def test_short_words_with_content_are_values_and_function_words_are_none(text, values):
    assert [value for _, each in found(text) for value in each] == values


def test_words_of_the_question_are_no_values():
    question = "When did the Harlow Museum open?"
    assert found("The Harlow Museum opened in 1931.", question) == [
        ("The Harlow Museum opened in 1931.", ["1931"])
    ]
    assert found("The museum opened early.", question) == [("The museum opened early.", ["opened", "early"])]
    assert found("When did the museum open?", question) == [("When did the museum open?", [])]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_statements_have_all_tokens_once_and_values_those_that_spell_them(size):
    text = "The museum opened in 1931, and it is 48 km away. Anna says so."
    answer = answer_of(text, size)
    clauses = clauses_of(answer, "")
    covered = [position for clause in clauses for position in range(clause.first, clause.last)]
    assert covered == sorted(set(covered))
    assert len(covered) == len(answer)
    for clause in clauses:
        for words, first, last in clause.values:
            assert clause.first <= first < last <= clause.last
            spelled = "".join(answer.pieces[first:last])
            assert words in spelled or size > 1
            assert len(spelled) < len(words) + 2 * size
