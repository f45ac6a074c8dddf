"""Why a model wrote what it wrote and not what it might have written: contrasts with the likeliest others."""

from model_understanding.errors import InputError
from model_understanding.passes.runner import Runner
from model_understanding.results import Target
from model_understanding.targets.language_model import span_of
from model_understanding.targets.names import CAUSAL_LM
from model_understanding.targets.vocabulary import token_text
from model_understanding.text.encoding import Encoding
from model_understanding.visualizers.generation_record import step_logits
from model_understanding.visualizers.questions import Question

MOST_ALTERNATIVES = 20


def check_alternatives(count: int, question: Question) -> None:
    """Raise InputError unless so many alternatives can be explained of what is asked."""
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MOST_ALTERNATIVES:
        raise InputError(
            f"alternatives={count!r} is not a whole number from 0 to {MOST_ALTERNATIVES}.",
            hint="Pass how many of the likeliest other tokens of each step are explained, as 3.",
        )
    if count and question.kind != "continuation":
        raise InputError(
            f"Alternatives belong to the steps of a continuation. Got target={question.target!r}.",
            hint="Leave target out, or pass against= to contrast one token.",
        )


def contrast_targets(
    runner: Runner, encoding: Encoding, count: int, question: Question
) -> tuple[Target, ...]:
    """Return the contrast of each step's token with each of the likeliest others.

    ``value = logit(written) − logit(other)``, both read where the token was chosen. One forward without
    gradients finds the others.

    Args:
        runner: The runner of a language model.
        encoding: Prompt and continuation.
        count: How many others at each step.
        question: What is asked; a span of it limits the steps.

    Returns:
        ``count`` targets for each step, the likeliest other first; fewer of a vocabulary that has no more.
    """
    tokens, start = encoding.tokens[0], encoding.prompt_length
    assert start is not None
    steps = range(start, len(tokens))
    if question.span is not None:
        steps = span_of(tokens, steps, question.span, "continuation")
    logits = step_logits(runner.model, encoding, steps)
    best = logits.topk(min(count + 1, logits.shape[-1]), dim=-1).indices.tolist()
    targets = []
    for step, likeliest in zip(steps, best, strict=True):
        written = int(tokens.ids[step])
        others = [other for other in likeliest if other != written][:count]
        targets += [
            Target(
                task=CAUSAL_LM,
                positions=(step - 1,),
                indices=(written,),
                labels=(token_text(runner.model.tokenizer, written),),
                against=(other,),
                against_labels=(token_text(runner.model.tokenizer, other),),
                quantity="logit",
            )
            for other in others
        ]
    return tuple(targets)
