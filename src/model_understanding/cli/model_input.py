"""What a command is given besides a text, and how both become what a kind of model reads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from model_understanding.cli.batch import Failures
from model_understanding.cli.chat import ChatOptions, parse_chat
from model_understanding.cli.columns import Columns, SourceText
from model_understanding.cli.model_argument import MODELS_OF
from model_understanding.cli.options import FILE, INPUT, LANGUAGE_MODELS, OnErrorName, flag
from model_understanding.cli.text_files import FileFormat
from model_understanding.cli.texts import read_texts
from model_understanding.errors import InputError
from model_understanding.targets.names import (
    CAUSAL_LM,
    MASKED_LM,
    MULTIPLE_CHOICE,
    QUESTION_ANSWERING,
    RERANKING,
    SEQ2SEQ_LM,
    SEQUENCE_CLASSIFICATION,
    SIMILARITY,
    ZERO_SHOT_CLASSIFICATION,
)

DEFAULT_NEW_TOKENS = 32
GENERATING = (CAUSAL_LM, SEQ2SEQ_LM)
"""Tasks whose models write their answers."""
_OF_PAIRS = (SEQUENCE_CLASSIFICATION, QUESTION_ANSWERING, MASKED_LM, SIMILARITY)
_CHOICES = {
    MULTIPLE_CHOICE: "choices",
    ZERO_SHOT_CLASSIFICATION: "labels",
    RERANKING: "documents",
    SIMILARITY: "documents",
}
"""The option that gives the texts that models of a task compare."""


def _given(*names: str, help: str, panel: str = INPUT, metavar: str = "TEXT", **options: Any) -> Any:
    return typer.Option(
        *names, help=help, metavar=metavar, rich_help_panel=panel, show_default=False, **options
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """A file of texts, and what to do with those that fail."""

    file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Also explain the texts of this file: each line, or with .csv, .tsv, .jsonl and .json a "
            "column. - reads standard input.",
            show_default=False,
            rich_help_panel=FILE,
        ),
    ] = None
    column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Column that holds the texts; a number (from 1) if the table has no column names.",
            show_default="the one column that can be the texts",
            rich_help_panel=FILE,
        ),
    ] = None
    pair_column: Annotated[
        str | None,
        _given(
            *("--pair-column", "--context-column"),
            help="Column of the second texts, as --pair gives one.",
            panel=FILE,
            metavar="NAME",
        ),
    ] = None
    choice_column: Annotated[
        list[str] | None,
        _given(
            help="Column of a choice, label or document, or of lists of them. Repeatable.",
            panel=FILE,
            metavar="NAME",
        ),
    ] = None
    continuation_column: Annotated[
        str | None,
        _given(
            help="Column of the continuations or outputs of a language model.", panel=FILE, metavar="NAME"
        ),
    ] = None
    file_format: Annotated[
        FileFormat | None,
        typer.Option(
            "--format",
            help="Format of the file.",
            show_default="by its suffix; else lines",
            rich_help_panel=FILE,
        ),
    ] = None
    on_error: Annotated[
        OnErrorName,
        typer.Option(
            help="What to do with a text that fails, of several: skip it (all others are answered, those "
            "that failed are named and counted, exit code 3), or stop.",
            rich_help_panel=FILE,
        ),
    ] = OnErrorName.SKIP

    def texts(self, arguments: list[str] | None) -> tuple[SourceText, ...]:
        """Return the texts of the command line, then those of the file.

        Args:
            arguments: The texts as typed.

        Raises:
            InputError: There is no text, or the file cannot be read.
        """
        columns = Columns(
            self.column, self.pair_column, tuple(self.choice_column or ()), self.continuation_column
        )
        return read_texts(arguments or (), self.file, columns, self.file_format)

    def failures(self, count: int) -> Failures:
        """Return what counts those of some texts that fail."""
        return Failures(count, self.on_error)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputOptions:
    """What belongs to a text on the command line."""

    pair: Annotated[
        str | None,
        _given(
            *("--pair", "--context"),
            help="Second text: of a pair for a classifier, the context of a question, or the text to compare "
            "with.",
        ),
    ] = None
    choices: Annotated[
        list[str] | None, _given("--choice", help="Choice of a multiple choice question. Repeatable.")
    ] = None
    labels: Annotated[
        list[str] | None,
        _given("--label", help="Label that a classifier of entailment judges (zero-shot). Repeatable."),
    ] = None
    documents: Annotated[
        list[str] | None,
        _given(
            "--document",
            help="Document to rank for the text as a query, by a reranker or by similarity. Repeatable.",
        ),
    ] = None
    mask: Annotated[
        str | None,
        _given(
            help="Word of the text to mask for a masked language model. A text may also hold masks itself.",
            metavar="WORD",
        ),
    ] = None
    continuation: Annotated[
        str | None,
        _given(
            help="Continuation of the prompt, or output of an encoder–decoder. If left out, explain, "
            "evaluate and attention generate it.",
            panel=LANGUAGE_MODELS,
        ),
    ] = None
    max_new_tokens: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Maximum number of tokens to generate.",
            rich_help_panel=LANGUAGE_MODELS,
            show_default=str(DEFAULT_NEW_TOKENS),
        ),
    ] = None
    chat: Annotated[
        bool,
        flag(
            "--chat",
            help="Apply the model's chat template, with the text as the user's message.",
            panel=LANGUAGE_MODELS,
        ),
    ] = False
    system: Annotated[
        str | None, _given(help="System prompt of the chat. Implies --chat.", panel=LANGUAGE_MODELS)
    ] = None
    tools: Annotated[
        Path | None,
        _given(
            help="Functions the model may call, as a JSON list of schemas. Implies --chat.",
            panel=LANGUAGE_MODELS,
            metavar="FILE",
        ),
    ] = None
    template_argument: Annotated[
        list[str] | None,
        _given(
            help="Argument of the chat template, for example enable_thinking=false. Repeatable. Implies "
            "--chat.",
            panel=LANGUAGE_MODELS,
            metavar="NAME=VALUE",
        ),
    ] = None

    def parsed(self, files: FileOptions | None = None) -> "ModelInput":
        """Return what these options say, with the columns of a file that say the same for each of its texts.

        Args:
            files: The file, if the command takes one.

        Raises:
            InputError: The tools cannot be read, or an argument of the chat template has no name.
        """
        files = files or FileOptions()
        return ModelInput(
            pair=self.pair,
            choices=tuple(self.choices or ()),
            labels=tuple(self.labels or ()),
            documents=tuple(self.documents or ()),
            mask=self.mask,
            continuation=self.continuation,
            max_new_tokens=self.max_new_tokens,
            chat=parse_chat(self.chat, self.system, self.tools, self.template_argument or ()),
            pair_column=files.pair_column,
            choice_column=tuple(files.choice_column or ()),
            continuation_column=files.continuation_column,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInput:
    """How a text becomes a model's input.

    Args:
        pair: The second text of a pair, the context of a question.
        choices: The choices of a question.
        labels: The labels of zero-shot classification.
        documents: The documents to rank.
        mask: The word to mask.
        continuation: The continuation of a prompt; ``None`` to generate it.
        max_new_tokens: Maximum number of tokens to generate; ``None`` for the default.
        chat: The options of a chat with the text as the user's message; ``None`` for a plain text.
        pair_column: The column of a file that holds second texts.
        choice_column: Its columns of choices, labels or documents.
        continuation_column: Its column of continuations.
    """

    pair: str | None = None
    choices: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    mask: str | None = None
    continuation: str | None = None
    max_new_tokens: int | None = None
    chat: ChatOptions | None = None
    pair_column: str | None = None
    choice_column: tuple[str, ...] = ()
    continuation_column: str | None = None

    def of(self, visualizer: Any, source: SourceText) -> Any:
        """Return a text as a visualizer takes it.

        Args:
            visualizer: The loaded model.
            source: The text, with what a file holds beside it. Chat messages, which only a file holds, stay
                as they are.

        Raises:
            InputError: The text cannot be read, or what the model needs beside it is missing.
        """
        from model_understanding.visualizers.by_task import task_of

        text, task = source.readable(), task_of(visualizer)
        pair = self.pair if source.pair is None else source.pair
        choices = source.choices or (getattr(self, _CHOICES[task]) if task in _CHOICES else ())
        if choices:
            return (text, list(choices))
        if self.mask is not None:
            text = visualizer.mask(text, self.mask)
        if pair is not None:
            return (text, pair)
        return text if not isinstance(text, str) or self.chat is None else self.chat.of(text)

    def generation(self, source: SourceText | None = None) -> dict[str, Any]:
        """Return the arguments that choose a language model's continuation.

        Args:
            source: The text, which may have a continuation of its own.
        """
        own = None if source is None else source.continuation
        return {
            "continuation": self.continuation if own is None else own,
            "max_new_tokens": self.max_new_tokens or DEFAULT_NEW_TOKENS,
        }

    def refined(self, task: str) -> str:
        """Return what a classifier is used for: with labels or documents not for its own classes."""
        if task == SEQUENCE_CLASSIFICATION and self.labels:
            return ZERO_SHOT_CLASSIFICATION
        return RERANKING if task == SEQUENCE_CLASSIFICATION and self.documents else task

    def check(
        self,
        task: str,
        language_model_options: Mapping[str, bool] | None = None,
        *,
        of_one_text: bool = False,
    ) -> None:
        """Refuse options that do not apply to a task, and a missing one that it needs.

        Args:
            task: What the model is explained as.
            language_model_options: Further options for language models only, and whether each is given.
            of_one_text: Whether a model that compares two texts can be asked about one.

        Raises:
            InputError: An option applies to other tasks, or one is missing.
        """
        options: dict[str, tuple[bool, tuple[str, ...]]] = {
            "--continuation": (self.continuation is not None, GENERATING),
            "--continuation-column": (self.continuation_column is not None, GENERATING),
            "--max-new-tokens": (self.max_new_tokens is not None, GENERATING),
            **({} if self.chat is None else {self.chat.option: (True, (CAUSAL_LM,))}),
            **{name: (given, GENERATING) for name, given in (language_model_options or {}).items()},
            "--pair": (self.pair is not None, _OF_PAIRS),
            "--pair-column": (self.pair_column is not None, _OF_PAIRS),
            "--choice": (bool(self.choices), (MULTIPLE_CHOICE,)),
            "--label": (bool(self.labels), (ZERO_SHOT_CLASSIFICATION,)),
            "--document": (bool(self.documents), (RERANKING, SIMILARITY)),
            "--choice-column": (bool(self.choice_column), tuple(_CHOICES)),
            "--mask": (self.mask is not None, (MASKED_LM,)),
        }
        for option, (is_given, tasks) in options.items():
            if is_given and task not in tasks:
                raise _other_task(option, tasks, task)
        if not (of_one_text and task == SIMILARITY):
            self._require(task)

    def _require(self, task: str) -> None:
        """Raise InputError if a model of a task needs more than a text."""
        needs: Callable[[str, str], InputError] = lambda what, hint: InputError(  # noqa: E731
            f"A model of the task {task} needs {what}.", hint=hint
        )
        has_pair = self.pair is not None or self.pair_column is not None
        if task == QUESTION_ANSWERING and not has_pair:
            raise needs(
                "a context besides the question",
                "Pass --context TEXT; for the texts of a --file, --context-column NAME.",
            )
        if task not in _CHOICES or self.choice_column or getattr(self, _CHOICES[task]):
            return
        if task != SIMILARITY:
            name = _CHOICES[task].removesuffix("s")
            raise needs(
                f"{_CHOICES[task]} besides the text",
                f"Pass --{name} TEXT for each; for the texts of a --file, --choice-column NAME.",
            )
        if not has_pair:
            raise needs(
                "a second text, or documents to rank",
                "Pass --pair TEXT, or --document TEXT for each; for the texts of a --file, --pair-column or "
                "--choice-column.",
            )


def _other_task(option: str, tasks: tuple[str, ...], task: str) -> InputError:
    """Return the error about an option that is for models of other tasks."""
    *others, last = dict.fromkeys(MODELS_OF[each] for each in tasks)
    models = f"{', '.join(others)} and {last}" if others else last
    if CAUSAL_LM in tasks:  # encoder–decoders are language models too
        models = MODELS_OF[CAUSAL_LM]
    loadable = (SEQUENCE_CLASSIFICATION, CAUSAL_LM)  # for which checkpoints are often loaded
    other = next((each for each in tasks if each in loadable and task in loadable), None)
    instead = "" if other is None else f", or load the model with --task {other}"
    if option == "--choice-column" and task == SEQUENCE_CLASSIFICATION:
        instead = f", or pass --task {RERANKING} for documents, --task {ZERO_SHOT_CLASSIFICATION} for labels"
    return InputError(
        f"{option} is for {models} only, but this model's task is {task}.", hint=f"Drop {option}{instead}."
    )
