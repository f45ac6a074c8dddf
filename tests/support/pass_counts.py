"""Counts what a model really runs, to hold it against what was estimated."""

from contextlib import contextmanager

import torch


@contextmanager
def counted(model):
    """Count forwards and their positions, and backward passes that reach the embeddings."""
    counts = {"forwards": 0, "positions": 0, "backwards": 0, "backward_positions": 0}
    grad = torch.autograd.grad

    def forward(_, arguments, keywords, outputs):
        counts["forwards"] += 1
        counts["positions"] += keywords["input_ids"].numel()

    def backward(outputs, inputs, *arguments, **keywords):
        found = grad(outputs, inputs, *arguments, **keywords)
        if isinstance(inputs, torch.Tensor) and inputs.is_leaf:
            counts["backwards"] += 1
            counts["backward_positions"] += found[0][..., 0].numel()
        return found

    handle = model.register_forward_hook(forward, with_kwargs=True)
    torch.autograd.grad = backward
    try:
        yield counts
    finally:
        handle.remove()
        torch.autograd.grad = grad
