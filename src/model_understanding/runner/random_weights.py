"""A copy of a model that has learned nothing."""

import copy
from dataclasses import replace

import torch

from model_understanding.errors import UnsupportedModelError
from model_understanding.runner.runner import Runner


def with_random_weights(runner: Runner, seed: int) -> Runner:
    """Return a runner of a copy of the model whose parameters are normal, each with its mean and spread.

    Args:
        runner: The runner; its model is left as it is.
        seed: Seed of the weights.

    Returns:
        A runner of the copy.

    Raises:
        UnsupportedModelError: The weights are quantized or lie elsewhere, and cannot be drawn anew.
    """
    parameters = list(runner.model.parameters())
    if any(not one.is_floating_point() or one.device.type == "meta" for one in parameters):
        raise UnsupportedModelError(
            f"The weights of {type(runner.model).__name__} are quantized or offloaded; they cannot be "
            "drawn anew.",
            hint="Load the model without quantization and device_map.",
        )
    model = copy.deepcopy(runner.model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            drawn = torch.randn(parameter.shape, generator=generator).to(parameter)
            spread = parameter.std() if parameter.numel() > 1 else parameter.abs().mean()
            parameter.copy_(parameter.mean() + spread * drawn)
    return Runner(replace(runner.loaded, model=model)).at_layer(runner.layer)
