"""Evaluate attributions: metrics of how faithful scores are to the model, and the verdict."""
