"""Two runs beside each other: changes are differences of the runs' own means, and noise is no change."""

from dataclasses import replace

import numpy as np
import pytest
import tiny_models
import torch

from model_understanding import DatasetComparison, InputError, compare_datasets, explain_dataset
from model_understanding.show.views.dataset_comparison import run_names

WORDS = ["good", "bad", "film", "plot", "the", "a", "was", "fine", "story", "long", "not"]


def texts(count, seed):
    numbers = np.random.default_rng(seed)
    return [" ".join(numbers.choice(WORDS, size=numbers.integers(3, 9))) for _ in range(count)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two models on one data set, and the first of them on another."""
    other = tiny_models.fresh("bert")
    with torch.no_grad():
        word = tiny_models.tokenizer_of("bert").convert_tokens_to_ids("the")
        other.bert.embeddings.word_embeddings.weight[word] *= -8
    classifier, changed = tiny_models.visualizer_of("bert"), tiny_models.visualizer_of("bert", model=other)

    def run(name, model, data, method="input_x_gradient"):
        folder = tmp_path_factory.mktemp(name)
        return explain_dataset(model, data, folder, form="jsonl", method=method)

    return {
        "first": run("first", classifier, texts(200, 0)),
        "changed": run("changed", changed, texts(200, 0)),
        "elsewhere": run("elsewhere", classifier, texts(200, 1)),
        "unsigned": run("unsigned", classifier, texts(20, 1), "saliency"),
    }


def mean_of(run, label, word):
    """Return a word's mean score over the mean absolute score of all words, by hand."""
    table = run.to_pandas()
    every = [
        abs(score) for line in table.itertuples() for score in inner(line.word_segments, line.word_scores)
    ]
    rows = table[table.prediction == label]
    own = [
        score
        for line in rows.itertuples()
        for name, score in zip(
            inner(line.word_segments, line.words), inner(line.word_segments, line.word_scores), strict=True
        )
        if name == word
    ]
    return np.mean(own) / np.mean(every)


def inner(segments, values):
    return [value for segment, value in zip(segments, values, strict=True) if segment == 0]


def test_differences_are_those_of_the_means_in_units_of_each_run(runs):
    comparison = compare_datasets(runs["first"].folder, runs["changed"].folder)
    assert comparison.same_rows == 200
    answers = [run.to_pandas().prediction for run in (runs["first"], runs["changed"])]
    assert comparison.changed_answers == (answers[0] != answers[1]).sum()
    assert len(comparison.words) > 3
    for change in comparison.words[:5]:
        word = change.before.word
        expected = mean_of(runs["changed"], change.label, word) - mean_of(runs["first"], change.label, word)
        assert change.difference == pytest.approx(expected, rel=1e-4, abs=1e-6)
        low, high = change.interval
        assert low <= change.difference <= high
    (the,) = [word for word in comparison.words if word.before.word == "the"]
    assert the.adjusted < 0.001


def test_two_samples_of_one_data_set_have_few_changes(runs):
    comparison = compare_datasets(runs["first"].folder, runs["elsewhere"].folder)
    assert comparison.same_rows == 0
    assert len(comparison.words) > 3
    assert sum(change.adjusted < 0.05 for change in comparison.words) <= 1
    same = compare_datasets(runs["first"].folder, runs["first"].folder)
    assert same.changed_answers == 0
    assert all(change.difference == 0 and change.adjusted == 1 for change in same.words)
    assert same.notes == ("Both runs are of the same model and the same rows.",)
    assert same.reading_notes == (
        "All rows are the same in both runs, so effects are compared row by row (paired bootstrap).",
    )
    assert DatasetComparison.from_json(same.to_json()) == same


def test_rows_that_are_the_same_are_compared_in_pairs(runs):
    """By hand: a bootstrap over rows of the difference of a word's means, with one draw of rows for both."""
    comparison = compare_datasets(runs["first"].folder, runs["changed"].folder)
    assert comparison.paired
    assert not compare_datasets(runs["first"].folder, runs["elsewhere"].folder).paired
    sums = [rows_of(runs[name]) for name in ("first", "changed")]
    units = [
        np.mean([abs(score) for row in of_run for scores in row[1].values() for score in scores])
        for of_run in sums
    ]
    generator = np.random.default_rng(5)
    draws = generator.multinomial(200, np.full(200, 1 / 200), 3000)
    for change in comparison.words[:4]:
        word, means = change.before.word, []
        for of_run, unit in zip(sums, units, strict=True):
            own = [row[1].get(word, []) if row[0] == change.label else [] for row in of_run]
            total, count = np.array([sum(each) for each in own]), np.array([len(each) for each in own])
            means.append(draws @ total / (draws @ count) / unit)
        low, high = np.nanquantile(means[1] - means[0], [0.025, 0.975])
        width = change.interval[1] - change.interval[0]
        assert width == pytest.approx(high - low, rel=0.2)


def test_pairs_are_compared_more_finely_than_independent_runs(runs, tmp_path):
    """A model whose classifier is a little stronger: its effects differ by as much in each row."""
    other = tiny_models.fresh("bert")
    with torch.no_grad():
        word = tiny_models.tokenizer_of("bert").convert_tokens_to_ids("film")
        other.bert.embeddings.word_embeddings.weight[word] *= 1.05
    model = tiny_models.visualizer_of("bert", model=other)
    second = explain_dataset(model, texts(200, 0), tmp_path, form="jsonl", method="input_x_gradient")
    comparison = compare_datasets(runs["first"].folder, second.folder)
    for change in comparison.words:
        independent = sum(
            (side.interval[1] - side.interval[0]) ** 2 for side in (change.before, change.after)
        )
        assert change.interval[1] - change.interval[0] < 0.5 * independent**0.5


def rows_of(run):
    """Return the answer of each row, and the scores of its words."""
    found = []
    for line in run.to_pandas().itertuples():
        scores = {}
        names, values = (inner(line.word_segments, each) for each in (line.words, line.word_scores))
        for name, score in zip(names, values, strict=True):
            scores.setdefault(name, []).append(score)
        found.append((line.prediction, scores))
    return found


def test_runs_whose_scores_mean_different_things_are_refused(runs, tmp_path):
    with pytest.raises(InputError, match="only one of them has a sign"):
        compare_datasets(runs["first"].folder, runs["unsigned"].folder)
    written = explain_dataset(tiny_models.visualizer_of("gpt2"), ["good film"], tmp_path, form="jsonl")
    with pytest.raises(InputError, match="different kinds of models"):
        compare_datasets(runs["first"].folder, written.folder)


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (("a/old", "b/new"), ("old", "new")),
        (("a/run", "b/run"), ("a/run", "b/run")),
        (("run", "run"), ("the first run", "the second run")),
        ((None, "run"), ("the first run", "the second run")),
    ],
)
def test_runs_are_called_by_their_folders(runs, folders, names):
    comparison = compare_datasets(runs["first"].folder, runs["changed"].folder)
    first, second = (
        replace(run, folder=folder)
        for run, folder in zip((comparison.first, comparison.second), folders, strict=True)
    )
    assert run_names(replace(comparison, first=first, second=second)) == names


