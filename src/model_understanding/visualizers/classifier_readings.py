"""What is read off a sequence classifier: its answer, where it looked, what each layer would answer."""

from collections.abc import Sequence

from model_understanding.errors import InputError
from model_understanding.protocols import AttentionMapMethod
from model_understanding.results import AttentionMap, LogitLens, Prediction, QueryKey
from model_understanding.runner import Encoding
from model_understanding.runner.tokenization import tokenize
from model_understanding.tasks import SEQUENCE_CLASSIFICATION
from model_understanding.tasks.sequence_classification import prediction_of
from model_understanding.visualizers.attention_choices import AxisChoice, Keep
from model_understanding.visualizers.attention_reading import query_key_of, read_attention
from model_understanding.visualizers.base import Visualizer
from model_understanding.visualizers.head_ranking import RankChoice
from model_understanding.visualizers.layer_readings import TOP, lens_of_classes

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
            return read_attention(self.runner, encoding, layer, head, map, queries=queries, keep=keep)

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
        return lens_of_classes(self.runner, self._encode(text), top)

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
        return query_key_of(self.runner, self._encode(text), layer, head, query)

    def _encode(self, text: Text) -> Encoding:
        if isinstance(text, tuple):
            if len(text) != 2:
                raise InputError(
                    f"A pair is a tuple of two texts. Got {len(text)}.", hint="Pass (text, pair), or a list."
                )
            tokens, inputs = tokenize(self.tokenizer, text[0], text[1])
        else:
            tokens, inputs = tokenize(self.tokenizer, text)
        return self.runner.encode(tokens, inputs)

    def _answer(self, encoding: Encoding) -> Prediction:
        logits = self.runner.logits(encoding)[0, 0].float().cpu().numpy()
        return prediction_of(self.runner.config, encoding.tokens[0], logits)
