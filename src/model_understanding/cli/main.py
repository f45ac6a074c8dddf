"""Runs the command line, and turns exceptions into messages and exit codes."""

import os
import sys
from collections.abc import Sequence

from model_understanding.cli.console import report_failure
from model_understanding.cli.interrupts import INTERRUPTED, raise_on_interrupt

PROGRAM = "model-understanding"
OUTPUT_CLOSED = 1


def run(arguments: Sequence[str]) -> int:
    """Run the command line.

    The commands are imported here, so that Ctrl-C during their import ends the program quietly too.

    Args:
        arguments: The arguments after the program's name.

    Returns:
        The exit code: 0 for success, 2 if the request is at fault, 3 if some of several texts failed, or if
        ``--fail-below`` or ``--fail-above`` is not met, 130 after Ctrl-C, 1 for everything else.
    """
    try:
        from model_understanding.cli.application import application

        raise_on_interrupt()
        code = application(args=list(arguments) or ["--help"], prog_name=PROGRAM, standalone_mode=False)
        if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison] - closed by the caller: ">&-"
            sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _output_closed()
    except SystemExit as error:
        # typer ends the process itself if the pipe closes while it prints the help.
        return _output_closed() if error.code == 1 else int(error.code or 0)
    except OSError as error:
        code = report_failure(error)
        if error.filename is None:  # a stream: what is left of it cannot be written either
            _output_closed()
        return code
    except Exception as error:
        # Python 3.11 wraps what is raised while a class of an imported module is made.
        return INTERRUPTED if isinstance(error.__cause__, KeyboardInterrupt) else report_failure(error)


def _output_closed() -> int:
    """Redirect stdout to nowhere, so that Python's last flush does not fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return OUTPUT_CLOSED
