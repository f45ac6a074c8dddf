"""``doctor``: checks the environment."""

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

from model_understanding.cli.options import Json

PACKAGE = "model-understanding"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LITTLE_SPACE = 2_000_000_000  # bytes: room for one small model and its figures
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*>=\s*([0-9.]+)")
_SCRIPTS = {"Hebrew": "א", "Arabic": "ع", "Chinese": "中"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Args:
        name: What it is.
        status: ``ok``; ``note`` when something optional is missing; ``missing`` when nothing works
            without it.
        detail: What was found.
        fix: What to do about it; empty when there is nothing to do.
    """

    name: str
    status: Literal["ok", "note", "missing"]
    detail: str
    fix: str = ""


def examine(progress: Callable[[str], None]) -> tuple[Finding, ...]:
    """Look at everything.

    Args:
        progress: Told what is being looked at.

    Returns:
        The findings, the basic ones first.
    """
    progress("Looking at the installed packages")
    findings = [_python(), *_packages(), _gguf()]
    if not any(finding.name == "torch" and finding.status == "missing" for finding in findings):
        progress("Asking torch for its devices")
        findings += _devices()
    progress("Looking at the caches")
    findings += [_disk(), *_caches(), *_demo_models()]
    if not any(finding.name == "matplotlib" and finding.status == "missing" for finding in findings):
        progress("Looking at the fonts")
        findings.append(_fonts())
    return (*findings, _browser())


def _python() -> Finding:
    return Finding(
        name="Python",
        status="ok",
        detail=f"{platform.python_version()} ({platform.system()} {platform.machine()}), {sys.executable}",
    )


def _packages() -> Iterator[Finding]:
    """Compare each package this one needs with what is installed."""
    yield Finding(name=PACKAGE, status="ok", detail=metadata.version(PACKAGE))
    for requirement in metadata.requires(PACKAGE) or ():
        match = _REQUIREMENT.match(requirement)
        if match is None or "extra ==" in requirement:
            continue
        name, floor = match.groups()
        fix = f'{_pip()} install "{name}>={floor}"'
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Finding(name=name, status="missing", detail="not installed", fix=fix)
            continue
        if _numbers(installed) < _numbers(floor):
            detail = f"{installed}, but {floor} or newer is needed"
            yield Finding(name=name, status="missing", detail=detail, fix=fix)
        else:
            yield Finding(name=name, status="ok", detail=installed)


def _gguf() -> Finding:
    try:
        return Finding(name="gguf", status="ok", detail=metadata.version("gguf"))
    except metadata.PackageNotFoundError:
        return Finding(
            name="gguf",
            status="note",
            detail="not installed: .gguf files and the first use of demo:smollm2 need it",
            fix=f'{_pip()} install "{PACKAGE}[gguf]"',
        )


def _devices() -> Iterator[Finding]:
    try:
        import torch
    except Exception as error:  # a damaged installation raises whatever it likes
        fix = f"{_pip()} install --force-reinstall torch"
        yield Finding(name="devices", status="missing", detail=f"torch cannot be imported: {error}", fix=fix)
        return
    names = [f"cpu ({torch.get_num_threads()} threads)"]
    if torch.cuda.is_available():
        names += [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    yield Finding(name="devices", status="ok", detail=", ".join(names))


def _disk() -> Finding:
    free = shutil.disk_usage(_existing(_cache_folder())).free
    detail = f"{free / 1e9:.1f} GB free where models are kept"
    if free < LITTLE_SPACE:
        fix = "Free some space, or set MODEL_UNDERSTANDING_CACHE and HF_HOME to folders on another disk."
        return Finding(name="disk", status="note", detail=detail, fix=fix)
    return Finding(name="disk", status="ok", detail=detail)


def _caches() -> Iterator[Finding]:
    yield Finding(name="cache", status="ok", detail=str(_cache_folder()))
    try:
        from huggingface_hub.constants import HF_HUB_CACHE
    except ImportError:
        return
    yield Finding(name="hub cache", status="ok", detail=str(HF_HUB_CACHE))


def _demo_models() -> Iterator[Finding]:
    from model_understanding.demo_models import DEMO_MODELS, demo_model_folder, folder_manifest, smollm2
    from model_understanding.errors import LoadingError

    try:
        demo_model_folder("demo:sentiment")
        yield Finding(name="demo:sentiment", status="ok", detail="part of this installation")
    except LoadingError as error:
        yield Finding(name="demo:sentiment", status="note", detail=error.message, fix=error.hint)
    if folder_manifest.is_intact(smollm2.cache_root() / smollm2.SMOLLM2.folder):
        yield Finding(name="demo:smollm2", status="ok", detail="cached")
    else:
        size = DEMO_MODELS["demo:smollm2"].download_megabytes
        yield Finding(
            name="demo:smollm2",
            status="note",
            detail="not cached yet",
            fix=f"{PACKAGE} demo (fetches {size} MB once)",
        )


def _fonts() -> Finding:
    from model_understanding.show.figures.fonts import drawable

    lacking = [name for name, character in _SCRIPTS.items() if drawable(character) != character]
    if not lacking:
        return Finding(name="fonts", status="ok", detail=f"figures can draw {', '.join(_SCRIPTS)}")
    return Finding(
        name="fonts",
        status="note",
        detail=f"no font for {', '.join(lacking)}: figures show these characters as \\u…",
        fix=_apt("fonts-noto-cjk fonts-noto-core", "Install the Noto fonts."),
    )


def _browser() -> Finding:
    for name in BROWSERS:
        if path := shutil.which(name):
            return Finding(name="chromium", status="ok", detail=path)
    return Finding(
        name="chromium",
        status="note",
        detail="not found: only the browser tests need it",
        fix=_apt("chromium", "Install Chromium."),
    )


def _cache_folder() -> Path:
    from model_understanding.demo_models.smollm2 import cache_root

    return cache_root()


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def _apt(packages: str, otherwise: str) -> str:
    return f"sudo apt install {packages}" if shutil.which("apt-get") else otherwise


def _pip() -> str:
    return f"{sys.executable} -m pip"


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, without what follows them.

    >>> _numbers("2.13.0+cpu")
    (2, 13, 0)
    """
    return tuple(int(part) for part in re.match(r"[0-9.]*", version).group().strip(".").split(".") if part)  # type: ignore[union-attr]


_MARKS = {"ok": ("✓", "green"), "note": ("○", "yellow"), "missing": ("✗", "bold red")}


def doctor(json_output: Json = False) -> None:
    """Check the installation, and say what is missing and how to get it.

    Exits with 1 when something is missing that every explanation needs.
    """
    pass
    from model_understanding.cli.console import print_json, quiet_libraries, reserved_stdout
    from model_understanding.cli.progress import Steps

    quiet_libraries()
    with reserved_stdout() as data:
        with Steps() as steps:
            findings = examine(steps)
        if json_output:
            print_json(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False), data)
        else:
            _print_findings(findings, data)
    if any(finding.status == "missing" for finding in findings):
        raise typer.Exit(1)


