"""bertviz: the head view of the same text as HTML, including the eager forward pass."""

from collections.abc import Callable
from typing import Any

import torch
from bertviz import head_view


def prepare(problem: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """Return the function to time, which makes the page, and one that counts its bytes."""
    model, ids = problem.model, problem.texts[0]
    tokens = [f"w{number}" for number in problem.ids[0]]

    def run() -> str:
        with torch.no_grad():
            attentions = model(
                input_ids=ids, output_attentions=True, logits_to_keep=1, use_cache=False
            ).attentions
        return head_view(attentions, tokens, html_action="return").data

    return run, lambda found: {"html_bytes": len(found.encode())}
