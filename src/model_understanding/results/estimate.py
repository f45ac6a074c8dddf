"""What an explanation will cost, known before it runs."""

from dataclasses import dataclass

from model_understanding.results.serialization import JsonResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate(JsonResult):
    """Passes through the model and the memory of the largest, for one explanation.

    Counts are exact for methods that do not adapt; for the others they are the most, and the least
    stands beside them. Where memory runs out and batches are halved, there are more passes over the same
    positions.

    Args:
        method: The method's name.
        texts: How many texts are explained.
        tokens: Tokens of the longest of them.
        targets: Rows of scores, all texts together.
        forwards: Forwards of the model.
        backwards: Backward passes to the embeddings; one serves several targets.
        positions: Token positions run forward.
        backward_positions: Token positions run backward, those of each target counted.
        least_forwards: The least of each.
        least_backwards: The same.
        least_positions: The same.
        least_backward_positions: The same.
        least_peak_bytes: The same.
        peak_bytes: Memory that the largest pass is thought to take beside the model: what it keeps for
            the backward, logits and gradients. On the models it was compared with, within a factor of 2;
            nearer once a graph of the model has been measured.
        result_bytes: Memory of the scores themselves.
        model_bytes: Memory of the model's parameters and buffers.
        notes: What the counts rest on, where something is not known yet.

    >>> print(Estimate(method="saliency", texts=1, tokens=6, targets=1, forwards=1, backwards=1, positions=6,
    ...     backward_positions=6, least_forwards=1, least_backwards=1, least_positions=6,
    ...     least_backward_positions=6, least_peak_bytes=1_200_000, peak_bytes=1_200_000,
    ...     result_bytes=24, model_bytes=4_000_000))
    saliency of 1 text (6 tokens, 1 target)
    forwards       1 over 6 token positions
    backwards      1 over 6 token positions
    memory         about 1.2 MB beside the model's 4.0 MB
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
        """Whether the run costs this much whatever the model says."""
        return (self.forwards, self.backwards, self.positions, self.backward_positions) == (
            self.least_forwards,
            self.least_backwards,
            self.least_positions,
            self.least_backward_positions,
        )

    def __str__(self) -> str:
        forwards = _range(self.least_forwards, self.forwards)
        backwards = _range(self.least_backwards, self.backwards)
        backward_positions = _range(self.least_backward_positions, self.backward_positions)
        lines = [
            f"{self.method} of {_counted(self.texts, 'text')} ({_counted(self.tokens, 'token')}"
            f"{' in the longest' if self.texts > 1 else ''}, {_counted(self.targets, 'target')})",
            f"forwards       {forwards} over {_range(self.least_positions, self.positions)} token positions",
            f"backwards      {backwards}"
            + (f" over {backward_positions} token positions" if self.backwards else ""),
            f"memory         about {_sizes(self.least_peak_bytes, self.peak_bytes)} beside the model's "
            f"{size_in_words(self.model_bytes)}",
            *(f"note           {note}" for note in self.notes),
        ]
        return "\n".join(lines)


def size_in_words(size: int) -> str:
    """Return a number of bytes as a person reads it.

    >>> size_in_words(999), size_in_words(12_345_678), size_in_words(3_200_000_000)
    ('999 B', '12.3 MB', '3.2 GB')
    """
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} B"


def _sizes(least: int, most: int) -> str:
    one, other = size_in_words(least), size_in_words(most)
    return one if one == other else f"{one} to {other}"


def _range(least: int, most: int) -> str:
    return f"{most:,}" if least == most else f"{least:,} to {most:,}"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
