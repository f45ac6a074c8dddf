"""A sentence encoder: a transformer, what pools its hidden states, and how similar two embeddings are.

The layers are those of sentence-transformers, in plain torch.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from model_understanding.checks import one_of
from model_understanding.loading.wrappers import without_adapter

PoolingMode = Literal["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
POOLING_MODES: tuple[str, ...] = get_args(PoolingMode)
"""In the order in which sentence-transformers joins the results of several."""
Similarity = Literal["cosine", "dot", "euclidean", "manhattan"]
SIMILARITIES: tuple[str, ...] = get_args(Similarity)

TOKEN_EMBEDDINGS, SENTENCE_EMBEDDING, MASK = "token_embeddings", "sentence_embedding", "attention_mask"
_SMALLEST = 1e-12  # of a norm, as in torch.nn.functional.normalize

Features = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class EncoderOutput:
    """What a sentence encoder returns.

    Args:
        logits: The similarity of two texts, shape ``(B, 1)``; of one text its embedding, shape ``(B, E)``.
    """

    logits: Tensor


class SentenceEncoder(nn.Module):
    """Embeds texts, and says how similar two are.

    Args:
        encoder: A transformers model whose output has ``last_hidden_state``.
        layers: What makes one vector of its hidden states, in order; the first ones are ``Pooling``.
        similarity: How two embeddings are compared.
        max_tokens: The maximum number of tokens of a text; ``None`` for what the transformer allows.
        prompts: Texts that the model was trained to read before a text, by name.
        default_prompt: The name of the one to put before each text.
    """

    def __init__(
        self,
        encoder: nn.Module,
        layers: Sequence[nn.Module],
        *,
        similarity: str = "cosine",
        max_tokens: int | None = None,
        prompts: dict[str, str] | None = None,
        default_prompt: str | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.layers = nn.Sequential(*layers)
        self.similarity = similarity
        self.max_tokens = max_tokens
        self.prompts = prompts or {}
        self.default_prompt = default_prompt
        taken = inspect.signature(without_adapter(encoder).forward).parameters
        self._takes_token_types = "token_type_ids" in taken
        self._options: dict[str, Any] = {"use_cache": False} if "use_cache" in taken else {}
        if "return_dict" in taken or any(each.kind is each.VAR_KEYWORD for each in taken.values()):
            self._options["return_dict"] = True

    @property
    def description(self) -> str:
        """The transformer's class and its layers, for example ``BertModel, mean pooling, normalized``."""
        return ", ".join([type(self.encoder).__name__, *(_described(layer) for layer in self.layers)])

    @property
    def pools_prompt(self) -> bool:
        """Whether the tokens of a prompt before a text are part of its embedding."""
        return all(layer.include_prompt for layer in self.layers if isinstance(layer, Pooling))

    def forward(
        self,
        input_ids: Int[Tensor, "batch tokens"],
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        pooling_mask: Tensor | None = None,
        other_input_ids: Int[Tensor, "batch others"] | None = None,
        other_attention_mask: Tensor | None = None,
        other_token_type_ids: Tensor | None = None,
        other_pooling_mask: Tensor | None = None,
        distinct: bool = False,
    ) -> EncoderOutput:
        """Return the similarity of two texts, or the embedding of one.

        Args:
            input_ids: The first text.
            attention_mask: 0 at its padding.
            token_type_ids: Its token types.
            pooling_mask: 0 at tokens that the transformer reads and the pooling leaves out (a prompt).
            other_input_ids: The second text.
            other_attention_mask: 0 at its padding.
            other_token_type_ids: Its token types.
            other_pooling_mask: As ``pooling_mask``.
            distinct: Whether rows with the same ids are encoded once, which is right where nothing else
                than the inputs makes rows differ.
        """
        embed = self._embed_distinct if distinct else self.embed
        first = embed(input_ids, attention_mask, token_type_ids, pooling_mask)
        if other_input_ids is None:
            return EncoderOutput(first)
        second = embed(other_input_ids, other_attention_mask, other_token_type_ids, other_pooling_mask)
        return EncoderOutput(similarity_of(self.similarity, first, second)[:, None])

    def embed(
        self,
        input_ids: Int[Tensor, "batch tokens"],
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        pooling_mask: Tensor | None = None,
    ) -> Float[Tensor, "batch embedding"]:
        """Return the embeddings of texts.

        Args:
            input_ids: The texts.
            attention_mask: 0 at padding.
            token_type_ids: Their token types, for a transformer that takes them.
            pooling_mask: 0 at tokens that the pooling leaves out.
        """
        inputs: dict[str, Any] = {"input_ids": input_ids, "attention_mask": attention_mask}
        if self._takes_token_types and token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        outputs = self.encoder(**inputs, **self._options)
        features: Features = {TOKEN_EMBEDDINGS: outputs.last_hidden_state}
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        # A prompt that is tuned (peft) adds positions before the text, which are pooled as well.
        added = features[TOKEN_EMBEDDINGS].shape[1] - mask.shape[1]
        if added > 0:
            mask = torch.cat([mask.new_ones(len(mask), added), mask], dim=1)
        if pooling_mask is not None:
            mask = mask * nn.functional.pad(pooling_mask, (added, 0), value=1)
        features[MASK] = mask
        for layer in self.layers:
            layer(features)
        return features[SENTENCE_EMBEDDING]

    def _embed_distinct(self, ids: Tensor, *others: Tensor | None) -> Float[Tensor, "batch embedding"]:
        """Return the embeddings of texts, each distinct row of the inputs encoded once."""
        given = [ids, *(values for values in others if values is not None)]
        rows, row_of = torch.unique(torch.cat(given, dim=1), dim=0, return_inverse=True)
        if len(rows) == len(ids):
            return self.embed(ids, *others)
        distinct, *parts = rows.split([values.shape[1] for values in given], dim=1)
        remaining = iter(parts)
        return self.embed(distinct, *(None if values is None else next(remaining) for values in others))[
            row_of
        ]


