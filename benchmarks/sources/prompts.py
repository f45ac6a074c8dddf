"""Documents, a question and an answer, whose source is known because it was written into the documents.

Everything is drawn from a seed, out of words written for this benchmark (``prompts.json``): ten documents of
four sentences about invented buildings, one of which has the asked fact. One document repeats the question.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

Set = Literal["planted", "redundant", "removed", "unrelated", "paragraphs"]
DOCUMENTS, SENTENCES = 10, 4
COUNTS: dict[Set, int] = {"planted": 60, "redundant": 20, "removed": 30, "unrelated": 30}
"""Number of prompts that are drawn of each set; those of paragraphs are written down."""


@dataclass(frozen=True)
class Prompt:
    """Documents, a question about them, and the answer.

    Args:
        key: Its name.
        set: The set that it belongs to.
        kind: What kind of value the answer has.
        documents: The documents, as ``map_answer`` takes them.
        question: The question.
        answer: The answer, with the value in it.
        value: The words that the answer is about.
        facts: Where the value stands: index of the document, and the sentence; none where no document has it.
        distractor: Index of the document that repeats the words of the question, if there is one.
        pronoun: Whether the sentence names its subject by a pronoun.
    """

    key: str
    set: Set
    kind: str
    documents: tuple[Any, ...]
    question: str
    answer: str
    value: str
    facts: tuple[tuple[int, str], ...] = ()
    distractor: int | None = None
    pronoun: bool = False


@dataclass(frozen=True)
class _Relation:
    """What can be asked about a building: ``{s}`` is its name, ``{v}`` the value."""

    kind: str
    question: str
    fact: str
    by_pronoun: str


_RELATIONS = (
    _Relation("year", "In what year did the {s} open?", "The {s} opened in {v}.", "It opened in {v}."),
    _Relation(
        "year", "In what year was the {s} rebuilt?", "The {s} was rebuilt in {v}.", "It was rebuilt in {v}."
    ),
    _Relation("year", "In what year was the {s} sold?", "The {s} was sold in {v}.", "It was sold in {v}."),
    _Relation("name", "Who designed the {s}?", "The {s} was designed by {v}.", "It was designed by {v}."),
    _Relation("name", "Who founded the {s}?", "The {s} was founded by {v}.", "It was founded by {v}."),
    _Relation("name", "Who leads the {s}?", "The {s} is led by {v}.", "It is led by {v}."),
    _Relation(
        "place",
        "Where does the stone of the {s} come from?",
        "The stone of the {s} comes from {v}.",
        "Its stone comes from {v}.",
    ),
    _Relation(
        "place",
        "Where was the bell of the {s} cast?",
        "The bell of the {s} was cast in {v}.",
        "Its bell was cast in {v}.",
    ),
    _Relation(
        "place",
        "To which town does the road from the {s} lead?",
        "The road from the {s} leads to {v}.",
        "The road from it leads to {v}.",
    ),
    _Relation(
        "number",
        "How many rooms are there in the {s}?",
        "There are {v} rooms in the {s}.",
        "There are {v} rooms in it.",
    ),
    _Relation(
        "number",
        "How many guests can the {s} hold?",
        "The {s} can hold {v} guests.",
        "It can hold {v} guests.",
    ),
    _Relation(
        "number",
        "By how many people is the {s} visited each week?",
        "The {s} is visited by {v} people each week.",
        "It is visited by {v} people each week.",
    ),
    _Relation(
        "color",
        "In what color is the door of the {s} painted?",
        "The door of the {s} is painted {v}.",
        "Its door is painted {v}.",
    ),
    _Relation(
        "color",
        "What is the color of the paint on the walls of the {s}?",
        "The walls of the {s} are covered in {v} paint.",
        "Its walls are covered in {v} paint.",
    ),
)
_KINDS = ("year", "name", "place", "number", "color")
_SECOND = "An old letter about the {s} says this: {f}"
_WORDS: dict[str, list[Any]] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
_OPENERS, _OTHERS = _WORDS["openers"], _WORDS["others"]


def drawn(set_: Set) -> list[Prompt]:
    """Return the prompts of a set, the same at every call.

    Args:
        set_: ``planted``: one document has the fact; ``redundant``: two have; ``removed``: the sentence with
            it is another one; ``unrelated``: questions of general knowledge.
    """
    return [_prompt(set_, number) for number in range(COUNTS[set_])]


def _prompt(set_: Set, number: int) -> Prompt:
    seed = (7, list(COUNTS).index("planted" if set_ == "removed" else set_), number)
    generator = np.random.default_rng(seed)  # the same documents with the fact and without it
    kind = _KINDS[number % len(_KINDS)]
    pronoun = set_ in ("planted", "removed") and number % 3 == 2
    relation = _chosen(generator, [each for each in _RELATIONS if each.kind == kind])
    subjects = _subjects(generator)
    value = _value(generator, kind)
    fact = (relation.by_pronoun if pronoun else relation.fact).format(s=subjects[0], v=value)
    own = [each for each in _RELATIONS if each is not relation]
    documents = [_document(generator, subject, own, value) for subject in subjects]
    place = int(generator.integers(1 if pronoun else 0, SENTENCES))
    order = generator.permutation(DOCUMENTS)
    index = [int(np.flatnonzero(order == document)[0]) for document in range(3)]
    question, answer = relation.question.format(s=subjects[0]), relation.fact.format(s=subjects[0], v=value)
    documents[1][int(generator.integers(1, SENTENCES))] = _chosen(generator, _WORDS["repeats"]).format(
        s=subjects[1], q=question
    )
    facts: list[tuple[int, str]] = []
    if set_ in ("planted", "redundant"):
        if not pronoun and place:  # the first sentence names the building anyway
            documents[0][0] = _chosen(generator, _OPENERS).format(s=subjects[0])
        documents[0][place] = fact
        facts.append((index[0], fact))
    if set_ == "redundant":
        second = _SECOND.format(s=subjects[2], f=fact[0].lower() + fact[1:])
        documents[2][int(generator.integers(1, SENTENCES))] = second
        facts.append((index[2], second))
    if set_ == "unrelated":
        question, answer, value = _WORDS["knowledge"][number]
        answer, kind = answer.format(v=value), "knowledge"
    return Prompt(
        key=f"{set_} {number}",
        set=set_,
        kind=kind,
        documents=tuple(" ".join(documents[document]) for document in order),
        question=question,
        answer=answer,
        value=value,
        facts=tuple(facts),
        distractor=None if set_ == "unrelated" else index[1],
        pronoun=pronoun,
    )


def _subjects(generator: np.random.Generator) -> list[str]:
    first = generator.permutation(_WORDS["first"])[:DOCUMENTS]
    return [f"{name} {_chosen(generator, _WORDS['types'])}" for name in first]


def _document(
    generator: np.random.Generator, subject: str, relations: Sequence[_Relation], avoided: str
) -> list[str]:
    """Return four sentences about a building: a first one, one or two facts, and others in any order."""
    count = int(generator.integers(1, 3))
    places = generator.permutation(len(relations))[:count]
    facts = [
        relations[place].by_pronoun.format(v=_value(generator, relations[place].kind, avoided))
        for place in places
    ]
    others = generator.permutation(_OTHERS)[: SENTENCES - 1 - count].tolist()
    rest = generator.permutation([*facts, *others]).tolist()
    return [_chosen(generator, _OPENERS).format(s=subject), *rest]


def _value(generator: np.random.Generator, kind: str, avoided: str = "") -> str:
    """Return a value of a kind, none of whose words is in another one."""
    while True:
        value = {
            "year": lambda: str(generator.integers(1801, 1999)),
            "name": lambda: f"{_chosen(generator, _WORDS['given'])} {_chosen(generator, _WORDS['family'])}",
            "place": lambda: _chosen(generator, _WORDS["towns"]),
            "number": lambda: str(generator.integers(21, 980)),
            "color": lambda: _chosen(generator, _WORDS["colors"]),
        }[kind]()
        if not set(value.split()) & set(avoided.split()):
            return value


def _chosen(generator: np.random.Generator, items: Sequence[Any]) -> Any:
    return items[int(generator.integers(len(items)))]
