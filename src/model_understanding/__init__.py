"""Explain transformer models: which tokens drove the answer, where the model attends, how faithful that is.

The compute half (torch, transformers) is loaded on first use; results load and show without it.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from model_understanding.comparison import Comparison as Comparison
from model_understanding.comparison import compare as compare
from model_understanding.errors import InputError as InputError
from model_understanding.errors import LoadingError as LoadingError
from model_understanding.errors import MissingExtraError as MissingExtraError
from model_understanding.errors import ModelUnderstandingError as ModelUnderstandingError
from model_understanding.errors import NumericalError as NumericalError
from model_understanding.errors import StoppedError as StoppedError
from model_understanding.errors import UnsafeModelError as UnsafeModelError
from model_understanding.errors import UnsupportedModelError as UnsupportedModelError
from model_understanding.results import Assessment as Assessment
from model_understanding.results import AttentionMap as AttentionMap
from model_understanding.results import Attribution as Attribution
from model_understanding.results import Estimate as Estimate
from model_understanding.results import Evaluation as Evaluation
from model_understanding.results import Generation as Generation
from model_understanding.results import HeadScores as HeadScores
from model_understanding.results import LogitLens as LogitLens
from model_understanding.results import Prediction as Prediction
from model_understanding.results import QueryKey as QueryKey
from model_understanding.results import Report as Report
from model_understanding.results import Target as Target
from model_understanding.tokens import Tokens as Tokens

if TYPE_CHECKING:
    from model_understanding.attribution.context_attribution import ContextAttribution as ContextAttribution
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
    from model_understanding.visualizers import BlackBoxVisualizer as BlackBoxVisualizer
    from model_understanding.visualizers import GenerativeModelVisualizer as GenerativeModelVisualizer
    from model_understanding.visualizers import ModelVisualizer as ModelVisualizer

__all__ = [
    "Assessment",
    "AttentionMap",
    "AttnLrp",
    "Attribution",
    "BlackBoxVisualizer",
    "Comparison",
    "ContextAttribution",
    "CpLrp",
    "Estimate",
    "Evaluation",
    "ExpectedGradients",
    "Generation",
    "GenerativeModelVisualizer",
    "Gim",
    "GuidedAblation",
    "HeadScores",
    "InputError",
    "InputXGradient",
    "IntegratedGradients",
    "KernelShap",
    "LeaveOneOut",
    "Lime",
    "LoadingError",
    "LogitLens",
    "MissingExtraError",
    "ModelUnderstandingError",
    "ModelVisualizer",
    "NumericalError",
    "Occlusion",
    "Prediction",
    "QueryKey",
    "Report",
    "Saliency",
    "SequentialIntegratedGradients",
    "ShapleySampling",
    "SmoothGrad",
    "StoppedError",
    "Target",
    "Tokens",
    "UnsafeModelError",
    "UnsupportedModelError",
    "compare",
]

__version__ = version("model-understanding")

_ON_FIRST_USE = {
    "BlackBoxVisualizer": "model_understanding.visualizers",
    "ModelVisualizer": "model_understanding.visualizers",
    "GenerativeModelVisualizer": "model_understanding.visualizers",
    "IntegratedGradients": "model_understanding.attribution.integrated_gradients",
    "SequentialIntegratedGradients": "model_understanding.attribution.sequential_integrated_gradients",
    "ExpectedGradients": "model_understanding.attribution.expected_gradients",
    "SmoothGrad": "model_understanding.attribution.smooth_grad",
    "Saliency": "model_understanding.attribution.saliency",
    "InputXGradient": "model_understanding.attribution.input_x_gradient",
    "Gim": "model_understanding.attribution.gim",
    "AttnLrp": "model_understanding.attribution.lrp",
    "CpLrp": "model_understanding.attribution.lrp",
    "Occlusion": "model_understanding.attribution.occlusion",
    "LeaveOneOut": "model_understanding.attribution.occlusion",
    "GuidedAblation": "model_understanding.attribution.guided_ablation",
    "ShapleySampling": "model_understanding.attribution.shapley_sampling",
    "KernelShap": "model_understanding.attribution.kernel_shap",
    "Lime": "model_understanding.attribution.lime",
    "ContextAttribution": "model_understanding.attribution.context_attribution",
}


def __getattr__(name: str) -> Any:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ON_FIRST_USE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_FIRST_USE})
