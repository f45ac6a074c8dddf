"""Ctrl-C: without a word before and after a command's work, as KeyboardInterrupt during it."""

import os
import signal

INTERRUPTED = 130


def leave_on_interrupt() -> None:
    """Let Ctrl-C end the process at once: imports and the end of libraries' threads leave nothing to save."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, or the caller's
        signal.signal(signal.SIGINT, _leave)


def raise_on_interrupt() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again, so that what is done can be saved."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(*_: object) -> None:
    os._exit(INTERRUPTED)
