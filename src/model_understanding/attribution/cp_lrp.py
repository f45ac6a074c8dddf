"""CP-LRP: conservative propagation, with attention weights and gates held constant."""

from dataclasses import dataclass
from typing import ClassVar

from model_understanding.protocols import Scores
from model_understanding.runner import Encoding, Runner
from model_understanding.runner.backward_rules import BackwardRules
from model_understanding.runner.modified_backward import modified_backward
from model_understanding.runner.runner import Targets


@dataclass(frozen=True, slots=True, kw_only=True)
class CpLrp:
    r"""Relevance that reaches each token's embedding through values alone.

    ``score_t = ⟨ embedding_t , g_t ⟩``, where ``g`` is the gradient of the target under these rules: every
    softmax is constant, so attention passes relevance to the values only; the gate of a gated layer (the
    operand that leaves an activation) is constant; norms have constant statistics; an activation's
    derivative is its slope ``f(x) / x``.

    Raises:
        UnsupportedModelError: Something in the model ran where no rule could see it.

    Reference:
        Ali et al. (2022), "XAI for Transformers: Better Explanations through Conservative Propagation",
        for attention and norms; a constant gate as in the CP-LRP of the AttnLRP authors' code (LXT), slopes
        as in AttnLRP. **The AttnLRP authors state that LRP is a patented technology,
        free of charge only for personal and scientific purposes: check before using it commercially.**
        Never a default. We depart: a router's softmax is constant too; a product of which not exactly one
        operand leaves an activation gives half to each.

    >>> CpLrp().signed
    True
    """

    name: ClassVar[str] = "cp_lrp"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    takes_layer: ClassVar[bool] = True
    cost: ClassVar[str] = "1 forward, 1 backward"
    reference: ClassVar[str] = "Ali et al. 2022 (patented: free for personal and scientific use only)"

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        rules = BackwardRules(activations="slope", gates="constant", weights="constant")
        rule = modified_backward(runner, rules, self.name)
        values, gradients = runner.gradients(encoding, targets, rule=rule)
        embeddings = runner.embed(encoding).float()[:, None]
        return Scores(scores=(gradients * embeddings).sum(-1).cpu().numpy(), outputs=values.cpu().numpy())
