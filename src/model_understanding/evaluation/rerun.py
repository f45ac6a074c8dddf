"""Explain a text again: with another seed, in a batch, padded, or with random weights."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from model_understanding.attribution.protocol import AttributionMethod
from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.passes.runner import Runner
from model_understanding.registry import METHODS
from model_understanding.results import Attribution, Target
from model_understanding.text.encoding import Encoding
from model_understanding.text.max_length import check_length

_EXTRA_TOKENS = 3  # of the longer text beside which a text is padded


@dataclass(frozen=True, kw_only=True, eq=False)
class Rerun:
    """Computes the scores of an attribution's target again.

    Args:
        runner: The runner.
        encoding: The text.
        method: The method, with the attribution's settings.
        target: The explained target.
        function: The caller's function, where that is the target.
        seed: Seed of random weights, and the distance to another seed.
    """

    runner: Runner
    encoding: Encoding
    method: AttributionMethod
    target: Target
    function: Callable[[Any], Any] | None = None
    seed: int = 0

    def __call__(
        self,
        *,
        another_seed: bool = False,
        in_batch: bool = False,
        padded: bool = False,
        random_weights: bool = False,
    ) -> Float[np.ndarray, " tokens"]:
        """Return the scores of the tokens.

        Args:
            another_seed: Sample with another seed.
            in_batch: Run the text twice in one batch.
            padded: Run it padded, beside a longer text.
            random_weights: Run a copy of the model with random weights.

        Raises:
            InputError: The model accepts no longer text to pad this one for.
            UnsupportedModelError: The model cannot take texts of different lengths in one batch.
        """
        method: Any = self.method
        if another_seed:
            method = replace(method, seed=(method.seed or 0) + self.seed + 1)
        runner = with_random_weights(self.runner, self.seed) if random_weights else self.runner
        encoding = self.encoding
        if in_batch:
            encoding = encoding.repeated(2)
        if padded:
            longer = _longer(encoding)
            check_length(runner.model.name, runner.model.longest_input, longer.ids.shape[1])
            encoding = runner.model.batch([encoding, longer])
        targets = self.function or [[self.target]] * len(encoding)
        scores = method(runner, encoding, targets).scores
        return scores[0, 0, : len(self.encoding.tokens[0])].astype(np.float64)


def rerun_of(
    runner: Runner,
    encoding: Encoding,
    attribution: Attribution,
    function: Callable[[Any], Any] | None,
    seed: int,
) -> Rerun | None:
    """Return what explains an attribution's first target again.

    Args:
        runner: The runner.
        encoding: The text.
        attribution: The attribution.
        function: The caller's function, where that is the target.
        seed: As for ``Rerun``.

    Returns:
        ``None`` where the method cannot be restored from the result.
    """
    try:
        method_type: Any = METHODS.load(attribution.method)
        names = {field.name for field in fields(method_type)}
        settings = {name: value for name, value in attribution.parameters.items() if name in names}
        method = method_type(**settings)
    except (InputError, TypeError, ValueError):
        return None
    return Rerun(
        runner=runner,
        encoding=encoding,
        method=method,
        target=attribution.targets[0],
        function=function,
        seed=seed,
    )


def with_random_weights(runner: Runner, seed: int) -> Runner:
    """Return a runner of a copy of the model with normal weights of each parameter's mean and spread.

    Args:
        runner: The runner; its model is not changed.
        seed: Seed of the weights.

    Returns:
        A runner of the copy.

    Raises:
        UnsupportedModelError: The weights are quantized or offloaded.
    """
    if any(
        not parameter.is_floating_point() or parameter.device.type == "meta"
        for parameter in runner.model.module.parameters()
    ):
        raise UnsupportedModelError(
            f"The weights of {runner.model.name} are quantized or offloaded, so they cannot be randomized.",
            hint="Load the model without quantization and device_map.",
        )
    model = copy.deepcopy(runner.model.loaded.model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float32).to(parameter)
            spread = parameter.std() if parameter.numel() > 1 else parameter.abs().mean()
            parameter.copy_(parameter.mean() + spread * noise)
    return Runner(replace(runner.model.loaded, model=model)).at_layer(runner.layer)


def _longer(encoding: Encoding) -> Encoding:
    inputs = {
        name: torch.cat([values, values[:, -1:].expand(-1, _EXTRA_TOKENS)], dim=1)
        for name, values in encoding.inputs.items()
    }
    return replace(encoding, inputs=inputs)
