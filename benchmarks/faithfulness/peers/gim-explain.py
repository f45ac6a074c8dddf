"""gim-explain 0.1: each generated token's logit, with the package's own baseline, a space, summed."""

from collections.abc import Callable
from typing import Any

import gim


def prepare(problem: Any) -> Callable[[Any], Any]:
    """Return gim-explain's way: (embedding − baseline) · modified gradient."""
    problem.model.requires_grad_(True)  # it replaces norms with copies that need gradients

    def explained(ids: Any, token: int, position: int) -> Any:
        problem.model.zero_grad()  # it fills every parameter's gradient
        return gim.explain(
            problem.model,
            ids,
            target_token_id=token,
            target_position=position,
            tokenizer=problem.tokenizer,
        )

    def scores_of(question: Any) -> Any:
        ids = question.ids
        if question.prompt is None:
            return ids[0], explained(ids, question.index, -1)
        places = range(question.prompt, ids.shape[1])
        return ids[0], sum(explained(ids, int(ids[0, place]), place - 1) for place in places)

    return scores_of
