"""transformers-interpret 0.10: integrated gradients of a class's probability, scaled to length 1."""

from collections.abc import Callable
from typing import Any

from transformers_interpret import SequenceClassificationExplainer


def prepare(problem: Any) -> Callable[[Any], Any]:
    """Return its way of integrated gradients."""
    problem.tokenizer.pad_token = problem.tokenizer.mask_token  # its only baseline is padding
    explainer = SequenceClassificationExplainer(problem.model, problem.tokenizer)

    def scores_of(question: Any) -> Any:
        found = explainer(question.text, index=question.index, n_steps=problem.nodes)
        ids = problem.tokenizer.convert_tokens_to_ids([token for token, _ in found])
        return ids, explainer.attributions.attributions_sum

    return scores_of
