"""A row of a run over a data set, in place of a text: the options that name it, and its report."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from model_understanding.cli.model_argument import ModelChoice
from model_understanding.errors import InputError

if TYPE_CHECKING:
    from model_understanding.results import Report

_PANEL = "Row of a run over a data set"
_ALLOWED = frozenset(
    {
        *("run_folder", "row_id", "row", "name", "tokenizer", "device", "dtype", "revision"),
        *("trust_remote_code", "allow_pickle", "level", "evaluate", "metrics", "scores_only"),
        *("json_output", "out"),
    }
)
_OF_LOADING = ("tokenizer", "device", "dtype", "revision", "trust_remote_code", "allow_pickle")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRowOptions:
    """A row of a run over a data set."""

    run_folder: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="DIR",
            help="Explain a row of this run of `model-understanding dataset`, with the run's model, method "
            "and target. MODEL is needed only if the run's model was a folder, which the run does not name.",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = None
    row_id: Annotated[
        str | None,
        typer.Option("--id", metavar="ID", help="Id of the row.", show_default=False, rich_help_panel=_PANEL),
    ] = None
    row: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Place of the row in the input, from 0, in place of its id.",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = None

    def check(self, context: typer.Context, choice: ModelChoice) -> bool:
        """Return whether a row is to be explained, and refuse what does not go with it.

        Args:
            context: The command as it was given.
            choice: The model.

        Raises:
            InputError: The options contradict each other, or neither a model nor a run is given.
        """
        if self.run_folder is None:
            if self.row_id is not None or self.row is not None:
                raise InputError(
                    f"{'--row' if self.row_id is None else '--id'} needs --from.",
                    hint="Pass --from DIR, the folder that model-understanding dataset --out wrote.",
                )
            if not choice.name:
                raise InputError("Missing argument 'MODEL'.", hint="Run model-understanding explain --help.")
            return False
        if (self.row_id is None) == (self.row is None):
            raise InputError(
                "--from needs the row: either --id or --row.", hint="Pass --row 0 for the first row."
            )
        others = [
            max(parameter.opts, key=len) if parameter.opts[0].startswith("-") else "TEXT"
            for parameter in context.command.params
            if parameter.name not in _ALLOWED and _is_given(context, parameter.name)
        ]
        if others:
            raise InputError(
                f"--from explains a row as the run did: {', '.join(others)} cannot be combined with it.",
                hint="Leave it out, or explain the text by itself: model-understanding explain MODEL TEXT …",
            )
        return True

    def report(self, choice: ModelChoice, *, as_page: bool, **parts: Any) -> "Report":
        """Return the report of the row.

        Args:
            choice: The model, if one is named, and how to load it.
            as_page: Whether a page will show more attention maps than the main one.
            **parts: The parts of the report, as ``report_of`` takes them.
        """
        from model_understanding.dataset.opening import report_of

        assert self.run_folder is not None
        given = {name: getattr(choice, name) for name in _OF_LOADING}
        given["dtype"] = None if choice.dtype is None else choice.dtype.value
        return report_of(
            self.run_folder,
            self.row_id,
            row=self.row,
            model=choice.name or None,
            attention=None if as_page else (),
            **parts,
            **{name: value for name, value in given.items() if value not in (None, False)},
        )

    def in_words(self) -> str:
        """Return which row it is, what the model answered, and whether that is right."""
        from model_understanding.dataset.opening import row_in_words

        assert self.run_folder is not None
        return row_in_words(self.run_folder, self.row_id, row=self.row)

    @property
    def source(self) -> str:
        """The row in words."""
        return f"row {self.row}" if self.row_id is None else f"row {self.row_id!r}"


def _is_given(context: typer.Context, name: str | None) -> bool:
    source = None if name is None else context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"