class Pooling(nn.Module):
    """Makes one vector of a text's hidden states.

    Args:
        modes: How; the results of several are joined in this order.
        include_prompt: Whether the tokens of a prompt before the text count.
    """

    def __init__(self, modes: Sequence[str], include_prompt: bool = True) -> None:
        super().__init__()
        for mode in modes:
            one_of(mode, "pooling", POOLING_MODES)
        self.modes = tuple(modes)
        self.include_prompt = include_prompt

    def forward(self, features: Features) -> None:
        """Add the pooled embedding to the features."""
        states, mask = features[TOKEN_EMBEDDINGS], features[MASK]
        pooled = [_POOLED[mode](states, mask) for mode in self.modes]
        features[SENTENCE_EMBEDDING] = torch.cat(pooled, dim=-1)


class Dense(nn.Module):
    """A linear layer and an activation.

    Args:
        linear: The linear layer.
        activation: The activation.
        residual: A layer for what is added to the result; ``None`` to add nothing.
        source: The feature that it reads.
        target: The feature that it writes.
    """

    def __init__(
        self,
        linear: nn.Linear,
        activation: nn.Module,
        residual: nn.Module | None = None,
        source: str = SENTENCE_EMBEDDING,
        target: str = SENTENCE_EMBEDDING,
    ) -> None:
        super().__init__()
        self.linear, self.activation, self.residual = linear, activation, residual
        self.source, self.target = source, target

    def forward(self, features: Features) -> None:
        """Replace a feature by what the layer makes of it."""
        values = features[self.source]
        result = self.activation(self.linear(values))
        features[self.target] = result if self.residual is None else result + self.residual(values)


class LayerNorm(nn.Module):
    """Layer normalization of the embedding.

    Args:
        norm: The normalization.
    """

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, features: Features) -> None:
        """Normalize the embedding."""
        features[SENTENCE_EMBEDDING] = self.norm(features[SENTENCE_EMBEDDING])


class Normalize(nn.Module):
    """Scales a feature to length 1.

    Args:
        source: The feature that it reads.
        target: The feature that it writes.
    """

    def __init__(self, source: str = SENTENCE_EMBEDDING, target: str = SENTENCE_EMBEDDING) -> None:
        super().__init__()
        self.source, self.target = source, target

    def forward(self, features: Features) -> None:
        """Scale the feature."""
        features[self.target] = nn.functional.normalize(features[self.source], dim=-1)


def similarity_of(
    kind: str, first: Float[Tensor, "*batch width"], second: Float[Tensor, "*batch width"]
) -> Float[Tensor, "*batch"]:
    """Return how similar embeddings are, in 32-bit precision or better.

    Args:
        kind: ``cosine``, ``dot``, or the negative distance ``euclidean`` or ``manhattan``.
        first: Embeddings.
        second: Embeddings that they are compared with.

    >>> similarity_of("cosine", torch.tensor([3.0, 4.0]), torch.tensor([6.0, 8.0]))
    tensor(1.)
    """
    first, second = (each.float() if each.dtype.itemsize < 4 else each for each in (first, second))
    if kind == "euclidean":
        return 0.0 - torch.linalg.vector_norm(first - second, dim=-1)  # of equal texts 0, not -0
    if kind == "manhattan":
        return 0.0 - (first - second).abs().sum(dim=-1)
    return (comparable(kind, first) * comparable(kind, second)).sum(dim=-1)


def comparable(kind: str, embeddings: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
    """Return embeddings whose inner product is their similarity.

    Args:
        kind: ``cosine`` or ``dot``.
        embeddings: The embeddings.
    """
    return nn.functional.normalize(embeddings, dim=-1, eps=_SMALLEST) if kind == "cosine" else embeddings


def _described(layer: nn.Module) -> str:
    if isinstance(layer, Pooling):
        return f"{' + '.join(layer.modes)} pooling"
    if isinstance(layer, Dense):
        return f"dense {layer.linear.out_features}"
    return {"LayerNorm": "layer norm", "Normalize": "normalized"}.get(
        type(layer).__name__, type(layer).__name__
    )


def _weights(mask: Tensor, states: Tensor) -> Tensor:
    return mask.unsqueeze(-1).to(states.dtype)


def _first(states: Tensor, mask: Tensor) -> Tensor:
    index = mask.to(torch.int).argmax(dim=1)
    return states[torch.arange(len(states), device=states.device), index]


def _last(states: Tensor, mask: Tensor) -> Tensor:
    index = states.shape[1] - 1 - mask.flip(1).to(torch.int).argmax(dim=1)
    rows = torch.arange(len(states), device=states.device)
    return states[rows, index] * _weights(mask, states)[rows, index]


def _largest(states: Tensor, mask: Tensor) -> Tensor:
    return states.masked_fill(mask.unsqueeze(-1) == 0, -torch.inf).max(dim=1).values


def _mean(states: Tensor, mask: Tensor) -> Tensor:
    weights = _weights(mask, states)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9)


def _mean_by_root(states: Tensor, mask: Tensor) -> Tensor:
    weights = _weights(mask, states)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9).sqrt()


def _weighted_mean(states: Tensor, mask: Tensor) -> Tensor:
    positions = torch.arange(1, states.shape[1] + 1, device=states.device)[:, None]
    weights = _weights(mask, states) * positions
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9)


_POOLED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cls": _first,
    "max": _largest,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_by_root,
    "weightedmean": _weighted_mean,
    "lasttoken": _last,
}
