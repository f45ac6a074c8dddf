"""The tokens that a language model generated: how likely each was, what else was likely."""

from dataclasses import dataclass

from model_understanding.results import Generation
from model_understanding.show.shared.words import format_percent, printable

_LABEL = 24  # characters of the label of an alternative


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Another token that was likely at a step, with its probability as text."""

    label: str
    probability: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A generated token.

    Args:
        index: The generation step, from 0.
        label: Its text, with blanks and control characters made visible.
        share: Its probability.
        probability: Its probability as text.
        entropy: The entropy of the step in nats, as text.
        rank: 1 if it was the most probable token; ``None`` if it was not among the listed ones.
        alternatives: The most probable other tokens, most probable first.
    """

    index: int
    label: str
    share: float
    probability: str
    entropy: str
    rank: int | None
    alternatives: tuple[Alternative, ...]


def step_views(generation: Generation) -> tuple[Step, ...]:
    """Return the generated tokens of a generation, in order.

    Args:
        generation: The generation.
    """
    tokens = generation.continuation_tokens()
    return tuple(
        _step(generation, step, label, token)
        for step, (label, token) in enumerate(zip(tokens.labels(), tokens.ids.tolist(), strict=True))
    )


def _step(generation: Generation, step: int, label: str, token: int) -> Step:
    top = list(
        zip(
            generation.top_ids[step].tolist(),
            generation.top_labels[step],
            generation.top_probabilities[step].tolist(),
            strict=True,
        )
    )
    share = float(generation.probabilities[step])
    return Step(
        index=step,
        label=printable(label, 40),
        share=share,
        probability=format_percent(share),
        entropy=f"{float(generation.entropies[step]):.2f}",
        rank=next((rank for rank, (entry, *_) in enumerate(top, 1) if entry == token), None),
        alternatives=tuple(
            Alternative(
                label=printable(name.strip(" ") or name, _LABEL), probability=format_percent(probability)
            )
            for entry, name, probability in top
            if entry != token
        ),
    )
