import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from saved_files import saved_message

from model_understanding import Report, Saliency, load_reports
from model_understanding.errors import InputError

TEXT = "The film was wonderful, but a dull plot is bad."
HOSTILE = "[red]wonderful[/red] \x1b[2J\x9b31m film \u202eevil"


def reports(outcome) -> list[Report]:
    assert outcome.code == 0, outcome.err
    return [Report.from_json(line) for line in outcome.out.splitlines()]


def test_json_is_one_line_and_nothing_else_stands_on_stdout(command: Callable, classifier: str) -> None:
    outcome = command("explain", classifier, TEXT, "--json")
    assert outcome.err == ""
    assert outcome.out.count("\n") == 1
    (report,) = reports(outcome)
    assert report.prediction is not None
    assert report.texts == (TEXT,)
    assert report.attributions[0].targets[0].labels == (report.prediction.label,)
    assert len(report.attention) == 1


def test_several_texts_give_one_line_each(command: Callable, classifier: str, tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("dull\n\nbad plot\n")
    outcome = command("explain", classifier, "wonderful", "--file", str(file), "--json")
    assert [report.texts[0] for report in reports(outcome)] == ["wonderful", "dull", "bad plot"]


def test_the_model_s_answer_is_the_library_s(command: Callable, classifier: str) -> None:
    from model_understanding import ModelVisualizer

    (report,) = reports(
        command(
            "explain", classifier, TEXT, "--json", "-m", "saliency", "--set", "norm=l1",
            "--target", "0", "--against", "1", "--quantity", "prob",
        )
    )  # fmt: skip
    expected = ModelVisualizer(classifier).compute_saliency(
        TEXT, method=Saliency(norm="l1"), target=0, against=1, quantity="prob"
    )
    found = report.attributions[0]
    assert found.targets == expected.targets
    assert found.parameters == {"norm": "l1"}
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)
    assert np.ptp(found.scores) > 0


def test_several_targets_are_several_rows(command: Callable, classifier: str) -> None:
    (report,) = reports(command("explain", classifier, TEXT, "--json", "--target", "2", "--target", "0"))
    assert [target.indices for target in report.attributions[0].targets] == [(2,), (0,)]


def test_a_pair(command: Callable, classifier: str) -> None:
    (report,) = reports(command("explain", classifier, "wonderful film", "--pair", "bad plot", "--json"))
    assert report.texts == ("wonderful film", "bad plot")


def test_word_level_joins_tokens_and_keeps_the_sum(command: Callable, classifier: str) -> None:
    arguments = ("explain", classifier, "wonderfully", "--json", "-m", "input_x_gradient")
    (tokens,) = reports(command(*arguments))
    (words,) = reports(command(*arguments, "--level", "word"))
    assert len(words.attributions[0].tokens) < len(tokens.attributions[0].tokens)
    assert words.attention[0].weights.shape[-1] == len(words.attributions[0].tokens)
    np.testing.assert_allclose(
        words.attributions[0].scores.sum(), tokens.attributions[0].scores.sum(), rtol=1e-4
    )


def test_out_writes_each_format_and_says_so_on_stderr(
    command: Callable, classifier: str, tmp_path: Path
) -> None:
    suffixes = ("html", "png", "svg", "pdf", "json", "csv", "npz")
    files = [tmp_path / f"report.{suffix}" for suffix in suffixes]
    options = [part for file in files for part in ("--out", str(file))]
    outcome = command("explain", classifier, TEXT, *options)
    assert outcome.code == 0
    assert outcome.err == saved_message(*files)
    begins = {file.suffix: file.read_bytes()[:5] for file in files}
    assert (begins[".png"], begins[".pdf"]) == (b"\x89PNG\r", b"%PDF-")
    assert Report.load(tmp_path / "report.json").texts == (TEXT,)
    rows = list(csv.DictReader((tmp_path / "report.csv").open(encoding="utf-8")))
    assert len(rows) == len(Report.load(tmp_path / "report.npz").attributions[0].tokens)
    assert sorted(tmp_path.iterdir()) == sorted(files)  # nothing temporary is left


