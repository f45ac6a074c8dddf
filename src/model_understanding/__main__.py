"""The program ``model-understanding``, also as ``python -m model_understanding``."""

import sys


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        from model_understanding.cli.main import run
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
