"""The rows of the table: a model, a text length, the implementations compared, and our goals."""

from collections.abc import Mapping
from dataclasses import dataclass, field

PEERS = {"bertviz": "bertviz"}  # name of its files: name of the package
WAYS = {  # implementation: its file, what it computes, how its model is loaded
    "plain": ("floors", "plain", "sdpa"),
    "eager": ("floors", "eager", "eager"),
    "mean of heads, every layer": ("ours", "every_layer", "sdpa"),
    "mean of heads, one layer": ("ours", "one_layer", "sdpa"),
    "pooled overview": ("ours", "pooled", "sdpa"),
    "bertviz": ("peers/bertviz", "head_view", "eager"),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One text length on one model.

    Args:
        key: Name in the results and for ``--only``.
        title: Title in the table.
        model: A name in ``models.MODELS``.
        tokens: Number of tokens of the text.
        ways: The implementations, in the order in which they run.
        goals: For an implementation, the maximum of its time over that of another (``{"plain": 1.25}``), of
            its extra memory over eager's (``memory``), and of the memory of the whole process (``bytes``).
            Extra memory is what it takes beyond the plain forward pass.
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
        title="32,768 tokens, Llama with 4 layers of width 256, every layer pooled to 128 × 128 blocks",
        model="llama-small-32k",
        tokens=32768,
        ways=("plain", POOLED),
        goals={POOLED: {"bytes": 4e9}},
    ),
)
