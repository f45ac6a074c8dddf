"""``visualizer``: the class that explains a model, by the task that it was made for."""

from pathlib import Path
from typing import Any, Literal, overload

import torch

from model_understanding.errors import InputError
from model_understanding.loading import LoadingOptions, detect_task
from model_understanding.loading.supported import task_of_module
from model_understanding.loading.wrappers import unwrapped
from model_understanding.targets.names import (
    CAUSAL_LM,
    KINDS,
    MASKED_LM,
    MULTIPLE_CHOICE,
    QUESTION_ANSWERING,
    RERANKING,
    SEQ2SEQ_LM,
    SEQUENCE_CLASSIFICATION,
    SIMILARITY,
    TASK_OF_PIPELINE,
    TOKEN_CLASSIFICATION,
    ZERO_SHOT_CLASSIFICATION,
)
from model_understanding.visualizers.base import Visualizer
from model_understanding.visualizers.classifier import ModelVisualizer
from model_understanding.visualizers.language_model import GenerativeModelVisualizer
from model_understanding.visualizers.masked_lm import MaskedLMVisualizer
from model_understanding.visualizers.multiple_choice import MultipleChoiceVisualizer
from model_understanding.visualizers.question_answering import QuestionAnsweringVisualizer
from model_understanding.visualizers.reranker import RerankerVisualizer
from model_understanding.visualizers.seq2seq import Seq2SeqVisualizer
from model_understanding.visualizers.similarity import SimilarityVisualizer
from model_understanding.visualizers.token_classification import TokenClassificationVisualizer
from model_understanding.visualizers.zero_shot import ZeroShotClassificationVisualizer

_CLASSES: dict[str, type[Visualizer]] = {
    SEQUENCE_CLASSIFICATION: ModelVisualizer,
    CAUSAL_LM: GenerativeModelVisualizer,
    TOKEN_CLASSIFICATION: TokenClassificationVisualizer,
    QUESTION_ANSWERING: QuestionAnsweringVisualizer,
    MASKED_LM: MaskedLMVisualizer,
    SEQ2SEQ_LM: Seq2SeqVisualizer,
    MULTIPLE_CHOICE: MultipleChoiceVisualizer,
    SIMILARITY: SimilarityVisualizer,
    ZERO_SHOT_CLASSIFICATION: ZeroShotClassificationVisualizer,
    RERANKING: RerankerVisualizer,
}


@overload
def visualizer(
    name_or_model: Any = None,
    *,
    task: Literal["sequence-classification", "text-classification"],
    **options: Any,
) -> ModelVisualizer: ...
@overload
def visualizer(
    name_or_model: Any = None, *, task: Literal["causal-lm", "text-generation"], **options: Any
) -> GenerativeModelVisualizer: ...
@overload
def visualizer(
    name_or_model: Any = None, *, task: Literal["token-classification", "ner"], **options: Any
) -> TokenClassificationVisualizer: ...
@overload
def visualizer(
    name_or_model: Any = None, *, task: Literal["question-answering"], **options: Any
) -> QuestionAnsweringVisualizer: ...
@overload
def visualizer(
    name_or_model: Any = None, *, task: Literal["masked-lm", "fill-mask"], **options: Any
) -> MaskedLMVisualizer: ...
@overload
def visualizer(
    name_or_model: Any = None, *, task: Literal["seq2seq-lm"], **options: Any
) -> Seq2SeqVisualizer: ...
@overload
def visualizer(
    name_or_model: Any = None, *, task: Literal["multiple-choice"], **options: Any
) -> MultipleChoiceVisualizer: ...
@overload
def visualizer(
    name_or_model: Any = None, *, task: Literal["sentence-similarity", "feature-extraction"], **options: Any
) -> SimilarityVisualizer: ...
@overload
def visualizer(
    name_or_model: Any = None, *, task: Literal["zero-shot-classification"], **options: Any
) -> ZeroShotClassificationVisualizer: ...
@overload
def visualizer(
    name_or_model: Any = None, *, task: Literal["reranking", "text-ranking"], **options: Any
) -> RerankerVisualizer: ...
@overload
def visualizer(name_or_model: Any = None, *, task: str | None = None, **options: Any) -> Visualizer: ...
def visualizer(name_or_model: Any = None, *, task: str | None = None, **options: Any) -> Visualizer:
    """Return the visualizer of a model, whatever kind of model it is.

    Args:
        name_or_model: A hub id, a folder, ``demo:…``, a ``.gguf`` file, a model or a ``transformers``
            pipeline.
        task: What to explain it as, for example ``token-classification``. If left out: the task of the
            pipeline; else that of the model's class, which its config names; the similarity of texts for a
            folder of sentence-transformers, and where ``pooling`` is given.
        **options: As the class takes them: ``model``, ``tokenizer``, ``device`` and more.

    Returns:
        A ``ModelVisualizer``, a ``GenerativeModelVisualizer``, a ``TokenClassificationVisualizer`` and so on.

    Raises:
        InputError: There is no such task, the model does not say which it has, or none of its tasks is
            supported.
        LoadingError: The model cannot be loaded.
        UnsafeModelError: Loading it would run code that was not allowed.

    >>> visualizer("demo:sentiment")
    ModelVisualizer('demo:sentiment')
    """
    given = options.get("model") if name_or_model is None else name_or_model
    if task is None and options.get("pooling") is not None:
        task = SIMILARITY
    if task is None and given is not None:
        task = _detected(given, options)
    return class_of(SEQUENCE_CLASSIFICATION if task is None else task)(name_or_model, **options)


def class_of(task: str) -> type[Visualizer]:
    """Return the class that explains models of a task.

    Args:
        task: Its name, or the name of a transformers pipeline.

    Raises:
        InputError: There is no such task.

    >>> class_of("fill-mask").__name__
    'MaskedLMVisualizer'
    """
    kind = task_named(task) if isinstance(task, str) else None  # pyright: ignore[reportUnnecessaryIsInstance]
    if kind is None:
        raise InputError(f"The task {task!r} is not supported.", hint=f"Supported tasks: {', '.join(KINDS)}.")
    return _CLASSES[kind]


def task_of(visualizer: Visualizer) -> str:
    """Return the task that a visualizer's class is for, as ``class_of`` takes it."""
    return next(task for task, kind in _CLASSES.items() if type(visualizer) is kind)


def task_named(name: str) -> str | None:
    """Return our name of a task that a caller or a pipeline names; ``None`` for an unknown one.

    >>> task_named("translation_en_to_de"), task_named("image-classification")
    ('seq2seq-lm', None)
    """
    return name if name in KINDS else TASK_OF_PIPELINE.get(name.partition("_")[0])


def _detected(given: Any, options: dict[str, Any]) -> str:
    """Return the task of a model that is given by name, as a module or in a pipeline."""
    if isinstance(given, str | Path):
        loading = {name: options[name] for name in LoadingOptions.__slots__ if name in options}
        return detect_task(str(given), LoadingOptions(**loading))
    pipeline_task = None if isinstance(given, torch.nn.Module) else getattr(given, "task", None)
    if isinstance(pipeline_task, str):
        return pipeline_task
    module = given if isinstance(given, torch.nn.Module) else getattr(given, "model", None)
    if not isinstance(module, torch.nn.Module):
        return SEQUENCE_CLASSIFICATION  # which says what it takes instead
    return task_of_module(unwrapped(module))
