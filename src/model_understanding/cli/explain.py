"""``explain``: which tokens drove the answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from model_understanding.cli import options
from model_understanding.cli.batch import Failures
from model_understanding.cli.columns import SourceText
from model_understanding.cli.console import data_console, print_message, reserved_stdout
from model_understanding.cli.model_argument import ModelChoice, load_visualizer, takes_model
from model_understanding.cli.model_input import FileOptions, InputOptions
from model_understanding.cli.options import LANGUAGE_MODELS, OUTPUT, LevelName, QuantityName, flag, takes
from model_understanding.cli.output import ReportOutput, check_files, print_estimate
from model_understanding.cli.progress import Steps
from model_understanding.cli.request import ExplainRequest, explain_text, explain_texts, join_tokens
from model_understanding.cli.settings import parse_method, parse_metrics
from model_understanding.cli.stored_row import StoredRowOptions
from model_understanding.cli.texts import naming_source
from model_understanding.errors import InputError
from model_understanding.results import Estimate, Failure, Report


@takes_model(optional=True)
@takes(FileOptions, "files")
@takes(InputOptions, "given")
@takes(StoredRowOptions, "stored")
def explain(
    texts: options.Texts = None,
    *,
    context: typer.Context,
    files: FileOptions,
    given: InputOptions,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            "-m",
            metavar="NAME",
            help="Attribution method: default, fast, or a name that `model-understanding methods` lists.",
        ),
    ] = "default",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Set a field of the method, for example norm=l1. Repeatable.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TARGET",
            help="What to explain; default: the model's own answer. Classifier: a label, a class index or "
            "all. Token classifier: an entity by its text, label or index, or TEXT=LABEL. Question: a text "
            "of the context, or no answer. Mask: a token. Choices, labels and documents: one by its text or "
            "index. Language model: loss, continuation, next, a token's text or id:NUMBER; default: each "
            "token of the continuation, and the loss of a prompt. Repeatable.",
            show_default=False,
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TARGET",
            help="Explain the difference target − this: another label, token or answer. For a continuation: "
            "one token per step (repeatable), a text of as many tokens, or runner-up, the most likely other "
            "token of each step.",
            show_default=False,
        ),
    ] = None,
    quantity: Annotated[
        QuantityName | None,
        typer.Option(
            help="Quantity to explain.", show_default="log_prob for tokens of a vocabulary; else logit"
        ),
    ] = None,
    layer: Annotated[
        int | None,
        typer.Option(
            metavar="INDEX",
            help="Score the hidden states that enter this transformer block (-1 is the last) instead of the "
            "embeddings. Gradient methods only.",
            show_default=False,
        ),
    ] = None,
    per_token: Annotated[
        bool,
        flag("--per-token", help="Explain each token of the continuation separately.", panel=LANGUAGE_MODELS),
    ] = False,
    alternatives: Annotated[
        int,
        typer.Option(
            metavar="K",
            min=0,
            help="Also explain why each token was chosen over each of the K most likely others; in the HTML "
            "page, click a token to see it.",
            rich_help_panel=LANGUAGE_MODELS,
        ),
    ] = 0,
    span: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT|START:END",
            help="Explain only this part of the continuation (with --target loss, of the prompt): a piece "
            "of its text, or its tokens from START up to END, counted from 0.",
            rich_help_panel=LANGUAGE_MODELS,
            show_default=False,
        ),
    ] = None,
    stored: StoredRowOptions,
    choice: ModelChoice,
    level: options.Level = LevelName.TOKEN,
    estimate: Annotated[
        bool,
        flag(
            "--estimate",
            help="Print the estimated cost (passes, token positions, memory) instead of explaining.",
            panel=OUTPUT,
        ),
    ] = False,
    evaluate: Annotated[
        bool,
        typer.Option(
            metavar="",
            help="Evaluate the explanation's faithfulness: about 50 more forward passes and 2 to 4 per "
            "token, at most 250.",
            rich_help_panel=OUTPUT,
        ),
    ] = True,
    metrics: options.Metrics = None,
    scores_only: Annotated[
        bool,
        flag(
            "--scores-only",
            help="Compute only the answer and the scores: no attention, head scores, lens or evaluation.",
            panel=OUTPUT,
        ),
    ] = False,
    json_output: options.Json = False,
    out: Annotated[list[Path] | None, options.out_option((*Report.SUFFIXES, ".jsonl"))] = None,
) -> None:
    """Explain which tokens drove a model's answer.

    Explains the model's own answer: a classifier's label, each entity of a token classifier, the span that
    answers a question, the tokens at masks, the best of several choices, or each token that a language model
    generates. The kind of model is read from its config. Prints the text with each token colored by its
    share; --out saves an HTML page, figures or the numbers. Of several texts
    html, json, jsonl and csv are one file (a page has an index, and the main attention map of each text);
    figures and npz are a numbered file for each. A text that fails is skipped, named and counted, and the
    exit code is 3. With --from DIR --id ID it explains a row of a run over a data set.
    """
    paths = tuple(out or ())
    check_files(paths, (*Report.SUFFIXES, ".jsonl"))
    as_page = any(path.suffix.lower() == ".html" for path in paths)
    if stored.check(context, choice):
        output = ReportOutput(paths=paths, as_json=json_output)
        with reserved_stdout() as data:
            with Steps() as steps:
                steps("Explaining")
                report = stored.report(
                    choice,
                    as_page=as_page,
                    evaluate=evaluate,
                    metrics=parse_metrics(metrics) or None,
                    scores_only=scores_only,
                )
            _print_row(stored.in_words(), data, as_json=json_output)
            output.write(join_tokens(report, level), 1, stored.source, data)
            output.save_shared()
        return
    sources = files.texts(texts)
    if estimate and paths:
        raise InputError(
            f"--estimate computes no explanation, so there is nothing to save as {paths[0].name!r}.",
            hint="Drop --out or --estimate; --estimate --json prints the numbers.",
        )
    model_input = given.parsed(files)
    output = ReportOutput(paths=paths, as_json=json_output, count=len(sources))
    with reserved_stdout() as data:
        with Steps() as steps:
            steps("Importing torch and transformers")
            request = ExplainRequest(
                input=model_input,
                method=parse_method(method, settings or ()),
                targets=tuple(target or ()),
                against=tuple(against or ()),
                quantity=quantity,
                layer=layer,
                per_token=per_token,
                alternatives=alternatives,
                span=span,
                level=level,
                estimate=estimate,
                evaluate=evaluate,
                metrics=parse_metrics(metrics),
                scores_only=scores_only,
                as_page=as_page,
            )
            visualizer = load_visualizer(choice, steps, request.check, model_input.refined)
        if len(sources) == 1 or estimate:
            for source in sources:
                with naming_source(source, len(sources)), Steps() as steps:
                    steps("Explaining")
                    result = explain_text(visualizer, source, request, steps.following("Explaining"))
                if isinstance(result, Estimate):
                    print_estimate(result, data, as_json=json_output)
                else:
                    output.write(result, 1, source.source, data)
            output.save_shared()
            return
        failures = files.failures(len(sources))
        try:
            _explain_several(visualizer, sources, request, output, failures, data)
        finally:  # also after Ctrl-C: what is done is saved
            output.save_shared()
    failures.finish()


def _print_row(words: str, data: TextIO, *, as_json: bool) -> None:
    """Say which row of a run is explained: before the report, or beside its JSON."""
    if as_json:
        print_message(words)
        return
    from rich.text import Text

    from model_understanding.tokens import visible_text

    data_console(data).print(Text(visible_text(words), style="bold"))


def _explain_several(
    visualizer: Any,
    sources: Sequence[SourceText],
    request: ExplainRequest,
    output: ReportOutput,
    failures: Failures,
    data: TextIO,
) -> None:
    """Print the report of each text when it is done."""
    reports = explain_texts(visualizer, sources, request)
    with Steps() as steps:
        for number, source in enumerate(sources, start=1):
            steps.count("Explaining", number - 1, len(sources))
            result = next(reports)
            with steps.paused():
                if isinstance(result, Failure):
                    output.write_failure(result, source.source)
                    failures.add(source, result)
                else:
                    failures.answered()
                    output.write(result, number, source.source, data)
