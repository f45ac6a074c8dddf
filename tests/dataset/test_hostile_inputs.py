"""Whatever a data set holds, nothing is lost and nothing comes twice; what cannot be read says so."""

import json

import pytest
import tiny_models

from model_understanding import InputError, explain_dataset
from model_understanding.dataset.sources import source_of


@pytest.fixture(scope="module")
def classifier():
    return tiny_models.visualizer_of("bert")


def explained(model, data, out, **options):
    run = explain_dataset(model, data, out, form="jsonl", **options)
    lines = [line for part in run.parts for line in part.read_text(encoding="utf-8").split("\n") if line]
    return [json.loads(line) for line in lines]


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


CSV = 'text,id\n"good, film",a\n"a plot\nof two lines, with ""quotes""",b\nbad film,c\n'
VARIANTS = {
    "plain": CSV.encode(),
    "byte order mark": b"\xef\xbb\xbf" + CSV.encode(),
    "CRLF": CSV.replace("\n", "\r\n").encode(),
    "UTF-16 with a mark": CSV.encode("utf-16"),
    "UTF-32 with a mark": CSV.encode("utf-32"),
    "blank lines": CSV.replace("bad film", "\n\nbad film").encode(),
    "no line break at the end": CSV.removesuffix("\n").encode(),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_table_in_any_encoding_with_any_line_breaks(classifier, tmp_path, variant):
    rows = explained(classifier, written(tmp_path, "a.csv", VARIANTS[variant]), tmp_path / "out")
    second = 'a plot\nof two lines, with "quotes"'.replace("\n", "\r\n" if variant == "CRLF" else "\n")
    assert [(row["id"], row["text"]) for row in rows] == [
        ("a", "good, film"),
        ("b", second),
        ("c", "bad film"),
    ]
    assert not any(row["error"] for row in rows)


REFUSED = {
    "UTF-16 without a mark": (
        "a.csv",
        CSV.encode("utf-16-le"),
        "is UTF-16 without a byte order mark",
        "iconv",
    ),
    "big-endian": ("a.csv", CSV.encode("utf-16-be"), "is UTF-16 without a byte order mark", "iconv"),
    "half a character": ("a.csv", CSV.encode("utf-16")[:-1], "is not valid UTF-16", "Convert it to UTF-8"),
    "gzip": ("a.csv.gz", b"\x1f\x8b\x08\x00" + bytes(range(1, 200)), r"is compressed \(gzip\)", "Unpack it"),
    "zip": ("a.csv", b"PK\x03\x04" + bytes(range(1, 200)), r"is compressed \(zip\)", "Unpack it"),
    "binary": ("a.txt", b"\0\1\2\3" * 100, "neither text nor Parquet", "Convert it"),
    "header only": ("a.csv", "text,label\n", "a.csv has no rows", "at least one text"),
    "nothing": ("a.csv", "", "a.csv has no rows", "at least one text"),
    "blank lines": ("a.txt", "\n\n  \n", "a.txt has no rows", "at least one text"),
    "no records": ("a.jsonl", "\n", "a.jsonl has no rows", "at least one text"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_cannot_be_read_says_why(classifier, tmp_path, case):
    name, content, message, hint = REFUSED[case]
    with pytest.raises(InputError, match=message) as caught:
        explained(classifier, written(tmp_path, name, content), tmp_path / "out")
    assert hint in caught.value.hint


@pytest.mark.parametrize("data", [[], iter(()), ()])
def test_no_rows(classifier, tmp_path, data):
    with pytest.raises(InputError, match="has no rows"):
        explained(classifier, data, tmp_path)


def test_rows_that_cannot_be_explained_say_why_and_stop_nothing(classifier, tmp_path):
    rows = [
        (b"good film", None),
        (b"b\xe9d film", "It is not valid UTF-8: invalid byte 0xe9."),
        (b"", "The text is empty."),
        (b"   ", "The text is empty."),
        (b"zero\0byte film", None),
        (b"film " * 20_000, "accepts at most"),
        ("\U0001f600 \u202e film \u2028 a".encode(), None),
        (b"bad film", None),
    ]
    content = b"id,text\n" + b"".join(b"%d,%s\n" % (number, text) for number, (text, _) in enumerate(rows))
    found = explained(classifier, written(tmp_path, "a.csv", content), tmp_path / "out", rows_per_part=3)
    assert [row["id"] for row in found] == [str(number) for number in range(len(rows))]
    for row, (text, error) in zip(found, rows, strict=True):
        if error is None:
            assert row["error"] is None
            assert row["text"] == text.decode()
            assert row["scores"]
        else:
            assert error in row["error"]


def test_a_field_of_a_million_characters_is_one_row(classifier, tmp_path):
    content = "text,note\ngood film," + "x" * 1_000_000 + "\nbad film,short\n"
    found = explained(classifier, written(tmp_path, "a.csv", content), tmp_path / "out")
    assert [row["text"] for row in found] == ["good film", "bad film"]
    assert not any(row["error"] for row in found)


def test_rows_of_json_lines_that_are_no_records(classifier, tmp_path):
    lines = [
        '{"text": "good film"}',
        "{broken",
        '{"other": 1}',
        "null",
        "[1, 2]",
        "3",
        '{"text": ["a"]}',
        '"bad"',
    ]
    found = explained(classifier, written(tmp_path, "a.jsonl", "\n".join(lines)), tmp_path / "out")
    errors = [row["error"] for row in found]
    assert errors[0] is errors[7] is None
    assert errors[1].startswith("The line is not JSON")
    assert errors[2] == errors[3] == "The text is empty."
    assert errors[4].startswith("The text is list")
    assert errors[5].startswith("The text is int")
    assert errors[6].startswith("The text is list")


def test_rows_with_too_many_fields(classifier, tmp_path):
    content = "text,label\ngood film,1\nbad, film,0\nfilm,1\n"
    found = explained(classifier, written(tmp_path, "a.csv", content), tmp_path / "out")
    assert [row["error"] is None for row in found] == [True, False, True]
    assert "3 fields, but the table has 2 columns" in found[1]["error"]


def test_ids_may_repeat(classifier, tmp_path):
    data = [{"id": "same", "text": text} for text in ("good film", "bad film", "good film")]
    found = explained(classifier, data, tmp_path)
    assert [(row["row"], row["id"], row["text"]) for row in found] == [
        (0, "same", "good film"),
        (1, "same", "bad film"),
        (2, "same", "good film"),
    ]


def test_missing_numbers_of_a_table_are_no_text(classifier, tmp_path):
    import pandas

    table = pandas.DataFrame({"text": ["good film", None, float("nan")], "label": [1, None, 0]})
    found = explained(classifier, table, tmp_path)
    assert [row["error"] for row in found] == [None, "The text is empty.", "The text is empty."]
    assert found[1]["label"] is None


class TestParquet:
    @pytest.fixture(autouse=True)
    def arrow(self):
        return pytest.importorskip("pyarrow")

    def saved(self, path, **columns):
        import pyarrow
        import pyarrow.parquet

        path.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
        return path

    @pytest.mark.parametrize("kind", ["string", "large_string", "dictionary", "string_view"])
    def test_columns_of_every_kind_of_text(self, classifier, arrow, tmp_path, kind):
        texts = arrow.array(["good film", "bad plot", None, "good film"])
        texts = texts.dictionary_encode() if kind == "dictionary" else texts.cast(getattr(arrow, kind)())
        labels = arrow.array(["x", "y", None, "x"]).dictionary_encode()
        path = self.saved(tmp_path / "a.parquet", text=texts, label=labels)
        found = explained(classifier, path, tmp_path / "out")
        assert [row["text"] for row in found] == ["good film", "bad plot", "", "good film"]
        assert [row["label"] for row in found] == ["x", "y", None, "x"]
        assert found[2]["error"] == "The text is empty."

    def test_a_folder_of_folders_in_the_order_of_its_names(self, classifier, tmp_path):
        for name, text in (
            ("b/1.parquet", "bad plot"),
            ("a/deep/1.parquet", "good film"),
            ("c.parquet", "no"),
        ):
            self.saved(tmp_path / "in" / name, text=[text])
        (tmp_path / "in" / "_SUCCESS").write_text("")
        found = explained(classifier, tmp_path / "in", tmp_path / "out")
        assert [row["text"] for row in found] == ["good film", "bad plot", "no"]

    def test_chats_in_a_column_of_lists(self, tmp_path, monkeypatch):
        language_model = tiny_models.visualizer_of("gpt2")
        template = "{% for message in messages %}{{ message.content }} {% endfor %}"
        monkeypatch.setattr(language_model.tokenizer, "chat_template", template, raising=False)
        chat = [{"role": "user", "content": "the film was"}]
        path = self.saved(tmp_path / "a.parquet", messages=[chat, chat])
        found = explained(language_model, path, tmp_path / "out", max_new_tokens=1)
        assert [json.loads(row["text"]) for row in found] == [chat, chat]
        assert not any(row["error"] for row in found)

    def test_what_is_no_parquet_file(self, classifier, tmp_path):
        whole = self.saved(tmp_path / "a.parquet", text=["good film"] * 100).read_bytes()
        for content in (whole[: len(whole) // 2], b"text\ngood film\n", b""):
            path = written(tmp_path, "broken.parquet", content)
            with pytest.raises(InputError, match=r"broken\.parquet is not a whole Parquet file"):
                explained(classifier, path, tmp_path / "out")


def test_a_generator_that_fails_leaves_whole_parts(classifier, tmp_path):
    def texts():
        yield from ["good film", "bad film", "no", "good"]
        raise ConnectionError("the source is gone")

    with pytest.raises(ConnectionError, match="the source is gone"):
        explained(classifier, texts(), tmp_path, rows_per_part=2)
    again = explained(
        classifier, iter(["good film", "bad film", "no", "good"]), tmp_path, rows_per_part=2, resume=True
    )
    assert [row["text"] for row in again] == ["good film", "bad film", "no", "good"]


def test_sources_count_what_they_yield(tmp_path):
    path = written(tmp_path, "a.csv", VARIANTS["CRLF"])
    assert source_of(path).count() == 3


def test_a_row_that_would_take_all_memory_is_refused_by_itself(tmp_path):
    model = tiny_models.visualizer_of("bloom")  # reads texts of any length
    assert model.runner.model.longest_input is None
    texts = ["the film was", "film " * 100_000, "a plot", "film " * 1_000]
    found = explained(model, texts, tmp_path, max_new_tokens=1)
    assert [row["error"] is None for row in found] == [True, False, True, True]
    assert found[1]["error"].startswith("The text has 1000")
    assert "a forward pass needs about " in found[1]["error"]
    assert "GB are free" in found[1]["error"]
