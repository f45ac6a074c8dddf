"""From a method and targets to attributions: choose the method, batch the texts, record everything."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, is_dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool

from model_understanding.attribution.choose import MethodChoice, chosen_method
from model_understanding.attribution.protocol import AttributionMethod, Scores
from model_understanding.errors import InputError
from model_understanding.model.batching import Batches, memory_cautions
from model_understanding.passes.predicted_targets import MakeTarget, PredictedTargets
from model_understanding.passes.runner import Runner
from model_understanding.paths.baselines import recorded_baseline
from model_understanding.perturbation.token_removal import resolved_replacement
from model_understanding.registry import METHODS
from model_understanding.results import Attribution, Provenance, Target
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens


def attribute(
    runner: Runner,
    choice: MethodChoice,
    encodings: Sequence[Encoding],
    targets: Sequence[Sequence[Target]] | MakeTarget,
    function: Callable[[Any], Any] | None = None,
) -> list[Attribution]:
    """Explain several texts; texts of one length share a batch, so no padding ever enters.

    Args:
        runner: The runner.
        choice: The method, or what stands for one: the results name the method itself.
        encodings: The texts.
        targets: The targets of each text; or what makes a target of a class or token, for the likeliest.
        function: The caller's own function of the model's outputs, where that is the target.

    Returns:
        One attribution for each text, in their order.

    Raises:
        InputError: The runner is at a layer, and the method scores no hidden states.
    """
    method = chosen_method(choice, runner, targets)
    _check_layer(runner, method)
    parameters = _parameters(runner, method)
    results: dict[int, Attribution] = {}
    counts = [1] * len(encodings) if callable(targets) else [len(row) for row in targets]
    for alike in _groups(encodings, counts):
        tokens = encodings[alike[0]].ids.shape[1]
        with memory_cautions() as cautions:
            batches = Batches(len(alike), tokens, runner.model.memory, gradients=True)
            for start, end in batches:
                with batches.halving():
                    members = alike[start:end]
                    started = time.perf_counter()
                    batch = runner.model.batch([encodings[member] for member in members])
                    if callable(targets):
                        rows = PredictedTargets(runner.model, batch, targets)
                    else:
                        rows = [targets[member] for member in members]
                    scores = method(runner, batch, function or rows)
                    seconds = (time.perf_counter() - started) / len(members)
                    for row, member in enumerate(members):
                        results[member] = attribution_of(
                            method,
                            scores,
                            row,
                            tokens=encodings[member].tokens[0],
                            targets=tuple(rows[row]),
                            valid=_valid(runner, rows[row], tokens),
                            parameters=parameters,
                            provenance=replace(runner.model.loaded.provenance, seconds=seconds),
                            cautions=cautions,
                        )
    return [results[member] for member in range(len(encodings))]


def attribution_of(
    method: AttributionMethod,
    scores: Scores,
    row: int,
    *,
    tokens: Tokens,
    targets: tuple[Target, ...],
    valid: Bool[np.ndarray, "targets tokens"],
    parameters: dict[str, Any],
    provenance: Provenance,
    cautions: Sequence[str] = (),
) -> Attribution:
    """Return what a method found for one text of a batch, with what it takes to make it again.

    Args:
        method: The method.
        scores: What it found.
        row: Which of the batch's texts.
        tokens: That text's tokens.
        targets: What was explained.
        valid: Which tokens can contribute to which target.
        parameters: The method's parameters.
        provenance: Where the values come from; the method's seed and cautions are put in.
        cautions: What a reader must know besides.
    """

    def part(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else values[row]

    return Attribution(
        tokens=tokens,
        targets=targets,
        scores=scores.scores[row],
        valid=valid,
        signed=method.signed,
        outputs=scores.outputs[row],
        baseline_outputs=part(scores.baseline_outputs),
        gaps=part(scores.gaps),
        standard_errors=part(scores.standard_errors),
        method=method.name,
        parameters=parameters,
        provenance=replace(
            provenance,
            seed=getattr(method, "seed", None),
            cautions=(
                *provenance.cautions,
                *(scores.cautions[row] if scores.cautions else ()),
                *cautions,
            ),
        ),
    )


def parameters_of(method: AttributionMethod) -> dict[str, Any]:
    """Return a method's parameters as it was given them."""
    return asdict(method) if is_dataclass(method) else {}  # pyright: ignore[reportArgumentType]


def _parameters(runner: Runner, method: AttributionMethod) -> dict[str, Any]:
    """Return a method's parameters with what ``default`` stood for, so that a result names its baseline."""
    parameters = parameters_of(method)
    if "baseline" in parameters:
        parameters["baseline"] = recorded_baseline(runner, parameters["baseline"])
    if "replacement" in parameters:
        parameters["replacement"] = resolved_replacement(runner, parameters["replacement"])
    return parameters if runner.layer is None else {**parameters, "layer": runner.layer}


def _check_layer(runner: Runner, method: AttributionMethod) -> None:
    """Refuse methods that do not say they score hidden states, where a layer is asked for."""
    if runner.layer is not None and not getattr(method, "takes_layer", False):
        names = [name for name in METHODS.names() if getattr(METHODS.load(name), "takes_layer", False)]
        raise InputError(
            f"The method {method.name!r} does not score the hidden states of a layer.",
            hint=f"Leave layer out, or use a gradient method: {', '.join(names)}.",
        )


def _groups(encodings: Sequence[Encoding], target_counts: Sequence[int]) -> list[list[int]]:
    """Group texts that can share a batch: as long as each other, with as many targets."""
    alike: dict[tuple[int, int], list[int]] = {}
    for number, encoding in enumerate(encodings):
        alike.setdefault((encoding.ids.shape[1], target_counts[number]), []).append(number)
    return [members for _, members in sorted(alike.items())]


def _valid(runner: Runner, targets: Sequence[Target], tokens: int) -> Bool[np.ndarray, "targets tokens"]:
    """Return which tokens can contribute: for a language model, those before the token predicted."""
    valid = np.ones((len(targets), tokens), dtype=bool)
    if runner.is_language_model:
        for row, target in enumerate(targets):
            if target.positions:
                valid[row, max(target.positions) + 1 :] = False
    return valid
