"""Run a method on texts: resolve the method, batch the texts, and record how the scores were computed."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, is_dataclass, replace
from functools import partial
from typing import Any, Literal, overload

import numpy as np
from jaxtyping import Bool

from model_understanding.attribution.choose import MethodChoice, candidate_methods
from model_understanding.attribution.isolation import Errors, isolated
from model_understanding.attribution.protocol import AttributionMethod, Scores
from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.model.batching import Batches, memory_cautions
from model_understanding.model.prefixes import read_in_one_pass
from model_understanding.passes.predicted_targets import MakeTarget, PredictedTargets
from model_understanding.passes.runner import Runner
from model_understanding.paths.baselines import baseline_cautions, recorded_baseline
from model_understanding.paths.integration import short_description
from model_understanding.perturbation.token_removal import replacement_cautions, resolved_replacement
from model_understanding.registry import METHODS, setting_of
from model_understanding.results import Attribution, Failure, Provenance, Target
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens

LARGE_GAP = 0.1
"""Share of the target's change: scores that miss more of it have a warning."""


@overload
def attribute(
    runner: Runner,
    choice: MethodChoice,
    encodings: Sequence[Encoding],
    targets: Sequence[Sequence[Target]] | MakeTarget,
    function: Callable[[Any], Any] | None = None,
    errors: Literal["raise"] = "raise",
) -> list[Attribution]: ...
@overload
def attribute(
    runner: Runner,
    choice: MethodChoice,
    encodings: Sequence[Encoding],
    targets: Sequence[Sequence[Target]] | MakeTarget,
    function: Callable[[Any], Any] | None,
    errors: Errors,
) -> list[Attribution | Failure]: ...
def attribute(
    runner: Runner,
    choice: MethodChoice,
    encodings: Sequence[Encoding],
    targets: Sequence[Sequence[Target]] | MakeTarget,
    function: Callable[[Any], Any] | None = None,
    errors: Errors = "raise",
) -> list[Attribution] | list[Attribution | Failure]:
    """Explain several texts; only texts of equal length share a batch, so that there is no padding.

    Args:
        runner: The runner.
        choice: The method, its name, or ``default`` or ``fast``; results name the resolved method.
        encodings: The texts.
        targets: The targets of each text, or a function that makes a target from a text's logits.
        function: The caller's function of the model's outputs, for custom targets.
        errors: ``"skip"`` returns a ``Failure`` for a text that cannot be explained; ``"raise"`` raises.

    Returns:
        One attribution per text, in their order.

    Raises:
        InputError: The runner is at a layer, and the method does not work for hidden states.
    """
    return list(attribute_each(runner, choice, encodings, targets, function, errors))


def attribute_each(
    runner: Runner,
    choice: MethodChoice,
    encodings: Sequence[Encoding],
    targets: Sequence[Sequence[Target]] | MakeTarget,
    function: Callable[[Any], Any] | None,
    errors: Errors,
) -> Iterator[Attribution | Failure]:
    """Explain several texts one after the other; a text is explained together with later ones of its length.

    Args:
        runner: The runner.
        choice: The method, as ``attribute`` takes it.
        encodings: The texts.
        targets: What is explained, likewise.
        function: The caller's function, likewise.
        errors: What happens to a text that cannot be explained, likewise.

    Yields:
        The attribution of each text, in their order.

    Raises:
        InputError: The runner is at a layer, and the method does not work for hidden states.
    """
    with runner.model.own_failures(encodings[0]) if encodings else nullcontext():
        methods = candidate_methods(choice, runner, targets)
    inputs = {"runner": runner, "encodings": encodings, "targets": targets, "function": function}
    explain = partial(_explained_by_first, methods=methods, **inputs)
    if len(methods) == 1:
        _check_layer(runner, methods[0])
        explain = partial(_explained, method=methods[0], parameters=_parameters(runner, methods[0]), **inputs)
    counts = None if callable(targets) else [len(row) for row in targets]
    group_of = {member: group for group in groups_of_equal_length(encodings, counts) for member in group}
    waiting: dict[int, Attribution | Failure] = {}
    for index in range(len(encodings)):
        if index not in waiting:
            group = group_of[index]
            waiting |= explain(group) if errors == "raise" else isolated(explain, group, errors)
        yield waiting.pop(index)


