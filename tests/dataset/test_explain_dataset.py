"""A data set in any form becomes parts: each row once, with the scores that a single text would get."""

import gc
import json
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pandas
import pytest
import tiny_kinds
import tiny_models
import torch
from pass_counts import counted

from model_understanding import InputError, explain_dataset, visualizer
from model_understanding.dataset.local import Progress
from model_understanding.dataset.parts import OutputFolder
from model_understanding.dataset.rows import DataRow
from model_understanding.dataset.table import FIELDS
from model_understanding.visualizers.answering import _batches_by_length

TEXTS = ["a good film", "no", "the plot was bad and long", "a fine story", "good", "not a film at all"]


@pytest.fixture(scope="module")
def classifier():
    return tiny_models.visualizer_of("bert")


@pytest.fixture(scope="module")
def language_model():
    return tiny_models.visualizer_of("gpt2")


def explained(model, data, out, **options):
    return explain_dataset(model, data, out, form="jsonl", **options)


def rows(run):
    lines = [line for part in run.parts for line in part.read_text(encoding="utf-8").splitlines()]
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("method", ["saliency", "fast", "leave_one_out", "default", "deep_lift"])
def test_a_row_has_the_answer_and_scores_of_its_text_alone(classifier, tmp_path, method):
    run = explained(classifier, TEXTS, tmp_path, method=method)
    for text, row in zip(TEXTS, rows(run), strict=True):
        alone = classifier.compute_saliency(text, method=method)
        np.testing.assert_allclose(row["scores"], alone.scores[0], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(row["output"], alone.outputs[0], rtol=1e-4, atol=1e-6)
        prediction = classifier.predict(text)
        assert row["prediction"] == prediction.label
        np.testing.assert_allclose(row["probabilities"], prediction.probabilities, rtol=1e-4)
        assert row["tokens"] == list(alone.tokens.surfaces())
        assert [text[start:end] for start, end in row["offsets"]] == [
            "" if special else surface for surface, special in zip(row["tokens"], row["special"], strict=True)
        ]


def test_answer_and_scores_come_from_one_pass(classifier):
    def explain():
        texts = ["good film", "film good"]
        return list(classifier._answers_and_scores(texts, method="saliency", quantity="logit", positions=512))

    explain()
    with counted(tiny_models.build("bert", None)) as counts:
        explain()
    assert (counts["forwards"], counts["backwards"]) == (1, 1)


@pytest.mark.parametrize("shards", [1, 2, 3])
def test_shards_write_the_parts_of_one_run_bit_for_bit(classifier, tmp_path, shards):
    texts = TEXTS * 3
    whole = explained(classifier, texts, tmp_path / "whole", rows_per_part=4)
    for index in range(shards):
        run = explained(classifier, texts, tmp_path / "shards", rows_per_part=4, shard=(index, shards))
    assert [part.read_bytes() for part in run.parts] == [part.read_bytes() for part in whole.parts]


def test_a_run_that_stopped_goes_on_bit_for_bit(classifier, tmp_path):
    texts = iter(TEXTS * 3)
    whole = explained(classifier, TEXTS * 3, tmp_path / "whole", rows_per_part=4)
    stopped = explained(
        classifier, texts, tmp_path / "out", rows_per_part=4, progress=lambda progress: progress.rows < 9
    )
    assert len(stopped.parts) == 2
    with pytest.raises(InputError, match="already holds this run"):
        explained(classifier, iter(TEXTS * 3), tmp_path / "out", rows_per_part=4)
    run = explained(classifier, iter(TEXTS * 3), tmp_path / "out", rows_per_part=4, resume=True)
    assert (run.rows, run.skipped) == (18, 8)
    assert [part.read_bytes() for part in run.parts] == [part.read_bytes() for part in whole.parts]


def test_another_job_and_a_changed_input_are_refused_by_what_differs(classifier, tmp_path):
    explained(classifier, TEXTS, tmp_path, rows_per_part=2)
    for options, difference in (
        ({"method": "saliency"}, 'method was "fast", now "saliency"'),
        ({"rows_per_part": 3}, "rows_per_part was 2, now 3"),
        ({"shard": (0, 2)}, "shards was 1, now 2"),
    ):
        with pytest.raises(InputError, match=difference):
            explained(classifier, TEXTS, tmp_path, **{"rows_per_part": 2, **options}, resume=True)
    for changed in ([*TEXTS[:3], "other", *TEXTS[4:]], TEXTS[:2], [*TEXTS, "one more"][:7:2]):
        with pytest.raises(InputError, match="The input has changed"):
            explained(classifier, changed, tmp_path, rows_per_part=2, resume=True)
    other = tiny_models.fresh("bert")
    with torch.no_grad():
        next(other.parameters()).add_(0.5)
    trained_on = tiny_models.visualizer_of("bert", model=other)
    with pytest.raises(InputError, match="weights_sha256"):
        explained(trained_on, TEXTS, tmp_path, rows_per_part=2, resume=True)


def test_rows_that_fail_keep_their_error_and_stop_nothing(classifier, tmp_path):
    data = ["good film", "", None, "word " * 100_000, 7, "bad film", "  "]
    run = explained(classifier, data, tmp_path / "out", rows_per_part=3)
    found = rows(run)
    assert [row["row"] for row in found] == list(range(7))
    assert [row["error"] is None for row in found] == [True, False, False, False, False, True, False]
    assert found[1]["error"] == found[2]["error"] == "The text is empty."
    assert "accepts at most" in found[3]["error"]
    assert found[4]["error"].startswith("The text is int")
    assert (run.rows, run.failed) == (7, 5)
    again = explained(classifier, data, tmp_path / "out", rows_per_part=3, resume=True)
    assert (again.rows, again.failed, again.skipped) == (7, 5, 7)
    with pytest.raises(InputError, match="3 rows failed, more than the 2 allowed"):
        explained(classifier, data, tmp_path / "other", rows_per_part=3, max_errors=2)
    assert len(list((tmp_path / "other").glob("part-*"))) == 1


FILES = {
    "a.csv": 'review,label,id\n"good, film",1,x\nbad plot,0,y\n',
    "b.csv": 'review;label;id\n"good, film";1;x\nbad plot;0;y\n',
    "c.tsv": "review\tlabel\tid\ngood, film\t1\tx\nbad plot\t0\ty\n",
    "d.jsonl": '{"review": "good, film", "label": 1, "id": "x"}\n'
    '{"review": "bad plot", "label": 0, "id": "y"}\n',
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_every_form(classifier, tmp_path, name):
    path = tmp_path / name
    path.write_text(FILES[name], encoding="utf-8")
    seen = []
    run = explained(classifier, path, tmp_path / "out", progress=lambda progress: seen.append(progress.total))
    assert [(row["id"], row["text"], row["label"]) for row in rows(run)] == [
        ("x", "good, film", "1"),
        ("y", "bad plot", "0"),
    ]
    assert run.manifest["columns"] == {"text": "review", "label": "label", "id": "id"}
    assert seen[0] == 2


def test_one_row_that_is_not_utf8(classifier, tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,id\ngood film,x\nb\xe9d plot,y\nbad film,z\n")
    found = rows(explained(classifier, path, tmp_path / "out"))
    assert [row["id"] for row in found] == ["x", "y", "z"]
    assert [row["error"] for row in found] == [None, "It is not valid UTF-8: invalid byte 0xe9.", None]


def test_tables_and_iterables(classifier, tmp_path):
    records = [{"text": "good film", "label": 1}, {"text": "bad plot", "label": 0}]
    tables = {"dictionaries": records, "generator": (record for record in records)}
    tables["pandas"] = pandas.DataFrame(records)
    results = [rows(explained(classifier, table, tmp_path / name)) for name, table in tables.items()]
    assert all(result == results[0] for result in results)
    assert [row["label"] for row in results[0]] == ["1", "0"]


def test_columns_are_guessed_or_refused(classifier, tmp_path):
    unclear = [{"first": "good film there", "second": "bad plot here"}]
    with pytest.raises(InputError, match="is not clear: it may be first or second"):
        explained(classifier, unclear, tmp_path)
    with pytest.raises(InputError, match=r"no column 'third' for text\. Its columns are first, second"):
        explained(classifier, unclear, tmp_path, columns={"text": "third"})
    (tmp_path / "twice.csv").write_text("text,text\na,b\n")
    with pytest.raises(InputError, match="two columns named 'text'"):
        explained(classifier, tmp_path / "twice.csv", tmp_path / "out")
    run = explained(classifier, unclear, tmp_path / "named", columns={"text": "second"})
    assert rows(run)[0]["text"] == "bad plot here"


def test_pairs(classifier, tmp_path):
    data = [
        {"premise": "a good film", "hypothesis": "the film was bad"},
        {"premise": "a plot", "hypothesis": ""},
    ]
    first, second = rows(explained(classifier, data, tmp_path))
    alone = classifier.compute_saliency(("a good film", "the film was bad"), method="fast")
    np.testing.assert_allclose(first["scores"], alone.scores[0], rtol=1e-4, atol=1e-6)
    assert set(first["segments"]) == {-1, 0, 1}
    assert second["error"] == "The second text is missing."


def test_targets_of_a_column(classifier, tmp_path):
    labels = classifier.predict("a good film").labels
    data = [{"text": "a good film", "what": label} for label in (*labels, "1", "nonsense")]
    found = rows(explained(classifier, data, tmp_path, columns={"target": "what"}, method="saliency"))
    for row, target in zip(found[: len(labels) + 1], (*labels, 1), strict=True):
        alone = classifier.compute_saliency("a good film", method="saliency", target=target)
        np.testing.assert_allclose(row["scores"], alone.scores[0], rtol=1e-4, atol=1e-6)
    assert "nonsense" in found[-1]["error"]


def test_language_models(language_model, tmp_path):
    data = [{"prompt": "the film was", "next": " good"}, {"prompt": "a plot", "next": " bad film"}]
    given = rows(explained(language_model, data, tmp_path / "given", columns={"continuation": "next"}))
    for row, record in zip(given, data, strict=True):
        alone = language_model.compute_saliency(
            record["prompt"],
            continuation=record["next"],
            method="fast",
            target="continuation",
            per_token=False,
        )
        np.testing.assert_allclose(row["scores"], alone.scores[0], rtol=1e-4, atol=1e-6)
    written = rows(explained(language_model, ["the film was", ""], tmp_path / "written", max_new_tokens=2))
    assert written[0]["prediction"] == language_model.generate("the film was", max_new_tokens=2).text
    assert len(written[0]["probabilities"]) == 2
    assert written[1]["error"] == "The text is empty."
    with pytest.raises(InputError, match="has no pair"):
        explained(language_model, [{"premise": "a b", "hypothesis": "c d"}], tmp_path / "pair")


def test_verdicts_if_asked_for(classifier, tmp_path):
    (row,) = rows(explained(classifier, ["a good film and a bad plot"], tmp_path, evaluate=True))
    assert row["verdict"] == classifier.evaluate("a good film and a bad plot", method="fast").verdict


def test_other_kinds_are_refused(tmp_path):
    kind = "token-classification"
    tagger = visualizer(tiny_kinds.build(kind), tokenizer=tiny_kinds.tokenizer_of(kind))
    with pytest.raises(InputError, match="explains classifiers and language models"):
        explained(tagger, TEXTS, tmp_path)


def test_memory_holds_the_rows_of_a_part_however_many_there_are(classifier, tmp_path):
    alive = []

    def count(progress):
        if progress.rows in (400, 800, 1190):
            alive.append(sum(type(thing) is DataRow for thing in gc.get_objects()))

    data = (f"good film {index % 7}" for index in range(1200))
    explained(classifier, data, tmp_path, rows_per_part=40, progress=count)
    sampled = 256  # rows of which some tell the pace
    assert len(alive) == 3
    assert max(alive) <= sampled + 2 * 40 + 1


KILLED = """
import sys, tiny_models
from model_understanding import explain_dataset
explain_dataset(
    tiny_models.visualizer_of("bert"),
    [f"a good film {'plot ' * (index % 9)}" for index in range(60)],
    sys.argv[1], form="jsonl", rows_per_part=3, resume=True, method="saliency",
    progress=lambda progress: print(progress.rows, flush=True),
)
"""


def test_killed_at_any_moment_it_goes_on_to_the_same_bits(tmp_path):
    support = str(Path(tiny_models.__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([support, *sys.path])}

    def started(out):
        return subprocess.Popen(
            [sys.executable, "-c", KILLED, str(out)], stdout=subprocess.PIPE, env=environment, text=True
        )

    with started(tmp_path / "killed") as process:
        assert process.stdout is not None
        for _ in range(20):
            process.stdout.readline()
        process.kill()
    for out in ("killed", "whole"):
        with started(tmp_path / out) as process:
            process.communicate()
            assert process.returncode == 0
    killed, whole = (sorted((tmp_path / out).glob("part-*")) for out in ("killed", "whole"))
    assert len(whole) == 20
    assert [part.read_bytes() for part in killed] == [part.read_bytes() for part in whole]


class TestParquet:
    @pytest.fixture(autouse=True)
    def arrow(self):
        return pytest.importorskip("pyarrow")

    def test_holds_the_same_as_json_lines(self, classifier, tmp_path):
        data = ["a good film", "", "bad plot"]
        lines = rows(explained(classifier, data, tmp_path / "lines"))
        run = explain_dataset(classifier, data, tmp_path / "parquet", rows_per_part=2)
        table = run.to_pandas()
        assert list(table.columns) == list(FIELDS)
        for index, line in enumerate(lines):
            for name in ("row", "id", "text", "prediction", "method", "target", "error"):
                value = table[name][index]
                assert (None if pandas.isna(value) else value) == line[name]
            if line["error"] is None:
                np.testing.assert_allclose(table["scores"][index], line["scores"], rtol=1e-6)
                assert [list(pair) for pair in table["offsets"][index]] == line["offsets"]
                assert list(table["tokens"][index]) == line["tokens"]
        again = explain_dataset(classifier, data, tmp_path / "parquet", rows_per_part=2, resume=True)
        assert (again.rows, again.failed, again.skipped) == (3, 1, 3)

    def test_a_truncated_part_is_written_again(self, classifier, tmp_path):
        run = explain_dataset(classifier, TEXTS, tmp_path, rows_per_part=3)
        whole = [part.read_bytes() for part in run.parts]
        run.parts[1].write_bytes(whole[1][: len(whole[1]) // 2])
        again = explain_dataset(classifier, TEXTS, tmp_path, rows_per_part=3, resume=True)
        assert again.skipped == 3
        assert [part.read_bytes() for part in run.parts] == whole

    def test_is_read_from_a_file_a_folder_and_a_table(self, classifier, tmp_path, arrow):
        import pyarrow.parquet

        table = arrow.table({"review": ["good film", "bad plot"], "label": [1, 0]})
        (tmp_path / "in").mkdir()
        for name in ("a", "b"):
            pyarrow.parquet.write_table(table, tmp_path / "in" / f"{name}.parquet")
        one = rows(explained(classifier, tmp_path / "in" / "a.parquet", tmp_path / "one"))
        two = rows(explained(classifier, tmp_path / "in", tmp_path / "two"))
        direct = rows(explained(classifier, table, tmp_path / "three"))
        assert [row["text"] for row in two] == ["good film", "bad plot"] * 2
        assert one == direct
        assert [row["label"] for row in direct] == ["1", "0"]

    def test_pandas_polars_and_duckdb_read_the_parts_in_one_line(self, classifier, tmp_path):
        explain_dataset(classifier, TEXTS, tmp_path / "out", rows_per_part=4)
        assert len(pandas.read_parquet(sorted((tmp_path / "out").glob("*.parquet")))) == len(TEXTS)
        import duckdb
        import polars

        pattern = f"{tmp_path}/out/part-*.parquet"
        assert polars.read_parquet(pattern)["text"].to_list() == TEXTS
        found = duckdb.sql(f"select text from '{pattern}' where error is null order by row").fetchall()
        assert [text for (text,) in found] == TEXTS

    def test_polars_tables(self, classifier, tmp_path):
        import polars

        found = rows(explained(classifier, polars.DataFrame({"text": TEXTS}), tmp_path))
        assert [row["text"] for row in found] == TEXTS


def test_chats(language_model, tmp_path, monkeypatch):
    template = "{% for message in messages %}{{ message.content }} {% endfor %}"
    monkeypatch.setattr(language_model.tokenizer, "chat_template", template, raising=False)
    chat = [{"role": "user", "content": "the film was"}]
    data = [{"messages": chat}, {"messages": json.dumps(chat)}]
    found = rows(explained(language_model, data, tmp_path, columns={"chat": "messages"}, max_new_tokens=1))
    assert found[0]["error"] is None
    assert found[0]["scores"] == found[1]["scores"]
    assert json.loads(found[0]["text"]) == chat


def test_a_row_that_fails_leaves_the_others_of_its_batch_together(classifier, monkeypatch):
    """A model that fails on one text: halves of its batch run until it is alone."""
    texts = [f"{first} {second}" for first in ("good", "bad", "fine", "long") for second in ("film", "plot")]
    module, sizes = classifier.runner.model, []
    forward, bad = module.forward, classifier.runner.model.tokenizer("fine plot")["input_ids"]

    def failing(encoding, *arguments, **keywords):
        sizes.append(len(encoding))
        if bad in encoding.ids.tolist():
            raise InputError("The model fails here.", hint="Do without.")
        return forward(encoding, *arguments, **keywords)

    monkeypatch.setattr(module, "forward", failing)
    for method in ("saliency", "fast"):
        sizes.clear()
        found = dict(classifier._answers_and_scores(texts, method=method, quantity="logit", positions=512))
        failed = [index for index in range(len(texts)) if not found[index]]
        assert failed == [texts.index("fine plot")]
        assert max(sizes) > 4
        assert sizes.count(1) <= 4  # the text itself, its neighbor, and what is tried once more


def test_attention_weights_bound_a_batch(classifier, monkeypatch):
    memory = classifier.runner.model.memory
    assert memory.most_rows(16, 512) == 32
    monkeypatch.setattr("model_understanding.model.memory.WEIGHTS_AT_ONCE", 3 * 4 * 16**2 * 5)
    assert memory.most_rows(16, 512) == 5
    assert memory.most_rows(1024, 512) == 1


def test_texts_of_one_length_are_in_batches_of_one_size(classifier):
    memory = classifier.runner.model.memory
    texts = ["good film", *["A good film."] * 21, "fine"]
    encodings = {2 * place: classifier._encode(text) for place, text in enumerate(texts)}
    tokens = {index: encoding.ids.shape[1] for index, encoding in encodings.items()}
    longest = max(tokens.values())
    batches = _batches_by_length(encodings, 10 * longest, memory)
    assert sorted(index for batch in batches for index in batch) == list(encodings)
    assert all(len({tokens[index] for index in batch}) == 1 for batch in batches)
    assert [len(batch) for batch in batches if tokens[batch[0]] == longest] == [7, 7, 7]  # not 10, 10, 1


def fails_to_write(part, monkeypatch):
    """Let the disk be full when a part is written."""
    write = OutputFolder.write

    def full(self, number, digest, rows):
        if number == part:
            raise InputError("Cannot write: no space left.", hint="Free some.")
        write(self, number, digest, rows)

    monkeypatch.setattr(OutputFolder, "write", full)


@pytest.mark.parametrize(("part", "whole"), [(0, 0), (1, 1), (2, 2)])
def test_what_cannot_be_written_is_raised_whenever_the_run_ends(
    classifier, tmp_path, part, whole, monkeypatch
):
    with monkeypatch.context() as patch:
        fails_to_write(part, patch)
        with pytest.raises(InputError, match="no space left"):
            explained(classifier, TEXTS, tmp_path / "out", rows_per_part=2)
    assert len(list((tmp_path / "out").glob("part-*"))) == whole
    stops = {"progress": lambda progress: progress.rows < 2 * part + 2}
    with monkeypatch.context() as patch:  # the caller stops the run while the part is written
        fails_to_write(part, patch)
        with pytest.raises(InputError, match="no space left"):
            explained(classifier, TEXTS, tmp_path / "out", rows_per_part=2, resume=True, **stops)
    done = explained(classifier, TEXTS, tmp_path / "out", rows_per_part=2, resume=True)
    assert [row["row"] for row in rows(done)] == list(range(6))


def test_parts_are_written_beside_the_computation_in_order(classifier, tmp_path, monkeypatch):
    threads, write = [], OutputFolder.write

    def noted(self, part, digest, rows):
        threads.append((part, threading.current_thread() is threading.main_thread()))
        write(self, part, digest, rows)

    monkeypatch.setattr(OutputFolder, "write", noted)
    explained(classifier, TEXTS, tmp_path, rows_per_part=2)
    assert threads == [(0, False), (1, False), (2, False)]


def test_the_pace_counts_from_the_first_rows_after_the_start():
    progress = Progress(total=110, seconds_per_row=0.5, starting="Ray")
    progress._started -= 100  # what Ray took to start
    progress.rows = 10
    progress.start()
    assert (progress.starting, progress.rate) == ("", 2.0)
    progress.rows, progress._started = 60, progress._started - 5
    assert progress.rate == pytest.approx(10, rel=0.01)
    assert progress.seconds_left == pytest.approx(5, rel=0.01)


def test_a_run_does_not_keep_a_model_that_it_loaded_itself(tmp_path, monkeypatch):
    import model_understanding.dataset.run as module

    loaded = []

    def load(model, **options):
        explainer = visualizer(model, **options)
        loaded.append(weakref.ref(explainer))
        return explainer

    monkeypatch.setattr(module, "visualizer", load)
    run = explained("demo:sentiment", ["A fine film with a good end.", "A dull one."], tmp_path)
    gc.collect()
    assert [reference() for reference in loaded] == [None]
    assert run.summary(causal=False, sample=0).rows == 2
    assert len(loaded) == 1, "without tests and evaluation no model is needed"
    assert run.summary(causal=False, sample=1).trust is not None
    assert len(loaded) == 2
