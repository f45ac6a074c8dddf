"""The command line explains every kind of model: it picks the kind, and takes what belongs to a text."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_kinds
import tiny_masked

from model_understanding import AttentionMap, InputError, Report, visualizer
from model_understanding.show.payload.reproduced_command import attribution_command

TEXT, CONTEXT = "the king is bad", "Once upon a time there lived a king."
MASKED = tiny_masked.text_of("bert")
GIVEN = {
    "sequence-classification": (TEXT, ()),
    "causal-lm": (TEXT, ("--max-new-tokens", "2")),
    "token-classification": (TEXT, ()),
    "question-answering": ("who lived?", ("--context", CONTEXT)),
    "masked-lm": (MASKED, ()),
    "seq2seq-lm": (TEXT, ("--max-new-tokens", "3")),
    "multiple-choice": (TEXT, ("--choice", "a film", "--choice", "a dull plot")),
    "zero-shot-classification": (TEXT, ("--label", "good", "--label", "bad")),
    "reranking": (TEXT, ("--document", "a film", "--document", "a dull plot")),
    "sentence-similarity": (TEXT, ("--pair", "a dull plot")),
}
INPUTS = {
    "question-answering": ("who lived?", CONTEXT),
    "multiple-choice": (TEXT, ["a film", "a dull plot"]),
    "zero-shot-classification": (TEXT, ["good", "bad"]),
    "reranking": (TEXT, ["a film", "a dull plot"]),
    "sentence-similarity": (TEXT, "a dull plot"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """``folder(task)`` is the folder of a tiny model of a task."""
    folders: dict[str, str] = {}

    def saved(task: str) -> str:
        if task not in folders:
            folders[task] = tiny_kinds.save(task, tmp_path_factory.mktemp(task))
        return folders[task]

    return saved


def the_report(outcome: object) -> Report:
    assert outcome.code == 0, outcome.err  # pyright: ignore[reportAttributeAccessIssue]
    return Report.from_json(outcome.out)  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("task", GIVEN)
def test_explain_does_what_the_visualizer_does(command: Callable, folder: Callable, task: str) -> None:
    text, options = GIVEN[task]
    report = the_report(command("explain", folder(task), text, *options, "-m", "saliency", "--json"))
    model = visualizer(folder(task), task=task)
    generation = {"max_new_tokens": int(options[1])} if task in ("causal-lm", "seq2seq-lm") else {}
    expected = model.analyze(
        INPUTS.get(task, text), method="saliency", attention=(), show=False, **generation
    )
    assert [each.targets for each in report.attributions] == [each.targets for each in expected.attributions]
    for ours, theirs in zip(report.attributions, expected.attributions, strict=True):
        assert ours.scores == pytest.approx(theirs.scores, rel=1e-6)
    for part in ("prediction", "generation", "answer", "attention"):
        assert type(getattr(report, part)) is type(getattr(expected, part))
    assert report.evaluations


@pytest.mark.parametrize("task", GIVEN)
def test_explain_prints_and_saves_a_page(
    command: Callable, folder: Callable, tmp_path: Path, task: str
) -> None:
    text, options = GIVEN[task]
    path = tmp_path / "x.html"
    arguments = (*options, "-m", "saliency", "--no-evaluate", "--out", str(path))
    outcome = command("explain", folder(task), text, *arguments)
    assert outcome.code == 0, outcome.err
    assert outcome.out.strip()
    assert "<html" in path.read_text("utf-8")


@pytest.mark.parametrize("task", GIVEN)
def test_reports_of_one_text_are_the_same_whatever_else_is_saved(
    command: Callable, folder: Callable, tmp_path: Path, task: str
) -> None:
    text, options = GIVEN[task]
    first, second, page = (str(tmp_path / name) for name in ("1.json", "2.json", "1.html"))
    for files in (("--out", first, "--out", page), ("--out", second)):
        outcome = command("explain", folder(task), text, *options, "-m", "saliency", "--no-evaluate", *files)
        assert outcome.code == 0, outcome.err
    for pair in ((first, second), (second, first)):
        outcome = command("compare", *pair, "--json", "--fail-above", "0")
        assert (outcome.code, outcome.err) == (0, "")
        comparison = json.loads(outcome.out)
        assert comparison["attention"]
        which = ("first", "second")[pair[0] == second]
        assert all(
            note.startswith((f"Only the {which} report has", "Only the model's own choices"))
            for note in comparison["notes"]
        )
    assert len(Report.load(first).attention) > len(Report.load(second).attention)


@pytest.mark.parametrize("task", GIVEN)
def test_results_name_what_the_model_is_explained_as(folder: Callable, task: str) -> None:
    model = visualizer(folder(task), task=task)
    result = model.compute_saliency(INPUTS.get(task, GIVEN[task][0]), method="saliency")
    for each in result if isinstance(result, list) else [result]:
        assert each.provenance.task == task


@pytest.mark.parametrize(
    "text",
    [("who?", ["a king", "a film"]), ("who?", ("a king",)), {"query": "who?", "documents": ["a king"]}],
)
def test_a_classifier_that_is_given_documents_names_the_kinds_that_read_them(
    folder: Callable, text: object
) -> None:
    model = visualizer(folder("sequence-classification"))
    with pytest.raises(InputError, match="one text with several others") as refused:
        model.analyze(text, show=False)
    assert 'task="reranking"' in refused.value.hint
    assert 'task="zero-shot-classification"' in refused.value.hint


def test_an_option_of_another_command_is_named_as_such(command: Callable) -> None:
    outcome = command("evaluate", "demo:sentiment", "fine", "--target", "positive")
    assert outcome.code == 2
    assert "hint: --target is an option of explain, ledger and diff, not of evaluate." in outcome.err


@pytest.mark.parametrize("suffix", ["html", "csv"])
def test_attention_is_saved_in_each_format_of_a_map(
    command: Callable, folder: Callable, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    assert command("attention", folder("sequence-classification"), TEXT, "--out", str(path)).code == 0
    model = visualizer(folder("sequence-classification"))
    expected = model.compute_attention(TEXT).save(tmp_path / f"b.{suffix}").read_text("utf-8")
    assert suffix == "html" or path.read_text("utf-8") == expected
    assert path.stat().st_size


def test_the_warning_of_an_integral_names_a_command_that_works(command: Callable, folder: Callable) -> None:
    rough = ("--method", "integrated_gradients", "--set", "nodes=1", "--set", "max_nodes=1")
    model, shown = folder("sequence-classification"), ("--no-evaluate", "--json")
    report = the_report(command("explain", model, TEXT, *rough, "--set", "tolerance=0.000001", *shown))
    (caution,) = (each for each in report.attributions[0].provenance.cautions if "max_nodes" in each)
    options = caution.partition("max_nodes (")[2].partition(",")[0]
    assert options == "explain MODEL TEXT --method integrated_gradients --set max_nodes=200"
    assert "method=IntegratedGradients(max_nodes=200) in Python" in caution
    arguments = shlex.split(options.replace("MODEL", model).replace("TEXT", shlex.quote(TEXT)))
    again = the_report(command(*arguments, *shown))
    assert again.attributions[0].parameters["max_nodes"] == 200


def test_a_similarity_is_not_called_a_classifier(command: Callable, folder: Callable, tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{name}.json") for name in ("pair", "ranking")]
    for path, option in zip(paths, ("--pair", "--document"), strict=True):
        arguments = (option, "a dull plot", "-m", "saliency", "--scores-only", "--out", path)
        assert command("explain", folder("sentence-similarity"), TEXT, *arguments).code == 0
    outcome = command("compare", *paths)
    assert outcome.code == 2
    assert "a report on the similarity of two texts (pair.json) with one on ranked documents" in outcome.err


@pytest.mark.parametrize("task", GIVEN)
def test_attention_and_estimates(command: Callable, folder: Callable, task: str) -> None:
    text, options = GIVEN[task]
    outcome = command("explain", folder(task), text, *options, "--estimate", "--json", "-m", "saliency")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["forwards"] >= 1
    outcome = command("attention", folder(task), text, *options, "--json")
    assert outcome.code == 0, outcome.err
    maps = [json.loads(line) for line in outcome.out.splitlines()]
    assert [each["map"] for each in maps] == ["raw"]


@pytest.mark.parametrize("task", GIVEN)
def test_evaluate(command: Callable, folder: Callable, task: str) -> None:
    text, options = GIVEN[task]
    outcome = command("evaluate", folder(task), text, *options, "--methods", "saliency", "--json")
    assert outcome.code == 0, outcome.err
    assessments = [json.loads(line) for line in outcome.out.splitlines()]
    assert {assessment["method"] for assessment in assessments} == {"saliency"}


def test_a_word_is_masked(command: Callable, folder: Callable) -> None:
    text = "the king is bad"
    report = the_report(
        command("explain", folder("masked-lm"), text, "--mask", "king", "--scores-only", "--json")
    )
    model = visualizer(folder("masked-lm"), task="masked-lm")
    assert report.texts == (model.mask(text, "king"),)


@pytest.mark.parametrize(
    ("task", "text", "options", "named"),
    [
        ("token-classification", TEXT, ("--target", "king=ORG"), "king"),
        ("question-answering", "who?", ("--context", CONTEXT, "--target", "a king"), "a king"),
        ("multiple-choice", TEXT, ("--choice", "a", "--choice", "4", "--target", "4"), "4"),
        ("zero-shot-classification", TEXT, ("--label", "good", "--label", "bad", "--target", "1"), "bad"),
    ],
)
def test_targets_are_named_as_typed(
    command: Callable, folder: Callable, task: str, text: str, options: tuple[str, ...], named: str
) -> None:
    report = the_report(command("explain", folder(task), text, *options, "--scores-only", "--json"))
    assert named in report.attributions[0].targets[0].description()


def test_tokens_at_a_mask_are_named_by_id(command: Callable, folder: Callable) -> None:
    options = ("--target", "id:7", "--against", "id:9", "--scores-only", "--json")
    report = the_report(command("explain", folder("masked-lm"), "the [MASK] is bad", *options))
    target = report.attributions[0].targets[0]
    assert (target.indices, target.against, target.quantity) == ((7,), (9,), "log_prob")


def test_options_of_a_kind(command: Callable, folder: Callable) -> None:
    given = (folder("zero-shot-classification"), TEXT, "--label", "good", "--scores-only", "--json")
    report = the_report(command("explain", *given, "--hypothesis-template", "it is {}", "--multi-label"))
    assert report.texts == (TEXT, "it is good")
    outcome = command("explain", folder("token-classification"), TEXT, "--aggregation", "first", "--json")
    assert the_report(outcome).answer.aggregation == "first"  # pyright: ignore


COLUMNS = {
    "question-answering": (
        "question,context\nwho?,a king lived\nwhat?,a dull film\n",
        ("--column", "question", "--context-column", "context"),
    ),
    "multiple-choice": (
        "text,first,second\nthe film,is bad,was dull\nthe plot,is good,is bad\n",
        ("--choice-column", "first", "--choice-column", "second"),
    ),
    "zero-shot-classification": (
        '{"text": "a film", "labels": ["good", "bad", "dull"]}\n{"text": "a plot", "labels": ["good"]}\n',
        ("--choice-column", "labels", "--task", "zero-shot-classification", "--format", "jsonl"),
    ),
    "seq2seq-lm": (
        "text,translation\nthe film,was bad\na plot,is good\n",
        ("--continuation-column", "translation"),
    ),
    "causal-lm": ("text,next\nthe film, was bad\na plot, is good\n", ("--continuation-column", "next")),
}


@pytest.mark.parametrize("task", COLUMNS)
def test_the_columns_of_a_file(command: Callable, folder: Callable, tmp_path: Path, task: str) -> None:
    content, options = COLUMNS[task]
    file = tmp_path / "texts.csv"
    file.write_text(content)
    outcome = command("explain", folder(task), "--file", str(file), *options, "--scores-only", "--json")
    assert outcome.code == 0, outcome.err
    first, second = (Report.from_json(line) for line in outcome.out.splitlines())
    if task == "question-answering":
        assert (first.texts, second.texts) == (("who?", "a king lived"), ("what?", "a dull film"))
    elif task in ("seq2seq-lm", "causal-lm"):
        assert [report.texts[-1].strip() for report in (first, second)] == ["was bad", "is good"]
    else:
        counts = (2, 2) if task == "multiple-choice" else (3, 1)
        assert (len(first.answer.names), len(second.answer.names)) == counts  # pyright: ignore


MISSING = {
    "question-answering": ("needs a context besides the question", "--context TEXT"),
    "multiple-choice": ("needs choices besides the text", "--choice TEXT"),
    "sentence-similarity": ("needs a second text, or documents to rank", "--pair TEXT, or --document TEXT"),
}


@pytest.mark.parametrize("task", MISSING)
def test_what_a_kind_needs_besides_a_text(command: Callable, folder: Callable, task: str) -> None:
    for name in ("explain", "evaluate", *(("attention",) if task != "sentence-similarity" else ())):
        outcome = command(name, folder(task), TEXT)
        assert outcome.code == 2
        assert all(words in outcome.err for words in MISSING[task])


@pytest.mark.parametrize(
    ("task", "option"),
    [
        ("token-classification", ("--choice", "x")),
        ("token-classification", ("--mask", "film")),
        ("token-classification", ("--pair", "x")),
        ("masked-lm", ("--label", "x")),
        ("masked-lm", ("--continuation", "x")),
        ("question-answering", ("--document", "x")),
        ("seq2seq-lm", ("--chat",)),
        ("seq2seq-lm", ("--choice", "x")),
        ("multiple-choice", ("--aggregation", "max")),
        ("causal-lm", ("--source-language", "en")),
        ("sequence-classification", ("--hypothesis-template", "It is {}")),
    ],
)
def test_what_is_for_another_kind(
    command: Callable, folder: Callable, task: str, option: tuple[str, ...]
) -> None:
    outcome = command("explain", folder(task), TEXT, *option)
    assert outcome.code == 2
    assert f"{option[0]} is for " in outcome.err
    assert f"but this model's task is {task}." in outcome.err
    assert f"hint: Drop {option[0]}." in outcome.err


def test_a_model_of_another_task_is_refused_with_its_own(command: Callable, folder: Callable) -> None:
    outcome = command("explain", folder("seq2seq-lm"), TEXT, "--task", "causal-lm")
    assert outcome.code == 2
    assert "Seq2SeqVisualizer (--task seq2seq-lm)" in outcome.err


def test_the_stacks_of_an_encoder_decoder(command: Callable, folder: Callable) -> None:
    given = (folder("seq2seq-lm"), TEXT, "--continuation", "a dull plot", "--json", "--stack")
    maps = {}
    for stack in ("encoder", "decoder", "cross"):
        outcome = command("attention", *given, stack)
        assert outcome.code == 0, outcome.err
        maps[stack] = AttentionMap.from_json(outcome.out)
        assert maps[stack].stack == stack
    assert maps["cross"].keys.texts[0] == maps["encoder"].keys.texts[0] == TEXT
    refused = command("attention", folder("sequence-classification"), TEXT, "--stack", "cross")
    assert refused.code == 2
    assert "hint: " in refused.err


@pytest.mark.parametrize("task", GIVEN)
def test_the_command_of_a_page_computes_its_maps(command: Callable, folder: Callable, task: str) -> None:
    text, options = GIVEN[task]
    generation = {"max_new_tokens": int(options[1])} if task in ("causal-lm", "seq2seq-lm") else {}
    model = visualizer(folder(task), task=task)
    report = model.analyze(
        INPUTS.get(task, text), method="saliency", attention=(), evaluate=False, show=False, **generation
    )
    for found in report.attributions:
        program, name, model_path, *arguments = shlex.split(attribution_command(report, found))
        assert (program, name, model_path) == (
            "model-understanding",
            "explain",
            f"path/to/{Path(folder(task)).name}",
        )
        again = the_report(command("explain", folder(task), *arguments, "--scores-only", "--json"))
        assert again.attributions[0].targets == found.targets
        assert again.attributions[0].scores == pytest.approx(found.scores, rel=1e-6)


def test_several_targets_of_a_text_are_counted_as_targets(command: Callable, folder: Callable) -> None:
    texts = ("the king is bad", "the king lived and the dull plot was a bad idea")
    counts = [len(visualizer(folder("token-classification")).predict(text).entities) for text in texts]
    arguments = (folder("token-classification"), *texts, "--methods", "saliency")
    outcome = command("evaluate", *arguments)
    assert outcome.code == 0, outcome.err
    assert f"saliency  {sum(counts)} targets in 2 texts" in outcome.out
    outcome = command("evaluate", arguments[0], texts[1], "--methods", "saliency")
    headings = [line for line in outcome.out.splitlines() if line.startswith("saliency  logit of ")]
    assert len({line for line in headings if "supported" not in line and "weak" not in line}) == counts[1]


@pytest.mark.parametrize("task", ["question-answering", "token-classification", "masked-lm"])
def test_questions_name_the_same_of_words_as_of_tokens(
    command: Callable, folder: Callable, task: str
) -> None:
    text, options = GIVEN[task]
    given = ("explain", folder(task), text, *options, "-m", "saliency", "--scores-only")
    lines = [command(*given, "--level", level).out.splitlines() for level in ("token", "word")]
    of_tokens, of_words = ([line for line in each if line.startswith("Why")] for each in lines)
    assert [line.partition("?")[0] for line in of_words] == [line.partition("?")[0] for line in of_tokens]
    assert of_words


def test_the_lens_reads_what_an_encoder_decoder_writes(command: Callable, folder: Callable) -> None:
    outcome = command("lens", folder("seq2seq-lm"), TEXT, "--json")
    assert outcome.code == 0, outcome.err
    refused = command("lens", folder("seq2seq-lm"), TEXT, "--positions", "0")
    assert refused.code == 2
    assert "Position 0 is in the source" in refused.err


@pytest.mark.parametrize("side", ["first text", "second text"])
def test_the_stack_of_a_pair_is_one_of_its_texts(command: Callable, folder: Callable, side: str) -> None:
    outcome = command(
        "attention", folder("sentence-similarity"), TEXT, "--pair", "a dull plot", "--stack", side, "--json"
    )
    assert outcome.code == 0, outcome.err
    found = AttentionMap.from_json(outcome.out)
    assert found.stack == side
    assert found.keys.texts == (TEXT if side == "first text" else "a dull plot",)


@pytest.mark.parametrize(
    ("task", "options", "said"),
    [
        ("sentence-similarity", ("--stack", "cross"), "Drop --stack, or pass --stack 'first text' or"),
        ("sentence-similarity", ("--stack", "first text"), "--stack 'second text' and --pair TEXT."),
        ("sentence-similarity", ("--stack", "encoder", "--pair", "a"), "encoder reads each text by itself."),
        (
            "sequence-classification",
            ("--stack", "first text"),
            "Drop --stack; of an encoder–decoder pass one",
        ),
    ],
)
def test_a_stack_that_a_model_lacks_is_refused_with_what_works(
    command: Callable, folder: Callable, task: str, options: tuple[str, ...], said: str
) -> None:
    outcome = command("attention", folder(task), TEXT, *options)
    assert outcome.code == 2
    assert said in " ".join(outcome.err.split())


def test_a_column_of_choices_names_the_tasks_that_have_them(
    command: Callable, folder: Callable, tmp_path: Path
) -> None:
    path = tmp_path / "rr.jsonl"
    path.write_text(json.dumps({"query": "who lived?", "documents": ["a king", "a dull plot"]}), "utf-8")
    given = ("explain", folder("reranking"), "--file", str(path), "--column", "query")
    given = (*given, "--choice-column", "documents", "--scores-only", "--json")
    outcome = command(*given)
    assert outcome.code == 2
    assert "pass --task reranking for documents" in " ".join(outcome.err.split())
    assert the_report(command(*given, "--task", "reranking")).texts[0] == "who lived?"


def test_a_missing_cell_is_named(command: Callable, folder: Callable, tmp_path: Path) -> None:
    path = tmp_path / "qa.jsonl"
    path.write_text(json.dumps({"question": "who lived?"}) + '\n{"question": "a", "context": "b"}', "utf-8")
    given = ("--file", str(path), "--column", "question", "--context-column", "context")
    outcome = command("explain", folder("question-answering"), *given, "--scores-only", "--json")
    assert "Column 'context' is missing. Write a string there." in " ".join(outcome.err.split())
