"""Drives a process that runs one implementation of a task; ``worker.py`` is the other side."""

import json
import select
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from environments import own_environment

WORKER = Path(__file__).parent / "worker.py"
SECONDS_FOR_A_RUN = 1800


class WayError(Exception):
    """An implementation could not be started or did not finish; its message goes into the table."""


class WorkerProcess:
    """A running worker.

    Args:
        python: The interpreter to run it with.
        job: The job, as ``worker.py`` takes it.
        threads: Number of threads.

    Raises:
        WayError: It could not be started.
    """

    def __init__(self, python: Path, job: dict[str, Any], threads: int) -> None:
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        variables = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        self._process = subprocess.Popen(
            # -P: packages must not import the modules in the worker's folder by mistake.
            [str(python), "-P", str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**own_environment(), **variables, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        )
        try:
            self._send(json.dumps(job))
            self.version: str = self._answer()["version"]
        except BaseException:
            self.close()
            raise

    def run(self) -> dict[str, Any]:
        """Run the task once and return its seconds; the first time, also its peak memory."""
        return self._ask("run")

    def read(self) -> dict[str, Any]:
        """Return the scores of the last run."""
        return self._ask("read")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def _ask(self, word: str) -> dict[str, Any]:
        self._send(word)
        return self._answer()

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise WayError(self._last_words()) from error

    def _answer(self) -> dict[str, Any]:
        stream = self._process.stdout
        assert stream is not None
        if not select.select([stream], [], [], SECONDS_FOR_A_RUN)[0]:
            raise WayError(f"no answer within {SECONDS_FOR_A_RUN} s")
        line = stream.readline()
        if not line:
            raise WayError(self._last_words())
        found = json.loads(line)
        if "error" in found:
            raise WayError(found["error"])
        return found

    def _last_words(self) -> str:
        """Return the last line that an ended process wrote to standard error."""
        code = self._process.wait()
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors if line.strip()]
        return (lines[-1] if lines else f"ended with status {code}")[:300]
