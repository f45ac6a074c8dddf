"""Whether this process is a notebook's kernel."""

import sys


def in_notebook() -> bool:
    """Return whether the code runs in a notebook's kernel, where a returned report shows itself."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and getattr(shell, "kernel", None) is not None
