"""Input × gradient: the first-order change of the target when a token's embedding is set to zero."""

from dataclasses import dataclass
from typing import ClassVar

from model_understanding.attribution.protocol import Scores
from model_understanding.model.precision import precise
from model_understanding.passes.runner import Runner, Targets
from model_understanding.text.encoding import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class InputXGradient:
    r"""The dot product of each token's embedding and the target's gradient with respect to it.

    ``score_t = ⟨ embedding_t , ∂ target / ∂ embedding_t ⟩``

    Reference:
        Shrikumar et al. (2017), "Not Just a Black Box"; Denil, Demiraj, de Freitas (2014), "Extraction of
        Salient Sentences". Exact for models that are linear in their embeddings; in deep transformers the
        scores, and their signs, are often no better than chance.

    >>> InputXGradient().signed
    True
    """

    name: ClassVar[str] = "input_x_gradient"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    takes_layer: ClassVar[bool] = True
    cost: ClassVar[str] = "1 forward pass, 1 backward pass"
    reference: ClassVar[str] = "Shrikumar et al. 2017; Denil et al. 2014"

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        values, gradients = runner.gradients(encoding, targets)
        embeddings = precise(runner.embed(encoding))[:, None]
        return Scores(scores=(gradients * embeddings).sum(-1).cpu().numpy(), outputs=values.cpu().numpy())
