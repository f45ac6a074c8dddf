"""What is read off a causal language model: what it says, where it looked, what each layer would say."""

from collections.abc import Sequence
from typing import Any

from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.protocols import AttentionMapMethod
from model_understanding.results import AttentionMap, Generation, LogitLens, QueryKey
from model_understanding.runner import Encoding, Runner
from model_understanding.runner.attention_capture import layer_count
from model_understanding.tasks import CAUSAL_LM
from model_understanding.visualizers.attention_choices import AxisChoice, Keep
from model_understanding.visualizers.attention_reading import query_key_of, read_attention
from model_understanding.visualizers.base import Visualizer
from model_understanding.visualizers.generation_record import generation_of
from model_understanding.visualizers.head_ranking import RankChoice, check_rank
from model_understanding.visualizers.layer_readings import TOP, lens_of_tokens
from model_understanding.visualizers.prompts import Prompt, continued_prompt, encoded_prompt, steps_of


class GeneratorReadings(Visualizer):
    """What ``GenerativeModelVisualizer`` reads off its model; use that one."""

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
        layer_count(self.runner.config)  # refuse before generating
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
                self.runner, encoding, layer, head, map, queries=rows, steps=steps, keep=keep
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
        return lens_of_tokens(self.runner, self._encode(prompt, continuation), positions, top)

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
        return query_key_of(self.runner, self._encode(prompt, continuation), layer, head, query)

    def _encode(self, prompt: Prompt, continuation: str | None = None) -> Encoding:
        return encoded_prompt(self.runner, prompt, continuation)

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
        if not self.runner.is_causal:
            raise UnsupportedModelError(
                f"{type(self.model).__name__} is not causal: one forward does not show its decoding steps.",
                hint="Use queries='prompt' for its attention over the prompt.",
            )
