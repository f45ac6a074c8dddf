"""``doctor``: checks the installation."""

import json
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal, TextIO

import typer

from model_understanding.cli.console import data_console, print_json, reserved_stdout
from model_understanding.cli.options import Json
from model_understanding.cli.progress import Steps

PACKAGE = "model-understanding"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LITTLE_SPACE = 2_000_000_000  # bytes: room for one small model and its figures
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*>=\s*([0-9.]+)")
_SCRIPTS = {"Hebrew": "א", "Arabic": "ع", "Chinese": "中"}
_MARKS = {"ok": ("✓", "green"), "note": ("○", "yellow"), "missing": ("✗", "bold red")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The result of one check.

    Args:
        name: What was checked.
        status: ``ok``; ``note`` if something optional is missing; ``missing`` if something required is.
        detail: Its version, place or state.
        fix: What to do about it; empty if there is nothing to do.
    """

    name: str
    status: Literal["ok", "note", "missing"]
    detail: str
    fix: str = ""


def doctor(json_output: Json = False) -> None:
    """Check the installation, and show how to install what is missing.

    Exits with code 1 if something required is missing.
    """
    with reserved_stdout() as data:
        with Steps() as steps:
            checks = run_checks(steps)
        if json_output:
            print_json(json.dumps([asdict(check) for check in checks], ensure_ascii=False), data)
        else:
            _print_checks(checks, data)
    if any(check.status == "missing" for check in checks):
        raise typer.Exit(1)


def _print_checks(checks: Sequence[Check], stream: TextIO) -> None:
    """Print one line per check. Lines are not wrapped, so that a fix can be copied."""
    from rich.text import Text

    from model_understanding.tokens import visible_text

    console = data_console(stream)
    width = max(len(check.name) for check in checks)
    for check in checks:
        mark, style = _MARKS[check.status]
        line = Text.assemble((mark, style), "  ", (f"{check.name:<{width}}", "bold"), "  ")
        console.print(line.append(visible_text(check.detail)), soft_wrap=True)
        if check.fix:
            console.print(Text(f"{'':<{width + 5}}→ {visible_text(check.fix)}"), soft_wrap=True)
    console.print(Text(_summary(checks), style="bold"), soft_wrap=True)


def _summary(checks: Sequence[Check]) -> str:
    """Return one line about all checks.

    >>> _summary([Check(name="gguf", status="note", detail="not installed")])
    'Everything required is installed; 1 optional check has a note (→).'
    """
    missing = sum(check.status == "missing" for check in checks)
    notes = sum(check.status == "note" for check in checks)
    if missing:
        return f"{missing} required {'package is' if missing == 1 else 'packages are'} missing: see → above."
    if notes:
        checks_have = "check has a note" if notes == 1 else "checks have notes"
        return f"Everything required is installed; {notes} optional {checks_have} (→)."
    return "Everything is installed."


def run_checks(progress: Callable[[str], None]) -> tuple[Check, ...]:
    """Run every check.

    Args:
        progress: Notified of each step.

    Returns:
        The results, the basic ones first.
    """
    progress("Checking the installed packages")
    checks = [_python(), *_packages(), _accelerate()]
    missing = {check.name for check in checks if check.status == "missing"}
    if "torch" not in missing:
        progress("Checking the devices")
        checks += _devices()
    progress("Checking the caches")
    checks += [_disk(), *_caches(), *_demo_models()]
    if "matplotlib" not in missing:
        progress("Checking the fonts")
        checks.append(_fonts())
    return (*checks, _browser())


def _python() -> Check:
    return Check(
        name="Python",
        status="ok",
        detail=f"{platform.python_version()} ({platform.system()} {platform.machine()}), {sys.executable}",
    )


def _packages() -> Iterator[Check]:
    """Compare the required packages with the installed ones."""
    yield Check(name=PACKAGE, status="ok", detail=metadata.version(PACKAGE))
    for requirement in metadata.requires(PACKAGE) or ():
        match = _REQUIREMENT.match(requirement)
        if match is None or "extra ==" in requirement:
            continue
        name, required = match.groups()
        fix = f'{_pip()} install "{name}>={required}"'
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Check(name=name, status="missing", detail="not installed", fix=fix)
            continue
        if _numbers(installed) < _numbers(required):
            detail = f"{installed} is too old: {required} or newer is required"
            yield Check(name=name, status="missing", detail=detail, fix=fix)
        else:
            yield Check(name=name, status="ok", detail=installed)


def _accelerate() -> Check:
    try:
        return Check(name="accelerate", status="ok", detail=metadata.version("accelerate"))
    except metadata.PackageNotFoundError:
        return Check(
            name="accelerate",
            status="note",
            detail="not installed; needed for .gguf files and device_map",
            fix=f"{_pip()} install accelerate",
        )


def _devices() -> Iterator[Check]:
    try:
        import torch
    except Exception as error:  # a damaged installation can raise anything
        fix = f"{_pip()} install --force-reinstall torch"
        yield Check(name="devices", status="missing", detail=f"cannot import torch: {error}", fix=fix)
        return
    names = [f"cpu ({torch.get_num_threads()} threads)"]
    if torch.cuda.is_available():
        names += [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    yield Check(name="devices", status="ok", detail=", ".join(names))


def _disk() -> Check:
    free = shutil.disk_usage(_existing(_cache_folder())).free
    detail = f"{free / 1e9:.1f} GB free on the disk of the cache"
    if free < LITTLE_SPACE:
        fix = "Free some space, or set MODEL_UNDERSTANDING_CACHE and HF_HOME to folders on another disk."
        return Check(name="disk", status="note", detail=detail, fix=fix)
    return Check(name="disk", status="ok", detail=detail)


def _caches() -> Iterator[Check]:
    yield Check(name="cache", status="ok", detail=str(_cache_folder()))
    try:
        from huggingface_hub.constants import HF_HUB_CACHE
    except ImportError:
        return
    yield Check(name="hub cache", status="ok", detail=str(HF_HUB_CACHE))


def _demo_models() -> Iterator[Check]:
    from model_understanding.demo_models import DEMO_MODELS, demo_model_folder, folder_manifest
    from model_understanding.demo_models.minilm import MINILM
    from model_understanding.demo_models.packaged_model import cache_root
    from model_understanding.demo_models.smollm2 import SMOLLM2
    from model_understanding.errors import LoadingError

    try:
        demo_model_folder("demo:sentiment")
        yield Check(name="demo:sentiment", status="ok", detail="part of this installation")
    except LoadingError as error:
        yield Check(name="demo:sentiment", status="note", detail=error.message, fix=error.hint)
    fixes = {SMOLLM2: f"{PACKAGE} demo", MINILM: f'{PACKAGE} explain demo:minilm "…" --pair "…"'}
    for model, fix in fixes.items():
        if folder_manifest.is_intact(cache_root() / model.folder):
            yield Check(name=model.name, status="ok", detail="cached")
        else:
            size = DEMO_MODELS[model.name].download_megabytes
            yield Check(
                name=model.name,
                status="note",
                detail="not cached yet",
                fix=f"{fix} (downloads {size} MB once)",
            )


def _fonts() -> Check:
    from model_understanding.show.figures.fonts import drawable, font_cache, uncached_font

    stale = uncached_font(_SCRIPTS.values())
    if stale is not None:
        return Check(
            name="fonts",
            status="note",
            detail=f"{stale} is installed, but not in matplotlib's font cache; only our figures use it",
            fix=f"Delete {font_cache()}; matplotlib makes it again.",
        )
    undrawable = [name for name, character in _SCRIPTS.items() if drawable(character) != character]
    if not undrawable:
        return Check(name="fonts", status="ok", detail=f"figures can show {', '.join(_SCRIPTS)}")
    return Check(
        name="fonts",
        status="note",
        detail=f"no font for {', '.join(undrawable)}; figures show these characters as \\u…",
        fix=_apt("fonts-noto-cjk fonts-noto-core", "Install the Noto fonts."),
    )


def _browser() -> Check:
    for name in BROWSERS:
        if path := shutil.which(name):
            return Check(name="chromium", status="ok", detail=path)
    return Check(
        name="chromium",
        status="note",
        detail="not installed; needed only for the browser tests",
        fix=_apt("chromium", "Install Chromium."),
    )


def _cache_folder() -> Path:
    from model_understanding.demo_models.packaged_model import cache_root

    return cache_root()


def _existing(folder: Path) -> Path:
    """Return the folder, or its nearest parent that exists."""
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def _apt(packages: str, otherwise: str) -> str:
    return f"sudo apt install {packages}" if shutil.which("apt-get") else otherwise


def _pip() -> str:
    return f"{sys.executable} -m pip"


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version.

    >>> _numbers("2.13.0+cpu")
    (2, 13, 0)
    """
    return tuple(int(part) for part in re.match(r"[0-9.]*", version).group().strip(".").split(".") if part)  # type: ignore[union-attr]
