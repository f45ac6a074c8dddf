import json
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from model_understanding.cli import doctor
from model_understanding.cli.doctor import Check, run_checks


def check_of(name: str) -> Check:
    return {check.name: check for check in run_checks(lambda _text: None)}[name]


def test_everything_is_looked_at(command: Callable) -> None:
    outcome = command("doctor", "--json")
    checks = {entry["name"]: entry for entry in json.loads(outcome.out)}
    assert outcome.code == 0
    assert {
        "Python", "model-understanding", "torch", "transformers", "typer", "devices", "disk", "cache",
        "hub cache", "demo:sentiment", "demo:smollm2", "demo:minilm", "fonts", "chromium",
    } <= checks.keys()  # fmt: skip
    assert checks["torch"]["detail"] == metadata.version("torch")


def test_a_missing_package_has_an_exact_fix_and_fails(
    command: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name in ("seaborn", "accelerate"):
            raise metadata.PackageNotFoundError(name)
        return "4.9.1.dev0" if name == "transformers" else real(name)

    monkeypatch.setattr(doctor.metadata, "version", version)
    monkeypatch.setattr(doctor.sys, "executable", "/x/python")
    assert check_of("seaborn") == Check(
        name="seaborn",
        status="missing",
        detail="not installed",
        fix='/x/python -m pip install "seaborn>=0.13.2"',
    )
    required = next(
        name for name in metadata.requires(doctor.PACKAGE) or () if name.startswith("transformers")
    )
    least = required.partition(">=")[2]
    assert check_of("transformers") == Check(
        name="transformers",
        status="missing",
        detail=f"4.9.1.dev0 is too old: {least} or newer is required",
        fix=f'/x/python -m pip install "transformers>={least}"',
    )
    assert check_of("accelerate").status == "note"
    outcome = command("doctor")
    assert outcome.code == 1
    assert "✗  seaborn" in outcome.out
    assert '→ /x/python -m pip install "seaborn>=0.13.2"\n' in outcome.out


def test_what_is_optional_does_not_fail(
    command: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MODEL_UNDERSTANDING_CACHE", str(tmp_path / "not" / "there"))
    monkeypatch.setattr(doctor.shutil, "which", lambda _name: None)
    outcome = command("doctor")
    assert outcome.code == 0
    assert "→ model-understanding demo (downloads 93 MB once)\n" in outcome.out
    assert "→ Install Chromium.\n" in outcome.out
    assert not (tmp_path / "not").exists()


def test_little_space_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MODEL_UNDERSTANDING_CACHE", str(tmp_path))
    monkeypatch.setattr(doctor, "LITTLE_SPACE", 10**18)
    assert check_of("disk").status == "note"
    assert check_of("disk").fix.startswith("Free some space, or set MODEL_UNDERSTANDING_CACHE")


def test_a_script_without_a_font_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "model_understanding.show.figures.fonts.drawable", lambda text: text.replace("中", "\\u4e2d")
    )
    fonts = "model_understanding.show.figures.fonts"
    monkeypatch.setattr(f"{fonts}.uncached_font", lambda _characters: None)
    assert check_of("fonts").detail == "no font for Chinese; figures show these characters as \\u…"
    monkeypatch.setattr(f"{fonts}.uncached_font", lambda _characters: "/fonts/new.otf")
    monkeypatch.setattr(f"{fonts}.font_cache", lambda: Path("/cache/fontlist.json"))
    assert check_of("fonts") == Check(
        name="fonts",
        status="note",
        detail="/fonts/new.otf is installed, but not in matplotlib's font cache; only our figures use it",
        fix="Delete /cache/fontlist.json; matplotlib makes it again.",
    )
