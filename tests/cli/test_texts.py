import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from model_understanding.cli.columns import SourceText
from model_understanding.cli.texts import naming_source, read_texts
from model_understanding.errors import InputError, NumericalError


@pytest.fixture
def standard_input(monkeypatch: pytest.MonkeyPatch):
    def give(content: bytes) -> None:
        stream = SimpleNamespace(buffer=io.BytesIO(content), isatty=lambda: False)
        monkeypatch.setattr("sys.stdin", stream)

    return give


def test_dash_reads_all_of_standard_input_as_one_text(standard_input) -> None:
    standard_input("eins\nzwei ×\r\n".encode())
    assert read_texts(["-"]) == (SourceText("eins\nzwei ×", "standard input"),)


def test_a_file_has_one_text_a_line_and_blank_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes("\ufeffA\u2028B\r\n\n  \n שלום \n".encode())
    assert read_texts([], str(path)) == (
        SourceText("A\u2028B", f"line 1 of {path}"),
        SourceText(" שלום ", f"line 4 of {path}"),
    )


def test_typed_texts_come_before_the_file(standard_input) -> None:
    standard_input(b"from the file\n")
    assert [source.text for source in read_texts(["typed", ""], "-")] == ["typed", "", "from the file"]


@pytest.mark.parametrize(
    ("arguments", "file", "content", "message", "hint"),
    [
        (["-", "-"], None, b"", "Standard input can be read only once.", "Pass - only once."),
        (["-"], "-", b"", "Standard input can be read only once.", "Pass - only once."),
        ([], "-", b"\n \n", "There is no text in standard input.", "Write one text per line."),
        (
            ["-"],
            None,
            b"fine\nnot \xff",
            "Standard input is not valid UTF-8: invalid byte 0xff in line 2.",
            "Convert it to UTF-8, for example with iconv.",
        ),
        (
            ["\udcff"],
            None,
            b"",
            "Text 1 is not valid UTF-8.",
            "Write it to a UTF-8 file and pass that with --file.",
        ),
    ],
)
def test_what_cannot_be_read_is_told(standard_input, arguments, file, content, message, hint) -> None:
    standard_input(content)
    with pytest.raises(InputError) as caught:
        read_texts(arguments, file)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_texts([], str(tmp_path / "none.txt"))
    assert caught.value.message == f"Cannot read {tmp_path / 'none.txt'}: No such file or directory."


def test_an_error_says_which_text_it_is_about_and_keeps_its_type() -> None:
    with pytest.raises(NumericalError) as caught, naming_source(SourceText("x", "text 3"), 4):
        raise NumericalError("Not finite.", hint="Try float32.")
    assert (caught.value.message, caught.value.hint) == ("text 3: Not finite.", "Try float32.")


def test_the_only_text_needs_no_place() -> None:
    with pytest.raises(InputError) as caught, naming_source(SourceText("x", "text 1"), 1):
        raise InputError("Empty.", hint="Write one.")
    assert caught.value.message == "Empty."
