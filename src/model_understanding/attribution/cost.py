"""What an explanation costs: shown while it runs, or estimated instead."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from model_understanding.attribution.choose import MethodChoice
from model_understanding.errors import InputError, ModelUnderstandingError
from model_understanding.model.metering import Progress, run_with_progress
from model_understanding.passes.dry_run import dry_run
from model_understanding.passes.runner import Runner
from model_understanding.results import Attribution, Estimate
from model_understanding.show.progress import EXPLAINING, progress_bar

Result = TypeVar("Result")
ProgressChoice = Progress | bool | None


def with_progress(
    runner: Runner,
    call: Callable[[Runner], Result],
    progress: ProgressChoice,
    *,
    part: str = EXPLAINING,
    report: Any = None,
) -> Result:
    """Call a function with a runner, and report its progress if the caller wants that.

    Args:
        runner: The runner.
        call: What to run. Where progress is shown, a dry run of it counts the passes first.
        progress: As ``compute_saliency`` takes it.
        part: What runs, for the caller.
        report: The report so far.

    Returns:
        What the call returned.

    Raises:
        StoppedError: The caller's function returned ``False``.
    """
    with progress_bar(progress, part, report) as tell:
        if tell is None:
            return call(runner)
        return run_with_progress(lambda: call(runner), tell, lambda: _total(runner, call))


def as_part(
    call: Callable[[], Result],
    progress: ProgressChoice,
    part: str,
    report: Any = None,
    *,
    total: int | None = None,
    is_first: bool = False,
) -> Result:
    """Call a function that is a part of a run, and report its progress.

    Args:
        call: What to run.
        progress: As ``compute_saliency`` takes it.
        part: What runs, for the caller.
        report: The report so far.
        total: The positions of its passes, if they are known in advance.
        is_first: Whether the run begins with it, for callers that are told of the first part only.

    Raises:
        StoppedError: The caller's function returned ``False``.
    """
    with progress_bar(progress, part, report, is_first=is_first) as tell:
        return call() if tell is None else run_with_progress(call, tell, lambda: total)


def estimate_of(
    runner: Runner, call: Callable[[Runner], Sequence[Attribution]], method: MethodChoice
) -> Estimate:
    """Return what explanations would cost, without running the model.

    Args:
        runner: The runner.
        call: Explains with a runner.
        method: The method it explains by, as the caller named it.

    Returns:
        The estimate.

    Raises:
        InputError: The method uses more of the runner than values and gradients, so it has no dry run.
        ModelUnderstandingError: What the explanation itself would raise.
    """
    name = method if isinstance(method, str) else method.name
    try:
        least, short = dry_run(runner, call, longest=False)
        most, long = dry_run(runner, call, longest=True)
    except ModelUnderstandingError:
        raise
    except Exception as error:
        raise InputError(
            f"The cost of {name!r} cannot be estimated: the method uses more of the runner than values and "
            f"gradients ({type(error).__name__}: {error}).",
            hint="Pass progress=True to see how far a run is.",
        ) from error
    tokens = max((len(attribution.tokens) for attribution in long), default=0)
    fewest = max((len(attribution.tokens) for attribution in short), default=0)
    unknown = f"The length of the continuation is unknown: texts of {fewest} to {tokens} tokens are counted."
    tensors = [*runner.model.module.parameters(), *runner.model.module.buffers()]
    return Estimate(
        method=", ".join(dict.fromkeys(attribution.method for attribution in long)) or name,
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
    except Exception:  # if something is wrong, the run itself raises it
        return None
