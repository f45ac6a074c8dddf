"""An answer map from a prompt and its answer: all steps are taken, and their verdicts put together."""

from collections.abc import Iterator
from time import perf_counter
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from model_understanding.answer_map.answer_text import AnswerText, answer_text_of
from model_understanding.answer_map.confirmation import confirmed
from model_understanding.answer_map.measured import Measured
from model_understanding.answer_map.measuring import Effects, Follow, unfollowed
from model_understanding.answer_map.prompt import SourcedPrompt
from model_understanding.answer_map.removal import removals_of
from model_understanding.answer_map.screening import Screen
from model_understanding.answer_map.source_tokens import control_tokens_caution
from model_understanding.answer_map.steps import measured_answer
from model_understanding.answer_map.verdicts import statement_of
from model_understanding.errors import UnsupportedModelError
from model_understanding.model.causality import is_causal
from model_understanding.model.model import Model
from model_understanding.model.prefixes import read_in_one_pass
from model_understanding.results import AnswerMap, Target
from model_understanding.text.encoding import Encoding

_MOST_LISTED = 8  # skipped files that a warning names
_NO_CONTROL = (
    "The sources have no other text to remove as a control for statement{} {}; only the effect of the source "
    "itself counts there."
)
_DELETED = (
    "{} has no cache of keys and values whose positions can be hidden, so sources were deleted from the "
    "prompt: what follows them moves up."
)


def mapped_answer(
    model: Model,
    encoding: Encoding,
    prompt: SourcedPrompt,
    *,
    given: bool,
    target: Target | None = None,
    follow: Follow = unfollowed,
) -> AnswerMap:
    """Return which sources an answer comes from.

    Args:
        model: A causal language model.
        encoding: The prompt and the answer.
        prompt: The prompt's sources.
        given: Whether the answer was given by the caller.
        target: What is explained of the answer: a span of it, or its tokens with contrasts; all of it by
            default.
        follow: Runs each step's passes.

    Raises:
        InputError: No token of the prompt belongs to a source, or the answer has no words.
        UnsupportedModelError: The model is not causal, or has an encoder.
    """
    require_sources(model)
    begun = perf_counter()
    encoding = read_in_one_pass(model, encoding, "The effects come")
    text = answer_text_of(encoding, prompt, target, given=given)
    contrasts = _contrasts(target, text, encoding.ids.device)
    removals, deletions = removals_of(model, encoding, text.after_sources, contrasts)
    effects = Effects(removals, len(text.tokens), follow)
    screen = Screen(text, effects)
    measured = measured_answer(text, effects, screen)
    deleting = effects if deletions is removals else Effects(deletions, len(text.tokens), follow)
    statements = [statement_of(measured, number) for number in range(len(text.clauses))]
    statements = confirmed(statements, text, deleting)
    provenance = model.provenance(encoding, perf_counter() - begun)
    cautions = tuple(_cautions(model, measured, prompt, is_deleted=removals.removal == "deleted"))
    return AnswerMap(
        tokens=text.tokens,
        prompt_length=text.prompt_length,
        sources=text.sources,
        statements=statements,
        log_probs=removals.log_probs,
        effects=np.where(measured.is_single[:, None], measured.by_source, 0.0),
        without_sources=measured.without,
        sentence_effects=np.concatenate(measured.by_sentence),
        is_sentence_removed=np.concatenate(measured.is_removed),
        **screen.fields(measured),
        **({} if measured.is_single.all() else _of_groups(measured)),
        against=() if target is None else target.against_labels,
        removal=removals.removal,
        layout=prompt.layout,
        missing=text.missing,
        question=prompt.question,
        given=given,
        provenance=provenance.with_cautions(cautions),
    )


def _of_groups(measured: Measured) -> dict[str, Any]:
    """Return the sources that were only removed in groups, and their shares of the groups' effects."""
    return {"is_source_screened": ~measured.is_single, "screened_source_effects": measured.shares()}


def require_sources(model: Model) -> None:
    """Refuse a model whose answer does not follow a prompt that holds its sources.

    Args:
        model: A language model.

    Raises:
        UnsupportedModelError: The model is not causal, or has an encoder.
    """
    if model.reads_two_sequences or not is_causal(model):
        raise UnsupportedModelError(
            f"{model.name} is not a causal language model, and an answer map is of one.",
            hint="Explain its answer with compute_saliency, whose scores are over all tokens that it reads.",
        )


def _contrasts(
    target: Target | None, text: AnswerText, device: torch.device
) -> Int[Tensor, " answer"] | None:
    """Return the id of the contrast of each token of the answer, −1 for none."""
    if target is None or not target.against:
        return None
    ids = torch.full((len(text.answer),), -1)
    ids[torch.tensor(target.positions) + 1 - text.prompt_length] = torch.tensor(target.against)
    return ids.to(device)


def _cautions(model: Model, measured: Measured, prompt: SourcedPrompt, *, is_deleted: bool) -> Iterator[str]:
    text = measured.text
    if is_deleted:
        yield _DELETED.format(model.name)
    without_control = sorted({number for (number, _), effects in measured.controls.items() if not effects})
    if without_control:
        listed = ", ".join(str(number + 1) for number in without_control)
        yield _NO_CONTROL.format("s" * (len(without_control) > 1), listed)
    if text.missing:
        yield f"Not in the prompt, so not measured: {', '.join(text.missing)}."
    yield from control_tokens_caution(model.tokenizer, text.tokens, text.prompt_length, prompt)
    if prompt.skipped:
        listed = ", ".join(prompt.skipped[:_MOST_LISTED])
        others = len(prompt.skipped) - _MOST_LISTED
        more = f" and {others} others" if others > 0 else ""
        yield f"Not read: {listed}{more}."
