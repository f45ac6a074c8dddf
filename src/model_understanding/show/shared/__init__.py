"""Shared by figures, terminal, page and payload: colors, texts, text runs, attention matrices."""
