"""ferret 0.4: a classifier's class, one text at a time."""

from collections.abc import Callable
from typing import Any

from ferret import IntegratedGradientExplainer, LIMEExplainer, SHAPExplainer


def prepare(problem: Any) -> Callable[[Any], Any]:
    """Return ferret's way of a method."""
    options: dict[str, Any] = {}
    if problem.method == "path":
        problem.tokenizer.pad_token = problem.tokenizer.mask_token  # its only baseline is padding
        explainer: Any = IntegratedGradientExplainer(problem.model, problem.tokenizer)
        options = {"call_args": {"n_steps": problem.nodes}}
    else:
        kind = LIMEExplainer if problem.method == "lime" else SHAPExplainer
        explainer = kind(problem.model, problem.tokenizer)

    def scores_of(question: Any) -> Any:
        found = explainer(question.text, target=question.index, **options)
        return problem.tokenizer.convert_tokens_to_ids(list(found.tokens)), found.scores

    return scores_of
