"""Settings of the C library with which the memory of a long run does not grow.

glibc keeps up to 448 small pieces of freed memory for each thread. Those that lie between the tensors of a
pass split what it freed, so that tensors of the next pass find no room and the process grows. The settings
can only be made before a program starts.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

VARIABLE = "GLIBC_TUNABLES"
_SETTINGS = {
    "tcache_count": 0,  # keep no small pieces for a thread
    "mxfast": 0,  # and none that are not joined with free neighbors
    "mmap_threshold": 2**25,  # what the C library arrives at by itself where the next one is not set
    "trim_threshold": 2**30,  # keep the end of the heap, which the next pass needs
}
_COMMANDS = ("dataset",)


def restart_with_steady_memory(arguments: Sequence[str]) -> None:
    """Start this program again with the settings if its command is a long run; else return.

    It returns, too, where the C library is another one, where the caller has set it already, or where
    the program is not a file that can start again as it was started.

    Args:
        arguments: The command line's arguments after the program's name.
    """
    is_long = bool(arguments) and arguments[0] in _COMMANDS
    if not is_long or VARIABLE in os.environ or not _is_glibc():
        return
    is_whole = sys.orig_argv[-len(arguments) :] == list(arguments) and Path(sys.argv[0]).is_file()
    if not is_whole:
        return
    settings = ":".join(f"glibc.malloc.{name}={value}" for name, value in _SETTINGS.items())
    try:
        os.execve(sys.executable, sys.orig_argv, {**os.environ, VARIABLE: settings})
    except OSError:
        return


def _is_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError, OSError):  # not Linux, or another C library
        return False
