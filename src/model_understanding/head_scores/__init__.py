"""Scores of attention heads: one score a file, its line in ``registry.HEAD_SCORES``."""
