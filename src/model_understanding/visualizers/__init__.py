"""The façade: one object for a classifier, one for a language model, one for a function of texts."""

from model_understanding.visualizers.black_box import BlackBoxVisualizer as BlackBoxVisualizer
from model_understanding.visualizers.classifier import ModelVisualizer as ModelVisualizer
from model_understanding.visualizers.language_model import (
    GenerativeModelVisualizer as GenerativeModelVisualizer,
)
