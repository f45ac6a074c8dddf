"""Integrals of gradients along paths, and the baselines where the paths start."""
