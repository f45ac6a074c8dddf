"""SimilarityVisualizer: explains why a sentence encoder finds two texts similar."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch

from model_understanding.attention.for_report import MapChoice
from model_understanding.attention.gradient_weighted import GradientWeighted
from model_understanding.attention.read import attention_for_report
from model_understanding.attribution.isolation import Errors, isolated, readable
from model_understanding.attribution.run import groups_of_equal_length
from model_understanding.attribution.token_links import token_links
from model_understanding.checks import names_arguments, one_of
from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.evaluation.run import check_same_tokens
from model_understanding.loading import LoadingOptions
from model_understanding.loading.sentence_encoder import similarity_of
from model_understanding.model.batching import Batches
from model_understanding.model.guard import explanation
from model_understanding.model.model import Model
from model_understanding.passes.runner import Runner
from model_understanding.perturbation.units import PlainUnit, check_unit
from model_understanding.results import (
    AttentionMap,
    Attribution,
    Choices,
    Failure,
    HeadScores,
    Prediction,
    QueryKey,
    Report,
    Target,
    TokenLinks,
)
from model_understanding.results.target import Quantity
from model_understanding.targets.choices import choice_index
from model_understanding.targets.names import FEATURE_EXTRACTION, SIMILARITY
from model_understanding.targets.similarity import similarity_target
from model_understanding.text.continuation import joined
from model_understanding.text.encoding import Encoding, sequences
from model_understanding.text.prompted import tokenize_after
from model_understanding.text.words import Words, words_or_text
from model_understanding.tokens import Tokens
from model_understanding.visualizers.answering import AnsweringVisualizer, Explained
from model_understanding.visualizers.report_parts import ReportParts

TextPair = tuple[str | Words, str | Words] | tuple[str, Sequence[str]]
LinkMethod = Literal["default", "integrated_jacobians", "removals"]
_LINK_METHODS: tuple[str, ...] = ("default", "integrated_jacobians", "removals")
_FIRST_PROMPTS = ("query",)
_SECOND_PROMPTS = ("document", "passage", "corpus")
_DOCUMENTS_EXPLAINED = 3
_SHORT = 500  # squared tokens of both texts up to which a report integrates the links, not only removes words
_TEXTS_AT_ONCE = 32  # of similar length, so that little is padding
SIDES = ("first text", "second text")
"""What attention calls the texts of a pair."""
_HINT = "Pass a (text, text) tuple, or (query, [document, …]) to compare a text with several."


class SimilarityVisualizer(AnsweringVisualizer[TextPair, str, Prediction | Choices]):
    """Explain a sentence encoder: which words of two texts make them similar.

    An input is a tuple of two texts, or of a query and a list of documents. The answer to two texts is a
    ``Prediction`` whose only output is their cosine (``float(prediction)``); of documents ``Choices`` ranked
    by it. Of documents a report has maps of the first three, or of those that ``target`` names by text or
    index (``"all"`` for all of them). Scores of both texts lie side by side; removed tokens are hidden by the
    attention mask and left out of the pooling where the model allows it.

    Args:
        name_or_model: A hub id or a folder: one that sentence-transformers saved, or of any transformer if
            ``pooling`` is named; ``demo:minilm``; or a loaded transformer.
        model: A loaded transformer, instead of the first argument.
        tokenizer: Its tokenizer; needed with a loaded transformer.
        pooling: How one embedding is made of the hidden states: ``mean``, ``cls``, ``max``,
            ``mean_sqrt_len_tokens``, ``weightedmean`` or ``lasttoken``, or several of them, which are joined;
            what the folder says if left out.
        similarity: ``cosine``, ``dot``, ``euclidean`` or ``manhattan``; what the folder says if left out.
        prompts: Names of the prompts, among those that the folder lists, to put before the first and the
            second text; ``None`` for none. If left out, the folder's default for both, and its prompts for
            queries and documents where documents are compared with a query.
        device: Where to run; a GPU if there is one, when left out.
        dtype: Data type to load the weights in.
        revision: Commit, branch or tag on the hub.
        token: Access token for the hub.
        trust_remote_code: Whether to run code that comes with the checkpoint.
        allow_pickle: Whether to load weights from pickles, which can run code.
        device_map: Spread the weights over devices, as ``ModelVisualizer`` takes it.

    Raises:
        InputError: Nothing says how one embedding is made of a text.
        LoadingError: The model cannot be loaded.
        UnsafeModelError: Loading it would run code that was not allowed.
    """

    task = SIMILARITY
    without_lens = "a similarity is a single number"

    @explanation()
    def __init__(
        self,
        name_or_model: Any = None,
        *,
        model: Any = None,
        tokenizer: Any = None,
        pooling: str | Sequence[str] | None = None,
        similarity: str | None = None,
        prompts: tuple[str | None, str | None] | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        revision: str | None = None,
        token: str | None = None,
        trust_remote_code: bool = False,
        allow_pickle: bool = False,
        device_map: str | dict[str, Any] | None = None,
    ) -> None:
        options = LoadingOptions(
            device=device,
            dtype=dtype,
            revision=revision,
            token=token,
            trust_remote_code=trust_remote_code,
            allow_pickle=allow_pickle,
            device_map=device_map,
            pooling=pooling if pooling is None or isinstance(pooling, str) else tuple(pooling),
            similarity=similarity,
        )
        self._open(name_or_model, model, tokenizer, options)
        self.texts = _TextVisualizer(self.runner)
        """Explains each text by itself."""
        self._prompts = self._checked_prompts(prompts)
        self._names_prompts = prompts is not None

    @property
    def similarity(self) -> str:
        """How two embeddings are compared, for example ``cosine``."""
        return self.runner.model.module.similarity

    @explanation()
    def rank(self, query: str, documents: Sequence[str]) -> Choices:
        """Return documents ranked by their similarity to a query; each text is encoded once.

        ``analyze((query, documents))`` explains the ranking as well.

        Args:
            query: The query.
            documents: The documents.

        Returns:
            The documents' similarities in the order given, and their ranking.

        Raises:
            InputError: A text is empty or longer than the model allows, or there is no document.
        """
        answer = self.predict((query, list(documents)))
        assert isinstance(answer, Choices)
        return answer

    @explanation()
    def embed(self, texts: str | Sequence[str]) -> np.ndarray:
        """Return the embeddings of texts as the model's layers give them; each distinct text is encoded once.

        Args:
            texts: A text, or several.

        Returns:
            An array ``(E,)`` of one text, ``(texts, E)`` of several.

        Raises:
            InputError: There is no text, or one is empty or longer than the model allows.
        """
        is_one = isinstance(texts, str | Words)
        several = [texts] if is_one else list(texts) if isinstance(texts, Iterable) else []
        several = [words_or_text(text) for text in several]
        if not several or not all(isinstance(text, str | Words) for text in several):
            raise InputError(
                f"An embedding needs a text, or a list of one text or more. Got {texts!r:.60}.",
                hint="Pass a string, or a list of strings.",
            )
        encodings = [self._encode_text(text, self._prompts[0]) for text in several]
        embeddings, _ = self._embedded(encodings, "raise")
        rows = np.stack([embeddings[_key(encoding)].numpy() for encoding in encodings])
        return rows[0] if is_one else rows

    @explanation()
    @names_arguments
    def compute_links(
        self,
        first: str | Words | tuple[str, str],
        second: str | Words | None = None,
        *,
        method: LinkMethod = "default",
        unit: PlainUnit = "word",
    ) -> TokenLinks:
        """Return which tokens of two texts make them similar: a score for each pair of tokens.

        Args:
            first: The first text, or a tuple of both.
            second: The second text.
            method: ``integrated_jacobians`` (Möller et al. 2023), whose sum and what they do not explain are
                the similarity; ``removals`` of a word of each text, which run in a moment and need no
                embeddings that can be replaced; ``default``, the first of them that the model supports. In
                half precision both run a copy of the weights in float32, of models with up to 540 million
                weights; of larger ones the default is ``removals``, with a warning.
            unit: For removals, what is removed at a time: ``word``, ``token`` or ``sentence``.

        Returns:
            The links, with their sum and what they leave unexplained.

        Raises:
            InputError: A text or the method cannot be used.
            UnsupportedModelError: The model's embeddings cannot be replaced.

        Reference:
            Möller, Nikolaev, Padó (2023), "An Attribution Method for Siamese Encoders", equation 8.
        """
        pair = first if isinstance(first, tuple) and not isinstance(first, Words) else (first, second)
        one_of(method, "method", _LINK_METHODS)
        check_unit(unit, windows=False)
        encodings = [
            self._encode_text(text, prompt)
            for text, prompt in zip(self._pair(pair), self._prompts, strict=True)
        ]
        return self._links(encodings[0], encodings[1], method, unit)

    @explanation()
    def compute_attention(self, text: Any, *, stack: str | None = None, **options: Any) -> AttentionMap:
        """Return an attention map of one text: the model reads each of two by itself.

        Args:
            text: A text, or a tuple of two.
            stack: Of two texts, which one: ``first text`` (if left out) or ``second text``.
            **options: What ``ModelVisualizer.compute_attention`` takes: ``layer``, ``head``, ``kind``,
                ``queries``, ``keep``, ``rank``.

        Returns:
            The map of that text.
        """
        _require_no_answer(options.get("kind"))
        part, side = self._one_text(text, stack)
        return replace(self.texts.compute_attention(part, **options), stack=side)

    @explanation()
    def score_heads(self, text: Any, *, stack: str | None = None, **options: Any) -> HeadScores:
        """Return scores of the attention heads on one text.

        Args:
            text: A text, or a tuple of two.
            stack: Of two texts, which one: ``first text`` (if left out) or ``second text``.
            **options: What ``ModelVisualizer.score_heads`` takes, for scores that need no target.

        Returns:
            The scores on that text.
        """
        part, side = self._one_text(text, stack)
        return replace(self.texts.score_heads(part, **options), stack=side)

    @explanation()
    def compute_query_key(self, text: Any, *, stack: str | None = None, **options: Any) -> QueryKey:
        """Return the query of one head and its keys in one text; see ``ModelVisualizer.compute_query_key``.

        Args:
            text: A text, or a tuple of two.
            stack: Of two texts, which one: ``first text`` (if left out) or ``second text``.
            **options: ``layer``, ``head`` and ``query``.
        """
        part, side = self._one_text(text, stack)
        return replace(self.texts.compute_query_key(part, **options), stack=side)

    # How this kind is explained.

    def _encode(self, text: Any) -> Encoding:
        return self._encode_pair(self._pair(text), self._prompts)

    def _encodings(self, text: Any) -> tuple[Encoding, ...]:
        if not _is_ranking(text):
            return (self._encode(text),)
        query, documents = _ranking(text)
        prompts = self._ranking_prompts()
        return tuple(self._encode_pair((query, document), prompts) for document in documents)

    def _joined(
        self, text: Any, encodings: Sequence[Encoding], answers: Sequence[Any]
    ) -> Prediction | Choices:
        values = np.array(answers, dtype=np.float64)
        if not _is_ranking(text):
            return Prediction(
                tokens=encodings[0].tokens[0],
                labels=(self.similarity,),
                logits=values,
                probabilities=None,
                problem="regression",
            )
        query, documents = _ranking(text)
        return Choices(
            kind="document",
            tokens=encodings[int(np.argmax(values))].tokens[0],
            question=query,
            names=documents,
            values=values,
            probabilities=None,
            quantity=self.similarity,
        )

    def _answers(self, encodings: Sequence[Encoding]) -> Sequence[float]:
        model = self.runner.model
        return model.logits(model.batch(encodings))[:, 0, 0].float().cpu().tolist()

    def _answer_each(
        self, texts: Sequence[Any], encoded: Sequence[tuple[Encoding, ...] | Failure], errors: Errors
    ) -> list[Any]:
        """Return the answer to each input; each distinct text is encoded once."""
        sides = {id(pair): _inputs_of_sides(pair) for each in readable(encoded) for pair in each}
        every = [side for both in sides.values() for side in both]
        embeddings, failures = self._embedded(every, errors)

        def answer(text: Any, pairs: tuple[Encoding, ...] | Failure) -> Any:
            if isinstance(pairs, Failure):
                return pairs
            keys = [tuple(_key(side) for side in sides[id(pair)]) for pair in pairs]
            failed = [failures[key] for both in keys for key in both if key in failures]
            if failed:
                return failed[0]
            first, second = (torch.stack([embeddings[both[side]] for both in keys]) for side in (0, 1))
            return self._joined(text, pairs, similarity_of(self.similarity, first, second).tolist())

        return [answer(text, pairs) for text, pairs in zip(texts, encoded, strict=True)]

    def _targets_of(
        self, encoding: Encoding, answer: Any, target: Any, against: Any, quantity: Quantity
    ) -> Sequence[Target]:
        return (similarity_target(self.similarity, quantity, target, against),)

    def _needs_answer(self, target: Any, against: Any) -> bool:
        return False  # only of documents, where the ranking says which are explained

    def _explained(
        self,
        text: Any,
        encodings: Sequence[Encoding],
        answer: Any,
        target: Any,
        against: Any,
        quantity: Quantity,
    ) -> list[Explained]:
        if not _is_ranking(text):
            return super()._explained(text, encodings, answer, target, against, quantity)
        answer = answer or self._answer_each([text], [tuple(encodings)], "raise")[0]
        targets: Sequence[Target] = ()
        if callable(target):
            targets = self._function_targets(target)
            chosen = [answer.index]
        else:
            targets = (similarity_target(self.similarity, quantity, None, against),)
            chosen = _chosen_documents(answer, target)
        return [Explained(encodings[index], targets) for index in chosen]

    def _readings(
        self,
        report: Report,
        encoding: Encoding,
        saliency: Attribution,
        attention: MapChoice,
        parts: ReportParts,
    ) -> Report:
        first, second = _sides(encoding)
        model = self.texts.runner.model

        def attend() -> tuple[AttentionMap, ...]:
            for kind in attention or ():
                _require_no_answer(kind)
            return tuple(
                replace(each, stack=name)
                for name, side in zip(SIDES, (first, second), strict=True)
                for each in attention_for_report(model, side, attention)
            )

        def link() -> TokenLinks:
            is_short = sum(int((~side.tokens[0].special).sum()) ** 2 for side in (first, second)) <= _SHORT
            return self._links(first, second, "default" if is_short else "removals", "word")

        links = parts.get("links", link, None)
        return replace(
            report,
            attention=parts.get("attention", attend, (), is_requested=attention is not None),
            links=links,
            provenance=report.provenance.with_cautions(() if links is None else links.provenance.cautions),
        )

    def _encoding_of(self, attribution: Attribution) -> Encoding:
        texts = attribution.tokens.texts
        if len(texts) != 2:
            raise InputError(f"The attribution explains {texts!r:.60}, not two texts.", hint=_HINT)
        # A ranking may have read the texts with other prompts, which are in them.
        for prompts in (self._prompts, self._ranking_prompts(), ("", "")):
            own = [text.removeprefix(prompt) for text, prompt in zip(texts, prompts, strict=True)]
            encoding = self._encode_pair(own, prompts)
            if np.array_equal(attribution.tokens.ids, encoding.tokens[0].ids):
                break
        check_same_tokens(attribution, encoding)
        return encoding

    # Texts, and what is made of them.

    def _pair(self, text: Any) -> tuple[Any, Any]:
        """Return both texts of an input.

        Raises:
            InputError: It is no tuple of two texts.
        """
        if not isinstance(text, tuple) or isinstance(text, Words) or len(text) != 2:
            raise InputError(f"A similarity needs two texts. Got {text!r:.60}.", hint=_HINT)
        first, second = (words_or_text(part) for part in text)
        if not isinstance(first, str | Words) or not isinstance(second, str | Words):
            raise InputError(f"A similarity needs two texts. Got {text!r:.60}.", hint=_HINT)
        return first, second

    def _one_text(self, text: Any, stack: str | None) -> tuple[Any, str | None]:
        """Return the text that is read, and which of two it is.

        Raises:
            InputError: ``stack`` names no text.
        """
        if not isinstance(text, tuple) or isinstance(text, Words):
            if stack is not None:
                raise InputError(
                    f"stack={stack!r} is not possible for a single text: of two texts it names one, "
                    f"{SIDES[0]!r} or {SIDES[1]!r}.",
                    hint="Leave stack out, or pass a tuple of two texts.",
                )
            return text, None
        stack = SIDES[0] if stack is None else one_of(stack, "stack", SIDES)
        return self._pair(text)[SIDES.index(stack)], stack

    def _encode_text(self, text: Any, prompt: str) -> Encoding:
        """Return one text as the model reads it by itself."""
        return self.texts.encoded(text, prompt)

    def _encode_pair(self, pair: Sequence[Any], prompts: tuple[str, str]) -> Encoding:
        first, second = (self._encode_text(text, prompt) for text, prompt in zip(pair, prompts, strict=True))
        inputs = {
            name: [*values[0].tolist(), *second.inputs[name][0].tolist()]
            for name, values in first.inputs.items()
        }
        tokens = _pair_tokens(first.tokens[0], second.tokens[0])
        cautions = _cautions_about_equal_texts(self.similarity) if _key(first) == _key(second) else ()
        return self.runner.model.encode(tokens, inputs, source_length=len(first.tokens[0]), cautions=cautions)

    def _embedded(
        self, encodings: Sequence[Encoding], errors: Errors
    ) -> tuple[dict[bytes, torch.Tensor], dict[bytes, Failure]]:
        """Return the embedding of each distinct text, or why it has none; similar lengths run together."""
        model = self.texts.runner.model
        distinct = list({_key(encoding): encoding for encoding in encodings}.values())

        def embed(group: Sequence[int]) -> dict[int, torch.Tensor]:
            rows: dict[int, torch.Tensor] = {}
            longest = max(distinct[member].ids.shape[1] for member in group)
            batches = Batches(len(group), longest, model.memory)
            for start, end in batches:
                with batches.halving():
                    members = group[start:end]
                    logits = model.logits(model.batch([distinct[member] for member in members]))
                    rows |= zip(members, logits[:, 0].float().cpu(), strict=True)
            return rows

        found: dict[int, torch.Tensor | Failure] = {}
        for group in _groups(distinct, model):
            found |= isolated(embed, group, errors)
        embeddings: dict[bytes, torch.Tensor] = {}
        failures: dict[bytes, Failure] = {}
        for index, row in found.items():
            if isinstance(row, Failure):
                failures[_key(distinct[index])] = row
            else:
                embeddings[_key(distinct[index])] = row
        return embeddings, failures

    def _links(self, first: Encoding, second: Encoding, method: str, unit: str) -> TokenLinks:
        """Return the links of two texts, each by itself."""

        def own_similarity() -> float:
            embeddings, _ = self._embedded((first, second), "raise")
            return float(similarity_of(self.similarity, embeddings[_key(first)], embeddings[_key(second)]))

        links = token_links(self.texts.runner, first, second, method, unit, own_similarity)
        cautions = dict.fromkeys((*first.cautions, *second.cautions, *links.cautions))
        origin = self.runner.model.loaded.provenance
        return TokenLinks(
            first=first.tokens[0],
            second=second.tokens[0],
            scores=links.scores,
            similarity=links.similarity,
            rest=links.rest,
            gap=links.gap,
            method=links.method,
            quantity=self.similarity,
            reference=links.reference,
            provenance=replace(origin, cautions=(*origin.cautions, *cautions)),
        )

    def _checked_prompts(self, names: tuple[str | None, str | None] | None) -> tuple[str, str]:
        """Return the prompts of the first and the second text.

        Raises:
            InputError: The model has no prompt of a name.
        """
        module = self.runner.model.module
        if names is None:
            default = module.prompts.get(module.default_prompt, "")
            return default, default
        if not isinstance(names, tuple | list) or len(names) != 2:
            raise InputError(
                f"prompts names one prompt for each of two texts. Got {names!r:.60}.",
                hint="Pass for example prompts=('query', 'document'), or None in place of a name.",
            )
        for name in names:
            if name is not None and name not in module.prompts:
                raise InputError(
                    f"The model has no prompt {name!r}. It has: {', '.join(module.prompts) or 'none'}.",
                    hint="Pass one of them, or None for no prompt.",
                )
        first, second = ("" if name is None else module.prompts[name] for name in names)
        return first, second

    def _ranking_prompts(self) -> tuple[str, str]:
        """Return the prompts of a query and its documents, as sentence-transformers chooses them."""
        if self._names_prompts:
            return self._prompts
        prompts = self.runner.model.module.prompts
        first, second = (
            next((prompts[name] for name in names if name in prompts), default)
            for names, default in zip((_FIRST_PROMPTS, _SECOND_PROMPTS), self._prompts, strict=True)
        )
        return first, second


class _TextVisualizer(AnsweringVisualizer[str, str, Any]):
    """Reads each text of a similarity by itself: its attention, its heads.

    Args:
        runner: The runner of the pairs.
    """

    task = FEATURE_EXTRACTION

    def __init__(self, runner: Runner) -> None:
        self.runner = Runner(replace(runner.model.loaded, task=FEATURE_EXTRACTION))

    def encoded(self, text: Any, prompt: str) -> Encoding:
        """Return a text after a prompt as the model reads it."""
        module, model = self.runner.model.module, self.runner.model
        tokens, inputs, prompt_tokens = tokenize_after(self.tokenizer, prompt, words_or_text(text))
        if prompt_tokens and not module.pools_prompt:
            inputs["pooling_mask"] = [int(place >= prompt_tokens) for place in range(len(tokens))]
        return model.encode(tokens, inputs)

    def _encode(self, text: Any) -> Encoding:
        module = self.runner.model.module
        return self.encoded(text, module.prompts.get(module.default_prompt, ""))

    def _targets_of(
        self, encoding: Encoding, answer: Any, target: Any, against: Any, quantity: Quantity
    ) -> Sequence[Target]:
        raise UnsupportedModelError(
            "One text alone has no similarity that could be explained.",
            hint="Choose an attention map or head scores that need no target, or pass two texts.",
        )

    def _needs_answer(self, target: Any, against: Any) -> bool:
        return False


def _require_no_answer(kind: Any) -> None:
    """Raise UnsupportedModelError for an attention map of the likeliest answer: one text has none."""
    if getattr(kind, "name", kind) == GradientWeighted.name:
        raise UnsupportedModelError(
            f"The map {GradientWeighted.name!r} is of a model's likeliest answer; a text alone has none.",
            hint="Choose another map, such as 'rollout' or 'value_weighted'.",
        )


def _cautions_about_equal_texts(kind: str) -> tuple[str, ...]:
    """Return the warning about two texts that are one to the model; a dot product has no maximum there."""
    if kind == "dot":
        return ()
    return (
        f"Both texts are the same for the model, so their similarity ({kind}) is at its maximum, where "
        "gradients vanish: scores of gradient methods are rounding errors. Removals show what a word adds.",
    )


def _groups(texts: Sequence[Encoding], model: Model) -> list[list[int]]:
    """Return the indices of texts that run together: of similar length if the model ignores padding."""
    padding = getattr(model.config.get_text_config(), "pad_token_id", None)
    if padding is None or not model.pads_exactly:
        return groups_of_equal_length(texts)
    order = sorted(range(len(texts)), key=lambda index: texts[index].ids.shape[1])
    return [order[start : start + _TEXTS_AT_ONCE] for start in range(0, len(order), _TEXTS_AT_ONCE)]


def _is_ranking(text: Any) -> bool:
    """Return whether an input is a query and several documents."""
    is_pair = isinstance(text, tuple) and not isinstance(text, Words) and len(text) == 2
    return is_pair and isinstance(text[1], list | tuple) and not isinstance(text[1], Words)


def _ranking(text: Any) -> tuple[str, tuple[str, ...]]:
    """Return a query and its documents.

    Raises:
        InputError: There is no document, or something that is no text.
    """
    query, documents = text
    if not isinstance(words_or_text(query), str | Words):
        raise InputError(f"The query must be a text. Got {query!r:.60}.", hint=_HINT)
    if not documents or not all(isinstance(document, str) for document in documents):
        raise InputError(f"The documents must be one text or more. Got {documents!r:.60}.", hint=_HINT)
    return query, tuple(documents)


def _chosen_documents(answer: Choices, target: Any) -> list[int]:
    """Return the indices of the documents that are explained."""
    if target is None:
        return list(answer.ranking[:_DOCUMENTS_EXPLAINED])
    if target == "all" and "all" not in answer.names:
        return list(answer.ranking)
    names = target if isinstance(target, Sequence) and not isinstance(target, str) else [target]
    chosen = [choice_index(answer.names, name, "documents") for name in names]
    if not chosen:
        raise InputError("None of the documents is given as target.", hint="Leave target out.")
    return chosen


def _inputs_of_sides(encoding: Encoding) -> tuple[Encoding, Encoding]:
    """Return what the model reads of each of two texts; the tokens stay those of both."""
    split = {name: sequences(values, encoding.source_length) for name, values in encoding.inputs.items()}
    first, second = (
        Encoding(encoding.tokens, {name: parts[side] for name, parts in split.items()}) for side in (0, 1)
    )
    return first, second


def _sides(encoding: Encoding) -> tuple[Encoding, Encoding]:
    """Return each of two texts by itself."""
    tokens, length = encoding.tokens[0], encoding.source_length
    assert length is not None
    first, second = (
        replace(part, tokens=(_alone(tokens, places, side),))
        for side, (part, places) in enumerate(
            zip(_inputs_of_sides(encoding), (range(length), range(length, len(tokens))), strict=True)
        )
    )
    return first, second


def _pair_tokens(first: Tokens, second: Tokens) -> Tokens:
    """Return the tokens of two texts; special tokens of the second stand in it, at its start and its end."""
    start = int(np.flatnonzero(second.segments >= 0).min(initial=len(second)))
    ends = np.where(np.arange(len(second)) < start, 0, len(second.texts[0]))
    outside = (second.segments < 0)[:, None]
    offsets = np.where(outside, ends[:, None], second.offsets)
    return joined(first, replace(second, segments=np.zeros(len(second), dtype=int), offsets=offsets))


def _alone(tokens: Tokens, places: range, side: int) -> Tokens:
    """Return the tokens of one of two texts, as a text by itself."""
    part = tokens.select(places)
    has_text = (part.segments >= 0) & ~(part.special & (part.offsets[:, 0] == part.offsets[:, 1]))
    segments = np.where(has_text, 0, -1)
    part = replace(part, offsets=np.where(has_text[:, None], part.offsets, 0))
    words = np.where(part.words >= 0, part.words - part.words[part.words >= 0].min(initial=len(tokens)), -1)
    return replace(part, texts=(tokens.texts[side],), segments=segments, words=words)


def _key(encoding: Encoding) -> bytes:
    """Return what tells one text from another: everything that the model reads of it."""
    return b"|".join(values.cpu().numpy().tobytes() for values in encoding.inputs.values())
