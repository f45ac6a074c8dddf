"""Record a continuation: how sure the model was of each of its tokens."""

import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.model.generation import end_ids, forbidden_ids
from model_understanding.model.model import Model
from model_understanding.model.prefixes import prefixes_agree
from model_understanding.results import Generation
from model_understanding.text.detokenization import token_text
from model_understanding.text.encoding import Encoding

TOP_TOKENS = 5  # likeliest tokens kept at each step
_MOST_NAMED = 8  # steps that a warning names


def generation_of(
    model: Model,
    encoding: Encoding,
    *,
    given: bool,
    sampled: bool = False,
    top: int = TOP_TOKENS,
    logits: Float[Tensor, "steps vocabulary"] | None = None,
) -> Generation:
    """Return a prompt and its continuation with each step's probability, entropy and likeliest tokens.

    The distributions come from a forward pass over prompt and continuation, or from one for each step where
    a longer text changes them, so they are the model's own, whatever the continuation was sampled with.

    Args:
        model: A language model.
        encoding: Prompt and continuation.
        given: Whether the continuation was given rather than generated.
        sampled: Whether it was sampled.
        top: How many of the likeliest tokens of each step are kept.
        logits: The logits that predict each token of the continuation, where they are known already.

    Returns:
        The generation.
    """
    tokens, start = encoding.tokens[0], encoding.prompt_length
    assert start is not None
    if logits is None:
        logits = step_logits(model, encoding, range(start, len(tokens)))
    logs = torch.log_softmax(logits.double(), dim=-1)
    following = torch.as_tensor(tokens.ids[start:].copy(), device=logs.device)
    probabilities = logs.exp()
    best = logs.topk(min(top, logs.shape[-1]), dim=-1)
    forbidden = torch.tensor(forbidden_ids(model), device=logs.device, dtype=torch.long)
    is_forbidden = torch.isin(best.indices[:, 0], forbidden)
    is_other = best.indices[:, 0] != following
    others = [] if given or sampled else (is_other & ~is_forbidden).nonzero()[:, 0].tolist()
    kept_off = [] if given else (is_other & is_forbidden).nonzero()[:, 0].tolist()
    return Generation(
        tokens=tokens,
        prompt_length=start,
        probabilities=probabilities.gather(1, following[:, None])[:, 0].cpu().numpy(),
        entropies=torch.special.entr(probabilities).sum(-1).cpu().numpy(),
        top_ids=best.indices.cpu().numpy(),
        top_probabilities=best.values.exp().cpu().numpy(),
        top_labels=tuple(
            tuple(token_text(model.output_tokenizer, int(token)) for token in step) for step in best.indices
        ),
        given=given,
        ended=not given and int(tokens.ids[-1]) in end_ids(model.module, model.output_tokenizer),
        cautions=(
            *encoding.cautions,
            *_at_steps(
                others,
                "the generated token is not the most probable one of the forward pass that is explained: "
                "generating with cached keys and values gives other logits.",
            ),
            *_at_steps(kept_off, "the most probable token is one that the generation config never allows."),
        ),
    )


def _at_steps(steps: list[int], warning: str) -> tuple[str, ...]:
    """Return a warning about some steps, if there are any, which names them."""
    if not steps:
        return ()
    named = ", ".join(map(str, steps[:_MOST_NAMED])) + (", …" if len(steps) > _MOST_NAMED else "")
    return (f"At step{'s' * (len(steps) > 1)} {named} (counted from 0) {warning}",)


def step_logits(model: Model, encoding: Encoding, steps: range) -> Float[Tensor, "steps vocabulary"]:
    """Return the logits that predict each token of a continuation.

    Args:
        model: A language model.
        encoding: Prompt and continuation.
        steps: Positions of the continuation's tokens.

    Returns:
        The logits one position before each.
    """
    if prefixes_agree(model, encoding, steps.start, steps.stop - 1):
        return model.logits(encoding.prefix(steps.stop - 1), keep_from=steps.start - 1)[0]
    return torch.cat([model.logits(encoding.prefix(step), keep_from=step - 1)[0] for step in steps])
