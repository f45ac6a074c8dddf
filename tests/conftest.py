"""Settings for the whole suite."""

import importlib.metadata
import os
from functools import cache

import pytest

# Asserts in what tests share say what they compared, as those of tests do.
pytest.register_assert_rewrite("browsing", "untouched")
# Tiny models gain nothing from threads, and lose much where other work shares the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# No test may ask the hub for anything.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# What is installed does not change during a run, and looking it up takes longer than a tiny model's answer.
importlib.metadata.entry_points = cache(importlib.metadata.entry_points)
importlib.metadata.version = cache(importlib.metadata.version)
