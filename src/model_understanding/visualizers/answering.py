"""What the visualizers share whose models answer an input at once: predict, explain, evaluate, analyze.

A kind of model says how an input is encoded, what the outputs answer, and which targets are explained.
Language models, which write their answers token by token, are explained in ``language_model.py``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial, wraps
from inspect import getmembers, isfunction, signature
from itertools import chain
from typing import Any, Generic, Literal, NamedTuple, TypeVar, overload

import numpy as np
from jaxtyping import Float
from torch import Tensor

from model_understanding.attention.capture.record import recorded_once
from model_understanding.attention.for_report import MapChoice
from model_understanding.attention.keep import AxisChoice, Keep
from model_understanding.attention.protocol import AttentionMapMethod
from model_understanding.attention.read import attention_for_report, query_key_of, read_attention
from model_understanding.attribution.choose import MethodChoice, check_method
from model_understanding.attribution.cost import ProgressChoice, as_part, estimate_of, with_progress
from model_understanding.attribution.isolation import Errors, attempted, in_place, isolated, readable, skips
from model_understanding.attribution.run import attribute, attribute_each, groups_of_equal_length
from model_understanding.checks import takes_former_names
from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.evaluation.protocol import Metric
from model_understanding.evaluation.run import check_same_tokens, evaluations_for_report
from model_understanding.head_scores.run import HeadScoreChoice
from model_understanding.lens.read import TOP
from model_understanding.model.attention_layout import Stack
from model_understanding.model.batching import Batches
from model_understanding.model.guard import explanation
from model_understanding.model.memory import Memory
from model_understanding.passes.predicted_targets import MakeTarget
from model_understanding.passes.runner import Runner
from model_understanding.results import (
    Assessment,
    AttentionMap,
    Attribution,
    Estimate,
    Evaluation,
    Failure,
    HeadScores,
    LogitLens,
    QueryKey,
    Report,
    Target,
)
from model_understanding.results.target import Quantity, function_target
from model_understanding.show.progress import READING, TESTING
from model_understanding.text.detokenization import pieces_of
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens
from model_understanding.visualizers.base import Visualizer
from model_understanding.visualizers.heads import (
    RankChoice,
    attention_of_heads,
    chosen_head_scores,
    head_scores_for_report,
    needs_target,
    scores_of_heads,
)
from model_understanding.visualizers.plotting import show_if_wanted
from model_understanding.visualizers.report_parts import ReportParts
from model_understanding.visualizers.texts import check_parts, in_chunks, reports_of, texts_of

InputT = TypeVar("InputT")
"""What a kind of model is given: a text, a pair of texts, a question and its choices."""
TargetT = TypeVar("TargetT")
"""What a caller names to explain: a class, an entity, a span, a token."""
AnswerT = TypeVar("AnswerT")
"""The result that a kind of model answers with."""
Inputs = Iterable[InputT] | Iterable[list[str]]
OneTarget = TargetT | Callable[[Any], Any] | None
TargetChoice = OneTarget[TargetT] | Sequence[TargetT] | Literal["all"]


class Explained(NamedTuple):
    """A text as the model reads it, and what is explained of its outputs."""

    encoding: Encoding
    targets: Sequence[Target]


class AnsweringVisualizer(Visualizer, Generic[InputT, TargetT, AnswerT]):
    """Base of the visualizers whose models answer an input at once.

    A subclass is one kind of model. It sets ``task`` and implements ``_encode``, ``_answers`` and
    ``_targets_of``; its docstring describes inputs, targets and answers for the methods here.
    """

    without_lens: str = "the outputs of this kind of model are none"
    """Why there is no logit lens, for kinds that do not implement ``_lens``."""
    default_quantity: Quantity = "logit"
    """What is read from the logits if a caller does not say; see ``quantity_by_default``."""

    @overload
    def predict(  # pyright: ignore[reportOverlappingOverload]  # a string is an iterable of strings
        self, text: InputT, *, errors: Errors = "raise"
    ) -> AnswerT: ...
    @overload
    def predict(self, text: Inputs[InputT], *, errors: Literal["raise"] = "raise") -> list[AnswerT]: ...
    @overload
    def predict(self, text: Inputs[InputT], *, errors: Errors) -> list[AnswerT | Failure]: ...
    @explanation()
    def predict(
        self, text: InputT | Inputs[InputT], *, errors: Errors = "raise"
    ) -> AnswerT | list[AnswerT] | list[AnswerT | Failure]:
        """Return the model's answer.

        Args:
            text: An input, or many of them, as ``compute_saliency`` takes them.
            errors: What to do with a text that fails, of many: as ``compute_saliency`` takes it.

        Returns:
            The answer, in the form that the class describes; a list of answers for many inputs.

        Raises:
            InputError: The input is empty or longer than the model allows.
        """
        skips(errors)
        texts, several = texts_of(text, pairs=True)
        errors = errors if several else "raise"
        answers = self._answer_each(texts, self._encode_each(texts, errors), errors)
        return answers if several else answers[0]

    @overload
    def compute_saliency(  # pyright: ignore[reportOverlappingOverload]  # a string is an iterable of strings
        self,
        text: InputT,
        *,
        method: MethodChoice = "default",
        target: TargetChoice[TargetT] = None,
        against: TargetT | None = None,
        quantity: Quantity = "logit",
        layer: int | None = None,
        errors: Errors = "raise",
        progress: ProgressChoice = None,
    ) -> Attribution: ...
    @overload
    def compute_saliency(
        self,
        text: Inputs[InputT],
        *,
        method: MethodChoice = "default",
        target: TargetChoice[TargetT] = None,
        against: TargetT | None = None,
        quantity: Quantity = "logit",
        layer: int | None = None,
        errors: Literal["raise"] = "raise",
        progress: ProgressChoice = None,
    ) -> list[Attribution]: ...
    @overload
    def compute_saliency(
        self,
        text: Inputs[InputT],
        *,
        method: MethodChoice = "default",
        target: TargetChoice[TargetT] = None,
        against: TargetT | None = None,
        quantity: Quantity = "logit",
        layer: int | None = None,
        errors: Errors,
        progress: ProgressChoice = None,
    ) -> list[Attribution | Failure]: ...
    @explanation()
    def compute_saliency(
        self,
        text: InputT | Inputs[InputT],
        *,
        method: MethodChoice = "default",
        target: TargetChoice[TargetT] = None,
        against: TargetT | None = None,
        quantity: Quantity = "logit",
        layer: int | None = None,
        errors: Errors = "raise",
        progress: ProgressChoice = None,
    ) -> Attribution | list[Attribution] | list[Attribution | Failure]:
        """Return how much each token contributed to the answer.

        Args:
            text: An input of the form that the class describes; or many of them: a list,
                ``pandas.Series``, array, column of a data set or generator.
            method: A method's name (``model-understanding methods`` lists them), a method object,
                ``"default"``, or ``"fast"`` for a method of two passes; the result names the method.
            target: What to explain, in a form that the class describes; a function of the model's outputs
                that returns one number; or ``None`` for the model's own answer.
            against: Another target: the difference target − against is explained.
            quantity: ``logit``, ``log_prob`` or ``prob``.
            layer: Attribute to the hidden states that enter this transformer block (from 0, or from −1 at
                the end), by a gradient method; to the embeddings if left out.
            errors: Of many texts, what to do with one that fails (too long, empty): ``"raise"`` its error,
                or ``"skip"`` it. Then a ``Failure``, which is false, stands in its place with the reason.
            progress: A function called between batches with the token positions run so far, forward and
                backward, and their total (``None`` if the method cannot tell); it stops the run by returning
                ``False``. ``True`` shows a bar, ``False`` none; if left out, a notebook shows a bar when the
                run takes long. The total of an adaptive method is an upper limit: if it stops early, the
                last call has the smaller total.

        Returns:
            An ``Attribution`` with a row for each target; a list of them, in order, for many texts.

        Raises:
            StoppedError: ``progress`` returned ``False``; the model is as it was.
            InputError: The text, the target or the method cannot be used.
            UnsupportedModelError: The method would give wrong numbers on this architecture.
        """
        skips(errors)
        texts, several = texts_of(text, pairs=True)
        errors = errors if several else "raise"
        encoded = self._encode_each(texts, errors)
        explained, explain = self._explanation(texts, encoded, method, target, against, quantity, errors)
        attributions = with_progress(self.runner.at_layer(layer), explain, progress)
        return in_place(explained, attributions) if several else attributions[0]

    @explanation()
    def estimate_saliency(
        self,
        text: InputT | Inputs[InputT],
        *,
        method: MethodChoice = "default",
        target: TargetChoice[TargetT] = None,
        against: TargetT | None = None,
        quantity: Quantity = "logit",
        layer: int | None = None,
    ) -> Estimate:
        """Return what ``compute_saliency`` would cost, without explaining anything.

        The model runs only where its answer determines how much there is to explain.

        Args:
            text: An input, or many of them, as ``compute_saliency`` takes them.
            method: The attribution method, as ``compute_saliency`` takes it.
            target: What is explained, likewise.
            against: What the target is compared with.
            quantity: ``logit``, ``log_prob`` or ``prob``.
            layer: The block whose hidden states are scored; the embeddings if left out.

        Returns:
            Passes, token positions and memory, for all inputs together.

        Raises:
            InputError: The text, the target or the method cannot be used, or the method cannot be estimated.
            UnsupportedModelError: The method would give wrong numbers on this architecture.
        """
        texts, _ = texts_of(text, pairs=True)
        encoded = [self._encodings(item) for item in texts]
        _, explain = self._explanation(texts, encoded, method, target, against, quantity)
        return estimate_of(self.runner.at_layer(layer), explain, method)

    @takes_former_names(map="kind")
    @explanation()
    def compute_attention(
        self,
        text: InputT,
        *,
        kind: str | AttentionMapMethod = "raw",
        layer: AxisChoice = -1,
        head: AxisChoice = "mean",
        queries: Sequence[int] | None = None,
        keep: Keep = "rows",
        rank: RankChoice = None,
        top: int = 8,
        stack: Stack | None = None,
    ) -> AttentionMap:
        """Return where the model attends, exact and with the model's own kernels.

        Args:
            text: An input, as ``compute_saliency`` takes it.
            kind: The map's name, or a map object such as ``Rollout(start_layer=2)``.
            layer: The model's own index of a layer, several, ``"all"``, or ``"mean"`` or ``"max"`` over all
                layers with attention; negative indices count from the last of these.
            head: The same for heads.
            queries: Positions of the tokens that attend, the rows; all if left out.
            keep: What to keep of each layer: ``"rows"``, every weight; ``"top:16"``, each row's largest;
                ``"pooled:64"``, an overview in blocks of 64 tokens; ``"mass"``, each key's mean weight; or a
                reducer. Layers of ``raw`` and ``value_weighted`` are reduced one by one, so that a long text
                needs no tokens² of memory; other maps are computed whole first.
            rank: A head score (``score_heads`` lists them), or a list of ranked heads: the map holds the
                heads that it puts first, of all layers or of a list of them. Scores that need a target use
                the model's own answer.
            top: How many of the ranked heads.
            stack: Of an encoder–decoder: ``"cross"``, the decoder's attention to the source, ``"encoder"`` or
                ``"decoder"``, their attention to themselves. If left out, the encoder's.

        Returns:
            Weights from queries (rows) to keys (columns); ``left_out`` says what is omitted. With ``rank``,
            ``.ranking`` names the heads in order, and the map holds all their layers and heads.

        Raises:
            InputError: The text is empty or too long, or there is no such map, layer, head, query or
                reduction.
            UnsupportedModelError: The model has no attention, or one that cannot be read exactly.
        """
        encoding = self._main_encoding(text)

        def attend(layer: AxisChoice, head: AxisChoice) -> AttentionMap:
            return read_attention(
                self.runner.model, encoding, layer, head, kind, queries=queries, keep=keep, stack=stack
            )

        return attention_of_heads(
            self.runner,
            encoding,
            attend,
            layer,
            head,
            rank=rank,
            top=top,
            default_target=lambda: self._main(text, None, None, self.default_quantity).targets,
            stack=stack,
        )

    @explanation()
    def compute_logit_lens(self, text: InputT, *, top: int = TOP) -> LogitLens:
        """Return what the model would answer at each layer, read through its own final layers and head.

        Layer k is the input of block k (layer 0: the embeddings), the last layer the output of the last
        block. Each layer's states of the whole text go through the operations that the model runs after its
        last block. The last layer's logits must equal the model's own, or the model is refused. The head was
        trained on the last layer alone: what it reads in the first ones may mean little.

        Args:
            text: An input, as ``compute_saliency`` takes it.
            top: How many of the likeliest answers to keep.

        Returns:
            The likeliest answers of each layer, with entropies, the rank and probability of the model's own
            answer, and the divergence from the model's own distribution.

        Raises:
            InputError: The text is empty or longer than the model allows.
            UnsupportedModelError: The model's outputs are not one distribution over answers that exclude each
                other, or its layers cannot be read exactly through its own head.
        """
        return self._lens(self._main_encoding(text), top)

    @explanation()
    def compute_query_key(
        self,
        text: InputT,
        *,
        layer: int = -1,
        head: int = 0,
        query: int = 0,
        stack: Stack | None = None,
    ) -> QueryKey:
        """Return the products behind one head's weights: why a query attends to its keys as it does.

        Queries and keys are those that attention consumes; ``Σᵢ scale · qᵢ · kᵢ`` plus what is added (masks
        and biases, given apart) goes into the softmax. Every run checks that this gives the model's own
        weights.

        Args:
            text: An input, as ``compute_saliency`` takes it.
            layer: The attention layer, from the end if negative.
            head: The head, likewise.
            query: Position of the token that attends, likewise.
            stack: Of an encoder–decoder, as ``compute_attention`` takes it.

        Returns:
            The query, its keys, and their weights.

        Raises:
            InputError: There is no such layer, head or token.
            UnsupportedModelError: The model has no attention, or its queries and keys cannot be located.
        """
        return query_key_of(self.runner.model, self._main_encoding(text), layer, head, query, stack)

    @explanation()
    def score_heads(
        self,
        text: InputT,
        *,
        scores: HeadScoreChoice = None,
        method: MethodChoice = "default",
        target: OneTarget[TargetT] = None,
        against: TargetT | None = None,
        quantity: Quantity = "logit",
        attribution: Attribution | None = None,
        stack: Stack | None = None,
    ) -> HeadScores:
        """Return scores of every attention head, to see which heads matter.

        Args:
            text: An input, as ``compute_saliency`` takes it.
            scores: A name or a score object, or several. If left out: ``entropy``, ``distance``,
                ``previous_token``, ``induction``, ``delimiter`` and ``sink``, two forward passes together.
                ``induction_in_text`` needs a text that repeats itself; ``saliency_agreement`` compares heads
                with a saliency map; ``ablation`` is the drop of the target without each head.
            method: The attribution method of the saliency map, if ``saliency_agreement`` needs one.
            target: What ``saliency_agreement`` and ``ablation`` explain: one target, as ``compute_saliency``
                takes it. If left out, the model's own answer; of several the first.
            against: Another target: the difference target − against is explained.
            quantity: ``logit``, ``log_prob`` or ``prob``.
            attribution: The saliency map that heads are compared with; computed if left out.
            stack: Of an encoder–decoder, as ``compute_attention`` takes it.

        Returns:
            Scores of L layers and H heads for each name; ``.ranking(name)`` puts the heads in order.

        Raises:
            InputError: A score is unknown, or the text or the target does not suit it.
            UnsupportedModelError: The model's attention cannot be read, or its heads cannot be ablated.
        """
        methods = chosen_head_scores(scores, target)
        if needs_target(methods):
            encoding, targets = self._main(text, target, against, quantity)
        else:
            encoding, targets = self._main_encoding(text), None
        return scores_of_heads(
            self.runner,
            encoding,
            methods,
            targets,
            function=target if callable(target) else None,
            attribution=attribution,
            method=method,
            stack=stack,
            where_suited=scores is None,
        )

    @overload
    def evaluate(  # pyright: ignore[reportOverlappingOverload]  # "all" is a string like a label
        self,
        text: InputT | Attribution | list[Attribution],
        *,
        method: MethodChoice | Sequence[MethodChoice] = "default",
        target: Literal["all"] | Sequence[TargetT],
        against: TargetT | None = None,
        quantity: Quantity = "logit",
        metrics: Sequence[str | Metric] | None = None,
        draws: int = 5,
        seed: int = 0,
        replacements: Sequence[str] | None = None,
    ) -> Assessment | list[Assessment]: ...
    @overload
    def evaluate(
        self,
        text: InputT,
        *,
        method: MethodChoice = "default",
        target: OneTarget[TargetT] = None,
        against: TargetT | None = None,
        quantity: Quantity = "logit",
        metrics: Sequence[str | Metric] | None = None,
        draws: int = 5,
        seed: int = 0,
        replacements: Sequence[str] | None = None,
    ) -> Assessment: ...
    @overload
    def evaluate(
        self,
        text: InputT | Attribution | list[Attribution],
        *,
        method: MethodChoice | Sequence[MethodChoice] = "default",
        target: TargetChoice[TargetT] = None,
        against: TargetT | None = None,
        quantity: Quantity = "logit",
        metrics: Sequence[str | Metric] | None = None,
        draws: int = 5,
        seed: int = 0,
        replacements: Sequence[str] | None = None,
    ) -> Assessment | list[Assessment]: ...
    @explanation()
    def evaluate(
        self,
        text: InputT | Attribution | list[Attribution],
        *,
        method: MethodChoice | Sequence[MethodChoice] = "default",
        target: TargetChoice[TargetT] = None,
        against: TargetT | None = None,
        quantity: Quantity = "logit",
        metrics: Sequence[str | Metric] | None = None,
        draws: int = 5,
        seed: int = 0,
        replacements: Sequence[str] | None = None,
    ) -> Assessment | list[Assessment]:
        """Return how faithful an explanation is: metrics compared with random orders, and a verdict.

        Tokens are replaced in place, in the order of their scores and in random orders, and the drops of the
        target are compared. With 5 random orders at most ``1 + 4 · 6`` variants run for each of two
        replacements; each further method on the same text adds at most 8. If these leave the verdict open,
        each of up to 64 tokens is removed alone too (for longer texts 40 more variants run). Extra metrics
        may run more: each states so in its ``cost``.

        Args:
            text: An input, an attribution of this model, or several attributions of one text.
            method: The attribution method, or a list of them.
            target: What is explained, as ``compute_saliency`` takes it; for an attribution that explains a
                function, that function.
            against: What the target is compared with.
            quantity: What the attribution explains; the metrics always measure logit margin and probability.
            metrics: Extra metrics: names (``METRICS`` of ``registry.py`` lists them), or metrics with
                settings, such as ``Comprehensiveness(fractions=(0.1, 0.3))``.
            draws: Random orders, 5 or more.
            seed: Seed of these orders.
            replacements: What stands in for removed tokens: of ``mask``, ``attention``, ``mean``, ``pad``;
                the first two that fit the model if left out.

        Returns:
            An ``Assessment``; a list of them for several methods, attributions or targets.

        Raises:
            InputError: The text, the target, the method or a metric cannot be used.
        """

        def explain(method: MethodChoice) -> Attribution:
            return self.compute_saliency(  # pyright: ignore[reportCallIssue]
                text,  # pyright: ignore[reportArgumentType]
                method=method,
                target=target,
                against=against,
                quantity=quantity,
            )

        return self._assess(
            text,
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
        text: InputT,
        *,
        method: MethodChoice = "default",
        target: TargetChoice[TargetT] = None,
        against: TargetT | None = None,
        quantity: Quantity = "logit",
        layer: int | None = None,
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
        text: Inputs[InputT],
        *,
        method: MethodChoice = "default",
        target: TargetChoice[TargetT] = None,
        against: TargetT | None = None,
        quantity: Quantity = "logit",
        layer: int | None = None,
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
        text: Inputs[InputT],
        *,
        method: MethodChoice = "default",
        target: TargetChoice[TargetT] = None,
        against: TargetT | None = None,
        quantity: Quantity = "logit",
        layer: int | None = None,
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
        text: InputT | Inputs[InputT],
        *,
        method: MethodChoice = "default",
        target: TargetChoice[TargetT] = None,
        against: TargetT | None = None,
        quantity: Quantity = "logit",
        layer: int | None = None,
        evaluate: bool = True,
        metrics: Sequence[str | Metric] | None = None,
        attention: MapChoice = None,
        scores_only: bool = False,
        errors: Errors = "raise",
        progress: ProgressChoice = None,
        show: bool | None = None,
    ) -> Report | list[Report] | list[Report | Failure]:
        """Explain an answer: the answer itself, its saliency, and attention.

        Args:
            text: An input, or many of them, as ``compute_saliency`` takes them.
            method: The attribution method, as ``compute_saliency`` takes it.
            target: What to explain, as ``compute_saliency`` takes it; the model's own answer if left out.
            against: Another target: the difference target − against is explained.
            quantity: ``logit``, ``log_prob`` or ``prob``.
            layer: Attribute to the hidden states that enter this block, as ``compute_saliency`` takes it.
            evaluate: Whether to measure how faithful the saliency is, as ``evaluate`` does, and put the
                verdict into the report: about 50 forward passes and 2 to 4 per token, at most 250.
            metrics: Extra metrics, as ``evaluate`` takes them.
            attention: Attention maps to keep besides the main one (the last layer, mean over heads), names or
                objects. If left out: ``raw`` of all layers and heads, and maps that cost little; ``()`` for
                none.
            scores_only: Whether to compute only answer and saliency: no attention, no head scores and no
                evaluation.
            errors: What to do with a text that fails, of many: as ``compute_saliency`` takes it.
            progress: Whether and how to show progress, as ``compute_saliency`` takes it. A bar says which
                part runs: explaining, testing the scores, reading attention. A function with a parameter
                ``part`` is told this by name, each part counted from 0; without one it is called for the
                first part only. A parameter ``report`` gets the report so far: its answer and scores, before
                these are tested. For many texts the numbers are those that are done, and of all.
            show: Whether to show the report now. If left out, a notebook shows the returned value, and a
                script or terminal gets colored text. Reports of many texts are not shown unless ``True``.

        Returns:
            The ``Report``, which ``report.save("x.html")`` saves; a list of reports, in order, for many
            inputs. ``save_reports(reports, "x.html")`` saves these as one page.

        Raises:
            StoppedError: ``progress`` returned ``False``; the model is as it was.
            InputError: The text, the target, the method, a metric or a map cannot be used.
            UnsupportedModelError: The method would give wrong numbers on this architecture.
        """
        parts = partial(
            self._analyses,
            method=method,
            target=target,
            against=against,
            quantity=quantity,
            layer=layer,
            evaluate=evaluate and not scores_only,
            metrics=metrics,
            attention=attention,
            scores_only=scores_only,
        )
        skips(errors)
        texts, several = texts_of(text, pairs=True)
        if not several:
            (report,) = parts(texts, errors="raise", progress=progress)
            return show_if_wanted(report, show)
        check_parts(metrics, attention)
        return reports_of(lambda: parts(texts, errors=errors), len(texts), progress, show)

    def analyze_each(
        self,
        text: Inputs[InputT],
        *,
        method: MethodChoice = "default",
        target: TargetChoice[TargetT] = None,
        against: TargetT | None = None,
        quantity: Quantity = "logit",
        layer: int | None = None,
        evaluate: bool = True,
        metrics: Sequence[str | Metric] | None = None,
        attention: MapChoice = None,
        scores_only: bool = False,
        errors: Errors = "raise",
    ) -> Iterator[Report | Failure]:
        """Explain many texts, and yield each report as soon as it is done: for more than fit in memory.

        Args:
            text: The texts, as ``compute_saliency`` takes them; a generator is read 256 texts at a time.
            method: The attribution method, as ``analyze`` takes it.
            target: What to explain, likewise.
            against: Another target: the difference target − against is explained.
            quantity: ``logit``, ``log_prob`` or ``prob``.
            layer: The block whose hidden states are scored; the embeddings if left out.
            evaluate: Whether to measure how faithful the saliency is, as ``analyze`` takes it.
            metrics: Extra metrics, likewise.
            attention: Attention maps to keep, likewise.
            scores_only: Whether to compute only answer and saliency, likewise.
            errors: ``"raise"`` the error of a text that fails, or ``"skip"`` it: then a ``Failure`` stands
                in its place with the reason.

        Returns:
            An iterator over a report for each text, in order.

        Raises:
            InputError: A text, the target, the method, a metric or a map cannot be used.
            UnsupportedModelError: The method would give wrong numbers on this architecture.
        """
        skips(errors)
        check_parts(metrics, attention)
        return chain.from_iterable(
            self._analyses(
                texts,
                method=method,
                target=target,
                against=against,
                quantity=quantity,
                layer=layer,
                evaluate=evaluate and not scores_only,
                metrics=metrics,
                attention=attention,
                scores_only=scores_only,
                errors=errors,
            )
            for texts in in_chunks(text, pairs=True)
        )

    def _answers_and_scores(
        self, texts: Sequence[InputT], *, method: MethodChoice, quantity: Quantity, positions: int
    ) -> Iterator[tuple[int, Report | Failure]]:
        """Yield the answer and the scores of each text, both from one forward pass where the method allows.

        Batches depend on the texts alone, not on the memory that happens to be free, so that the same texts
        give the same bits whenever they are explained; only where memory runs out are they smaller.

        Args:
            texts: The texts, as ``compute_saliency`` takes them; their results wait in memory.
            method: The attribution method, likewise.
            quantity: ``logit``, ``log_prob`` or ``prob``.
            positions: Most token positions of a batch; a longer text is a batch of its own.

        Yields:
            The index of a text and its report, or why it has none; shortest texts first.

        Raises:
            UnsupportedModelError: Answers of this kind of model cannot be read from one pass.
        """
        make_target = self._predicted_target(None, quantity)
        if make_target is None:
            raise UnsupportedModelError(
                f"{type(self).__name__} explains texts one by one.", hint="Use analyze_each."
            )
        with explanation():
            encoded = self._encode_each(texts, "skip")
        yield from ((index, each) for index, each in enumerate(encoded) if isinstance(each, Failure))
        encodings = {index: each[0] for index, each in enumerate(encoded) if not isinstance(each, Failure)}
        del encoded
        memory = self.runner.model.memory
        answers: dict[int, AnswerT] = {}
        read_answer = self._answer_reader()

        def make(logits: Any, tokens: Tokens) -> Target:
            answers[id(tokens)] = read_answer(logits, tokens)
            return make_target(logits, tokens)

        for batch in _batches_by_length(encodings, positions, memory):
            # Nothing of a batch outlives its turn: what is left lies between the tensors of the next passes.
            of_batch = [encodings.pop(index) for index in batch]
            with explanation(), memory.batches_of(positions):
                attributions = attribute(self.runner, method, of_batch, make, None, "skip")
            while of_batch:
                index, tokens, attribution = batch.pop(), of_batch.pop().tokens[0], attributions.pop()
                if isinstance(attribution, Failure):
                    yield index, attribution
                    continue
                report = self._report(answers.pop(id(tokens)))
                report = replace(report, attributions=(attribution,), provenance=attribution.provenance)
                del tokens, attribution
                yield index, report
                del report

    @explanation()
    def estimate_analysis(
        self,
        text: InputT,
        *,
        method: MethodChoice = "default",
        target: TargetChoice[TargetT] = None,
        against: TargetT | None = None,
        quantity: Quantity = "logit",
        layer: int | None = None,
    ) -> Estimate:
        """Return what the attribution of ``analyze`` would cost, without explaining anything.

        The answer itself, attention, head scores and evaluation are not counted.

        Args:
            text: An input, as ``compute_saliency`` takes it.
            method: The attribution method, as ``analyze`` takes it.
            target: What is explained, likewise.
            against: What the target is compared with.
            quantity: ``logit``, ``log_prob`` or ``prob``.
            layer: The block whose hidden states are scored; the embeddings if left out.

        Returns:
            Passes, token positions and memory.

        Raises:
            InputError: The text, the target or the method cannot be used, or the method cannot be estimated.
            UnsupportedModelError: The method would give wrong numbers on this architecture.
        """
        encoded = [self._encodings(text)]
        _, explain = self._explanation([text], encoded, method, target, against, quantity, every_part=True)
        return estimate_of(self.runner.at_layer(layer), explain, method)

    # What a kind of model implements.

    def _encode(self, text: Any) -> Encoding:
        """Return one text, or a pair of texts, as the model reads it.

        Raises:
            InputError: It is empty, too long or of another form.
        """
        raise NotImplementedError

    def _answers(self, encodings: Sequence[Encoding]) -> Sequence[Any]:
        """Return the answer to each of some encodings of equal length, from one forward pass."""
        raise NotImplementedError

    def _targets_of(
        self,
        encoding: Encoding,
        answer: AnswerT | None,
        target: TargetChoice[TargetT],
        against: TargetT | None,
        quantity: Quantity,
    ) -> Sequence[Target]:
        """Return the targets of one encoding.

        Args:
            encoding: The text as the model reads it.
            answer: The model's answer; ``None`` unless ``_needs_answer``.
            target: What the caller named; ``None`` for the answer. Functions do not get here.
            against: What it is compared with.
            quantity: What is read from the logits.

        Raises:
            InputError: There is no such target.
        """
        raise NotImplementedError

    # What a kind of model can do otherwise.

    def _encodings(self, text: InputT) -> tuple[Encoding, ...]:
        """Return everything that the model reads for one input: several texts if it compares choices."""
        return (self._encode(text),)

    def _joined(self, text: InputT, encodings: Sequence[Encoding], answers: Sequence[Any]) -> AnswerT:
        """Return the answer to one input from the answers to its encodings."""
        (answer,) = answers
        return answer

    def _needs_answer(self, target: TargetChoice[TargetT], against: TargetT | None) -> bool:
        """Return whether targets are made from the model's answer, which takes a forward pass."""
        return target is None

    def _predicted_target(self, against: TargetT | None, quantity: Quantity) -> MakeTarget | None:
        """Return what makes the answer's target in the forward pass that explains it, if anything can."""
        return None

    def _answer_reader(self) -> Callable[[Float[Tensor, "positions classes"], Tokens], AnswerT]:
        """Return what reads the answer from the logits of a text; of kinds with a ``_predicted_target``."""
        raise NotImplementedError

    def _check_target(
        self, target: TargetChoice[TargetT], against: TargetT | None, quantity: Quantity
    ) -> None:
        """Raise InputError for targets that no input can have, before anything is explained."""

    def _explained(
        self,
        text: InputT,
        encodings: Sequence[Encoding],
        answer: AnswerT | None,
        target: TargetChoice[TargetT],
        against: TargetT | None,
        quantity: Quantity,
    ) -> list[Explained]:
        """Return what is explained of one input, the main part first; a report has all, other results one."""
        encoding = encodings[0]
        if callable(target):
            return [Explained(encoding, self._function_targets(target))]
        return [Explained(encoding, self._targets_of(encoding, answer, target, against, quantity))]

    def _readings(
        self,
        report: Report,
        encoding: Encoding,
        saliency: Attribution,
        attention: MapChoice,
        parts: ReportParts,
    ) -> Report:
        """Return a report with what is read from the model besides its answer and scores."""
        attend = partial(attention_for_report, self.runner.model, encoding, attention)
        score = partial(head_scores_for_report, self.runner, encoding, saliency)
        with recorded_once(self.runner.model, encoding):
            return replace(
                report,
                attention=parts.get("attention", attend, (), is_requested=attention is not None),
                heads=parts.get("head scores", score, None),
            )

    def _lens(self, encoding: Encoding, top: int) -> LogitLens:
        """Return what each layer would answer."""
        raise UnsupportedModelError(
            f"A logit lens reads one distribution over answers at each layer, and {self.without_lens}.",
            hint="Use compute_saliency or compute_attention (the commands explain and attention).",
        )

    def _report(self, answer: AnswerT) -> Report:
        """Return a report that holds only an answer."""
        return Report.of(answer)  # pyright: ignore[reportArgumentType]

    # How the methods above run.

    def _encode_each(self, texts: Sequence[Any], errors: Errors) -> list[tuple[Encoding, ...] | Failure]:
        """Return the encodings of each input, or why it has none."""
        count = len(texts)
        return [
            attempted(partial(self._encodings, text), errors, index, count)
            for index, text in enumerate(texts)
        ]

    def _answer_each(
        self, texts: Sequence[Any], encoded: Sequence[tuple[Encoding, ...] | Failure], errors: Errors
    ) -> list[Any]:
        """Return the answer to each input; encodings of one length share a forward pass."""
        encodings = [encoding for each in readable(encoded) for encoding in each]

        def read(group: Sequence[int]) -> dict[int, Any]:
            answers: dict[int, Any] = {}
            batches = Batches(len(group), len(encodings[group[0]].tokens[0]), self.runner.model.memory)
            for start, end in batches:
                with batches.halving():
                    members = group[start:end]
                    batch = self._answers([encodings[member] for member in members])
                    answers |= zip(members, batch, strict=True)
            return answers

        read_answers: dict[int, Any] = {}
        for group in groups_of_equal_length(encodings):
            read_answers |= isolated(read, group, errors)
        remaining = iter([read_answers[index] for index in range(len(encodings))])

        def join(text: Any, encodings: tuple[Encoding, ...]) -> AnswerT | Failure:
            answers = [next(remaining) for _ in encodings]
            failed = [answer for answer in answers if isinstance(answer, Failure)]
            return failed[0] if failed else self._joined(text, encodings, answers)

        return [
            each if isinstance(each, Failure) else join(text, each)
            for text, each in zip(texts, encoded, strict=True)
        ]

    def _explained_each(
        self,
        texts: Sequence[Any],
        encoded: Sequence[tuple[Encoding, ...] | Failure],
        answers: Sequence[Any],
        target: TargetChoice[TargetT],
        against: TargetT | None,
        quantity: Quantity,
        errors: Errors,
    ) -> list[list[Explained] | Failure]:
        """Return what is explained of each input, or why nothing is."""
        self._check(target, against, quantity)

        def explained(
            text: Any, encodings: tuple[Encoding, ...] | Failure, answer: Any
        ) -> list[Explained] | Failure:
            for part in (encodings, answer):
                if isinstance(part, Failure):
                    return part
            assert not isinstance(encodings, Failure)
            return self._explained(text, encodings, answer, target, against, quantity)

        return [
            attempted(partial(explained, *each), errors, index, len(texts))
            for index, each in enumerate(zip(texts, encoded, answers, strict=True))
        ]

    def _explanation(
        self,
        texts: Sequence[Any],
        encoded: Sequence[tuple[Encoding, ...] | Failure],
        method: MethodChoice,
        target: TargetChoice[TargetT],
        against: TargetT | None,
        quantity: Quantity,
        errors: Errors = "raise",
        *,
        every_part: bool = False,
    ) -> tuple[Sequence[Any], Callable[[Runner], Any]]:
        """Return what is explained of each input, or its failure; and what explains it with a runner.

        Of an input of several parts it explains the first, or every part as a report has them.
        """
        check_method(method)
        make_target = self._predicted_target(against, quantity) if target is None else None
        if make_target is not None and all(len(encodings) == 1 for encodings in readable(encoded)):
            explained: Sequence[Any] = encoded
            encodings = [encodings[0] for encodings in readable(encoded)]
            targets: Any = make_target
        else:
            answers: Sequence[Any] = [None] * len(texts)
            if self._needs_answer(target, against):
                answers = self._answer_each(texts, encoded, errors)
            explained = self._explained_each(texts, encoded, answers, target, against, quantity, errors)
            mains = [part for parts in readable(explained) for part in (parts if every_part else parts[:1])]
            encodings = [main.encoding for main in mains]
            targets = [main.targets for main in mains]
        explain = partial(
            attribute,
            choice=method,
            encodings=encodings,
            targets=targets,
            function=target if callable(target) else None,
            errors=errors,
        )
        return explained, explain

    def _main(
        self,
        text: InputT,
        target: TargetChoice[TargetT],
        against: TargetT | None,
        quantity: Quantity,
    ) -> Explained:
        """Return what is explained of one input; of the model's own answer the first target."""
        encodings = self._encodings(text)
        answers: Sequence[Any] = [None]
        if self._needs_answer(target, against):
            answers = self._answer_each([text], [encodings], "raise")
        each = self._explained_each([text], [encodings], answers, target, against, quantity, "raise")
        main = readable(each)[0][0]
        return Explained(main.encoding, main.targets[:1]) if target is None else main

    def _main_encoding(self, text: InputT) -> Encoding:
        """Return what the model reads for one input; of several choices, that of its answer."""
        encodings = self._encodings(text)
        if len(encodings) == 1:
            return encodings[0]
        return self._main(text, None, None, self.default_quantity).encoding

    def _analyses(
        self,
        texts: Sequence[Any],
        *,
        method: MethodChoice,
        target: TargetChoice[TargetT],
        against: TargetT | None,
        quantity: Quantity,
        layer: int | None,
        evaluate: bool,
        metrics: Sequence[str | Metric] | None,
        attention: MapChoice,
        scores_only: bool,
        errors: Errors,
        progress: ProgressChoice = False,
    ) -> Iterator[Any]:
        """Yield the report of each input, or why it has none, in order; one may show its progress."""
        function = target if callable(target) else None
        encoded = self._encode_each(texts, errors)
        answers = self._answer_each(texts, encoded, errors)
        each = self._explained_each(texts, encoded, answers, target, against, quantity, errors)
        all_explained = [explained for parts in readable(each) for explained in parts]
        explain = partial(
            attribute_each,
            choice=method,
            encodings=[explained.encoding for explained in all_explained],
            targets=[explained.targets for explained in all_explained],
            function=function,
            errors=errors,
        )
        runner = self.runner.sharing().at_layer(layer)
        saliencies = (
            explain(runner)  # those of one text and of all others of its length when it is their turn
            if progress is False
            else iter(with_progress(runner, lambda runner: list(explain(runner)), progress))
        )

        def report(encoding: Encoding, answer: AnswerT, attributions: Sequence[Attribution]) -> Report:
            saliency = attributions[0]
            whole = replace(
                self._report(answer), attributions=tuple(attributions), provenance=saliency.provenance
            )
            if scores_only:
                return whole
            parts = ReportParts()
            shown = progress if len(texts) == 1 else False
            if evaluate:

                def test(runner: Runner) -> tuple[Evaluation, ...]:
                    return evaluations_for_report(runner, encoding, saliency, function, metrics)

                tested = partial(
                    with_progress, runner.at_layer(None), test, shown, part=TESTING, report=whole
                )
                whole = replace(
                    whole, evaluations=parts.get("evaluation", tested, (), is_requested=metrics is not None)
                )

            read = partial(self._readings, whole, encoding, saliency, attention, parts)
            complete = as_part(read, shown, READING, whole)
            runner.release(encoding)
            return complete.with_cautions(*parts.cautions)

        for index, (explained, answer) in enumerate(zip(each, answers, strict=True)):
            if isinstance(explained, Failure):
                yield explained
                continue
            attributions = [next(saliencies) for _ in explained]
            failed = [saliency for saliency in attributions if isinstance(saliency, Failure)]
            if failed:
                yield failed[0]
            else:
                call = partial(report, explained[0].encoding, answer, readable(attributions))
                yield attempted(call, errors, index, len(texts))

    def _check(self, target: TargetChoice[TargetT], against: TargetT | None, quantity: Quantity) -> None:
        """Raise InputError for what no input allows."""
        if not callable(target):
            self._check_target(target, against, quantity)
        elif against is not None or quantity != self.default_quantity:
            raise InputError(
                "The value of a function is explained as it is: against and quantity do not apply.",
                hint="Leave them out, and let the function return what to explain.",
            )

    def _function_targets(self, function: Callable[[Any], Any]) -> Sequence[Target]:
        return (function_target(self.task, function),)

    def _encoding_of(self, attribution: Attribution) -> Encoding:
        tokens, texts = attribution.tokens, attribution.tokens.texts
        encoding = self._encode(texts[0] if len(texts) == 1 else texts)
        is_other = not np.array_equal(tokens.ids, encoding.tokens[0].ids)
        if (
            is_other
            and len(texts) == 1
            and tuple(pieces_of(self.tokenizer, tokens.ids.tolist())) == tokens.pieces
        ):
            return self.runner.model.encode(tokens)  # a text that was given as words
        check_same_tokens(attribution, encoding)
        return encoding


