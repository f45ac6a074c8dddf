"""How many of a model's layers compute softmax attention."""

from typing import Any

from model_understanding.errors import UnsupportedModelError
from model_understanding.model.model import Model


def layer_count(config: Any) -> int:
    """Return how many layers of a model compute softmax attention.

    Args:
        config: The model's configuration.

    Returns:
        The number of attention layers; hybrid models list the type of each layer in their configuration.

    Raises:
        UnsupportedModelError: The model has no attention.
    """
    text_config = config.get_text_config()
    count = getattr(text_config, "num_hidden_layers", 0)
    if not count or not getattr(text_config, "num_attention_heads", 0):
        raise UnsupportedModelError(
            f"Models of type {config.model_type!r} have no attention.",
            hint="Use a saliency method instead: it works for every model with token embeddings.",
        )
    layer_types = getattr(text_config, "layer_types", None)
    if not isinstance(layer_types, list) or not layer_types:
        return count
    count = sum(name.endswith("attention") and not name.startswith("linear") for name in layer_types)
    if not count:
        raise UnsupportedModelError(
            f"Models of type {config.model_type!r} have no softmax attention, only layers of type "
            f"{', '.join(sorted(set(layer_types)))}.",
            hint="Use a saliency method instead: it works for every model with token embeddings.",
        )
    return count


def require_attention_in_every_layer(
    model: Model, method: str, hint: str = "Use a method that does not read attention, such as saliency."
) -> int:
    """Return how many layers a model has, after checking that each one computes softmax attention.

    Args:
        model: The model.
        method: The method that needs them, for the message.
        hint: The hint of the error.

    Raises:
        UnsupportedModelError: Some layers have no softmax attention.
    """
    expected = getattr(model.config.get_text_config(), "num_hidden_layers", 0)
    try:
        layers = layer_count(model.config)
    except UnsupportedModelError:
        layers = 0
    if not layers or layers != expected:
        raise UnsupportedModelError(
            f"{method} needs attention in every layer, but {expected - layers} of the {expected} layers of "
            f"{model.name} have none.",
            hint=hint,
        )
    return layers
