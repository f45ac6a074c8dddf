"""The public interface: a visualizer for classifiers, one for language models, one for functions of texts."""

from model_understanding.visualizers.black_box import BlackBoxVisualizer as BlackBoxVisualizer
from model_understanding.visualizers.classifier import ModelVisualizer as ModelVisualizer
from model_understanding.visualizers.language_model import (
    GenerativeModelVisualizer as GenerativeModelVisualizer,
)
