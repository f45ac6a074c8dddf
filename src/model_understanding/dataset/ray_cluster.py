"""Where Ray runs: the caller's cluster, or one of this process, on this machine only."""

import logging
import os
import re
import secrets
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from model_understanding.errors import MissingExtraError

_STORE = 512 * 2**20  # bytes of shared memory; Ray's own default is 30 % of the machine's
_AUTH_TOKEN = secrets.token_hex(32)  # no file holds it
_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"


def ray_package() -> Any:
    """Return the package ray.

    Raises:
        MissingExtraError: It is not installed, or without Ray Data.
    """
    try:
        import ray  # pyright: ignore[reportMissingImports]
        import ray.data  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtraError(
            "The engine ray requires the package ray with Ray Data, which is not installed.",
            hint='Run: pip install "model-understanding[ray]"',
        ) from error
    return ray


@contextmanager
def connected() -> Iterator[Any]:
    """Give the package ray, connected.

    It is connected to what the caller has connected it to; else to the cluster that RAY_ADDRESS names; else
    to a Ray that is started here, listens on the loopback interface only, and ends with the context.

    Yields:
        The package.
    """
    ray = ray_package()
    if ray.is_initialized():
        yield ray
        return
    address = os.environ.get("RAY_ADDRESS")
    try:
        if address:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            yield ray
        else:
            with quiet("ray"), _own_settings() as folder:
                ray.init(
                    address="local",
                    include_dashboard=False,
                    object_store_memory=_STORE,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    _temp_dir=folder,
                )
                yield ray
                ray.shutdown()
    finally:
        ray.shutdown()


@contextmanager
def quiet(name: str) -> Iterator[None]:
    """Keep a package from logging and warning of what is no error.

    Args:
        name: The package.

    Yields:
        Nothing.
    """
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=rf"{re.escape(name)}\b")
            yield
    finally:
        logger.setLevel(before)


@contextmanager
def _own_settings() -> Iterator[str | None]:
    """Set what Ray reads from the environment as it starts, and give a folder for its logs and sockets.

    Ray listens on all interfaces of Linux, and on the loopback interface where it takes the machine for one
    that cannot be part of a cluster.
    """
    settings = {
        _LOOPBACK: "0",
        "RAY_AUTH_TOKEN": _AUTH_TOKEN,
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    # Sockets have short names only; /tmp is shorter than what TMPDIR often is.
    folder = None if os.name == "nt" else tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    constants = sys.modules["ray._private.ray_constants"]  # reads the environment once
    before = constants.ENABLE_RAY_CLUSTER
    try:
        with _environment(settings):
            constants.ENABLE_RAY_CLUSTER = False
            yield folder
    finally:
        constants.ENABLE_RAY_CLUSTER = before
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in (*settings, "RAY_AUTH_MODE")}  # Ray sets this one
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
