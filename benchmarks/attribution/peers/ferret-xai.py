"""ferret 0.4: one text at a time, by captum."""

from collections.abc import Callable
from typing import Any

from ferret import GradientExplainer, IntegratedGradientExplainer


def prepare(problem: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """Return ferret's way of a task."""
    texts = [problem.tokenizer.decode(ids[0, 1:-1]) for ids in problem.texts]  # it adds both ends
    if problem.work in ("class_path", "many_paths"):
        problem.tokenizer.pad_token = problem.tokenizer.mask_token  # its only baseline is padding
        path = IntegratedGradientExplainer(problem.model, problem.tokenizer)
        options = {"call_args": {"n_steps": problem.nodes}}
        return lambda: [path(text, target=problem.index, **options) for text in texts], lambda found: {
            "signed": [explanation.scores.tolist() for explanation in found]
        }
    gradient = GradientExplainer(problem.model, problem.tokenizer, multiply_by_inputs=False)
    return lambda: [gradient(text, target=problem.index) for text in texts], lambda found: {
        "absolute": [explanation.scores.tolist() for explanation in found]
    }
