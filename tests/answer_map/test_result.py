"""The result of an answer map: JSON and back, the table, and what is said of it."""

import dataclasses
from io import StringIO

import numpy as np
import pytest
from hard_results import same
from rich.console import Console

from model_understanding import AnswerMap, InputError, NumericalError
from model_understanding.results.answer_map import (
    AnswerSource,
    SourceEffect,
    SourceSentence,
    StatedValue,
    Statement,
)
from model_understanding.show.terminal.answer_map import print_answer_map
from model_understanding.show.views.answer_map import (
    REPLACING,
    answer_map_view,
    compared_words,
    headline,
    prompt_outline,
    rules,
)
from model_understanding.tokens import Tokens

PROMPT = "Red roses. Blue skies. Green trees. What?"
ANSWER = "Roses are red, and skies are blue. Anna says so."


def tokens():
    texts, pieces, segments, offsets = (PROMPT, ANSWER), [], [], []
    for segment, text in enumerate(texts):
        place = 0
        for word in text.split():
            start = text.index(word, place)
            pieces.append(word)
            segments.append(segment)
            offsets.append((max(start - 1, 0), start + len(word)))
            place = start + len(word)
    return Tokens.from_spans(
        texts=texts, pieces=pieces, ids=np.arange(len(pieces)), segments=segments, offsets=offsets,
        special=[False] * len(pieces),
    )  # fmt: skip


def value(text, first, last, origin, **changes):
    base = {"effect": 3.0, "control": 0.1, "source": 0, "without_sources": 3.0, "without_all": 3.0}
    return StatedValue(text=text, first=first, last=last, origin=origin, **{**base, **changes})


def made(origins=("sources", "sources", "nothing"), **changes):
    spans = [(0, 3), (3, 7), (7, 10)]
    texts = ["Roses are red,", "and skies are blue.", "Anna says so."]
    words = [("red", 2, 3), ("blue", 6, 7), ("Anna", 7, 8)]
    statements = tuple(
        Statement(
            text=text,
            first=first,
            last=last,
            log_prob=-2.0,
            origin=origin,
            sources=()
            if origin == "nothing"
            else (
                SourceEffect(source=min(i, 1), effect=2.5 + i, sentence=0, sentence_effect=2.0, deleted=2.25),
            ),
            values=() if origin == "question" else (value(*word, origin, source=min(i, 1)),),
            without_sources=4.0,
            earlier=None if i == 0 else 0,
        )
        for i, (text, (first, last), origin, word) in enumerate(
            zip(texts, spans, origins, words, strict=False)
        )
    )
    sources = tuple(
        AnswerSource(name=name, sentences=(SourceSentence(text=text, positions=positions),))
        for name, text, positions in (
            ("a.txt", "Red roses.", [0, 1]),
            ("b.txt", "Blue skies.", [2, 3]),
            ("c", "Green trees.", [4, 5]),
        )
    )
    effects = np.arange(30).reshape(3, 10) / 10
    fields = {
        "tokens": tokens(),
        "prompt_length": 7,
        "sources": sources,
        "statements": statements,
        "log_probs": -np.ones(10),
        "effects": effects,
        "without_sources": np.ones(10),
        "sentence_effects": effects / 2,
        "is_sentence_removed": [True, True, False],
        "removal": "hidden",
        "layout": "documents in the prompt",
    }
    return AnswerMap(**{**fields, **changes})


def test_it_comes_back_from_json_to_the_bit(tmp_path):
    answers = made()
    assert same(AnswerMap.from_json(answers.to_json()), answers)
    path = answers.save(tmp_path / "answers.json")
    assert same(AnswerMap.from_json(path.read_text(encoding="utf-8")), answers)
    assert answers.save(tmp_path / "answers.csv").read_bytes().startswith(b"statement,text,origin,source,")
    with pytest.raises(InputError, match=r"Use one of \.html, \.png, \.svg, \.pdf, \.json, \.csv"):
        answers.save(tmp_path / "answers.txt")


