"""Seq2SeqVisualizer: explains encoder–decoder language models, which translate, summarize or rewrite."""

from dataclasses import asdict, replace
from typing import Any

import torch

from model_understanding.attribution.choose import MethodChoice
from model_understanding.errors import InputError
from model_understanding.model.generation import decoder_start_ids, unused_settings
from model_understanding.model.guard import explanation
from model_understanding.model.model import Model
from model_understanding.passes.runner import Runner
from model_understanding.results import Attribution
from model_understanding.results.target import Quantity
from model_understanding.targets.language_model import Contrast, Span
from model_understanding.targets.names import SEQ2SEQ_LM
from model_understanding.text.encoding import Encoding
from model_understanding.text.ids import ids_in
from model_understanding.text.source_and_output import (
    joint_tokens,
    output_tokenizer,
    output_tokens,
    output_tokens_of_ids,
    source_tokenizer,
    split_of,
)
from model_understanding.tokens import Tokens
from model_understanding.visualizers.language_model import GenerativeModelVisualizer
from model_understanding.visualizers.prompts import Continuation, Prompt, Sampling, tokenized
from model_understanding.visualizers.target_spec import TargetSpec, TokenTarget, default_target

_GREEDY = (
    "The output was generated greedily, without {} of the generation config, so a pipeline may write another "
    "one. Pass its output as continuation to explain that one."
)


