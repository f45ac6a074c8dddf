"""Why a model wrote each token and not one of the likeliest others: the targets of these contrasts."""

from model_understanding.checks import whole_number
from model_understanding.errors import InputError
from model_understanding.passes.runner import Runner
from model_understanding.results import Target
from model_understanding.targets.language_model import span_of
from model_understanding.text.detokenization import token_text
from model_understanding.text.encoding import Encoding
from model_understanding.visualizers.generation_record import step_logits
from model_understanding.visualizers.target_spec import TargetSpec

MOST_ALTERNATIVES = 20


def check_alternatives(count: int, spec: TargetSpec) -> None:
    """Raise InputError unless that many alternatives can be explained of a target."""
    whole_number(count, "alternatives", least=0, most=MOST_ALTERNATIVES)
    if count and spec.kind != "continuation":
        raise InputError(
            f"Alternatives exist for the steps of a continuation. Got target={spec.target!r}.",
            hint="Leave target out, or pass against= to contrast one token.",
        )


def contrast_targets(runner: Runner, encoding: Encoding, count: int, spec: TargetSpec) -> tuple[Target, ...]:
    """Return the contrast of each step's token with each of the likeliest others.

    ``value = logit(written) − logit(other)``, both at the position that predicts the token. One forward pass
    without gradients determines the others.

    Args:
        runner: The runner of a language model.
        encoding: Prompt and continuation.
        count: How many others at each step.
        spec: The target; its span limits the steps.

    Returns:
        ``count`` targets for each step, the likeliest other first; fewer if the vocabulary has no more.
    """
    tokens, start = encoding.tokens[0], encoding.prompt_length
    assert start is not None
    steps = range(start, len(tokens))
    if spec.span is not None:
        steps = span_of(tokens, steps, spec.span, "continuation")
    logits = step_logits(runner.model, encoding, steps)
    best = logits.topk(min(count + 1, logits.shape[-1]), dim=-1).indices.tolist()
    targets = []
    for step, likeliest in zip(steps, best, strict=True):
        written = int(tokens.ids[step])
        others = [other for other in likeliest if other != written][:count]
        targets += [
            Target(
                task=runner.model.task,
                positions=(step - 1,),
                indices=(written,),
                labels=(token_text(runner.model.output_tokenizer, written),),
                against=(other,),
                against_labels=(token_text(runner.model.output_tokenizer, other),),
                quantity="logit",
            )
            for other in others
        ]
    return tuple(targets)
