import os
from pathlib import Path

import pytest

from model_understanding.demo_models import folder_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small").write_bytes(b"small")
    (tmp_path / "large").write_bytes(b"x" * 9_000_000)
    folder_manifest.write(tmp_path, source="a test")
    return tmp_path


def test_a_complete_folder_is_intact(folder):
    assert folder_manifest.is_intact(folder)


def test_a_missing_folder_is_not_intact(tmp_path):
    assert not folder_manifest.is_intact(tmp_path / "nothing")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": 2, "files": {"small": {}}}', '{"schema": 1, "files": {}}']
)
def test_a_manifest_that_says_nothing_is_not_accepted(folder, text):
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    assert not folder_manifest.is_intact(folder)


def test_a_changed_byte_is_found_in_a_small_file_even_with_its_old_time(folder):
    status = (folder / "small").stat()
    (folder / "small").write_bytes(b"smalL")
    os.utime(folder / "small", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert not folder_manifest.is_intact(folder)


def test_a_changed_byte_is_found_in_a_large_file(folder):
    (folder / "large").write_bytes(b"x" * 8_999_999 + b"y")
    assert not folder_manifest.is_intact(folder)


def test_a_large_file_is_hashed_once_after_a_copy(folder, monkeypatch):
    hashed: list[str] = []
    digest = folder_manifest.hashlib.file_digest

    def noting(file, name):
        hashed.append(Path(file.name).name)
        return digest(file, name)

    monkeypatch.setattr(folder_manifest.hashlib, "file_digest", noting)
    os.utime(folder / "large", ns=(1, 1))
    assert folder_manifest.is_intact(folder)
    assert folder_manifest.is_intact(folder)
    assert hashed.count("large") == 1
