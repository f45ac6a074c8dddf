"""Keeps a package from logging what is already kept or raised elsewhere."""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet(name: str) -> Iterator[None]:
    """Keep a package from logging and warning: what matters it raises too.

    Args:
        name: The package.

    Yields:
        Nothing.
    """
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=rf"{re.escape(name)}\b")
            yield
    finally:
        logger.setLevel(before)
