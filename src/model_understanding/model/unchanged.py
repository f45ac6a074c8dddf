"""Measurements that depend on a model's weights, kept until something about the model changes."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from model_understanding.model.guard import guarded
from model_understanding.model.model import Model

Result = TypeVar("Result")


def measured_while_unchanged(measure: Callable[..., Result]) -> Callable[..., Result]:
    """Cache the result of a measurement on the model until its modules, hooks or weights change.

    Args:
        measure: Runs the model to measure it. Its first argument is the model, further ones must be hashable.
    """

    @wraps(measure)
    def cached(model: Model, *arguments: Any) -> Result:
        measured, key = model.actual.measured, (measure, *arguments)
        with guarded(model.actual.module, gradients=False):  # brings our copy up to date
            state = model.actual.own_copy.state()
        if key not in measured or measured[key][0] != state:
            measured[key] = (state, measure(model.actual, *arguments))
        return measured[key][1]

    return cached
