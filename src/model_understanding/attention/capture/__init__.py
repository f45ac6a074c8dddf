"""Attention weights, values and projections, read from a forward pass."""
