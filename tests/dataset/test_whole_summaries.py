"""Summaries of other models and texts than one classifier's English: each number is computed by hand."""

import numpy as np
import pytest
import tiny_models

from model_understanding import explain_dataset, summarize_dataset
from model_understanding.dataset.summary.effects import FirstLook, SecondLook
from model_understanding.dataset.summary.reading import StoredRow

WORDS = ["good", "bad", "film", "plot", "the", "a", "was", "fine", "story", "long", "not"]


def texts(count, seed=0, words=WORDS, joint=" "):
    numbers = np.random.default_rng(seed)
    return [joint.join(numbers.choice(words, size=numbers.integers(4, 9))) for _ in range(count)]


def means_by_hand(run):
    """Return the mean score of each word of the input, and how often it occurs."""
    scores = {}
    for line in run.to_pandas().itertuples():
        given = zip(line.words, line.word_segments, line.word_scores, strict=True)
        for word, segment, score in given:
            if segment == 0 and word.strip():
                scores.setdefault(word.strip().lower(), []).append(score)
    return {word: (np.mean(values), len(values)) for word, values in scores.items()}


@pytest.mark.parametrize(
    ("model", "options"),
    [("gpt2", {}), ("bert", {"num_labels": 1})],
    ids=["language model", "regression"],
)
def test_a_model_without_classes_has_one_list_of_words(tmp_path, model, options):
    explainer = tiny_models.visualizer_of(model, model=tiny_models.fresh(model, **options))
    data = [{"text": text, "label": "3"} for text in texts(40)] if options else texts(40)
    run = explain_dataset(
        explainer, data, tmp_path, form="jsonl", method="input_x_gradient", max_new_tokens=3
    )
    summary = run.summary(sample=0)
    (answer,) = summary.answers
    assert (answer.label, answer.rows, answer.labeled) == (None, 40, None)
    expected = means_by_hand(run)
    counted = {one.name: sum(one.counts) for one in summary.distributions}
    assert counted["words per row"] == 40
    for word in answer.words:
        mean, count = expected[word.word.lower()]
        assert word.effect == pytest.approx(mean, rel=1e-5)
        assert (word.count, word.answer_share, word.label_precision) == (count, None, None)
    found = (summary.confusion, summary.overused, summary.slices, summary.shortcuts, summary.wrong)
    assert found == (None, None, None, None, ())
    assert summary.methods == {"input_x_gradient": 40}


def test_chinese_words_and_phrases_have_no_spaces(tmp_path):
    characters = "电影很好看不差情节精彩演员"
    explainer = tiny_models.visualizer_of("gpt2")
    data = texts(60, words=list(characters), joint="")
    run = explain_dataset(
        explainer, data, tmp_path, form="jsonl", method="input_x_gradient", max_new_tokens=2
    )
    (answer,) = summarize_dataset(run.folder).answers
    assert answer.words
    assert all(set(word.word) <= set(characters) for word in (*answer.words, *answer.phrases))
    for phrase in answer.phrases:
        assert phrase.rows == sum(phrase.word in text for text in data)


def test_two_shards_are_one_run(tmp_path):
    explainer, data = tiny_models.visualizer_of("bert"), texts(60)
    options = {"form": "jsonl", "method": "input_x_gradient", "rows_per_part": 20}
    whole = explain_dataset(explainer, data, tmp_path / "whole", **options)
    explain_dataset(explainer, data, tmp_path / "parts", shard=(1, 2), **options)
    half = summarize_dataset(tmp_path / "parts")
    assert (half.rows, half.missing_parts > 0) == (20, True)
    explain_dataset(explainer, data, tmp_path / "parts", shard=(0, 2), **options)
    both = summarize_dataset(tmp_path / "parts")
    assert both.missing_parts == 0
    assert both.answers == summarize_dataset(whole.folder).answers


def listed(rows):
    """Return the words and the phrases that are listed of rows with one answer."""
    first = FirstLook(signed=True)
    for each in rows:
        first.add(each)
    second = SecondLook(first)
    for each in rows:
        second.add(each)
    return second.listed("good")


def scored(texts_, score_of):
    """Return rows whose words have scores that depend on the word before."""
    rows = []
    for number, text in enumerate(texts_):
        words = text.split()
        ends = np.cumsum([len(word) + 1 for word in words]) - 1
        pairs = zip(["", *words], words, strict=False)
        rows.append(
            StoredRow(
                row=number,
                id=str(number),
                text=text,
                answer="good",
                explained="good",
                words=words,
                word_offsets=np.stack([ends - [len(word) for word in words], ends], axis=1),
                word_segments=np.zeros(len(words), np.int8),
                word_scores=np.array([score_of(before, word) for before, word in pairs], np.float32),
            )
        )
    return rows


def test_the_phrases_are_those_whose_effect_their_words_do_not_show():
    """``not good`` turns the effect of its words; ``very fine`` is their sum; ``new york`` is never apart."""
    generator, chosen = np.random.default_rng(0), []
    for _ in range(300):
        parts = ["not good", "good", "very fine", "fine", "very", "new york", "plot", "story", "a", "not"]
        chosen.append(" , ".join(generator.choice(parts, 6)))
    alone = {"good": 1.0, "not": -0.2, "very": 0.1, "fine": 0.8, "new": 0.5, "york": 0.5}

    def score_of(before, word):
        noise = 0.01 * generator.standard_normal()
        return noise + (-1.5 if (before, word) == ("not", "good") else alone.get(word, 0.0))

    rows = scored(chosen, score_of)
    words, phrases = listed(rows)
    found = {phrase.word: phrase for phrase in phrases}
    assert {*found} == {"not good", "new york"}
    assert found["not good"].effect == pytest.approx(-1.7, abs=0.01)
    assert found["new york"].effect == pytest.approx(1.0, abs=0.01)
    assert found["not good"].count == sum(text.split(" , ").count("not good") for text in chosen)
    assert "fine" in {word.word for word in words}
