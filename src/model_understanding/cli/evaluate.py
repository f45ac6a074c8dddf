"""``evaluate``: how far an explanation may be believed."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from model_understanding.cli import options
from model_understanding.cli.model_argument import ModelChoice, takes_model

if TYPE_CHECKING:
    from model_understanding.results import Assessment

TOO_LOW = 3  # the exit code where an explanation is worth less than --fail-below


@takes_model()
def evaluate(
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TEXT]...", help="Texts to explain; - reads one from standard input."),
    ] = None,
    file: Annotated[
        str | None, typer.Option(help="Also take each line of this file; - for standard input.")
    ] = None,
    pair: Annotated[str | None, typer.Option(help="The second text, for a model of sentence pairs.")] = None,
    methods: Annotated[
        str,
        typer.Option(help="Methods to judge, separated by commas; all for every one that fits the model."),
    ] = "default",
    metrics: options.Metrics = None,
    draws: Annotated[int, typer.Option(min=5, help="Random orders to compare with.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of these orders.")] = 0,
    fail_below: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="End with exit code 3 if an explanation is less than X standard deviations above shuffled "
            "scores, or cannot be evaluated; of several texts their mean counts.",
            show_default=False,
        ),
    ] = None,
    continuation: options.Continuation = None,
    max_new_tokens: options.MaxNewTokens = None,
    chat: options.Chat = False,
    *,
    choice: ModelChoice,
    json_output: options.Json = False,
) -> None:
    """Measure how far explanations may be believed: tokens are removed in their order and in random ones.

    Of a classifier the predicted label is explained, of a language model the whole continuation. A verdict
    (supported, weak, not supported) says whether the order can be told from chance, and why. Of several
    texts the shares of verdicts and the metrics' means are printed; --json has each text as well.
    """
    from model_understanding.cli.console import print_json, print_message, quiet_libraries, reserved_stdout
    from model_understanding.cli.model_argument import loaded_visualizer
    from model_understanding.cli.output import print_assessments, print_summaries
    from model_understanding.cli.progress import Steps
    from model_understanding.cli.request import (
        DEFAULT_NEW_TOKENS,
        Request,
        check_request,
        classified_of,
        prompt_of,
    )
    from model_understanding.cli.settings import chosen_metrics
    from model_understanding.cli.texts import read_texts, telling_where
    from model_understanding.errors import UnsupportedModelError
    from model_understanding.results.assessment_summary import summarized

    sources = read_texts(texts or (), file)
    names, measured = chosen_methods(methods), chosen_metrics(metrics)
    request = Request(pair=pair, continuation=continuation, max_new_tokens=max_new_tokens, chat=chat)
    quiet_libraries()
    found: list[Assessment] = []
    with reserved_stdout() as data:
        with Steps() as steps:
            visualizer: Any = loaded_visualizer(choice, steps)
            is_classifier = visualizer.task == "sequence-classification"
            check_request(request, is_classifier=is_classifier)
            for source in sources:
                with telling_where(source, len(sources)):
                    if is_classifier:
                        given: Any = classified_of(source.text, request)
                        question: dict[str, Any] = {}
                    else:
                        given = prompt_of(source.text, request)
                        question = {
                            "target": "continuation",
                            "continuation": continuation,
                            "max_new_tokens": max_new_tokens or DEFAULT_NEW_TOKENS,
                        }
                    explained, refused = [], []
                    for name in names:
                        steps(f"Explaining by {name}")
                        try:
                            explained.append(visualizer.compute_saliency(given, method=name, **question))
                        except UnsupportedModelError as error:
                            if methods != "all":
                                raise
                            refused.append(_refusal(name, error))
                    steps("Removing tokens in their orders and in random ones")
                    # Together, so that each variant of the text runs once for all methods.
                    found += [
                        *visualizer.evaluate(explained, metrics=measured, draws=draws, seed=seed),
                        *refused,
                    ]
        summaries = summarized(found) if len(sources) > 1 else ()
        if json_output:
            for one in (*found, *summaries):
                print_json(one.to_json(), data)
        elif summaries:
            print_summaries(summaries, data)
        else:
            print_assessments(found, data)
    if fail_below is not None:
        low = [one for one in summaries or found if one.advantage is None or one.advantage < fail_below]
        if low:
            words = "cannot be evaluated" if low[0].advantage is None else f"is {low[0].advantage:.3g}"
            print_message(
                f"{low[0].method} {words}; at least {fail_below:g} standard deviations above shuffled scores "
                "are asked for.",
                label="too low",
                style="bold red",
            )
            raise typer.Exit(TOO_LOW)


def chosen_methods(words: str) -> tuple[str, ...]:
    """Return the methods that are named.

    Args:
        words: Names separated by commas, or ``all``.

    Raises:
        InputError: There is no such method.

    >>> chosen_methods("saliency, occlusion")
    ('saliency', 'occlusion')
    """
    from model_understanding.registry import CHOICES, METHODS

    if words == "all":
        return METHODS.names()
    names = tuple(name.strip() for name in words.split(","))
    for name in names:
        if name not in CHOICES:
            METHODS.load(name)
    return names


def _refusal(method: str, error: Exception) -> "Assessment":
    """Return the assessment of a method that the model cannot be explained by."""
    from model_understanding.results import Assessment

    return Assessment(method=method, target="", verdict="not evaluated", reasons=(str(error),))
