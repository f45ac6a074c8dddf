"""The user's text as the model's inputs, and a batch of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model_understanding.tokens import Tokens

_PADDING = {"attention_mask": 0, "token_type_ids": 0}


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """Model inputs for B texts, and the tokens of each.

    Args:
        tokens: The tokens of each text, without padding.
        inputs: ``input_ids``, ``attention_mask`` and, where the model takes them, ``token_type_ids``;
            each of shape ``(B, T)``, padded on the right.
        prompt_length: For prompts with continuations: how many tokens are the prompt, in every row.
    """

    tokens: tuple[Tokens, ...]
    inputs: dict[str, Tensor]
    prompt_length: int | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def ids(self) -> Tensor:
        """The token ids, shape ``(B, T)``."""
        return self.inputs["input_ids"]

    def row(self, number: int) -> "Encoding":
        """Return one text of the batch alone, without its padding."""
        length = len(self.tokens[number])
        inputs = {name: values[number : number + 1, :length] for name, values in self.inputs.items()}
        return Encoding((self.tokens[number],), inputs, self.prompt_length)

    def rows(self, start: int, end: int) -> "Encoding":
        """Return the texts from a start to an end (exclusive), padded as they are."""
        inputs = {name: values[start:end] for name, values in self.inputs.items()}
        return Encoding(self.tokens[start:end], inputs, self.prompt_length)

    def repeated(self, count: int) -> "Encoding":
        """Return one text's encoding ``count`` times over, for variants of its embeddings."""
        if len(self) == count:
            return self
        inputs = {name: values.expand(count, -1) for name, values in self.inputs.items()}
        return Encoding(self.tokens * count, inputs, self.prompt_length)

    def prefix(self, length: int) -> "Encoding":
        """Return the inputs of the first ``length`` positions; the tokens stay those of the whole."""
        inputs = {name: values[:, :length] for name, values in self.inputs.items()}
        return Encoding(self.tokens, inputs, self.prompt_length)


def batch_of(encodings: Sequence[Encoding], padding_id: int) -> Encoding:
    """Return several texts as one batch, padded on the right to the longest.

    Args:
        encodings: The texts.
        padding_id: The id to fill with.

    Returns:
        The batch, in the same order.
    """
    longest = max(encoding.ids.shape[1] for encoding in encodings)
    fill = {"input_ids": padding_id, **_PADDING}
    inputs = {
        name: torch.cat(
            [
                torch.nn.functional.pad(
                    encoding.inputs[name], (0, longest - encoding.ids.shape[1]), value=fill[name]
                )
                for encoding in encodings
            ]
        )
        for name in encodings[0].inputs
    }
    prompts = {encoding.prompt_length for encoding in encodings}
    return Encoding(
        tuple(tokens for encoding in encodings for tokens in encoding.tokens),
        inputs,
        prompts.pop() if len(prompts) == 1 else None,
    )
