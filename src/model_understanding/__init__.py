"""Explain transformer models: which tokens drove the answer, where the model attends, how faithful that is.

Everything is imported on first use, so that the command line answers Ctrl-C from its first moment on; results
load and show without torch and transformers.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from model_understanding.attention.gradient_weighted import GradientWeighted as GradientWeighted
    from model_understanding.attention.information_flow import InformationFlow as InformationFlow
    from model_understanding.attention.raw import Raw as Raw
    from model_understanding.attention.rollout import Rollout as Rollout
    from model_understanding.attention.value_weighted import ValueWeighted as ValueWeighted
    from model_understanding.attention.value_zeroing import ValueZeroing as ValueZeroing
    from model_understanding.attribution.attention_flow import AttentionRollout as AttentionRollout
    from model_understanding.attribution.attention_flow import (
        GradientWeightedAttention as GradientWeightedAttention,
    )
    from model_understanding.attribution.attention_flow import InformationFlowRoutes as InformationFlowRoutes
    from model_understanding.attribution.attention_flow import (
        ValueWeightedAttention as ValueWeightedAttention,
    )
    from model_understanding.attribution.attention_flow import ValueZeroingRollout as ValueZeroingRollout
    from model_understanding.attribution.context_attribution import ContextAttribution as ContextAttribution
    from model_understanding.attribution.deep_lift import DeepLift as DeepLift
    from model_understanding.attribution.expected_gradients import ExpectedGradients as ExpectedGradients
    from model_understanding.attribution.gim import Gim as Gim
    from model_understanding.attribution.guided_ablation import GuidedAblation as GuidedAblation
    from model_understanding.attribution.input_x_gradient import InputXGradient as InputXGradient
    from model_understanding.attribution.integrated_gradients import (
        IntegratedGradients as IntegratedGradients,
    )
    from model_understanding.attribution.kernel_shap import KernelShap as KernelShap
    from model_understanding.attribution.lime import Lime as Lime
    from model_understanding.attribution.lrp import AttnLrp as AttnLrp
    from model_understanding.attribution.lrp import CpLrp as CpLrp
    from model_understanding.attribution.occlusion import LeaveOneOut as LeaveOneOut
    from model_understanding.attribution.occlusion import Occlusion as Occlusion
    from model_understanding.attribution.saliency import Saliency as Saliency
    from model_understanding.attribution.sequential_integrated_gradients import (
        SequentialIntegratedGradients as SequentialIntegratedGradients,
    )
    from model_understanding.attribution.shapley_sampling import ShapleySampling as ShapleySampling
    from model_understanding.attribution.smooth_grad import SmoothGrad as SmoothGrad
    from model_understanding.comparison import Comparison as Comparison
    from model_understanding.comparison import compare as compare
    from model_understanding.dataset.opening import report_of as report_of
    from model_understanding.dataset.run import DatasetRun as DatasetRun
    from model_understanding.dataset.run import explain_dataset as explain_dataset
    from model_understanding.dataset.summary.compare import compare_datasets as compare_datasets
    from model_understanding.dataset.summary.summarize import summarize_dataset as summarize_dataset
    from model_understanding.errors import InputError as InputError
    from model_understanding.errors import LoadingError as LoadingError
    from model_understanding.errors import MissingExtraError as MissingExtraError
    from model_understanding.errors import ModelUnderstandingError as ModelUnderstandingError
    from model_understanding.errors import NumericalError as NumericalError
    from model_understanding.errors import StoppedError as StoppedError
    from model_understanding.errors import UnsafeModelError as UnsafeModelError
    from model_understanding.errors import UnsupportedModelError as UnsupportedModelError
    from model_understanding.evaluation.consistency import Agreement as Agreement
    from model_understanding.evaluation.consistency import Completeness as Completeness
    from model_understanding.evaluation.normalized_aopc import NormalizedAopc as NormalizedAopc
    from model_understanding.evaluation.removal_correlations import LeaveOneOutTau as LeaveOneOutTau
    from model_understanding.evaluation.removal_correlations import (
        LinearDatamodelingScore as LinearDatamodelingScore,
    )
    from model_understanding.evaluation.removal_curves import Comprehensiveness as Comprehensiveness
    from model_understanding.evaluation.removal_curves import Deletion as Deletion
    from model_understanding.evaluation.removal_curves import Insertion as Insertion
    from model_understanding.evaluation.removal_curves import Sufficiency as Sufficiency
    from model_understanding.evaluation.robustness import Randomization as Randomization
    from model_understanding.evaluation.robustness import Stability as Stability
    from model_understanding.evaluation.verdict import Verdict as Verdict
    from model_understanding.head_scores.ablation import Ablation as Ablation
    from model_understanding.head_scores.delimiter import Delimiter as Delimiter
    from model_understanding.head_scores.distance import Distance as Distance
    from model_understanding.head_scores.entropy import Entropy as Entropy
    from model_understanding.head_scores.induction import Induction as Induction
    from model_understanding.head_scores.induction import InductionInText as InductionInText
    from model_understanding.head_scores.previous_token import PreviousToken as PreviousToken
    from model_understanding.head_scores.saliency_agreement import SaliencyAgreement as SaliencyAgreement
    from model_understanding.head_scores.sink import Sink as Sink
    from model_understanding.results import AnswerMap as AnswerMap
    from model_understanding.results import AnswerSpan as AnswerSpan
    from model_understanding.results import Assessment as Assessment
    from model_understanding.results import AttentionMap as AttentionMap
    from model_understanding.results import Attribution as Attribution
    from model_understanding.results import Choices as Choices
    from model_understanding.results import DatasetComparison as DatasetComparison
    from model_understanding.results import DatasetSummary as DatasetSummary
    from model_understanding.results import Entity as Entity
    from model_understanding.results import Estimate as Estimate
    from model_understanding.results import Evaluation as Evaluation
    from model_understanding.results import Failure as Failure
    from model_understanding.results import Generation as Generation
    from model_understanding.results import HeadScores as HeadScores
    from model_understanding.results import Ledger as Ledger
    from model_understanding.results import LogitLens as LogitLens
    from model_understanding.results import MaskFilling as MaskFilling
    from model_understanding.results import ModelDiff as ModelDiff
    from model_understanding.results import ModelDiffSummary as ModelDiffSummary
    from model_understanding.results import Prediction as Prediction
    from model_understanding.results import PseudoLikelihood as PseudoLikelihood
    from model_understanding.results import QueryKey as QueryKey
    from model_understanding.results import Report as Report
    from model_understanding.results import SpanAnswer as SpanAnswer
    from model_understanding.results import Tagging as Tagging
    from model_understanding.results import Target as Target
    from model_understanding.results import TokenLinks as TokenLinks
    from model_understanding.results import load_reports as load_reports
    from model_understanding.results import save_reports as save_reports
    from model_understanding.text.chat import Chat as Chat
    from model_understanding.text.words import Words as Words
    from model_understanding.tokens import Tokens as Tokens
    from model_understanding.visualizers import BlackBoxVisualizer as BlackBoxVisualizer
    from model_understanding.visualizers import GenerativeModelVisualizer as GenerativeModelVisualizer
    from model_understanding.visualizers import MaskedLMVisualizer as MaskedLMVisualizer
    from model_understanding.visualizers import ModelVisualizer as ModelVisualizer
    from model_understanding.visualizers import MultipleChoiceVisualizer as MultipleChoiceVisualizer
    from model_understanding.visualizers import QuestionAnsweringVisualizer as QuestionAnsweringVisualizer
    from model_understanding.visualizers import RerankerVisualizer as RerankerVisualizer
    from model_understanding.visualizers import Seq2SeqVisualizer as Seq2SeqVisualizer
    from model_understanding.visualizers import SimilarityVisualizer as SimilarityVisualizer
    from model_understanding.visualizers import TokenClassificationVisualizer as TokenClassificationVisualizer
    from model_understanding.visualizers import (
        ZeroShotClassificationVisualizer as ZeroShotClassificationVisualizer,
    )
    from model_understanding.visualizers import visualizer as visualizer

__all__ = [
    "Ablation",
    "Agreement",
    "AnswerMap",
    "AnswerSpan",
    "Assessment",
    "AttentionMap",
    "AttentionRollout",
    "AttnLrp",
    "Attribution",
    "BlackBoxVisualizer",
    "Chat",
    "Choices",
    "Comparison",
    "Completeness",
    "Comprehensiveness",
    "ContextAttribution",
    "CpLrp",
    "DatasetComparison",
    "DatasetRun",
    "DatasetSummary",
    "DeepLift",
    "Deletion",
    "Delimiter",
    "Distance",
    "Entity",
    "Entropy",
    "Estimate",
    "Evaluation",
    "ExpectedGradients",
    "Failure",
    "Generation",
    "GenerativeModelVisualizer",
    "Gim",
    "GradientWeighted",
    "GradientWeightedAttention",
    "GuidedAblation",
    "HeadScores",
    "Induction",
    "InductionInText",
    "InformationFlow",
    "InformationFlowRoutes",
    "InputError",
    "InputXGradient",
    "Insertion",
    "IntegratedGradients",
    "KernelShap",
    "LeaveOneOut",
    "LeaveOneOutTau",
    "Ledger",
    "Lime",
    "LinearDatamodelingScore",
    "LoadingError",
    "LogitLens",
    "MaskFilling",
    "MaskedLMVisualizer",
    "MissingExtraError",
    "ModelDiff",
    "ModelDiffSummary",
    "ModelUnderstandingError",
    "ModelVisualizer",
    "MultipleChoiceVisualizer",
    "NormalizedAopc",
    "NumericalError",
    "Occlusion",
    "Prediction",
    "PreviousToken",
    "PseudoLikelihood",
    "QueryKey",
    "QuestionAnsweringVisualizer",
    "Randomization",
    "Raw",
    "Report",
    "RerankerVisualizer",
    "Rollout",
    "Saliency",
    "SaliencyAgreement",
    "Seq2SeqVisualizer",
    "SequentialIntegratedGradients",
    "ShapleySampling",
    "SimilarityVisualizer",
    "Sink",
    "SmoothGrad",
    "SpanAnswer",
    "Stability",
    "StoppedError",
    "Sufficiency",
    "Tagging",
    "Target",
    "TokenClassificationVisualizer",
    "TokenLinks",
    "Tokens",
    "UnsafeModelError",
    "UnsupportedModelError",
    "ValueWeighted",
    "ValueWeightedAttention",
    "ValueZeroing",
    "ValueZeroingRollout",
    "Verdict",
    "Words",
    "ZeroShotClassificationVisualizer",
    "compare",
    "compare_datasets",
    "explain_dataset",
    "load_reports",
    "report_of",
    "save_reports",
    "summarize_dataset",
    "visualizer",
]

_ON_FIRST_USE = {
    "AnswerMap": "model_understanding.results",
    "AnswerSpan": "model_understanding.results",
    "Assessment": "model_understanding.results",
    "AttentionMap": "model_understanding.results",
    "Attribution": "model_understanding.results",
    "Choices": "model_understanding.results",
    "Comparison": "model_understanding.comparison",
    "DatasetComparison": "model_understanding.results",
    "DatasetRun": "model_understanding.dataset.run",
    "DatasetSummary": "model_understanding.results",
    "Entity": "model_understanding.results",
    "Estimate": "model_understanding.results",
    "Evaluation": "model_understanding.results",
    "Failure": "model_understanding.results",
    "Generation": "model_understanding.results",
    "HeadScores": "model_understanding.results",
    "Ledger": "model_understanding.results",
    "InputError": "model_understanding.errors",
    "LoadingError": "model_understanding.errors",
    "LogitLens": "model_understanding.results",
    "MaskFilling": "model_understanding.results",
    "ModelDiff": "model_understanding.results",
    "ModelDiffSummary": "model_understanding.results",
    "MissingExtraError": "model_understanding.errors",
    "ModelUnderstandingError": "model_understanding.errors",
    "NumericalError": "model_understanding.errors",
    "Prediction": "model_understanding.results",
    "PseudoLikelihood": "model_understanding.results",
    "QueryKey": "model_understanding.results",
    "Report": "model_understanding.results",
    "SpanAnswer": "model_understanding.results",
    "StoppedError": "model_understanding.errors",
    "Tagging": "model_understanding.results",
    "Target": "model_understanding.results",
    "TokenLinks": "model_understanding.results",
    "Tokens": "model_understanding.tokens",
    "UnsafeModelError": "model_understanding.errors",
    "UnsupportedModelError": "model_understanding.errors",
    "Words": "model_understanding.text.words",
    "compare": "model_understanding.comparison",
    "compare_datasets": "model_understanding.dataset.summary.compare",
    "explain_dataset": "model_understanding.dataset.run",
    "report_of": "model_understanding.dataset.opening",
    "load_reports": "model_understanding.results",
    "save_reports": "model_understanding.results",
    "summarize_dataset": "model_understanding.dataset.summary.summarize",
    "BlackBoxVisualizer": "model_understanding.visualizers",
    "Chat": "model_understanding.text.chat",
    "GenerativeModelVisualizer": "model_understanding.visualizers",
    "MaskedLMVisualizer": "model_understanding.visualizers",
    "ModelVisualizer": "model_understanding.visualizers",
    "MultipleChoiceVisualizer": "model_understanding.visualizers",
    "QuestionAnsweringVisualizer": "model_understanding.visualizers",
    "RerankerVisualizer": "model_understanding.visualizers",
    "Seq2SeqVisualizer": "model_understanding.visualizers",
    "SimilarityVisualizer": "model_understanding.visualizers",
    "TokenClassificationVisualizer": "model_understanding.visualizers",
    "ZeroShotClassificationVisualizer": "model_understanding.visualizers",
    "visualizer": "model_understanding.visualizers",
}
_SUBMODULES = ("comparison", "errors", "results", "tokens")


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("model-understanding")
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    if name in _ON_FIRST_USE:
        return getattr(import_module(_ON_FIRST_USE[name]), name)
    classes = _registered()
    if name not in classes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(classes[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_FIRST_USE, *_registered()})


def _registered() -> dict[str, str]:
    """Return the modules of methods, maps, head scores and metrics by the names of their classes."""
    from model_understanding.registry import HEAD_SCORES, MAPS, METHODS, METRICS

    return {
        name: module
        for registry in (METHODS, MAPS, HEAD_SCORES, METRICS)
        for name, module in registry.classes().items()
    }
