"""What a summary says of words is what the rows say, computed by hand; and its intervals hold their level."""

import json
from zlib import crc32

import numpy as np
import pandas
import pytest
import tiny_models
import torch
from rich.console import Console

from model_understanding import DatasetSummary, explain_dataset, summarize_dataset
from model_understanding.dataset.summary.bootstrap import intervals, resampled_means
from model_understanding.dataset.summary.candidates import Counts, Part, _controls
from model_understanding.dataset.summary.reading import StoredRows
from model_understanding.results.dataset_summary import WordEffect
from model_understanding.show.payload.dataset_rows import Rows
from model_understanding.show.terminal.dataset_summary import print_dataset_summary
from model_understanding.show.views.dataset_findings import findings, named
from model_understanding.show.views.dataset_summary import origin, trust_sentence, warnings

WORDS = ["good", "bad", "film", "plot", "the", "a", "was", "fine", "story", "long", "not", "Good!", "Bad,"]


def texts(count, seed=0):
    numbers = np.random.default_rng(seed)
    return [" ".join(numbers.choice(WORDS, size=numbers.integers(3, 9))) for _ in range(count)]


def undecided():
    """Return a classifier that gives each of its classes to some texts."""
    model = tiny_models.fresh("bert")
    classifier = tiny_models.visualizer_of("bert", model=model)
    logits = np.stack([classifier.predict(text).logits for text in texts(60)])
    with torch.no_grad():
        model.classifier.bias -= torch.from_numpy(np.median(logits, axis=0))
    return classifier


@pytest.fixture(scope="module", params=["input_x_gradient", "saliency"])
def run(request, tmp_path_factory):
    data = [{"text": text, "label": index % 3} for index, text in enumerate(texts(240))]
    data[7]["text"] = ""
    classifier = undecided()
    folder = tmp_path_factory.mktemp("run")
    return explain_dataset(classifier, data, folder, form="jsonl", rows_per_part=100, method=request.param)


@pytest.fixture(scope="module")
def summary(run):
    return summarize_dataset(run.folder)


def occurrences_by_hand(run):
    """Return a table of all words of a run with their scores, computed without the package."""
    table = run.to_pandas()
    found = []
    for line in table[table.error.isna()].itertuples():
        kept = [place for place, segment in enumerate(line.word_segments) if segment == 0]
        scores = np.array([line.word_scores[place] for place in kept], dtype=np.float64)
        if line.method == "saliency":
            scores = scores / scores.mean()
        for place, score in zip(kept, scores, strict=True):
            word = line.words[place].strip().lower()
            found.append({"row": line.row, "answer": line.prediction, "word": word, "score": score})
    return pandas.DataFrame(found)


def test_effects_are_the_means_of_the_rows_with_the_answer(run, summary):
    by_hand, table = occurrences_by_hand(run), run.to_pandas()
    labels = summary.manifest["labels"]
    assert summary.signed == (table.method[0] == "input_x_gradient")
    assert sum(answer.rows for answer in summary.answers) == 239
    checked = 0
    for answer in summary.answers:
        rows = by_hand[by_hand.answer == answer.label]
        assert answer.rows == (table.prediction == answer.label).sum()
        for word in answer.words:
            own = rows[rows.word == word.word.lower()]
            assert (word.count, word.rows) == (len(own), own.row.nunique())
            assert word.effect == pytest.approx(own.score.mean(), rel=1e-5)
            assert word.spread == pytest.approx(own.score.std(), rel=1e-4)
            assert word.share == pytest.approx(own.row.nunique() / answer.rows)
            everywhere = by_hand[by_hand.word == word.word.lower()].row.unique()
            assert word.answer_share == pytest.approx(own.row.nunique() / len(everywhere))
            right = [labels[row % 3] == answer.label for row in everywhere]
            assert word.label_precision == pytest.approx(np.mean(right))
            of_rows = own.groupby("row").score.sum() * (1 if word.effect > 0 else -1)
            best = of_rows.loc[list(word.examples)]
            assert best.tolist() == pytest.approx(sorted(of_rows, reverse=True)[: len(best)], rel=1e-4)
            checked += 1
    assert checked > 5


