"""The cost of an explanation, estimated before it runs."""

from dataclasses import dataclass

from model_understanding.results.rendering import Displayed


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Estimate(Displayed):
    """Number of passes through the model, and peak memory, of an explanation.

    Counts are exact for methods that do not adapt; for adaptive methods they are upper bounds, with lower
    bounds in the ``least_*`` fields. If memory runs out and batches are halved, there are more passes over
    the same positions.

    Args:
        method: Name of the method.
        texts: Number of texts.
        tokens: Number of tokens of the longest text.
        targets: Number of targets, all texts together.
        forwards: Number of forward passes.
        backwards: Number of backward passes to the embeddings; one pass can serve several targets.
        positions: Number of token positions in the forward passes.
        backward_positions: Number of token positions in the backward passes, counted for each target.
        least_forwards: Lower bound of ``forwards``.
        least_backwards: Lower bound of ``backwards``.
        least_positions: Lower bound of ``positions``.
        least_backward_positions: Lower bound of ``backward_positions``.
        least_peak_bytes: Lower bound of ``peak_bytes``.
        peak_bytes: Estimated memory of the largest pass in addition to the model: activations kept for the
            backward pass, logits and gradients. Within a factor of 2 on the models it was compared with;
            more accurate once the memory of a graph of the model has been measured.
        result_bytes: Memory of the scores.
        model_bytes: Memory of the model's parameters and buffers.
        notes: Assumptions behind the counts.

    >>> print(Estimate(method="saliency", texts=1, tokens=6, targets=1, forwards=1, backwards=1, positions=6,
    ...     backward_positions=6, least_forwards=1, least_backwards=1, least_positions=6,
    ...     least_backward_positions=6, least_peak_bytes=1_200_000, peak_bytes=1_200_000,
    ...     result_bytes=24, model_bytes=4_000_000))
    saliency of 1 text (6 tokens, 1 target)
    forward passes   1 over 6 token positions
    backward passes  1 over 6 token positions
    memory           about 1.2 MB in addition to the model's 4.0 MB
    """

    method: str
    texts: int
    tokens: int
    targets: int
    forwards: int
    backwards: int
    positions: int
    backward_positions: int
    least_forwards: int
    least_backwards: int
    least_positions: int
    least_backward_positions: int
    least_peak_bytes: int
    peak_bytes: int
    result_bytes: int
    model_bytes: int
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", tuple(self.notes))

    @property
    def is_exact(self) -> bool:
        """Whether the counts are exact, independent of the model's outputs."""
        return (self.forwards, self.backwards, self.positions, self.backward_positions) == (
            self.least_forwards,
            self.least_backwards,
            self.least_positions,
            self.least_backward_positions,
        )

    def __str__(self) -> str:
        return "\n".join((self.headline(), *(f"{name:<15}  {value}" for name, value in self.facts())))

    def headline(self) -> str:
        """Return what would be explained, as in ``saliency of 1 text (6 tokens, 1 target)``."""
        return (
            f"{self.method} of {_counted(self.texts, 'text')} ({_counted(self.tokens, 'token')}"
            f"{' in the longest' if self.texts > 1 else ''}, {_counted(self.targets, 'target')})"
        )

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return the passes, the memory and the assumptions as names and values."""
        forwards = _range(self.least_forwards, self.forwards)
        backwards = _range(self.least_backwards, self.backwards)
        positions = _range(self.least_positions, self.positions)
        backward_positions = _range(self.least_backward_positions, self.backward_positions)
        peak = _size_range(self.least_peak_bytes, self.peak_bytes)
        over = f" over {backward_positions} token positions" if self.backwards else ""
        return (
            ("forward passes", f"{forwards} over {positions} token positions"),
            ("backward passes", f"{backwards}{over}"),
            ("memory", f"about {peak} in addition to the model's {format_size(self.model_bytes)}"),
            *(("note", note) for note in self.notes),
        )


def format_size(size: int) -> str:
    """Return a number of bytes with a unit.

    >>> format_size(999), format_size(12_345_678), format_size(3_200_000_000)
    ('999 B', '12.3 MB', '3.2 GB')
    """
    for factor, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"


def _size_range(least: int, most: int) -> str:
    low, high = format_size(least), format_size(most)
    return low if low == high else f"{low} to {high}"


def _range(least: int, most: int) -> str:
    return f"{most:,}" if least == most else f"{least:,} to {most:,}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