def test_the_table_has_sources_and_the_sentences_that_were_removed():
    answers = made()
    table = answers.to_dataframe()
    assert len(table) == 3 * (3 + 2)
    assert np.allclose(answers.statement_effects()[1], [1.8, 5.8, 9.8])
    row = table[(table.statement == 1) & (table.source == "b.txt")]
    assert np.allclose(row.effect, [5.8, 2.9])
    assert row.sentence.tolist()[1] == "Blue skies."
    assert row.attributed.tolist() == [True, True]
    assert np.isnan(row.deleted.tolist()[0])
    assert row.deleted.tolist()[1] == 2.25
    assert not table.is_title.any()


def test_the_name_of_a_source_in_the_prompt_is_marked_as_its_title():
    titled = AnswerSource(
        name="roses.txt",
        sentences=(
            SourceSentence(text="(roses.txt", positions=[0]),
            SourceSentence(text="Roses.", positions=[1]),
        ),
    )
    fields = {"sentence_effects": np.ones((2, 10)), "is_sentence_removed": [True, True]}
    table = made(("nothing",), sources=(titled,), effects=np.ones((1, 10)), **fields).to_dataframe()
    assert table.is_title.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("origins", "sentence"),
    [
        (
            ("sources", "sources", "nothing"),
            "2 of 3 statements come from the sources, one from a.txt and one from b.txt; one rests on "
            "nothing in the sources.",
        ),
        (
            ("sources", "nothing", "nothing"),
            "1 of 3 statements comes from a.txt; 2 rest on nothing in the sources.",
        ),
        (
            ("sources", "sources", "sources"),
            "All 3 statements come from the sources, one from a.txt and 2 from b.txt.",
        ),
        (("nothing", "nothing", "nothing"), "All 3 statements rest on nothing in the sources."),
        (
            ("unclear", "question", "nothing"),
            "None of the 3 statements comes from the sources: one only has words of the question, one is "
            "unclear and one rests on nothing in the sources.",
        ),
        (
            ("sources", "answer", "unclear"),
            "1 of 3 statements comes from a.txt; one repeats an earlier statement and one is unclear.",
        ),
        (
            ("sources", "sources"),
            "Both statements come from the sources, one from a.txt and one from b.txt.",
        ),
        (("sources",), "The statement comes from a.txt."),
        (("nothing",), "The statement rests on nothing in the sources."),
    ],
)  # fmt: skip
def test_one_sentence_says_what_comes_from_where(origins, sentence):
    answers = made(origins)
    assert answer_map_view(answers).headline == sentence
    assert str(answers).startswith(sentence)
    assert len(answers.unsupported) == origins.count("nothing")


def test_the_answer_is_shown_with_marks_and_nothing_is_lost():
    view = answer_map_view(made())
    assert "".join(part.text for part in view.answer) == ANSWER
    shown = "".join(f"{part.text} {part.mark}" if part.mark else part.text for part in view.answer)
    assert shown == "Roses are red [1], and skies are blue [2]. Anna says so [no source]."
    assert {part.text: part.origin for part in view.answer if part.origin} == {
        "red": "sources", "blue": "sources", "Anna": "nothing",
    }  # fmt: skip
    assert view.sources[1].details == (
        "statement 2: effect 3.5 when the document is hidden; 2 when the sentence is hidden; 2.25 when the "
        "sentence is deleted from the prompt · “Blue skies.”",
    )
    assert view.rows[1].effects == ("1.8", "5.8", "9.8")
    assert view.columns == ("[1]", "[2]", "[3]")
    assert [row.mark for row in view.sources] == ["[1]", "[2]"]
    assert "Sources (documents in the prompt): [1] a.txt, [2] b.txt, [3] c" in view.facts
    assert view.rows[1].attributed == (False, True, False)
    assert any("not “is supported by”" in fact for fact in view.facts)
    assert any(fact.startswith("A statement is judged on its numbers and names") for fact in view.facts)
    assert any(fact.startswith("At least 2.5 nats above: it comes from that source.") for fact in view.facts)


