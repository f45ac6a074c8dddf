"""Origin of a result: what is needed to reproduce it, and warnings about it."""

import platform
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from importlib.metadata import version

from model_understanding.results.serialization import JsonResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance(JsonResult):
    """The model, the software and the warnings behind a result.

    Args:
        model: Hub ID, folder, or the class of a loaded model.
        task: ``sequence-classification`` or ``causal-lm``.
        architecture: The model's class.
        tokenizer: The tokenizer's class.
        revision: Commit of the checkpoint, if known.
        dtype: The dtype of the weights.
        device: The device that ran the model.
        attention_implementation: ``sdpa``, ``eager``, …
        versions: Versions of this package, Python, torch, transformers and numpy.
        seed: Seed of random choices, if there were any.
        seconds: Wall time of the computation.
        cautions: Warnings for the reader, for example "untrained head: this explains random weights".
    """

    model: str = "unknown"
    task: str = "unknown"
    architecture: str = "unknown"
    tokenizer: str = "unknown"
    revision: str | None = None
    dtype: str = "unknown"
    device: str = "unknown"
    attention_implementation: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    seed: int | None = None
    seconds: float | None = None
    cautions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "cautions", tuple(self.cautions))

    def with_cautions(self, cautions: Iterable[str]) -> "Provenance":
        """Return the provenance with further warnings, each of them once."""
        return replace(self, cautions=tuple(dict.fromkeys([*self.cautions, *cautions])))


def versions_of(*packages: str) -> dict[str, str]:
    """Return the versions of this package, of Python and of the given packages."""
    return {
        "model-understanding": version("model-understanding"),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }
