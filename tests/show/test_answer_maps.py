"""An answer map in every output: the same words and numbers, each computed here from its arrays."""

import json
import math
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_pictures import drawing_of
from matplotlib import pyplot
from page_elements import Elements, hidden, words_of
from payload_schema import SCHEMA, faults
from sample_answer_maps import ANSWER_MAPS, answer_map, large
from sample_results import HOSTILE

from model_understanding import InputError
from model_understanding.results import AnswerMap, Statement
from model_understanding.results.answer_map import AnswerSource, SourceEffect, SourceSentence
from model_understanding.show.figures.answer_map import answer_map_figure
from model_understanding.show.page.document import html_fragment, html_page
from model_understanding.show.payload.answer_map import answer_map_json, answer_map_payload
from model_understanding.show.views.answer_map import headline
from model_understanding.show.views.sourced_answer import (
    SourcedAnswer,
    likelihood_words,
    nats,
    strength_of,
)
from model_understanding.tokens import Tokens, visible_text

DRAWN = [name for name in ANSWER_MAPS if name != "no statement"]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


@pytest.fixture(params=ANSWER_MAPS)
def shown(request: pytest.FixtureRequest) -> AnswerMap:
    return ANSWER_MAPS[request.param]()


def test_a_payload_is_by_its_schema_and_may_stand_in_a_script(shown):
    assert faults(answer_map_payload(shown), SCHEMA["$defs"]["AnswerMapPayload"]) == []
    text = answer_map_json(shown)
    assert json.loads(text)["title"] == headline(shown)
    assert "<" not in text


def test_the_answer_is_whole_and_every_word_has_the_sum_of_its_tokens(shown):
    payload = answer_map_payload(shown)
    text = "".join(run["text"] for run in payload["runs"])
    if not any(each in shown.answer for each in HOSTILE):
        assert text == shown.answer
    words = [run["word"] for run in payload["runs"] if run["word"] >= 0]
    assert sorted(set(words)) == list(range(len(payload["words"]["all"])))
    assert sum(payload["words"]["all"]) == pytest.approx(
        float(shown.without_sources.sum()), rel=0.01, abs=0.3
    )
    for row, effects in zip(payload["words"]["sources"], shown.effects, strict=True):
        assert sum(row) == pytest.approx(float(effects.sum()), rel=0.01, abs=0.3)


def test_numbers_of_statements_are_those_of_the_arrays(shown):
    payload = answer_map_payload(shown)
    removed = np.flatnonzero(shown.is_sentence_removed)
    for statement, each in zip(shown.statements, payload["statements"], strict=True):
        tokens = slice(statement.first, statement.last)
        own = shown.effects[:, tokens].sum(1)
        if shown.is_source_screened.any():
            estimates = shown.screened_source_effects[shown.statements.index(statement)]
            own = np.where(shown.is_source_screened, estimates, own)
        np.testing.assert_allclose(each["effects"], own, atol=0.006)
        sentences = shown.sentence_effects[removed][:, tokens].sum(1)
        np.testing.assert_allclose(each["sentences"][: len(removed)], sentences, atol=0.006)
    sentences = [sentence for source in payload["sources"] for sentence in source["sentences"]]
    measured = [each["row"] for each in sentences if 0 <= each["row"] < len(removed)]
    assert measured == list(range(len(removed))) == list(range(len(payload["words"]["sentences"])))


def test_estimates_are_of_their_sentences_and_named_so():
    shown = ANSWER_MAPS["screened"]()
    payload = answer_map_payload(shown)
    lines = [
        (index, place) for index, source in enumerate(shown.sources) for place in range(len(source.sentences))
    ]
    for line, (index, place) in enumerate(lines):
        sentence = payload["sources"][index]["sentences"][place]
        assert (sentence["row"] >= 3) == bool(shown.is_sentence_screened[line])
        assert (sentence["row"] < 0) == (line == 5)
        for number, each in enumerate(payload["statements"] if sentence["row"] >= 3 else ()):
            own = float(shown.screened_effects[number, line])
            assert each["sentences"][sentence["row"]] == pytest.approx(own, abs=0.006)
    hints = [source.hint for source in SourcedAnswer(shown).sources]
    assert [bool(hint) for hint in hints] == [False, False, True]
    said = (
        "3 of 6 sentences were removed one by one: those with the largest estimates, and those of groups "
        "that have an effect. The effects of 2 others"
    )
    assert any(each.startswith(said) for each in payload["howToRead"])
    assert "largest estimated effect" in html_page(shown)


