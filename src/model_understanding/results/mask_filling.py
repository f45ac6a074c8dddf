"""What a masked language model puts in the place of each mask."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from model_understanding.results.rendering import Displayed
from model_understanding.tokens import SHARE, Tokens, read_only


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MaskFilling(Displayed):
    """The likeliest tokens at each of M masks, the likeliest first.

    Args:
        tokens: The input tokens.
        positions: Positions of the masks, shape ``(M,)``.
        top_ids: The most probable tokens at each mask, shape ``(M, k)``.
        top_logits: Their logits, shape ``(M, k)``.
        top_probabilities: Their probabilities, shape ``(M, k)``.
        top_labels: Their texts, M tuples of k.
        cautions: Warnings, for example about a mask that was spelled as another tokenizer's.

    Raises:
        ValueError: The shapes do not match, or a position is outside the text.
    """

    tokens: Tokens
    positions: Int[np.ndarray, " masks"]
    top_ids: Int[np.ndarray, "masks top"]
    top_logits: Float[np.ndarray, "masks top"]
    top_probabilities: Float[np.ndarray, "masks top"]
    top_labels: tuple[tuple[str, ...], ...]
    cautions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        positions = read_only(self.positions, np.int64, (None,), "positions")
        masks = len(positions)
        if not masks or positions.min() < 0 or positions.max() >= len(self.tokens):
            raise ValueError(f"positions must name at least one of the {len(self.tokens)} tokens.")
        object.__setattr__(self, "positions", positions)
        top_ids = read_only(self.top_ids, np.int64, (masks, None), "top_ids")
        object.__setattr__(self, "top_ids", top_ids)
        logits = read_only(self.top_logits, np.float32, top_ids.shape, "top_logits")
        object.__setattr__(self, "top_logits", logits)
        frozen = read_only(self.top_probabilities, np.float32, top_ids.shape, "top_probabilities", SHARE)
        object.__setattr__(self, "top_probabilities", frozen)
        object.__setattr__(self, "top_labels", tuple(tuple(mask) for mask in self.top_labels))
        object.__setattr__(self, "cautions", tuple(self.cautions))
        count = top_ids.shape[1]
        if not count or [len(labels) for labels in self.top_labels] != [count] * masks:
            raise ValueError(f"top_labels must have {count} labels for each of the {masks} masks.")

    @property
    def words(self) -> tuple[str, ...]:
        """The likeliest token at each mask, without the blank before it."""
        return tuple(labels[0].strip() or labels[0] for labels in self.top_labels)

    @property
    def probabilities(self) -> Float[np.ndarray, " masks"]:
        """The probability of the likeliest token at each mask."""
        return self.top_probabilities[:, 0]

    @property
    def text(self) -> str:
        """The text with the likeliest token in the place of each mask, the other masks unfilled before.

        Each mask is filled by itself: the tokens are not chosen to go together.
        """
        texts = list(self.tokens.texts)
        for position, labels in reversed(list(zip(self.positions.tolist(), self.top_labels, strict=True))):
            segment = int(self.tokens.segments[position])
            if segment < 0:
                continue
            start, end = (int(edge) for edge in self.tokens.offsets[position])
            before, label = texts[segment][:start], labels[0]
            blank = texts[segment][start:end][:1]  # a mask may take the blank before it
            if label.startswith("##"):
                before, label = before.rstrip(), label[2:]
            elif blank.isspace() and not label[:1].isspace():
                label = f"{blank}{label}"
            elif not before or before[-1].isspace():
                label = label.lstrip()
            texts[segment] = before + label + texts[segment][end:]
        return " ".join(texts)
