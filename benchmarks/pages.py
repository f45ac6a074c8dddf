"""Helpers for the tables of every benchmark: cells, conditions, and replacing a table on the page."""

import os
import platform
from pathlib import Path


def machine(device: str) -> str:
    """Return the name of the CPU or GPU, with the versions of torch and transformers."""
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
    """Return a cell with its goal, marked if the goal is missed."""
    if goal is None:
        return words
    cell = f"{words} (goal {goal:g})"
    return cell if value <= goal else f"**{cell} missed**"


def plain(words: str) -> str:
    """Return a text that can be put in a cell of a Markdown table."""
    return " ".join(words.split()).replace("|", "/").replace("<", "‹").replace(">", "›")


def put_between(page: str, content: str, start: str, end: str) -> str:
    """Return the page with the text between two markers replaced."""
    before, rest = page.split(start)
    _, after = rest.split(end)
    return f"{before}{start}\n\n{content}\n\n{end}{after}"
