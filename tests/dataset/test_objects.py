"""Data sets of other packages are read as they are: in order, each row once, with the names of classes."""

import json

import datasets
import duckdb
import pandas
import polars
import pyarrow
import pyarrow.dataset
import pytest
import tiny_models

from model_understanding import InputError, explain_dataset
from model_understanding.dataset.objects import reader_of
from model_understanding.dataset.rows import Columns, rows_of
from model_understanding.dataset.sources import source_of

ROWS = [{"text": f"text {number}", "label": number % 2, "id": f"r{number}"} for number in range(2500)]
TABLE = pyarrow.Table.from_pylist(ROWS)
FEATURES = datasets.Features(
    {
        "text": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["Bad", "good"]),
        "id": datasets.Value("string"),
    }
)


def classes():
    return datasets.Dataset.from_list(ROWS, features=FEATURES)


OBJECTS = {
    "datasets": classes,
    "datasets, streamed": lambda: classes().to_iterable_dataset(num_shards=3),
    "datasets, one split": lambda: datasets.DatasetDict({"train": classes()}),
    "datasets, one split streamed": lambda: datasets.IterableDatasetDict(
        {"train": classes().to_iterable_dataset()}
    ),
    "datasets, formatted": lambda: classes().with_format("pandas"),
    "pandas": lambda: pandas.DataFrame(ROWS),
    "polars": lambda: polars.DataFrame(ROWS),
    "polars, lazy": lambda: polars.DataFrame(ROWS).lazy().filter(polars.col("label") >= 0),
    "Arrow": lambda: TABLE,
    "Arrow, a batch": lambda: TABLE.combine_chunks().to_batches()[0],
    "Arrow, a reader": TABLE.to_reader,
    "Arrow, a data set": lambda: pyarrow.dataset.dataset(TABLE),
    "DuckDB": lambda: duckdb.from_arrow(TABLE).order("id[2:]::int"),
}


@pytest.mark.parametrize("kind", OBJECTS)
def test_rows_are_read_in_order(kind):
    source = source_of(OBJECTS[kind]())
    assert source.count() in (None, len(ROWS))
    columns, rows, names = rows_of(source, Columns())
    assert columns == Columns(text="text", label="label", id="id")
    assert set(names) == set(ROWS[0])
    found = [(row.text, row.label, row.id, row.index) for row in rows]
    assert found == [(row["text"], str(row["label"]), row["id"], index) for index, row in enumerate(ROWS)]
    if not source.once:
        _, again, _ = rows_of(source, columns)
        assert sum(1 for _ in again) == len(ROWS)
    assert source.once == (kind == "Arrow, a reader")


@pytest.mark.parametrize(
    "texts",
    [
        pandas.Series(["a b", "c d"]),
        polars.Series(["a b", "c d"]),
        pyarrow.chunked_array([["a b"], ["c d"]]),
        pyarrow.array(["a b", "c d"]),
    ],
    ids=lambda texts: f"{type(texts).__module__.split('.')[0]}.{type(texts).__name__}",
)
def test_columns_alone_are_texts(texts):
    _, rows, _ = rows_of(source_of(texts), Columns())
    assert [row.text for row in rows] == ["a b", "c d"]


def test_of_several_splits_one_is_to_be_passed():
    both = datasets.DatasetDict({"train": classes(), "test": classes()})
    with pytest.raises(InputError, match="has 2 splits: 'train', 'test'") as caught:
        reader_of(both)
    assert "data['test']" in caught.value.hint
    with pytest.raises(InputError, match="is empty"):
        reader_of(datasets.DatasetDict())


@pytest.mark.parametrize("streamed", [False, True])
def test_names_of_classes_are_those_of_the_model_however_it_numbers_them(streamed):
    data = classes()
    source = source_of(data.to_iterable_dataset() if streamed else data)
    for labels, expected in (
        (["GOOD", "BAD"], ["BAD", "GOOD", "BAD"]),  # numbered the other way round
        (["Bad", "good", "neither"], ["Bad", "good", "Bad"]),
        (["LABEL_0", "LABEL_1"], ["0", "1", "0"]),  # other names: by number
    ):
        _, rows, _ = rows_of(source.with_names("label", labels), Columns())
        assert [next(rows).label for _ in range(3)] == expected
    unknown = datasets.Dataset.from_list([{"text": "a b", "label": -1, "id": "x"}], features=FEATURES)
    _, rows, _ = rows_of(source_of(unknown).with_names("label", ["good", "bad"]), Columns())
    assert next(rows).label is None


def test_a_run_compares_with_the_names_of_classes(tmp_path):
    classifier = tiny_models.visualizer_of("bert")
    labels = classifier.predict("a film").labels
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(labels)[::-1])}
    )
    rows = [{"text": "a good film", "label": 0}, {"text": "a bad film", "label": 1}]
    run = explain_dataset(
        classifier, datasets.Dataset.from_list(rows, features=features), tmp_path, form="jsonl"
    )
    lines = [json.loads(line) for part in run.parts for line in part.read_text().splitlines()]
    assert [line["label"] for line in lines] == [labels[-1], labels[-2]]
