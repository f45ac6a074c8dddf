"""Layer-wise relevance propagation: AttnLRP and CP-LRP."""

from dataclasses import dataclass
from typing import ClassVar

from model_understanding.attribution.protocol import Scores
from model_understanding.backward_rules.mode import modified_backward
from model_understanding.backward_rules.rules import BackwardRules
from model_understanding.model.precision import precise
from model_understanding.passes.runner import Runner, Targets
from model_understanding.text.encoding import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class AttnLrp:
    r"""Layer-wise relevance propagation through attention and gates (AttnLRP).

    ``score_t = ⟨ embedding_t , g_t ⟩``, where ``g`` is the gradient of the target under these rules: norms
    have constant statistics (identity rule; LayerNorm's mean stays linear); an activation's derivative is
    its slope ``f(x) / x`` (identity rule); products of two tensors, including those of attention, give half
    of the gradient to each (uniform rule), so that queries and keys get a quarter; the softmax keeps its
    derivative (Taylor rule); linear layers follow the 0-rule. Biases and constants absorb relevance, so
    that the scores need not add up to the target.

    Raises:
        UnsupportedModelError: The model has an operation that the rules do not cover.

    Reference:
        Achtibat et al. (2024), "AttnLRP: Attention-Aware Layer-Wise Relevance Propagation for
        Transformers", in the gradient form of Arras et al. (2025) that its authors' code (LXT) uses.
        **Its authors state that LRP is a patented technology, free of charge only for personal and
        scientific purposes: check before using it commercially.** Never a default. Differences: the slope
        at ``x = 0`` is 0; soft-caps, clamps and poolers' tanh are activations too; a router's softmax over
        its selected experts keeps its derivative, and its weights times the experts' outputs are halved.

    >>> AttnLrp().signed
    True
    """

    name: ClassVar[str] = "attn_lrp"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    takes_layer: ClassVar[bool] = True
    cost: ClassVar[str] = "1 forward pass, 1 backward pass"
    reference: ClassVar[str] = "Achtibat et al. 2024 (patented: free for personal and scientific use only)"

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        rule = modified_backward(runner.model, BackwardRules(activations="slope"), self.name)
        values, gradients = runner.gradients(encoding, targets, rule=rule)
        embeddings = precise(runner.embed(encoding))[:, None]
        return Scores(scores=(gradients * embeddings).sum(-1).cpu().numpy(), outputs=values.cpu().numpy())


@dataclass(frozen=True, slots=True, kw_only=True)
class CpLrp:
    r"""Layer-wise relevance propagation with constant attention weights and gates (CP-LRP).

    ``score_t = ⟨ embedding_t , g_t ⟩``, where ``g`` is the gradient of the target under these rules: every
    softmax is constant, so that attention passes relevance to the values only; the gate of a gated layer
    (the operand that is the output of an activation) is constant; norms have constant statistics; an
    activation's derivative is its slope ``f(x) / x``.

    Raises:
        UnsupportedModelError: The model has an operation that the rules do not cover.

    Reference:
        Ali et al. (2022), "XAI for Transformers: Better Explanations through Conservative Propagation",
        for attention and norms; the constant gate as in the CP-LRP of the AttnLRP authors' code (LXT), slopes
        as in AttnLRP. **The AttnLRP authors state that LRP is a patented technology,
        free of charge only for personal and scientific purposes: check before using it commercially.**
        Never a default. Differences: a router's softmax is constant too; a product in which none or both of
        the operands are outputs of an activation gives half of the gradient to each.

    >>> CpLrp().signed
    True
    """

    name: ClassVar[str] = "cp_lrp"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    takes_layer: ClassVar[bool] = True
    cost: ClassVar[str] = "1 forward pass, 1 backward pass"
    reference: ClassVar[str] = "Ali et al. 2022 (patented: free for personal and scientific use only)"

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        rules = BackwardRules(activations="slope", gates="constant", weights="constant")
        rule = modified_backward(runner.model, rules, self.name)
        values, gradients = runner.gradients(encoding, targets, rule=rule)
        embeddings = precise(runner.embed(encoding))[:, None]
        return Scores(scores=(gradients * embeddings).sum(-1).cpu().numpy(), outputs=values.cpu().numpy())
