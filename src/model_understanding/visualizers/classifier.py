"""ModelVisualizer: explains sequence classifiers."""

from collections.abc import Callable, Sequence
from typing import Any

from model_understanding.attention.for_report import MapChoice
from model_understanding.attention.keep import AxisChoice, Keep
from model_understanding.attention.protocol import AttentionMapMethod
from model_understanding.attention.read import attention_for_report, query_key_of, read_attention
from model_understanding.attribution.choose import MethodChoice, check_method
from model_understanding.attribution.cost import ProgressChoice, estimate_of, with_progress
from model_understanding.attribution.run import attribute
from model_understanding.errors import InputError
from model_understanding.evaluation.protocol import Metric
from model_understanding.evaluation.run import check_same_tokens, evaluations_for_report
from model_understanding.lens.read import TOP, lens_of_classes
from model_understanding.passes.predicted_targets import MakeTarget, PredictedTargets
from model_understanding.passes.runner import Runner
from model_understanding.results import (
    AttentionMap,
    Attribution,
    LogitLens,
    Prediction,
    QueryKey,
    Report,
    Target,
)
from model_understanding.results.target import Quantity, function_target
from model_understanding.targets.classification import ClassName, prediction_of, resolve_targets
from model_understanding.targets.names import SEQUENCE_CLASSIFICATION
from model_understanding.text.encoding import Encoding
from model_understanding.text.tokenization import tokenize
from model_understanding.visualizers.base import Visualizer
from model_understanding.visualizers.heads import RankChoice
from model_understanding.visualizers.plotting import shown

Text = str | tuple[str, str]