def test_intervals_are_those_of_a_bootstrap_over_rows(run, summary):
    by_hand = occurrences_by_hand(run)
    numbers, checked = np.random.default_rng(5), 0
    for answer in summary.answers:
        rows = by_hand[by_hand.answer == answer.label]
        for word in [word for word in answer.words if word.rows >= 20][:2]:
            own = rows[rows.word == word.word.lower()].groupby("row").score.agg(["sum", "count"])
            own = own.reindex(rows.row.unique(), fill_value=0).to_numpy()
            drawn = own[numbers.integers(0, len(own), (4000, len(own)))].sum(axis=1)
            low, high = np.nanquantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
            slack = 0.25 * (high - low)  # two bootstraps, and the expansion for few rows
            assert word.interval == pytest.approx((low, high), abs=slack)
            checked += 1
    assert checked


def test_words_are_ranked_by_the_end_of_the_interval_that_is_nearer_to_none(summary):
    assert any(answer.words for answer in summary.answers)
    for answer in summary.answers:
        ends = [
            max(low, -high) if summary.signed else low - 1 for low, high in (w.interval for w in answer.words)
        ]
        assert ends == sorted(ends, reverse=True)
        assert min(ends, default=1) > 0


def test_confusion_and_distributions(run, summary):
    table = run.to_pandas()
    table = table[table.error.isna()]
    labels = summary.manifest["labels"]
    right = table.label.astype(int).map(lambda index: labels[index])
    assert summary.confusion is not None
    assert summary.confusion.accuracy == pytest.approx((right == table.prediction).mean())
    for row, name in enumerate(labels):
        for column, other in enumerate(labels):
            cell = table[(right == name) & (table.prediction == other)]
            assert summary.confusion.counts[row][column] == len(cell)
            mean = summary.confusion.confidence[row][column]
            if len(cell):
                assert mean == pytest.approx(cell.probabilities.map(max).mean(), rel=1e-5)
            else:
                assert mean is None
    assert {answer.label: answer.labeled for answer in summary.answers} == right.value_counts().to_dict()
    for name, values in (
        ("tokens per row", table.tokens.map(len)),
        ("probability of the answer", table.probabilities.map(max)),
    ):
        (found,) = [each for each in summary.distributions if each.name == name]
        assert np.histogram(values, found.edges)[0].tolist() == list(found.counts)
    assert (summary.rows, summary.failed, summary.errors) == (240, 1, {"The text is empty.": 1})


def test_a_summary_comes_back_from_json(summary):
    again = DatasetSummary.from_json(summary.to_json())
    assert again == summary
    named = {row for answer in summary.answers for word in answer.words for row in word.examples}
    assert named <= set(again.examples)


def test_it_is_the_same_each_time(run, summary):
    assert summarize_dataset(run.folder) == summary


@pytest.mark.parametrize("rows", [3, 8, 60])
def test_intervals_hold_their_level(rows):
    """Rows of skewed scores, some words twice in a row: about 95 of 100 intervals hold the true mean."""
    numbers = np.random.default_rng(rows)
    words, groups = 400, 200
    counts = np.zeros((groups, words))
    for word in range(words):
        counts[numbers.choice(groups, rows, replace=False), word] = numbers.integers(1, 3, rows)
    own = numbers.normal(size=(groups, words)) + 0.5
    sums = counts * own + np.where(counts > 0, numbers.normal(size=(groups, words)), 0)
    draws = resampled_means(sums, counts, [0])
    low, high = intervals(draws, (counts > 0).sum(axis=0)).T
    coverage = ((low <= 0.5) & (high >= 0.5)).mean()
    assert (0.85 if rows == 3 else 0.92) <= coverage <= 0.99


def test_a_run_is_summarized_with_its_model(run, summary):
    of_run = run.summary(causal=False, sample=2)
    assert of_run.answers == summary.answers
    assert sum(of_run.trust.verdicts.values()) == 2
    for row, verdict in of_run.trust.verdict_of.items():
        assert of_run.examples[row].verdict == verdict


