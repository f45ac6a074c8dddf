"""Registered methods and maps by what they say of themselves, so that no test lists names."""

import dataclasses
import sys

from model_understanding.registry import MAPS, METHODS


def _with_field(registry, field):
    return tuple(
        name
        for name in registry.names()
        if field in {one.name for one in dataclasses.fields(registry.load(name))}
    )


def _imports_from(kind, package):
    module = vars(sys.modules[kind.__module__])
    return any(str(getattr(value, "__module__", "")).startswith(package) for value in module.values())


PERTURBATION = _with_field(METHODS, "replacement")
"""Methods that put something in the place of tokens, and need no more of a model than its answers."""
NEED_THE_MODEL = tuple(name for name in METHODS.names() if name not in PERTURBATION)
GRADIENT = tuple(name for name in METHODS.names() if getattr(METHODS.load(name), "takes_layer", False))
"""Methods that explain a layer's hidden states as well."""
FLOW = _with_field(METHODS, "start_layer")
"""Methods that follow attention through the layers."""
RULES = tuple(
    name for name in GRADIENT if _imports_from(METHODS.load(name), "model_understanding.backward_rules")
)
"""Methods that change the backward pass."""
OF_ATTENTION = RULES + FLOW
"""Methods that refuse a model without attention."""
ADAPTIVE = _with_field(METHODS, "tolerance")
"""Methods that stop where they are exact enough."""
JOINED_MAPS = _with_field(MAPS, "start_layer")
"""Maps that join the layers from the text up, and the heads of each."""


def quick(name, **settings):
    """Return a method by its name that draws few samples; settings for the methods that have such fields."""
    kind = METHODS.load(name)
    own = {field.name for field in dataclasses.fields(kind)}
    settings = {"samples": 48, **settings}
    return kind(**{field: value for field, value in settings.items() if field in own})
