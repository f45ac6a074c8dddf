"""``attention``: where the model looked."""

from typing import Annotated, Literal

import typer

from model_understanding.cli import options
from model_understanding.cli.options import LevelName, ModelChoice
from model_understanding.errors import InputError
from model_understanding.registry import HEAD_SCORES, MAPS

AxisChoice = int | list[int] | str
_AXIS_WORDS = ("all", "mean", "max")


def attention(
    model: options.Model,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The text; - reads it from standard input.")],
    layer: Annotated[
        str | None,
        typer.Option(
            help="An index (-1 is the last), several as 0,3,5, or all, mean, max. Default: -1; "
            "with --rank all.",
            show_default=False,
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(help="The same for the heads. Default: mean; with --rank all.", show_default=False),
    ] = None,
    map_name: Annotated[
        str,
        typer.Option(
            "--map",
            help="raw, or what follows attention further: rollout, value_weighted, gradient_weighted, "
            "value_zeroing, information_flow.",
        ),
    ] = "raw",
    rank: Annotated[
        str | None,
        typer.Option(
            help="Which heads to look at: those first by entropy, distance, previous_token, induction, "
            "induction_in_text, delimiter, sink, agreement (with a saliency map) or ablation.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="With --rank: how many heads.")] = 8,
    pair: Annotated[str | None, typer.Option(help="The second text, for a model of sentence pairs.")] = None,
    continuation: options.Continuation = None,
    max_new_tokens: options.MaxNewTokens = None,
    chat: options.Chat = False,
    task: options.Task = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    revision: options.Revision = None,
    trust_remote_code: options.TrustRemoteCode = False,
    allow_pickle: options.AllowPickle = False,
    level: options.Level = LevelName.TOKEN,
    json_output: options.Json = False,
    out: options.Out = None,
) -> None:
    """Show where the model looked.

    A classifier: from every token to every token. A language model: from each step of its answer to all
    that came before. Attention says where a model looked, not why it answered. With --rank: which of all
    heads to look at; a picture then shows the first of them.
    """
    from model_understanding.cli.explanation import DEFAULT_NEW_TOKENS, Request, check_request, prompt_of
    from model_understanding.cli.loading import loaded_visualizer
    from model_understanding.cli.output import (
        ATTENTION_SUFFIXES,
        check_suffixes,
        print_attention,
        print_head_ranking,
        save_attention,
    )
    from model_understanding.cli.progress import Steps
    from model_understanding.cli.streams import print_json, quiet_libraries, reserved_stdout
    from model_understanding.cli.texts import read_texts

    (source,) = read_texts([text])
    paths = tuple(out or ())
    check_suffixes(paths, ATTENTION_SUFFIXES)
    layers, heads = axis_choice(layer or "-1", "layer"), axis_choice(head or "mean", "head")
    MAPS.load(map_name)  # a wrong name is told before a model is loaded
    score = None if rank is None else HEAD_SCORES.load(rank)
    if score is not None:
        layers, heads = among_choice(layer, layers), among_choice(head, heads)
    request = Request(pair=pair, continuation=continuation, max_new_tokens=max_new_tokens, chat=chat)
    choice = ModelChoice(
        name=model,
        task=task,
        device=device,
        dtype=dtype,
        revision=revision,
        trust_remote_code=trust_remote_code,
        allow_pickle=allow_pickle,
    )
    quiet_libraries()
    with reserved_stdout() as data:
        with Steps() as steps:
            visualizer = loaded_visualizer(choice, steps)
            is_classifier = visualizer.task == "sequence-classification"
            check_request(request, is_classifier=is_classifier)
            steps("Reading the attention")
            from model_understanding.visualizers import ModelVisualizer

            if isinstance(visualizer, ModelVisualizer):
                found = visualizer.compute_attention(
                    source.text if pair is None else (source.text, pair),
                    layers,
                    heads,
                    map_name,
                    rank=rank,
                    top=top,
                )
            else:
                found = visualizer.compute_attention(
                    prompt_of(source.text, chat=chat),
                    continuation,
                    layers,
                    heads,
                    map_name,
                    max_new_tokens=max_new_tokens or DEFAULT_NEW_TOKENS,
                    rank=rank,
                    top=top,
                )
            found = found if level is LevelName.TOKEN else found.folded(level.value)
        for path in paths:  # first: a reader may close the pipe early
            save_attention(found, path)
        if json_output:
            print_json(found.to_json(), data)
        elif score is not None:
            print_head_ranking(found, score, data)
        else:
            print_attention(found, data)


def axis_choice(words: str, name: Literal["layer", "head"]) -> AxisChoice:
    """Return a choice of layers or heads as it was typed.

    Args:
        words: ``-1``, ``0,3,5``, ``all``, ``mean`` or ``max``.
        name: What is chosen.

    Returns:
        An index, several, or the word.

    Raises:
        InputError: It is none of these.

    >>> axis_choice("0, 3", "head"), axis_choice("-1", "layer")
    ([0, 3], -1)
    """
    if words in _AXIS_WORDS:
        return words
    try:
        numbers = [int(part) for part in words.split(",")]
    except ValueError as error:
        raise InputError(
            f"--{name} {words!r} is neither an index, nor several, nor one of {', '.join(_AXIS_WORDS)}.",
            hint=f"Write for example --{name} -1 or --{name} 0,3,5.",
        ) from error
    return numbers[0] if len(numbers) == 1 else numbers


def among_choice(words: str | None, choice: AxisChoice) -> AxisChoice:
    """Return the layers or heads that a ranking chooses among: one that was typed is a list of one.

    >>> among_choice(None, -1), among_choice("-1", -1), among_choice("mean", "mean")
    ('all', [-1], 'mean')
    """
    if words is None:
        return "all"
    return [choice] if isinstance(choice, int) else choice
