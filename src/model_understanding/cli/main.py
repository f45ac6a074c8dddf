"""Runs the command line: one place where exceptions become messages and exit codes."""

import os
import sys
from collections.abc import Sequence

from model_understanding.cli.console import report_failure

PROGRAM = "model-understanding"
INTERRUPTED = 130
OUTPUT_CLOSED = 1


def run(arguments: Sequence[str]) -> int:
    """Run the command line.

    Args:
        arguments: What stands after the program's name.

    Returns:
        The exit code: 0 when all went well, 2 for a mistake in what was asked for, 130 after Ctrl-C, 1
        for anything else.
    """
    try:
        from model_understanding.cli.application import application

        code = application(args=list(arguments) or ["--help"], prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _output_closed()
    except SystemExit as error:
        # typer ends the process itself when its own output (the help) meets a closed pipe.
        return _output_closed() if error.code == 1 else int(error.code or 0)
    except Exception as error:
        return report_failure(error)


def _output_closed() -> int:
    """Give standard output somewhere to go, so that Python's last flush does not complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return OUTPUT_CLOSED
