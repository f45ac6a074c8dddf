"""A model ready to be explained, and where it comes from."""

from dataclasses import dataclass
from typing import Any

import torch

from model_understanding.loading.options import LoadingOptions
from model_understanding.results import Provenance
from model_understanding.results.provenance import versions_of


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A model ready to be explained.

    Args:
        model: The transformers model.
        tokenizer: Its tokenizer.
        task: ``sequence-classification`` or ``causal-lm``.
        provenance: Where they come from.
    """

    model: Any
    tokenizer: Any
    task: str
    provenance: Provenance

    @property
    def device(self) -> torch.device:
        """Where the model's inputs must lie."""
        table = self.model.get_input_embeddings() if _has_table(self.model) else None
        found = self.model.device if table is None else table.weight.device
        if found.type != "meta":
            return found
        # Offloaded weights lie nowhere; accelerate's hook on the table knows where it will run.
        place = getattr(getattr(table, "_hf_hook", None), "execution_device", None)
        return torch.device("cpu" if place is None else place)


def provenance_of(
    name: str, task: str, model: Any, tokenizer: Any, options: LoadingOptions, cautions: tuple[str, ...]
) -> Provenance:
    """Return where a model comes from.

    Args:
        name: What it was loaded by.
        task: What it is explained as.
        model: The model.
        tokenizer: Its tokenizer.
        options: How it was loaded.
        cautions: What a reader must know of it.
    """
    return Provenance(
        model=name,
        task=task,
        architecture=type(model).__name__,
        tokenizer=type(tokenizer).__name__,
        revision=getattr(model.config, "_commit_hash", None) or options.revision,
        dtype=str(model.dtype).removeprefix("torch."),
        device=str(model.device),
        attention_implementation=getattr(model.config, "_attn_implementation", None),
        versions=versions_of("torch", "transformers", "numpy"),
        cautions=cautions,
    )


def _has_table(model: Any) -> bool:
    try:
        return hasattr(model.get_input_embeddings(), "weight")
    except (AttributeError, NotImplementedError):
        return False
