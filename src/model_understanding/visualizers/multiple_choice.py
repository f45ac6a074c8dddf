"""MultipleChoiceVisualizer: explains models that choose one of several answers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from model_understanding.results import Target
from model_understanding.results.target import Quantity
from model_understanding.statistics import softmax
from model_understanding.targets.choices import choice_target
from model_understanding.targets.names import MULTIPLE_CHOICE
from model_understanding.text.encoding import Encoding
from model_understanding.visualizers.choosing import ChoosingVisualizer, Compared, Question


class MultipleChoiceVisualizer(ChoosingVisualizer[Question]):
    """Explain a multiple choice model: which words of question and choice led to each choice's logit.

    An input is a (question, choices) tuple, for example ``("The sky is", ["blue.", "made of cheese."])``, or
    a mapping with these two keys. The answer is ``Choices``, whose probabilities are a softmax over all of
    them. A target is a choice, or its index; by default a report has a map for each choice, the likeliest
    first, and other results explain the likeliest. Its logit depends on the question and this choice alone.

    Args:
        name_or_model: A hub id, a folder, a model or a ``transformers`` pipeline.
        model: A loaded model, instead of the first argument.
        tokenizer: Its tokenizer; needed with a loaded model.
        device: Where to run; a GPU if there is one, when left out.
        dtype: Data type to load the weights in.
        revision: Commit, branch or tag on the hub.
        token: Access token for the hub.
        trust_remote_code: Whether to run code that comes with the checkpoint.
        allow_pickle: Whether to load weights from pickles, which can run code.
        device_map: Spread the weights over devices, as ``ModelVisualizer`` takes it.

    Raises:
        LoadingError: The model cannot be loaded.
        UnsafeModelError: Loading it would run code that was not allowed.
    """

    task = MULTIPLE_CHOICE
    kind = "choice"
    without_lens = "the output for a question and one choice is a single number"

    def _answers(self, encodings: Sequence[Encoding]) -> Sequence[float]:
        model = self.runner.model
        return model.logits(model.batch(encodings))[:, 0, 0].float().cpu().tolist()

    def _compared(self, answers: Sequence[Any]) -> Compared:
        values = np.array(answers, dtype=np.float64)
        return Compared(values, softmax(values))

    def _target(self, name: str, choices: int, quantity: Quantity) -> Target:
        return choice_target(name, quantity)
