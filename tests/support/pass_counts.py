"""Counts what a model really runs, to hold it against what was estimated."""

import re
from contextlib import contextmanager

import torch

from model_understanding.model.embeddings import has_embeddings, reads_id_itself


def measured(visualizer):
    """Return a visualizer whose model has been measured where it looks ids up, which is done once."""
    model = visualizer.runner.model
    if has_embeddings(model):
        for kind in ("mask", "pad"):
            if (token := getattr(model.tokenizer, f"{kind}_token_id", None)) is not None:
                reads_id_itself(model, token)
    return visualizer


@contextmanager
def counted(model):
    """Count forwards and their positions, and backward passes that reach the embeddings."""
    counts = {"forwards": 0, "positions": 0, "backwards": 0, "backward_positions": 0}
    grad, running = torch.autograd.grad, []

    def forward(_, arguments, keywords, outputs):
        counts["forwards"] += 1
        counts["positions"] += keywords["input_ids"].numel()

    def backward(outputs, inputs, *arguments, **keywords):
        is_own_work = bool(running)  # a rule's, which takes slopes of functions in either direction
        running.append(True)
        try:
            found = grad(outputs, inputs, *arguments, **keywords)
        finally:
            running.pop()
        leaf = inputs if isinstance(inputs, torch.Tensor) else inputs[0]
        if leaf.is_leaf and leaf.ndim == 3 and not is_own_work:
            counts["backwards"] += 1
            counts["backward_positions"] += found[0][..., 0].numel()
        return found

    handles = [
        model.register_forward_pre_hook(lambda *_: running.append(True)),
        model.register_forward_hook(lambda *_: running.clear(), always_call=True),
        model.register_forward_hook(forward, with_kwargs=True),
    ]
    torch.autograd.grad = backward
    try:
        yield counts
    finally:
        for handle in handles:
            handle.remove()
        torch.autograd.grad = grad


def forwards_of(model, call):
    """Return the shape of the ids of every forward pass that a call makes."""
    shapes = []
    handle = model.register_forward_pre_hook(
        lambda _, arguments, keywords: shapes.append(tuple(keywords["input_ids"].shape)), with_kwargs=True
    )
    try:
        call()
    finally:
        handle.remove()
    return shapes


def stated_forwards(cost, **known):
    """Return how many forward passes the words of a ``cost`` state, by numbers that are known.

    ``None`` where the words are no formula of these, as "the method's own".

    >>> stated_forwards("1 + tokens forward passes for each replacement", tokens=5)
    6
    """
    if cost == "none":
        return 0
    formula = cost.partition(" forward")[0].removeprefix("up to ").removesuffix(" orders").replace("×", "*")
    names = set(re.findall(r"[A-Za-z_]+", formula)) - {"min"}
    if not re.fullmatch(r"[\w+*(), ]+", formula) or not names <= known.keys():
        return None
    return eval(formula, {"min": min, **known})
