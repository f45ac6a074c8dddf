"""What attention is compared with: a plain forward pass, and an eager model that returns every weight."""

from collections.abc import Callable
from typing import Any

import torch


def prepare(problem: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """Return the function to time, and one that converts its result to lists.

    ``plain`` returns no attention. ``eager`` is a model loaded with eager attention; as ``output_attentions``
    does, it holds the weights of all layers before it averages them.
    """
    model, ids = problem.model, problem.texts[0]
    options = {"logits_to_keep": 1, "use_cache": False}

    def plain() -> Any:
        with torch.no_grad():
            return model(input_ids=ids, **options).logits

    def eager() -> Any:
        with torch.no_grad():
            attentions = model(input_ids=ids, output_attentions=True, **options).attentions
            return torch.stack([layer[0].mean(0) for layer in attentions])

    if problem.work == "plain":
        return plain, lambda found: {}
    return eager, lambda found: {"last_rows": found[:, -1].tolist()}
