"""Where Ray runs: the caller's cluster, or one of this process, on this machine only."""

import logging
import os
import secrets
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from model_understanding.dataset.quiet import quiet
from model_understanding.errors import InputError, MissingExtraError

_STORE = 512 * 2**20  # bytes of shared memory; Ray's own default is 30 % of the machine's
_AUTH_TOKEN = secrets.token_hex(32)  # no file holds it
_REMOVALS = 6  # tries to remove what a Ray that ends may still write to
_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
_LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")


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

    Raises:
        InputError: No cluster answers at RAY_ADDRESS.
    """
    ray = ray_package()
    if ray.is_initialized():
        yield ray
        return
    address = os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    with ExitStack() as stack:
        stack.enter_context(quiet("ray"))
        if not address:
            folder = stack.enter_context(_own_settings())
            options |= {"address": "local", "include_dashboard": False}
            options |= {"object_store_memory": _STORE, "_temp_dir": folder}
        if not address or _is_on_loopback(address):
            stack.enter_context(_on_loopback())
        stack.callback(ray.shutdown)
        try:
            with _without(b"Set ray log level from environment variable"):
                ray.init(**options)
        except (ConnectionError, RuntimeError) as error:
            if not address:
                raise
            raise InputError(
                f"Cannot connect to RAY_ADDRESS={address}: {error}.",
                hint="Set RAY_AUTH_MODE=token if the cluster needs a token, which ray start keeps in "
                "~/.ray/auth_token; it must run the same versions of Ray and Python.",
            ) from error
        yield ray


@contextmanager
def _without(words: bytes) -> Iterator[None]:
    """Keep lines with some words from standard error, where code that is not Python's writes them."""
    try:
        terminal = os.dup(2)
    except OSError:  # closed
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            held.seek(0)
            for line in held:
                if words not in line:
                    os.write(2, line)


@contextmanager
def _own_settings() -> Iterator[str | None]:
    """Set what a Ray that is started here reads from the environment; give a folder for what it leaves."""
    settings = {
        "RAY_AUTH_TOKEN": _AUTH_TOKEN,
        "RAY_BACKEND_LOG_LEVEL": "fatal",  # otherwise warnings of its C++ code mix with what is printed here
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    # Sockets have short names only; /tmp is shorter than what TMPDIR often is.
    folder = None if os.name == "nt" else tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    try:
        with _environment(settings):
            yield folder
    finally:
        for _ in range(_REMOVALS if folder is not None else 0):
            shutil.rmtree(str(folder), ignore_errors=True)
            if not os.path.lexists(str(folder)):
                break
            time.sleep(0.5)  # processes that end write their last lines


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Let Ray take this machine's address to be that of its loopback interface.

    Otherwise it listens on all interfaces of Linux, and replaces 127.0.0.1 by the address of another one.
    """
    constants: Any = sys.modules["ray._private.ray_constants"]  # reads the environment once
    before = constants.ENABLE_RAY_CLUSTER
    try:
        with _environment({_LOOPBACK: "0"}):
            constants.ENABLE_RAY_CLUSTER = False
            yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before


def _is_on_loopback(address: str) -> bool:
    """Return whether a cluster listens on the loopback interface of this machine only.

    Raises:
        InputError: There is none.
    """
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or "/" in host:  # auto, ray://…
        return False
    host = host.strip("[]")
    if not _answers(host, int(port)):
        raise InputError(
            f"No Ray answers at RAY_ADDRESS={address}.",
            hint="Start it with ray start --head, or unset RAY_ADDRESS: then one is started here.",
        )
    return host in _LOOPBACK_HOSTS and not _answers(ray_package().util.get_node_ip_address(), int(port))


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


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
