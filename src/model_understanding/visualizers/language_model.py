"""GenerativeModelVisualizer: explains causal language models."""

from collections.abc import Callable, Sequence
from typing import Any

from model_understanding.attention.for_report import MapChoice
from model_understanding.attention.keep import AxisChoice, Keep
from model_understanding.attention.protocol import AttentionMapMethod
from model_understanding.attention.read import attention_for_report, query_key_of, read_attention
from model_understanding.attribution.choose import MethodChoice, check_method
from model_understanding.attribution.cost import ProgressChoice, estimate_of, with_progress
from model_understanding.attribution.run import attribute
from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.evaluation.protocol import Metric
from model_understanding.evaluation.run import evaluations_for_report
from model_understanding.lens.read import TOP, lens_for_report, lens_of_tokens
from model_understanding.model.attention_layout import layer_count
from model_understanding.model.causality import is_causal
from model_understanding.passes.runner import Runner
from model_understanding.results import (
    AttentionMap,
    Attribution,
    Generation,
    LogitLens,
    QueryKey,
    Report,
    Target,
)
from model_understanding.results.target import Quantity
from model_understanding.targets.language_model import Contrast, Span
from model_understanding.targets.names import CAUSAL_LM
from model_understanding.targets.vocabulary import VocabularyItem
from model_understanding.text.chat import is_chat
from model_understanding.text.encoding import Encoding
from model_understanding.visualizers.base import Visualizer
from model_understanding.visualizers.contrasts import check_alternatives, contrast_targets
from model_understanding.visualizers.generation_record import TOP_TOKENS, generation_of
from model_understanding.visualizers.heads import RankChoice, check_rank
from model_understanding.visualizers.plotting import shown
from model_understanding.visualizers.prompts import (
    Prompt,
    continued_prompt,
    encoded_prompt,
    prompt_of,
    steps_of,
)
from model_understanding.visualizers.questions import Question, TokenTarget, check_continuation, one_for_each


