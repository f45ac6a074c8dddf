"""GIM: gradient interaction modifications, for causes that a plain gradient misses."""

from dataclasses import dataclass
from typing import ClassVar

from model_understanding.attribution.protocol import Scores
from model_understanding.backward_rules.mode import modified_backward
from model_understanding.backward_rules.rules import BackwardRules
from model_understanding.checks import real_number
from model_understanding.model.precision import precise
from model_understanding.passes.runner import Runner, Targets
from model_understanding.text.encoding import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class Gim:
    r"""Input × gradient with a backward pass corrected for interactions and saturated attention (GIM).

    ``score_t = ⟨ embedding_t , g_t ⟩``, where ``g`` is the gradient of the target under these rules: norms
    have constant statistics; a product of two tensors (gate · up, queries · keys, weights · values) gives
    half of the gradient to each; the attention softmax has the derivative at temperature T,
    ``p_T (g − Σ p_T g)`` with ``p_T = softmax(scores / T)``. Activations keep their derivative.

    Args:
        temperature: T of the attention softmax in the backward pass; the forward pass is not modified.

    Raises:
        InputError: The temperature is not a finite number above 0.
        UnsupportedModelError: The model has an operation that the rules do not cover.

    Reference:
        Edin et al. (2025), "GIM: Improved Interpretability for Large Language Models", arXiv 2505.17630:
        T = 2 and the factors as in its authors' package (corticph/gim). Differences: the baseline is the
        zero embedding (there: that of a space); the half rule holds for every product of two tensors,
        including a router's weights times its experts' outputs (there: queries, keys, values and gates);
        the temperature applies to attention alone (there: every softmax).
        The rules for norms and products are similar to AttnLRP, whose authors state that LRP is patented
        and free for personal and scientific use only: check before using it commercially. Never a default.

    >>> Gim(temperature=3.0)
    Gim(temperature=3.0)
    """

    name: ClassVar[str] = "gim"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    takes_layer: ClassVar[bool] = True
    cost: ClassVar[str] = "1 forward pass, 1 backward pass"
    reference: ClassVar[str] = "Edin et al. 2025"

    temperature: float = 2.0

    def __post_init__(self) -> None:
        real_number(self.temperature, "temperature", exclusive=True, example=2.0)

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        rule = modified_backward(runner.model, BackwardRules(temperature=self.temperature), self.name)
        values, gradients = runner.gradients(encoding, targets, rule=rule)
        embeddings = precise(runner.embed(encoding))[:, None]
        return Scores(scores=(gradients * embeddings).sum(-1).cpu().numpy(), outputs=values.cpu().numpy())
