"""``lens``: what each layer would answer."""

from typing import Annotated

import typer

from model_understanding.cli import options
from model_understanding.cli.model_argument import ModelChoice, takes_model
from model_understanding.errors import InputError


@takes_model()
def lens(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The text; - reads it from standard input.")],
    positions: Annotated[
        str | None,
        typer.Option(
            help="Tokens after which a language model is read: -1 (the last), or several as 0,3,5. Default: "
            "all of the text, or where each token of --continuation was chosen.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many of the likeliest answers to keep.")] = 5,
    pair: Annotated[str | None, typer.Option(help="The second text, for a model of sentence pairs.")] = None,
    continuation: options.Continuation = None,
    chat: options.Chat = False,
    *,
    choice: ModelChoice,
    json_output: options.Json = False,
    out: options.Out = None,
) -> None:
    """Show what each layer would answer, read through the model's own last norm and head.

    A language model: the likeliest next tokens at each layer. A classifier: the likeliest classes.
    """
    from model_understanding.cli.console import print_json, quiet_libraries, reserved_stdout
    from model_understanding.cli.model_argument import loaded_visualizer
    from model_understanding.cli.output import LENS_SUFFIXES, check_suffixes, print_lens, save_lens
    from model_understanding.cli.progress import Steps
    from model_understanding.cli.request import Request, check_request, classified_of, prompt_of
    from model_understanding.cli.texts import read_texts

    (source,) = read_texts([text])
    paths = tuple(out or ())
    check_suffixes(paths, LENS_SUFFIXES)
    places = None if positions is None else position_choice(positions)
    request = Request(pair=pair, continuation=continuation, chat=chat)
    quiet_libraries()
    with reserved_stdout() as data:
        with Steps() as steps:
            visualizer = loaded_visualizer(choice, steps)
            is_classifier = visualizer.task == "sequence-classification"
            check_request(request, is_classifier=is_classifier)
            if is_classifier and places is not None:
                raise InputError(
                    "The model is explained as a classifier, and --positions is for language models.",
                    hint="Leave --positions out, or choose the other kind with --task.",
                )
            steps("Reading the layers")
            from model_understanding.visualizers import ModelVisualizer

            if isinstance(visualizer, ModelVisualizer):
                found = visualizer.compute_logit_lens(classified_of(source.text, request), top)
            else:
                prompt = prompt_of(source.text, request)
                found = visualizer.compute_logit_lens(prompt, continuation, places, top)
        for path in paths:  # first: a reader may close the pipe early
            save_lens(found, path)
        if json_output:
            print_json(found.to_json(), data)
        else:
            print_lens(found, data)


def position_choice(words: str) -> list[int]:
    """Return a choice of tokens as it was typed.

    Args:
        words: ``-1`` or ``0,3,5``.

    Raises:
        InputError: It is neither.

    >>> position_choice("0, -1")
    [0, -1]
    """
    try:
        return [int(part) for part in words.split(",")]
    except ValueError as error:
        raise InputError(
            f"--positions {words!r} is neither an index nor several.",
            hint="Write for example --positions -1 or --positions 0,3,5.",
        ) from error