class ClassifierReadings(Visualizer):
    """What ``ModelVisualizer`` reads off its model; use that one."""

    task = SEQUENCE_CLASSIFICATION

    def predict(self, text: Text) -> Prediction:
        """Return the classifier's answer.

        Args:
            text: A text, or a (text, pair) tuple.

        Returns:
            Labels, logits and probabilities.

        Raises:
            InputError: The text is empty or longer than the model allows.
        """
        return self._answer(self._encode(text))

    def compute_attention(
        self,
        text: Text,
        layer: AxisChoice = -1,
        head: AxisChoice = "mean",
        map: str | AttentionMapMethod = "raw",
        *,
        queries: Sequence[int] | None = None,
        keep: Keep = "rows",
        rank: RankChoice = None,
        top: int = 8,
    ) -> AttentionMap:
        """Return where the model looked, exact and with the model's own kernels.

        Args:
            text: A text, or a (text, pair) tuple.
            layer: An index, several, ``"all"``, or ``"mean"`` or ``"max"`` over all.
            head: The same for heads.
            map: The map's name, or a map object, as ``Rollout(start_layer=2)``.
            queries: Positions of the tokens that look, the rows; all where left out.
            keep: What to keep of each layer: ``"rows"``, every weight; ``"top:16"``, each row's largest;
                ``"pooled:64"``, an overview of stretches of so many tokens; ``"mass"``, each key's mean
                weight; or a reducer. Layers of ``raw`` and ``value_weighted`` are reduced as they come, so
                that a long text needs no tokens² of memory; other maps are computed whole first.
            rank: A head score (``score_heads`` lists them), or heads ranked already: the heads it puts first
                are held, of all layers or of a list of them. Scores that need a target ask for the
                predicted class.
            top: How many heads.

        Returns:
            Weights from queries (rows) to keys (columns); ``left_out`` says what is not in it. With ``rank``,
            ``.ranking`` names the heads in order, and the map holds every layer and head in it.

        Raises:
            InputError: The text is empty or too long, or there is no such layer, head, query or reduction.
            UnsupportedModelError: The model has no attention, or one that cannot be read exactly.
        """
        encoding = self._encode(text)

        def attend(layer: AxisChoice, head: AxisChoice) -> AttentionMap:
            return read_attention(self.runner.model, encoding, layer, head, map, queries=queries, keep=keep)

        return self._of_ranked_heads(attend, encoding, layer, head, rank, top)

    def compute_logit_lens(self, text: Text, top: int = TOP) -> LogitLens:
        """Return what the classifier would answer at each layer, read through its own pooling and head.

        Layer k is what enters block k (layer 0: the embeddings), the last layer what leaves the last block.
        Each layer's states of the whole text go through the very operations that the model runs after its
        last block. The last layer's logits must come out as the model's own, else the model is refused. The
        head was trained on the last layer alone: what it says of the first ones may mean little.

        Args:
            text: A text, or a (text, pair) tuple.
            top: How many of the likeliest classes to keep.

        Returns:
            The likeliest classes of each layer, with entropies, the rank and probability of the model's own
            answer, and the divergence from the model's own distribution.

        Raises:
            InputError: The text is empty or longer than the model allows.
            UnsupportedModelError: The classes are no alternatives (several labels, a regression), or the
                model's layers cannot be read through its own head exactly.
        """
        return lens_of_classes(self.runner.model, self._encode(text), top)

    def compute_query_key(self, text: Text, layer: int = -1, head: int = 0, query: int = 0) -> QueryKey:
        """Return the products behind one head's weights: why a query looks at its keys as it does.

        Queries and keys are those that attention consumes; ``Σᵢ scale · qᵢ · kᵢ`` plus what is added (masks
        and biases, given apart) goes into the softmax. That it gives the model's own weights is checked on
        every run.

        Args:
            text: A text, or a (text, pair) tuple.
            layer: The attention layer, counted from the end where negative.
            head: The head, likewise.
            query: The token that looks, likewise.

        Returns:
            The query, its keys, and their weights.

        Raises:
            InputError: There is no such layer, head or token.
            UnsupportedModelError: The model has no attention, or its queries and keys cannot be found.
        """
        return query_key_of(self.runner.model, self._encode(text), layer, head, query)

    def _encode(self, text: Text) -> Encoding:
        if isinstance(text, tuple):
            if len(text) != 2:
                raise InputError(
                    f"A pair is a tuple of two texts. Got {len(text)}.", hint="Pass (text, pair), or a list."
                )
            tokens, inputs = tokenize(self.tokenizer, text[0], text[1])
        else:
            tokens, inputs = tokenize(self.tokenizer, text)
        return self.runner.model.encode(tokens, inputs)

    def _answer(self, encoding: Encoding) -> Prediction:
        logits = self.runner.model.logits(encoding)[0, 0].float().cpu().numpy()
        return prediction_of(self.runner.model.config, encoding.tokens[0], logits)


ClassTarget = ClassName | Sequence[ClassName] | Callable[[Any], Any] | None


