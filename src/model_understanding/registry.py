"""Names of attribution methods, attention maps, head scores and metrics, and where each lives.

A new method is one file and one line here. Nothing is imported until it is asked for, so listing the
names needs no torch. Third parties add theirs by entry points of the groups below.
"""

import difflib
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from model_understanding.errors import InputError


@dataclass(frozen=True, slots=True)
class Registry:
    """A table of names and the objects they stand for.

    Args:
        kind: What is named, in the words of an error message.
        group: Entry-point group by which other packages add theirs.
        places: ``name → "module:object"``.
    """

    kind: str
    group: str
    places: dict[str, str]

    def names(self) -> tuple[str, ...]:
        """Return all names: ours in the order of the table, then those of other packages."""
        return tuple(self._all())

    def load(self, name: str) -> Any:
        """Return the object of a name.

        Args:
            name: A name of the table.

        Returns:
            The object, imported now.

        Raises:
            InputError: The name is unknown.

        >>> METHODS.load("saliency").__name__
        'Saliency'
        """
        places = self._all()
        if name not in places:
            close = difflib.get_close_matches(str(name), places, n=1, cutoff=0.5)
            raise InputError(
                f"There is no {self.kind} {name!r}. Allowed: {', '.join(places)}.",
                hint=f"Did you mean {close[0]!r}?" if close else f"Choose one of the {self.kind}s listed.",
            )
        module, _, attribute = places[name].partition(":")
        return getattr(import_module(module), attribute)

    def _all(self) -> dict[str, str]:
        others = {entry.name: entry.value for entry in entry_points(group=self.group)}
        return self.places | {name: place for name, place in others.items() if name not in self.places}


CHOICES = {
    "default": {
        "classifiers": "integrated_gradients",
        "language models": "guided_ablation",
        "a loss, or a layer": "saliency",
    },
    "fast": {
        "classifiers": "gradient_weighted_attention",
        "language models": "guided_ablation",
        "a loss, or a layer": "saliency",
    },
}
"""What stands for a method by what is explained: ``visualizers/method_choice.py`` has the rule."""

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
        "smooth_grad": "model_understanding.attribution.smooth_grad:SmoothGrad",
        "occlusion": "model_understanding.attribution.occlusion:Occlusion",
        "leave_one_out": "model_understanding.attribution.occlusion:LeaveOneOut",
        "guided_ablation": "model_understanding.attribution.guided_ablation:GuidedAblation",
        "shapley_sampling": "model_understanding.attribution.shapley_sampling:ShapleySampling",
        "kernel_shap": "model_understanding.attribution.kernel_shap:KernelShap",
        "lime": "model_understanding.attribution.lime:Lime",
        "context_attribution": "model_understanding.attribution.context_attribution:ContextAttribution",
        "attention_rollout": "model_understanding.attribution.attention_flow:AttentionRollout",
        "value_weighted_attention": ("model_understanding.attribution.attention_flow:ValueWeightedRollout"),
        "gradient_weighted_attention": (
            "model_understanding.attribution.attention_flow:GradientWeightedRelevance"
        ),
        "value_zeroing": "model_understanding.attribution.attention_flow:ValueZeroingRollout",
        "information_flow": "model_understanding.attribution.attention_flow:InformationFlowRoutes",
    },
)

MAPS = Registry(
    "attention map",
    "model_understanding.attention_maps",
    {
        "raw": "model_understanding.attention.raw:RawAttention",
        "rollout": "model_understanding.attention.rollout:Rollout",
        "value_weighted": "model_understanding.attention.value_weighted:ValueWeightedAttention",
        "gradient_weighted": "model_understanding.attention.gradient_weighted:GradientWeightedAttention",
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
        "agreement": "model_understanding.head_scores.agreement:Agreement",
        "ablation": "model_understanding.head_scores.ablation:Ablation",
    },
)

DEFAULT_HEAD_SCORES = ("entropy", "distance", "previous_token", "induction", "delimiter", "sink")
"""What is asked of every head where nothing is named: two forwards, and possible of any text."""

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
)
