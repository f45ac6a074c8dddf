"""Origin of a result: what is needed to reproduce it, and warnings about it."""

import platform
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from importlib.metadata import version

from model_understanding.results.serialization import JsonResult

_PATH = re.compile(r"[\\/~]|\.{1,2}(?:[\\/]|$)|[A-Za-z]:[\\/]|.*\\|[^/]*/[^/]*/.*", re.DOTALL)
"""What no Hub ID looks like: absolute or relative to a folder, or of more than two parts."""
_CACHED = re.compile(r"models--([^\\/]+)[\\/]+snapshots[\\/]+[^\\/]+[\\/]*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance(JsonResult):
    """The model, the software and the warnings behind a result.

    Args:
        model: Hub ID, the name of a folder or file, or the class of a loaded model. A path is shortened to
            its name: a page that is passed on says nothing about its author's disk.
        task: What the model is explained as, such as ``sequence-classification`` or ``reranking``.
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
        is_local: Whether the model was read from a folder or file, which its name alone does not find.
        source_language: The language that the sources of an encoder–decoder were said to be in, if any.
        target_language: Likewise, that of its outputs.

    >>> Provenance(model="/home/me/models/bert").model, Provenance(model="org/bert").model
    ('bert', 'org/bert')
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
    is_local: bool = False
    source_language: str | None = None
    target_language: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "cautions", tuple(self.cautions))
        if _PATH.match(self.model):
            name, is_local = name_of_path(self.model)
            object.__setattr__(self, "model", name)
            object.__setattr__(self, "is_local", is_local)

    def with_cautions(self, cautions: Iterable[str]) -> "Provenance":
        """Return the provenance with further warnings, each of them once."""
        return replace(self, cautions=tuple(dict.fromkeys([*self.cautions, *cautions])))


def name_of_path(path: str) -> tuple[str, bool]:
    r"""Return the name of a model in a folder or file, and whether it is found only there.

    Args:
        path: The path; a snapshot in the cache of the Hub is named by its Hub ID.

    >>> name_of_path(r"C:\models\bert"), name_of_path("hub/models--org--bert/snapshots/0a1b")
    (('bert', True), ('org/bert', False))
    """
    if cached := _CACHED.search(path):
        return cached[1].replace("--", "/"), False
    return next((part for part in reversed(re.split(r"[\\/]+", path)) if part.strip(".~")), "model"), True


def versions_of(*packages: str) -> dict[str, str]:
    """Return the versions of this package, of Python and of the given packages."""
    return {
        "model-understanding": version("model-understanding"),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }
