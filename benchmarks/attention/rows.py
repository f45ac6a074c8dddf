"""The rows of the table: a model, a length, who reads its attention, and what is asked of us."""

from collections.abc import Mapping
from dataclasses import dataclass, field

PEERS = {"bertviz": "bertviz"}  # the name of its files and of the package that is timed
WAYS = {  # what a way computes, and how its model is loaded
    "plain": ("floors", "plain", "sdpa"),
    "eager": ("floors", "eager", "eager"),
    "mean of heads, every layer": ("ours", "every_layer", "sdpa"),
    "mean of heads, one layer": ("ours", "one_layer", "sdpa"),
    "pooled overview": ("ours", "pooled", "sdpa"),
    "bertviz": ("peers/bertviz", "head_view", "eager"),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One length of text on one model.

    Args:
        key: Its name in the results and for ``--only``.
        title: What it is, in the table.
        model: A name in ``models.MODELS``.
        tokens: Tokens of the text.
        ways: Who takes part, in turn.
        goals: For a way: its time over that of another at most, as ``{"plain": 1.25}``; ``memory`` is what
            it takes beyond the plain forward over what eager takes beyond it, ``bytes`` all memory of the
            process.
    """

    key: str
    title: str
    model: str
    tokens: int
    ways: tuple[str, ...]
    goals: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


EVERY, ONE, POOLED = "mean of heads, every layer", "mean of heads, one layer", "pooled overview"
FOUR = ("plain", "eager", EVERY, ONE)
ROWS = (
    Row(
        key="gpt2-256",
        title="256 tokens, GPT-2-small size",
        model="gpt2-small-4k",
        tokens=256,
        ways=(*FOUR, "bertviz"),
    ),
    Row(
        key="gpt2-1024",
        title="1,024 tokens, GPT-2-small size",
        model="gpt2-small-4k",
        tokens=1024,
        ways=FOUR,
        goals={EVERY: {"plain": 1.25, "eager": 0.85, "memory": 0.25}, ONE: {"plain": 1.1}},
    ),
    Row(
        key="gpt2-4096",
        title="4,096 tokens, GPT-2-small size",
        model="gpt2-small-4k",
        tokens=4096,
        ways=FOUR,
    ),
    Row(
        key="overview-32768",
        title="32,768 tokens, Llama of 4 layers × 256, 128 × 128 stretches of every layer",
        model="llama-small-32k",
        tokens=32768,
        ways=("plain", POOLED),
        goals={POOLED: {"bytes": 4e9}},
    ),
)
