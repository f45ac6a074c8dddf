"""Settings for the whole suite."""

import os

import pytest

# Asserts in what tests share say what they compared, as those of tests do.
pytest.register_assert_rewrite("browsing", "untouched")
# Tiny models gain nothing from threads, and lose much where other work shares the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# No test may ask the hub for anything.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
