"""What an explanation costs: told while it runs, or estimated in its place."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from model_understanding.attribution.choose import MethodChoice
from model_understanding.errors import InputError, ModelUnderstandingError
from model_understanding.model.metering import Progress, run_with_progress
from model_understanding.passes.dry_run import dry_run
from model_understanding.passes.runner import Runner
from model_understanding.results import Attribution, Estimate
from model_understanding.show.progress import progress_bar

Result = TypeVar("Result")
ProgressChoice = Progress | bool | None


def with_progress(runner: Runner, call: Callable[[Runner], Result], progress: ProgressChoice) -> Result:
    """Do something with a runner and show or tell how far it is.

    Args:
        runner: The runner.
        call: What to do; done with a rehearsal first where a total is wanted.
        progress: As ``compute_saliency`` takes it.

    Returns:
        What the call returned.

    Raises:
        StoppedError: The caller's function returned ``False``.
    """
    with progress_bar(progress) as tell:
        return run_with_progress(lambda: call(runner), tell, lambda: _total(runner, call))


def estimate_of(
    runner: Runner, call: Callable[[Runner], Sequence[Attribution]], method: MethodChoice
) -> Estimate:
    """Return what explanations would cost, without running the model over anything.

    Args:
        runner: The runner.
        call: Explains with a runner.
        method: The method it explains by, as it was asked for.

    Returns:
        The estimate.

    Raises:
        InputError: The method asks for more than values and gradients, so it cannot be dry_run.
        ModelUnderstandingError: What the explanation itself would raise.
    """
    asked_for = method if isinstance(method, str) else method.name
    try:
        least, short = dry_run(runner, call, longest=False)
        most, long = dry_run(runner, call, longest=True)
    except ModelUnderstandingError:
        raise
    except Exception as error:
        raise InputError(
            f"The method {asked_for!r} cannot be estimated: it asks the runner for more than values and "
            f"gradients ({type(error).__name__}: {error}).",
            hint="Pass a progress function and watch it run.",
        ) from error
    tokens = max((len(attribution.tokens) for attribution in long), default=0)
    fewest = max((len(attribution.tokens) for attribution in short), default=0)
    unknown = f"What the model will say is not known: texts of {fewest} to {tokens} tokens are counted."
    tensors = [*runner.model.module.parameters(), *runner.model.module.buffers()]
    return Estimate(
        method=", ".join(dict.fromkeys(attribution.method for attribution in long)) or asked_for,
        texts=len(long),
        tokens=tokens,
        targets=sum(len(attribution.targets) for attribution in long),
        forwards=most.forwards,
        backwards=most.backwards,
        positions=most.positions,
        backward_positions=most.backward_positions,
        least_forwards=least.forwards,
        least_backwards=least.backwards,
        least_positions=least.positions,
        least_backward_positions=least.backward_positions,
        least_peak_bytes=least.peak_bytes,
        peak_bytes=most.peak_bytes,
        result_bytes=sum(attribution.scores.nbytes for attribution in long),
        model_bytes=sum(tensor.numel() * tensor.element_size() for tensor in tensors),
        notes=() if fewest == tokens else (unknown,),
    )


def _total(runner: Runner, call: Callable[[Runner], Any]) -> int | None:
    try:
        return dry_run(runner, call, longest=True)[0].done
    except Exception:  # what is wrong, if anything is, the run itself will say
        return None