def test_json_lines_hold_a_single_report_too(command: Callable, classifier: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    assert command("explain", classifier, "bad", "--scores-only", "--out", str(path)).code == 0
    (report,) = load_reports(path)
    assert isinstance(report, Report)
    assert report.texts == ("bad",)


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_reports_of_several_texts_share_one_file(
    command: Callable, classifier: str, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"x{suffix}"
    assert command("explain", classifier, "bad", "", "dull", "--out", str(path)).code == 3
    assert list(tmp_path.iterdir()) == [path]
    first, failed, last = load_reports(path)
    assert isinstance(first, Report)
    assert isinstance(last, Report)
    assert (first.texts, failed.message, last.texts) == (("bad",), "The text is empty.", ("dull",))


def test_the_table_of_several_texts_names_the_source_of_each(
    command: Callable, classifier: str, tmp_path: Path
) -> None:
    source, path = tmp_path / "reviews.csv", tmp_path / "x.csv"
    source.write_text("n,text\n1,bad\n2,a dull plot\n")
    outcome = command("explain", classifier, "--file", str(source), "--scores-only", "--out", str(path))
    assert outcome.code == 0
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    assert {row["source"] for row in rows} == {f"row {n} (line {n + 1}) of {source}" for n in (1, 2)}


def test_figures_of_several_texts_are_numbered(command: Callable, classifier: str, tmp_path: Path) -> None:
    path = tmp_path / "x.svg"
    assert command("explain", classifier, "bad", "dull", "--scores-only", "--out", str(path)).code == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["x-1.svg", "x-2.svg"]


def test_what_is_printed_holds_no_control_characters_and_no_markup(
    command: Callable, classifier: str
) -> None:
    for option in ((), ("--json",)):
        outcome = command("explain", classifier, HOSTILE, *option)
        assert outcome.code == 0, outcome.err
        assert "[red]wonderful[/red]" in outcome.out
        assert not {"\x1b", "\x9b", "\u202e"} & set(outcome.out)
    assert Report.from_json(outcome.out).texts == (HOSTILE,)


def test_a_language_model_by_default(command: Callable, language_model: str) -> None:
    (report,) = reports(command("explain", language_model, TEXT, "--max-new-tokens", "3", "--json"))
    assert report.generation is not None
    steps = len(report.generation.probabilities)
    assert 1 <= steps <= 3
    each, loss = report.attributions
    assert len(each.targets) == steps
    assert loss.targets[0].name == "loss"


@pytest.mark.parametrize(
    ("options", "rows", "quantity", "name"),
    [
        (("--target", "loss"), 1, "loss", "loss"),
        (("--target", "next"), 1, "log_prob", None),
        (("--target", "id:7", "--quantity", "logit"), 1, "logit", None),
        (("--target", "continuation", "--continuation", " a bad film"), 1, "log_prob", "continuation"),
        (("--per-token", "--max-new-tokens", "2", "--quantity", "prob"), 2, "prob", None),
        (("--target", "id:7", "--target", " the", "--target", "id:9"), 3, "log_prob", None),
        (
            ("--target", "continuation", "--continuation", " a bad film", "--span", "bad"),
            1,
            "log_prob",
            "bad",
        ),
        (("--continuation", " a bad film", "--span", "0:2", "--per-token"), 2, "log_prob", None),
        (("--target", "loss", "--span", "wonderful"), 1, "loss", "loss of wonderful"),
    ],
)
def test_targets_of_a_language_model(
    command: Callable,
    language_model: str,
    options: tuple[str, ...],
    rows: int,
    quantity: str,
    name: str | None,
) -> None:
    (report,) = reports(command("explain", language_model, TEXT, "--json", *options))
    (attribution,) = report.attributions
    assert len(attribution.targets) == rows
    assert (attribution.targets[0].quantity, attribution.targets[0].name) == (quantity, name)


def test_contrasts_for_each_step(command: Callable, language_model: str) -> None:
    arguments = ("explain", language_model, TEXT, "--json", "--continuation", " a film", "--span", "0:2")
    (report,) = reports(command(*arguments, "--against", "id:7", "--against", " the"))
    (target,) = report.attributions[0].targets
    assert (len(target.indices), target.against[0], target.against_labels[1]) == (2, 7, " the")
    (report,) = reports(command(*arguments, "--against", "runner-up", "--per-token"))
    for target in report.attributions[0].targets:
        assert len(target.against) == 1
        assert target.against != target.indices
    (report,) = reports(command(*arguments, "--alternatives", "2"))
    assert report.contrasts is not None
    assert len(report.contrasts.targets) == 4


def test_a_chat_has_a_system_prompt_tools_and_template_arguments(
    command: Callable, language_model: str, tmp_path: Path
) -> None:
    tools = tmp_path / "tools.json"
    tools.write_text(json.dumps([{"type": "function", "function": {"name": "weather"}}]))
    options = ("--method", "saliency", "--target", "next", "--no-evaluate", "--json")
    chat = ("--system", "Be brief.", "--tools", str(tools), "--template-argument", "enable_thinking=false")
    (report,) = reports(command("explain", language_model, "The king", *chat, *options))
    text = report.attributions[0].tokens.texts[0]
    assert text.startswith("<|system|>\nBe brief.\n<|user|>\nThe king\n<|assistant|>")
    (plain,) = reports(command("explain", language_model, "The king", "--chat", *options))
    assert text.endswith(plain.attributions[0].tokens.texts[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--template-argument", "thinking"), "Invalid --template-argument 'thinking'. Expected NAME=VALUE."),
        (("--tools", "no-such-file.json"), "Cannot read no-such-file.json: No such file or directory."),
    ],
)
def test_options_of_a_chat_are_checked(
    command: Callable, language_model: str, options: tuple[str, ...], message: str
) -> None:
    outcome = command("explain", language_model, TEXT, *options)
    assert outcome.code == 2
    assert message in outcome.err


def test_a_token_by_id_is_that_token(command: Callable, language_model: str) -> None:
    arguments = ("--target", "id:7", "--against", "id:9", "--json")
    (report,) = reports(command("explain", language_model, TEXT, *arguments))
    target = report.attributions[0].targets[0]
    assert (target.indices, target.against) == ((7,), (9,))


@pytest.mark.parametrize(
    ("fixture", "options", "message", "hint"),
    [
        (
            "classifier",
            ("--chat",),
            "--chat is for language models only, but this model's task is sequence-classification.",
            "Drop --chat, or load the model with --task causal-lm.",
        ),
        (
            "classifier",
            ("--system", "Be brief."),
            "--system is for language models only, but this model's task is sequence-classification.",
            "Drop --system, or load the model with --task causal-lm.",
        ),
        (
            "language_model",
            ("--pair", "x"),
            "--pair is for classifiers, question answering models, masked language models and models of "
            "similarity only, but this model's task is causal-lm.",
            "Drop --pair, or load the model with --task sequence-classification.",
        ),
        (
            "language_model",
            ("--target", "loss", "--target", "next"),
            "--target loss cannot be combined with other targets. Got loss, next.",
            "Pass only --target loss, or only tokens.",
        ),
        (
            "language_model",
            ("--target", "loss", "--per-token"),
            "--per-token needs the target continuation. Got --target loss.",
            "Drop --per-token or --target.",
        ),
        (
            "classifier",
            ("--target", "LABEL_9"),
            "Unknown label 'LABEL_9'. Allowed: LABEL_0, LABEL_1, LABEL_2.",
            "Did you mean 'LABEL_2'?",
        ),
    ],
)
def test_what_does_not_fit_the_model_is_told(
    command: Callable,
    request: pytest.FixtureRequest,
    fixture: str,
    options: tuple[str, ...],
    message: str,
    hint: str,
) -> None:
    outcome = command("explain", request.getfixturevalue(fixture), TEXT, *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == f"error: {message}\nhint: {hint}\n"


@pytest.mark.parametrize("bad", ["", "good " * 300], ids=["empty", "too long"])
@pytest.mark.parametrize("model", ["classifier", "language_model"])
def test_one_bad_text_of_several_is_named_and_the_others_are_answered(
    command: Callable, request: pytest.FixtureRequest, model: str, bad: str
) -> None:
    texts = ("bad plot", bad, "a dull film")
    options = ("--scores-only", "--max-new-tokens", "1") if model == "language_model" else ("--scores-only",)
    outcome = command("explain", request.getfixturevalue(model), *texts, *options, "--json")
    assert outcome.code == 3
    assert [Report.from_json(line).texts[0] for line in outcome.out.splitlines()] == [texts[0], texts[2]]
    named, counted = outcome.err.splitlines()
    assert named.startswith("failed: text 2: The ")
    assert counted == "error: 1 of 3 texts failed."


def test_on_error_stop_keeps_the_texts_before(command: Callable, classifier: str) -> None:
    outcome = command("explain", classifier, "bad", "", "dull", "--json", "--on-error", "stop")
    assert outcome.code == 2
    assert outcome.out.count("\n") == 1
    assert outcome.err.startswith("error: text 2: The text is empty.")


def test_what_is_wrong_with_every_text_is_said_once(command: Callable, classifier: str) -> None:
    outcome = command("explain", classifier, "", "", "--json")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == "error: The text is empty.\nhint: Pass at least one character.\n"
    outcome = command("explain", classifier, "bad", "dull", "--target", "nonsense")
    assert outcome.code == 2
    assert outcome.err.startswith("error: Unknown label 'nonsense'.")


def test_a_row_of_a_file_that_cannot_be_read_is_named_with_the_others(
    command: Callable, classifier: str, tmp_path: Path
) -> None:
    file = tmp_path / "texts.txt"
    file.write_bytes(b"bad plot\nnot \xff\na dull film\n")
    outcome = command("explain", classifier, "--file", str(file), "--scores-only", "--json")
    assert (outcome.code, outcome.out.count("\n")) == (3, 2)
    assert outcome.err.startswith(f"failed: line 2 of {file}: It is not valid UTF-8: invalid byte 0xff")


def test_pairs_of_a_table(command: Callable, classifier: str, language_model: str, tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text("premise,hypothesis\na film,a bad film\ndull,bad\n")
    options = ("--file", str(file), "--column", "premise", "--pair-column", "hypothesis")
    outcome = command("explain", classifier, *options, "--scores-only", "--json")
    assert [report.texts for report in reports(outcome)] == [("a film", "a bad film"), ("dull", "bad")]
    refused = command("explain", language_model, *options)
    assert "error: --pair-column is for classifiers, question" in refused.err


def test_a_page_of_several_texts_has_an_index(command: Callable, classifier: str, tmp_path: Path) -> None:
    path = tmp_path / "x.html"
    assert (
        command("explain", classifier, "a bad plot", "", "dull", "--no-evaluate", "--out", str(path)).code
        == 3
    )
    page = path.read_text()
    assert page.count('<details class="mu-entry">') == 2
    assert page.count('data-model-understanding="fragment"') == 2
    assert page.count('<script>"use strict";') == 1
    assert "<strong>text 2:</strong> The text is empty." in page


@pytest.mark.parametrize("kind", ["folder", "a file is the folder"])
def test_a_file_that_cannot_be_written_is_found_before_the_work(
    command: Callable, classifier: str, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "taken.html").mkdir()
    (tmp_path / "file").touch()
    path = tmp_path / ("taken.html" if kind == "folder" else "file/report.html")
    outcome = command("explain", str(tmp_path / "no model"), TEXT, "--out", str(path))
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"error: Cannot write {path}: ")


def test_a_failure_while_saving_still_prints_the_result(
    command: Callable, classifier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("model_understanding.results.files.write_atomically", fail)
    outcome = command("explain", classifier, TEXT, "--json", "--out", str(tmp_path / "x.json"))
    assert outcome.code == 1
    assert Report.from_json(outcome.out).texts == (TEXT,)
    assert "No space left on device" in outcome.err


def test_a_folder_that_is_no_model(command: Callable, tmp_path: Path) -> None:
    outcome = command("explain", str(tmp_path), "text")
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: Cannot load '{tmp_path}': ")
    assert "\nhint: " in outcome.err


def test_a_headless_checkpoint_needs_a_task(command: Callable, classifier: str, tmp_path: Path) -> None:
    config = json.loads((Path(classifier) / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "architectures": ["BertModel"]}))
    outcome = command("explain", str(tmp_path), "text")
    assert outcome.code == 2
    assert outcome.err.startswith(
        f"error: Cannot determine the task of '{tmp_path}': its config names no architecture with a head.\n"
        "hint: To compare two texts by it, pass pooling='mean' (--pooling mean"
    )


def test_the_errors_are_the_library_s(command: Callable, classifier: str) -> None:
    from model_understanding import ModelVisualizer

    with pytest.raises(InputError) as caught:
        ModelVisualizer(classifier).analyze("", show=False)
    assert (
        command("explain", classifier, "").err
        == f"error: {caught.value.message}\nhint: {caught.value.hint}\n"
    )


def test_metrics_asked_for_are_printed_and_saved(command: Callable, classifier: str) -> None:
    run = ("explain", classifier, "but the king was a bad", "--method", "saliency", "--metrics")
    printed = command(*run, "normalized_aopc")
    assert printed.code == 0, printed.err
    (title,) = [line for line in printed.out.splitlines() if "extra metric" in line]
    columns = [part.strip() for part in title.split("  ") if part.strip()]
    assert columns == ["extra metric", "value", "control", "z-score", "raw value", "possible range"]
    assert "possible range: over all removal orders (exact)" in " ".join(printed.out.split())
    report = Report.from_json(command(*run, "normalized_aopc", "--json").out)
    found = [one for one in report.evaluations if one.metric == "normalized_aopc"]
    assert found
    assert all(0 <= one.value <= 1 and one.limits.exact for one in found)
    refused = command(*run, "deletion,insertion", "--no-evaluate")
    assert refused.code == 2
    assert refused.err.startswith(
        "error: --metrics deletion,insertion needs an evaluation, but --no-evaluate turns it off."
    )