def _explained_by_first(
    group: Sequence[int], *, runner: Runner, methods: Sequence[AttributionMethod], **inputs: Any
) -> dict[int, Attribution]:
    """Explain texts by the first method that the model supports."""
    unavailable: list[str] = []
    for method in methods:
        try:
            return _explained(
                group,
                runner=runner,
                method=method,
                parameters=_parameters(runner, method),
                unavailable=unavailable,
                **inputs,
            )
        except UnsupportedModelError as error:
            if method is methods[-1]:
                raise
            unavailable.append(f"{method.name} is not available. {error.message}")
    raise AssertionError("unreachable")


def _explained(
    group: Sequence[int],
    *,
    runner: Runner,
    method: AttributionMethod,
    parameters: dict[str, Any],
    encodings: Sequence[Encoding],
    targets: Sequence[Sequence[Target]] | MakeTarget,
    function: Callable[[Any], Any] | None,
    unavailable: Sequence[str] = (),
) -> dict[int, Attribution]:
    """Explain texts of equal length with equally many targets, in batches that fit into memory."""
    results: dict[int, Attribution] = {}
    about_method = (*unavailable, *_method_cautions(runner, method))
    tokens = encodings[group[0]].ids.shape[1]
    with memory_cautions() as cautions:
        batches = Batches(len(group), tokens, runner.model.memory, gradients=True)
        for start, end in batches:
            with batches.halving():
                members = group[start:end]
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
                        provenance=runner.model.provenance(
                            _noting_one_pass(runner, encodings[member], rows[row]), seconds
                        ),
                        cautions=(*about_method, *cautions),
                    )
    return results


