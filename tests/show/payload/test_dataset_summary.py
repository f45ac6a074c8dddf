"""What the page of a data set draws: by its schema, only what is referred to, and safe to be passed on."""

import json
from dataclasses import replace

import pytest
from payload_schema import SCHEMA, faults
from sample_summaries import HOSTILE, SUMMARIES, classified, compared_runs, effect, example

from model_understanding.results.dataset_summary import AnswerSummary, ChangedRow, DatasetSummary
from model_understanding.show.payload.dataset_rows import CUT
from model_understanding.show.payload.dataset_summary import (
    compared_datasets_json,
    compared_datasets_payload,
    dataset_json,
    dataset_payload,
)
from model_understanding.show.shared.changed_text import changed_pieces
from model_understanding.show.views.dataset_findings import findings, topics

ROOT = SCHEMA["$defs"]["DatasetPayload"]


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_payload_is_by_its_schema_and_may_stand_in_a_script(name):
    summary = SUMMARIES[name]()
    assert faults(dataset_payload(summary), ROOT) == []
    text = dataset_json(summary)
    assert json.loads(text)["kind"] == "dataset"
    assert "<" not in text


def test_two_runs_are_by_their_schema():
    payload = compared_datasets_payload(compared_runs())
    assert faults(payload, SCHEMA["$defs"]["DatasetComparisonPayload"]) == []
    assert "<" not in compared_datasets_json(compared_runs())
    for change in payload["changes"]:
        for side, run in zip((change["before"], change["after"]), payload["runs"], strict=True):
            assert side is None or all(row < len(run["rows"]) for row in side["rows"])
    changed = [(payload["runs"][1]["rows"][one["row"]]["row"], one["previous"]) for one in payload["changed"]]
    assert changed == [(21, "negative"), (7, "negative"), (14, "negative")]


def test_a_row_is_its_text_with_the_score_of_each_word():
    summary = classified()
    payload = dataset_payload(summary)
    rows = {row["row"]: row for row in payload["rows"]}
    for place, of in summary.examples.items():
        (text,) = rows[place]["texts"]
        assert "".join(text["parts"]) == of.text
        assert tuple(text["parts"][1::2]) == of.words
        assert text["scores"] == pytest.approx(of.word_scores, rel=5e-3)
    words = payload["answers"][0]["words"]
    named = [payload["rows"][index]["row"] for index in words["examples"][0]]
    assert named == list(summary.answers[0].words[0].examples)


def test_a_pair_is_two_texts_with_their_own_words():
    row = next(row for row in dataset_payload(SUMMARIES["hard words"]())["rows"] if row["row"] == 7)
    assert ["".join(text["parts"]) for text in row["texts"]] == ["Is it good?", "Yes, it is good."]
    assert [text["parts"][1] for text in row["texts"]] == ["Is", "Yes,"]


def test_of_a_long_text_there_are_the_parts_around_its_strongest_words():
    words = [f"w{place}" for place in range(30_000)]
    scores = [0.001] * 30_000
    scores[20_000], scores[25_000] = 0.9, -0.8
    rows = {0: example(0, " ".join(words), scores)}
    answer = AnswerSummary(label="positive", rows=1, words=(effect("w20000", "positive", 0.9, [0]),))
    summary = DatasetSummary(manifest={}, rows=1, failed=0, answers=(answer,), examples=rows)
    (text,) = dataset_payload(summary)["rows"][0]["texts"]
    whole = "".join(text["parts"])
    assert len(whole) < 6_000
    assert whole.startswith("w0 w1")
    assert whole.endswith(CUT)
    by_word = dict(zip(text["parts"][1::2], text["scores"], strict=True))
    assert (by_word["w20000"], by_word["w25000"]) == (0.9, -0.8)


def test_rows_have_a_budget_and_what_is_left_out_is_said():
    long = "word " * 300
    rows = {row: example(row, f"{long}{row}") for row in range(4_000)}
    words = tuple(
        effect(f"w{place}", "positive", 0.5, range(20 * place, 20 * place + 20)) for place in range(200)
    )
    answer = AnswerSummary(label="positive", rows=4_000, words=words)
    summary = DatasetSummary(manifest={}, rows=4_000, failed=0, answers=(answer,), examples=rows)
    payload = dataset_payload(summary)
    assert len(summary.to_html()) < 5e6
    assert 200 <= len(payload["rows"]) < 4_000
    assert all(payload["answers"][0]["words"]["examples"]), "every word has a row before any has two"
    more = 4_000 - len(payload["rows"])
    assert payload["omitted"] == [f"{more:,} more example rows are only in the .json file."]


