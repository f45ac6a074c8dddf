"""The program ``model-understanding``, also as ``python -m model_understanding``."""

import sys

from model_understanding.cli.interrupts import leave_on_interrupt
from model_understanding.cli.steady_memory import restart_with_steady_memory


def main() -> None:
    """Run the command line and end the process with its exit code."""
    leave_on_interrupt()
    restart_with_steady_memory(sys.argv[1:])
    from model_understanding.cli.main import run

    code = run(sys.argv[1:])
    leave_on_interrupt()
    sys.exit(code)


if __name__ == "__main__":
    main()
