"""ModelVisualizer: explains sequence classifiers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, Literal, overload

import numpy as np

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
from model_understanding.errors import InputError
from model_understanding.evaluation.protocol import Metric
from model_understanding.evaluation.run import check_same_tokens, evaluations_for_report
from model_understanding.head_scores.run import HeadScoreChoice
from model_understanding.lens.read import TOP, lens_of_classes
from model_understanding.model.batching import Batches
from model_understanding.model.guard import explanation
from model_understanding.passes.predicted_targets import MakeTarget, PredictedTargets
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
    Prediction,
    QueryKey,
    Report,
    Target,
)
from model_understanding.results.target import Quantity, function_target
from model_understanding.show.progress import READING, TESTING
from model_understanding.targets.classification import ClassName, prediction_of, resolve_targets
from model_understanding.targets.names import SEQUENCE_CLASSIFICATION
from model_understanding.text.detokenization import pieces_of
from model_understanding.text.encoding import Encoding
from model_understanding.text.tokenization import tokenize
from model_understanding.text.words import Words, words_or_text
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

Text = str | Words | tuple[str | Words, str | Words]
Texts = Iterable[str] | Iterable[tuple[str, str]] | Iterable[list[str]] | Iterable[Text]
OneClass = ClassName | Callable[[Any], Any] | None
ClassTarget = OneClass | Sequence[ClassName]


class ModelVisualizer(Visualizer):
    """Explain a sequence classifier: which tokens drove its answer, and where it attends.

    Args:
        name_or_model: A hub id, a folder, ``demo:sentiment``, a model or a ``transformers`` pipeline.
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

    >>> visualizer = ModelVisualizer("demo:sentiment")
    >>> visualizer.predict("A wonderful film.").label
    'positive'
    """

    task = SEQUENCE_CLASSIFICATION

    @overload
    def predict(  # pyright: ignore[reportOverlappingOverload]  # a string is an iterable of strings
        self, text: Text, *, errors: Errors = "raise"
    ) -> Prediction: ...
    @overload
    def predict(self, text: Texts, *, errors: Literal["raise"] = "raise") -> list[Prediction]: ...
    @overload
    def predict(self, text: Texts, *, errors: Errors) -> list[Prediction | Failure]: ...
    @explanation()
    def predict(
        self, text: Text | Texts, *, errors: Errors = "raise"
    ) -> Prediction | list[Prediction] | list[Prediction | Failure]:
        """Return the classifier's answer.

        Args:
            text: A text, a (text, pair) tuple, or many of them, as ``compute_saliency`` takes them.
            errors: What to do with a text that fails, of many: as ``compute_saliency`` takes it.

        Returns:
            Labels, logits and probabilities; a list of them for many texts.

        Raises:
            InputError: The text is empty or longer than the model allows.
        """
        skips(errors)
        texts, several = texts_of(text, pairs=True)
        errors = errors if several else "raise"
        predictions = self._predictions(self._encode_each(texts, errors), errors)
        return predictions if several else predictions[0]

    @overload
    def compute_saliency(  # pyright: ignore[reportOverlappingOverload]  # a string is an iterable of strings
        self,
        text: Text,
        *,
        method: MethodChoice = "default",
        target: ClassTarget = None,
        against: ClassName | None = None,
        quantity: Quantity = "logit",
        layer: int | None = None,
        errors: Errors = "raise",
        progress: ProgressChoice = None,
    ) -> Attribution: ...
    @overload
    def compute_saliency(
        self,
        text: Texts,
        *,
        method: MethodChoice = "default",
        target: ClassTarget = None,
        against: ClassName | None = None,
        quantity: Quantity = "logit",
        layer: int | None = None,
        errors: Literal["raise"] = "raise",
        progress: ProgressChoice = None,
    ) -> list[Attribution]: ...
    @overload
    def compute_saliency(
        self,
        text: Texts,
        *,
        method: MethodChoice = "default",
        target: ClassTarget = None,
        against: ClassName | None = None,
        quantity: Quantity = "logit",
        layer: int | None = None,
        errors: Errors,
        progress: ProgressChoice = None,
    ) -> list[Attribution | Failure]: ...
    @explanation()
    def compute_saliency(
        self,
        text: Text | Texts,
        *,
        method: MethodChoice = "default",
        target: ClassTarget = None,
        against: ClassName | None = None,
        quantity: Quantity = "logit",
        layer: int | None = None,
        errors: Errors = "raise",
        progress: ProgressChoice = None,
    ) -> Attribution | list[Attribution] | list[Attribution | Failure]:
        """Return how much each token contributed to the answer.

        Args:
            text: A text or a (text, pair) tuple; or many of them: a list, ``pandas.Series``, array, column of
                a data set or generator.
            method: A method's name (``model-understanding methods`` lists them), a method object,
                ``"default"``, or ``"fast"`` for a method of two passes; the result names the method.
            target: A label, an index, several of them, ``"all"``, a function of the model's outputs that
                returns one number, or ``None`` for the predicted class.
            against: Another class: the difference target − against is explained.
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
        encodings = self._encode_each(texts, errors)
        explain = self._explanation(readable(encodings), method, target, against, quantity, errors)
        attributions = with_progress(self.runner.at_layer(layer), explain, progress)
        return in_place(encodings, attributions) if several else attributions[0]

    @explanation()
    def estimate_saliency(
        self,
        text: Text | Texts,
        *,
        method: MethodChoice = "default",
        target: ClassTarget = None,
        against: ClassName | None = None,
        quantity: Quantity = "logit",
        layer: int | None = None,
    ) -> Estimate:
        """Return what ``compute_saliency`` would cost, without running the model.

        Args:
            text: A text, a (text, pair) tuple, or many of them, as ``compute_saliency`` takes them.
            method: The attribution method, as ``compute_saliency`` takes it.
            target: What is explained, likewise.
            against: The contrast class.
            quantity: ``logit``, ``log_prob`` or ``prob``.
            layer: The block whose hidden states are scored; the embeddings if left out.

        Returns:
            Passes, token positions and memory, for all texts together.

        Raises:
            InputError: The text, the target or the method cannot be used, or the method cannot be estimated.
            UnsupportedModelError: The method would give wrong numbers on this architecture.
        """
        encodings = [self._encode(item) for item in texts_of(text, pairs=True)[0]]
        explain = self._explanation(encodings, method, target, against, quantity)
        return estimate_of(self.runner.at_layer(layer), explain, method)

    @takes_former_names(map="kind")
    @explanation()
    def compute_attention(
        self,
        text: Text,
        *,
        kind: str | AttentionMapMethod = "raw",
        layer: AxisChoice = -1,
        head: AxisChoice = "mean",
        queries: Sequence[int] | None = None,
        keep: Keep = "rows",
        rank: RankChoice = None,
        top: int = 8,
    ) -> AttentionMap:
        """Return where the model attends, exact and with the model's own kernels.

        Args:
            text: A text, or a (text, pair) tuple.
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
                the predicted class.
            top: How many of the ranked heads.

        Returns:
            Weights from queries (rows) to keys (columns); ``left_out`` says what is omitted. With ``rank``,
            ``.ranking`` names the heads in order, and the map holds all their layers and heads.

        Raises:
            InputError: The text is empty or too long, or there is no such map, layer, head, query or
                reduction.
            UnsupportedModelError: The model has no attention, or one that cannot be read exactly.
        """
        encoding = self._encode(text)

        def attend(layer: AxisChoice, head: AxisChoice) -> AttentionMap:
            return read_attention(self.runner.model, encoding, layer, head, kind, queries=queries, keep=keep)

        return attention_of_heads(
            self.runner,
            encoding,
            attend,
            layer,
            head,
            rank=rank,
            top=top,
            default_target=lambda: self._targets(encoding, None, None, "logit"),
        )

    @explanation()
    def compute_logit_lens(self, text: Text, *, top: int = TOP) -> LogitLens:
        """Return what the classifier would answer at each layer, read through its own pooling and head.

        Layer k is the input of block k (layer 0: the embeddings), the last layer the output of the last
        block. Each layer's states of the whole text go through the operations that the model runs after its
        last block. The last layer's logits must equal the model's own, or the model is refused. The head was
        trained on the last layer alone: what it reads in the first ones may mean little.

        Args:
            text: A text, or a (text, pair) tuple.
            top: How many of the likeliest classes to keep.

        Returns:
            The likeliest classes of each layer, with entropies, the rank and probability of the model's own
            answer, and the divergence from the model's own distribution.

        Raises:
            InputError: The text is empty or longer than the model allows.
            UnsupportedModelError: The classes do not exclude each other (several labels, a regression), or
                the model's layers cannot be read exactly through its own head.
        """
        return lens_of_classes(self.runner.model, self._encode(text), top)

    @explanation()
    def compute_query_key(self, text: Text, *, layer: int = -1, head: int = 0, query: int = 0) -> QueryKey:
        """Return the products behind one head's weights: why a query attends to its keys as it does.

        Queries and keys are those that attention consumes; ``Σᵢ scale · qᵢ · kᵢ`` plus what is added (masks
        and biases, given apart) goes into the softmax. Every run checks that this gives the model's own
        weights.

        Args:
            text: A text, or a (text, pair) tuple.
            layer: The attention layer, from the end if negative.
            head: The head, likewise.
            query: Position of the token that attends, likewise.

        Returns:
            The query, its keys, and their weights.

        Raises:
            InputError: There is no such layer, head or token.
            UnsupportedModelError: The model has no attention, or its queries and keys cannot be located.
        """
        return query_key_of(self.runner.model, self._encode(text), layer, head, query)

    @explanation()
    def score_heads(
        self,
        text: Text,
        *,
        scores: HeadScoreChoice = None,
        method: MethodChoice = "default",
        target: OneClass = None,
        against: ClassName | None = None,
        quantity: Quantity = "logit",
        attribution: Attribution | None = None,
    ) -> HeadScores:
        """Return scores of every attention head, to see which heads matter.

        Args:
            text: A text, or a (text, pair) tuple.
            scores: A name or a score object, or several. If left out: ``entropy``, ``distance``,
                ``previous_token``, ``induction``, ``delimiter`` and ``sink``, two forward passes together.
                ``induction_in_text`` needs a text that repeats itself; ``saliency_agreement`` compares heads
                with a saliency map; ``ablation`` is the drop of the target without each head.
            method: The attribution method of the saliency map, if ``saliency_agreement`` needs one.
            target: What ``saliency_agreement`` and ``ablation`` explain: a label, an index or a function of
                the model's outputs; the predicted class if left out.
            against: Another class: the difference target − against is explained.
            quantity: ``logit``, ``log_prob`` or ``prob``.
            attribution: The saliency map that heads are compared with; computed if left out.

        Returns:
            Scores of L layers and H heads for each name; ``.ranking(name)`` puts the heads in order.

        Raises:
            InputError: A score is unknown, or the text or the target does not suit it.
            UnsupportedModelError: The model's attention cannot be read, or its heads cannot be ablated.
        """
        methods = chosen_head_scores(scores, target)
        encoding = self._encode(text)
        return scores_of_heads(
            self.runner,
            encoding,
            methods,
            self._targets(encoding, target, against, quantity) if needs_target(methods) else None,
            function=target if callable(target) else None,
            attribution=attribution,
            method=method,
        )

    @overload
    def evaluate(  # pyright: ignore[reportOverlappingOverload]  # "all" is a string like a label
        self,
        text: Text | Attribution | list[Attribution],
        *,
        method: MethodChoice | Sequence[MethodChoice] = "default",
        target: Literal["all"] | Sequence[ClassName],
        against: ClassName | None = None,
        quantity: Quantity = "logit",
        metrics: Sequence[str | Metric] | None = None,
        draws: int = 5,
        seed: int = 0,
        replacements: Sequence[str] | None = None,
    ) -> Assessment | list[Assessment]: ...
    @overload
    def evaluate(
        self,
        text: Text,
        *,
        method: MethodChoice = "default",
        target: OneClass = None,
        against: ClassName | None = None,
        quantity: Quantity = "logit",
        metrics: Sequence[str | Metric] | None = None,
        draws: int = 5,
        seed: int = 0,
        replacements: Sequence[str] | None = None,
    ) -> Assessment: ...
    @overload
    def evaluate(
        self,
        text: Text | Attribution | list[Attribution],
        *,
        method: MethodChoice | Sequence[MethodChoice] = "default",
        target: ClassTarget = None,
        against: ClassName | None = None,
        quantity: Quantity = "logit",
        metrics: Sequence[str | Metric] | None = None,
        draws: int = 5,
        seed: int = 0,
        replacements: Sequence[str] | None = None,
    ) -> Assessment | list[Assessment]: ...
    @explanation()
    def evaluate(
        self,
        text: Text | Attribution | list[Attribution],
        *,
        method: MethodChoice | Sequence[MethodChoice] = "default",
        target: ClassTarget = None,
        against: ClassName | None = None,
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
            text: A text, a (text, pair) tuple, an attribution of this model, or several of one text.
            method: The attribution method, or a list of them.
            target: What is explained, as ``compute_saliency`` takes it; for an attribution that explains a
                function, that function.
            against: The contrast class.
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
        text: Text,
        *,
        method: MethodChoice = "default",
        target: ClassTarget = None,
        against: ClassName | None = None,
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
        text: Texts,
        *,
        method: MethodChoice = "default",
        target: ClassTarget = None,
        against: ClassName | None = None,
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
        text: Texts,
        *,
        method: MethodChoice = "default",
        target: ClassTarget = None,
        against: ClassName | None = None,
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
        text: Text | Texts,
        *,
        method: MethodChoice = "default",
        target: ClassTarget = None,
        against: ClassName | None = None,
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
        """Explain an answer: prediction, saliency of the predicted class, and attention.

        Args:
            text: A text, a (text, pair) tuple, or many of them, as ``compute_saliency`` takes them.
            method: The attribution method, as ``compute_saliency`` takes it.
            target: What to explain, as ``compute_saliency`` takes it; the predicted class if left out.
            against: Another class: the difference target − against is explained.
            quantity: ``logit``, ``log_prob`` or ``prob``.
            layer: Attribute to the hidden states that enter this block, as ``compute_saliency`` takes it.
            evaluate: Whether to measure how faithful the saliency is, as ``evaluate`` does, and put the
                verdict into the report: about 50 forward passes and 2 to 4 per token, at most 250.
            metrics: Extra metrics, as ``evaluate`` takes them.
            attention: Attention maps to keep besides the main one (the last layer, mean over heads), names or
                objects. If left out: ``raw`` of all layers and heads, and maps that cost little; ``()`` for
                none.
            scores_only: Whether to compute only prediction and saliency: no attention, no head scores and no
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
            texts. ``save_reports(reports, "x.html")`` saves these as one page.

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
        text: Texts,
        *,
        method: MethodChoice = "default",
        target: ClassTarget = None,
        against: ClassName | None = None,
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
            against: Another class: the difference target − against is explained.
            quantity: ``logit``, ``log_prob`` or ``prob``.
            layer: The block whose hidden states are scored; the embeddings if left out.
            evaluate: Whether to measure how faithful the saliency is, as ``analyze`` takes it.
            metrics: Extra metrics, likewise.
            attention: Attention maps to keep, likewise.
            scores_only: Whether to compute only prediction and saliency, likewise.
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

    @explanation()
    def estimate_analysis(
        self,
        text: Text,
        *,
        method: MethodChoice = "default",
        target: ClassTarget = None,
        against: ClassName | None = None,
        quantity: Quantity = "logit",
        layer: int | None = None,
    ) -> Estimate:
        """Return what the attribution of ``analyze`` would cost, without running the model.

        Prediction, attention, head scores and evaluation are not counted.

        Args:
            text: A text, or a (text, pair) tuple.
            method: The attribution method, as ``analyze`` takes it.
            target: What is explained, likewise.
            against: The contrast class.
            quantity: ``logit``, ``log_prob`` or ``prob``.
            layer: The block whose hidden states are scored; the embeddings if left out.

        Returns:
            Passes, token positions and memory.

        Raises:
            InputError: The text, the target or the method cannot be used, or the method cannot be estimated.
            UnsupportedModelError: The method would give wrong numbers on this architecture.
        """
        return self.estimate_saliency(
            text, method=method, target=target, against=against, quantity=quantity, layer=layer
        )

    def _encode(self, text: Text) -> Encoding:
        text = words_or_text(text)
        if isinstance(text, tuple) and not isinstance(text, Words):
            if len(text) != 2:
                raise InputError(
                    f"A pair is a tuple of two texts. Got {len(text)}.", hint="Pass (text, pair), or a list."
                )
            tokens, inputs = tokenize(self.tokenizer, words_or_text(text[0]), words_or_text(text[1]))
        else:
            tokens, inputs = tokenize(self.tokenizer, text)
        return self.runner.model.encode(tokens, inputs)

    def _encode_each(self, texts: Sequence[Text], errors: Errors) -> list[Encoding | Failure]:
        """Return the encoding of each text, or why it has none."""
        count = len(texts)
        return [
            attempted(partial(self._encode, text), errors, index, count) for index, text in enumerate(texts)
        ]

    def _predict(self, encoding: Encoding) -> Prediction:
        logits = self.runner.model.logits(encoding)[0, 0].float().cpu().numpy()
        return prediction_of(self.runner.model.config, encoding.tokens[0], logits)

    def _predictions(self, encodings: Sequence[Encoding | Failure], errors: Errors) -> list[Any]:
        """Return the prediction of each text; those of one length share a forward pass."""
        texts = readable(encodings)

        def predict(group: Sequence[int]) -> dict[int, Prediction]:
            predictions: dict[int, Prediction] = {}
            model = self.runner.model
            batches = Batches(len(group), len(texts[group[0]].tokens[0]), model.memory)
            for start, end in batches:
                with batches.halving():
                    members = group[start:end]
                    logits = model.logits(model.batch([texts[member] for member in members]))[:, 0]
                    for member, row in zip(members, logits.float().cpu().numpy(), strict=True):
                        predictions[member] = prediction_of(model.config, texts[member].tokens[0], row)
            return predictions

        predictions: dict[int, Prediction | Failure] = {}
        for group in groups_of_equal_length(texts):
            predictions |= isolated(predict, group, errors)
        return in_place(encodings, [predictions[index] for index in range(len(texts))])

    def _analyses(
        self,
        texts: Sequence[Text],
        *,
        method: MethodChoice,
        target: ClassTarget,
        against: ClassName | None,
        quantity: Quantity,
        layer: int | None,
        evaluate: bool,
        metrics: Sequence[str | Metric] | None,
        attention: MapChoice,
        scores_only: bool,
        errors: Errors,
        progress: ProgressChoice = False,
    ) -> Iterator[Any]:
        """Yield the report of each text, or why it has none, in order; one text may show its progress."""
        function = target if callable(target) else None
        encodings = self._encode_each(texts, errors)
        predictions = self._predictions(encodings, errors)
        explained = [
            (
                encoding,
                self._stated_targets(prediction.index if target is None else target, against, quantity),
            )
            for encoding, prediction in zip(encodings, predictions, strict=True)
            if not isinstance(encoding, Failure) and not isinstance(prediction, Failure)
        ]
        explain = partial(
            attribute_each,
            choice=method,
            encodings=[encoding for encoding, _ in explained],
            targets=[targets for _, targets in explained],
            function=function,
            errors=errors,
        )
        runner = self.runner.sharing().at_layer(layer)
        saliencies = (
            explain(runner)  # those of one text and of all others of its length when it is their turn
            if progress is False
            else iter(with_progress(runner, lambda runner: list(explain(runner)), progress))
        )

        def report(encoding: Encoding, prediction: Prediction, saliency: Attribution) -> Report:
            whole = Report(prediction=prediction, attributions=(saliency,), provenance=saliency.provenance)
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

            def read() -> Report:
                attend = partial(attention_for_report, self.runner.model, encoding, attention)
                score = partial(head_scores_for_report, self.runner, encoding, saliency)
                with recorded_once(self.runner.model, encoding):
                    return replace(
                        whole,
                        attention=parts.get("attention", attend, (), is_requested=attention is not None),
                        heads=parts.get("head scores", score, None),
                    )

            complete = as_part(read, shown, READING, whole)
            runner.release(encoding)
            return complete.with_cautions(*parts.cautions)

        remaining = iter(explained)
        for index, prediction in enumerate(predictions):
            if isinstance(prediction, Failure):
                yield prediction
                continue
            (encoding, _), saliency = next(remaining), next(saliencies)
            if isinstance(saliency, Failure):
                yield saliency
            else:
                call = partial(report, encoding, prediction, saliency)
                yield attempted(call, errors, index, len(texts))

    def _explanation(
        self,
        encodings: Sequence[Encoding],
        method: MethodChoice,
        target: ClassTarget,
        against: ClassName | None,
        quantity: Quantity,
        errors: Errors = "raise",
    ) -> Callable[[Runner], Any]:
        """Return what explains encoded texts with a runner, after checking what is asked."""
        check_method(method)
        named = self._named_targets(target, against, quantity)
        return partial(
            attribute,
            choice=method,
            encodings=encodings,
            targets=self._predicted_target(against, quantity) if named is None else [named] * len(encodings),
            function=target if callable(target) else None,
            errors=errors,
        )

    def _targets(
        self, encoding: Encoding, target: ClassTarget, against: ClassName | None, quantity: Quantity
    ) -> Sequence[Target]:
        """Return the targets of one text; a forward pass determines the predicted class."""
        named = self._named_targets(target, against, quantity)
        if named is not None:
            return named
        make_target = self._predicted_target(against, quantity)
        return PredictedTargets(self.runner.model, encoding, make_target)[0]

    def _named_targets(
        self, target: ClassTarget, against: ClassName | None, quantity: Quantity
    ) -> tuple[Target, ...] | None:
        """Return the targets that the caller named; ``None`` for the predicted class."""
        return None if target is None else self._stated_targets(target, against, quantity)

    def _stated_targets(
        self, target: Any, against: ClassName | None, quantity: Quantity
    ) -> tuple[Target, ...]:
        """Return the targets for labels, indices or a function."""
        if not callable(target):
            return resolve_targets(self.runner.model.config, target, against, quantity)
        if against is not None or quantity != "logit":
            raise InputError(
                "The value of a function is explained as it is: against and quantity do not apply.",
                hint="Leave them out, and let the function return what to explain.",
            )
        return (function_target(self.task, target),)

    def _predicted_target(self, against: ClassName | None, quantity: Quantity) -> MakeTarget:
        """Return what makes the target of the predicted class."""
        return lambda index, _: resolve_targets(self.runner.model.config, index, against, quantity)[0]

    def _encoding_of(self, attribution: Attribution) -> Encoding:
        tokens, texts = attribution.tokens, attribution.tokens.texts
        encoding = self._encode(texts[0] if len(texts) == 1 else texts)  # pyright: ignore[reportArgumentType]
        is_other = not np.array_equal(tokens.ids, encoding.tokens[0].ids)
        if (
            is_other
            and len(texts) == 1
            and tuple(pieces_of(self.tokenizer, tokens.ids.tolist())) == tokens.pieces
        ):
            return self.runner.model.encode(tokens)  # a text that was given as words
        check_same_tokens(attribution, encoding)
        return encoding
