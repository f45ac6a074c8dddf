"""transformers-interpret 0.10: integrated gradients of a class's probability, scaled to length 1."""

from collections.abc import Callable
from typing import Any

from transformers_interpret import SequenceClassificationExplainer


def prepare(problem: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """Return its way of integrated gradients, one text at a time."""
    texts = [problem.tokenizer.decode(ids[0, 1:-1]) for ids in problem.texts]  # it adds both ends itself
    problem.tokenizer.pad_token = problem.tokenizer.mask_token  # its only baseline is padding
    explainer = SequenceClassificationExplainer(problem.model, problem.tokenizer)

    def run() -> list[Any]:
        found = []
        for text in texts:
            explainer(text, index=problem.index, n_steps=problem.nodes)
            found.append(explainer.attributions.attributions_sum)
        return found

    return run, lambda found: {"probability": [scores.tolist() for scores in found]}
