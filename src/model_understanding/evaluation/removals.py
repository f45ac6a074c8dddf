"""The values that evaluations read from a model: a target's quantities for variants of a text.

A variant is a row of removed tokens. Each distinct one is run once for each replacement, however many
metrics and methods need it.
"""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.passes.runner import CustomTarget, Runner
from model_understanding.perturbation.token_removal import ModelTokenRemoval
from model_understanding.results import Target
from model_understanding.results.target import Quantity
from model_understanding.targets.classification import labels_of
from model_understanding.targets.names import SIMILARITY, TOKEN_CLASSIFICATION
from model_understanding.targets.token_classification import labels_of_same_type
from model_understanding.text.encoding import Encoding

Measures = dict[str, Target | CustomTarget]
"""Quantities by name; the first one decides the verdict."""
CLASSIFIER_REPLACEMENTS = ("mask", "attention", "mean", "pad")
LANGUAGE_MODEL_REPLACEMENTS = ("pad", "mask", "mean")
SIMILARITY_REPLACEMENTS = ("attention", "pad", "mean", "mask")  # a mask token is unlike any word to them
_MAX_REPLACEMENTS = 2


def measures_of(
    runner: Runner, encoding: Encoding, target: Target, function: CustomTarget | None
) -> Measures:
    """Return the quantities by which an explanation of a target is evaluated.

    For a classifier they are the logit margin over the strongest other class and the probability; a
    multi-label model has its logit instead of the margin, a regression only its score, two texts only their
    similarity. For a language model it is the log-probability of the explained tokens, also where the loss
    is explained.

    Args:
        runner: The runner.
        encoding: The text.
        target: The explained target.
        function: The caller's function, for a custom target.

    Returns:
        Quantities by name.

    Raises:
        InputError: The target is a function of the caller's, and it is not given.
    """
    if target.quantity == "custom":
        if function is None:
            raise InputError(
                f"The {target.description()!r} cannot be evaluated: results do not store the function.",
                hint="Pass the function as target=, or explain a class, a token or the loss.",
            )
        return {"custom": function}
    if runner.is_language_model:
        return {"log-probability": replace(target, quantity="log_prob", name=None)}
    logit = replace(target, quantity="logit")
    if runner.model.output_activation == "identity":
        return {target.description() if target.task == SIMILARITY else "score": logit}
    is_joint = len(target.indices) > 1  # probabilities at several positions have no meaningful sum
    quantity: Quantity = "log_prob" if is_joint else "prob"
    name = "log-probability" if is_joint else "probability"
    probability = replace(target, quantity=quantity)
    if target.against:
        return {"logit margin": logit, name: probability}
    if runner.model.output_activation == "sigmoid":
        return {"logit": logit, name: probability}
    against = _strongest_others(runner, encoding, target)
    return {"logit margin": replace(logit, against=against), name: probability}


def _strongest_others(runner: Runner, encoding: Encoding, target: Target) -> tuple[int, ...]:
    """Return the most likely other class at each position; of two it is known without a forward pass.

    Labels for parts of the same kind of entity (``B-PER``, ``I-PER``) are no other classes.
    """
    if runner.model.class_count(encoding.ids.shape[1]) == 2:
        return tuple(1 - index for index in target.indices)
    shared = runner.shared_on(encoding)
    if "logits" not in shared:
        shared["logits"] = runner.model.logits(encoding)[0].float().cpu().numpy()
    logits = shared["logits"][list(target.positions or (0,))].copy()
    for row, index in zip(logits, target.indices, strict=True):
        if runner.model.task == TOKEN_CLASSIFICATION:
            row[list(labels_of_same_type(labels_of(runner.model.config), index))] = -np.inf
        row[index] = -np.inf
    return tuple(int(other) for other in logits.argmax(axis=1))


def _candidates(runner: Runner) -> tuple[str, ...]:
    if runner.model.task == SIMILARITY:
        return SIMILARITY_REPLACEMENTS
    return LANGUAGE_MODEL_REPLACEMENTS if runner.is_language_model else CLASSIFIER_REPLACEMENTS


class Removals:
    """A text and its quantities, under two replacements for removed tokens.

    The replacements are the first two that the model supports: for a classifier among the mask token, the
    attention mask, the mean embedding and padding; for a language model among padding, the mask token and
    the mean embedding; for the similarity of texts among the attention mask, padding, the mean embedding and
    the mask token.

    Args:
        runner: The runner.
        encoding: One text, without padding.
        measures: The quantities, the deciding one first.
        replacements: Replacements to use instead.
        together: Quantities of other targets that the same forward passes give, if measurements are shared.

    Raises:
        InputError: One of ``replacements`` is unknown or the tokenizer lacks it.
        UnsupportedModelError: The model does not support one of ``replacements``.
    """

    def __init__(
        self,
        runner: Runner,
        encoding: Encoding,
        measures: Measures,
        replacements: Sequence[str] | None = None,
        together: Sequence[Target] = (),
    ) -> None:
        self.runner = runner.at_layer(None)
        self.encoding = encoding
        self.measures = measures
        self.tokens = encoding.tokens[0]
        self.cache: dict[Hashable, Any] = {}
        """Results of a metric that are the same for all attributions of this text."""
        candidates = replacements or _candidates(runner)
        targets: Any = [*measures.values()]
        if callable(targets[0]):  # a function of the caller's is the only one
            targets = targets[0]
        self._ablations: dict[str, ModelTokenRemoval] = {}
        for name in candidates:
            if replacements is None and len(self._ablations) == _MAX_REPLACEMENTS:
                break
            try:
                self._ablations[name] = ModelTokenRemoval(
                    self.runner, encoding, targets, name, together=together
                )
            except (InputError, UnsupportedModelError):
                if replacements is not None:
                    raise

    @property
    def replacements(self) -> tuple[str, ...]:
        """The replacements in use."""
        return tuple(self._ablations)

    @property
    def quantities(self) -> tuple[str, ...]:
        """The quantities' names."""
        return tuple(self.measures)

    @property
    def variants(self) -> int:
        """The number of variants that have been run, over all replacements."""
        return sum(ablations.runs for ablations in self._ablations.values())

    def values(
        self, removed: Bool[np.ndarray, "variants tokens"]
    ) -> Float[np.ndarray, "replacements variants quantities"]:
        """Return each quantity of each variant, under each replacement.

        Args:
            removed: The tokens that each variant lacks.

        Returns:
            Values ``(R, M, Q)``.
        """
        return np.stack([self.values_under(name, removed) for name in self._ablations])

    def values_under(
        self, replacement: str, removed: Bool[np.ndarray, "variants tokens"]
    ) -> Float[np.ndarray, "variants quantities"]:
        """Return each quantity of each variant, under one replacement.

        Args:
            replacement: One of ``replacements``.
            removed: The tokens that each variant lacks.

        Returns:
            Values ``(M, Q)``.
        """
        return self._ablations[replacement].values(removed)
