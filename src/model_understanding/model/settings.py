"""Settings of a model's configuration that may differ by layer."""

from typing import Any


def by_layer(config: Any, name: str, default: Any = 0) -> list[Any]:
    """Return a setting for each layer.

    A configuration gives one value for all layers, a list of values, or a configuration of its own for each
    layer (``per_layer_config``), and then refuses to name one value.

    Args:
        config: The configuration of the text model.
        name: The setting's name.
        default: Its value where it is missing or ``None``.

    >>> from types import SimpleNamespace
    >>> by_layer(SimpleNamespace(num_hidden_layers=2, num_attention_heads=4), "num_attention_heads")
    [4, 4]
    """
    if name in (getattr(config, "per_layer_attributes", None) or ()):
        values = [getattr(layer, name, default) for layer in config.per_layer_config]
    else:
        value, depth = getattr(config, name, default), getattr(config, "num_hidden_layers", 0)
        values = list(value) if isinstance(value, list | tuple) else [value] * (depth or 0)
    return [default if value is None else value for value in values]


def largest(config: Any, name: str, default: Any = 0) -> Any:
    """Return the largest value of a setting in any layer, for estimates that must hold for all.

    Args:
        config: The configuration of the text model.
        name: The setting's name.
        default: Its value where it is missing or ``None``.

    >>> from types import SimpleNamespace
    >>> largest(SimpleNamespace(num_hidden_layers=2, intermediate_size=[8, 16]), "intermediate_size")
    16
    """
    values = by_layer(config, name, default)
    if not values:  # no number of layers
        value = getattr(config, name, None)
        return default if value is None else value
    return max(values)
