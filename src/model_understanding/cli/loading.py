"""From the model a user named to the visualizer that explains it."""

from typing import TYPE_CHECKING, Any

from model_understanding.cli.model_choice import ModelChoice, TaskName
from model_understanding.cli.progress import Steps

if TYPE_CHECKING:
    from model_understanding.visualizers import GenerativeModelVisualizer, ModelVisualizer


def loaded_visualizer(choice: ModelChoice, steps: Steps) -> "ModelVisualizer | GenerativeModelVisualizer":
    """Load a model for the task that was asked for, or else for the one its config names.

    Args:
        choice: The model and how to load it.
        steps: Told what is being done.

    Returns:
        Its visualizer.

    Raises:
        ModelUnderstandingError: The model cannot be loaded or is neither kind.
    """
    from model_understanding.demo_models import DEMO_MODELS, demo_model_folder

    if choice.name.startswith("demo:"):
        steps(f"Looking for {choice.name}")
        demo_model_folder(choice.name, progress=steps)
        steps(f"Loading {choice.name}")
        task = choice.task or TaskName(DEMO_MODELS[choice.name].task)
    else:
        steps("Starting torch and transformers")
        task = choice.task or _task_of(choice)
        steps(f"Loading {choice.name}")
    from model_understanding.visualizers import GenerativeModelVisualizer, ModelVisualizer

    kind = ModelVisualizer if task is TaskName.SEQUENCE_CLASSIFICATION else GenerativeModelVisualizer
    return kind(choice.name, **_options(choice))


def _task_of(choice: ModelChoice) -> TaskName:
    from model_understanding.loading import LoadingOptions, detect_task

    return TaskName(detect_task(choice.name, LoadingOptions(**_options(choice))))


def _options(choice: ModelChoice) -> dict[str, Any]:
    return {
        "device": choice.device,
        "dtype": None if choice.dtype is None else choice.dtype.value,
        "revision": choice.revision,
        "trust_remote_code": choice.trust_remote_code,
        "allow_pickle": choice.allow_pickle,
    }
