"""An unreachable hub is noticed within seconds, and what is in the cache loads all the same."""

import socket
import threading

import huggingface_hub
import pytest

from model_understanding import LoadingError, ModelVisualizer
from model_understanding.loading import hub
from model_understanding.loading.options import LoadingOptions


@pytest.fixture
def asked(monkeypatch):
    """The hub may be asked, at an address of this machine; returns a function that sets it."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "_last", {})
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return lambda address: monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_an_unreachable_hub_is_asked_once(asked):
    asked(f"http://127.0.0.1:{free_port()}")
    assert hub.options_for("some/model", LoadingOptions()).local_files_only
    with pytest.raises(LoadingError) as caught:
        ModelVisualizer("some/model")
    assert str(caught.value) == (
        "'some/model' is neither a folder nor in the cache, and the Hugging Face Hub cannot be reached. "
        "Check the name and the network connection, or pass a folder."
    )
    assert list(hub._last) == [huggingface_hub.constants.ENDPOINT]


def test_a_name_lookup_that_hangs_is_not_waited_for(asked, monkeypatch):
    ended = threading.Event()

    def hang(*_, **__):
        ended.wait(30)
        raise OSError

    monkeypatch.setattr(socket, "create_connection", hang)
    monkeypatch.setattr(hub, "_SECONDS", 0.05)
    asked("http://127.0.0.1:1")
    assert not hub.is_reachable()
    ended.set()


def test_a_hub_that_answers_is_used_and_so_is_a_proxy(asked, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        asked(address)
        assert hub.options_for("some/model", LoadingOptions()) == LoadingOptions()
        asked(f"http://127.0.0.1:{free_port()}")
        assert not hub.is_reachable()
        monkeypatch.setenv("http_proxy", address)
        assert hub.is_reachable()


def test_a_folder_needs_no_hub(asked, tmp_path):
    asked(f"http://127.0.0.1:{free_port()}")
    assert hub.options_for(str(tmp_path), LoadingOptions()) == LoadingOptions()
    assert not hub._last
