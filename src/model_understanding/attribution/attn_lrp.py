"""AttnLRP: relevance propagated layer by layer, in one forward and one modified backward pass."""

from dataclasses import dataclass
from typing import ClassVar

from model_understanding.protocols import Scores
from model_understanding.runner import Encoding, Runner
from model_understanding.runner.backward_rules import BackwardRules
from model_understanding.runner.modified_backward import modified_backward
from model_understanding.runner.runner import Targets


@dataclass(frozen=True, slots=True, kw_only=True)
class AttnLrp:
    r"""Relevance that reaches each token's embedding, starting from the target.

    ``score_t = ⟨ embedding_t , g_t ⟩``, where ``g`` is the gradient of the target under these rules:
    norms have constant statistics (identity rule; LayerNorm's mean stays linear); an activation's
    derivative is its slope ``f(x) / x`` (identity rule); products of two activations, attention included,
    give half to each (uniform rule), so queries and keys get a quarter; softmax keeps its derivative
    (Taylor rule); linear layers are the 0-rule. Biases and constants absorb relevance: the scores need
    not add up to the target.

    Raises:
        UnsupportedModelError: Something in the model ran where no rule could see it.

    Reference:
        Achtibat et al. (2024), "AttnLRP: Attention-Aware Layer-Wise Relevance Propagation for
        Transformers", in the gradient form of Arras et al. (2025) that its authors' code (LXT) uses.
        **Its authors state that LRP is a patented technology, free of charge only for personal and
        scientific purposes: check before using it commercially.** Never a default. We depart: a slope at
        ``x = 0`` is 0; soft-caps, clamps and poolers' tanh are activations too; a router's softmax over its
        chosen experts keeps its derivative, and its weights times the experts' outputs are halved.

    >>> AttnLrp().signed
    True
    """

    name: ClassVar[str] = "attn_lrp"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    takes_layer: ClassVar[bool] = True
    cost: ClassVar[str] = "1 forward, 1 backward"
    reference: ClassVar[str] = "Achtibat et al. 2024 (patented: free for personal and scientific use only)"

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        rule = modified_backward(runner, BackwardRules(activations="slope"), self.name)
        values, gradients = runner.gradients(encoding, targets, rule=rule)
        embeddings = runner.embed(encoding).float()[:, None]
        return Scores(scores=(gradients * embeddings).sum(-1).cpu().numpy(), outputs=values.cpu().numpy())
