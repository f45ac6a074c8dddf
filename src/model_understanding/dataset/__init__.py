"""Explain a whole data set: rows in, parts out, and what the model relies on."""
