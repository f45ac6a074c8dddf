"""Files of texts: lines, tables and JSON records, told apart and said."""

import pytest

from model_understanding.cli.columns import Columns
from model_understanding.cli.text_files import FileFormat, read_file
from model_understanding.errors import InputError


def read(content, name, column=None, pair=None, file_format=None):
    content = content.encode() if isinstance(content, str) else content
    return read_file(content, name, Columns(column, pair), file_format)


def texts(content, name, *options, **more):
    found = read(content, name, *options, **more)
    assert all(text.problem is None for text in found)
    return [text.text for text in found]


TABLE = [["id", "text", "label"], ["1", "A fine film, really.", "pos"], ["2", 'A "dull"\nfilm; yes.', "neg"]]
EXPECTED = [row[1] for row in TABLE[1:]]


def table(delimiter, newline="\n"):
    quoted = [['"' + cell.replace('"', '""') + '"' for cell in row] for row in TABLE]
    return newline.join(delimiter.join(row) for row in quoted) + newline


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_is_read_by_column_whatever_its_delimiter(delimiter, newline, encoding, capsys):
    content = table(delimiter, newline).encode(encoding)
    assert texts(content, "reviews.csv") == EXPECTED
    assert capsys.readouterr().err == "Reading the column 'text' of reviews.csv: 2 rows.\n"


def test_rows_are_named_by_number_and_line():
    text = 'text\n"A dull\nfilm."\n\nA fine film.\n'
    assert [row.source for row in read(text, "r.csv")] == [
        "row 1 (line 2) of r.csv",
        "row 2 (line 5) of r.csv",
    ]


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        ("Review Text,Stars\nok film,1\n", "r.csv", ["ok film"]),
        ("id,x\n1,an ok film\n2,a dull one\n", "r.csv", ["an ok film", "a dull one"]),
        ("title,text\nOk,an ok film\n", "r.CSV", ["an ok film"]),
        ('sentence\tlabel\n"Great" film\t1\nit\'s "x\t0\n', "r.tsv", ['"Great" film', "it's \"x"]),
        ('{"text": "a"}\n{"text": "b c", "n": 1}\n', "r.jsonl", ["a", "b c"]),
        ('{"content": "a"}\n', "r.ndjson", ["a"]),
        ('["a b", "c"]', "r.json", ["a b", "c"]),
        ('"a b"\n"c"\n', "r.jsonl", ["a b", "c"]),
        ('[{"review": "a b", "n": 1}]', "r.json", ["a b"]),
        ('{"text": {"0": "a", "1": "b"}, "n": {"0": 1, "1": 2}}', "r.json", ["a", "b"]),
        ('{"text": ["a", "b"], "n": [1, 2]}', "r.json", ["a", "b"]),
        ('{"version": 1, "data": [{"text": "q"}]}', "r.json", ["q"]),
        ('{"text": "a"}\n{"text": "b"}', "r.json", ["a", "b"]),
        ("A fine film.\nA dull, bad film.\n", "r.txt", ["A fine film.", "A dull, bad film."]),
        ("A fine film.\nA dull film.\n", "-", ["A fine film.", "A dull film."]),
    ],
)
def test_the_one_column_that_can_be_the_texts_is_read(content, name, expected):
    assert texts(content, name) == expected


@pytest.mark.parametrize(
    ("content", "name", "message", "hint"),
    [
        (
            "premise,hypothesis,label\na b,c d,1\n",
            "r.csv",
            "may be premise or hypothesis",
            "--pair-column hypothesis",
        ),
        ("a,b\nok film,not ok\n", "r.csv", "columns are a, b", "--column a"),
        ("A fine film.\nA dull film.\n", "r.csv", "does not look like column names", "--column NUMBER"),
        ("good film\t1\nbad film\t0\n", "r.tsv", "does not look like column names", "--column NUMBER"),
        ("text,text\na,b\n", "r.csv", "two columns named 'text'", "Rename"),
        ('text\n"unfinished\n', "r.csv", "quotes in line 2 do not match", "twice"),
        ('{"text": "a"}\n{"text": "b"}\n', "r.txt", "JSON records", "--format jsonl"),
        ("{}", "r.json", "no list of texts", '["a text"'),
        ("[1", "r.json", "not a JSON file", "list"),
        (b"PAR1\0\0", "r.parquet", "not a text file", "read_parquet"),
        (b"\x1f\x8b\0", "r.csv.gz", "not a text file", "Unpack"),
    ],
)
def test_what_is_not_clear_is_refused_with_what_to_do(content, name, message, hint):
    with pytest.raises(InputError) as caught:
        read(content, name)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_columns_are_named_by_the_caller_or_numbered_where_the_table_has_no_names():
    pairs = "premise,hypothesis,label\na b,c d,1\n"
    (found,) = read(pairs, "r.csv", "Premise", "hypothesis")
    assert (found.text, found.pair) == ("a b", "c d")
    assert texts("1,a film\n0,bad\n", "r.csv", "2") == ["a film", "bad"]
    assert texts("a film,1\nbad,0\n", "r.csv", "1") == ["a film", "bad"]  # the label 1 is no name
    assert texts(",0,1\n0,a film,b\n", "r.csv", "1") == ["b"]  # as pandas names columns without names
    assert texts('{"t": "a"}\n', "-", "t") == ["a"]
    assert texts("t;n\na;1\n", "texts.txt", "t") == ["a"]
    with pytest.raises(InputError, match="has no column 'x'"):
        read(pairs, "r.csv", "x")


def test_the_format_can_be_named():
    assert texts('{"text": "a"}\n', "r.txt", file_format=FileFormat.LINES) == ['{"text": "a"}']
    assert texts("text\na\n", "-", file_format=FileFormat.CSV) == ["a"]


@pytest.mark.parametrize("content", ["id,text,label\n1,a,2\n2,b,1\n", "a film\t1\nbad\t0\n", "text;n\na;1\n"])
def test_lines_that_look_like_a_table_are_read_with_a_warning(content, capsys):
    assert texts(content, "r.txt") == content.splitlines()
    assert "warning: r.txt looks like a table" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["Well, yes.\nNo, no.\n", "Hello, world\nBye, all\n", "one\ntwo\n"])
def test_texts_are_not_taken_for_a_table(content, capsys):
    assert texts(content, "r.txt") == content.splitlines()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("content", "name", "bad"),
    [
        (b"fine\nnot \xff fine\nok\n", "r.txt", [1]),
        (b"text,n\nfine,1\nnot \xff,2\nwith, a comma,3\n", "r.csv", [1, 2]),
        ('{"text": "fine"}\nnot json\n{"text": 3}\n"a string"\n{"text": "ok"}\n', "r.jsonl", [1, 2, 3]),
        ('[{"text": "fine"}, 7, {"text": ["x"]}]', "r.json", [1, 2]),
    ],
)
def test_a_row_that_cannot_be_read_is_that_row_s_problem(content, name, bad):
    found = read(content, name)
    assert [number for number, row in enumerate(found) if row.problem is not None] == bad


def test_rows_without_a_text_are_skipped_and_counted(capsys):
    assert texts("text,n\nfine,1\n,2\nok,\n", "r.csv") == ["fine", "ok"]
    assert "3 rows, 1 without a text skipped" in capsys.readouterr().err


def test_chats_of_a_file_stay_chats():
    chat = [{"role": "user", "content": "Hi"}]
    assert texts('{"messages": [{"role": "user", "content": "Hi"}]}\n', "r.jsonl") == [chat]
