"""Virtual environments of other packages, created once and kept."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from models import REPOSITORY

ENVIRONMENTS = REPOSITORY / "build" / "benchmark-peers"
ALONE = "# without dependencies: "  # marks a requirement whose dependencies would break the environment
MINUTES = 20


def python_of(peer: str) -> Path:
    """Return the interpreter of a package's environment."""
    return ENVIRONMENTS / peer / "bin" / "python"


def make_environment(peer: str, files: Path) -> str | None:
    """Create a package's environment unless it exists with the versions that its file pins.

    Args:
        peer: The package.
        files: The folder of the requirements files and the common constraints.

    Returns:
        The error in one line, or ``None``.
    """
    requirements, constraints = files / f"{peer}.txt", files / "constraints.txt"
    folder = ENVIRONMENTS / peer
    stamp = folder / "installed"
    pinned = requirements.read_text(encoding="utf-8")
    wanted = hashlib.sha256((pinned + constraints.read_text(encoding="utf-8")).encode()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        return None
    print(f"Creating the environment of {peer}", file=sys.stderr, flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    alone = [line.removeprefix(ALONE) for line in pinned.splitlines() if line.startswith(ALONE)]
    pip = [str(python_of(peer)), "-m", "pip", "install", "--quiet", "--no-input", "-c", str(constraints)]
    steps = [
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        # Every call names torch, so that no other version is ever downloaded.
        [*pip, "torch", "-r", str(requirements)],
        *([[*pip, "--no-deps", *alone]] if alone else []),
    ]
    for step in steps:
        try:
            done = subprocess.run(
                step, capture_output=True, text=True, timeout=60 * MINUTES, env=own_environment(), check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{type(error).__name__}: {error}"[:300]
        if done.returncode:
            lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
            errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:] or ["no output"]
            return f"pip: {errors[-1]}"[:300]
    stamp.write_text(wanted, encoding="ascii")
    return None


def own_environment() -> dict[str, str]:
    """Return this process's environment variables without those that would misdirect another interpreter."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }


def make_environments(peers: list[str], files: Path) -> dict[str, str]:
    """Create the environments of some packages, and return the errors of those that failed."""
    found = {peer: make_environment(peer, files) for peer in peers}
    return {peer: error for peer, error in found.items() if error is not None}
