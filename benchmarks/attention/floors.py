"""What attention is measured against: the model's plain forward, and eager code that returns every weight."""

from collections.abc import Callable
from typing import Any

import torch


def prepare(problem: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """Return a forward, and what makes lists of its attention.

    ``plain`` needs no attention. ``eager`` is a model truly loaded eager; its weights are joined as the row
    asks for, all of them held until then, as ``output_attentions`` has it.
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