class Seq2SeqVisualizer(GenerativeModelVisualizer):
    """Explain an encoder–decoder: why it writes each token, from the source and from what it wrote before.

    It has the methods of ``GenerativeModelVisualizer``. The prompt is the source text; the continuation is
    the output, generated greedily where it is left out. A given output is tokenized as a target, with the end
    token; one that the model generated is never tokenized again. The decoder starts as in transformers: with
    its start token and, where the settings or the language have one, a forced first token.

    The scores are over the tokens of both: of the source, and of the output before the explained token.

    Args:
        name_or_model: A hub id, a folder, a model or a pipeline.
        model: A loaded model, instead of the first argument.
        tokenizer: Its tokenizer; needed with a loaded model.
        target_tokenizer: The tokenizer of outputs, where it is another one (a decoder of another model).
        source_language: Language of the sources, for tokenizers that name languages (mBART, NLLB, M2M-100);
            what the tokenizer is set to if left out.
        target_language: Language of the outputs, likewise.
        device: Where to run; a GPU if there is one, when left out.
        dtype: Data type to load the weights in.
        revision: Commit, branch or tag on the hub.
        token: Access token for the hub.
        trust_remote_code: Whether to run code that comes with the checkpoint.
        allow_pickle: Whether to load weights from pickles, which can run code.
        device_map: Spread the weights over devices (``"auto"``, or modules and their devices); gradient
            methods need all of them on accelerators, or the whole model on one device.

    Raises:
        InputError: The tokenizer has no such language, or needs to be given one.
        LoadingError: The model cannot be loaded.
        UnsafeModelError: Loading it would run code that was not allowed.
    """

    task = SEQ2SEQ_LM
    _alone = "next"

    @explanation()
    def __init__(
        self,
        name_or_model: Any = None,
        *,
        model: Any = None,
        tokenizer: Any = None,
        target_tokenizer: Any = None,
        source_language: str | None = None,
        target_language: str | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        revision: str | None = None,
        token: str | None = None,
        trust_remote_code: bool = False,
        allow_pickle: bool = False,
        device_map: str | dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            name_or_model,
            model=model,
            tokenizer=tokenizer,
            device=device,
            dtype=dtype,
            revision=revision,
            token=token,
            trust_remote_code=trust_remote_code,
            allow_pickle=allow_pickle,
            device_map=device_map,
        )
        loaded = self.runner.model.loaded
        outputs = loaded.tokenizer if target_tokenizer is None else target_tokenizer
        loaded = replace(
            loaded,
            tokenizer=source_tokenizer(loaded.tokenizer, source_language),
            output_tokenizer=output_tokenizer(outputs, target_language),
            provenance=replace(
                loaded.provenance, source_language=source_language, target_language=target_language
            ),
        )
        self.runner = Runner(loaded)
        self._start = decoder_start_ids(self.runner.model)
        if target_tokenizer is None and loaded.output_tokenizer is loaded.tokenizer:
            _require_one_vocabulary(self.runner.model)

    def _check_model(self) -> None:
        pass

    def _encode(self, prompt: Prompt, continuation: Continuation | None = None) -> Encoding:
        output = None if continuation is None else self._output_tokens(continuation)
        return self._joint(*tokenized(self.runner.model.tokenizer, prompt), output)

    def _continued(
        self,
        prompt: Prompt,
        continuation: Continuation | None,
        max_new_tokens: int,
        sampling: Sampling | None = None,
        *,
        runner: Runner | None = None,
    ) -> Encoding:
        if continuation is not None:
            return self._encode(prompt, continuation)
        source, cautions = tokenized(self.runner.model.tokenizer, prompt)
        ids = (runner or self.runner).generate(
            self._joint(source, cautions, None),
            max_new_tokens=max_new_tokens,
            **asdict(sampling or Sampling()),
        )
        output = output_tokens_of_ids(self.runner.model.output_tokenizer, ids)
        is_greedy = sampling is None or sampling.seed is None
        unused = unused_settings(self.runner.model, ids) if is_greedy else []
        if unused:
            cautions = (*cautions, _GREEDY.format(" and ".join(unused)))
        return self._joint(source, cautions, output)

    def _joint(self, source: Tokens, cautions: tuple[str, ...], output: Tokens | None) -> Encoding:
        """Return a source, what the decoder starts with, and an output if there is one, as one encoding."""
        model = self.runner.model
        tokens = joint_tokens(model.output_tokenizer, source, self._start, output)
        return model.encode(
            tokens,
            prompt_length=len(source) + len(self._start),
            source_length=len(source),
            cautions=cautions,
        )

    def _output_tokens(self, continuation: Continuation) -> Tokens:
        """Return the tokens of an output that is given as a text or as ids."""
        tokenizer = self.runner.model.output_tokenizer
        ids = ids_in(continuation, "continuation")
        if ids is not None:
            return output_tokens_of_ids(tokenizer, ids, self._start)
        return output_tokens(tokenizer, continuation, self._start)  # pyright: ignore[reportArgumentType]

    def _encoding_of(self, attribution: Attribution) -> Encoding:
        split = split_of(attribution.tokens)
        if split is None:
            raise InputError(
                "The attribution is not of an encoder–decoder's source and output.",
                hint="Pass an attribution that this visualizer computed.",
            )
        source_length, prompt_length = split
        return self.runner.model.encode(
            attribution.tokens, prompt_length=prompt_length, source_length=source_length
        )

    def _default_target(self, target: TokenTarget | None, continuation: object) -> TokenTarget:
        _refuse_loss(target)
        return "continuation" if target is None else default_target(target, continuation)

    def _analysis_specs(
        self,
        method: MethodChoice,
        target: TokenTarget | None,
        against: Contrast | None,
        quantity: Quantity,
        per_token: bool,
        span: Span | None,
        alternatives: int,
    ) -> tuple[TargetSpec, ...]:
        _refuse_loss(target)
        specs = super()._analysis_specs(method, target, against, quantity, per_token, span, alternatives)
        return specs[:1]


def _require_one_vocabulary(model: Model) -> None:
    """Raise InputError where encoder and decoder have vocabularies of their own, for one tokenizer."""
    parts = (getattr(model.config, part, None) for part in ("encoder", "decoder"))
    source, output = (getattr(part, "vocab_size", None) for part in parts)
    if source is not None and output is not None and source != output:
        raise InputError(
            f"The encoder of {model.name} has a vocabulary of {source} tokens, its decoder one of {output}, "
            "and there is one tokenizer.",
            hint="Pass the decoder's as target_tokenizer=….",
        )


def _refuse_loss(target: TokenTarget | None) -> None:
    """Raise InputError where the loss of a prompt is asked for, which is a source here."""
    if isinstance(target, str) and target == "loss":
        raise InputError(
            "An encoder–decoder predicts its output, not its source, so the source has no loss.",
            hint="Pass target='continuation': the log-probability of the output, which is −loss × tokens.",
        )