def test_words_of_a_statement_are_its_words():
    shown = answer_map()
    for index, statement in enumerate(shown.statements):
        runs = [run for run in SourcedAnswer(shown).runs if run.statement == index]
        assert "".join(run.text for run in runs).strip() == statement.text
        assert runs[-1].origin == statement.origin
        assert not any(run.origin for run in runs[:-1])


def test_a_blank_of_its_own_before_a_span_does_not_take_its_word_from_it():
    pieces = ["The", " year", " ", "1", "9", "."]
    shown = replace(
        answer_map(),
        tokens=Tokens.from_spans(
            texts=["x", "".join(pieces)],
            pieces=["x", *pieces],
            ids=range(7),
            segments=[0, *[1] * 6],
            offsets=[(0, 1), (0, 3), (3, 8), (8, 9), (9, 10), (10, 11), (11, 12)],
            special=[False] * 7,
        ),
        prompt_length=1,
        sources=(AnswerSource(name="a", sentences=(SourceSentence(text="x", positions=np.array([0])),)),),
        statements=(Statement(text="19", first=3, last=5, log_prob=-1.0, origin="sources"),),
        log_probs=-np.ones(6),
        effects=np.ones((1, 6)),
        without_sources=np.ones(6),
        sentence_effects=np.ones((1, 6)),
        is_sentence_removed=np.array([True]),
        is_sentence_screened=np.array([False]),
        screened_effects=np.zeros((0, 1)),
        is_source_screened=np.array([False]),
        screened_source_effects=np.zeros((0, 1)),
    )
    runs = SourcedAnswer(shown).runs
    assert "".join(run.text for run in runs if run.statement == 0).startswith(("19", " 19"))


def test_a_source_that_changes_a_statement_of_nothing_is_not_where_it_comes_from():
    shown = answer_map()
    last = replace(shown.statements[2], sources=(SourceEffect(source=0, effect=1.5),))
    sources = SourcedAnswer(replace(shown, statements=(*shown.statements[:2], last))).sources
    assert [(each.statements, each.others) for each in sources] == [((0,), (2,)), ((1,), ()), ((), ())]


def test_a_source_is_whole_line_breaks_included():
    shown = ANSWER_MAPS["code"]()
    (source,) = SourcedAnswer(shown).sources
    text = "".join(sentence.text for sentence in source.sentences)
    assert text == "def area(width, height):\nreturn width * height\nprint(area(3, 4))"


def test_a_long_source_is_folded_to_the_sentences_that_matter_and_their_neighbors():
    shown = large()
    for index, source in enumerate(SourcedAnswer(shown).sources):
        own = {part.sentence for each in shown.statements for part in each.sources if part.source == index}
        kept = {place for place, sentence in enumerate(source.sentences) if sentence.is_kept}
        if len(source.sentences) <= 6:
            assert len(kept) == len(source.sentences)
        else:
            assert {place + by for place in own for by in (-1, 0, 1)} <= kept
            assert len(kept) < len(source.sentences)


def test_a_page_of_a_hundred_sources_stays_small():
    assert len(html_page(large())) < 400_000


@pytest.mark.parametrize("effect", [0.0, 0.01, 0.06, 0.5, 2.5, -1.0, 6.0, 8.2, 13.0, 13.9, 40.0, -30.0])
def test_what_an_effect_means_is_the_ratio_of_likelihoods(effect):
    words, ratio = likelihood_words(effect), math.exp(abs(effect))
    if ratio < 1.05:
        assert words == "as likely without it"
        return
    number = words.split()[0]
    if ratio >= 1e6:
        assert words.startswith("more than a million times ")
    else:
        assert float(number.replace(",", "")) == pytest.approx(ratio, rel=0.05)
    assert words.endswith("less likely without it" if effect > 0 else "likelier without it")
    assert 0 < abs(strength_of(effect)) < 1
    assert math.copysign(1, strength_of(effect)) == math.copysign(1, effect)


