"""Runs over data sets that SIGKILL ends at random moments, each of which a new process continues."""

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Kills:
    """What was killed.

    Args:
        parts: Whole parts in the folder after each kill.
        half_written: Kills that left a file half-written.
        rounds: Runs that were brought to their end.
    """

    parts: list[int] = field(default_factory=list)
    half_written: int = 0
    rounds: int = 0


def seconds_of(run: Callable[[], object]) -> float:
    """Return how long a run takes in a process of its own."""
    started = time.monotonic()
    assert _ended(_forked(run), None)
    return time.monotonic() - started


def killed(
    run: Callable[[Path], object],
    folder: Path,
    kills: int,
    seconds: float,
    seed: int,
    same: Callable[[Path], None],
) -> Kills:
    """Run into folders, kill the process at random moments, and continue each run to its end.

    Args:
        run: Runs into a folder, or continues there.
        folder: Gets a folder for each run.
        kills: How often a process is killed.
        seconds: How long a run takes that is not disturbed.
        seed: Of the moments.
        same: Checks a run that has ended.
    """
    done, moments = Kills(), random.Random(seed)
    while len(done.parts) < kills:
        out = folder / f"run-{done.rounds}"
        while len(done.parts) < kills:
            if _ended(_forked(lambda out=out: run(out)), moments.uniform(0, seconds / 3)):
                break  # before it was its turn to be killed
            done.parts.append(len(list(out.glob("part-*"))))
            done.half_written += bool(list(out.glob(".*.tmp")))
        assert _ended(_forked(lambda out=out: run(out)), None)
        same(out)
        done.rounds += 1
    return done


def _forked(run: Callable[[], object]) -> int:
    """Start a process that has all that is loaded here, and return its id."""
    process = os.fork()
    if process:
        return process
    try:
        run()
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def _ended(process: int, seconds: float | None) -> bool:
    """Return whether a process ended by itself; kill it after so many seconds."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(process, 0 if deadline is None else os.WNOHANG)
        if ended:
            assert status == 0, f"The run failed: {status}"
            return True
        if deadline is not None and time.monotonic() >= deadline:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            return False
        time.sleep(0.001)
