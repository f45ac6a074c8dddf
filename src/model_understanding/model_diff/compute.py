"""Compute a ``ModelDiff``: each model reads the text once, one backward pass books what weights change."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model_understanding.checks import whole_number
from model_understanding.errors import InputError, NumericalError, UnsupportedModelError
from model_understanding.finite_backward.reading import Read, custom_reader, reader_of
from model_understanding.finite_backward.run import EMBEDDINGS, FiniteBackward, Recording, Side
from model_understanding.finite_backward.two_models import TwoModels
from model_understanding.loading.wrappers import virtual_tokens
from model_understanding.model.blocks import transformer_blocks
from model_understanding.model.embeddings import id_lookups
from model_understanding.model.guard import guarded
from model_understanding.model.lookups import tables_of
from model_understanding.model.metering import count_forward
from model_understanding.model.model import Model
from model_understanding.model_diff.pairs import REPORTS_HINT, PairedModules, paired_modules
from model_understanding.model_diff.placing import at_tokens
from model_understanding.model_diff.restoring import restoration_of
from model_understanding.model_diff.words import kind_of, layer_of
from model_understanding.passes.prefix_plan import prefixes_of
from model_understanding.passes.runner import Runner
from model_understanding.passes.target_values import CustomTarget, entries_of
from model_understanding.results import ModelDiff, ModuleChange, Target
from model_understanding.text.detokenization import token_text
from model_understanding.text.encoding import Encoding

LARGEST_GAP = 1e-3
"""A diff that leaves more of the difference unexplained is refused."""


@dataclass(frozen=True, eq=False)
class ModelPair:
    """Two models that are compared.

    Args:
        runner: The runner of the first model.
        other_runner: That of the other model.

    Raises:
        InputError: The models differ in task, dtype, device or the shape of their weights.
        UnsupportedModelError: They are encoder–decoders, or have soft prompts.
    """

    runner: Runner
    other_runner: Runner

    def __post_init__(self) -> None:
        _check_alike(self.model, self.other)

    @property
    def model(self) -> Model:
        """The first model."""
        return self.runner.model

    @property
    def other(self) -> Model:
        """The other model."""
        return self.other_runner.model

    @cached_property
    def modules(self) -> PairedModules:
        """Their modules, matched by name."""
        with self.guarded(gradients=False):
            return paired_modules(self.model, self.other)

    @cached_property
    def tables(self) -> str:
        """The name of what looks up the text's embeddings."""
        tables = tables_of(id_lookups(self.model))
        names = [name for name, module in self.modules.modules.items() if module in tables]
        return names[0] if names else "embeddings"

    @contextmanager
    def guarded(self, *, gradients: bool) -> Iterator[None]:
        """Let this thread alone run both models; see ``guarded``.

        Yields:
            Nothing.
        """
        with ExitStack() as stack:
            for each in (self.model, self.other):
                stack.enter_context(guarded(each.module, gradients=gradients))
            yield


class _Book:
    """Sums what is booked to each module, by token."""

    def __init__(self, modules: Mapping[str, nn.Module], tokens: int, first_logits: int) -> None:
        self._modules = modules
        self._tokens = tokens
        self._first_logits = first_logits
        self.values: dict[str, float] = {}
        self.sizes: dict[str, float] = {}
        """The total size of what was booked, whose parts cancel."""
        self.rows: dict[str, Tensor] = {}
        self.rounding = 0.0
        """What rounding alone may add to the sum."""

    def note(self, name: str, passed: Tensor) -> None:
        size = float(passed.abs().sum(dtype=torch.float64))
        self.sizes[name] = self.sizes.get(name, 0.0) + size
        self.rounding += 4 * torch.finfo(passed.dtype).eps * size
        self.values[name] = self.values.get(name, 0.0) + float(passed.sum(dtype=torch.float64))
        module = self._modules.get(name)
        weights = () if module is None else module._parameters.values()
        sizes = {size for weight in weights if weight is not None for size in weight.shape}
        row = at_tokens(passed, self._tokens, self._first_logits, kind_of(module), sizes)
        if row is not None:
            self.rows[name] = self.rows.get(name, 0) + row.cpu()


