"""How many attention layers a model has."""

from typing import Any

from model_understanding.errors import UnsupportedModelError
from model_understanding.model.model import Model


def layer_count(config: Any) -> int:
    """Return how many layers of the model compute softmax attention.

    Args:
        config: The model's configuration.

    Returns:
        The number; hybrids name the kind of each layer.

    Raises:
        UnsupportedModelError: The model has no attention.
    """
    text_config = config.get_text_config()
    count = getattr(text_config, "num_hidden_layers", 0)
    if not count or not getattr(text_config, "num_attention_heads", 0):
        raise UnsupportedModelError(
            f"A model of type {config.model_type!r} has no attention to show.",
            hint="Use a saliency method instead: it works on any model with token embeddings.",
        )
    kinds = getattr(text_config, "layer_types", None)
    if not isinstance(kinds, list) or not kinds:
        return count
    count = sum(kind.endswith("attention") and not kind.startswith("linear") for kind in kinds)
    if not count:
        raise UnsupportedModelError(
            f"The layers of a model of type {config.model_type!r} ({', '.join(sorted(set(kinds)))}) "
            "hold no attention that can be read exactly.",
            hint="Use a saliency method instead: it works on any model with token embeddings.",
        )
    return count


def require_attention_in_every_layer(
    model: Model, method: str, hint: str = "Use a method that needs no attention, such as saliency."
) -> int:
    """Return how many layers a model has, all of which compute attention that can be read.

    Args:
        model: The model.
        method: What needs them, for the message.
        hint: What to use instead.

    Raises:
        UnsupportedModelError: Some layer mixes tokens by other means.
    """
    expected = getattr(model.config.get_text_config(), "num_hidden_layers", 0)
    try:
        layers = layer_count(model.config)
    except UnsupportedModelError:
        layers = 0
    if not layers or layers != expected:
        raise UnsupportedModelError(
            f"{method} needs readable attention in every layer, and {expected - layers} of the {expected} "
            f"layers of {model.name} have none.",
            hint=hint,
        )
    return layers
