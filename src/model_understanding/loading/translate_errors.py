"""Translate what transformers and the hub raise while loading into this package's errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_understanding.errors import LoadingError, ModelUnderstandingError, UnsafeModelError


@contextmanager
def translate_errors(checkpoint: str, gguf_file: str | None = None) -> Iterator[None]:
    """Turn any exception raised inside into an error that names the checkpoint and says what to do.

    Args:
        checkpoint: The hub id or folder that is loaded.
        gguf_file: The ``.gguf`` file in the folder, if the checkpoint is one.

    Raises:
        LoadingError: It cannot be loaded.
        UnsafeModelError: It would have run code.
    """
    try:
        yield
    except ModelUnderstandingError:
        raise
    except Exception as error:  # transformers, the hub and the file readers raise exceptions of any type
        raise _translated(checkpoint, gguf_file, error) from error


def _translated(checkpoint: str, gguf_file: str | None, error: Exception) -> LoadingError:
    text = " ".join(str(error).split())
    first_sentence = text.split(". ")[0][:300].rstrip(".")
    if gguf_file is not None:
        return LoadingError(
            f"Cannot load {str(Path(checkpoint) / gguf_file)!r}: {first_sentence}.",
            hint="Download it again if it is cut short or damaged, or pass the folder of a model that "
            "transformers saved.",
        )
    if "trust_remote_code" in text:
        return UnsafeModelError(
            f"Loading {checkpoint!r} would run code that comes with it.",
            hint="Read that code; if you trust it, pass trust_remote_code=True (--trust-remote-code) and a "
            "revision.",
        )
    if "is not a local folder and is not a valid model identifier" in text:
        return LoadingError(
            f"{checkpoint!r} is neither a folder nor a model on the Hugging Face Hub.",
            hint="Check the name; for a private model pass token=… or set HF_TOKEN.",
        )
    if "couldn't connect" in text:
        return LoadingError(
            f"{checkpoint!r} is neither a folder nor in the cache, and the Hugging Face Hub cannot be "
            "reached.",
            hint="Check the name and the network connection, or pass a folder.",
        )
    if "ignore_mismatched_sizes" in text:
        return LoadingError(
            f"The weights of {checkpoint!r} do not have the shapes its config.json describes.",
            hint="Load it for the task it was saved for, or fix its config.json.",
        )
    if "safetensors" in text and isinstance(error, OSError):
        return UnsafeModelError(
            f"{checkpoint!r} has no weights in safetensors format: {first_sentence}.",
            hint="Convert it, or pass allow_pickle=True (--allow-pickle) if you trust its pickle.",
        )
    if "weights_only" in text or type(error).__name__ == "UnpicklingError":
        return UnsafeModelError(
            f"The pickle of {checkpoint!r} contains more than weights.", hint="Do not load this checkpoint."
        )
    return LoadingError(
        f"Cannot load {checkpoint!r}: {first_sentence}.",
        hint="Check the name or folder, and that it contains config.json, weights and a tokenizer.",
    )
