"""``attention``: where the model looked."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from model_understanding.cli import options
from model_understanding.cli.model_argument import ModelChoice, takes_model
from model_understanding.cli.options import LevelName
from model_understanding.errors import InputError
from model_understanding.registry import HEAD_SCORES, MAPS

AxisChoice = int | list[int] | str
SAVED = (".json", ".npz")
_AXIS_WORDS = ("all", "mean", "max")
_PICTURES = (".png", ".svg", ".pdf")


class ViewName(StrEnum):
    """What a picture shows."""

    MAP = "map"
    GRID = "grid"
    ARCS = "arcs"


class SinkModeName(StrEnum):
    """What is done with the keys that take most of the attention."""

    RAW = "raw"
    MUTED = "muted"
    RENORMALIZED = "renormalized"


@takes_model(or_else="a saved map")
def attention(
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="[TEXT]",
            help="The text; - reads it from standard input. A saved map needs none.",
            show_default=False,
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            help="An index (-1 is the last), several as 0,3,5, or all, mean, max. Default: -1; "
            "in a grid and with --rank all.",
            show_default=False,
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            help="The same for the heads. Default: mean; in a grid of raw and with --rank all.",
            show_default=False,
        ),
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
    queries: Annotated[
        str | None,
        typer.Option(
            help="Which tokens look: positions as 0,3,-1; for a language model also steps or prompt. "
            "Default: all, or the steps of the answer.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        str,
        typer.Option(
            help="rows keeps every weight; for long texts: top:16, pooled:64 or mass, or other numbers."
        ),
    ] = "rows",
    pair: Annotated[str | None, typer.Option(help="The second text, for a model of sentence pairs.")] = None,
    continuation: options.Continuation = None,
    max_new_tokens: options.MaxNewTokens = None,
    chat: options.Chat = False,
    *,
    choice: ModelChoice,
    level: options.Level = LevelName.TOKEN,
    view: Annotated[
        ViewName | None,
        typer.Option(
            help="The picture that --out saves: one matrix, a tile for each layer and head, or arcs.",
            rich_help_panel="Output",
            show_default=False,
        ),
    ] = None,
    sinks: Annotated[
        SinkModeName | None,
        typer.Option(
            help="Keys that take most of the attention: on the scale, off it (the default), or left out and "
            "each row divided by what remains.",
            rich_help_panel="Output",
            show_default=False,
        ),
    ] = None,
    json_output: options.Json = False,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Save here; the suffix chooses the format: png, svg, pdf, json, npz. Repeatable.",
            rich_help_panel="Output",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show where the model looked.

    A classifier: from every token to every token. A language model: from each step of its answer to all
    that came before. Attention says where a model looked, not why it answered. With --rank: which of all
    heads to look at; a picture then shows the first of them.
    """
    from model_understanding.cli.console import quiet_libraries, reserved_stdout
    from model_understanding.cli.model_argument import loaded_visualizer
    from model_understanding.cli.output import ATTENTION_SUFFIXES, AttentionOutput, check_suffixes
    from model_understanding.cli.progress import Steps
    from model_understanding.cli.request import (
        DEFAULT_NEW_TOKENS,
        Request,
        check_request,
        classified_of,
        prompt_of,
    )
    from model_understanding.cli.texts import read_texts

    paths = tuple(out or ())
    check_suffixes(paths, ATTENTION_SUFFIXES)
    if view is not None and not any(path.suffix.lower() in _PICTURES for path in paths):
        raise InputError(
            f"--view {view.value} draws a picture, but no picture is saved.",
            hint=f"Add for example --out attention{_PICTURES[0]}.",
        )
    score = None if rank is None else HEAD_SCORES.load(rank)
    output = AttentionOutput(
        paths=paths,
        as_json=json_output,
        view=(view or ViewName.MAP).value,
        sinks=sinks and sinks.value,
        score=score,
    )
    if Path(choice.name).suffix.lower() in SAVED and text is None:
        from model_understanding.results import AttentionMap

        found = AttentionMap.load(choice.name)
        places = {
            name: _only_index(words, name)
            for name, words in (("layer", layer), ("head", head))
            if words is not None
        }
        with reserved_stdout() as data:
            output.write(found.plane(**places) if places else found, level, data)
        return
    if text is None:
        raise InputError(
            "There is no text.", hint="Write it after the model, or - to read it from standard input."
        )
    (source,) = read_texts([text])
    in_grid = view is ViewName.GRID
    layers = axis_choice(layer or ("all" if in_grid else "-1"), "layer")
    heads = axis_choice(head or ("all" if in_grid and map_name == "raw" else "mean"), "head")
    rows = _queries(queries)
    if score is not None:
        layers, heads = among_choice(layer, layers), among_choice(head, heads)
    MAPS.load(map_name)  # a wrong name is told before a model is loaded
    request = Request(pair=pair, continuation=continuation, max_new_tokens=max_new_tokens, chat=chat)
    quiet_libraries()
    with reserved_stdout() as data:
        with Steps() as steps:
            visualizer = loaded_visualizer(choice, steps)
            is_classifier = visualizer.task == "sequence-classification"
            check_request(request, is_classifier=is_classifier)
            steps("Reading the attention")
            from model_understanding.visualizers import ModelVisualizer

            asked: dict[str, Any] = {"layer": layers, "head": heads, "map": map_name, "keep": keep}
            if rank is not None:
                asked |= {"rank": rank, "top": top}
            if rows is not None:
                asked["queries"] = rows
            if isinstance(visualizer, ModelVisualizer):
                if isinstance(rows, str):
                    raise InputError(
                        f"--queries {rows} is for language models.",
                        hint="Name positions, as --queries 0,3,-1.",
                    )
                found = visualizer.compute_attention(classified_of(source.text, request), **asked)
            else:
                found = visualizer.compute_attention(
                    prompt_of(source.text, request),
                    continuation,
                    max_new_tokens=max_new_tokens or DEFAULT_NEW_TOKENS,
                    **asked,
                )
        output.write(found, level, data)


def _queries(words: str | None) -> str | list[int] | None:
    """Return chosen rows as they were typed."""
    if words in (None, "steps", "prompt"):
        return words
    assert words is not None
    try:
        return [int(part) for part in words.split(",")]
    except ValueError as error:
        raise InputError(
            f"--queries {words!r} is neither positions nor steps nor prompt.",
            hint="Write for example --queries 0,3,-1.",
        ) from error


def _only_index(words: str, name: str) -> int:
    """Return a layer or head of a saved map."""
    chosen = axis_choice(words, "layer" if name == "layer" else "head")
    if not isinstance(chosen, int):
        raise InputError(
            f"--{name} {words!r} cannot be chosen from a saved map: one index can.",
            hint=f"Write for example --{name} 0, or leave it out for all that the map holds.",
        )
    return chosen


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
