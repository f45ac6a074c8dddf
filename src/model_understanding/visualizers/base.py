"""What both visualizers share: loading a model, and assessing what explains it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from model_understanding.errors import InputError
from model_understanding.evaluation.run import assess
from model_understanding.loading import LoadingOptions, load
from model_understanding.passes.runner import Runner
from model_understanding.results import Attribution
from model_understanding.text.encoding import Encoding
from model_understanding.visualizers.heads import RanksHeads
from model_understanding.visualizers.plotting import DrawsReadings


class Visualizer(RanksHeads, DrawsReadings):
    """The common part of the visualizers; use one of its two kinds."""

    task: str

    def __init__(
        self,
        name_or_model: Any = None,
        *,
        model: Any = None,
        tokenizer: Any = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        revision: str | None = None,
        token: str | None = None,
        trust_remote_code: bool = False,
        allow_pickle: bool = False,
        device_map: str | dict[str, Any] | None = None,
    ) -> None:
        options = LoadingOptions(
            device=device,
            dtype=dtype,
            revision=revision,
            token=token,
            trust_remote_code=trust_remote_code,
            allow_pickle=allow_pickle,
            device_map=device_map,
        )
        self.runner = Runner(
            load(name_or_model, model=model, tokenizer=tokenizer, task=self.task, options=options)
        )

    @property
    def model(self) -> Any:
        """The model being explained."""
        return self.runner.model.module

    @property
    def tokenizer(self) -> Any:
        """Its tokenizer."""
        return self.runner.model.tokenizer

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.runner.model.loaded.provenance.model!r})"

    def _encoding_of(self, attribution: Attribution) -> Encoding:
        """Return the text of an attribution as this model sees it."""
        raise NotImplementedError

    def _evaluated(
        self,
        text: Any,
        method: Any,
        explain: Callable[[Any], Attribution],
        function: Callable[[Any], Any] | None,
        **options: Any,
    ) -> Any:
        """Assess attributions that are given, or explain a text by each method first."""
        several = isinstance(method, list | tuple)
        if isinstance(text, Attribution):
            attributions, several = [text], False
        elif isinstance(text, list) and text and all(isinstance(one, Attribution) for one in text):
            attributions, several = text, True
        else:
            attributions = [explain(one) for one in (method if several else [method])]
        if not attributions:
            raise InputError("No method was chosen.", hint="Pass method='default', or a list of names.")
        encoding = self._encoding_of(attributions[0])
        others = [
            one for one in attributions if not np.array_equal(one.tokens.ids, attributions[0].tokens.ids)
        ]
        if others:
            raise InputError(
                "The attributions are of different texts.", hint="Evaluate those of one text at a time."
            )
        found = assess(self.runner, encoding, attributions, function=function, **options)
        return found if several or len(found) > 1 else found[0]
