"""gim-explain 0.1: the GIM authors' package, one target of one text."""

from collections.abc import Callable
from typing import Any

import gim

ZERO_ID = 0  # a token whose embedding is zero in the benchmark's models: the baseline that we have as well


def prepare(problem: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """Return gim-explain's way: (embedding − baseline) · modified gradient."""
    # It replaces norms with copies that need gradients, and fills every parameter's gradient.
    problem.model.requires_grad_(True)

    def run() -> Any:
        return gim.explain(
            problem.model,
            problem.texts[0],
            target_token_id=problem.index,
            baseline_token_id=ZERO_ID,
        )

    return run, lambda found: {"other": [found.tolist()]}
