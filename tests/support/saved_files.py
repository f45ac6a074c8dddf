"""What the command line says of the files that it wrote."""

from pathlib import Path

from model_understanding.results.files import size_words


def saved_message(*files: Path) -> str:
    """Return the message about files, each with its size."""
    return "".join(f"Saved {file} ({size_words(file.stat().st_size)})\n" for file in files)
