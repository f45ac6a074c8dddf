"""A model ready to be explained, and its provenance."""

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
        """The device on which the model's inputs must be."""
        embeddings = _embedding_table(self.model)
        device = self.model.device if embeddings is None else embeddings.weight.device
        if device.type != "meta":
            return device
        # Offloaded weights are on no device; accelerate's hook knows where the embeddings will run.
        execution_device = getattr(getattr(embeddings, "_hf_hook", None), "execution_device", None)
        return torch.device("cpu" if execution_device is None else execution_device)


def provenance_of(
    name: str,
    task: str,
    model: Any,
    tokenizer: Any,
    options: LoadingOptions,
    cautions: tuple[str, ...] = (),
) -> Provenance:
    """Return the provenance of a model.

    Args:
        name: The name it was loaded by.
        task: The task it is explained for.
        model: The model.
        tokenizer: Its tokenizer.
        options: How it was loaded.
        cautions: Warnings to show with every result.
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


def _embedding_table(model: Any) -> Any:
    """Return the input embeddings, or ``None`` where the model has no table of them."""
    try:
        embeddings = model.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return None
    return embeddings if hasattr(embeddings, "weight") else None
