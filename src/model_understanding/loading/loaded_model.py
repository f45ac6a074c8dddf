"""A model ready to be explained, and its provenance."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from model_understanding.loading.options import LoadingOptions
from model_understanding.loading.wrappers import config_of, device_of, dtype_of, input_embeddings
from model_understanding.results import Provenance
from model_understanding.results.provenance import name_of_path, versions_of


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A model ready to be explained.

    Args:
        model: The transformers model.
        tokenizer: Its tokenizer.
        task: One of ``targets.names.TASKS``.
        provenance: Where they come from.
        output_tokenizer: Of an encoder–decoder whose outputs are tokenized in another way than its sources,
            the tokenizer of outputs.
        untrained: The weights that its checkpoint does not have, which are random.
    """

    model: Any
    tokenizer: Any
    task: str
    provenance: Provenance
    output_tokenizer: Any = None
    untrained: tuple[str, ...] = ()

    @property
    def device(self) -> torch.device:
        """The device on which the model's inputs must be."""
        embeddings: Any = input_embeddings(self.model)
        weight = getattr(embeddings, "weight", None)
        device = device_of(self.model) if weight is None else weight.device
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
    path = Path(name).expanduser()
    shown, is_local = (name, False)
    if path.exists():
        shown, is_local = name_of_path(str(path.absolute() if path.name.strip(".") else path.resolve()))
    return Provenance(
        model=shown,
        task=task,
        architecture=type(model).__name__,
        tokenizer=type(tokenizer).__name__,
        revision=getattr(config_of(model), "_commit_hash", None) or options.revision,
        dtype=str(dtype_of(model)).removeprefix("torch."),
        device=str(device_of(model)),
        attention_implementation=getattr(config_of(model), "_attn_implementation", None),
        versions=versions_of("torch", "transformers", "numpy"),
        cautions=cautions,
        is_local=is_local,
    )