def model_diff(
    pair: ModelPair,
    text: Encoding,
    target: Target,
    function: CustomTarget | None = None,
    restore: int | None = None,
) -> ModelDiff:
    """Return how the difference between two models on a text is distributed over their weights.

    Args:
        pair: Both models.
        text: One text.
        target: What is explained.
        function: The caller's function of a model's outputs, where that is the target.
        restore: Of how many modules to measure what comes back if they are restored.

    Raises:
        InputError: ``restore`` is not a whole number of at least 1, or the models have different
            numbers of layers.
        UnsupportedModelError: The models cannot be compared exactly.
        NumericalError: What is booked does not sum to the difference.
    """
    started = time.perf_counter()
    restore = None if restore is None else whole_number(restore, "restore")
    model, other, count = pair.model, pair.other, text.ids.shape[1]
    length, read, first = question_of(model, text, target, function)
    prefix = text.prefix(length)
    book = _Book(pair.modules.modules, length, first if model.is_language_model else 0)
    two = TwoModels(pair.modules.owners, pair.modules.units, book.note)
    answers: list[int] = []
    scale = 0.0

    def read_and_note(logits: Tensor, outputs: Any) -> Tensor:
        nonlocal scale
        scale = max(scale, float(logits.detach().abs().max()))
        answers.append(int(logits[0, -1].argmax()))
        return read(logits, outputs)

    try:
        with pair.guarded(gradients=True):
            recording = Recording(model, Side(prefix), read_and_note, keep_from=first, two=two)
            result = recording.compared(Side(prefix, model=other), summed=lambda _, passed: passed)
    except UnsupportedModelError:
        _refuse_other_layers(pair)
        raise
    if result.cuts[EMBEDDINGS].any():
        book.note(pair.tables, result.cuts[EMBEDDINGS])
    gap = _checked_gap(pair, result, book, scale)
    changed = [name for name in book.values if book.sizes[name]]
    names = [name for name in pair.modules.modules if name in changed]
    names += [name for name in changed if name not in pair.modules.modules]
    rows = [book.rows.get(name, torch.zeros(length, dtype=torch.float64)) for name in names]
    matrix = np.zeros((len(names), count))
    if rows:
        matrix[:, :length] = torch.stack(rows).numpy()
    diff = ModelDiff(
        tokens=text.tokens[0],
        target=target,
        value=float(result.reference[0]),
        other_value=float(result.text[0]),
        modules=tuple(
            ModuleChange(
                name=name,
                kind=kind_of(pair.modules.modules.get(name)),
                layer=layer_of(model, pair.modules.modules.get(name)),
                value=book.values[name],
            )
            for name in names
        ),
        at_tokens=matrix,
        gap=gap,
        unchanged=pair.modules.unchanged,
        answers=_answers(pair, answers),
        corrections=result.corrections,
        other=other.loaded.provenance,
    )
    if restore is not None and diff.modules:
        with pair.guarded(gradients=False):
            restored = restoration_of(
                diff, restore, other.module, pair.modules, lambda: _value(other, prefix, first, read)
            )
        diff = replace(diff, restored=restored)
    provenance = model.provenance(text, time.perf_counter() - started)
    return replace(diff, provenance=provenance.with_cautions(_cautions(pair, result)))


def _value(model: Model, text: Encoding, first: int, read: Read) -> float:
    outputs = model.forward(text, first)
    value = float(read(model.logits_of(outputs, text, first), outputs)[0])
    count_forward(text.ids.numel())
    return value


def question_of(
    model: Model, text: Encoding, target: Target, function: CustomTarget | None
) -> tuple[int, Read, int]:
    """Return how many tokens of a text a target needs, what reads it, and the first logits it is read from.

    Raises:
        UnsupportedModelError: It needs several forward passes.
    """
    if function is not None:
        return text.ids.shape[1], custom_reader(function), 0
    groups = prefixes_of(model, text, entries_of([[target]]), gradients=False)
    if len(groups) > 1:
        raise UnsupportedModelError(
            f"{model.name} needs a forward pass for each of the {len(groups)} tokens of the target; a diff "
            "is of one forward pass of each model.",
            hint="Pass a target that is a single token, such as target='next'.",
        )
    ((length, entries),) = groups
    first = min(entry.position for entry in entries)
    return length, reader_of(model, target, entries, first), first


