"""Explain a text again: another seed, padding, random weights."""

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

_LONGER = 3  # tokens by which the other text of a padded batch is longer


@dataclass(frozen=True, kw_only=True, eq=False)
class ExplainedAgain:
    """Makes the scores of an attribution's target once more.

    Args:
        runner: The runner.
        encoding: The text.
        method: The method, with the attribution's settings.
        target: What is explained.
        function: The caller's function, where that is the target.
        seed: Seed of random weights, and what another seed is further by.
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
            another_seed: Draw otherwise.
            in_batch: Run the text twice in one batch.
            padded: Run it beside a longer text.
            random_weights: Ask a copy of the model with random weights.

        Raises:
            InputError: The model has no positions for a longer text to pad this one for.
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
            check_length(runner.model.module, runner.model.tokenizer, longer.ids.shape[1])
            encoding = runner.model.batch([encoding, longer])
        targets = self.function or [[self.target]] * len(encoding)
        return (
            method(runner, encoding, targets).scores[0, 0, : len(self.encoding.tokens[0])].astype(np.float64)
        )


def again_of(
    runner: Runner,
    encoding: Encoding,
    attribution: Attribution,
    function: Callable[[Any], Any] | None,
    seed: int,
) -> ExplainedAgain | None:
    """Return what explains an attribution's first target again.

    Args:
        runner: The runner.
        encoding: The text.
        attribution: The attribution.
        function: The caller's function, where that is the target.
        seed: Of what is drawn.

    Returns:
        ``None`` where the method cannot be made from what the result holds.
    """
    try:
        kind: Any = METHODS.load(attribution.method)
        names = {field.name for field in fields(kind)}
        method = kind(**{name: value for name, value in attribution.parameters.items() if name in names})
    except (InputError, TypeError, ValueError):
        return None
    target = attribution.targets[0]
    return ExplainedAgain(
        runner=runner, encoding=encoding, method=method, target=target, function=function, seed=seed
    )


def _longer(encoding: Encoding) -> Encoding:
    inputs = {
        name: torch.cat([values, values[:, -1:].expand(-1, _LONGER)], dim=1)
        for name, values in encoding.inputs.items()
    }
    return replace(encoding, inputs=inputs)


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
    parameters = list(runner.model.module.parameters())
    if any(not one.is_floating_point() or one.device.type == "meta" for one in parameters):
        raise UnsupportedModelError(
            f"Cannot randomize the weights of {runner.model.name}: they are quantized or offloaded.",
            hint="Load the model without quantization and device_map.",
        )
    model = copy.deepcopy(runner.model.module)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            drawn = torch.randn(parameter.shape, generator=generator).to(parameter)
            spread = parameter.std() if parameter.numel() > 1 else parameter.abs().mean()
            parameter.copy_(parameter.mean() + spread * drawn)
    return Runner(replace(runner.model.loaded, model=model)).at_layer(runner.layer)