def _print_findings(findings: Sequence[Finding], stream: TextIO) -> None:
    """Print a line for each finding. Lines are not wrapped, so that a fix can be copied."""
    from rich.text import Text

    from model_understanding.cli.console import data_console
    from model_understanding.tokens import visible_text

    console = data_console(stream)
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark, style = _MARKS[finding.status]
        line = Text.assemble((mark, style), "  ", (f"{finding.name:<{width}}", "bold"), "  ")
        console.print(line.append(visible_text(finding.detail)), soft_wrap=True)
        if finding.fix:
            console.print(Text(f"{'':<{width + 5}}→ {visible_text(finding.fix)}"), soft_wrap=True)
    console.print(Text(_verdict(findings), style="bold"), soft_wrap=True)


def _verdict(findings: Sequence[Finding]) -> str:
    """Return one line about all findings.

    >>> _verdict([Finding(name="gguf", status="note", detail="not installed")])
    'Everything needed is there; 1 optional thing is not.'
    """
    missing = sum(finding.status == "missing" for finding in findings)
    notes = sum(finding.status == "note" for finding in findings)
    if missing:
        return f"{missing} needed {'thing is' if missing == 1 else 'things are'} missing: see → above."
    if notes:
        return (
            f"Everything needed is there; {notes} optional {'thing is' if notes == 1 else 'things are'} not."
        )
    return "Everything is there."
