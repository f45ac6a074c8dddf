"""QuestionAnsweringVisualizer: explains extractive question answering models."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from model_understanding.checks import whole_number
from model_understanding.errors import InputError
from model_understanding.model.causality import is_causal
from model_understanding.results import Attribution, SpanAnswer, Target
from model_understanding.results.target import Quantity
from model_understanding.targets.names import QUESTION_ANSWERING
from model_understanding.targets.question_answering import SpanTarget, span_answer, span_targets
from model_understanding.text.encoding import Encoding
from model_understanding.text.tokenization import tokenize
from model_understanding.text.windows import Window, windows_of
from model_understanding.text.words import Words, words_or_text
from model_understanding.visualizers.answering import AnsweringVisualizer

Question = tuple[str | Words, str | Words] | Mapping[str, str]
_MAX_ANSWER_LEN = 15  # tokens, as in transformers' pipeline
_STRIDE = 128  # tokens that neighboring windows share, as in transformers' pipeline


class QuestionAnsweringVisualizer(AnsweringVisualizer[Question, SpanTarget, SpanAnswer]):
    """Explain a question answering model: which words of question and context led to its answer.

    An input is a (question, context) tuple or a mapping with these two keys. The answer is a ``SpanAnswer``.
    A target is a span of the context: a text of it (its likeliest occurrence), ``(first, last)`` positions of
    tokens, a span that ``predict`` lists, or ``"no answer"``; ``"start"`` or ``"end"`` is one end of the
    answer, ``("start", span)`` that of another span, and ``"all"`` every span that ``predict`` lists. By
    default the answer is explained: the sum of its start and its end. ``against`` names a span likewise, or
    ``"runner-up"``, the next best one that does not overlap the target. ``log_prob`` is that of a softmax
    over all tokens; ``prob`` exists for a start or an end alone.

    The tokens of the answer have scores, too: what their own words contribute to their being the answer. A
    removed token is replaced in place, so that the answer keeps its position.

    A context that is too long is read in windows, as in transformers' pipeline; the window that holds the
    best answer is explained, and a warning names it.

    Args:
        name_or_model: A hub id, a folder, a model or a ``transformers`` pipeline.
        max_answer_len: Most tokens of an answer.
        top_k: Most spans that an answer lists.
        max_seq_len: Most tokens of question and context together, if fewer than the model can read; a longer
            context is read in windows.
        doc_stride: Tokens that neighboring windows share; 128 or half a window if left out.
        question_first: Whether the model reads the question before the context. If left out, as transformers
            trains: unless the tokenizer pads on the left (XLNet).
        **loading: How to load the model, as ``ModelVisualizer`` takes it.

    Raises:
        LoadingError: The model cannot be loaded.
        UnsafeModelError: Loading it would run code that was not allowed.
    """

    task = QUESTION_ANSWERING
    without_lens = "question answering has two, of where the answer starts and ends, over the text's tokens"

    def __init__(
        self,
        name_or_model: Any = None,
        *,
        max_answer_len: int = _MAX_ANSWER_LEN,
        top_k: int = 5,
        max_seq_len: int | None = None,
        doc_stride: int | None = None,
        question_first: bool | None = None,
        **loading: Any,
    ) -> None:
        self.max_answer_len = whole_number(max_answer_len, "max_answer_len")
        self.top_k = whole_number(top_k, "top_k")
        self.max_seq_len = None if max_seq_len is None else whole_number(max_seq_len, "max_seq_len")
        self.doc_stride = None if doc_stride is None else whole_number(doc_stride, "doc_stride", 0)
        self.question_first = question_first
        chosen = {
            "max_answer_len": None if self.max_answer_len == _MAX_ANSWER_LEN else self.max_answer_len,
            "max_seq_len": self.max_seq_len,
            "doc_stride": self.doc_stride,
            "question_first": question_first,
        }
        self._settings = {name: value for name, value in chosen.items() if value is not None}
        super().__init__(name_or_model, **loading)

    @property
    def _context(self) -> int:
        """The segment of the context."""
        is_second = self.question_first
        return int(self.tokenizer.padding_side == "right" if is_second is None else is_second)

    def _encode(self, text: Any) -> Encoding:
        question, context = _question_and_context(text)
        pair = (question, context) if self._context == 1 else (context, question)
        tokens, inputs = tokenize(self.tokenizer, *pair)
        model = self.runner.model
        limits = [limit for limit in (model.longest_input, self.max_seq_len) if limit is not None]
        if not limits or len(tokens) <= min(limits):
            return model.encode(tokens, inputs, cautions=self._cautions())
        stride = min(min(limits) // 2, _STRIDE) if self.doc_stride is None else self.doc_stride
        windows = windows_of(tokens, inputs, self._context, min(limits), stride)
        return self._best_window(windows, stride)

    def _best_window(self, windows: Sequence[Window], stride: int) -> Encoding:
        """Return the window with the likeliest answer, and say which it is."""
        encodings = [
            # what no token of a window covers is not dropped, but in another window
            replace(self.runner.model.encode(window.tokens, window.inputs), cautions=())
            for window in windows
        ]
        answers = self._answer_each(encodings, [(encoding,) for encoding in encodings], "raise")
        best = max(range(len(windows)), key=lambda index: answers[index].best.score)
        span = windows[best].span
        caution = (
            f"The context has {windows[-1].span.stop} tokens, of which {len(windows[0].span)} are read at a "
            f"time. The answer is that of window {best + 1} of {len(windows)} (tokens {span.start} to "
            f"{span.stop - 1} of the context; neighboring windows share {stride}), which is explained."
        )
        return replace(encodings[best], cautions=(caution, *self._cautions()))

    def _cautions(self) -> tuple[str, ...]:
        """Return a warning if the model has read the whole context before it meets the question."""
        if self._context == 1 or not is_causal(self.runner.model):
            return ()
        return (
            "The context comes before the question, and each token is read with those before it only: the "
            "answer cannot depend on the question. Pass question_first=True if the model was trained so.",
        )

    def _answers(self, encodings: Sequence[Encoding]) -> Sequence[SpanAnswer]:
        model = self.runner.model
        logits = model.logits(model.batch(encodings)).float().cpu().numpy()
        return [
            span_answer(
                encoding.tokens[0],
                self._context,
                rows,
                self.tokenizer,
                max_answer_len=self.max_answer_len,
                top_k=self.top_k,
                settings=self._settings,
            )
            for encoding, rows in zip(encodings, logits, strict=True)
        ]

    def _needs_answer(self, target: Any, against: Any) -> bool:
        return not callable(target)

    def _targets_of(
        self,
        encoding: Encoding,
        answer: SpanAnswer | None,
        target: Any,
        against: Any,
        quantity: Quantity,
    ) -> Sequence[Target]:
        assert answer is not None
        return span_targets(answer, target, against, quantity, self.max_answer_len)

    def _encoding_of(self, attribution: Attribution) -> Encoding:
        texts = attribution.tokens.texts
        if len(texts) == 2:
            pair = texts if self._context == 1 else (texts[1], texts[0])
            for given in (pair, tuple(Words(text.split(" ")) for text in pair)):  # some were given as words
                encoding = self._encode(given)
                if np.array_equal(encoding.tokens[0].ids, attribution.tokens.ids):
                    return encoding
        return super()._encoding_of(attribution)


def _question_and_context(text: Any) -> tuple[str | Words, str | Words]:
    """Return question and context of an input, whatever its form.

    Raises:
        InputError: It is neither a pair nor a mapping of both.
    """
    if isinstance(text, Mapping):
        missing = [name for name in ("question", "context") if name not in text]
        if missing:
            raise InputError(
                f"The input has no {' and no '.join(missing)}. Got the keys {', '.join(map(str, text))}.",
                hint='Pass {"question": …, "context": …} or (question, context).',
            )
        text = (text["question"], text["context"])
    if not isinstance(text, tuple) or isinstance(text, Words) or len(text) != 2:
        raise InputError(
            f"A question is asked about a context. Got {type(text).__name__}"
            f"{f' of {len(text)}' if isinstance(text, tuple) else ''}: {str(text)[:60]!r}.",
            hint="Pass (question, context), a mapping with these keys, or a list of them.",
        )
    question, context = (words_or_text(part) for part in text)
    for name, part in (("question", question), ("context", context)):
        if not isinstance(part, str | Words):
            raise InputError(
                f"The {name} must be a string. Got {type(part).__name__}.",
                hint="Pass (question, context), both strings.",
            )
    return question, context
