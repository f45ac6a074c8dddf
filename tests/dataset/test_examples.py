"""The embedded example data."""

from collections import Counter

import pytest

from model_understanding import InputError, explain_dataset
from model_understanding.dataset.sources import EXAMPLES, source_of


def test_the_reviews_are_small_balanced_and_different():
    records = [record.values for record in source_of("demo:reviews").read()]
    assert 200 <= len(records) <= 400
    assert sum(len(str(record)) for record in records) < 60_000
    for name in ("id", "text"):
        assert len({record[name] for record in records}) == len(records)
    topics = Counter((record["id"].split("-")[0], record["label"]) for record in records)
    assert len(topics) == 10
    assert len(set(topics.values())) == 1


def test_a_run_on_the_reviews_names_them(tmp_path):
    run = explain_dataset(
        "demo:sentiment", "demo:reviews", tmp_path, form="jsonl", shard=(0, 8), rows_per_part=40
    )
    assert run.manifest["input"] == "demo:reviews"
    assert run.manifest["columns"] == {"text": "text", "label": "label", "id": "id"}
    assert (run.rows, run.failed) == (40, 0)
    assert set(run.manifest["labels"]) == {
        record.values["label"] for record in source_of("demo:reviews").read()
    }


def test_unknown_example_data():
    with pytest.raises(InputError, match=f"'demo:films'. Allowed: {', '.join(EXAMPLES)}"):
        source_of("demo:films")
