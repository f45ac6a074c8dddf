"""Interpreto 0.5: the mean of absolute gradients, one text at a time, which is its fastest way."""

from collections.abc import Callable
from typing import Any

from interpreto import Granularity, IntegratedGradients, Saliency
from interpreto.attributions import InferenceModes

NODES = 16


def prepare(problem: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """Return Interpreto's way."""
    options = {"batch_size": 1, "granularity": Granularity.ALL_TOKENS}
    if problem.method == "saliency":
        method: Any = Saliency(
            problem.model,
            problem.tokenizer,
            inference_mode=InferenceModes.LOGITS,
            input_x_gradient=False,
            **options,
        )
    else:
        method = IntegratedGradients(problem.model, problem.tokenizer, n_perturbations=NODES, **options)
    return (
        lambda: method.explain(problem.strings),
        lambda found: {"scores": [output.attributions.flatten().tolist() for output in found[:20]]},
    )