def test_a_label_given_as_a_number_is_the_class_of_that_number():
    summary = classified()
    rows = {row: replace(of, label=str(int(of.label == "positive"))) for row, of in summary.examples.items()}
    numbered = dataset_payload(replace(summary, examples=rows))
    assert numbered["rows"] == dataset_payload(summary)["rows"]


@pytest.mark.parametrize(
    ("folder", "manifest", "expected"),
    [
        ("/home/me/secret/explained", {}, {"start": "model-understanding explain", "folder": "explained"}),
        (
            "runs/explained",
            {"is_local": True, "model": "my bert"},
            {"start": "model-understanding explain 'path/to/my bert'", "folder": "explained"},
        ),
        (None, {}, None),
        ("a\u202eb", {}, None),
    ],
)
def test_the_command_of_a_row_names_no_folder_of_the_author(folder, manifest, expected):
    summary = classified(folder=folder, manifest=manifest)
    assert dataset_payload(summary)["command"] == expected
    assert "secret" not in summary.to_html()


def test_the_page_of_100_000_rows_is_small():
    assert len(classified(rows=100_000).to_html()) < 200_000
    assert HOSTILE not in SUMMARIES["hard words"]().to_html()


def test_the_first_finding_names_the_strongest_tested_word_of_each_answer():
    great, other = classified().shortcuts
    other = replace(other, confirmed=True)
    summary = classified(shortcuts=(great, replace(great), other))
    finding = findings(summary)[0]
    assert "".join(finding) == (
        "Inserting “great” changes the answer of 124 of 200 other texts to positive "
        "(control words: 8 of 200); "
        "“dull” changes the answer of 12 of 200 other texts to negative (control words: 9 of 200). "
        "1 more word also changes answers by itself."
    )
    assert finding[1::2] == ("“great”", "positive", "“dull”", "negative")


def test_words_of_scores_that_are_not_supported_are_named_with_a_reservation():
    def words(supported: float, interval: tuple[float, float]) -> str:
        trust = replace(classified().trust, supported=supported, interval=interval)
        return " ".join("".join(finding) for finding in findings(classified(trust=trust)))

    assert "Do not rely on the words above." in words(0.1, (0.02, 0.4))
    assert "Do not rely" not in words(0.8, (0.7, 0.9))


def test_the_first_lines_say_what_decides_where_it_is_wrong_and_how_far_to_believe_it():
    first = {topic.name: ["".join(finding) for finding in topic.findings] for topic in topics(classified())}
    assert list(first) == ["Relies on", "Errors", "Faithfulness"]
    assert first["Errors"][0] == (
        "47 of 59 wrong answers are to texts labeled negative: the model answers positive."
    )
    assert first["Faithfulness"] == [
        "In 97 of 120 sampled rows (80.8 %; 95 % interval 72.9 % to 86.9 %), the scores predict what "
        "removing words does to the answer."
    ]
    unknown = classified(confusion=None, overused=None, slices=None, trust=None, error_notes=("Not known.",))
    assert [topic.findings for topic in topics(unknown)][1:] == [(("Not known.",),), (("Not evaluated.",),)]


def test_what_was_searched_for_in_vain_is_no_warning():
    note = "No common reason was found for the 42 confident errors."
    payload = dataset_payload(classified(slices=(), error_notes=(note,)))
    assert payload["notes"] == []
    assert [note] in next(topic for topic in payload["topics"] if topic["name"] == "Errors")["findings"]


def test_what_is_to_be_known_of_the_sample_stands_with_its_verdicts():
    trust = replace(classified().trust, cautions=("1 row could not be evaluated: too short.",))
    payload = dataset_payload(classified(trust=trust))
    assert payload["notes"] == []
    assert payload["trust"]["cautions"] == ["1 row could not be evaluated: too short."]


def test_a_tested_word_shows_where_it_was_put_and_the_new_answer():
    payload = dataset_payload(classified())
    great, _ = payload["shortcuts"]
    for change, index in zip(great["changes"], (1, 3, 5), strict=True):
        row = payload["rows"][change["row"]]
        old = "".join(row["texts"][0]["parts"])
        assert (row["row"], change["before"], change["word"], change["after"]) == (
            index,
            "",
            "great",
            f" {old}",
        )
        assert (change["answer"], change["probability"]) == ("positive", pytest.approx(0.8 - 0.05 * index))


@pytest.mark.parametrize("segment", [0, 1])
def test_an_inserted_word_is_shown_in_its_text_of_a_pair_and_long_texts_are_cut(segment):
    texts = ["a " * 300 + "great" + "\n" + "b " * 300, "other"]
    change = ChangedRow(
        row=0,
        text=texts[segment],
        pair=texts[1 - segment],
        segment=segment,
        start=600,
        end=605,
        answer="positive",
        probability=0.8,
    )
    assert changed_pieces(change, 4) == ("…a a ", "great", " b b…")