def _check_alike(model: Model, other: Model) -> None:
    if model.task != other.task:
        raise InputError(
            f"The models are of different kinds: {model.task} and {other.task}.",
            hint="Compare two models of one kind.",
        )
    for each in (model, other):
        if getattr(each.config, "is_encoder_decoder", False):
            raise UnsupportedModelError(
                f"{each.name} is an encoder–decoder; a diff is of models with one stack.",
                hint=REPORTS_HINT,
            )
        if virtual_tokens(each.module):
            raise UnsupportedModelError(
                f"{each.name} has a soft prompt (prompt or prefix tuning), which adds positions to the text.",
                hint="Compare adapters that change weights, such as LoRA.",
            )
    for what, first, second, hint in (
        (
            "dtypes",
            model.dtype,
            other.dtype,
            "Load both with dtype='float32' (--dtype float32); weights keep their values.",
        ),
        ("devices", model.device, other.device, "Load both on one device."),
    ):
        if first != second:
            raise InputError(
                f"The models have different {what}: {first} and {second}.",
                hint=hint,
            )


def _refuse_other_layers(pair: ModelPair) -> None:
    """Raise InputError if two models, whose runs do not pair, have different numbers of layers."""
    try:
        first, second = (len(transformer_blocks(each)) for each in (pair.model, pair.other))
    except UnsupportedModelError:
        return
    if first != second:
        raise InputError(f"The models have {first} and {second} layers.", hint=REPORTS_HINT)


def _checked_gap(pair: ModelPair, result: FiniteBackward, book: _Book, scale: float) -> float:
    """Return what the sum leaves unexplained, as a share; raise where that is more than rounding.

    Args:
        pair: Both models.
        result: Both runs.
        book: What was booked.
        scale: The size of the logits, whose rounding the difference has.
    """
    difference, values = float(result.difference[0]), list(book.values.values())
    missing = abs(sum(values) - difference)
    size = max(abs(difference), sum(map(abs, values)))
    gap = missing / size if size else 0.0
    precision = torch.finfo(pair.model.dtype if pair.model.dtype == torch.float64 else torch.float32).eps
    rounded = 16 * precision * scale + book.rounding
    if gap > LARGEST_GAP and missing > rounded:
        raise NumericalError(
            f"What the modules' weights change sums to {sum(values):.6g}, and the difference is "
            f"{difference:.6g}.",
            hint=f"Load both models with dtype='float32' (--dtype float32); they have {pair.model.dtype}."
            if pair.model.dtype not in (torch.float32, torch.float64)
            else REPORTS_HINT,
        )
    return gap


def _answers(pair: ModelPair, answers: list[int]) -> tuple[str, str] | None:
    if len(answers) != 2 or not (pair.model.is_language_model or pair.model.class_count(0) > 1):
        return None  # a single logit has no answer by its size alone
    # Both in the first model's names: the models may call one class differently.
    return answer_name(pair.model, answers[0]), answer_name(pair.model, answers[1])


def answer_name(model: Model, index: int) -> str:
    """Return the name of a model's answer: of a class, or of the next token."""
    if model.is_language_model:
        return token_text(model.tokenizer, index)
    return str(getattr(model.config, "id2label", {}).get(index, index))


def _cautions(pair: ModelPair, result: FiniteBackward) -> Iterator[str]:
    for caution in pair.other.loaded.provenance.cautions:
        yield f"{pair.other.name}: {caution}"
    share = result.corrections.get("routing", 0.0)
    if share >= 0.01:
        yield (
            f"The models route tokens to other experts: {100 * share:.0f} % of the difference passes the "
            "routers by a correction, not by an exact rule. The sum is exact; its distribution is less "
            "certain."
        )
    if not pair.model.is_language_model:
        names = [getattr(each.config, "id2label", None) for each in (pair.model, pair.other)]
        if names[0] != names[1]:
            yield (
                "The models name their classes differently. Classes are compared by their numbers; they have "
                "the names of the first model."
            )