def test_what_became_of_right_and_wrong_answers_is_counted(tmp_path):
    other = tiny_models.fresh("bert")
    with torch.no_grad():
        other.classifier.weight *= -1
    data = texts(40, 3)
    labels = list(tiny_models.fresh("bert").config.id2label.values())
    rows = [{"text": text, "label": labels[place % len(labels)]} for place, text in enumerate(data)]
    models = (tiny_models.visualizer_of("bert"), tiny_models.visualizer_of("bert", model=other))
    first, second = (
        explain_dataset(model, rows, tmp_path / str(place), form="jsonl", method="input_x_gradient")
        for place, model in enumerate(models)
    )
    comparison = compare_datasets(first.folder, second.folder)
    before, after = first.to_pandas(), second.to_pandas()
    is_new = before.prediction != after.prediction
    assert comparison.changed_answers == is_new.sum() > 0
    assert comparison.became_right == (is_new & (after.prediction == before.label)).sum()
    assert comparison.became_wrong == (is_new & (before.prediction == before.label)).sum()
    assert comparison.became_right + comparison.became_wrong > 0
    assert comparison.previous == {row: before.prediction[row] for row in comparison.examples}
    probabilities = [comparison.examples[row].probability for row in comparison.previous]
    assert probabilities == sorted(probabilities, reverse=True)
    unlabeled = explain_dataset(models[0], data, tmp_path / "none", form="jsonl", method="input_x_gradient")
    assert compare_datasets(unlabeled.folder, second.folder).became_right is None
