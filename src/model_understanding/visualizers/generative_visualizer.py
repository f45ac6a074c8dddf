"""Explain causal language models."""

from collections.abc import Callable
from typing import Any

from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.protocols import AttributionMethod
from model_understanding.results import AttentionMap, Attribution, Generation, Report, Target
from model_understanding.results.target import Quantity
from model_understanding.runner import Encoding
from model_understanding.runner.attention_capture import layer_count
from model_understanding.runner.chat import Messages, is_chat, tokenize_chat
from model_understanding.runner.continuation import generated_tokens, joined
from model_understanding.runner.tokenization import tokenize
from model_understanding.tasks import CAUSAL_LM
from model_understanding.tasks.causal_lm import (
    VocabularyItem,
    check_quantity,
    continuation_targets,
    loss_target,
    next_target,
    vocabulary_id,
)
from model_understanding.tokens import Tokens
from model_understanding.visualizers.attributing import attribute, method_of
from model_understanding.visualizers.base import AxisChoice, Visualizer
from model_understanding.visualizers.generation_record import generation_of

Prompt = str | Messages
TokenTarget = str | int | Callable[[Any], Any]


class GenerativeModelVisualizer(Visualizer):
    """Explain a causal language model: why it says what it says, token by token.

    Args:
        name_or_model: A hub id, a folder, ``demo:smollm2``, a ``.gguf`` file, a model or a pipeline.
        model: A loaded model, in place of the first.
        tokenizer: Its tokenizer; needed with a loaded model.
        device: Where to run; a GPU where there is one, when left out.
        dtype: Number type to load the weights in.
        revision: Commit, branch or tag on the hub.
        token: Access token of the hub.
        trust_remote_code: Run code that comes with the checkpoint; never unless asked.
        allow_pickle: Load weights from pickles, which can run code; never unless asked.

    Raises:
        LoadingError: The model cannot be loaded.
        UnsafeModelError: Loading it would run code the caller did not ask for.
        UnsupportedModelError: Its plain forward is no next-token distribution.
    """

    task = CAUSAL_LM

    def __init__(self, name_or_model: Any = None, **options: Any) -> None:
        super().__init__(name_or_model, **options)
        if self.runner.config.model_type == "xlnet":
            raise UnsupportedModelError(
                "XLNet predicts permuted positions: its plain forward is no next-token distribution.",
                hint="Explain an XLNet classifier with ModelVisualizer, or another language model here.",
            )

    def generate(
        self,
        prompt: Prompt,
        max_new_tokens: int = 32,
        *,
        continuation: str | None = None,
        seed: int | None = None,
        temperature: float = 1.0,
        top_p: float = 1.0,
        top_k: int = 0,
    ) -> Generation:
        """Return what the model says after a prompt, with how sure it was at each step.

        Args:
            prompt: A text, or chat messages.
            max_new_tokens: Most tokens to generate.
            continuation: A given continuation, scored instead of generating one.
            seed: Sample with this seed; the likeliest token at each step where left out.
            temperature: Temperature of sampling.
            top_p: Share of probability to sample from.
            top_k: How many of the likeliest tokens to sample from; 0 for all.

        Returns:
            Prompt and continuation, with each step's probability, entropy and likeliest tokens.

        Raises:
            InputError: The prompt or the continuation is empty or too long.
        """
        encoding = self._continued(
            prompt, continuation, max_new_tokens, seed=seed, temperature=temperature, top_p=top_p, top_k=top_k
        )
        return generation_of(self.runner, encoding, given=continuation is not None)

    def compute_saliency(
        self,
        prompt: Prompt,
        target: TokenTarget = "loss",
        *,
        continuation: str | None = None,
        per_token: bool = False,
        against: VocabularyItem | None = None,
        token: VocabularyItem | None = None,
        method: str | AttributionMethod = "default",
        quantity: Quantity = "log_prob",
        max_new_tokens: int = 32,
    ) -> Attribution:
        """Return how much each token contributed.

        Args:
            prompt: A text, or chat messages.
            target: ``"loss"``: the prompt's own language-model loss; ``"continuation"``: what follows;
                ``"next"``: the next token; the id or text of a token: that token as the next; or a
                function of the model's outputs that returns one number.
            continuation: What follows; generated greedily where left out.
            per_token: Whether each token of the continuation gets a row of its own.
            against: A token: the difference to it is explained (``"next"`` only).
            token: Which next token to explain; the likeliest where left out.
            method: A method's name or a method object.
            quantity: ``log_prob``, ``logit`` or ``prob``.
            max_new_tokens: Most tokens to generate.

        Returns:
            An attribution over the prompt, or over prompt and continuation, with a row for each target.

        Raises:
            InputError: The prompt, the target or the method cannot be used.
            UnsupportedModelError: The method would give wrong numbers on this architecture.
        """
        if continuation is not None and target != "continuation":
            raise InputError(
                f"A continuation belongs to target='continuation'. Got target={target!r}.",
                hint="Pass target='continuation'.",
            )
        encoding, targets, function = self._asked(
            target,
            prompt=lambda: self._encode(prompt),
            continued=lambda: self._continued(prompt, continuation, max_new_tokens),
            per_token=per_token,
            against=against,
            token=token,
            quantity=quantity,
        )
        return attribute(self.runner, method_of(method), [encoding], [targets], function)[0]

    def compute_attention(
        self,
        prompt: Prompt,
        continuation: str | None = None,
        layer: AxisChoice = -1,
        head: AxisChoice = "mean",
        map: str = "raw",
        *,
        queries: str = "steps",
        max_new_tokens: int = 32,
    ) -> AttentionMap:
        """Return where the model looked while it wrote: decoding steps × context.

        The row of a step is the query that produced its token; the columns are all of prompt and
        continuation. All steps come from one forward.

        Args:
            prompt: A text, or chat messages.
            continuation: What follows; generated greedily where left out.
            layer: An index, several, ``"all"``, or ``"mean"`` or ``"max"`` over all.
            head: The same for heads.
            map: The map's name.
            queries: ``"steps"``, or ``"prompt"`` for the prompt's attention to itself.
            max_new_tokens: Most tokens to generate.

        Returns:
            The map; ``steps`` holds the tokens produced.

        Raises:
            InputError: The prompt is empty or too long, or there is no such layer or head.
            UnsupportedModelError: The model has no attention, or one that cannot be read exactly.
        """
        if queries == "prompt":
            return self._attention(self._encode(prompt), layer, head, map)
        if queries != "steps":
            raise InputError(
                f"queries={queries!r} is unknown. Allowed: 'steps', 'prompt'.", hint="Leave it out for steps."
            )
        layer_count(self.runner.config)  # refuse before generating
        return self._step_attention(self._continued(prompt, continuation, max_new_tokens), layer, head, map)

    def analyze(
        self,
        prompt: Prompt,
        continuation: str | None = None,
        max_new_tokens: int = 32,
        *,
        method: str | AttributionMethod = "default",
        target: TokenTarget | None = None,
        per_token: bool = True,
        against: VocabularyItem | None = None,
        quantity: Quantity = "log_prob",
        show: bool | None = None,
    ) -> Report:
        """Explain a continuation: the prompt's loss saliency, why each token, and where the model looked.

        Args:
            prompt: A text, or chat messages.
            continuation: What follows; generated greedily where left out.
            max_new_tokens: Most tokens to generate.
            method: The attribution method.
            target: What to explain instead, as ``compute_saliency`` takes it.
            per_token: Whether each token of the continuation gets a row of its own.
            against: A token: the difference to it is explained (a next token only).
            quantity: ``log_prob``, ``logit`` or ``prob``.
            show: Whether to show the report now; when left out a notebook shows the value returned, and
                a script or terminal gets coloured text.

        Returns:
            The report: first why each token of the continuation, then the prompt's loss.
        """
        chosen = method_of(method)
        encoding = self._continued(prompt, continuation, max_new_tokens)
        wanted: list[TokenTarget] = ["continuation" if target is None else target]
        prompt_length = encoding.prompt_length or 0
        if target is None and prompt_length > 1:  # one token has no loss
            wanted.append("loss")
        attributions = []
        for one in wanted:
            explained, targets, function = self._asked(
                one,
                prompt=lambda: self._prompt_of(encoding),
                continued=lambda: encoding,
                per_token=per_token and one == "continuation",
                against=against,
                token=None,
                quantity=quantity,
            )
            attributions += attribute(self.runner, chosen, [explained], [targets], function)
        report = Report(
            generation=generation_of(self.runner, encoding, given=continuation is not None),
            attributions=tuple(attributions),
            attention=self._attention_where_possible(
                lambda: self._step_attention(encoding, -1, "mean", "raw")
            ),
            provenance=attributions[0].provenance,
        )
        return self._shown(report, show)

    def _compute_saliency_of(self, text: Any) -> Attribution:
        return self.compute_saliency(text)

    def _compute_attention_of(self, text: Any) -> AttentionMap:
        return self.compute_attention(text)

    def _tokenized(self, prompt: Prompt) -> tuple[Tokens, dict[str, list[int]]]:
        if is_chat(prompt):
            return tokenize_chat(self.tokenizer, prompt)  # pyright: ignore[reportArgumentType]
        return tokenize(self.tokenizer, prompt)  # pyright: ignore[reportArgumentType]

    def _encode(self, prompt: Prompt) -> Encoding:
        tokens, _ = self._tokenized(prompt)
        return self.runner.encode(tokens, prompt_length=len(tokens))

    def _prompt_of(self, encoding: Encoding) -> Encoding:
        """Return the prompt's part of a continued encoding, as an encoding of its own."""
        length = encoding.prompt_length
        assert length is not None
        whole = encoding.tokens[0]
        part = whole.select(range(length))
        prompt = Tokens(
            texts=whole.texts[:1],
            pieces=part.pieces,
            ids=part.ids,
            segments=part.segments,
            offsets=part.offsets,
            words=part.words,
            special=part.special,
        )
        return self.runner.encode(prompt, prompt_length=length)

    def _continued(
        self, prompt: Prompt, continuation: str | None, max_new_tokens: int, **sampling: Any
    ) -> Encoding:
        """Return prompt and continuation as one encoding; the continuation is never re-tokenised."""
        tokens, inputs = self._tokenized(prompt)
        if continuation is None:
            ids = self.runner.generate(
                tokens, {"input_ids": inputs["input_ids"]}, max_new_tokens=max_new_tokens, **sampling
            )
            following = generated_tokens(self.tokenizer, tokens, ids)
        else:
            following, _ = tokenize(self.tokenizer, continuation, special_tokens=False)
        return self.runner.encode(joined(tokens, following), prompt_length=len(tokens))

    def _continuation_targets(
        self, encoding: Encoding, *, per_token: bool, quantity: Quantity
    ) -> tuple[Target, ...]:
        tokens = encoding.tokens[0]
        assert encoding.prompt_length is not None
        following = range(encoding.prompt_length, len(tokens))
        return continuation_targets(
            tokens.ids.tolist(),
            encoding.prompt_length,
            tokens.select(following).surfaces(),
            per_token=per_token,
            quantity=quantity,
        )

    def _asked(
        self,
        target: TokenTarget,
        *,
        prompt: Callable[[], Encoding],
        continued: Callable[[], Encoding],
        per_token: bool,
        against: VocabularyItem | None,
        token: VocabularyItem | None,
        quantity: Quantity,
    ) -> tuple[Encoding, tuple[Target, ...], Callable[[Any], Any] | None]:
        """Return what a target asks for: the encoding, the targets on it, the caller's function."""
        named = target if isinstance(target, str) and target in ("loss", "continuation", "next") else None
        if per_token and named != "continuation":
            raise InputError(
                f"per_token belongs to target='continuation'. Got target={target!r}.",
                hint="Pass target='continuation'.",
            )
        if named in ("loss", "continuation") and (against is not None or token is not None):
            raise InputError(
                f"A contrast or a chosen token belongs to target='next'. Got target={target!r}.",
                hint="Pass target='next'.",
            )
        if named == "continuation":
            encoding = continued()
            return (
                encoding,
                self._continuation_targets(encoding, per_token=per_token, quantity=quantity),
                None,
            )
        encoding = prompt()
        if named == "loss":
            return encoding, (loss_target(encoding.tokens[0].ids.tolist()),), None
        if callable(target):
            name = getattr(target, "__name__", type(target).__name__)
            return encoding, (Target(task=self.task, quantity="custom", name=name),), target
        wanted = token if named == "next" else target
        return encoding, (self._next_target(encoding, wanted, against, quantity),), None

    def _next_target(
        self, encoding: Encoding, token: Any, against: VocabularyItem | None, quantity: Quantity
    ) -> Target:
        check_quantity(quantity)
        last = len(encoding.tokens[0]) - 1
        vocabulary = self.runner.config.get_text_config().vocab_size
        if token is None:
            chosen = int(self.runner.logits(encoding, keep_from=last)[0, -1].argmax())
        else:
            chosen = vocabulary_id(self.tokenizer, vocabulary, token)
        return next_target(self.tokenizer, vocabulary, last, chosen, against, quantity)

    def _step_attention(
        self, encoding: Encoding, layer: AxisChoice, head: AxisChoice, map: str
    ) -> AttentionMap:
        if not self.runner.is_causal:
            raise UnsupportedModelError(
                f"{type(self.model).__name__} is not causal: one forward does not show its decoding steps.",
                hint="Use queries='prompt' for its attention over the prompt.",
            )
        assert encoding.prompt_length is not None
        tokens = encoding.tokens[0]
        steps = range(encoding.prompt_length, len(tokens))
        return self._attention(
            encoding, layer, head, map, queries=[step - 1 for step in steps], steps=tokens.select(steps)
        )
