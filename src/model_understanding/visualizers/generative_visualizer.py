"""Explain causal language models."""

from collections.abc import Callable, Sequence
from typing import Any

from model_understanding.protocols import Metric
from model_understanding.results import Attribution, Report, Target
from model_understanding.results.target import Quantity
from model_understanding.runner import Encoding, Runner
from model_understanding.runner.chat import is_chat
from model_understanding.tasks.causal_lm import Contrast, Span
from model_understanding.tasks.vocabulary import VocabularyItem
from model_understanding.visualizers.alternatives import check_alternatives, contrast_targets
from model_understanding.visualizers.attention_reading import attention_for_report
from model_understanding.visualizers.attributing import attribute
from model_understanding.visualizers.costs import ProgressChoice, estimate_of, with_progress
from model_understanding.visualizers.evaluating import evaluations_for_report
from model_understanding.visualizers.generation_record import TOP_TOKENS, generation_of
from model_understanding.visualizers.generator_readings import GeneratorReadings
from model_understanding.visualizers.layer_readings import lens_for_report
from model_understanding.visualizers.method_choice import MethodChoice, check_method
from model_understanding.visualizers.prompts import Prompt, prompt_of, steps_of
from model_understanding.visualizers.report_attention import MapChoice
from model_understanding.visualizers.showing import shown
from model_understanding.visualizers.token_targets import (
    Question,
    TokenTarget,
    check_continuation,
    one_for_each,
)


