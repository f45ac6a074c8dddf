"""A tiny language model in a tiny wheel, made as the real one is, and processes that fetch it."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from model_understanding.demo_models.packaged_model import PackagedModel

from .tiny_language_model import write_tiny_gguf

CHILD = """
import json, sys
from pathlib import Path
from model_understanding.demo_models.packaged_model import PackagedModel, converted_folder
model, root, stop_at = PackagedModel(**json.loads(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]
reported = []
def progress(text, share):
    if text not in reported:
        reported.append(text)
        print(text, flush=True)
        if text == stop_at:
            sys.stdin.readline()
converted_folder(model, root, progress=progress)
print("done", flush=True)
"""


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "tiny.gguf"
    write_tiny_gguf(path)
    return path


@pytest.fixture(scope="session")
def shelf(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel, as pip's --find-links takes it."""
    folder = tmp_path_factory.mktemp("shelf")
    about = "tiny_llama-1.0.dist-info"
    with zipfile.ZipFile(folder / "tiny_llama-1.0-py3-none-any.whl", "w") as archive:
        archive.write(tiny_gguf, "tiny_llama/tiny.gguf")
        archive.writestr(
            f"{about}/METADATA",
            "Metadata-Version: 2.1\nName: tiny-llama\nVersion: 1.0\nRequires-Dist: absent\n",
        )
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return folder


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="session")
def tiny(tiny_gguf: Path, shelf: Path) -> PackagedModel:
    wheel = shelf / "tiny_llama-1.0-py3-none-any.whl"
    return PackagedModel(
        name="demo:tiny",
        requirement="tiny-llama==1.0",
        wheel=wheel.name,
        wheel_sha256=sha256(wheel),
        wheel_bytes=wheel.stat().st_size,
        gguf="tiny_llama/tiny.gguf",
        gguf_sha256=sha256(tiny_gguf),
        gguf_bytes=tiny_gguf.stat().st_size,
        folder_bytes=500_000,
        folder="tiny-1",
    )


@pytest.fixture
def pip_from_shelf(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip looks into the shelf only, whatever this machine's settings are."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))


@pytest.fixture
def placed(tiny: PackagedModel, shelf: Path, tmp_path: Path) -> Path:
    """A cache folder into which the user has put the wheel."""
    root = tmp_path / "cache"
    root.mkdir()
    (root / tiny.wheel).write_bytes((shelf / tiny.wheel).read_bytes())
    return root


@pytest.fixture
def start(tiny: PackagedModel) -> Iterator[Callable[[Path, str], subprocess.Popen[str]]]:
    """Starts processes that make the folder and wait for a line on stdin when they report `stop_at`."""
    running: list[subprocess.Popen[str]] = []

    def start_one(root: Path, stop_at: str = "") -> subprocess.Popen[str]:
        arguments = [sys.executable, "-c", CHILD, json.dumps(asdict(tiny)), str(root), stop_at]
        process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(process)
        return process

    yield start_one
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()
