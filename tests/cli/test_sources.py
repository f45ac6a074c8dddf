"""``sources``: the library's answer map as text, JSON and files; an exit code for what has no source."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_models

from model_understanding import AnswerMap, GenerativeModelVisualizer

QUESTION, ANSWER = "What was bad?", "The plot was dull, and it was not in Paris."


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    tiny_models.fresh("llama", max_position_embeddings=512).save_pretrained(folder)
    tiny_models.tokenizer_of("llama").save_pretrained(folder)
    return str(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "film.txt").write_text("The film was wonderful. The actors were brilliant.", encoding="utf-8")
    (folder / "plot.txt").write_text("A dull plot. I would not call it bad!", encoding="utf-8")
    return folder


def test_the_answer_map_is_the_library_s(command: Callable, model: str, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "paris.md"
    other.write_text("The capital of France is Paris.", encoding="utf-8")
    options = ("--documents", str(folder), "--documents", str(other), "--question", QUESTION)
    outcome = command("sources", model, *options, "--answer", ANSWER, "--json")
    assert outcome.code == 0
    found = AnswerMap.from_json(outcome.out)
    expected = GenerativeModelVisualizer(model).map_answer(
        question=QUESTION, documents=[folder, other], answer=ANSWER
    )
    assert [source.name for source in found.sources] == ["film.txt", "plot.txt", "paris.md"]
    assert found.effects == pytest.approx(expected.effects, abs=1e-5)
    assert found.answer == ANSWER


def test_it_is_printed_with_its_sentence_first(
    command: Callable, model: str, folder: Path, tmp_path: Path
) -> None:
    files = [tmp_path / f"answers.{suffix}" for suffix in ("json", "csv", "html")]
    options = [word for file in files for word in ("--out", str(file))]
    outcome = command(
        "sources", model, "--documents", str(folder), "--question", QUESTION, "--answer", ANSWER, *options
    )
    assert outcome.code == 0
    answers = AnswerMap.from_json(files[0].read_text(encoding="utf-8"))
    assert outcome.out.splitlines()[0] == str(answers).splitlines()[0]
    words = " ".join(outcome.out.split())
    assert "The plot was dull [no source], and it was not in Paris [no source]." in words
    assert "“Comes from” is not “is supported by”" in words
    assert "Sources (built-in prompt): [1] film.txt, [2] plot.txt" in words
    assert "⟨film.txt⟩" in words
    assert files[1].read_text(encoding="utf-8").startswith("statement,text,origin")
    assert files[2].read_text(encoding="utf-8") == answers.to_html()


def test_a_statement_that_rests_on_nothing_sets_the_exit_code(
    command: Callable, model: str, folder: Path
) -> None:
    options = ("--documents", str(folder), "--question", QUESTION, "--answer", ANSWER)
    outcome = command("sources", model, *options, "--fail-unsupported")
    assert outcome.code == 3
    assert "error: 2 statements rest on nothing in the documents." in outcome.err
    assert outcome.out.startswith("Both statements rest on nothing in the sources.")
    repeated = ("--documents", str(folder), "--question", QUESTION, "--answer", "What was bad?")
    assert command("sources", model, *repeated, "--fail-unsupported").code == 0


def test_a_span_and_what_it_is_compared_with_are_options(command: Callable, model: str, folder: Path) -> None:
    options = ("--documents", str(folder), "--question", QUESTION, "--answer", ANSWER, "--json")
    outcome = command("sources", model, *options, "--span", "Paris", "--against", "runner-up")
    found = AnswerMap.from_json(outcome.out)
    expected = GenerativeModelVisualizer(model).map_answer(
        question=QUESTION, documents=folder, answer=ANSWER, span="Paris", against="runner-up"
    )
    assert [statement.text for statement in found.statements] == ["Paris"]
    assert found.against == expected.against
    assert found.effects == pytest.approx(expected.effects, abs=1e-5)
    wrong = command("sources", model, *options, "--span", "Berlin")
    assert wrong.code == 2
    assert "'Berlin' does not occur" in wrong.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--question", "Why?"), "Missing option '--documents'"),
        (("--documents", "x.txt"), "Missing option '--question'"),
        (("--documents", "missing.txt", "--question", "Why?"), "Cannot read missing.txt: No such file"),
        (("--documents", "a.txt", "b.txt", "--question", "Why?"), "Repeat --documents before each one."),
    ],
)
def test_what_is_missing_is_named(
    command: Callable, model: str, words: tuple[str, ...], message: str
) -> None:
    outcome = command("sources", model, *words)
    assert outcome.code == 2
    assert message in outcome.err


def test_its_help_only_offers_what_language_models_take(command: Callable) -> None:
    words = command("sources", "--help").out
    assert "causal-lm" in words
    for other in ("token-classification", "--aggregation", "--pooling", "--multi-label"):
        assert other not in words


def test_a_classifier_is_refused(command: Callable, classifier: str, folder: Path) -> None:
    outcome = command("sources", classifier, "--documents", str(folder), "--question", "Why?")
    assert outcome.code == 2
    assert "sources is for" in outcome.err