@pytest.mark.parametrize(
    ("main", "words"),
    [
        ([[0], [0], [0]], "come from a.txt."),
        ([[0, 1], [0, 1], [0, 1]], "come from a.txt and b.txt."),
        ([[0], [1], [2]], "come from the sources, one from a.txt, one from b.txt and one from c."),
        ([[0, 1], [0], [0]], "come from the sources, 3 from a.txt and one from b.txt."),
    ],
)
def test_a_source_is_named_with_the_number_of_its_statements_unless_each_has_all(main, words):
    answers = made(("sources",) * 3)
    statements = tuple(
        dataclasses.replace(each, values=tuple(value("x", 0, 1, "sources", source=i) for i in sources))
        for each, sources in zip(answers.statements, main, strict=True)
    )
    assert headline(dataclasses.replace(answers, statements=statements)) == f"All 3 statements {words}"


def test_others_count_a_statement_that_comes_from_several_of_them_once():
    sources = tuple(
        AnswerSource(name=f"{i}.txt", sentences=(SourceSentence(text="Roses.", positions=[i]),))
        for i in range(6)
    )
    of_sources = {"effects": np.zeros((6, 10)), "sentence_effects": np.zeros((6, 10))}
    removed = np.zeros(6, dtype=bool)
    answers = made(("sources",) * 3, sources=sources, is_sentence_removed=removed, **of_sources)
    statements = tuple(
        dataclasses.replace(each, values=tuple(value("x", 0, 1, "sources", source=i) for i in sources))
        for each, sources in zip(answers.statements, [[0], [1, 2], [3, 4, 5]], strict=True)
    )
    assert headline(dataclasses.replace(answers, statements=statements)) == (
        "All 3 statements come from the sources, one from 0.txt, one from 1.txt, one from 2.txt and one from "
        "3 others."
    )


def test_the_prompt_names_sources_where_their_text_is_and_says_titles_as_they_are():
    titled = AnswerSource(
        name="Red.txt",
        sentences=(
            SourceSentence(text="Red.txt", positions=[0]),
            SourceSentence(text="Roses are red.", positions=[1, 2, 3]),
        ),
    )
    prompt = Tokens.from_spans(
        texts=("Red.txt Roses are red. What?", "Red"),
        pieces=["Red.txt", "Roses", "are", "red.", "What?", "Red"],
        ids=range(6), segments=[0] * 5 + [1], special=[False] * 6,
        offsets=[(0, 7), (7, 13), (13, 17), (17, 22), (22, 28), (0, 3)],
    )  # fmt: skip
    answers = made(
        (), tokens=prompt, prompt_length=5, sources=(titled,), log_probs=[-1.0], effects=[[0.0]],
        without_sources=[0.0], sentence_effects=[[0.0], [0.0]], is_sentence_removed=[False, False],
    )  # fmt: skip
    assert prompt_outline(answers) == "Red.txt⟨Red.txt⟩ What?"


def test_what_each_token_is_compared_with_is_listed():
    assert compared_words(made(against=(" 1949",))).startswith("Compared with “1949”: effects")
    words = compared_words(made(against=("2", "8", " 9")))
    assert words.startswith("Compared token by token with “2”, “8”, “9”: effects")
    assert "“8” …: effects" in compared_words(made(against=tuple("1234567890")))


def test_a_span_is_judged_as_a_whole():
    span = made(("sources",))
    first = dataclasses.replace(span.statements[0], values=(value("red", 0, 3, "sources"),))
    rule, *_ = rules(dataclasses.replace(span, statements=(first,)))
    assert rule.startswith("The text is judged as a whole")
    assert rules(span)[0].startswith("A statement is judged on its numbers and names")


def test_how_sources_that_replace_each_other_are_judged_is_said_where_some_do():
    answers = made(("sources",))
    alone = dataclasses.replace(answers.statements[0], is_redundant=True)
    assert REPLACING not in rules(answers)
    assert rules(dataclasses.replace(answers, statements=(alone,)))[1] == REPLACING


