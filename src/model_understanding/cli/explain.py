"""``explain``: which tokens drove the answer."""

from pathlib import Path
from typing import Annotated

import typer

from model_understanding.cli import options
from model_understanding.cli.chat import parse_chat
from model_understanding.cli.console import reserved_stdout
from model_understanding.cli.model_argument import ModelChoice, load_visualizer, takes_model
from model_understanding.cli.options import LANGUAGE_MODELS, OUTPUT, LevelName, QuantityName, flag
from model_understanding.cli.output import ReportOutput, check_suffixes, print_estimate
from model_understanding.cli.progress import Steps
from model_understanding.cli.request import ExplainRequest, ModelInput, explain_text
from model_understanding.cli.settings import parse_method, parse_metrics
from model_understanding.cli.texts import naming_source, read_texts
from model_understanding.errors import InputError
from model_understanding.results import Estimate, Report


@takes_model()
def explain(
    texts: options.Texts = None,
    file: options.File = None,
    pair: options.Pair = None,
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
            help="What to explain. Classifier: a label, a class index or all; default: the predicted label. "
            "Language model: loss, continuation, next, a token's text or id:NUMBER; default: each token of "
            "the continuation, and the loss. Labels and tokens are repeatable.",
            show_default=False,
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TARGET",
            help="Explain the difference target − this: another label or token. For a continuation: one "
            "token per step (repeatable), a text of as many tokens, or runner-up, the most likely other "
            "token of each step.",
            show_default=False,
        ),
    ] = None,
    quantity: Annotated[
        QuantityName | None,
        typer.Option(
            help="Quantity to explain.", show_default="logit for classifiers, log_prob for language models"
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
    continuation: options.Continuation = None,
    max_new_tokens: options.MaxNewTokens = None,
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
    chat: options.Chat = False,
    system: options.System = None,
    tools: options.Tools = None,
    template_argument: options.TemplateArguments = None,
    *,
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
            help="Evaluate the explanation's faithfulness: about 50 more forward passes, up to 180 if "
            "inconclusive.",
            rich_help_panel=OUTPUT,
        ),
    ] = True,
    metrics: options.Metrics = None,
    json_output: options.Json = False,
    out: Annotated[list[Path] | None, options.out_option(Report.SUFFIXES)] = None,
) -> None:
    """Explain which tokens drove a model's answer.

    Explains a classifier's predicted label, or each token that a language model generates. Prints the text
    with each token colored by its share; --out saves an HTML page, figures or the numbers.
    """
    sources = read_texts(texts or (), file)
    paths = tuple(out or ())
    check_suffixes(paths, Report.SUFFIXES)
    if estimate and paths:
        raise InputError(
            f"--estimate computes no explanation, so there is nothing to save as {paths[0].name!r}.",
            hint="Drop --out or --estimate; --estimate --json prints the numbers.",
        )
    chat_options = parse_chat(chat, system, tools, template_argument or ())
    output = ReportOutput(paths=paths, as_json=json_output, count=len(sources))
    with reserved_stdout() as data:
        with Steps() as steps:
            steps("Importing torch and transformers")
            request = ExplainRequest(
                input=ModelInput(
                    pair=pair, continuation=continuation, max_new_tokens=max_new_tokens, chat=chat_options
                ),
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
                as_page=any(path.suffix.lower() == ".html" for path in paths),
            )
            visualizer = load_visualizer(choice, steps, request.check)
        for number, source in enumerate(sources, start=1):
            with naming_source(source, len(sources)):
                with Steps() as steps:
                    step = f"Explaining {source.source}" if len(sources) > 1 else "Explaining"
                    steps(step)
                    result = explain_text(visualizer, source.text, request, steps.following(step))
                if isinstance(result, Estimate):
                    print_estimate(result, data, as_json=json_output)
                else:
                    output.write(result, number, data)
