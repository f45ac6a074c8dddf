"""The demo models, loaded once in a process."""

from functools import cache

from model_understanding import GenerativeModelVisualizer, ModelVisualizer


@cache
def sentiment() -> ModelVisualizer:
    return ModelVisualizer("demo:sentiment")


@cache
def smollm2() -> GenerativeModelVisualizer:
    return GenerativeModelVisualizer("demo:smollm2")
