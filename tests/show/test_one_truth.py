"""The same listed words, order, shares, signs and rounding in terminal, page, figure and table of numbers."""

import io
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from drawn_pictures import drawn_texts
from page_elements import plain, words_of
from rich.console import Console
from sample_answers import ANSWERS, verdict
from sample_results import attention, attribution, classification, generation, provenance, text_of, tokens_of

from model_understanding.results import (
    Choices,
    MaskFilling,
    Prediction,
    Report,
    SpanAnswer,
    Tagging,
    Target,
)
from model_understanding.show.figures.report import report_figure
from model_understanding.show.page.document import html_page
from model_understanding.show.payload.report import report_payload
from model_understanding.show.shared.tasks import sides_of
from model_understanding.show.terminal.report import print_report
from model_understanding.show.views.answers import answer_view
from model_understanding.show.views.links import links_view
from model_understanding.show.views.reading import readings
from model_understanding.show.views.report import map_views
from model_understanding.show.views.saliency import SaliencyView
from model_understanding.tokens import Tokens


def pair() -> Report:
    tokens = Tokens.from_spans(
        texts=("A dull film", "It is not good"),
        pieces=["[CLS]", "A", "dull", "film", "[SEP]", "It", "is", "not", "good", "[SEP]"],
        ids=range(10),
        segments=[-1, 0, 0, 0, -1, 1, 1, 1, 1, -1],
        offsets=[(0, 0), (0, 1), (2, 6), (7, 11), (0, 0), (0, 2), (3, 5), (6, 9), (10, 14), (0, 0)],
        special=[True, False, False, False, True, False, False, False, False, True],
    )
    return classification(tokens)


def dominated() -> Report:
    tokens = tokens_of("good bad so")
    found = attribution(tokens, signed=False, scores=[90, 3, 2, 1, 4])
    return Report(prediction=classification(tokens).prediction, attributions=(found,))


def regression() -> Report:
    tokens = tokens_of("The movie was absolutely fantastic!")
    target = Target(task="sequence-classification", indices=(0,), labels=("score",))
    prediction = Prediction(
        tokens=tokens, labels=("score",), logits=[3.5], probabilities=None, problem="regression"
    )
    return Report(prediction=prediction, attributions=(attribution(tokens, targets=[target]),))


def six_labels() -> Report:
    tokens = tokens_of("What a stupid and worthless thing to say!")
    labels = ("toxic", "severe", "obscene", "threat", "insult", "hate")
    targets = [
        Target(task="sequence-classification", indices=(index,), labels=(label,))
        for index, label in enumerate(labels)
    ]
    prediction = Prediction(
        tokens=tokens,
        labels=labels,
        logits=[1, -3, 0, -4, 2, -2],
        probabilities=[0.73, 0.05, 0.5, 0.02, 0.88, 0.12],
        problem="multi_label",
    )
    return Report(
        prediction=prediction,
        attributions=(attribution(tokens, targets=targets),),
        attention=(attention(tokens),),
        provenance=provenance(),
    )


REPORTS: dict[str, Callable[[], Report]] = {
    "signed": classification,
    "unsigned": lambda: classification(signed=False),
    "pair": pair,
    "language model": generation,
    "six labels": six_labels,
    "special tokens dominate": dominated,
    "regression": regression,
    "long text": lambda: classification(tokens_of(f"{text_of(12)}. " * 20)),
    "emoji": lambda: classification(tokens_of("a 😀 b", splits_emoji=True)),
    **ANSWERS,
}


@pytest.fixture(params=REPORTS)
def report(request: pytest.FixtureRequest) -> Report:
    return REPORTS[request.param]()


def listed(view: SaliencyView) -> list[tuple[str, str, str]]:
    return [
        (f"{unit.label} ({unit.side})" if unit.side else unit.label, unit.share_text, unit.score_text)
        for unit in view.top()
    ]


def test_terminal_and_page_list_the_same_words_with_the_same_numbers(report):
    file = io.StringIO()
    print_report(report, Console(file=file, width=250, color_system=None))
    terminal = re.sub(r"[\s█]+", " ", file.getvalue())
    page = words_of(html_page(report))
    for shown in map_views(report):
        rows = [" ".join(row) for row in listed(shown.saliency)]
        assert shown.is_brief or " ".join(rows) in terminal
        assert " ".join(rows) in page
        assert shown.reading.sentence in terminal
        assert "".join(shown.reading.why) in page, "bold there, not in quotes"
        for sources in () if shown.sources is None or shown.is_brief else shown.sources.tops:
            for source in sources:
                assert f"{source.label} {source.share_text}" in terminal
                assert f"{source.label} {source.share_text}" in page


