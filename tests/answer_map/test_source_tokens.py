"""The text of a prompt outside of its sources: its words, whatever part of it the tokens cover."""

import re
import textwrap
from dataclasses import replace

import numpy as np
import pytest

from model_understanding import InputError
from model_understanding.answer_map.prompt import SourcedPrompt
from model_understanding.answer_map.source_tokens import require_room, sources_of, text_outside
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


def words_of(text):
    """Return a text as one token for each word."""
    spans = [(match.start(), match.end()) for match in re.finditer(r"\S+", text)]
    return Tokens.from_spans(
        texts=(text,),
        pieces=text.split(),
        ids=np.arange(len(spans)),
        segments=[0] * len(spans),
        offsets=spans,
        special=[False] * len(spans),
    )


def prompt_of(documents, question="Why is it so?"):
    text, spans = "Read.", []
    for number, document in enumerate(documents):
        text += f" Document {number + 1}: "
        spans.append(((len(text), len(text) + len(document)),))
        text += document
    text += f" Question: {question}"
    names = tuple(f"{number + 1}.txt" for number in range(len(documents)))
    return SourcedPrompt(prompt=text, text=text, names=names, spans=tuple(spans), layout="", question="?")


def test_sentences_of_many_sources_are_read_from_one_grouping(monkeypatch):
    documents = [f"Line {number} is red. Is it? !! Yes." for number in range(40)]
    prompt = prompt_of(documents)
    tokens, calls, groups = words_of(prompt.text), [], Tokens.groups
    monkeypatch.setattr(Tokens, "groups", lambda self, level: calls.append(level) or groups(self, level))
    sources, empty = sources_of(tokens, len(tokens), prompt)
    assert calls == ["sentence"]
    assert empty == ()
    assert [[sentence.text for sentence in source.sentences] for source in sources] == [
        [f"Line {number} is red.", "Is it? !!", "Yes."] for number in range(40)
    ]
    assert [tokens.pieces[position] for position in sources[7].positions] == documents[7].split()


def test_sentences_of_a_source_with_wrapped_lines_are_shown_on_one_line():
    sentences = [
        "The old bridge over the river Aare was built in the year of the flood by a Swiss engineer.",
        "It is still the only one that the trams can cross.",
    ]
    wrapped = f"{textwrap.fill(' '.join(sentences), 48)}\n"
    assert wrapped.count("\n") == 3
    items = ["- The bell of the first ferry rang for the last time when it sank.", "- It is silent."]
    listed = "\n".join(textwrap.fill(item, 56, subsequent_indent="  ") for item in items)
    prompt = prompt_of([wrapped, listed])
    tokens = words_of(prompt.text)
    sources, _ = sources_of(tokens, len(tokens), prompt)
    shown = [[sentence.text for sentence in source.sentences] for source in sources]
    assert shown == [sentences, items]
    assert [len(sentence.positions) for sentence in sources[0].sentences] == [19, 11]


BRIDGE = (
    "The bridge over the river was opened in May 1883, after four winters of work by an engineer from Basel, "
    "who had never built one.",
    "It was used by all the people of the villages that are near it, and by nobody else.",
)
AROUND = {
    "built-in prompt": ("Document 1 (a.txt):\n", "\n\nQuestion: When?"),
    "question below": ("[1]\n", "\nQuestion: When was it opened?"),
    "ChatML": ("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"),
    "Gemma": ("<start_of_turn>user\n", "<end_of_turn>\n<start_of_turn>model\n"),
    "Llama 2": ("<s>[INST] ", " [/INST] x"),
    "tag": ("<doc>", "</doc>\nWhy?"),
}


@pytest.mark.parametrize(("before", "after"), AROUND.values(), ids=list(AROUND))
@pytest.mark.parametrize("width", [50, 66, 72, 100])
def test_sentences_of_a_document_are_the_same_whatever_is_around_it(before, after, width):
    text = textwrap.fill(" ".join(BRIDGE), width)
    whole = f"{before}{text}{after}"
    span = (len(before), len(before) + len(text))
    prompt = SourcedPrompt(prompt=whole, text=whole, names=("a",), spans=((span,),), layout="", question="?")
    tokens = words_of(whole)
    (source,), _ = sources_of(tokens, len(tokens), prompt)
    assert [sentence.text for sentence in source.sentences] == list(BRIDGE)
    assert [len(sentence.positions) for sentence in source.sentences] == [
        len(sentence.split()) for sentence in BRIDGE
    ]


