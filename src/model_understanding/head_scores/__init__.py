"""Scores of attention heads: one score per file, each listed by one line in ``registry.HEAD_SCORES``."""