class ModelVisualizer(ClassifierReadings):
    """Explain a sequence classifier: which tokens drove its answer, and where it looked.

    Args:
        name_or_model: A hub id, a folder, ``demo:sentiment``, a model or a ``transformers`` pipeline.
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

    >>> visualizer = ModelVisualizer("demo:sentiment")
    >>> visualizer.predict("A wonderful film.").label
    'positive'
    """

    def compute_saliency(
        self,
        text: Text | list[Text],
        method: MethodChoice = "default",
        target: ClassTarget = None,
        against: ClassName | None = None,
        quantity: Quantity = "logit",
        layer: int | None = None,
        progress: ProgressChoice = None,
        estimate: bool = False,
    ) -> Any:
        """Return how much each token contributed to the answer.

        Args:
            text: A text, a (text, pair) tuple, or a list of them.
            method: A method's name (``model-understanding methods`` lists them), a method object,
                ``"default"``, or ``"fast"`` for two forwards and a backward; the result names the method.
            target: A label, an index, several of them, ``"all"``, a function of the model's outputs that
                returns one number, or ``None`` for the predicted class.
            against: Another class: the difference target − against is explained.
            quantity: ``logit``, ``log_prob`` or ``prob``.
            layer: Attribute to the hidden states that enter this block (from 0, or from −1 at the end), by a
                gradient method; to the embeddings where left out.
            progress: A function called between batches with the token positions run so far, forward and
                backward, and all there will be (``None`` for a method that cannot tell); it ends the run by
                returning ``False``. ``True`` for a bar, ``False`` for none; left out, a notebook gets a bar
                where the run takes long. The total of an adaptive method is its most; where it stops
                earlier, the last call has the smaller total.
            estimate: Return what this would cost instead of doing it; the model is not run.

        Returns:
            An ``Attribution`` with a row for each target; a list of them for a list of texts. With
            ``estimate`` one ``Estimate`` for all of them.

        Raises:
            StoppedError: ``progress`` returned ``False``; the model is as it was.
            InputError: The text, the target or the method cannot be used.
            UnsupportedModelError: The method would give wrong numbers on this architecture.
        """
        many = isinstance(text, list)
        encodings = [self._encode(one) for one in (text if many else [text])]
        check_method(method)
        function = target if callable(target) else None
        named = self._named_targets(target, against, quantity)
        targets = self._of_likeliest(against, quantity) if named is None else [named] * len(encodings)

        def explain(runner: Runner) -> list[Attribution]:
            return attribute(runner, method, encodings, targets, function)

        runner = self.runner.at_layer(layer)
        if estimate:
            return estimate_of(runner, explain, method)
        found = with_progress(runner, explain, progress)
        return found if many else found[0]

    def evaluate(
        self,
        text: Text | Attribution | list[Attribution],
        method: MethodChoice | Sequence[MethodChoice] = "default",
        target: ClassTarget = None,
        against: ClassName | None = None,
        quantity: Quantity = "logit",
        *,
        metrics: Sequence[str | Metric] | None = None,
        draws: int = 5,
        seed: int = 0,
        replacements: Sequence[str] | None = None,
    ) -> Any:
        """Return how far an explanation may be believed: metrics beside random orders, and a verdict.

        Tokens are removed in place and the fall of the target is compared with what random orders of the
        same text do. With 5 random orders at most ``1 + 4 · 6`` variants run for each of two
        replacements; a further method on the same text adds at most 8. Where these leave the verdict open,
        each of up to 64 tokens is removed alone too (of longer texts 40 more variants run). Metrics on
        request may run more: each says so in its ``cost``.

        Args:
            text: A text, a (text, pair) tuple, an attribution of this model, or several of one text.
            method: The attribution method, or a list of them.
            target: What is explained, as ``compute_saliency`` takes it; of an attribution that explains a
                function, that function.
            against: The contrast class.
            quantity: What is explained; judged are always logit margin and probability.
            metrics: Metrics beside the default ones: names (``METRICS`` of ``registry.py`` lists them), or
                metrics with settings of their own, as ``Comprehensiveness(fractions=(0.1, 0.3))``.
            draws: Random orders, 5 or more.
            seed: Seed of these orders.
            replacements: What stands in for removed tokens: of ``mask``, ``attention``, ``mean``, ``pad``;
                the first two that fit the model where left out.

        Returns:
            An ``Assessment``; a list of them for several methods or targets.

        Raises:
            InputError: The text, the target, the method or a metric cannot be used.
        """

        def explain(method: Any) -> Attribution:
            return self.compute_saliency(text, method, target, against, quantity)  # pyright: ignore[reportArgumentType]

        return self._evaluated(
            text,
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
        text: Text,
        *,
        method: MethodChoice = "default",
        target: ClassTarget = None,
        against: ClassName | None = None,
        quantity: Quantity = "logit",
        layer: int | None = None,
        progress: ProgressChoice = None,
        estimate: bool = False,
        evaluate: bool = True,
        metrics: Sequence[str | Metric] | None = None,
        maps: MapChoice = None,
        show: bool | None = None,
    ) -> Any:
        """Explain an answer: prediction, saliency of the predicted class, and attention.

        Args:
            text: A text, or a (text, pair) tuple.
            method: The attribution method.
            target: What to explain, as ``compute_saliency`` takes it; the predicted class where left out.
            against: Another class: the difference target − against is explained.
            quantity: ``logit``, ``log_prob`` or ``prob``.
            layer: Attribute to the hidden states that enter this block, as ``compute_saliency`` takes it.
            progress: Whom to tell how far the attribution is, as ``compute_saliency`` takes it.
            estimate: Return what the attribution would cost, as ``compute_saliency`` does.
            evaluate: Whether to measure how far the saliency may be believed, as ``evaluate`` does, and put
                the verdict into the report: some 50 forwards, about what 20-node integrated gradients cost,
                and up to 130 more where these leave it open.
            metrics: Metrics beside the default ones, as ``evaluate`` takes them.
            maps: Attention maps to keep beside the main one (the last layer, mean over heads), names or
                objects; left out, ``raw`` of all layers and heads and the cheap ones; ``()`` for none.
            show: Whether to show the report now; when left out a notebook shows the value returned, and
                a script or terminal gets colored text.

        Returns:
            The ``Report``; ``report.save("x.html")`` keeps it. With ``estimate`` an ``Estimate``.
        """
        if estimate:
            return self.compute_saliency(text, method, target, against, quantity, layer, estimate=True)
        encoding = self._encode(text)
        prediction = self._answer(encoding)
        saliency = self.compute_saliency(
            text,
            method=method,
            target=prediction.index if target is None else target,
            against=against,
            quantity=quantity,
            layer=layer,
            progress=progress,
        )
        function = target if callable(target) else None
        report = Report(
            prediction=prediction,
            attributions=(saliency,),
            attention=attention_for_report(self.runner.model, encoding, maps),
            evaluations=evaluations_for_report(self.runner, encoding, saliency, function, metrics)
            if evaluate
            else (),
            heads=self._heads_of_report(encoding, saliency),
            provenance=saliency.provenance,
        )
        return shown(report, show)

    def _named_targets(
        self, target: ClassTarget, against: ClassName | None, quantity: Quantity
    ) -> tuple[Target, ...] | None:
        """Return the targets that were named; ``None`` where the predicted class is meant."""
        if callable(target):
            if against is not None or quantity != "logit":
                raise InputError(
                    "A function's value is explained as it is: it takes no against and no quantity.",
                    hint="Return from the function what you mean.",
                )
            return (function_target(self.task, target),)
        return (
            None if target is None else resolve_targets(self.runner.model.config, target, against, quantity)
        )

    def _explained(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        text: Any,
        target: ClassTarget,
        *,
        with_target: bool,
        against: ClassName | None = None,
        quantity: Quantity = "logit",
    ) -> tuple[Encoding, Sequence[Target] | None, Callable[[Any], Any] | None]:
        encoding = self._encode(text)
        if not with_target:
            return encoding, None, None
        named = self._named_targets(target, against, quantity)
        if named is None:
            named = PredictedTargets(self.runner.model, encoding, self._of_likeliest(against, quantity))[0]
        return encoding, named, target if callable(target) else None

    def _answer_of(self, encoding: Encoding) -> Sequence[Target]:
        return PredictedTargets(self.runner.model, encoding, self._of_likeliest(None, "logit"))[0]

    def _of_likeliest(self, against: ClassName | None, quantity: Quantity) -> MakeTarget:
        """Return what makes the target of the predicted class."""
        return lambda index, _: resolve_targets(self.runner.model.config, index, against, quantity)[0]

    def _encoding_of(self, attribution: Attribution) -> Encoding:
        texts = attribution.tokens.texts
        encoding = self._encode(texts[0] if len(texts) == 1 else texts)  # pyright: ignore[reportArgumentType]
        check_same_tokens(attribution, encoding)
        return encoding