class GenerativeModelVisualizer(GeneratorReadings):
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
        device_map: Spread the weights over devices (``"auto"``, or modules and their devices); gradient
            methods need all of them on accelerators, or the whole model on one device.

    Raises:
        LoadingError: The model cannot be loaded.
        UnsafeModelError: Loading it would run code the caller did not ask for.
        UnsupportedModelError: Its plain forward is no next-token distribution.
    """

    def compute_saliency(
        self,
        prompt: Prompt | list[Prompt],
        target: TokenTarget = "loss",
        *,
        continuation: str | list[str] | None = None,
        per_token: bool = False,
        span: Span | None = None,
        against: Contrast | None = None,
        token: VocabularyItem | Sequence[VocabularyItem] | None = None,
        method: MethodChoice = "default",
        quantity: Quantity = "log_prob",
        layer: int | None = None,
        max_new_tokens: int = 32,
        progress: ProgressChoice = None,
        estimate: bool = False,
    ) -> Any:
        """Return how much each token contributed.

        Args:
            prompt: A text, chat messages, or a list of them; those of one length share batches.
            target: ``"loss"``: the prompt's own language-model loss; ``"continuation"``: what follows;
                ``"next"``: the next token; the id or text of a token, or several: those as the next; or
                a function of the model's outputs that returns one number.
            continuation: What follows, for a list of prompts one for all or a list; generated greedily
                where left out.
            per_token: Whether each token of the continuation gets a row of its own.
            span: The part of the continuation that is explained (of the prompt for ``"loss"``): start and
                end in its tokens, or a piece of its text, as ``"Paris"``.
            against: What the difference is explained to. For ``"next"`` a token. For ``"continuation"`` a
                token for each explained step, or a text of as many tokens; each stands after the same
                tokens before it as the token it is compared with. ``"runner-up"`` is the likeliest other
                token at each step.
            token: Which next token to explain, or several; the likeliest where left out.
            method: A method's name, a method object, ``"default"`` or ``"fast"``; the result names it.
            quantity: ``log_prob``, ``logit`` or ``prob``. Over several tokens in one row ``log_prob`` is
                the logarithm of the probability of all of them, ``logit`` the sum of their logits, and
                ``prob`` is refused.
            layer: Attribute to the hidden states that enter this block (from 0, or from −1 at the end), by a
                gradient method; to the embeddings where left out.
            max_new_tokens: Most tokens to generate.
            progress: A function called between batches with the token positions run so far, forward and
                backward, and all there will be (``None`` for a method that cannot tell); it ends the run by
                returning ``False``. ``True`` for a bar, ``False`` for none; left out, a notebook gets a bar
                where the run takes long. The total of an adaptive method is its most; where it stops
                earlier, the last call has the smaller total. Generating is not counted.
            estimate: Return what this would cost instead of doing it. Nothing is generated: a continuation
                that is not given counts as one token at least and ``max_new_tokens`` at most. Whether the
                model is causal and keeps its cache is measured once for a model; beyond that it is not run.

        Returns:
            An ``Attribution`` over the prompt, or over prompt and continuation, with a row for each
            target; a list of them for a list of prompts. With ``estimate`` one ``Estimate`` for all of them.

        Raises:
            StoppedError: ``progress`` returned ``False``; the model is as it was.
            InputError: The prompt, the target or the method cannot be used.
            UnsupportedModelError: The method would give wrong numbers on this architecture.
        """
        question = Question(
            target=target, per_token=per_token, span=span, against=against, token=token, quantity=quantity
        )
        check_continuation(continuation, question)
        check_method(method)
        runner = self.runner.at_layer(layer)
        many = isinstance(prompt, list) and not is_chat(prompt)
        prompts: list[Any] = prompt if many else [prompt]  # pyright: ignore[reportAssignmentType]
        given = one_for_each(continuation, prompts, many)

        def encoded(runner: Runner) -> list[Encoding]:
            if question.kind != "continuation":
                return [self._encode(one) for one in prompts]
            return [
                self._continued(one, following, max_new_tokens, runner=runner)
                for one, following in zip(prompts, given, strict=True)
            ]

        def explain(runner: Runner, encodings: list[Encoding]) -> list[Attribution]:
            targets = question.of_likeliest(runner) or [question.targets(runner, one) for one in encodings]
            return attribute(runner, method, encodings, targets, question.function)

        if estimate:
            return estimate_of(runner, lambda runner: explain(runner, encoded(runner)), method)
        encodings = encoded(runner)
        found = with_progress(runner, lambda runner: explain(runner, encodings), progress)
        return found if many else found[0]

    def evaluate(
        self,
        prompt: Prompt | Attribution | list[Attribution],
        method: MethodChoice | Sequence[MethodChoice] = "default",
        target: TokenTarget = "continuation",
        *,
        continuation: str | None = None,
        max_new_tokens: int = 32,
        metrics: Sequence[str | Metric] | None = None,
        draws: int = 5,
        seed: int = 0,
        replacements: Sequence[str] | None = None,
        **question: Any,
    ) -> Any:
        """Return how far an explanation may be believed: metrics beside random orders, and a verdict.

        Tokens before what is explained are removed in place, and the fall of its log-probability is
        compared with what random orders of the same tokens do. The steps of a continuation are judged as
        the whole that they make. With 5 random orders at most ``1 + 4 · 6`` variants run for each of two
        replacements, from their first removed token on; a further method adds at most 8. Where these leave
        the verdict open, each of up to 64 tokens is removed alone too (of longer texts 40 more variants
        run). Metrics on request may run more: each says so in its ``cost``.

        Args:
            prompt: A text, chat messages, an attribution of this model, or several of one text.
            method: The attribution method, or a list of them.
            target: What is explained, as ``compute_saliency`` takes it.
            continuation: What follows; generated greedily where left out.
            max_new_tokens: Most tokens to generate.
            metrics: Metrics beside the default ones: names (``METRICS`` of ``registry.py`` lists them), or
                metrics with settings of their own, as ``Comprehensiveness(fractions=(0.1, 0.3))``.
            draws: Random orders, 5 or more.
            seed: Seed of these orders.
            replacements: What stands in for removed tokens: of ``pad``, ``mask``, ``mean``; the first two
                that fit the model where left out.
            **question: What else ``compute_saliency`` takes: ``per_token``, ``span``, ``against``,
                ``token``, ``quantity``.

        Returns:
            An ``Assessment``; a list of them for several methods or targets.

        Raises:
            InputError: The prompt, the target, the method or a metric cannot be used.
        """

        def explain(method: Any) -> Attribution:
            return self.compute_saliency(
                prompt,  # pyright: ignore[reportArgumentType]
                target,
                continuation=continuation,
                method=method,
                max_new_tokens=max_new_tokens,
                **question,
            )

        return self._evaluated(
            prompt,
            method,
            explain,
            target if callable(target) else None,
            metrics=metrics,
            draws=draws,
            seed=seed,
            replacements=replacements,
        )

    def analyze(
        self,
        prompt: Prompt,
        continuation: str | None = None,
        max_new_tokens: int = 32,
        *,
        method: MethodChoice = "default",
        target: TokenTarget | None = None,
        per_token: bool = True,
        span: Span | None = None,
        against: Contrast | None = None,
        alternatives: int = 0,
        quantity: Quantity = "log_prob",
        layer: int | None = None,
        progress: ProgressChoice = None,
        estimate: bool = False,
        evaluate: bool = True,
        metrics: Sequence[str | Metric] | None = None,
        maps: MapChoice = None,
        show: bool | None = None,
    ) -> Any:
        """Explain a continuation: the prompt's loss saliency, why each token, and where the model looked.

        Args:
            prompt: A text, or chat messages.
            continuation: What follows; generated greedily where left out.
            max_new_tokens: Most tokens to generate.
            method: The attribution method.
            target: What to explain instead, as ``compute_saliency`` takes it.
            per_token: Whether each token of the continuation gets a row of its own.
            span: The part of the continuation that is explained, as ``compute_saliency`` takes it.
            against: What the difference is explained to, as ``compute_saliency`` takes it.
            alternatives: How many of the likeliest other tokens of each step are explained too: why the
                token written and not this one, by ``logit(written) − logit(other)``. The page shows them
                where an alternative is clicked, ``Report.contrast`` returns one. Each costs a backward
                pass for each step; forwards are shared by all.
            quantity: ``log_prob``, ``logit`` or ``prob``.
            layer: Attribute to the hidden states that enter this block, as ``compute_saliency`` takes it.
            progress: Whom to tell how far the attribution is, as ``compute_saliency`` takes it.
            estimate: Return what the attributions would cost, as ``compute_saliency`` does.
            evaluate: Whether to measure how far the first attribution may be believed, as ``evaluate`` does,
                and put the verdict into the report: some 50 forwards, from the first removed token on, and
                up to 130 more where these leave it open.
            metrics: Metrics beside the default ones, as ``evaluate`` takes them.
            maps: Attention maps to keep beside the main one (the last layer, mean over heads), names or
                objects; left out, ``raw`` of all layers and heads and the cheap ones; ``()`` for none.
            show: Whether to show the report now; when left out a notebook shows the value returned, and
                a script or terminal gets colored text.

        Returns:
            The ``Report``: first why each token of the continuation, then the prompt's loss. With
            ``estimate`` an ``Estimate``.

        Raises:
            InputError: The prompt, the target, the method or the number of alternatives cannot be used.
        """
        check_method(method)
        asked = "continuation" if target is None else target
        each = per_token and asked == "continuation"
        main = Question(target=asked, per_token=each, span=span, against=against, quantity=quantity)
        check_alternatives(alternatives, main)

        def explained_by(question: Question, encoding: Encoding) -> Encoding:
            return encoding if question.kind == "continuation" else prompt_of(self.runner, encoding)

        def explain(runner: Runner, encoding: Encoding) -> list[Attribution]:
            has_loss = target is None and (encoding.prompt_length or 0) > 1  # one token has no loss
            attributions = []
            for question in [main, Question(target="loss")] if has_loss else [main]:
                explained = explained_by(question, encoding)
                targets = question.targets(runner, explained)
                attributions += attribute(runner, method, [explained], [targets], question.function)
            if alternatives:
                contrasts = contrast_targets(runner, encoding, alternatives, main)
                attributions += attribute(runner, method, [encoding], [contrasts])
            return attributions

        def continued(runner: Runner) -> Encoding:
            return self._continued(prompt, continuation, max_new_tokens, runner=runner)

        runner = self.runner.at_layer(layer)
        if estimate:
            return estimate_of(runner, lambda runner: explain(runner, continued(runner)), method)
        encoding = continued(runner)
        attributions = with_progress(runner, lambda runner: explain(runner, encoding), progress)
        contrasts = attributions.pop() if alternatives else None
        report = Report(
            generation=generation_of(
                self.runner, encoding, given=continuation is not None, top=max(TOP_TOKENS, alternatives + 1)
            ),
            attributions=tuple(attributions),
            contrasts=contrasts,
            attention=attention_for_report(self.runner, encoding, maps, *steps_of(encoding))
            if self.runner.is_causal
            else (),
            evaluations=evaluations_for_report(
                self.runner, explained_by(main, encoding), attributions[0], main.function, metrics
            )
            if evaluate
            else (),
            lens=lens_for_report(self.runner, encoding),
            heads=self._heads_of_report(encoding, attributions[0]),
            provenance=attributions[0].provenance,
        )
        return shown(report, show)

    def _explained(
        self,
        text: Any,
        target: TokenTarget | None,
        *,
        with_target: bool,
        continuation: str | None = None,
        max_new_tokens: int = 32,
        **parts: Any,
    ) -> tuple[Encoding, Sequence[Target] | None, Callable[[Any], Any] | None]:
        implied = "loss" if continuation is None else "continuation"
        question = Question(target=implied if target is None else target, **parts)
        check_continuation(continuation, question)
        is_continued = question.kind == "continuation"
        encoding = self._continued(text, continuation, max_new_tokens) if is_continued else self._encode(text)
        if not with_target:
            return encoding, None, None
        return encoding, question.targets(self.runner, encoding), question.function

    def _answer_of(self, encoding: Encoding) -> Sequence[Target]:
        is_continued = encoding.prompt_length != len(encoding.tokens[0])
        return Question(target="continuation" if is_continued else "loss").targets(self.runner, encoding)

    def _encoding_of(self, attribution: Attribution) -> Encoding:
        length = int((attribution.tokens.segments == 0).sum()) or None
        return self.runner.encode(attribution.tokens, prompt_length=length)
