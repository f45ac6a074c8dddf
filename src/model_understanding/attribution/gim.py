"""Gradient interaction modifications: a backward pass that does not lose shared and saturated causes."""

import math
from dataclasses import dataclass
from typing import ClassVar

from model_understanding.attribution.protocol import Scores
from model_understanding.backward_rules.mode import modified_backward
from model_understanding.backward_rules.rules import BackwardRules
from model_understanding.errors import InputError
from model_understanding.passes.runner import Runner, Targets
from model_understanding.text.encoding import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class Gim:
    r"""Embedding times a gradient in which interactions are shared out rather than counted twice.

    ``score_t = ⟨ embedding_t , g_t ⟩``, where ``g`` is the gradient of the target under these rules:
    norms have constant statistics; a product of two activations (gate · up, queries · keys, weights ·
    values) gives half to each; the attention softmax is differentiated at temperature T:
    ``p_T (g − Σ p_T g)`` with ``p_T = softmax(scores / T)``. Activations keep their derivative.

    Args:
        temperature: T of the attention softmax in the backward pass; the forward is the model's own.

    Raises:
        InputError: The temperature is not a finite number above 0.
        UnsupportedModelError: Something in the model ran where no rule could see it.

    Reference:
        Edin et al. (2025), "GIM: Improved Interpretability for Large Language Models", arXiv 2505.17630:
        T = 2 and the factors as in its authors' package (corticph/gim). We depart from that: the baseline
        is the zero embedding (theirs: a space's); the half rule holds for every product of two
        activations, a router's weights times its experts' outputs included (theirs: queries, keys, values
        and gates); temperature applies to attention alone (theirs: every softmax).
        The rules for norms and products are close kin to AttnLRP, whose authors state that LRP is
        patented and free only for personal and scientific use: check before using it commercially.
        Never a default.

    >>> Gim(temperature=3.0)
    Gim(temperature=3.0)
    """

    name: ClassVar[str] = "gim"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    takes_layer: ClassVar[bool] = True
    cost: ClassVar[str] = "1 forward, 1 backward"
    reference: ClassVar[str] = "Edin et al. 2025"

    temperature: float = 2.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise InputError(
                f"The temperature must be a finite number above 0. Got {self.temperature!r}.",
                hint="Use temperature=2.0, as the paper does.",
            )

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        rule = modified_backward(runner.model, BackwardRules(temperature=self.temperature), self.name)
        values, gradients = runner.gradients(encoding, targets, rule=rule)
        embeddings = runner.embed(encoding).float()[:, None]
        return Scores(scores=(gradients * embeddings).sum(-1).cpu().numpy(), outputs=values.cpu().numpy())
