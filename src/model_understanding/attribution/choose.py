"""Which method is meant: a method object, a registered name, or what the benchmark chose for a target.

``benchmarks/faithfulness`` measured what ranks a text's tokens best and what that costs;
``benchmarks/README.md`` has the figures behind ``default`` and ``fast``.
"""

from collections.abc import Callable, Sequence
from typing import Any

from model_understanding.attribution.attention_flow import GradientWeightedAttention
from model_understanding.attribution.guided_ablation import GuidedAblation
from model_understanding.attribution.integrated_gradients import IntegratedGradients
from model_understanding.attribution.protocol import AttributionMethod
from model_understanding.attribution.saliency import Saliency
from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.model.attention_layout import layer_count
from model_understanding.passes.runner import Runner
from model_understanding.paths.baselines import resolved_baseline
from model_understanding.registry import CHOICES, METHODS
from model_understanding.results import Target

MethodChoice = str | AttributionMethod


def check_method(method: MethodChoice) -> None:
    """Raise InputError for what is no method, before anything runs."""
    if not (isinstance(method, str) and method in CHOICES):
        method_of(method)


def method_of(method: MethodChoice) -> AttributionMethod:
    """Return a method given by its name or as an object.

    Args:
        method: A registered name, or a method object.

    Returns:
        The method.

    Raises:
        InputError: The name is unknown, or the object is no method.
    """
    if isinstance(method, str):
        return METHODS.load(method)()
    if isinstance(method, type) or not (callable(method) and hasattr(method, "signed")):
        raise InputError(
            f"A method is a name or a method object. Got {method!r}.",
            hint=f"Pass one of {', '.join((*CHOICES, *METHODS.names()))} or for example Saliency(norm='l1').",
        )
    return method


def chosen_method(
    method: MethodChoice, runner: Runner, targets: Sequence[Sequence[Target]] | Callable[..., Any]
) -> AttributionMethod:
    """Return the method that explains these targets of this model.

    Args:
        method: ``default``, ``fast``, or what ``method_of`` takes.
        runner: The runner.
        targets: The targets of each text; or what makes them of the model's answer.

    Returns:
        The gradient's norm of a language model's loss and of a layer's hidden states, which the benchmark
        does not measure. Of anything else that a language model says, guided ablation, with 8 removals where
        it is to be fast. Of a classifier's class, integrated gradients from the mask and the mean embedding,
        or guided ablation where there is no mask token; where it is to be fast, gradient-weighted attention,
        or the gradient's norm where there is no attention.

    Raises:
        InputError: The name is unknown, or the object is no method.
    """
    if not (isinstance(method, str) and method in CHOICES):
        return method_of(method)
    of_loss = not callable(targets) and any(one.quantity == "loss" for row in targets for one in row)
    if of_loss or runner.layer is not None:
        return Saliency()
    if runner.is_language_model:
        return GuidedAblation(removals=8) if method == "fast" else GuidedAblation()
    if method == "fast":
        return GradientWeightedAttention() if _has_attention(runner) else Saliency()
    if resolved_baseline(runner, "default") != "mask":
        return GuidedAblation()
    # Nodes beyond 8 did not rank tokens better: they are spent where a path misses much of the change.
    return IntegratedGradients(baseline="mask,mean", nodes=8, max_nodes=24, tolerance=0.4)


def _has_attention(runner: Runner) -> bool:
    try:
        return layer_count(runner.model.config) > 0
    except UnsupportedModelError:
        return False
