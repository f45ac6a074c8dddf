"""The façade: one object for a classifier, one for a language model."""

from model_understanding.visualizers.generative_visualizer import (
    GenerativeModelVisualizer as GenerativeModelVisualizer,
)
from model_understanding.visualizers.model_visualizer import ModelVisualizer as ModelVisualizer
