"""Which method is meant by a method object, a registered name, or ``default`` and ``fast``.

``benchmarks/faithfulness`` measures which methods rank tokens best and at what cost; ``benchmarks/README.md``
has the results on which ``default`` and ``fast`` are based.
"""

from collections.abc import Callable, Sequence
from typing import Any

from model_understanding.attribution.attention_flow import GradientWeightedAttention
from model_understanding.attribution.deep_lift import DeepLift
from model_understanding.attribution.guided_ablation import GuidedAblation
from model_understanding.attribution.integrated_gradients import IntegratedGradients
from model_understanding.attribution.protocol import AttributionMethod
from model_understanding.attribution.saliency import Saliency
from model_understanding.errors import InputError
from model_understanding.model.attention_layout import has_stacks, known_layout
from model_understanding.model.embeddings import has_embeddings
from model_understanding.passes.runner import Runner
from model_understanding.paths.baselines import resolved_baseline
from model_understanding.registry import CHOICES, METHODS
from model_understanding.results import Target
from model_understanding.targets.names import SIMILARITY

MethodChoice = str | AttributionMethod


def check_method(method: MethodChoice) -> None:
    """Raise InputError if a value is not a method, before anything runs."""
    if not (isinstance(method, str) and method in CHOICES):
        method_of(method)


def method_of(method: MethodChoice) -> AttributionMethod:
    """Return the method of a name, or a method object unchanged.

    Args:
        method: A registered name, or a method object.

    Returns:
        The method.

    Raises:
        InputError: The name is unknown, or the object is not a method.
    """
    if isinstance(method, str):
        return METHODS.load(method)()
    if isinstance(method, type) or not (callable(method) and hasattr(method, "signed")):
        raise InputError(
            f"method must be a name or a method object. Got {method!r}.",
            hint=f"Pass one of {', '.join((*CHOICES, *METHODS.names()))}, or a method object such as "
            "Saliency(norm='l1').",
        )
    return method


def candidate_methods(
    method: MethodChoice, runner: Runner, targets: Sequence[Sequence[Target]] | Callable[..., Any]
) -> list[AttributionMethod]:
    """Return the method that ``default`` or ``fast`` means for a model and its targets, and what replaces it.

    Args:
        method: ``default``, ``fast``, or a value for ``method_of``.
        runner: The runner.
        targets: The targets of each text, or a function that makes them from the model's prediction.

    Returns:
        For the loss of a language model and for a layer, which the benchmark does not measure: saliency. For
        other targets of a language model, and for the similarity of texts (which two empty texts have most
        of, so that a path from there explains the opposite): guided ablation, with 8 removals for ``fast``.
        For classifiers:
        DeepLIFT from the mask token and the mean embedding, or guided ablation if there is no mask token;
        for ``fast``, gradient-weighted attention, or saliency if there is no attention. Each is followed by
        the methods to use if the model does not support it; integrated gradients need no exact rules, and
        guided ablation needs neither gradients nor attention.

    Raises:
        InputError: The name is unknown, or the object is not a method.
    """
    if not (isinstance(method, str) and method in CHOICES):
        return [method_of(method)]
    ablation = GuidedAblation(removals=8) if method == "fast" else GuidedAblation()
    of_loss = not callable(targets) and any(target.quantity == "loss" for row in targets for target in row)
    if runner.layer is not None:
        return [Saliency()]
    if of_loss:
        return [Saliency(), ablation] if has_embeddings(runner.model) else [ablation]
    if runner.is_language_model or runner.model.task == SIMILARITY:
        return [ablation]
    if method == "fast":
        attention = [GradientWeightedAttention()] if _has_attention(runner) else []
        return [*attention, *([Saliency()] if has_embeddings(runner.model) else []), ablation]
    if not has_embeddings(runner.model) or resolved_baseline(runner, "default") != "mask":
        return [ablation]
    # More than 8 nodes did not rank tokens better, except on paths that miss much of the target's change.
    # Of 60 sentences of 6 to 10 tokens, 4 miss more than 10 % of it (at most 15 %), for a third more
    # gradients than with a tolerance of 0.4 and 24 nodes (10 of 60, up to 32 %).
    path = IntegratedGradients(baseline="mask,mean", nodes=8, max_nodes=40, tolerance=0.2)
    return [DeepLift(), path, ablation]


def _has_attention(runner: Runner) -> bool:
    layout = known_layout(runner.model)
    return bool(layout.layers) and layout.is_complete and not has_stacks(runner.model)