def test_errors_form_groups_only_where_there_is_one_right_class(tmp_path):
    model = tiny_models.fresh("bert", problem_type="multi_label_classification")
    classifier = tiny_models.visualizer_of("bert", model=model)
    rows = [{"text": text, "label": 0} for text in texts(20)]
    run = explain_dataset(classifier, rows, tmp_path, form="jsonl")
    assert run.manifest["problem"] == "multi_label"
    assert summarize_dataset(run.folder).slices is None


@pytest.mark.parametrize(
    ("signed", "effects", "expected"),
    [
        (False, [1.2, 3.0, 2.5, 1.9], [3.0, 2.5, 1.9]),
        (False, [1.2, 1.3, 1.1], [1.2, 1.3]),
        (True, [0.1, -3.0, 0.5], [0.5]),
        (True, [-0.5, -0.1], [-0.5]),
    ],
)
def test_words_hardly_above_the_average_are_not_named_first(signed, effects, expected):
    words = [
        WordEffect(word=str(e), label="a", effect=e, interval=(e, e), spread=0.0, count=9, rows=9, share=1.0)
        for e in effects
    ]
    assert [word.effect for word in named(words, signed)] == expected


def test_control_words_of_one_frequency_are_not_in_the_order_of_their_letters():
    words = Counts()
    names = [chr(97 + number) * 4 for number in range(20)]
    for row in range(8):
        for name in names:
            words.add([Part(name, 0, (0, 4), (0, 4), 1.0)], [row % 2], None, 1.0)
    chosen = _controls(names[0], 0, [0.5, 0.5], words, Counts(), {names[0]}, 10)
    assert chosen == tuple(sorted(names[1:], key=lambda name: crc32(name.encode()))[:10])


def test_rows_without_a_word_in_two_of_them_are_summarized(tmp_path):
    run = explain_dataset(undecided(), ["good film", "a long story"], tmp_path, form="jsonl")
    assert all(answer.words == () for answer in run.summary(causal=False, sample=0).answers)


def test_wrong_answers_are_the_most_confident_first(run, summary):
    table = run.to_pandas()
    table = table[table.error.isna() & table.label.notna()]
    names = summary.manifest["labels"]
    wrong = table[
        [names[int(label)] != answer for label, answer in zip(table.label, table.prediction, strict=True)]
    ]
    sizes = {row: max(values) for row, values in zip(wrong.row, wrong.probabilities, strict=True)}
    assert list(summary.wrong) == sorted(sizes, key=lambda row: (-sizes[row], row))[:20]
    assert set(summary.wrong) <= set(summary.examples)


def test_a_run_names_the_method_that_ran_and_counts_warnings_by_row(run, tmp_path, capsys):
    folder = tmp_path / "again"
    again = explain_dataset(undecided(), texts(12), folder, form="jsonl", method="fast")
    table = again.to_pandas()
    ran = table.method[0]
    assert ran != "fast"
    (part,) = folder.glob("part-*")
    lines = [json.loads(line) for line in part.read_text(encoding="utf-8").splitlines()]
    for line in lines[:3]:
        quoted = f"""Word {"d'or"!r} and “{line["text"]}”, {line["text"]!r} are the model's."""
        line["cautions"] = [f"Token {line['row']} is unknown.", "The text was cut.", quoted]
    lines[3]["cautions"] = ["The text was cut.", "The text was cut."]
    part.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    summary = summarize_dataset(folder)
    assert summary.methods == {ran: 12}
    quoted = lines[0]["cautions"][2]
    assert summary.cautions == {"The text was cut.": 4, "Token 0 is unknown.": 3, quoted: 3}
    assert f"fast ({ran})" in origin(summary)
    assert list(warnings(summary)) == [
        "warning of 4 rows (0, 1, 2, …): The text was cut.",
        "warning of 3 rows (0, 1, 2): Token 0 is unknown.",
        f"warning of 3 rows (0, 1, 2): {quoted}",
    ]
    print_dataset_summary(summary, Console(width=200))
    printed = capsys.readouterr().out
    assert f"fast ({ran})" in printed
    assert "warning of 4 rows (0, 1, 2, …): The text was cut." in printed
    assert origin(summarize_dataset(run.folder)).endswith(f"· {run.manifest['method']}")


