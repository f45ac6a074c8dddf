"""Gradient times input: the target's first-order change if a token's embedding were taken away."""

from dataclasses import dataclass
from typing import ClassVar

from model_understanding.attribution.protocol import Scores
from model_understanding.passes.runner import Runner, Targets
from model_understanding.text.encoding import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class InputXGradient:
    r"""The inner product of each token's embedding with the target's gradient there.

    ``score_t = ⟨ embedding_t , ∂ target / ∂ embedding_t ⟩``

    Reference:
        Shrikumar et al. (2017), "Not Just a Black Box"; Denil, Demiraj, de Freitas (2014), "Extraction of
        Salient Sentences". Exact on a model linear in its embeddings; on deep transformers often no
        better than chance (see the documentation before trusting a sign).

    >>> InputXGradient().signed
    True
    """

    name: ClassVar[str] = "input_x_gradient"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    takes_layer: ClassVar[bool] = True
    cost: ClassVar[str] = "1 forward, 1 backward"
    reference: ClassVar[str] = "Shrikumar et al. 2017; Denil et al. 2014"

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        values, gradients = runner.gradients(encoding, targets)
        embeddings = runner.embed(encoding).float()[:, None]
        return Scores(scores=(gradients * embeddings).sum(-1).cpu().numpy(), outputs=values.cpu().numpy())
