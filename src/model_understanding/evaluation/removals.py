"""What evaluations read from a model: quantities of one target on variants of a text, under replacements.

Every variant is a row of removed tokens; each distinct one is run once for each replacement, however many
metrics and methods ask for it.
"""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.passes.runner import CustomTarget, Runner
from model_understanding.perturbation.token_removal import Ablations
from model_understanding.results import Target
from model_understanding.text.encoding import Encoding

Measures = dict[str, Target | CustomTarget]
"""Quantities by name; the first is the one that decides."""
CLASSIFIER_REPLACEMENTS = ("mask", "attention", "mean", "pad")
LANGUAGE_MODEL_REPLACEMENTS = ("pad", "mask", "mean")
_MOST_REPLACEMENTS = 2


def measures_of(
    runner: Runner, encoding: Encoding, target: Target, function: CustomTarget | None
) -> Measures:
    """Return the quantities by which an explanation of a target is judged.

    A classifier's are the logit margin to the strongest other class and the probability; a model of
    several labels has its logit for the margin, a regression only its value. A language model's is the
    log-probability of what is explained, for the loss as well.

    Args:
        runner: The runner.
        encoding: The text.
        target: What the attribution explains.
        function: The caller's function, for a custom target.

    Returns:
        Quantities by name.

    Raises:
        InputError: The target is a function of the caller's, and it is not given.
    """
    if target.quantity == "custom":
        if function is None:
            raise InputError(
                f"Cannot evaluate {target.description()!r}: results do not store functions.",
                hint="Pass the function as target=, or explain a class, a token or the loss.",
            )
        return {"custom": function}
    if runner.is_language_model:
        return {"log-probability": replace(target, quantity="log_prob", name=None)}
    logit = replace(target, quantity="logit")
    if runner.model.output_activation == "identity":
        return {"value": logit}
    probability = replace(target, quantity="prob")
    if target.against:
        return {"logit margin": logit, "probability": probability}
    if runner.model.output_activation == "sigmoid":
        return {"logit": logit, "probability": probability}
    against = _strongest_other(runner, encoding, target.indices[0])
    return {"logit margin": replace(logit, against=(against,)), "probability": probability}


def _strongest_other(runner: Runner, encoding: Encoding, index: int) -> int:
    """Return the likeliest class but one; of two classes it is known without a forward."""
    if runner.model.config.num_labels == 2:
        return 1 - index
    logits = runner.model.logits(encoding)[0, 0].float().cpu().numpy().copy()
    logits[index] = -np.inf
    return int(logits.argmax())


class Removals:
    """One text and quantities of it, under each replacement that keeps the model near what it knows.

    The first two that the model can take are used: for a classifier of the mask token, hiding by the
    attention mask, the mean embedding and padding; for a language model of padding, the mask token and
    the mean embedding.

    Args:
        runner: The runner.
        encoding: One text, without padding.
        measures: The quantities, the deciding one first.
        replacements: Replacements to use instead.
    """

    def __init__(
        self,
        runner: Runner,
        encoding: Encoding,
        measures: Measures,
        replacements: Sequence[str] | None = None,
    ) -> None:
        self.runner = runner.at_layer(None)
        self.encoding = encoding
        self.measures = measures
        self.tokens = encoding.tokens[0]
        chosen = replacements or (
            LANGUAGE_MODEL_REPLACEMENTS if runner.is_language_model else CLASSIFIER_REPLACEMENTS
        )
        asked: Any = [*measures.values()]  # a function of the caller's stands alone
        targets = asked[0] if callable(asked[0]) else asked
        self.worked_out: dict[Hashable, Any] = {}
        """What a metric has found of this text and keeps for the other attributions of it."""
        self._texts: dict[str, Ablations] = {}
        for name in chosen:
            if replacements is None and len(self._texts) == _MOST_REPLACEMENTS:
                break
            try:
                self._texts[name] = Ablations(self.runner, encoding, targets, name)
            except (InputError, UnsupportedModelError):
                if replacements is not None:
                    raise

    @property
    def replacements(self) -> tuple[str, ...]:
        """The replacements in use."""
        return tuple(self._texts)

    @property
    def quantities(self) -> tuple[str, ...]:
        """The quantities' names."""
        return tuple(self.measures)

    @property
    def variants(self) -> int:
        """How many variants have been run, all replacements together."""
        return sum(text.runs for text in self._texts.values())

    def values(
        self, removed: Bool[np.ndarray, "variants tokens"]
    ) -> Float[np.ndarray, "replacements variants quantities"]:
        """Return each quantity on each variant, under each replacement.

        Args:
            removed: Which tokens each variant lacks.

        Returns:
            Values ``(R, M, Q)``.
        """
        return np.stack([self.values_under(name, removed) for name in self._texts])

    def values_under(
        self, replacement: str, removed: Bool[np.ndarray, "variants tokens"]
    ) -> Float[np.ndarray, "variants quantities"]:
        """Return each quantity on each variant, under one replacement.

        Args:
            replacement: One of ``replacements``.
            removed: Which tokens each variant lacks.

        Returns:
            Values ``(M, Q)``.
        """
        return self._texts[replacement].values(removed)
