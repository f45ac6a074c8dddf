"""A text as the model's inputs, alone or in a batch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from model_understanding.tokens import Tokens


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """Model inputs for B texts, and the tokens of each.

    Args:
        tokens: The tokens of each text, without padding.
        inputs: ``input_ids``, and ``attention_mask``, ``token_type_ids`` and what else the tokenizer gives
            where the model takes them; each of shape ``(B, T)``, padded on the right.
        prompt_length: For prompts with continuations: how many tokens are the prompt, in every row.
        cautions: Warnings about how the texts were read; every result of them has these.
        source_length: For models that read two sequences (an encoder–decoder's source and output, the texts
            of a similarity): how many leading tokens are the first one, in every row.
    """

    tokens: tuple[Tokens, ...]
    inputs: dict[str, Tensor]
    prompt_length: int | None = None
    cautions: tuple[str, ...] = ()
    source_length: int | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def ids(self) -> Tensor:
        """The token ids, shape ``(B, T)``."""
        return self.inputs["input_ids"]

    def row(self, index: int) -> "Encoding":
        """Return one text of the batch, without its padding."""
        length = len(self.tokens[index])
        inputs = {name: values[index : index + 1, :length] for name, values in self.inputs.items()}
        return replace(self, tokens=(self.tokens[index],), inputs=inputs)

    def rows(self, start: int, end: int) -> "Encoding":
        """Return the texts from ``start`` to ``end`` (exclusive), with their padding."""
        inputs = {name: values[start:end] for name, values in self.inputs.items()}
        return replace(self, tokens=self.tokens[start:end], inputs=inputs)

    def repeated(self, count: int) -> "Encoding":
        """Return one text ``count`` times, for variants of its embeddings."""
        if len(self) == count:
            return self
        inputs = {name: values.expand(count, -1) for name, values in self.inputs.items()}
        return replace(self, tokens=self.tokens * count, inputs=inputs)

    def prefix(self, length: int) -> "Encoding":
        """Return the inputs of the first ``length`` positions; the tokens stay those of the whole text."""
        return replace(self, inputs={name: values[:, :length] for name, values in self.inputs.items()})

    def with_ids(self, ids: Tensor) -> "Encoding":
        """Return the texts with other ids in their places."""
        return replace(self, inputs={**self.inputs, "input_ids": ids})

    def parts(self) -> tuple[Tensor, ...]:
        """Return the ids of each sequence that the model reads: all of them, or the first and the second."""
        return sequences(self.ids, self.source_length)


def sequences(values: Tensor, source_length: int | None) -> tuple[Tensor, ...]:
    """Return values of tokens, shape ``(B, T, …)``, as those of each sequence that a model reads."""
    if source_length is None:
        return (values,)
    return values[:, :source_length], values[:, source_length:]


def batch_of(encodings: Sequence[Encoding], padding_id: int) -> Encoding:
    """Return several texts as one batch, padded on the right to the longest.

    Args:
        encodings: The texts; those of two sequences must not need padding.
        padding_id: The id of padding tokens.

    Returns:
        The batch, in the same order.
    """
    length = max(encoding.ids.shape[1] for encoding in encodings)
    inputs = {
        name: torch.cat(
            [
                torch.nn.functional.pad(
                    encoding.inputs[name],
                    (0, length - encoding.ids.shape[1]),
                    value=padding_id if name == "input_ids" else 0,
                )
                for encoding in encodings
            ]
        )
        for name in encodings[0].inputs
    }
    prompt_lengths = {encoding.prompt_length for encoding in encodings}
    return Encoding(
        tuple(tokens for encoding in encodings for tokens in encoding.tokens),
        inputs,
        prompt_lengths.pop() if len(prompt_lengths) == 1 else None,
        tuple(dict.fromkeys(caution for encoding in encodings for caution in encoding.cautions)),
        encodings[0].source_length,
    )