@pytest.mark.parametrize("render", [html_page, html_fragment])
def test_hostile_strings_are_text(render):
    page = render(ANSWER_MAPS["hostile"]())
    elements = Elements(page)
    assert "img" not in elements.tags
    assert not [name for name, _ in elements.attributes if name.startswith("on") or name == "src"]
    assert page.count("</script") == 2
    assert not hidden(page)
    words = "".join(elements.words)
    assert all(visible_text(text) in words for text in HOSTILE)


def test_without_scripts_the_page_says_the_same():
    shown = answer_map()
    view = SourcedAnswer(shown)
    words = words_of(html_page(shown))
    assert headline(shown) in words
    for place, statement in enumerate(view.statements, start=1):
        assert f"{place}. {statement.text}" in words
        assert "".join(text for text, _ in statement.verdict) in words
    for row in view.statement_effects:
        assert " ".join(nats(float(value)) for value in row) in words
    assert "Both are in Germany. [no source]" in words
    assert "not “is supported by”" in words


def test_what_is_compared_is_said_first_and_with_each_effect():
    shown = replace(answer_map(), against=(" 1949",))
    payload = answer_map_payload(shown)
    assert payload["note"].startswith("Compared with “1949”: effects are on how much likelier")
    assert payload["isCompared"]
    words = payload["statements"][0]["attributed"][0]["words"]
    assert words.endswith("less likely than the other text without it")
    assert words in words_of(html_page(shown))
    assert not answer_map_payload(answer_map())["isCompared"]


def test_verdicts_of_each_origin():
    statements = SourcedAnswer(ANSWER_MAPS["all origins"]()).statements
    verdicts = ["".join(text for text, _ in each.verdict) for each in statements]
    assert verdicts[0] == "Comes from [1] museum.txt."
    assert verdicts[2] == "Rests on nothing in the sources: none has a clear effect on “Germany”."
    assert verdicts[3].startswith("Repeats an earlier statement, statement 3")
    assert verdicts[4].startswith("Only has words of the question")
    assert verdicts[5].startswith("Unclear")


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.full)])
@pytest.mark.parametrize("name", DRAWN)
def test_the_figure_is_clean(name, theme):
    drawing = drawing_of(answer_map_figure(ANSWER_MAPS[name](), theme=theme))
    assert drawing.overlaps() == []
    assert drawing.outside() == []
    assert drawing.faint() == []


def test_a_plot_has_the_numbers_of_the_array():
    shown = answer_map()
    axes = shown.plot(title="mine")
    drawn = np.asarray(axes.collections[0].get_array()).reshape(3, 3)
    np.testing.assert_allclose(drawn, shown.statement_effects(), rtol=1e-6)
    assert axes.get_title() == "mine"
    assert next(label.get_text() for label in axes.get_xticklabels()) == "[1] museum.txt"


def test_a_span_is_named_where_it_is_the_only_statement():
    shown = answer_map()
    first = shown.statements[0]
    (value,) = first.values
    span = replace(first, text="1931", first=value.first, last=value.last)
    assert headline(replace(shown, statements=(span,))) == "“1931” comes from museum.txt."
    assert headline(replace(shown, statements=(first,))) == "The statement comes from museum.txt."


def test_without_a_statement_there_is_nothing_to_plot():
    shown = ANSWER_MAPS["no statement"]()
    with pytest.raises(InputError, match="no statement"):
        shown.plot()
    assert set(shown._repr_mimebundle_()) == {"text/plain", "text/html"}


@pytest.mark.parametrize("suffix", [".html", ".png", ".svg", ".pdf", ".json", ".csv"])
def test_an_answer_map_is_saved_in_every_format(tmp_path: Path, suffix):
    shown = answer_map()
    content = shown.save(tmp_path / f"answer{suffix}").read_bytes()
    assert content == shown.save(tmp_path / f"again{suffix}").read_bytes()
    if suffix == ".svg":
        assert ElementTree.fromstring(content).tag.endswith("svg")
    if suffix == ".json":
        assert html_page(AnswerMap.load(tmp_path / "answer.json")) == html_page(shown)
    if suffix == ".html":
        assert content.decode("utf-8") == shown.to_html()


def test_a_notebook_shows_the_page_and_has_a_figure_of_short_answers():
    bundle = answer_map()._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "image/png"}
    assert 'data-model-understanding="fragment"' in bundle["text/html"]
    assert set(large()._repr_mimebundle_()) == {"text/plain", "text/html"}
