"""``attention``: where the model attends."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from model_understanding.cli import options
from model_understanding.cli.console import reserved_stdout
from model_understanding.cli.model_argument import ModelChoice, load_visualizer, takes_model
from model_understanding.cli.model_input import GENERATING, InputOptions
from model_understanding.cli.options import OUTPUT, LevelName, takes
from model_understanding.cli.output import ATTENTION_SUFFIXES, AttentionOutput, check_files
from model_understanding.cli.progress import Steps
from model_understanding.cli.settings import parse_indices
from model_understanding.cli.texts import read_text
from model_understanding.errors import InputError
from model_understanding.registry import HEAD_SCORES, MAPS
from model_understanding.results import AttentionMap
from model_understanding.results.files import FIGURE_SUFFIXES
from model_understanding.targets.names import SIMILARITY

Axis = Literal["layer", "head"]
AxisChoice = int | list[int] | str
SAVED_MAP_SUFFIXES = (".json", ".npz")
_AXIS_WORDS = ("all", "mean", "max")


class ViewName(StrEnum):
    """The figure of an attention map."""

    MAP = "map"
    GRID = "grid"
    ARCS = "arcs"


class SinkModeName(StrEnum):
    """How attention sinks are drawn."""

    RAW = "raw"
    MUTED = "muted"
    RENORMALIZED = "renormalized"


class StackName(StrEnum):
    """The attention of an encoder–decoder; of a pair of texts that are read each by itself, which text."""

    CROSS = "cross"
    ENCODER = "encoder"
    DECODER = "decoder"
    FIRST_TEXT = "first text"
    SECOND_TEXT = "second text"


_OF_TWO_TEXTS = (StackName.FIRST_TEXT, StackName.SECOND_TEXT)


@takes_model(alternative="an attention map saved as .json or .npz")
@takes(InputOptions, "given")
def attention(
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="TEXT",
            help="Text to explain. - reads it from standard input. A saved map needs none.",
            show_default=False,
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            metavar="LAYERS",
            help="An index (-1 is the last), several, such as 0,3,5, or all, mean or max.",
            show_default="-1; all with --view grid or --rank",
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            metavar="HEADS",
            help="An index, several, or all, mean or max, as for --layer.",
            show_default="mean; all with --rank, or with --view grid of the raw map",
        ),
    ] = None,
    map_name: Annotated[
        str,
        typer.Option(
            "--map",
            metavar="NAME",
            help="Attention map: raw for the attention weights, or a map that combines them with values, "
            f"gradients or other layers. Available: {', '.join(MAPS.places)}.",
        ),
    ] = "raw",
    rank: Annotated[
        str | None,
        typer.Option(
            metavar="SCORE",
            help=f"List the heads with the highest scores. Available: {', '.join(HEAD_SCORES.places)}.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[int, typer.Option(metavar="K", min=1, help="Number of heads that --rank lists.")] = 8,
    queries: Annotated[
        str | None,
        typer.Option(
            metavar="QUERIES",
            help="Rows of the map: token positions such as 0,3,-1; for language models also steps (the "
            "generation steps) or prompt.",
            show_default="all tokens; steps of a language model",
        ),
    ] = None,
    keep: Annotated[
        str,
        typer.Option(
            metavar="REDUCTION",
            help="Weights to keep: rows keeps all. For long texts: top:K keeps the K largest of each row, "
            "pooled:N pools blocks of N × N tokens, mass keeps each key's mean weight.",
        ),
    ] = "rows",
    stack: Annotated[
        StackName | None,
        typer.Option(
            help="Of an encoder–decoder: the decoder's attention to the source (cross), or the attention in "
            "the encoder or the decoder. Of a sentence encoder with --pair: 'first text' or 'second text'.",
            show_default="cross; of a classifier encoder; of a pair the first text",
        ),
    ] = None,
    *,
    given: InputOptions,
    choice: ModelChoice,
    level: options.Level = LevelName.TOKEN,
    view: Annotated[
        ViewName | None,
        typer.Option(
            help="Figure that --out saves: one matrix, a grid of all layers and heads, or arcs.",
            rich_help_panel=OUTPUT,
            show_default="map",
        ),
    ] = None,
    sinks: Annotated[
        SinkModeName | None,
        typer.Option(
            help="Attention sinks (keys that take most of the attention): included in the color scale (raw), "
            "excluded from it (muted), or removed, with each row renormalized (renormalized).",
            rich_help_panel=OUTPUT,
            show_default="muted; raw for maps other than raw attention",
        ),
    ] = None,
    json_output: options.Json = False,
    out: Annotated[list[Path] | None, options.out_option(ATTENTION_SUFFIXES)] = None,
) -> None:
    """Show where a model attends.

    Shows attention from each token to each token; for a language model, from each generation step to the
    tokens before it. With --rank, lists the heads with the highest scores, and a
    figure shows the first of them. Attention shows where a model attends, not why it answered.
    """
    paths = tuple(out or ())
    check_files(paths, ATTENTION_SUFFIXES)
    if view is not None and not any(path.suffix.lower() in FIGURE_SUFFIXES for path in paths):
        raise InputError(
            f"--view {view.value} chooses the figure to save, but no figure is saved.",
            hint="Add for example --out attention.png.",
        )
    output = AttentionOutput(
        paths=paths,
        as_json=json_output,
        level=level,
        view=(view or ViewName.MAP).value,
        sinks=sinks and sinks.value,
        score=None if rank is None else HEAD_SCORES.load(rank),
    )
    if text is None and Path(choice.name).suffix.lower() in SAVED_MAP_SUFFIXES:
        with reserved_stdout() as data:
            output.write(_saved_map(choice.name, layer, head), data)
        return
    content = read_text(text)
    question: dict[str, Any] = {
        "kind": map_name,
        "layer": _layers(layer, view, rank),
        "head": _heads(head, view, rank, map_name),
        "keep": keep,
    }
    if rank is not None:
        question |= {"rank": rank, "top": top}
    if stack is not None:
        question["stack"] = stack.value
    if queries is not None:
        question["queries"] = parse_queries(queries)
    model_input = given.parsed()
    by_name = {f"--queries {queries}": isinstance(question.get("queries"), str)}
    with reserved_stdout() as data:
        with Steps() as steps:
            steps("Importing torch and transformers")
            MAPS.load(map_name)  # an unknown name is reported before a model is loaded

            def check(task: str) -> None:
                model_input.check(task, language_model_options=by_name, of_one_text=True)
                _check_stack(stack, task, has_pair=model_input.pair is not None)

            visualizer = load_visualizer(choice, steps, check, model_input.refined)
            if visualizer.task in GENERATING:
                question |= model_input.generation()
            steps("Reading the attention")
            result = visualizer.compute_attention(model_input.of(visualizer, content), **question)
        maps = result if isinstance(result, tuple) else (result,)  # of each text that is read by itself
        for number, attention_map in enumerate(maps, start=1):
            output.numbered(number, len(maps)).write(attention_map, data)


def _check_stack(stack: StackName | None, task: str, *, has_pair: bool) -> None:
    """Refuse a stack that this kind of model, or a single text, does not have."""
    names_text = stack in _OF_TWO_TEXTS
    if stack is None or (names_text and has_pair if task == SIMILARITY else not names_text):
        return
    if task == SIMILARITY:
        sides = " or ".join(f"--stack '{side.value}'" for side in _OF_TWO_TEXTS)
        raise InputError(
            f"--stack '{stack.value}' is not possible: a sentence encoder reads "
            f"{'each text by itself' if has_pair else 'a single text here'}.",
            hint=f"Drop --stack, or pass {sides}{'' if has_pair else ' and --pair TEXT'}.",
        )
    others = ", ".join(name.value for name in StackName if name not in _OF_TWO_TEXTS)
    raise InputError(
        f"--stack '{stack.value}' is for two texts that a sentence encoder compares, but this model's task "
        f"is {task}.",
        hint=f"Drop --stack; of an encoder–decoder pass one of {others}.",
    )


def _saved_map(file: str, layer: str | None, head: str | None) -> AttentionMap:
    """Return a saved map, or one matrix of it."""
    attention = AttentionMap.load(file)
    indices = {}
    if layer is not None:
        indices["layer"] = _only_index(layer, "layer")
    if head is not None:
        indices["head"] = _only_index(head, "head")
    return attention.plane(**indices) if indices else attention


def _only_index(text: str, axis: Axis) -> int:
    index = parse_axis(text, axis)
    if not isinstance(index, int):
        raise InputError(
            f"--{axis} {text!r} cannot be chosen from a saved map. Allowed: a single index.",
            hint=f"For example: --{axis} 0. Drop --{axis} for the whole map.",
        )
    return index


def _layers(text: str | None, view: ViewName | None, rank: str | None) -> AxisChoice:
    if text is None:
        return "all" if rank is not None or view is ViewName.GRID else -1
    return _as_list(parse_axis(text, "layer"), rank)


def _heads(text: str | None, view: ViewName | None, rank: str | None, map_name: str) -> AxisChoice:
    if text is None:
        return "all" if rank is not None or (view is ViewName.GRID and map_name == "raw") else "mean"
    return _as_list(parse_axis(text, "head"), rank)


def _as_list(axis_choice: AxisChoice, rank: str | None) -> AxisChoice:
    """Return a single index as a list where heads are ranked: a ranking is among several."""
    return [axis_choice] if rank is not None and isinstance(axis_choice, int) else axis_choice


def parse_axis(text: str, axis: Axis) -> AxisChoice:
    """Return layers or heads.

    Args:
        text: ``-1``, ``0,3,5``, ``all``, ``mean`` or ``max``.
        axis: What is chosen.

    Returns:
        An index, several indices, or the word.

    Raises:
        InputError: Something else was typed.

    >>> parse_axis("0, 3", "head"), parse_axis("-1", "layer")
    ([0, 3], -1)
    """
    if text in _AXIS_WORDS:
        return text
    allowed = "an index, several, such as 0,3,5, or all, mean or max"
    indices = parse_indices(text, f"--{axis}", allowed, "-1")
    return indices[0] if len(indices) == 1 else indices


def parse_queries(text: str) -> str | list[int]:
    """Return the rows of a map.

    Args:
        text: Token positions separated by commas, ``steps`` or ``prompt``.

    Raises:
        InputError: Something else was typed.

    >>> parse_queries("0,-1"), parse_queries("steps")
    ([0, -1], 'steps')
    """
    if text in ("steps", "prompt"):
        return text
    allowed = "token positions, such as 0,3,-1; for language models also steps or prompt"
    return parse_indices(text, "--queries", allowed, "0,3,-1")