def strongest(values: "dict[int, float]") -> list[float]:
    return sorted((value for value in values.values() if value), key=abs, reverse=True)[:5]


def joined(parts: list[float], signed: bool) -> float:
    return float(np.sum(parts)) if signed else float(np.sqrt(np.sum(np.square(parts))))


def test_the_strongest_words_have_the_scores_of_the_table_of_numbers(report):
    table = report.to_dataframe()
    for shown, found in zip(map_views(report), report.attributions, strict=True):
        reading = shown.reading
        if reading.level != "word":
            continue
        names = [target.description() for target in found.targets]
        rows = table[(table.method == found.method) & table.valid & ~table.special]
        rows = rows[rows.target.isin(names[reading.first : reading.last + 1])]
        if reading.of_prompt:
            rows = rows[rows.segment == 0]
        tokens = rows.groupby(["word", "position"]).score.sum().reset_index()
        words = {
            int(word): joined(part.score.to_list(), found.signed) for word, part in tokens.groupby("word")
        }
        assert [unit.score for unit in shown.saliency.top()] == pytest.approx(strongest(words), rel=1e-5)


def test_the_interactive_page_has_the_scores_of_the_strongest_words(report):
    payload = report_payload(report)
    for shown in map_views(report):
        reading, found = shown.reading, payload["attributions"][shown.reading.attribution]
        table = payload["tables"][found["table"]]
        tokens: dict[int, float] = {}
        for row in found["scores"][reading.first : reading.last + 1]:
            for position, score in zip(found["positions"], row, strict=True):
                is_of_prompt = table["segments"][position] == 0 or not reading.of_prompt
                if score is not None and is_of_prompt and not table["special"][position]:
                    tokens[position] = tokens.get(position, 0) + score
        units: dict[int, list[float]] = {}
        for position, score in tokens.items():
            units.setdefault(table["groups"][reading.level][position], []).append(score)
        values = {unit: joined(parts, found["signed"]) for unit, parts in units.items()}
        assert [unit.score for unit in shown.saliency.top()] == pytest.approx(strongest(values), rel=1e-5)
        (encoded,) = [
            entry
            for entry in payload["readings"]
            if (entry["attribution"], entry["first"], entry["last"])
            == (reading.attribution, reading.first, reading.last)
        ]
        assert encoded["why"] == list(reading.why)
        assert encoded["verdict"] == reading.trust.verdict


def test_no_output_shows_a_row_without_a_score(report):
    page = plain(html_page(report))
    assert "no score" not in page
    for shown in map_views(report):
        assert all(unit.scored and unit.score for unit in shown.saliency.top())
        assert all(unit.share_text == "–" for unit in shown.saliency.units if not unit.scored)


def test_special_tokens_that_dominate_leave_color_to_the_words():
    (shown,) = map_views(dominated())
    assert [unit.strength for unit in shown.saliency.units if unit.colored] == pytest.approx(
        [1, 2 / 3, 1 / 3]
    )
    assert [unit.label for unit in shown.saliency.top()] == ["good", "bad", "so"]
    assert "[CLS]: 90.0 %" in shown.saliency.notes[0]


def test_the_figure_names_the_same_words_with_the_same_shares(report):
    words = [text.get_text() for text in drawn_texts(report_figure(report))]
    for shown in map_views(report)[:1]:
        for unit in shown.saliency.top():
            assert any(unit.share_text in drawn for drawn in words), unit
        verdict = shown.reading.trust.verdict
        assert any(verdict in drawn for drawn in words)
        written = re.sub(r"\s+", "", "".join(words))
        assert re.sub(r"\s+", "", shown.reading.title) in written


