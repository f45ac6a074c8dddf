"""Explain transformer models: which tokens drove the answer, where the model looked, how far to believe it.

The compute half (torch, transformers) is loaded on first use; results load and show without it.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from model_understanding.errors import InputError as InputError
from model_understanding.errors import LoadingError as LoadingError
from model_understanding.errors import MissingExtraError as MissingExtraError
from model_understanding.errors import ModelUnderstandingError as ModelUnderstandingError
from model_understanding.errors import NumericalError as NumericalError
from model_understanding.errors import UnsafeModelError as UnsafeModelError
from model_understanding.errors import UnsupportedModelError as UnsupportedModelError
from model_understanding.results import AttentionMap as AttentionMap
from model_understanding.results import Attribution as Attribution
from model_understanding.results import Evaluation as Evaluation
from model_understanding.results import Generation as Generation
from model_understanding.results import Prediction as Prediction
from model_understanding.results import Report as Report
from model_understanding.results import Target as Target
from model_understanding.tokens import Tokens as Tokens

if TYPE_CHECKING:
    from model_understanding.attribution.input_x_gradient import InputXGradient as InputXGradient
    from model_understanding.attribution.saliency import Saliency as Saliency
    from model_understanding.visualizers import GenerativeModelVisualizer as GenerativeModelVisualizer
    from model_understanding.visualizers import ModelVisualizer as ModelVisualizer

__all__ = [
    "AttentionMap",
    "Attribution",
    "Evaluation",
    "Generation",
    "GenerativeModelVisualizer",
    "InputError",
    "InputXGradient",
    "LoadingError",
    "MissingExtraError",
    "ModelUnderstandingError",
    "ModelVisualizer",
    "NumericalError",
    "Prediction",
    "Report",
    "Saliency",
    "Target",
    "Tokens",
    "UnsafeModelError",
    "UnsupportedModelError",
]

__version__ = version("model-understanding")

_ON_FIRST_USE = {
    "ModelVisualizer": "model_understanding.visualizers",
    "GenerativeModelVisualizer": "model_understanding.visualizers",
    "Saliency": "model_understanding.attribution.saliency",
    "InputXGradient": "model_understanding.attribution.input_x_gradient",
}


def __getattr__(name: str) -> Any:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ON_FIRST_USE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_FIRST_USE})