def test_numbers_of_classes_are_said_to_be_compared_by_their_order(run, summary, tmp_path):
    names = summary.manifest["labels"]
    (note,) = [note for note in summary.notes if "stand for the model's classes" in note]
    assert f"0 is {names[0]!r}, 1 is {names[1]!r}, 2 is {names[2]!r}." in note
    data = [{"text": text, "label": names[index % 3]} for index, text in enumerate(texts(12))]
    named_ = explain_dataset(undecided(), data, tmp_path, form="jsonl")
    assert not [note for note in summarize_dataset(named_.folder).notes if "stand for" in note]


def test_over_used_words_are_those_of_the_rows(run, summary):
    """What is counted of a word is what the stored rows say; its rows are in the summary."""
    assert summary.overused is not None
    table = run.to_pandas()
    table = table[table.error.isna() & table.label.notna()]
    names = summary.manifest["labels"]
    for word in summary.overused:
        having = table[[word.word.lower() in text.lower().split() for text in table.text]]
        assert word.rows == len(having)
        assert word.answered == (having.prediction == word.label).sum()
        assert word.labeled == sum(names[int(label)] == word.label for label in having.label)
        assert set(word.examples) <= set(summary.examples)


def test_a_run_that_evaluated_all_rows_has_no_sample(tmp_path):
    data = [f"{text} and the film" for text in texts(6)]
    run = explain_dataset(undecided(), data, tmp_path, form="jsonl", evaluate=True, method="input_x_gradient")
    trust = summarize_dataset(run.folder).trust
    assert trust is not None
    assert trust.sampled == 6
    said = trust_sentence(trust, 6)
    assert said.startswith("Of 6 rows")
    assert trust_sentence(trust, 60).startswith("Of a random sample of 6 rows")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([{"text": text, "stars?": 1, "source": "x"} for text in texts(5)], ["'stars?', 'source'."] * 2),
        ([{"text": text} for text in texts(5)], ["no column of right classes, only 'text'."]),
        (texts(5), ["the data is texts without right classes."]),
    ],
)
def test_a_column_that_was_not_found_is_looked_for_among_those_that_are_there(data, expected, tmp_path):
    summary = summarize_dataset(explain_dataset(undecided(), data, tmp_path, form="jsonl").folder)
    of_ids = [note for note in summary.reading_notes if "place in the input" in note]
    assert len(of_ids) == isinstance(data[0], dict)
    said = [*summary.error_notes[:1], *of_ids][: len(expected)]
    for note, end in zip(said, expected, strict=True):
        assert note.endswith(end)
        assert ("-column NAME" in note) == ("source" in end)


def test_few_rows_say_that_no_word_is_in_enough_of_them(tmp_path):
    data = ["Wonderful acting.", "A dull mess.", "Great fun!"]
    summary = summarize_dataset(explain_dataset(undecided(), data, tmp_path, form="jsonl").folder)
    assert not any(answer.words for answer in summary.answers)
    assert ("No word is in enough rows to say.",) in findings(summary)


def test_rows_whose_id_repeats_are_named_by_their_place(tmp_path):
    data = [{"id": name, "text": text, "label": 0} for name, text in zip("abab", texts(4), strict=True)]
    data += [{"id": "c", "text": "good film", "label": 0}]
    rows = StoredRows(explain_dataset(undecided(), data, tmp_path, form="jsonl", rows_per_part=2).folder)
    examples = rows.examples([1, 2, 4])
    assert {row: each.has_repeated_id for row, each in examples.items()} == {1: True, 2: True, 4: False}
    page = Rows(examples, rows.manifest)
    page.keep(examples)
    assert [row["argument"] for row in page.encoded] == ["--row 1", "--row 2", "--id c"]
    (note,) = [note for note in summarize_dataset(tmp_path).reading_notes if "the same id" in note]
    assert "for example 'a'" in note