def test_a_title_apart_from_its_text_is_a_sentence_and_a_text_without_letters_belongs_to_it():
    whole = "See: The bridge (title of the first one). Text: ... Opened. Why?"
    parts = ("The bridge", "...", "Opened.")
    spans = tuple((whole.index(part), whole.index(part) + len(part)) for part in parts)
    prompt = SourcedPrompt(prompt=whole, text=whole, names=("a",), spans=(spans,), layout="", question="?")
    tokens = words_of(whole)
    (source,), _ = sources_of(tokens, len(tokens), prompt)
    assert [sentence.text for sentence in source.sentences] == ["The bridge\n...", "Opened."]
    pieces = [[tokens.pieces[place] for place in sentence.positions] for sentence in source.sentences]
    assert pieces == [["The", "bridge", "..."], ["Opened."]]


@pytest.mark.parametrize("rule", ["```", "~~~", "-----", "=====", '"""', " */", "> ```\n\n```"])
def test_a_rule_or_a_fence_below_a_sentence_is_not_shown(rule):
    prompt = prompt_of([f"Run it:\n```\nx = 1 + 2\n{rule}\nIt is 3. !!\n{rule}"])
    tokens = words_of(prompt.text)
    (source,), _ = sources_of(tokens, len(tokens), prompt)
    assert [sentence.text for sentence in source.sentences] == ["Run it:", "x = 1 + 2", "It is 3. !!"]
    assert len(source.positions) == len(f"Run it: ``` x = 1 + 2 {rule} It is 3. !! {rule}".split())


def test_a_prompt_that_is_too_long_is_refused_before_its_sentences_are_read(monkeypatch):
    prompt = prompt_of(["One two three."] * 40)
    tokens = words_of(prompt.text)
    monkeypatch.setattr(Tokens, "groups", None)
    with pytest.raises(InputError, match=r"has 206 tokens \(120 in 40 documents\) before an answer of 4"):
        require_room("m", 60, tokens, prompt, 4, 4)


@pytest.mark.parametrize("documents", [["a b c d"] * 30, ["a b", "a b c d e f g h", "a"] * 10])
@pytest.mark.parametrize(("answer", "least"), [(4, 4), (8, 1)])
def test_as_many_documents_fit_as_it_says(documents, answer, least):
    """Each document has a heading of its own, which is in the way as long as the document is."""
    tokens = words_of(prompt_of(documents).text)
    with pytest.raises(InputError) as caught:
        require_room("m", 60, tokens, prompt_of(documents), answer, least)
    fitting = int(re.search(r"first (\d+) fit", caught.value.hint).group(1))
    lengths = [len(words_of(prompt_of(documents[:count]).text)) for count in range(len(documents))]
    assert lengths[fitting] + answer <= 60 < lengths[fitting + 1] + answer


@pytest.mark.parametrize(
    ("question", "answer", "least", "hint"),
    [
        ("why " * 80, 4, 4, "Pass a shorter question or a shorter answer: the prompt has 84 tokens outside"),
        ("why " * 80, 64, 1, "Pass a shorter question: the prompt has 84 tokens outside of the documents."),
        ("why?", 99, 99, "Pass a shorter question or a shorter answer: the prompt has 5 tokens outside"),
        ("why?", 64, 1, "Pass shorter documents: there is room for 54 tokens of documents and"),
    ],
)
def test_what_is_too_long_is_what_its_hint_names(question, answer, least, hint):
    prompt = prompt_of(["word " * 100], question)
    with pytest.raises(InputError) as caught:
        require_room("m", 60, words_of(prompt.text), prompt, answer, least)
    assert caught.value.hint.startswith(hint)
    with pytest.raises(InputError, match=r"Put shorter documents into the prompt|Pass a shorter prompt"):
        require_room("m", 60, words_of(prompt.text), replace(prompt, question=""), answer, least)