def _noting_one_pass(runner: Runner, encoding: Encoding, targets: Sequence[Target]) -> Encoding:
    """Return the text, with a warning where one pass over it stands for passes over its prefixes.

    The loss is that of one pass; so are the hidden states that enter a layer.
    """
    if any(target.quantity == "loss" for target in targets):
        return read_in_one_pass(runner.model, encoding, "The loss comes")
    if runner.layer is not None:
        return read_in_one_pass(runner.model, encoding, "The layer's hidden states come")
    return encoding


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
    """Return the attribution of one text of a batch, with all that is needed to reproduce it.

    Args:
        method: The method.
        scores: The method's scores for the batch.
        row: Row of the text in the batch.
        tokens: The text's tokens.
        targets: The targets that were explained.
        valid: Which tokens can contribute to which target.
        parameters: The method's parameters.
        provenance: Provenance of the model; the method's seed and warnings are added.
        cautions: Further warnings.
    """

    def part(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else values[row]

    attribution = Attribution(
        tokens=tokens,
        targets=targets,
        scores=scores.scores[row],
        valid=valid,
        signed=method.signed,
        outputs=scores.outputs[row],
        baseline_outputs=part(scores.baseline_outputs),
        gaps=part(scores.gaps),
        standard_errors=part(scores.standard_errors),
        sample_counts=part(scores.sample_counts),
        method=method.name,
        parameters=parameters,
        provenance=replace(
            provenance,
            seed=parameters.get("seed") if is_dataclass(method) else getattr(method, "seed", None),
            cautions=(
                *provenance.cautions,
                *(scores.cautions[row] if scores.cautions else ()),
                *cautions,
            ),
        ),
    )
    gap = _gap_caution(attribution)
    if not gap or (scores.cautions and scores.cautions[row]):  # the method's own says more
        return attribution
    source = attribution.provenance
    return replace(attribution, provenance=replace(source, cautions=(*source.cautions, gap)))


def _gap_caution(attribution: Attribution) -> str:
    """Return a warning if scores that should sum to the target's change miss much of it, else nothing."""
    gaps = attribution.relative_gaps()
    if gaps is None or attribution.baseline_outputs is None or not gaps.size or gaps.max() <= LARGE_GAP:
        return ""
    worst = int(gaps.argmax())
    change = float(attribution.outputs[worst] - attribution.baseline_outputs[worst])
    total = float(attribution.scores[worst].astype(np.float64).sum())
    name = short_description(attribution.targets[worst])
    if len(gaps) == 1:
        which = f" ({name})"
    else:
        which = f" for {int((gaps > LARGE_GAP).sum())} of {len(gaps)} targets (largest: {name})"
    method, parameters = attribution.method, attribution.parameters
    hint = ""
    if "max_nodes" in parameters:  # within the tolerance, else the method has a warning of its own
        hint = (
            f" Lower the tolerance: {setting_of(method, tolerance=min(0.01, parameters['tolerance'] / 10))}."
        )
    elif "samples" in parameters:
        hint = f" Increase samples: {setting_of(method, samples=4 * parameters['samples'])}."
    sums = f"the scores sum to {total:.3g}, but the target changes by {change:.3g}".replace("-", "−")
    return (
        f"Completeness gap of {100 * gaps[worst]:.1f} %{which}: {sums} from the baseline to the text.{hint}"
    )


def parameters_of(method: AttributionMethod) -> dict[str, Any]:
    """Return the parameters of a method."""
    return asdict(method) if is_dataclass(method) else {}  # pyright: ignore[reportArgumentType]


def _parameters(runner: Runner, method: AttributionMethod) -> dict[str, Any]:
    """Return a method's parameters, with ``default`` baselines and replacements resolved.

    A method with a function ``used_parameters`` of the runner says itself which of them matter.
    """
    used_parameters = getattr(method, "used_parameters", None)
    parameters = parameters_of(method) if used_parameters is None else used_parameters(runner)
    if "baseline" in parameters:
        parameters["baseline"] = recorded_baseline(runner, parameters["baseline"])
    if "replacement" in parameters:
        parameters["replacement"] = resolved_replacement(runner, parameters["replacement"])
    return parameters if runner.layer is None else {**parameters, "layer": runner.layer}


def _method_cautions(runner: Runner, method: AttributionMethod) -> tuple[str, ...]:
    """Return warnings about what a method puts in the place of tokens."""
    parameters = parameters_of(method)
    baseline, replacement = parameters.get("baseline"), parameters.get("replacement")
    return (
        *(() if baseline is None else baseline_cautions(runner, baseline)),
        *(() if replacement is None else replacement_cautions(runner, replacement)),
    )


def _check_layer(runner: Runner, method: AttributionMethod) -> None:
    """Raise if the runner is at a layer and the method does not work for hidden states."""
    if runner.layer is not None and not getattr(method, "takes_layer", False):
        names = [name for name in METHODS.names() if getattr(METHODS.load(name), "takes_layer", False)]
        raise InputError(
            f"The method {method.name!r} does not work for the hidden states of a layer.",
            hint=f"Leave out layer, or use one of {', '.join(names)}.",
        )


def groups_of_equal_length(
    encodings: Sequence[Encoding], target_counts: Sequence[int] | None = None
) -> list[list[int]]:
    """Group the texts that can share a batch: those of equal length with equally many targets.

    Args:
        encodings: The texts.
        target_counts: How many targets each has; one if left out.

    Returns:
        The indices of each group, in the order of their first texts.
    """
    counts = [1] * len(encodings) if target_counts is None else target_counts
    groups: dict[tuple[int, int | None, int], list[int]] = {}
    for index, (encoding, targets) in enumerate(zip(encodings, counts, strict=True)):
        groups.setdefault((encoding.ids.shape[1], encoding.source_length, targets), []).append(index)
    return list(groups.values())


def _valid(runner: Runner, targets: Sequence[Target], tokens: int) -> Bool[np.ndarray, "targets tokens"]:
    """Return which tokens can contribute: for a language model, those before the token predicted."""
    valid = np.ones((len(targets), tokens), dtype=bool)
    if runner.is_language_model:
        for row, target in enumerate(targets):
            if target.positions:
                valid[row, max(target.positions) + 1 :] = False
    return valid