def test_of_many_sources_those_in_the_table_are_named():
    sources = tuple(
        AnswerSource(name=f"{i}.txt", sentences=(SourceSentence(text="Roses.", positions=[i % 7]),))
        for i in range(12)
    )
    effects = np.zeros((12, 10))
    effects[[4, 6, 7, 8, 9, 11]] = 1.0
    sentences = {"sentence_effects": np.zeros((12, 10)), "is_sentence_removed": np.zeros(12, dtype=bool)}
    view = answer_map_view(made(("nothing",), sources=sources, effects=effects, **sentences))
    assert view.columns == ("[5]", "[7]", "[8]", "[9]", "[10]", "[12]")
    assert view.facts[-1] == (
        "Sources (documents in the prompt): [5] 4.txt, [7] 6.txt, [8] 7.txt, [9] 8.txt, [10] 9.txt, "
        "[12] 11.txt, 6 others"
    )


@pytest.mark.parametrize(("width", "columns"), [(36, 0), (56, 1), (70, 3), (80, 4), (120, 6)])
def test_a_narrow_terminal_has_fewer_sources_in_the_table_and_all_of_each_number(width, columns):
    sources = tuple(
        AnswerSource(name=f"{i}.txt", sentences=(SourceSentence(text="Roses.", positions=[i]),))
        for i in range(7)
    )
    effects = np.outer(np.arange(7), np.full(10, -123.45))
    effects[5] = 1.0
    sentences = {"sentence_effects": np.zeros((7, 10)), "is_sentence_removed": np.zeros(7, dtype=bool)}
    answers = made(sources=sources, effects=effects, **sentences)
    console = Console(width=width, file=StringIO())
    print_answer_map(answers, console)
    printed = console.file.getvalue()
    lines = printed.splitlines()
    heading = next(line for line in lines if "all sources" in line and "from" in line)
    assert heading.count("[") == columns
    assert ("[6]" in heading) == (columns > 1)
    for row in answer_map_view(answers, columns).rows:
        assert all(effect in printed.split() for effect in (*row.effects, row.without))
    said = f"The table has {columns or 'no room for single'} {'of 7 ' if columns else ''}sources"
    assert said in " ".join(printed.split())


@pytest.mark.parametrize("width", [80, 60, 44])
def test_four_sources_cut_no_number(width):
    sources = tuple(
        AnswerSource(name=f"{i}.txt", sentences=(SourceSentence(text="Roses.", positions=[i]),))
        for i in range(4)
    )
    effects = np.outer([-0.0123, 38.25, 1.5, -0.123], np.ones(10))
    sentences = {"sentence_effects": np.zeros((4, 10)), "is_sentence_removed": np.zeros(4, dtype=bool)}
    answers = made(("sources", "answer", "nothing"), sources=sources, effects=effects, **sentences)
    console = Console(width=width, file=StringIO())
    print_answer_map(answers, console)
    printed = console.file.getvalue()
    heading = next(line for line in printed.splitlines() if "all sources" in line)
    columns = heading.count("[")
    for row in answer_map_view(answers, columns).rows:
        line = next(line for line in printed.splitlines() if line.split()[:1] == [row.label.split()[0]])
        assert line.split()[-columns - 1 :] == [*row.effects, row.without]


def test_words_that_rest_on_nothing_are_named_in_statements_that_do_not():
    answers = made(("sources", "sources", "sources"))
    last = answers.statements[-1]
    mixed = dataclasses.replace(last, values=(*last.values, value("so", 9, 10, "nothing")))
    answers = dataclasses.replace(answers, statements=(*answers.statements[:-1], mixed))
    assert answer_map_view(answers).words == "Words that rest on nothing in the sources: “so” (statement 3)."


def test_what_cannot_be_is_refused():
    with pytest.raises(NumericalError, match="not finite"):
        made(log_probs=np.full(10, np.nan))
    with pytest.raises(ValueError, match="effects must have shape"):
        made(effects=np.zeros((2, 10)))
    with pytest.raises(ValueError, match="prompt_length"):
        made(prompt_length=17)
