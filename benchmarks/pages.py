"""What the tables of every benchmark share: cells, conditions, and their place on the page."""

import os
import platform
from pathlib import Path


def machine(device: str) -> str:
    """Return the processor's or the accelerator's name, with the versions that are timed."""
    import torch
    import transformers

    name = platform.processor() or platform.machine()
    if device != "cpu":
        name = torch.cuda.get_device_name(device)
    elif Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), name)
    return (
        f"{name}, {os.cpu_count()} cores, torch {torch.__version__}, transformers {transformers.__version__}"
    )


def judged(words: str, value: float, goal: float | None) -> str:
    """Return a cell with its goal, marked where it is missed."""
    if goal is None:
        return words
    cell = f"{words} (goal {goal:g})"
    return cell if value <= goal else f"**{cell} missed**"


def plain(words: str) -> str:
    """Return words that cannot break a table's cell."""
    return " ".join(words.split()).replace("|", "/").replace("<", "‹").replace(">", "›")


def put_between(page: str, content: str, start: str, end: str) -> str:
    """Return a page with what stands between two markers replaced."""
    before, rest = page.split(start)
    _, after = rest.split(end)
    return f"{before}{start}\n\n{content}\n\n{end}{after}"
