"""What is said when a model itself fails on a text."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from model_understanding.errors import InputError, ModelUnderstandingError, UnsupportedModelError
from model_understanding.model.batching import is_out_of_memory

_OF_THE_CODE = (TypeError, AttributeError, NameError, KeyError, ImportError, NotImplementedError)
"""What a module raises whatever the length of its input."""


@contextmanager
def translated_failures(name: str, tokens: int, dtype: torch.dtype, device: torch.device) -> Iterator[None]:
    """Translate what a module's forward raises into this package's errors.

    Errors of this package pass, and so do those of memory, after which smaller batches are tried.

    Args:
        name: The name of the module's class.
        tokens: Number of tokens of its input.
        dtype: The type of its weights.
        device: Where it runs.

    Raises:
        UnsupportedModelError: The device cannot compute in this type.
        InputError: The module fails on this input.
    """
    try:
        with translated_type_errors(name, dtype, device):
            yield
    except ModelUnderstandingError:
        raise
    except Exception as error:  # a module may raise anything
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            raise
        reason = f"{type(error).__name__}: {_first_line(error)}".rstrip(": ")
        if isinstance(error, _OF_THE_CODE):
            raise InputError(
                f"{name} fails when it is called: {reason}.",
                hint="Call the model on its own with the tokenizer's tensors, as model(**tokenizer(text, "
                "return_tensors='pt')), and fix its forward.",
            ) from error
        raise InputError(
            f"{name} fails on a text of {tokens} tokens: {reason}.",
            hint="If it can run texts of another length, pass a longer or a shorter one.",
        ) from error


@contextmanager
def translated_type_errors(name: str, dtype: torch.dtype, device: torch.device) -> Iterator[None]:
    """Translate torch's error for a type that the device does not support into this package's."""
    try:
        yield
    except RuntimeError as error:
        message = _first_line(error)
        if not any(words in message for words in ("not implemented for '", "Expected mat_a to be ")):
            raise
        raise UnsupportedModelError(
            f"{name} cannot run in {dtype} on {device}: {message}.",
            hint="Load the model with dtype='float32'.",
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
