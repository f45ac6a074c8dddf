"""Names of attribution methods, attention maps, head scores and metrics, and the class of each.

A new method is one file and one line here; the package exports its class at the top level. A name is its
class's name in snake case. Classes are imported on first use, so that listing names needs no torch. Other
packages add theirs by entry points of the groups below.
"""

import difflib
import warnings
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

from model_understanding.errors import InputError


@dataclass(frozen=True, slots=True)
class Registry:
    """A table of names and the classes they stand for.

    Args:
        kind: What is named, for error messages.
        group: Entry-point group by which other packages add theirs.
        places: ``name → "module:class"``.
        former: ``former name → name``: still loaded, with a ``FutureWarning``, but not listed.
    """

    kind: str
    group: str
    places: dict[str, str]
    former: dict[str, str] = field(default_factory=dict[str, str])

    def names(self) -> tuple[str, ...]:
        """Return all names: those of the table in its order, then those of other packages."""
        return tuple(self._all())

    def load(self, name: str) -> Any:
        """Return the class of a name.

        Args:
            name: A name of the table, or of another package.

        Returns:
            The class, imported now.

        Raises:
            InputError: The name is unknown.

        >>> METHODS.load("saliency").__name__
        'Saliency'
        """
        places = self._all()
        if name not in places and name in self.former:
            warnings.warn(
                f"The {self.kind} {name!r} is now called {self.former[name]!r}.", FutureWarning, stacklevel=2
            )
            name = self.former[name]
        if name not in places:
            close = difflib.get_close_matches(str(name), places, n=1, cutoff=0.5)
            raise InputError(
                f"Unknown {self.kind} {name!r}. Allowed: {', '.join(places)}.",
                hint=f"Did you mean {close[0]!r}?" if close else f"Use one of the {self.kind}s listed above.",
            )
        module, _, attribute = places[name].partition(":")
        return getattr(import_module(module), attribute)

    def classes(self) -> dict[str, str]:
        """Return the module of each class of the table: what the package exports at its top level.

        >>> METHODS.classes()["Saliency"]
        'model_understanding.attribution.saliency'
        """
        places = (place.partition(":") for place in self.places.values())
        return {name: module for module, _, name in places}

    def _all(self) -> dict[str, str]:
        others = _of_other_packages(self.group)
        return self.places | {name: place for name, place in others.items() if name not in self.places}


@cache
def _of_other_packages(group: str) -> dict[str, str]:
    """Return the names that installed packages add to a group, read once."""
    from importlib.metadata import entry_points  # a tenth of a second, which a command's start can spare

    return {entry.name: entry.value for entry in entry_points(group=group)}


CHOICES = {
    "default": {
        "classifiers": "deep_lift",
        "language models": "guided_ablation",
        "a loss, or a layer": "saliency",
    },
    "fast": {
        "classifiers": "gradient_weighted_attention",
        "language models": "guided_ablation",
        "a loss, or a layer": "saliency",
    },
}
"""The method that ``default`` and ``fast`` stand for, by what is explained; see ``attribution/choose.py``."""

METHODS = Registry(
    "method",
    "model_understanding.methods",
    {
        "saliency": "model_understanding.attribution.saliency:Saliency",
        "input_x_gradient": "model_understanding.attribution.input_x_gradient:InputXGradient",
        "gim": "model_understanding.attribution.gim:Gim",
        "attn_lrp": "model_understanding.attribution.lrp:AttnLrp",
        "cp_lrp": "model_understanding.attribution.lrp:CpLrp",
        "integrated_gradients": "model_understanding.attribution.integrated_gradients:IntegratedGradients",
        "sequential_integrated_gradients": (
            "model_understanding.attribution.sequential_integrated_gradients:SequentialIntegratedGradients"
        ),
        "expected_gradients": "model_understanding.attribution.expected_gradients:ExpectedGradients",
        "deep_lift": "model_understanding.attribution.deep_lift:DeepLift",
        "smooth_grad": "model_understanding.attribution.smooth_grad:SmoothGrad",
        "occlusion": "model_understanding.attribution.occlusion:Occlusion",
        "leave_one_out": "model_understanding.attribution.occlusion:LeaveOneOut",
        "guided_ablation": "model_understanding.attribution.guided_ablation:GuidedAblation",
        "shapley_sampling": "model_understanding.attribution.shapley_sampling:ShapleySampling",
        "kernel_shap": "model_understanding.attribution.kernel_shap:KernelShap",
        "lime": "model_understanding.attribution.lime:Lime",
        "context_attribution": "model_understanding.attribution.context_attribution:ContextAttribution",
        "attention_rollout": "model_understanding.attribution.attention_flow:AttentionRollout",
        "value_weighted_attention": "model_understanding.attribution.attention_flow:ValueWeightedAttention",
        "gradient_weighted_attention": (
            "model_understanding.attribution.attention_flow:GradientWeightedAttention"
        ),
        "value_zeroing_rollout": "model_understanding.attribution.attention_flow:ValueZeroingRollout",
        "information_flow_routes": "model_understanding.attribution.attention_flow:InformationFlowRoutes",
    },
    former={"value_zeroing": "value_zeroing_rollout", "information_flow": "information_flow_routes"},
)

