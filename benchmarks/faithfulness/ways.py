"""The methods that are compared, under their names in the table, and random scores."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from samples import LONG_SETS

from model_understanding.attribution.expected_gradients import ExpectedGradients
from model_understanding.attribution.guided_ablation import GuidedAblation
from model_understanding.attribution.integrated_gradients import IntegratedGradients
from model_understanding.attribution.occlusion import LeaveOneOut
from model_understanding.attribution.protocol import Scores
from model_understanding.registry import METHODS


class RandomScores:
    """Random scores: the lower end of the scale."""

    def __call__(self, runner: Any, encoding: Any, targets: Any) -> Scores:
        """Draw the scores of one text."""
        shape = (1, 1, encoding.ids.shape[1])
        drawn = np.random.default_rng(encoding.ids.tolist()).random(shape)
        return Scores(scores=drawn, outputs=np.zeros((1, 1)))


def _path(baseline: str, nodes: int) -> IntegratedGradients:
    return IntegratedGradients(baseline=baseline, nodes=nodes, max_nodes=nodes)


_OWN: dict[str, Callable[[], Any]] = {
    "random": RandomScores,
    "expected_gradients, 20 samples": lambda: ExpectedGradients(samples=20),
}
_CLASSIFIER: dict[str, Callable[[], Any]] = {
    "leave_one_out, mean": lambda: LeaveOneOut(replacement="mean"),
    "integrated_gradients, mean, 1 node": lambda: _path("mean", 1),
    "integrated_gradients, mean, 3 nodes": lambda: _path("mean", 3),
    "integrated_gradients, mean, 16 nodes": lambda: _path("mean", 16),
    "integrated_gradients, mask, 16 nodes": lambda: _path("mask", 16),
    "integrated_gradients, mask and mean, 8 nodes": lambda: _path("mask,mean", 8),
    "integrated_gradients, mask and mean, 8 nodes, or 24 at a gap above 5 %": lambda: IntegratedGradients(
        baseline="mask,mean", nodes=8, max_nodes=24, tolerance=0.05
    ),
    # What replaces the default of classifiers where it cannot be had, but for its completeness:
    # attribution/choose.py takes more nodes at a gap above 20 %, which ranks tokens no better.
    "integrated_gradients, mask and mean, 8 nodes, or 24 at a gap above 40 %": lambda: IntegratedGradients(
        baseline="mask,mean", nodes=8, max_nodes=24, tolerance=0.4
    ),
}
_LANGUAGE: dict[str, Callable[[], Any]] = {
    "leave_one_out, mean": lambda: LeaveOneOut(replacement="mean"),
    "guided_ablation, mean": lambda: GuidedAblation(replacement="mean"),
    "guided_ablation, 48 removals": lambda: GuidedAblation(removals=48),
    "guided_ablation, 16 removals": lambda: GuidedAblation(removals=16),
    "guided_ablation, 8 removals": lambda: GuidedAblation(removals=8),
}
# Leave-one-out takes minutes on about 256 tokens, so only the most relevant methods run there.
_LONG = (
    "random",
    "saliency",
    "gradient_weighted_attention",
    "guided_ablation",
    "guided_ablation, 8 removals",
    "deep_lift",
    "leave_one_out",
)
# Too slow on a language model; measured on the classifier only.
_SLOW = ("sequential_integrated_gradients", "shapley_sampling", "kernel_shap", "lime", "smooth_grad")


@cache
def ways_of(kind: str) -> dict[str, Callable[[], Any]]:
    """Return functions that create the methods for a set of texts."""
    is_classifier = kind == "sentences"
    names = [name for name in METHODS.places if is_classifier or name not in _SLOW]
    registered = {name: METHODS.load(name) for name in names}
    found = {**_OWN, **registered, **(_CLASSIFIER if is_classifier else _LANGUAGE)}
    return {name: found[name] for name in _LONG} if kind in LONG_SETS else found