def _batches_by_length(encodings: Mapping[int, Encoding], positions: int, memory: Memory) -> list[list[int]]:
    """Return the numbers of texts of one length in batches of one size, at most so many positions each."""
    groups: dict[int, list[int]] = {}
    for index, encoding in encodings.items():
        groups.setdefault(encoding.ids.shape[1], []).append(index)
    batches = []
    for tokens, group in sorted(groups.items()):
        most = memory.most_rows(tokens, positions)
        size = -(-len(group) // -(-len(group) // most))
        batches += [group[start : start + size] for start in range(0, len(group), size)]
    return batches


Kind = TypeVar("Kind", bound=type[AnsweringVisualizer[Any, Any, Any]])


def quantity_by_default(quantity: Quantity) -> Callable[[Kind], Kind]:
    """Let the methods of a kind explain another quantity than ``logit`` if a caller does not say which.

    Args:
        quantity: What is read from the logits.

    Returns:
        A decorator of classes.
    """

    def decorate(kind: Kind) -> Kind:
        kind.default_quantity = quantity
        for name, method in getmembers(kind, isfunction):
            if "quantity" in signature(method).parameters and not name.startswith("_"):
                setattr(kind, name, _with_quantity(method, quantity))
        return kind

    return decorate


def _with_quantity(method: Callable[..., Any], quantity: Quantity) -> Callable[..., Any]:
    @wraps(method)
    def call(*arguments: Any, quantity: Quantity = quantity, **options: Any) -> Any:
        return method(*arguments, quantity=quantity, **options)

    stated = signature(method)
    parameters = [
        parameter.replace(default=quantity) if parameter.name == "quantity" else parameter
        for parameter in stated.parameters.values()
    ]
    call.__signature__ = stated.replace(parameters=parameters)  # pyright: ignore[reportAttributeAccessIssue]
    return call
