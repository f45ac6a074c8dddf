"""What a run has written is read again as it was: rows, columns and examples, of both formats."""

import numpy as np
import pytest
import tiny_models

from model_understanding import InputError, explain_dataset
from model_understanding.dataset.summary.reading import StoredRows

DATA = [
    {"text": "a good film", "label": "1"},
    {"text": "", "label": "0"},
    {"text": "the plot was bad", "label": "0"},
    {"text": "不 fine, story", "label": None},
    {"text": "good", "label": "1.0"},
]


@pytest.fixture(scope="module", params=["jsonl", "parquet"])
def stored(request, tmp_path_factory):
    if request.param == "parquet":
        pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp(request.param)
    classifier = tiny_models.visualizer_of("bert")
    return explain_dataset(classifier, DATA, folder, form=request.param, rows_per_part=2, method="saliency")


def test_rows_come_back_in_order_with_the_words_of_their_texts(stored):
    rows = StoredRows(stored.folder)
    table = stored.to_pandas()
    assert len(rows) == len(DATA)
    labels = rows.labels
    for row, record, line in zip(rows, DATA, table.itertuples(), strict=True):
        assert (row.row, row.text) == (line.row, record["text"])
        if row.error is not None:
            assert row.text == ""
            assert len(row.words) == len(row.word_scores) == 0
            continue
        spans = [row.text[start:end] for start, end in row.word_offsets]
        assert spans == list(row.words)
        assert "".join(row.words) == row.text.replace(" ", "")
        assert row.word_segments.tolist() == [0] * len(row.words)
        of_words = [score for word, score in zip(line.words, line.word_scores, strict=True) if word in spans]
        of_words = np.array(of_words, np.float32)  # of saliency, without a sign: 1 is the row's average
        np.testing.assert_allclose(row.word_scores, of_words / of_words.mean(), rtol=1e-6)
        assert row.tokens == len(line.tokens)
        assert row.prediction == row.explained == labels[int(np.argmax(line.probabilities))]
        assert row.probability(labels) == pytest.approx(max(line.probabilities))
    assert [row.label for row in rows] == [labels[1], labels[0], labels[0], None, labels[1]]


def test_columns_and_examples(stored):
    rows = StoredRows(stored.folder)
    assert list(rows.columns("row", "text")) == [(i, record["text"]) for i, record in enumerate(DATA)]
    examples = rows.examples([4, 2])
    assert list(examples) == [2, 4]
    assert examples[2].text == "the plot was bad"
    assert examples[2].words == ("the", "plot", "was", "bad")
    assert examples[2].probability == pytest.approx(rows.example(2).probability)
    with pytest.raises(InputError, match="There is no row 5"):
        rows.example(5)


def test_pairs_and_continuations_are_told_apart(tmp_path):
    classifier, writer = tiny_models.visualizer_of("bert"), tiny_models.visualizer_of("gpt2")
    run = explain_dataset(classifier, [("a good film", "bad plot")], tmp_path / "pairs", form="jsonl")
    (row,) = StoredRows(run.folder)
    assert row.words == ["a", "good", "film", "bad", "plot"]
    assert row.word_segments.tolist() == [0, 0, 0, 1, 1]
    data = [{"prompt": "the film was", "next": " good"}]
    run = explain_dataset(writer, data, tmp_path / "next", form="jsonl", columns={"continuation": "next"})
    (row,) = StoredRows(run.folder)
    assert "".join(row.words) == "the film was"
    assert (row.explained, row.label) == (None, None)


def test_targets_of_a_column_say_which_class_is_explained(tmp_path):
    classifier = tiny_models.visualizer_of("bert")
    labels = classifier.predict("a good film").labels
    data = [{"text": "a good film", "what": label} for label in labels]
    run = explain_dataset(classifier, data, tmp_path, form="jsonl", columns={"target": "what"})
    assert [row.explained for row in StoredRows(run.folder)] == list(labels)


def test_what_cannot_be_read_is_said(tmp_path):
    classifier = tiny_models.visualizer_of("bert")
    with pytest.raises(InputError, match="is not the folder of a run"):
        StoredRows(tmp_path)
    run = explain_dataset(classifier, ["good film"] * 5, tmp_path, form="jsonl", rows_per_part=2)
    last = run.parts[-1]
    last.write_bytes(last.read_bytes()[:-20])
    with pytest.raises(InputError, match="is not whole"):
        StoredRows(tmp_path)
    last.unlink()
    run.parts[0].unlink()
    assert StoredRows(tmp_path).missing_parts == run.missing_parts == (0, 2)