def test_every_output_shows_the_same_answers(report):
    answer = answer_view(report)
    file = io.StringIO()
    print_report(report, Console(file=file, width=250, color_system=None))
    terminal = re.sub(r"[\s█]+", " ", file.getvalue())
    page = words_of(html_page(report))
    drawn = [text.get_text() for text in drawn_texts(report_figure(report))]
    encoded = report_payload(report)["answer"]
    for row in answer.rows if answer.has_table else ():
        assert row.words in terminal
        assert row.words in page
        assert row.value in drawn
        assert any(row.label in text for text in drawn)
    for mark, found in zip(answer.marks, encoded["marks"] if encoded else (), strict=True):
        assert f"[{mark.label}]" in terminal
        assert f" {mark.label} " in page
        assert any(mark.label in text for text in drawn)
        assert (found["first"], found["last"], found["label"]) == (mark.first, mark.last, mark.label)
    if encoded:
        assert [row["opens"] for row in encoded["rows"]] == [row.reading for row in answer.rows]
    assert answer.headline == str(report).split("\n")[0].split(" · ")[0]


def test_the_texts_of_two_are_named_in_every_output(report):
    sides = sides_of(report, report.attributions[0])
    file = io.StringIO()
    print_report(report, Console(file=file, width=250, color_system=None))
    drawn = [text.get_text() for text in drawn_texts(report_figure(report))]
    payload = report_payload(report)
    assert payload["attributions"][0]["sides"] == list(sides)
    for name in sides:
        assert f"{name}: " in file.getvalue()
        assert f">{name}</p>" in plain(html_page(report))
        assert any(f"{name}:" in text for text in drawn)


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_opens_the_map_that_explains_it(kind):
    report = ANSWERS[kind]()
    answer, found = answer_view(report), readings(report)
    explained = [row for row in answer.rows if row.reading >= 0]
    if isinstance(report.answer, Tagging):
        assert [found[row.reading].title for row in explained] == [
            f"Why {entity.label} for “{entity.text}”?" for entity in report.answer.entities
        ]
    elif isinstance(report.answer, SpanAnswer):
        assert [found[row.reading].title for row in explained] == [
            f"Why this answer: “{span.text}”?" for span in report.answer.spans
        ]
    elif isinstance(report.answer, MaskFilling):
        labels = [labels[0] for labels in report.answer.top_labels]
        assert [row.label for row in explained] == labels
        assert all(f"“{row.label}”" in found[row.reading].title for row in explained)
    elif isinstance(report.answer, Choices):
        assert [found[row.reading].attribution for row in answer.rows] == list(range(len(answer.rows)))
        assert map_views(report)[0].reading == found[answer.opens]


def test_the_links_of_two_texts_are_the_same_in_every_output():
    report = ANSWERS["similarity"]()
    view = links_view(report.links)
    file = io.StringIO()
    print_report(report, Console(file=file, width=250, color_system=None))
    terminal = re.sub(r"[\s█]+", " ", file.getvalue())
    page = words_of(html_page(report))
    drawn = [text.get_text() for text in drawn_texts(report_figure(report))]
    assert (view.links[0].first, view.links[0].second, view.links[0].score_text) == (
        "guitar",
        "guitar",
        "+0.31",
    )
    for link in view.links:
        assert f"{link.first} {link.second} {link.score_text}" in terminal
        assert f"{link.first} {link.second} {link.score_text}" in page
    for text in (terminal, page, " ".join(drawn), str(report)):
        assert view.sum_text in text
    assert view.scores.sum() + report.links.rest == pytest.approx(report.links.similarity, abs=1e-6)
    assert report_payload(report)["links"]["sum"] == view.sum_text


def test_each_verdict_of_a_tagger_says_which_entity_it_is_about():
    report = ANSWERS["tagger"]()
    (scores,) = report.attributions
    metric = replace(verdict(scores), metric="comprehensiveness", verdict=None)
    report = replace(report, evaluations=(verdict(scores), metric, verdict(scores, 2, "weak")))
    titles = [f"Why {entity.label} for “{entity.text}”?" for entity in report.answer.entities]
    assert [found["about"] for found in report_payload(report)["evaluations"]] == [
        titles[0],
        titles[0],
        titles[2],
    ]
    file = io.StringIO()
    print_report(report, Console(file=file, width=250, color_system=None))
    tests = file.getvalue().split("How was this tested?")[1]
    assert f"{scores.targets[2].description()}: ◐ weak" in tests
    assert "1 more map was not tested." in tests
