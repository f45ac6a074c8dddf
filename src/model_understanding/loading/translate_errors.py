"""What transformers and the hub raise while loading, as this package's errors."""

from collections.abc import Iterator
from contextlib import contextmanager

from model_understanding.errors import LoadingError, ModelUnderstandingError, UnsafeModelError


@contextmanager
def plain_errors(place: str) -> Iterator[None]:
    """Turn whatever is raised inside into an error that names the model and says what to do.

    Args:
        place: The hub id or folder being loaded.

    Raises:
        LoadingError: It cannot be loaded.
        UnsafeModelError: It would have run code.
    """
    try:
        yield
    except ModelUnderstandingError:
        raise
    except Exception as error:  # transformers, the hub and the readers of weights raise whatever they like
        raise _plain_error(place, error) from error


def _plain_error(place: str, error: Exception) -> LoadingError:
    said = " ".join(str(error).split())
    first = said.split(". ")[0][:300].rstrip(".")
    if "trust_remote_code" in said:
        return UnsafeModelError(
            f"{place!r} needs code of its own to be run.",
            hint="Read that code; if you trust it, pass trust_remote_code=True with a revision.",
        )
    if "is not a local folder and is not a valid model identifier" in said:
        return LoadingError(
            f"There is no folder {place!r}, and no such model on the hub.",
            hint="Check the name; for a private model pass token=….",
        )
    if "couldn't connect" in said:
        return LoadingError(
            f"{place!r} is neither a folder nor in the cache, and the hub cannot be reached.",
            hint="Check the name and the network, or pass a folder.",
        )
    if "ignore_mismatched_sizes" in said:
        return LoadingError(
            f"The weights of {place!r} have other shapes than its config.json says.",
            hint="Load it as the kind of model it was saved as, or mend its config.json.",
        )
    if "safetensors" in said and isinstance(error, OSError):
        return UnsafeModelError(
            f"{place!r} has no weights as safetensors: {first}.",
            hint="Convert it, or pass allow_pickle=True (--allow-pickle) if you trust its pickle.",
        )
    if "weights_only" in said or type(error).__name__ == "UnpicklingError":
        return UnsafeModelError(f"The pickle of {place!r} holds more than weights.", hint="Do not load it.")
    return LoadingError(
        f"Cannot load {place!r}: {first}.",
        hint="Check the name or folder, and that it holds config.json, weights and a tokenizer.",
    )
