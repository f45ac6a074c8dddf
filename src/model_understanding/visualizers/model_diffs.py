"""Two models on one text, whichever kind of model they are."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from model_understanding.attribution.isolation import Errors, attempted, skips
from model_understanding.errors import InputError, ModelUnderstandingError
from model_understanding.loading import LoadingOptions, detect_task
from model_understanding.model_diff.adapters import is_adapter, with_adapter
from model_understanding.model_diff.compute import ModelPair, model_diff
from model_understanding.results import Failure, ModelDiff, ModelDiffSummary, Target
from model_understanding.targets.names import CAUSAL_LM, SEQUENCE_CLASSIFICATION
from model_understanding.text.encoding import Encoding
from model_understanding.visualizers.base import Visualizer

VisualizerT = TypeVar("VisualizerT", bound=Visualizer)


def other_visualizer(visualizer: VisualizerT, other: Any) -> VisualizerT:
    """Return the visualizer of a model that is compared with a visualizer's.

    Args:
        visualizer: The visualizer of the first model.
        other: A visualizer of the same kind, a loaded model, or the name or folder to load one from, on the
            same device and in the same dtype.

    Raises:
        InputError: It is something else, or a visualizer of another kind.
        LoadingError: The model cannot be loaded.
    """
    kind = type(visualizer)
    if isinstance(other, kind):
        return other
    if isinstance(other, Visualizer):
        _require_kind(visualizer.task, other.task)
    if isinstance(other, nn.Module):
        return kind(model=other, tokenizer=visualizer.tokenizer)
    if isinstance(other, str | Path):
        return _loaded(visualizer, str(other))
    raise InputError(
        f"Cannot compare with an object of type {type(other).__name__}.",
        hint="Pass a model, the name or folder of one, or a visualizer.",
    )


def _loaded(visualizer: VisualizerT, name: str) -> VisualizerT:
    """Load a model as a visualizer's own was, on its device and in its dtype."""
    model = visualizer.runner.model
    known = visualizer.loaded_from[2] if visualizer.loaded_from is not None else LoadingOptions()
    options: dict[str, Any] = {
        "device": str(model.device),
        "dtype": str(model.dtype).removeprefix("torch."),
        "token": known.token,
        "trust_remote_code": known.trust_remote_code,
        "allow_pickle": known.allow_pickle,
    }
    kind = type(visualizer)
    if is_adapter(name):
        adapted = with_adapter(model.loaded.model, name, allow_pickle=known.allow_pickle)
        other = kind(model=adapted, tokenizer=visualizer.tokenizer)
        return _named(other, name)
    if _has_no_tokenizer(name):
        options["tokenizer"] = visualizer.tokenizer
    try:
        task = detect_task(name, known)
    except ModelUnderstandingError:
        task = ""  # it names no head; loading it says what is wrong
    if task in (SEQUENCE_CLASSIFICATION, CAUSAL_LM):
        _require_kind(visualizer.task, task)  # a language model would load as a classifier with a random head
    return kind(name, **options)


def _require_kind(task: str, other: str) -> None:
    if other != task:
        raise InputError(
            f"The models are of different kinds: {task} and {other}.", hint="Compare two models of one kind."
        )


def _named(visualizer: VisualizerT, name: str) -> VisualizerT:
    """Let a visualizer's results name a folder as the origin of its model."""
    loaded = visualizer.runner.model.loaded
    provenance = replace(loaded.provenance, model=Path(name).expanduser().resolve().name, is_local=True)
    visualizer.runner.model.loaded = replace(loaded, provenance=provenance)
    return visualizer


def _has_no_tokenizer(name: str) -> bool:
    """Return whether a folder has no tokenizer of its own, as that of an adapter may not."""
    folder = Path(name).expanduser()
    return folder.is_dir() and not any(folder.glob("tokenizer*")) and not any(folder.glob("vocab*"))


def computed_model_diff(
    pair: ModelPair,
    text: Encoding,
    other_text: Encoding,
    targets: Sequence[Target],
    function: Callable[[Any], Any] | None,
    restore: int | None,
) -> ModelDiff:
    """Return how the difference between two models on a text is distributed over their weights.

    Args:
        pair: Both models.
        text: The text as the first model reads it.
        other_text: The text as the other model reads it.
        targets: What is explained: one target.
        function: The caller's function of a model's outputs, where that is the target.
        restore: Of how many modules to measure what comes back if they are restored.

    Raises:
        InputError: There are several targets, or the models read the text as different tokens.
    """
    if len(targets) != 1:
        raise InputError(
            f"A diff explains one target. Got {len(targets)}.", hint="Pass one target at a time."
        )
    require_same_tokens(text, other_text)
    return model_diff(pair, text, targets[0], function, restore)


def summarized_model_diffs(
    diff_of: Callable[[Any], ModelDiff],
    texts: Iterable[Any],
    errors: Errors,
    each: Callable[[ModelDiff | Failure], None] | None,
) -> ModelDiffSummary:
    """Return the summary of the diffs of texts, of which none is kept.

    Args:
        diff_of: Returns the diff of a text.
        texts: The texts.
        errors: ``"raise"``, or ``"skip"`` texts that cannot be compared.
        each: Called with the diff of each text, or its failure.

    Raises:
        InputError: There is no text, or none could be compared.
    """
    texts = list(texts)
    if not texts:
        raise InputError("There is no text to compare the models on.", hint="Pass at least one text.")
    may_skip, failed = skips(errors), list[Failure]()

    def diffs() -> Iterator[ModelDiff | Failure]:
        for index, text in enumerate(texts):
            result = attempted(partial(diff_of, text), errors, index, len(texts))
            if each is not None:
                each(result)
            if isinstance(result, Failure):
                failed.append(result)
            if may_skip and len(failed) == len(texts):
                message = (
                    f"None of the {len(texts)} texts could be compared. The first one: {failed[0].message}"
                )
                raise InputError(message, hint=failed[0].hint or "Compare the models on one text.")
            yield result

    return ModelDiffSummary.of(diffs())


def require_same_tokens(text: Encoding, other: Encoding) -> None:
    """Raise InputError unless both models read a text as the same tokens."""
    if text.inputs.keys() == other.inputs.keys() and all(
        values.shape == other.inputs[name].shape and torch.equal(values, other.inputs[name])
        for name, values in text.inputs.items()
    ):
        return
    counts = [each.ids.shape[1] for each in (text, other)]
    pieces = [each.tokens[0].pieces for each in (text, other)]
    differing = next((pair for pair in zip(*pieces, strict=False) if pair[0] != pair[1]), None)
    where = f"; first “{differing[0]}” and “{differing[1]}”" if differing is not None else ""
    raise InputError(
        f"The models read this text as different tokens: {counts[0]} and {counts[1]} of them{where}.",
        hint="Compare models that share a tokenizer. For others, save a report of each and compare those.",
    )
