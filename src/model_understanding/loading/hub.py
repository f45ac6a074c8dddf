"""Whether the Hugging Face Hub can be reached, asked once and briefly, before a library asks for minutes."""

import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import huggingface_hub

from model_understanding.loading.options import LoadingOptions

_SECONDS = 4.0
_KEPT = 30.0
_last: dict[str, tuple[float, bool]] = {}


def options_for(checkpoint: str, options: LoadingOptions) -> LoadingOptions:
    """Return the options for loading a checkpoint: from the cache alone where the hub cannot be reached.

    huggingface_hub asks an unreachable hub again and again, for half a minute and for each file.

    Args:
        checkpoint: The hub id or folder.
        options: How to load it.
    """
    if Path(checkpoint).exists() or huggingface_hub.constants.HF_HUB_OFFLINE or is_reachable():
        return options
    return replace(options, local_files_only=True)


def is_reachable() -> bool:
    """Return whether the hub, or the proxy that leads to it, accepts connections within four seconds."""
    endpoint = urlsplit(huggingface_hub.constants.ENDPOINT)
    proxy = os.environ.get(f"{endpoint.scheme}_proxy") or os.environ.get(f"{endpoint.scheme.upper()}_PROXY")
    address = urlsplit(proxy) if proxy else endpoint
    port = address.port or (443 if address.scheme == "https" else 80)
    host = address.hostname or ""
    checked, answer = _last.get(address.geturl(), (-_KEPT, False))
    if time.monotonic() - checked < _KEPT:
        return answer
    connected, done = threading.Event(), threading.Event()

    def connect() -> None:
        with suppress(OSError):
            socket.create_connection((host, port), timeout=_SECONDS).close()
            connected.set()
        done.set()

    threading.Thread(target=connect, daemon=True).start()  # looking up a name has no time limit of its own
    done.wait(_SECONDS)
    _last[address.geturl()] = (time.monotonic(), connected.is_set())
    return connected.is_set()