class GeneratorReadings(Visualizer):
    """What ``GenerativeModelVisualizer`` reads off its model; use that one."""

    task = CAUSAL_LM

    def __init__(self, name_or_model: Any = None, **options: Any) -> None:
        super().__init__(name_or_model, **options)
        if self.runner.model.config.model_type == "xlnet":
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
        return generation_of(self.runner.model, encoding, given=continuation is not None)

    def compute_attention(
        self,
        prompt: Prompt,
        continuation: str | None = None,
        layer: AxisChoice = -1,
        head: AxisChoice = "mean",
        map: str | AttentionMapMethod = "raw",
        *,
        queries: str | Sequence[int] = "steps",
        keep: Keep = "rows",
        max_new_tokens: int = 32,
        seed: int | None = None,
        temperature: float = 1.0,
        top_p: float = 1.0,
        top_k: int = 0,
        rank: RankChoice = None,
        top: int = 8,
    ) -> AttentionMap:
        """Return where the model looked while it wrote: decoding steps × context.

        The row of a step is the query that produced its token; the columns are all of prompt and
        continuation. All steps come from one forward.

        Args:
            prompt: A text, or chat messages.
            continuation: What follows; generated greedily where left out.
            layer: An index, several, ``"all"``, or ``"mean"`` or ``"max"`` over all.
            head: The same for heads.
            map: The map's name, or a map object, as ``Rollout(start_layer=2)``.
            queries: ``"steps"``; ``"prompt"`` for the prompt's attention to itself; or positions in prompt
                and continuation, whose tokens look.
            keep: What to keep of each layer: ``"rows"``, every weight; ``"top:16"``, each row's largest;
                ``"pooled:64"``, an overview of stretches of so many tokens; ``"mass"``, each key's mean
                weight; or a reducer. Layers of ``raw`` and ``value_weighted`` are reduced as they come, so
                that a long text needs no tokens² of memory; other maps are computed whole first.
            max_new_tokens: Most tokens to generate.
            seed: Sample the continuation with this seed, as ``generate`` does; the likeliest token at each
                step where left out.
            temperature: Temperature of sampling.
            top_p: Share of probability to sample from.
            top_k: How many of the likeliest tokens to sample from; 0 for all.
            rank: A head score (``score_heads`` lists them), or heads ranked already: the heads it puts first
                are held, of all layers or of a list of them. Scores that need a target ask for the
                continuation, or the prompt's loss.
            top: How many heads.

        Returns:
            The map; ``steps`` holds the tokens produced, ``left_out`` says what is not in it. With ``rank``,
            ``.ranking`` names the heads in order, and the map holds every layer and head in it.

        Raises:
            InputError: The prompt is empty or too long, or there is no such layer, head, query or reduction.
            UnsupportedModelError: The model has no attention, or one that cannot be read exactly.
        """
        if isinstance(queries, str) and queries not in ("steps", "prompt"):
            raise InputError(
                f"queries={queries!r} is unknown. Allowed: 'steps', 'prompt', or positions of tokens.",
                hint="Leave it out for steps.",
            )
        check_rank(rank)
        layer_count(self.runner.model.config)  # refuse before generating
        sampling = {"seed": seed, "temperature": temperature, "top_p": top_p, "top_k": top_k}
        encoding = (
            self._encode(prompt)
            if queries == "prompt"
            else self._continued(prompt, continuation, max_new_tokens, **sampling)
        )

        rows, steps = (None if isinstance(queries, str) else queries), None
        if queries == "steps":
            self._require_steps()
            rows, steps = steps_of(encoding)

        def attend(layer: AxisChoice, head: AxisChoice) -> AttentionMap:
            return read_attention(
                self.runner.model, encoding, layer, head, map, queries=rows, steps=steps, keep=keep
            )

        return self._of_ranked_heads(attend, encoding, layer, head, rank, top)

    def compute_logit_lens(
        self,
        prompt: Prompt,
        continuation: str | None = None,
        positions: int | Sequence[int] | None = None,
        top: int = TOP,
    ) -> LogitLens:
        """Return what each layer would say next, read through the model's own norm and head.

        Layer k is what enters block k (layer 0: the embeddings), the last layer what leaves the last block.
        Each goes through the very operations that the model runs after its last block — final norm,
        projection, head, soft caps, scales. The last layer's logits must come out as the model's own, else
        the model is refused. One forward serves all layers and positions.

        Args:
            prompt: A text, or chat messages.
            continuation: What follows; the prompt alone where left out (nothing is generated).
            positions: Where to read the next token, in tokens of prompt and continuation, counted from the
                end where negative: one or several. Left out: where each token of the continuation was
                chosen, or every position of a prompt alone.
            top: How many of the likeliest tokens to keep.

        Returns:
            The likeliest tokens of each layer, with entropies, the rank and probability of the model's own
            answer and of the token that follows, and the divergence from the model's own distribution.

        Raises:
            InputError: The prompt is empty or too long, or there is no such position.
            UnsupportedModelError: The model's layers cannot be read through its own head exactly.

        Reference:
            nostalgebraist, "interpreting GPT: the logit lens", LessWrong 2020.
        """
        return lens_of_tokens(self.runner.model, self._encode(prompt, continuation), positions, top)

    def compute_query_key(
        self,
        prompt: Prompt,
        layer: int = -1,
        head: int = 0,
        query: int = -1,
        *,
        continuation: str | None = None,
    ) -> QueryKey:
        """Return the products behind one head's weights: why a query looks at its keys as it does.

        Queries and keys are those that attention consumes, with rotary positions applied and groups shared
        out; ``Σᵢ scale · qᵢ · kᵢ`` plus what is added (masks and biases, given apart) goes into the softmax.
        That it gives the model's own weights is checked on every run.

        Args:
            prompt: A text, or chat messages.
            layer: The attention layer, counted from the end where negative.
            head: The head, likewise.
            query: The token that looks, likewise; of prompt and continuation.
            continuation: What follows; the prompt alone where left out.

        Returns:
            The query, its keys, and their weights.

        Raises:
            InputError: There is no such layer, head or token.
            UnsupportedModelError: The model has no attention, or its queries and keys cannot be found.
        """
        return query_key_of(self.runner.model, self._encode(prompt, continuation), layer, head, query)

    def _encode(self, prompt: Prompt, continuation: str | None = None) -> Encoding:
        return encoded_prompt(self.runner.model, prompt, continuation)

    def _continued(
        self,
        prompt: Prompt,
        continuation: str | None,
        max_new_tokens: int,
        *,
        runner: Runner | None = None,
        **sampling: Any,
    ) -> Encoding:
        return continued_prompt(runner or self.runner, prompt, continuation, max_new_tokens, **sampling)

    def _require_steps(self) -> None:
        if not is_causal(self.runner.model):
            raise UnsupportedModelError(
                f"{type(self.model).__name__} is not causal: one forward does not show its decoding steps.",
                hint="Use queries='prompt' for its attention over the prompt.",
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
            targets = question.of_likeliest(runner.model) or [
                question.targets(runner.model, one) for one in encodings
            ]
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
            return encoding if question.kind == "continuation" else prompt_of(self.runner.model, encoding)

        def explain(runner: Runner, encoding: Encoding) -> list[Attribution]:
            has_loss = target is None and (encoding.prompt_length or 0) > 1  # one token has no loss
            attributions = []
            for question in [main, Question(target="loss")] if has_loss else [main]:
                explained = explained_by(question, encoding)
                targets = question.targets(runner.model, explained)
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
                self.runner.model,
                encoding,
                given=continuation is not None,
                top=max(TOP_TOKENS, alternatives + 1),
            ),
            attributions=tuple(attributions),
            contrasts=contrasts,
            attention=attention_for_report(self.runner.model, encoding, maps, *steps_of(encoding))
            if is_causal(self.runner.model)
            else (),
            evaluations=evaluations_for_report(
                self.runner, explained_by(main, encoding), attributions[0], main.function, metrics
            )
            if evaluate
            else (),
            lens=lens_for_report(self.runner.model, encoding),
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
        return encoding, question.targets(self.runner.model, encoding), question.function

    def _answer_of(self, encoding: Encoding) -> Sequence[Target]:
        is_continued = encoding.prompt_length != len(encoding.tokens[0])
        return Question(target="continuation" if is_continued else "loss").targets(
            self.runner.model, encoding
        )

    def _encoding_of(self, attribution: Attribution) -> Encoding:
        length = int((attribution.tokens.segments == 0).sum()) or None
        return self.runner.model.encode(attribution.tokens, prompt_length=length)
