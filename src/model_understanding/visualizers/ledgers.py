"""The ledger of a text, whichever kind of model reads it."""

from collections.abc import Callable, Sequence
from typing import Any

from model_understanding.errors import InputError
from model_understanding.ledger.compute import ledger_of_baseline, ledger_of_texts
from model_understanding.passes.runner import Runner
from model_understanding.paths.baselines import checked_baselines
from model_understanding.results import Ledger, Target
from model_understanding.text.encoding import Encoding


def computed_ledger(
    runner: Runner,
    text: Encoding,
    reference: Encoding | None,
    targets: Sequence[Target],
    function: Callable[[Any], Any] | None,
    baseline: str,
) -> Ledger:
    """Return the ledger of a text and its reference, or its baseline where it has none.

    Args:
        runner: The runner of the model.
        text: The text.
        reference: What it is compared with.
        targets: What is explained: one target.
        function: The caller's function of the model's outputs, where that is the target.
        baseline: The baseline, where there is no reference.

    Raises:
        InputError: There are several targets or baselines, or a reference and a baseline.
    """
    if len(targets) != 1:
        raise InputError(
            f"A ledger explains one target. Got {len(targets)}.", hint="Pass one target at a time."
        )
    if reference is not None:
        if baseline != "default":
            raise InputError(
                f"A reference is given, and baseline={baseline!r} as well.",
                hint="Leave one of them out: a text is compared with another text or with its baseline.",
            )
        return ledger_of_texts(runner, text, reference, targets[0], function)
    names = checked_baselines(baseline)
    if len(names) != 1 or not isinstance(names[0], str):
        raise InputError(
            f"A ledger compares with one baseline, given by its name. Got {baseline!r}.",
            hint="Pass baseline='default', 'mask', 'pad' or 'mean'.",
        )
    return ledger_of_baseline(runner, text, names[0], targets[0], function)
