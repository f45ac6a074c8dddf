"""Path integrals of gradients, and their baselines."""
