"""``explain``: which tokens drove the answer."""

from typing import Annotated

import typer

from model_understanding.cli import options
from model_understanding.cli.model_argument import ModelChoice, takes_model
from model_understanding.cli.options import LevelName, QuantityName


@takes_model()
def explain(
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TEXT]...", help="Texts to explain; - reads one from standard input."),
    ] = None,
    file: Annotated[
        str | None, typer.Option(help="Also explain each line of this file; - for standard input.")
    ] = None,
    pair: Annotated[str | None, typer.Option(help="The second text, for a model of sentence pairs.")] = None,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            "-m",
            help="How to attribute: default, fast, or a name that model-understanding methods lists.",
        ),
    ] = "default",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="FIELD=VALUE", help="Set a field of the method, as norm=l1. Repeatable."
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Classifier: a label, an index or all (repeatable); default: the predicted label. "
            "Language model: loss, continuation, next, the text of a token or id:NUMBER (repeatable); "
            "default: each token that follows, and the loss.",
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="Explain target − this: another label or token. For a continuation a token for each step "
            "(repeatable), a text of as many tokens, or runner-up: the likeliest other token.",
        ),
    ] = None,
    quantity: Annotated[
        QuantityName | None,
        typer.Option(help="Read this. Default: logit for classifiers, log_prob for language models."),
    ] = None,
    layer: Annotated[
        int | None,
        typer.Option(
            help="Score the hidden states that enter this layer in place of the embeddings; -1 is the last. "
            "Gradient methods only.",
        ),
    ] = None,
    continuation: options.Continuation = None,
    max_new_tokens: options.MaxNewTokens = None,
    per_token: Annotated[
        bool,
        typer.Option(
            "--per-token",
            help="Explain each token of the continuation by itself.",
            rich_help_panel="Language models",
        ),
    ] = False,
    alternatives: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="K",
            help="Also explain why each token and not one of the K likeliest others; the page shows it where "
            "another token is clicked.",
            rich_help_panel="Language models",
            show_default=False,
        ),
    ] = 0,
    span: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT|START:END",
            help="Explain this part of the continuation (with --target loss: of the prompt): a piece of its "
            "text, or its tokens from START up to END, counted from 0.",
            rich_help_panel="Language models",
        ),
    ] = None,
    chat: options.Chat = False,
    *,
    choice: ModelChoice,
    level: options.Level = LevelName.TOKEN,
    estimate: Annotated[
        bool,
        typer.Option(
            "--estimate",
            help="Print what it would cost (passes, token positions, memory) instead of explaining.",
            rich_help_panel="Output",
        ),
    ] = False,
    evaluate: Annotated[
        bool,
        typer.Option(
            help="Also say how far the explanation may be believed: some 50 forwards more, or up to 180 "
            "where these leave it open.",
            rich_help_panel="Output",
        ),
    ] = True,
    metrics: options.Metrics = None,
    json_output: options.Json = False,
    out: options.Out = None,
) -> None:
    """Explain which tokens drove a model's answer.

    A classifier's predicted label, or each token that a language model generates. The text is printed with
    each token colored by its share; --out saves a page, pictures or the numbers.
    """
    from model_understanding.cli.console import quiet_libraries, reserved_stdout
    from model_understanding.cli.model_argument import loaded_visualizer
    from model_understanding.cli.output import ReportOutput, check_no_files, print_estimate
    from model_understanding.cli.progress import Steps
    from model_understanding.cli.request import Request, check_request, explained
    from model_understanding.cli.settings import chosen_method, chosen_metrics
    from model_understanding.cli.texts import read_texts, telling_where

    sources = read_texts(texts or (), file)
    output = ReportOutput(paths=tuple(out or ()), as_json=json_output, count=len(sources))
    if estimate:
        check_no_files(output.paths)
    quiet_libraries()
    with reserved_stdout() as data:
        with Steps() as steps:
            steps("Starting torch and transformers")
            request = Request(
                method=chosen_method(method, settings or ()),
                targets=tuple(target or ()),
                against=tuple(against or ()),
                quantity=quantity,
                layer=layer,
                pair=pair,
                continuation=continuation,
                max_new_tokens=max_new_tokens,
                per_token=per_token,
                alternatives=alternatives,
                span=span,
                chat=chat,
                level=level,
                estimate=estimate,
                evaluate=evaluate,
                metrics=chosen_metrics(metrics),
                as_page=any(path.suffix.lower() == ".html" for path in output.paths),
            )
            visualizer = loaded_visualizer(choice, steps)
            check_request(request, is_classifier=visualizer.task == "sequence-classification")
        for number, source in enumerate(sources, start=1):
            with telling_where(source, len(sources)):
                with Steps() as steps:
                    step = f"Explaining {source.place}" if len(sources) > 1 else "Explaining"
                    steps(step)
                    found = explained(visualizer, source.text, request, steps.following(step))
                if estimate:
                    print_estimate(found, data, as_json=json_output)
                else:
                    output.write(found, number, data)
