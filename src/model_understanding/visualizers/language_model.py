"""GenerativeModelVisualizer: explains causal language models."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, overload

import numpy as np

from model_understanding.answer_map.compute import mapped_answer, require_sources
from model_understanding.answer_map.steps import DOCUMENTS
from model_understanding.attention.capture.record import recorded_once
from model_understanding.attention.for_report import MapChoice
from model_understanding.attention.keep import AxisChoice, Keep
from model_understanding.attention.protocol import AttentionMapMethod
from model_understanding.attention.read import attention_for_report, query_key_of, read_attention
from model_understanding.attribution.choose import MethodChoice, check_method
from model_understanding.attribution.cost import ProgressChoice, as_part, estimate_of, with_progress
from model_understanding.attribution.isolation import Errors, attempted, in_place, readable, skips
from model_understanding.attribution.run import attribute
from model_understanding.checks import takes_former_names
from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.evaluation.protocol import Metric
from model_understanding.evaluation.run import evaluations_for_report
from model_understanding.head_scores.run import HeadScoreChoice
from model_understanding.lens.read import TOP, StepsPass, lens_of_tokens
from model_understanding.model.attention_layout import Stack
from model_understanding.model.causality import is_causal
from model_understanding.model.guard import explanation
from model_understanding.model_diff.compute import ModelPair
from model_understanding.passes.runner import Runner
from model_understanding.results import (
    AnswerMap,
    Assessment,
    AttentionMap,
    Attribution,
    Estimate,
    Evaluation,
    Failure,
    Generation,
    HeadScores,
    Ledger,
    LogitLens,
    ModelDiff,
    ModelDiffSummary,
    QueryKey,
    Report,
    Target,
)
from model_understanding.results.target import Quantity
from model_understanding.show.progress import READING, TESTING
from model_understanding.targets.language_model import Contrast, Span
from model_understanding.targets.names import CAUSAL_LM
from model_understanding.targets.vocabulary import VocabularyItem
from model_understanding.text.chat import Chat, Messages
from model_understanding.text.encoding import Encoding
from model_understanding.visualizers.base import Visualizer
from model_understanding.visualizers.contrasts import check_alternatives, contrast_targets
from model_understanding.visualizers.generation_record import TOP_TOKENS, generation_of
from model_understanding.visualizers.heads import (
    RankChoice,
    attention_of_heads,
    check_rank,
    chosen_head_scores,
    head_scores_for_report,
    needs_target,
    scores_of_heads,
)
from model_understanding.visualizers.ledgers import computed_ledger
from model_understanding.visualizers.model_diffs import (
    computed_model_diff,
    other_visualizer,
    summarized_model_diffs,
)
from model_understanding.visualizers.plotting import show_if_wanted
from model_understanding.visualizers.prompts import (
    Continuation,
    Ids,
    Prompt,
    Prompts,
    Sampling,
    continuation_for_each,
    continued_prompt,
    encoded_prompt,
    prompt_of,
    steps_of,
)
from model_understanding.visualizers.report_parts import ReportParts
from model_understanding.visualizers.sourced_prompts import (
    require_answer,
    require_room_for_answer,
    sourced_prompt,
    with_cautions_of_answer,
)
from model_understanding.visualizers.target_spec import TargetSpec, TokenTarget, default_target
from model_understanding.visualizers.texts import check_parts, in_chunks, reports_of, texts_of

OneTarget = VocabularyItem | Callable[[Any], Any] | None


class GenerativeModelVisualizer(Visualizer):
    """Explain a causal language model: why it says what it says, token by token.

    Args:
        name_or_model: A hub id, a folder, ``demo:smollm2``, a ``.gguf`` file, a model or a pipeline.
        model: A loaded model, instead of the first argument.
        tokenizer: Its tokenizer; needed with a loaded model.
        device: Where to run; a GPU if there is one, when left out.
        dtype: Data type to load the weights in.
        revision: Commit, branch or tag on the hub.
        token: Access token for the hub.
        trust_remote_code: Whether to run code that comes with the checkpoint.
        allow_pickle: Whether to load weights from pickles, which can run code.
        device_map: Spread the weights over devices (``"auto"``, or modules and their devices); gradient
            methods need all of them on accelerators, or the whole model on one device.

    Raises:
        LoadingError: The model cannot be loaded.
        UnsafeModelError: Loading it would run code that was not allowed.
        UnsupportedModelError: The model's forward pass gives no next-token distribution.
    """

    task = CAUSAL_LM
    _alone: Literal["loss", "next"] = "loss"  # what is explained of a prompt without a continuation

    @explanation()
    def generate(
        self,
        prompt: Prompt,
        *,
        continuation: Continuation | None = None,
        max_new_tokens: int = 32,
        seed: int | None = None,
        temperature: float = 1.0,
        top_p: float = 1.0,
        top_k: int = 0,
    ) -> Generation:
        """Return what the model says after a prompt, with how sure it was at each step.

        Args:
            prompt: A text, chat messages, or token ids.
            continuation: A given continuation, scored instead of generating one.
            max_new_tokens: Most tokens to generate.
            seed: Sample with this seed; if left out, the likeliest token is taken at each step.
            temperature: Temperature of sampling.
            top_p: Share of the probability to sample from.
            top_k: How many of the likeliest tokens to sample from; 0 for all.

        Returns:
            Prompt and continuation, with each step's probability, entropy and likeliest tokens.

        Raises:
            InputError: The prompt or the continuation is empty or too long.
        """
        sampling = Sampling(seed=seed, temperature=temperature, top_p=top_p, top_k=top_k)
        encoding = self._continued(prompt, continuation, max_new_tokens, sampling)
        return generation_of(
            self.runner.model, encoding, given=continuation is not None, sampled=seed is not None
        )

    @overload
    def compute_saliency(  # pyright: ignore[reportOverlappingOverload]  # a string is an iterable of strings
        self,
        prompt: Prompt,
        *,
        continuation: Continuation | None = None,
        method: MethodChoice = "default",
        target: TokenTarget | None = None,
        against: Contrast | None = None,
        quantity: Quantity = "log_prob",
        layer: int | None = None,
        per_token: bool = False,
        span: Span | None = None,
        max_new_tokens: int = 32,
        errors: Errors = "raise",
        progress: ProgressChoice = None,
    ) -> Attribution: ...
    @overload
    def compute_saliency(
        self,
        prompt: Prompts,
        *,
        continuation: Continuation | list[str] | list[Ids] | None = None,
        method: MethodChoice = "default",
        target: TokenTarget | None = None,
        against: Contrast | None = None,
        quantity: Quantity = "log_prob",
        layer: int | None = None,
        per_token: bool = False,
        span: Span | None = None,
        max_new_tokens: int = 32,
        errors: Literal["raise"] = "raise",
        progress: ProgressChoice = None,
    ) -> list[Attribution]: ...
    @overload
    def compute_saliency(
        self,
        prompt: Prompts,
        *,
        continuation: Continuation | list[str] | list[Ids] | None = None,
        method: MethodChoice = "default",
        target: TokenTarget | None = None,
        against: Contrast | None = None,
        quantity: Quantity = "log_prob",
        layer: int | None = None,
        per_token: bool = False,
        span: Span | None = None,
        max_new_tokens: int = 32,
        errors: Errors,
        progress: ProgressChoice = None,
    ) -> list[Attribution | Failure]: ...
    @explanation()
    def compute_saliency(
        self,
        prompt: Prompt | Prompts,
        *,
        continuation: Continuation | list[str] | list[Ids] | None = None,
        method: MethodChoice = "default",
        target: TokenTarget | None = None,
        against: Contrast | None = None,
        quantity: Quantity = "log_prob",
        layer: int | None = None,
        per_token: bool = False,
        span: Span | None = None,
        max_new_tokens: int = 32,
        errors: Errors = "raise",
        progress: ProgressChoice = None,
    ) -> Attribution | list[Attribution] | list[Attribution | Failure]:
        """Return how much each token contributed.

        Args:
            prompt: A text, chat messages, ``Words`` or token ids; or many of them: a list,
                ``pandas.Series``, array, column of a data set or generator. Those of one length share
                batches.
            continuation: What follows the prompt; for a list of prompts one for all, or a list. With
                ``target="continuation"`` it is generated greedily if left out.
            method: A method's name, a method object, ``"default"`` or ``"fast"``; the result names it.
            target: ``"continuation"``: what follows; ``"loss"``: the prompt's own language-model loss;
                ``"next"``: the likeliest next token; the text or id of a token, or several: these as the
                next token; or a function of the model's outputs that returns one number. If left out: the
                continuation if one is given, else the loss. A token whose text is one of these three words
                is given by its id, or in a list, as ``["next"]``.
            against: What the target is compared with: the difference is explained. For a next token another
                token. For ``"continuation"`` a token for each explained step, or a text of as many tokens;
                each stands after the same tokens as the token it is compared with. ``"runner-up"`` is the
                likeliest other token at each step.
            quantity: ``log_prob``, ``logit`` or ``prob``. Over several tokens in one row ``log_prob`` is
                the logarithm of the probability of all of them, ``logit`` the sum of their logits, and
                ``prob`` is refused.
            layer: Attribute to the hidden states that enter this transformer block (from 0, or from −1 at
                the end), by a gradient method; to the embeddings if left out.
            per_token: Whether each token of the continuation gets a row of its own, or all of them one row.
                (``analyze`` gives each its own unless told otherwise.)
            span: The part of the continuation that is explained (of the prompt for ``"loss"``): start and
                end in its tokens, or a piece of its text, as ``"Paris"``.
            max_new_tokens: Most tokens to generate.
            errors: Of many prompts, what to do with one that fails (too long, empty): ``"raise"`` its error,
                or ``"skip"`` it. Then a ``Failure``, which is false, stands in its place with the reason.
            progress: A function called between batches with the token positions run so far, forward and
                backward, and their total (``None`` if the method cannot tell); it stops the run by returning
                ``False``. ``True`` shows a bar, ``False`` none; if left out, a notebook shows a bar when the
                run takes long. The total of an adaptive method is an upper limit: if it stops early, the
                last call has the smaller total. Generating is not counted.

        Returns:
            An ``Attribution`` over the prompt, or over prompt and continuation, with a row for each
            target; a list of them, in order, for many prompts.

        Raises:
            StoppedError: ``progress`` returned ``False``; the model is as it was.
            InputError: The prompt, the target or the method cannot be used.
            UnsupportedModelError: The method would give wrong numbers on this architecture.
        """
        spec = TargetSpec(
            target=self._default_target(target, continuation),
            against=against,
            quantity=quantity,
            per_token=per_token,
            span=span,
        )
        check_method(method)
        skips(errors)
        runner, (prompts, several) = self.runner.at_layer(layer), texts_of(prompt)
        errors = errors if several else "raise"
        continuations = continuation_for_each(continuation, prompts, is_list=several)
        encodings = self._encode_each(runner, prompts, continuations, spec, max_new_tokens, errors)
        explain = partial(
            _attributions, encodings=readable(encodings), spec=spec, method=method, errors=errors
        )
        attributions = with_progress(runner, explain, progress)
        return in_place(encodings, attributions) if several else attributions[0]

    @explanation()
    def estimate_saliency(
        self,
        prompt: Prompt | Prompts,
        *,
        continuation: Continuation | list[str] | list[Ids] | None = None,
        method: MethodChoice = "default",
        target: TokenTarget | None = None,
        against: Contrast | None = None,
        quantity: Quantity = "log_prob",
        layer: int | None = None,
        per_token: bool = False,
        span: Span | None = None,
        max_new_tokens: int = 32,
    ) -> Estimate:
        """Return what ``compute_saliency`` would cost.

        Nothing is generated: a continuation that is not given counts as one token at least and
        ``max_new_tokens`` at most. Whether the model is causal and keeps its cache is measured once for each
        model; apart from that it is not run.

        Args:
            prompt: A text, chat messages, or a list of them.
            continuation: What follows the prompt, as ``compute_saliency`` takes it.
            method: The attribution method, likewise.
            target: What is explained, likewise.
            against: What the target is compared with.
            quantity: ``log_prob``, ``logit`` or ``prob``.
            layer: The block whose hidden states are scored; the embeddings if left out.
            per_token: Whether each token of the continuation gets a row of its own.
            span: The part of the continuation that is explained.
            max_new_tokens: Most tokens to generate.

        Returns:
            Passes, token positions and memory, for all prompts together.

        Raises:
            InputError: The prompt, the target or the method cannot be used, or the method cannot be
                estimated.
            UnsupportedModelError: The method would give wrong numbers on this architecture.
        """
        spec = TargetSpec(
            target=self._default_target(target, continuation),
            against=against,
            quantity=quantity,
            per_token=per_token,
            span=span,
        )
        check_method(method)

        prompts, several = texts_of(prompt)
        continuations = continuation_for_each(continuation, prompts, is_list=several)

        def explain(runner: Runner) -> list[Attribution]:
            encodings = self._encode_each(runner, prompts, continuations, spec, max_new_tokens, "raise")
            return _attributions(runner, readable(encodings), spec, method)

        return estimate_of(self.runner.at_layer(layer), explain, method)

    @takes_former_names(map="kind")
    @explanation()
    def compute_attention(
        self,
        prompt: Prompt,
        *,
        continuation: Continuation | None = None,
        kind: str | AttentionMapMethod = "raw",
        layer: AxisChoice = -1,
        head: AxisChoice = "mean",
        queries: str | Sequence[int] = "steps",
        keep: Keep = "rows",
        rank: RankChoice = None,
        top: int = 8,
        max_new_tokens: int = 32,
        seed: int | None = None,
        temperature: float = 1.0,
        top_p: float = 1.0,
        top_k: int = 0,
        stack: Stack | None = None,
    ) -> AttentionMap:
        """Return where the model attends while it generates: generation steps × context.

        The row of a step is the query that predicted its token; the columns are all tokens of prompt and
        continuation. One forward pass serves all steps.

        Args:
            prompt: A text, chat messages, or token ids.
            continuation: What follows the prompt; generated if left out.
            kind: The map's name, or a map object such as ``Rollout(start_layer=2)``.
            layer: The model's own index of a layer, several, ``"all"``, or ``"mean"`` or ``"max"`` over all
                layers with attention; negative indices count from the last of these.
            head: The same for heads.
            queries: ``"steps"``; ``"prompt"`` for the prompt's attention to itself; or positions, in prompt
                and continuation, of the tokens that attend.
            keep: What to keep of each layer: ``"rows"``, every weight; ``"top:16"``, each row's largest;
                ``"pooled:64"``, an overview in blocks of 64 tokens; ``"mass"``, each key's mean weight; or a
                reducer. Layers of ``raw`` and ``value_weighted`` are reduced one by one, so that a long text
                needs no tokens² of memory; other maps are computed whole first.
            rank: A head score (``score_heads`` lists them), or a list of ranked heads: the map holds the
                heads that it puts first, of all layers or of a list of them. Scores that need a target use
                the continuation, or the prompt's loss.
            top: How many of the ranked heads.
            max_new_tokens: Most tokens to generate.
            seed: Sample the continuation with this seed, as ``generate`` does; if left out, the likeliest
                token is taken at each step.
            temperature: Temperature of sampling.
            top_p: Share of the probability to sample from.
            top_k: How many of the likeliest tokens to sample from; 0 for all.
            stack: Of an encoder–decoder: ``"cross"``, generation steps × source (the default); ``"decoder"``,
                the decoder's attention to its own tokens; ``"encoder"``, the source's attention to itself.

        Returns:
            The map; ``steps`` holds the generated tokens, ``left_out`` says what is omitted. With ``rank``,
            ``.ranking`` names the heads in order, and the map holds all their layers and heads.

        Raises:
            InputError: The prompt is empty or too long, or there is no such map, layer, head, query or
                reduction.
            UnsupportedModelError: The model has no attention, or one that cannot be read exactly.
        """
        if isinstance(queries, str) and queries not in ("steps", "prompt"):
            raise InputError(
                f"Unknown queries {queries!r}. Allowed: steps, prompt, or positions of tokens.",
                hint="Leave queries out for the generation steps.",
            )
        check_rank(rank)
        if queries == "prompt":
            encoding = self._encode(prompt)
        else:
            sampling = Sampling(seed=seed, temperature=temperature, top_p=top_p, top_k=top_k)
            encoding = self._continued(prompt, continuation, max_new_tokens, sampling)
        rows, steps = (None if isinstance(queries, str) else queries), None
        if queries == "steps":
            self._require_steps()
            rows, steps = steps_of(encoding)

        def attend(layer: AxisChoice, head: AxisChoice) -> AttentionMap:
            return read_attention(
                self.runner.model,
                encoding,
                layer,
                head,
                kind,
                queries=rows,
                steps=steps,
                keep=keep,
                stack=stack,
            )

        def implied_target() -> Sequence[Target]:
            is_continued = encoding.prompt_length != len(encoding.tokens[0])
            spec = TargetSpec(target="continuation" if is_continued else self._alone)
            return spec.targets(self.runner.model, encoding)

        return attention_of_heads(
            self.runner,
            encoding,
            attend,
            layer,
            head,
            rank=rank,
            top=top,
            default_target=implied_target,
            stack=stack,
        )

    @explanation()
    def compute_logit_lens(
        self,
        prompt: Prompt,
        *,
        continuation: Continuation | None = None,
        positions: int | Sequence[int] | None = None,
        top: int = TOP,
    ) -> LogitLens:
        """Return what each layer would predict next, read through the model's own norm and head.

        Layer k is the input of block k (layer 0: the embeddings), the last layer the output of the last
        block. Each goes through the operations that the model runs after its last block: final norm,
        projection, head, soft caps, scales. The last layer's logits must equal the model's own, or the model
        is refused. One forward pass serves all layers and positions.

        Args:
            prompt: A text, chat messages, or token ids.
            continuation: What follows the prompt; if left out, the prompt alone is read (nothing is
                generated).
            positions: Where to read the next token, in tokens of prompt and continuation, from the end if
                negative: one or several. If left out: where each token of the continuation was predicted, or
                every position of a prompt alone.
            top: How many of the likeliest tokens to keep.

        Returns:
            The likeliest tokens of each layer, with entropies, the rank and probability of the model's own
            answer and of the token that follows, and the divergence from the model's own distribution.

        Raises:
            InputError: The prompt is empty or too long, or there is no such position.
            UnsupportedModelError: The model's layers cannot be read exactly through its own head.

        Reference:
            nostalgebraist, "interpreting GPT: the logit lens", LessWrong 2020.
        """
        return lens_of_tokens(self.runner.model, self._encode(prompt, continuation), positions, top)

    @explanation()
    def compute_query_key(
        self,
        prompt: Prompt,
        *,
        continuation: Continuation | None = None,
        layer: int = -1,
        head: int = 0,
        query: int = -1,
        stack: Stack | None = None,
    ) -> QueryKey:
        """Return the products behind one head's weights: why a query attends to its keys as it does.

        Queries and keys are those that attention consumes, with rotary positions applied and grouped keys
        repeated; ``Σᵢ scale · qᵢ · kᵢ`` plus what is added (masks and biases, given apart) goes into the
        softmax. Every run checks that this gives the model's own weights.

        Args:
            prompt: A text, chat messages, or token ids.
            continuation: What follows the prompt; the prompt alone if left out.
            layer: The attention layer, from the end if negative.
            head: The head, likewise.
            query: Position of the token that attends, likewise; of prompt and continuation.
            stack: Of an encoder–decoder, as ``compute_attention`` takes it.

        Returns:
            The query, its keys, and their weights.

        Raises:
            InputError: There is no such layer, head or token.
            UnsupportedModelError: The model has no attention, or its queries and keys cannot be located.
        """
        return query_key_of(self.runner.model, self._encode(prompt, continuation), layer, head, query, stack)

    @explanation()
    def score_heads(
        self,
        prompt: Prompt,
        *,
        continuation: Continuation | None = None,
        scores: HeadScoreChoice = None,
        method: MethodChoice = "default",
        target: OneTarget = None,
        against: Contrast | None = None,
        quantity: Quantity = "log_prob",
        span: Span | None = None,
        max_new_tokens: int = 32,
        attribution: Attribution | None = None,
        stack: Stack | None = None,
    ) -> HeadScores:
        """Return scores of every attention head, to see which heads matter.

        Args:
            prompt: A text, chat messages, or token ids.
            continuation: What follows the prompt. With ``target="continuation"`` it is generated greedily if
                left out.
            scores: A name or a score object, or several. If left out: ``entropy``, ``distance``,
                ``previous_token``, ``induction``, ``delimiter`` and ``sink``, two forward passes together.
                ``induction_in_text`` needs a text that repeats itself; ``saliency_agreement`` compares heads
                with a saliency map; ``ablation`` is the drop of the target without each head.
            method: The attribution method of the saliency map, if ``saliency_agreement`` needs one.
            target: What ``saliency_agreement`` and ``ablation`` explain, as ``compute_saliency`` takes it,
                but a single target.
            against: What the target is compared with, as ``compute_saliency`` takes it.
            quantity: ``log_prob``, ``logit`` or ``prob``.
            span: The part of the continuation that is explained, as ``compute_saliency`` takes it.
            max_new_tokens: Most tokens to generate.
            attribution: The saliency map that heads are compared with; computed if left out.
            stack: Of an encoder–decoder, as ``compute_attention`` takes it.

        Returns:
            Scores of L layers and H heads for each name; ``.ranking(name)`` puts the heads in order.

        Raises:
            InputError: A score is unknown, or the text or the target does not suit it.
            UnsupportedModelError: The model's attention cannot be read, or its heads cannot be ablated.
        """
        methods = chosen_head_scores(scores, target)
        spec = TargetSpec(
            target=self._default_target(target, continuation),
            against=against,
            quantity=quantity,
            span=span,
        )
        is_continued = spec.kind == "continuation"
        encoding = (
            self._continued(prompt, continuation, max_new_tokens) if is_continued else self._encode(prompt)
        )
        return scores_of_heads(
            self.runner,
            encoding,
            methods,
            spec.targets(self.runner.model, encoding) if needs_target(methods) else None,
            function=spec.function,
            attribution=attribution,
            method=method,
            stack=stack,
            where_suited=scores is None,
        )

    @overload
    def evaluate(
        self,
        prompt: Prompt,
        *,
        continuation: Continuation | None = None,
        method: MethodChoice = "default",
        target: OneTarget = None,
        against: Contrast | None = None,
        quantity: Quantity = "log_prob",
        per_token: bool = False,
        span: Span | None = None,
        max_new_tokens: int = 32,
        metrics: Sequence[str | Metric] | None = None,
        draws: int = 5,
        seed: int = 0,
        replacements: Sequence[str] | None = None,
    ) -> Assessment: ...
    @overload
    def evaluate(
        self,
        prompt: Prompt | Attribution | list[Attribution],
        *,
        continuation: Continuation | None = None,
        method: MethodChoice | Sequence[MethodChoice] = "default",
        target: TokenTarget | None = None,
        against: Contrast | None = None,
        quantity: Quantity = "log_prob",
        per_token: bool = False,
        span: Span | None = None,
        max_new_tokens: int = 32,
        metrics: Sequence[str | Metric] | None = None,
        draws: int = 5,
        seed: int = 0,
        replacements: Sequence[str] | None = None,
    ) -> Assessment | list[Assessment]: ...
    @explanation()
    def evaluate(
        self,
        prompt: Prompt | Attribution | list[Attribution],
        *,
        continuation: Continuation | None = None,
        method: MethodChoice | Sequence[MethodChoice] = "default",
        target: TokenTarget | None = None,
        against: Contrast | None = None,
        quantity: Quantity = "log_prob",
        per_token: bool = False,
        span: Span | None = None,
        max_new_tokens: int = 32,
        metrics: Sequence[str | Metric] | None = None,
        draws: int = 5,
        seed: int = 0,
        replacements: Sequence[str] | None = None,
    ) -> Assessment | list[Assessment]:
        """Return how faithful an explanation is: metrics compared with random orders, and a verdict.

        Tokens before what is explained are replaced in place, in the order of their scores and in random
        orders, and the drops of its log-probability are compared. The steps of a continuation are judged
        together. With 5 random orders at most ``1 + 4 · 6`` variants run for each of two replacements, from
        their first removed token on; each further method adds at most 8. If these leave the verdict open,
        each of up to 64 tokens is removed alone too (for longer texts 40 more variants run). Extra metrics
        may run more: each states so in its ``cost``.

        Args:
            prompt: A text, chat messages, an attribution of this model, or several of one text.
            continuation: What follows the prompt, as ``compute_saliency`` takes it.
            method: The attribution method, or a list of them.
            target: What is explained, as ``compute_saliency`` takes it: if left out, the continuation if one
                is given, else the prompt's loss. For an attribution that explains a function, that function.
            against: What the target is compared with.
            quantity: ``log_prob``, ``logit`` or ``prob``.
            per_token: Whether each token of the continuation gets a row of its own.
            span: The part of the continuation that is explained.
            max_new_tokens: Most tokens to generate.
            metrics: Extra metrics: names (``METRICS`` of ``registry.py`` lists them), or metrics with
                settings, such as ``Comprehensiveness(fractions=(0.1, 0.3))``.
            draws: Random orders, 5 or more.
            seed: Seed of these orders.
            replacements: What stands in for removed tokens: of ``pad``, ``mask``, ``mean``; the first two
                that fit the model if left out.

        Returns:
            An ``Assessment``; a list of them for several methods, attributions or targets.

        Raises:
            InputError: The prompt, the target, the method or a metric cannot be used.
        """

        def explain(method: MethodChoice) -> Attribution:
            return self.compute_saliency(  # pyright: ignore[reportCallIssue]
                prompt,  # pyright: ignore[reportArgumentType]
                continuation=continuation,
                method=method,
                target=target,
                against=against,
                quantity=quantity,
                per_token=per_token,
                span=span,
                max_new_tokens=max_new_tokens,
            )

        return self._assess(
            prompt,
            method,
            explain,
            target if callable(target) else None,
            metrics=metrics,
            draws=draws,
            seed=seed,
            replacements=replacements,
        )

    @overload
    def analyze(  # pyright: ignore[reportOverlappingOverload]  # a string is an iterable of strings
        self,
        prompt: Prompt,
        continuation: Continuation | None = None,
        *,
        method: MethodChoice = "default",
        target: TokenTarget | None = None,
        against: Contrast | None = None,
        quantity: Quantity = "log_prob",
        layer: int | None = None,
        per_token: bool = True,
        span: Span | None = None,
        max_new_tokens: int = 32,
        alternatives: int = 0,
        evaluate: bool = True,
        metrics: Sequence[str | Metric] | None = None,
        attention: MapChoice = None,
        scores_only: bool = False,
        errors: Errors = "raise",
        progress: ProgressChoice = None,
        show: bool | None = None,
    ) -> Report: ...
    @overload
    def analyze(
        self,
        prompt: Prompts,
        continuation: Continuation | list[str] | list[Ids] | None = None,
        *,
        method: MethodChoice = "default",
        target: TokenTarget | None = None,
        against: Contrast | None = None,
        quantity: Quantity = "log_prob",
        layer: int | None = None,
        per_token: bool = True,
        span: Span | None = None,
        max_new_tokens: int = 32,
        alternatives: int = 0,
        evaluate: bool = True,
        metrics: Sequence[str | Metric] | None = None,
        attention: MapChoice = None,
        scores_only: bool = False,
        errors: Literal["raise"] = "raise",
        progress: ProgressChoice = None,
        show: bool | None = None,
    ) -> list[Report]: ...
    @overload
    def analyze(
        self,
        prompt: Prompts,
        continuation: Continuation | list[str] | list[Ids] | None = None,
        *,
        method: MethodChoice = "default",
        target: TokenTarget | None = None,
        against: Contrast | None = None,
        quantity: Quantity = "log_prob",
        layer: int | None = None,
        per_token: bool = True,
        span: Span | None = None,
        max_new_tokens: int = 32,
        alternatives: int = 0,
        evaluate: bool = True,
        metrics: Sequence[str | Metric] | None = None,
        attention: MapChoice = None,
        scores_only: bool = False,
        errors: Errors,
        progress: ProgressChoice = None,
        show: bool | None = None,
    ) -> list[Report | Failure]: ...
    @takes_former_names(maps="attention")
    @explanation()
    def analyze(
        self,
        prompt: Prompt | Prompts,
        continuation: Continuation | list[str] | list[Ids] | None = None,
        *,
        method: MethodChoice = "default",
        target: TokenTarget | None = None,
        against: Contrast | None = None,
        quantity: Quantity = "log_prob",
        layer: int | None = None,
        per_token: bool = True,
        span: Span | None = None,
        max_new_tokens: int = 32,
        alternatives: int = 0,
        evaluate: bool = True,
        metrics: Sequence[str | Metric] | None = None,
        attention: MapChoice = None,
        scores_only: bool = False,
        errors: Errors = "raise",
        progress: ProgressChoice = None,
        show: bool | None = None,
    ) -> Report | list[Report] | list[Report | Failure]:
        """Explain a continuation: why each token, the saliency of the prompt's loss, and attention.

        Args:
            prompt: A text or chat messages, or many of them, as ``compute_saliency`` takes them.
            continuation: What follows the prompt; generated greedily if left out. For many prompts one for
                all, or a list.
            method: The attribution method, as ``compute_saliency`` takes it.
            target: What to explain instead of the continuation and the prompt's loss, as
                ``compute_saliency`` takes it.
            against: What the target is compared with, as ``compute_saliency`` takes it.
            quantity: ``log_prob``, ``logit`` or ``prob``.
            layer: Attribute to the hidden states that enter this block, as ``compute_saliency`` takes it.
            per_token: Whether each token of the continuation gets a row of its own, or all of them one row.
                (``compute_saliency`` gives all one row unless told otherwise.)
            span: The part of the continuation that is explained, as ``compute_saliency`` takes it.
            max_new_tokens: Most tokens to generate.
            alternatives: How many of the likeliest other tokens of each step are explained too: why the
                model wrote its token and not this one, by ``logit(written) − logit(other)``. The page shows
                them when an alternative is clicked, ``Report.contrast`` returns one. Each costs a backward
                pass for each step; all share the forward passes.
            evaluate: Whether to measure how faithful the first attribution is, as ``evaluate`` does, and put
                the verdict into the report: about 50 forward passes from the first removed token on and 2
                to 4 per token, at most 250.
            metrics: Extra metrics, as ``evaluate`` takes them.
            attention: Attention maps to keep besides the main one (the last layer, mean over heads), names or
                objects. If left out: ``raw`` of all layers and heads, and maps that cost little; ``()`` for
                none.
            scores_only: Whether to compute only the generation and saliency: no attention, no logit lens, no
                head scores and no evaluation.
            errors: What to do with a prompt that fails, of many: as ``compute_saliency`` takes it.
            progress: Whether and how to show progress, as ``compute_saliency`` takes it. A bar says which
                part runs: explaining, testing the scores, reading attention. A function with a parameter
                ``part`` is told this by name, each part counted from 0; without one it is called for the
                first part only. A parameter ``report`` gets the report so far: its answer and scores, before
                these are tested. For many texts the numbers are those that are done, and of all.
            show: Whether to show the report now. If left out, a notebook shows the returned value, and a
                script or terminal gets colored text. Reports of many prompts are not shown unless ``True``.

        Returns:
            The ``Report``: first why each token of the continuation, then the prompt's loss. A list of
            reports, in order, for many prompts; ``save_reports(reports, "x.html")`` saves these as one page.

        Raises:
            StoppedError: ``progress`` returned ``False``; the model is as it was.
            InputError: The prompt, the target, the method, a metric, a map or the number of alternatives
                cannot be used.
            UnsupportedModelError: The method would give wrong numbers on this architecture.
        """
        analysis = partial(
            self._analysis,
            method=method,
            target=target,
            against=against,
            quantity=quantity,
            layer=layer,
            per_token=per_token,
            span=span,
            max_new_tokens=max_new_tokens,
            alternatives=alternatives,
            evaluate=evaluate,
            metrics=metrics,
            attention=attention,
            scores_only=scores_only,
        )
        skips(errors)
        prompts, several = texts_of(prompt)
        continuations = continuation_for_each(continuation, prompts, is_list=several)
        if not several:
            return show_if_wanted(analysis(prompts[0], continuations[0], progress=progress), show)
        self._analysis_specs(method, target, against, quantity, per_token, span, alternatives)
        check_parts(metrics, attention)
        texts = list(zip(prompts, continuations, strict=True))
        return reports_of(
            lambda: (
                attempted(partial(analysis, *text), errors, index, len(texts))
                for index, text in enumerate(texts)
            ),
            len(texts),
            progress,
            show,
        )

    def analyze_each(
        self,
        prompt: Prompts,
        *,
        continuation: Continuation | None = None,
        method: MethodChoice = "default",
        target: TokenTarget | None = None,
        against: Contrast | None = None,
        quantity: Quantity = "log_prob",
        layer: int | None = None,
        per_token: bool = True,
        span: Span | None = None,
        max_new_tokens: int = 32,
        alternatives: int = 0,
        evaluate: bool = True,
        metrics: Sequence[str | Metric] | None = None,
        attention: MapChoice = None,
        scores_only: bool = False,
        errors: Errors = "raise",
    ) -> Iterator[Report | Failure]:
        """Explain many prompts, and yield each report as soon as it is done.

        Args:
            prompt: The prompts, as ``compute_saliency`` takes them; a generator is read one by one.
            continuation: What follows each prompt; generated greedily if left out.
            method: The attribution method, as ``analyze`` takes it.
            target: What to explain, likewise.
            against: What the target is compared with.
            quantity: ``log_prob``, ``logit`` or ``prob``.
            layer: The block whose hidden states are scored; the embeddings if left out.
            per_token: Whether each token of the continuation gets a row of its own.
            span: The part of the continuation that is explained.
            max_new_tokens: Most tokens to generate.
            alternatives: How many of the likeliest other tokens of each step are explained too.
            evaluate: Whether to measure how faithful the first attribution is, as ``analyze`` takes it.
            metrics: Extra metrics, likewise.
            attention: Attention maps to keep, likewise.
            scores_only: Whether to compute only the generation and saliency, likewise.
            errors: ``"raise"`` the error of a prompt that fails, or ``"skip"`` it: then a ``Failure`` stands
                in its place with the reason.

        Returns:
            An iterator over a report for each prompt, in order.

        Raises:
            InputError: A prompt, the target, the method, a metric or a map cannot be used.
            UnsupportedModelError: The method would give wrong numbers on this architecture.
        """
        analysis = partial(
            self._analysis,
            continuation=continuation,
            method=method,
            target=target,
            against=against,
            quantity=quantity,
            layer=layer,
            per_token=per_token,
            span=span,
            max_new_tokens=max_new_tokens,
            alternatives=alternatives,
            evaluate=evaluate,
            metrics=metrics,
            attention=attention,
            scores_only=scores_only,
        )
        skips(errors)
        self._analysis_specs(method, target, against, quantity, per_token, span, alternatives)
        check_parts(metrics, attention)
        return (
            attempted(partial(analysis, text), errors)
            for texts in in_chunks(prompt, pairs=False)
            for text in texts
        )

    @explanation()
    def estimate_analysis(
        self,
        prompt: Prompt,
        continuation: Continuation | None = None,
        *,
        method: MethodChoice = "default",
        target: TokenTarget | None = None,
        against: Contrast | None = None,
        quantity: Quantity = "log_prob",
        layer: int | None = None,
        per_token: bool = True,
        span: Span | None = None,
        max_new_tokens: int = 32,
        alternatives: int = 0,
    ) -> Estimate:
        """Return what the attributions of ``analyze`` would cost.

        Generation, attention, logit lens, head scores and evaluation are not counted. Nothing is generated,
        as for ``estimate_saliency``.

        Args:
            prompt: A text, chat messages, or token ids.
            continuation: What follows the prompt, as ``analyze`` takes it.
            method: The attribution method, likewise.
            target: What is explained, likewise.
            against: What the target is compared with.
            quantity: ``log_prob``, ``logit`` or ``prob``.
            layer: The block whose hidden states are scored; the embeddings if left out.
            per_token: Whether each token of the continuation gets a row of its own.
            span: The part of the continuation that is explained.
            max_new_tokens: Most tokens to generate.
            alternatives: How many of the likeliest other tokens of each step are explained too.

        Returns:
            Passes, token positions and memory.

        Raises:
            InputError: The prompt, the target, the method or the number of alternatives cannot be used, or
                the method cannot be estimated.
            UnsupportedModelError: The method would give wrong numbers on this architecture.
        """
        specs = self._analysis_specs(method, target, against, quantity, per_token, span, alternatives)

        def explain(runner: Runner) -> list[Attribution]:
            encoding = self._continued(prompt, continuation, max_new_tokens, runner=runner)
            return self._analysis_attributions(runner, encoding, specs, method, alternatives, ReportParts())

        return estimate_of(self.runner.at_layer(layer), explain, method)

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
        """Return what ``analyze`` explains, after checking it: what is asked for, then the prompt's loss."""
        check_method(method)
        explained = "continuation" if target is None else target
        is_continuation = isinstance(explained, str) and explained == "continuation"
        main = TargetSpec(
            target=explained,
            against=against,
            quantity=quantity,
            per_token=per_token and is_continuation,
            span=span,
        )
        check_alternatives(alternatives, main)
        return (main, TargetSpec(target="loss")) if target is None else (main,)

    def _default_target(self, target: TokenTarget | None, continuation: object) -> TokenTarget:
        return default_target(target, continuation)

    def _check_model(self) -> None:
        if self.runner.model.config.model_type == "xlnet":
            raise UnsupportedModelError(
                "XLNet predicts permuted positions: its forward pass gives no next-token distribution.",
                hint="Explain an XLNet classifier with ModelVisualizer, or another language model here.",
            )

    @explanation()
    def compute_ledger(
        self,
        prompt: Prompt,
        reference: Prompt | None = None,
        *,
        continuation: Continuation | None = None,
        target: TokenTarget | None = None,
        against: Contrast | None = None,
        quantity: Quantity = "log_prob",
        span: Span | None = None,
        baseline: str = "default",
    ) -> Ledger:
        """Return where in the model, and at which token, the difference between two prompts arises.

        Two forward passes and one backward pass, whose local derivatives are the exact differences between
        both runs: what passes each layer sums to the difference, with nothing left over.

        Args:
            prompt: A text, chat messages, ``Words`` or token ids.
            reference: What it is compared with: another prompt. Prompts with as many tokens are compared
                position by position; of others the tokens that both share and the last ones, and fillers
                stand where one has no counterpart. If left out: the prompt's own baseline.
            continuation: What follows both prompts.
            target: ``"next"``: the token that is likeliest after the prompt; the text or id of a token, as
                the next one; ``"continuation"``; ``"loss"``; or a function of the model's outputs that
                returns one number. If left out: the continuation if one is given, else ``"next"``.
            against: What the target is compared with, as ``compute_saliency`` takes it: the difference is
                explained.
            quantity: ``log_prob``, ``logit`` or ``prob``.
            span: The part of the continuation that is explained, as ``compute_saliency`` takes it.
            baseline: Without a reference, the embeddings that replace the prompt's: ``mask``, ``pad``,
                ``mean``, ``zero``, ``id:NUMBER``, ``text:WORDS``, or ``default`` for the first of these that
                the model has. Special tokens keep their own.

        Returns:
            The ledger.

        Raises:
            InputError: A prompt, the target or the baseline cannot be used.
            UnsupportedModelError: The two runs of this model cannot be compared exactly.
            NumericalError: A layer does not sum to the difference.
        """
        _require_continuation(target, continuation)
        if target is None and continuation is None:
            target = "next"
        spec = TargetSpec(
            target=self._default_target(target, continuation), against=against, quantity=quantity, span=span
        )
        encoding = self._encode(prompt, continuation)
        other = None if reference is None else self._encode(reference, continuation)
        targets = spec.targets(self.runner.model, encoding)
        return computed_ledger(self.runner, encoding, other, targets, spec.function, baseline)

    @explanation()
    def compute_model_diff(
        self,
        other: Any,
        prompt: Prompt,
        *,
        continuation: Continuation | None = None,
        target: TokenTarget | None = None,
        against: Contrast | None = None,
        quantity: Quantity = "log_prob",
        span: Span | None = None,
        restore: int | None = None,
    ) -> ModelDiff:
        """Return which modules' weights make the difference between two models on a text, and at which token.

        Two forward passes, one of each model, and one backward pass, whose local derivatives are the exact
        differences between both: what is booked to the modules sums to the difference, with nothing left
        over. It splits a change that all of them make together.

        Args:
            other: The model that is compared with this one: a model, the name or folder of one, or a
                visualizer. It may be fine-tuned, merged, quantized, or have an adapter of peft.
            prompt: A text, chat messages, ``Words`` or token ids.
            continuation: What follows the prompt.
            target: ``"next"``: the token that this model finds likeliest after the prompt; the text or id of
                a token, as the next one; ``"continuation"``; ``"loss"``; or a function of the model's outputs
                that returns one number. If left out: the continuation if one is given, else ``"next"``.
            against: What the target is compared with, as ``compute_saliency`` takes it: the difference is
                explained.
            quantity: ``log_prob``, ``logit`` or ``prob``.
            span: The part of the continuation that is explained, as ``compute_saliency`` takes it.
            restore: A number of modules: measure how much of the difference comes back if so many of this
                model's modules, those with the largest values, take the places of the other's, and as many
                random ones. One forward pass each, on our own copy of the other model. Modules that share a
                weight, such as tied embeddings, are taken together.

        Returns:
            The diff: what the target's value in the other model minus its value in this one is made of.

        Raises:
            InputError: The text or the target cannot be used, or the models differ in their architecture,
                tokens, dtype or device.
            UnsupportedModelError: The models cannot be compared exactly.
            NumericalError: What is booked does not sum to the difference.
        """
        with_other = other_visualizer(self, other)
        pair = ModelPair(self.runner, with_other.runner)
        spec = self._diff_spec(continuation, target, against, quantity, span)
        return self._model_diff(pair, with_other, prompt, continuation, spec, restore)

    @explanation()
    def compute_model_diffs(
        self,
        other: Any,
        prompts: Iterable[Prompt],
        *,
        target: TokenTarget | None = None,
        against: Contrast | None = None,
        quantity: Quantity = "log_prob",
        restore: int | None = None,
        errors: Errors = "raise",
        each: Callable[[ModelDiff | Failure], None] | None = None,
    ) -> ModelDiffSummary:
        """Return which modules' weights make the difference between two models over many texts.

        Of each text only sums are kept.

        Args:
            other: The model that is compared with this one, as ``compute_model_diff`` takes it.
            prompts: Prompts, as ``compute_model_diff`` takes one.
            target: As ``compute_model_diff`` takes it; ``"next"`` if left out: after each prompt the token
                that this model finds likeliest.
            against: What the target is compared with: the difference is explained.
            quantity: ``log_prob``, ``logit`` or ``prob``.
            restore: As ``compute_model_diff`` takes it.
            errors: ``"raise"``, or ``"skip"`` texts that cannot be compared, which are counted.
            each: A function that is called with the diff of each text, or with its failure.

        Returns:
            The mean of each module's share, its sign, and their intervals.

        Raises:
            InputError: As ``compute_model_diff`` does, or no text could be compared.
            UnsupportedModelError: The models cannot be compared exactly.
            NumericalError: What is booked does not sum to the difference.
        """
        with_other = other_visualizer(self, other)
        pair = ModelPair(self.runner, with_other.runner)

        spec = self._diff_spec(None, target, against, quantity, None)

        def diff_of(prompt: Prompt) -> ModelDiff:
            return self._model_diff(pair, with_other, prompt, None, spec, restore)

        return summarized_model_diffs(diff_of, prompts, errors, each)

    def _diff_spec(
        self,
        continuation: Continuation | None,
        target: TokenTarget | None,
        against: Contrast | None,
        quantity: Quantity,
        span: Span | None,
    ) -> TargetSpec:
        _require_continuation(target, continuation)
        if target is None and continuation is None:
            target = "next"
        return TargetSpec(
            target=self._default_target(target, continuation), against=against, quantity=quantity, span=span
        )

    def _model_diff(
        self,
        pair: ModelPair,
        with_other: "GenerativeModelVisualizer",
        prompt: Prompt,
        continuation: Continuation | None,
        spec: TargetSpec,
        restore: int | None,
    ) -> ModelDiff:
        encoding = self._encode(prompt, continuation)
        other_encoding = with_other._encode(prompt, continuation)
        targets = spec.targets(self.runner.model, encoding)
        return computed_model_diff(pair, encoding, other_encoding, targets, spec.function, restore)

    @explanation()
    def map_answer(
        self,
        prompt: Prompt | None = None,
        *,
        question: str | None = None,
        messages: Messages | Chat | Mapping[str, Any] | None = None,
        documents: Any = None,
        answer: Continuation | None = None,
        against: Contrast | None = None,
        span: Span | None = None,
        max_new_tokens: int = 64,
        progress: ProgressChoice = None,
    ) -> AnswerMap:
        """Return which documents each statement of an answer comes from, and which rest on none of them.

        Each document is hidden from what follows the documents (of more than 40, most in groups), then each
        sentence of the two that matter most to a statement (of more than 100, those with the largest
        estimates; the others in groups): how much does the log-probability of the answer's words drop? One
        forward pass reads the prompt; only what follows the documents runs again. In models that cannot hide
        a part of a prompt, which is measured, it is deleted. A statement comes from a document whose effect
        on its numbers or names is at least 2.5 nats above that of as much other text, or, where documents
        replace each other, if it explains them as the only document. It rests on nothing below 1 nat. That it
        comes from a document does not mean that the document supports it; what rests on nothing may be true.

        Args:
            prompt: A text with the documents in it, or token ids; in place of a question or messages. Without
                ``documents`` they are what tags (``<doc>``), headings (“Document 1:”), numbers (“[1]”) or
                blank lines separate; the result says which.
            question: A question about the documents. They go through the chat template where it writes
                documents, else into a built-in prompt, which the result shows.
            messages: A chat with the documents in it. Without ``documents`` the messages of tools are the
                sources, else what separates documents in a message.
            documents: Strings, dicts with ``text`` or ``content`` and maybe ``title``, paths of files or
                folders, or documents of LangChain, LlamaIndex or Haystack. Those that are not in the prompt
                are named.
            answer: The answer, as a text or as token ids; generated greedily if left out.
            against: What the tokens of the answer, or of the span, are compared with: the difference of their
                log-probabilities is explained. A token for each, or a text of as many tokens, as ``"1949"``
                for the span ``"1931"``; each stands after the same tokens as the token it is compared with.
                ``"runner-up"`` is the likeliest other token at each step.
            span: The part of the answer that is explained, as one statement: start and end in its tokens, or
                a piece of its text, as ``"1931"``. Its statements, each by itself, if left out.
            max_new_tokens: Most tokens to generate.
            progress: As in ``compute_saliency``, for each step by itself, with the positions that it runs. A
                function with a parameter ``part`` gets the step in words; one without is called for the
                first step only, which hides each document.

        Returns:
            The answer map.

        Raises:
            StoppedError: ``progress`` returned ``False``.
            InputError: The prompt, the question or the documents cannot be used, or no document is in the
                prompt.
            UnsupportedModelError: The model is not a causal language model.
        """
        model = self.runner.model
        require_sources(model)
        sourced = sourced_prompt(model.tokenizer, prompt, question, messages, documents)
        require_answer(answer)
        require_room_for_answer(model, sourced, answer, max_new_tokens)
        encoding = self._continued(sourced.prompt, answer, max_new_tokens)
        encoding = with_cautions_of_answer(model, encoding, answer, max_new_tokens)
        target = None
        if span is not None or against is not None:
            spec = TargetSpec(target="continuation", against=against, span=span, noun="answer")
            (target,) = spec.targets(model, encoding)

        def follow(part: str, total: int, run: Callable[[], Any]) -> Any:
            return as_part(run, progress, part, total=total, is_first=part == DOCUMENTS)

        return mapped_answer(model, encoding, sourced, given=answer is not None, target=target, follow=follow)

    def _encode(self, prompt: Prompt, continuation: Continuation | None = None) -> Encoding:
        return encoded_prompt(self.runner.model, prompt, continuation)

    def _continued(
        self,
        prompt: Prompt,
        continuation: Continuation | None,
        max_new_tokens: int,
        sampling: Sampling | None = None,
        *,
        runner: Runner | None = None,
    ) -> Encoding:
        return continued_prompt(runner or self.runner, prompt, continuation, max_new_tokens, sampling)

    def _encode_each(
        self,
        runner: Runner,
        prompts: Sequence[Prompt],
        continuations: Sequence[Continuation | None],
        spec: TargetSpec,
        max_new_tokens: int,
        errors: Errors,
    ) -> list[Encoding | Failure]:
        """Return the encoding of each prompt, with its continuation if that is explained, or its failure."""

        def encode(prompt: Prompt, continuation: Continuation | None) -> Encoding:
            if spec.kind != "continuation":
                return self._encode(prompt)
            return self._continued(prompt, continuation, max_new_tokens, runner=runner)

        return [
            attempted(partial(encode, *text), errors, index, len(prompts))
            for index, text in enumerate(zip(prompts, continuations, strict=True))
        ]

    def _analysis(
        self,
        prompt: Prompt,
        continuation: Continuation | None,
        *,
        method: MethodChoice,
        target: TokenTarget | None,
        against: Contrast | None,
        quantity: Quantity,
        layer: int | None,
        per_token: bool,
        span: Span | None,
        max_new_tokens: int,
        alternatives: int,
        evaluate: bool,
        metrics: Sequence[str | Metric] | None,
        attention: MapChoice,
        scores_only: bool,
        progress: ProgressChoice = False,
    ) -> Report:
        """Return the report of one prompt."""
        specs = self._analysis_specs(method, target, against, quantity, per_token, span, alternatives)
        runner, model = self.runner.sharing().at_layer(layer), self.runner.model
        encoding = self._continued(prompt, continuation, max_new_tokens, runner=runner)
        parts = ReportParts()
        explain = partial(
            self._analysis_attributions,
            encoding=encoding,
            specs=specs,
            method=method,
            alternatives=alternatives,
            parts=parts,
        )
        attributions = with_progress(runner, explain, progress)
        contrasts = attributions.pop() if alternatives and not parts.lacks("contrasts") else None
        steps = StepsPass(model, encoding)
        generation = generation_of(
            model,
            encoding,
            given=continuation is not None,
            top=max(TOP_TOKENS, alternatives + 1),
            logits=None if scores_only else steps.logits(),
        )
        report = Report(
            generation=generation,
            attributions=tuple(attributions),
            contrasts=contrasts,
            provenance=attributions[0].provenance.with_cautions(generation.cautions),
        )
        if scores_only:
            return report.with_cautions(*parts.cautions)
        if evaluate:
            explained = self._explained_part(encoding, specs[0])

            def test(runner: Runner) -> tuple[Evaluation, ...]:
                return evaluations_for_report(runner, explained, attributions[0], specs[0].function, metrics)

            tested = partial(
                with_progress, runner.at_layer(None), test, progress, part=TESTING, report=report
            )
            report = replace(
                report, evaluations=parts.get("evaluation", tested, (), is_requested=metrics is not None)
            )

        def read() -> Report:
            attend = partial(self._attention_of_steps, encoding, attention)
            score = partial(head_scores_for_report, self.runner, encoding, attributions[0])
            with recorded_once(model, encoding):
                return replace(
                    report,
                    attention=parts.get("attention", attend, (), is_requested=attention is not None),
                    lens=parts.get("logit lens", steps.lens, None),
                    heads=parts.get("head scores", score, None),
                )

        return as_part(read, progress, READING, report).with_cautions(*parts.cautions)

    def _analysis_attributions(
        self,
        runner: Runner,
        encoding: Encoding,
        specs: Sequence[TargetSpec],
        method: MethodChoice,
        alternatives: int,
        parts: ReportParts,
    ) -> list[Attribution]:
        """Return an attribution for each spec, and one of the contrasts if alternatives are explained."""

        def of_spec(spec: TargetSpec) -> list[Attribution]:
            explained = self._explained_part(encoding, spec)
            targets = spec.targets(runner.model, explained)
            return attribute(runner, method, [explained], [targets], spec.function)

        def of_contrasts() -> list[Attribution]:
            targets = contrast_targets(runner, encoding, alternatives, specs[0])
            return attribute(runner, method, [encoding], [targets])

        main, *others = specs
        attributions = of_spec(main)
        for spec in others:
            if (encoding.prompt_length or 0) >= 2:  # a prompt of one token has no loss
                attributions += parts.get("saliency of the prompt's loss", partial(of_spec, spec), [])
        if alternatives:
            attributions += parts.get("contrasts", of_contrasts, [])
        return attributions

    def _attention_of_steps(self, encoding: Encoding, maps: MapChoice) -> tuple[AttentionMap, ...]:
        """Return a report's attention maps of the steps of a continuation."""
        self._require_steps()
        return attention_for_report(self.runner.model, encoding, maps, *steps_of(encoding))

    def _explained_part(self, encoding: Encoding, spec: TargetSpec) -> Encoding:
        """Return prompt and continuation if the continuation is explained, else the prompt."""
        return encoding if spec.kind == "continuation" else prompt_of(self.runner.model, encoding)

    def _encoding_of(self, attribution: Attribution) -> Encoding:
        tokens = attribution.tokens
        following = np.flatnonzero(tokens.segments > 0)
        length = int(following[0]) if len(following) else len(tokens)
        return self.runner.model.encode(tokens, prompt_length=length)

    def _require_steps(self) -> None:
        if not is_causal(self.runner.model):
            raise UnsupportedModelError(
                f"{type(self.model).__name__} is not causal: a forward pass does not show its generation "
                "steps.",
                hint="Use queries='prompt' for its attention over the prompt.",
            )


def _attributions(
    runner: Runner,
    encodings: Sequence[Encoding],
    spec: TargetSpec,
    method: MethodChoice,
    errors: Errors = "raise",
) -> list[Any]:
    """Explain encoded prompts."""
    predicted = spec.predicted_target(runner.model)
    if predicted is not None:
        return attribute(runner, method, encodings, predicted, spec.function, errors)
    targets = [
        attempted(partial(spec.targets, runner.model, encoding), errors, index, len(encodings))
        for index, encoding in enumerate(encodings)
    ]
    explained = [
        encoding for encoding, row in zip(encodings, targets, strict=True) if not isinstance(row, Failure)
    ]
    attributions = attribute(runner, method, explained, readable(targets), spec.function, errors)
    return in_place(targets, attributions)


def _require_continuation(target: TokenTarget | None, continuation: object) -> None:
    """Raise InputError where a continuation is to be explained and none is given."""
    if isinstance(target, str) and target == "continuation" and continuation is None:
        raise InputError(
            "The continuation is to be explained, and none is given.",
            hint="Pass one prompt and its continuation: continuation=TEXT (--continuation TEXT).",
        )
