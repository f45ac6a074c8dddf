"""Finds one contrast among those that a report of a generation holds."""

from model_understanding.errors import InputError
from model_understanding.results.attribution import Attribution
from model_understanding.results.generation import Generation


def contrast_of(
    generation: Generation | None, contrasts: Attribution | None, step: int, alternative: str | int
) -> Attribution:
    """Return why the token of a step was written and not an alternative.

    Args:
        generation: The generation.
        contrasts: A row for each step and alternative; none where nobody asked for them.
        step: The step, counted from 0, or from −1 at the end.
        alternative: The other token's text or id; blanks around a text need not be given.

    Returns:
        The row.

    Raises:
        InputError: There is no such step or alternative.
    """
    if generation is None or contrasts is None:
        raise InputError(
            "This report holds no contrasts with other tokens.",
            hint="Call GenerativeModelVisualizer.analyze(prompt, alternatives=3).",
        )
    steps = len(generation.probabilities)
    if isinstance(step, bool) or not isinstance(step, int) or not -steps <= step < steps:
        raise InputError(
            f"There is no step {step!r}: the continuation has {steps}.",
            hint=f"Count steps from 0 to {steps - 1}.",
        )
    position = generation.prompt_length + step % steps - 1
    rows = [row for row, target in enumerate(contrasts.targets) if target.positions == (position,)]
    if isinstance(alternative, str):
        names = {row: contrasts.targets[row].against_labels[0] for row in rows}
        found = [row for row in rows if names[row] == alternative]
        found = found or [row for row in rows if names[row].strip() == alternative.strip()]
    else:
        found = [row for row in rows if contrasts.targets[row].against == (int(alternative),)]
    if len(found) != 1:
        held = ", ".join(
            f"{contrasts.targets[row].against_labels[0]!r} ({contrasts.targets[row].against[0]})"
            for row in rows
        )
        which = "more than one alternative" if found else "no alternative"
        raise InputError(
            f"Step {step} is contrasted with {which} {alternative!r}. It has: {held or 'none'}.",
            hint="Pass one of these by id, or analyze with more alternatives=.",
        )
    return contrasts.row(found[0])
