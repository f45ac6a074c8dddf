"""The façade: one object for a classifier, one for a language model, one for a function of texts."""

from model_understanding.visualizers.black_box_visualizer import BlackBoxVisualizer as BlackBoxVisualizer
from model_understanding.visualizers.generative_visualizer import (
    GenerativeModelVisualizer as GenerativeModelVisualizer,
)
from model_understanding.visualizers.model_visualizer import ModelVisualizer as ModelVisualizer