MAPS = Registry(
    "attention map",
    "model_understanding.attention_maps",
    {
        "raw": "model_understanding.attention.raw:Raw",
        "rollout": "model_understanding.attention.rollout:Rollout",
        "value_weighted": "model_understanding.attention.value_weighted:ValueWeighted",
        "gradient_weighted": "model_understanding.attention.gradient_weighted:GradientWeighted",
        "value_zeroing": "model_understanding.attention.value_zeroing:ValueZeroing",
        "information_flow": "model_understanding.attention.information_flow:InformationFlow",
    },
)

HEAD_SCORES = Registry(
    "head score",
    "model_understanding.head_scores",
    {
        "entropy": "model_understanding.head_scores.entropy:Entropy",
        "distance": "model_understanding.head_scores.distance:Distance",
        "previous_token": "model_understanding.head_scores.previous_token:PreviousToken",
        "induction": "model_understanding.head_scores.induction:Induction",
        "induction_in_text": "model_understanding.head_scores.induction:InductionInText",
        "delimiter": "model_understanding.head_scores.delimiter:Delimiter",
        "sink": "model_understanding.head_scores.sink:Sink",
        "saliency_agreement": "model_understanding.head_scores.saliency_agreement:SaliencyAgreement",
        "ablation": "model_understanding.head_scores.ablation:Ablation",
    },
    former={"agreement": "saliency_agreement"},
)

DEFAULT_HEAD_SCORES = ("entropy", "distance", "previous_token", "induction", "delimiter", "sink")
"""The scores computed when none is named: two forward passes, and possible for any text."""

METRICS = Registry(
    "metric",
    "model_understanding.metrics",
    {
        "verdict": "model_understanding.evaluation.verdict:Verdict",
        "comprehensiveness": "model_understanding.evaluation.removal_curves:Comprehensiveness",
        "sufficiency": "model_understanding.evaluation.removal_curves:Sufficiency",
        "completeness": "model_understanding.evaluation.consistency:Completeness",
        "agreement": "model_understanding.evaluation.consistency:Agreement",
        "deletion": "model_understanding.evaluation.removal_curves:Deletion",
        "insertion": "model_understanding.evaluation.removal_curves:Insertion",
        "leave_one_out_tau": "model_understanding.evaluation.removal_correlations:LeaveOneOutTau",
        "linear_datamodeling_score": (
            "model_understanding.evaluation.removal_correlations:LinearDatamodelingScore"
        ),
        "normalized_aopc": "model_understanding.evaluation.normalized_aopc:NormalizedAopc",
        "stability": "model_understanding.evaluation.robustness:Stability",
        "randomization": "model_understanding.evaluation.robustness:Randomization",
    },
    former={
        "normalised_aopc": "normalized_aopc",
        "linear_datamodelling_score": "linear_datamodeling_score",
        "randomisation": "randomization",
    },
)


def setting_of(method: str, **settings: float) -> str:
    """Return how to set fields of a method, on the command line and in Python.

    It names the command, since others show the same warnings: a row of a run is explained as it was.

    Args:
        method: The method's name.
        **settings: Its fields.

    >>> setting_of("lime", samples=200)
    'explain MODEL TEXT --method lime --set samples=200, or method=Lime(samples=200) in Python'
    """
    given = [f"{name}={value:g}" for name, value in settings.items()]
    made = METHODS.places[method].partition(":")[2] if method in METHODS.places else method
    options = " ".join(f"--set {each}" for each in given)
    return f"explain MODEL TEXT --method {method} {options}, or method={made}({', '.join(given)}) in Python"
