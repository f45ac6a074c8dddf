"""Answers by brute force over all spans, and the spans that callers name."""

from itertools import product

import numpy as np
import pytest
import tiny_tokenizers

from model_understanding import InputError
from model_understanding.targets.question_answering import (
    best_spans,
    no_answer_position,
    span_answer,
    span_targets,
)
from model_understanding.text.tokenization import tokenize

QUESTION = "What is the capital of France?"
CONTEXT = "The capital of France is Paris; the capital of Italy is Rome. Paris is wonderful."
TOKENIZERS = {
    "wordpiece": tiny_tokenizers.wordpiece,
    "byte level": tiny_tokenizers.roberta_like,
    "blank before": tiny_tokenizers.llama2_like,
}


def answered(name="wordpiece", seed=0, context_first=False, longest=15, top_k=5, logits=None):
    tokenizer = TOKENIZERS[name]()
    pair = (CONTEXT, QUESTION) if context_first else (QUESTION, CONTEXT)
    tokens, _ = tokenize(tokenizer, *pair)
    if logits is None:
        logits = np.random.default_rng(seed).normal(size=(2, len(tokens))).astype(np.float32) * 3
    context = 0 if context_first else 1
    return span_answer(tokens, context, logits, tokenizer, max_answer_len=longest, top_k=top_k), logits


def by_hand(tokens, context, logits, longest):
    """Return every span that can be an answer, best first."""
    allowed = [
        position
        for position in range(len(tokens))
        if tokens.segments[position] == context and not tokens.special[position]
    ]
    sums = {
        (first, last): float(logits[0, first]) + float(logits[1, last])
        for first, last in product(allowed, allowed)
        if first <= last < first + longest
    }
    return sorted(sums, key=lambda ends: -sums[ends]), sums


@pytest.mark.parametrize("longest", [1, 3, 15, 1000])
@pytest.mark.parametrize("context_first", [False, True])
@pytest.mark.parametrize("name", TOKENIZERS)
def test_spans_are_the_best_of_all_that_overlap_no_better_one(name, context_first, longest):
    for seed in range(3):
        answer, logits = answered(name, seed, context_first, longest)
        ordered, sums = by_hand(answer.tokens, answer.context, logits, longest)
        expected = []
        for ends in ordered:
            if all(ends[1] < first or last < ends[0] for first, last in expected):
                expected.append(ends)
        assert [(span.first, span.last) for span in answer.spans] == expected[:5]
        assert [span.logit for span in answer.spans] == pytest.approx([sums[ends] for ends in expected[:5]])


def test_the_score_is_that_of_a_softmax_over_context_and_cls():
    answer, logits = answered()
    tokens = answer.tokens
    kept = [0, *np.flatnonzero(tokens.segments == 1)]
    start, end = (np.exp(row[kept].astype(np.float64)) for row in logits)
    best = answer.best
    expected = start[kept.index(best.first)] / start.sum() * end[kept.index(best.last)] / end.sum()
    assert best.score == pytest.approx(expected)
    assert answer.no_answer.score == pytest.approx(start[0] / start.sum() * end[0] / end.sum())
    start, end = (np.exp(row.astype(np.float64)) / np.exp(row.astype(np.float64)).sum() for row in logits)
    assert best.probability == pytest.approx(start[best.first] * end[best.last])


def test_probabilities_stand_far_logits():
    count = len(answered()[0].tokens)
    logits = np.full((2, count), -1000.0, dtype=np.float32)
    logits[:, -4] = 1000
    answer, _ = answered(logits=logits)
    assert answer.best.first == count - 4
    assert answer.best.probability == answer.best.score == 1


@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_text_of_a_span_is_that_of_the_context(name):
    for seed in range(5):
        answer, _ = answered(name, seed)
        for span in answer.spans:
            assert CONTEXT[span.start : span.end] == span.text
            assert span.text == span.text.strip()
            whole = "".join(answer.tokens.select(range(span.first, span.last + 1)).surfaces())
            assert span.text.replace(" ", "") == whole.replace(" ", "")


def test_no_answer_is_at_the_classification_token_wherever_it_stands():
    tokens, _ = tokenize(tiny_tokenizers.wordpiece(), QUESTION, CONTEXT)
    assert no_answer_position(tokens, tiny_tokenizers.wordpiece()) == 0
    at_the_end = tokens.select([*range(1, len(tokens)), 0])
    assert no_answer_position(at_the_end, tiny_tokenizers.wordpiece()) == len(tokens) - 1
    tokens, _ = tokenize(tiny_tokenizers.llama_like(), QUESTION, CONTEXT)
    assert no_answer_position(tokens, tiny_tokenizers.llama_like()) == 0
    tokens, _ = tokenize(tiny_tokenizers.gpt2_like(), QUESTION, CONTEXT)  # neither [CLS] nor <s>
    assert no_answer_position(tokens, tiny_tokenizers.gpt2_like()) == 0


def targets(answer, target=None, against=None, quantity="logit", longest=15):
    return span_targets(answer, target, against, quantity, longest)


def test_targets_read_start_and_end_in_their_rows():
    answer, _ = answered()
    best, second = answer.spans[:2]
    (target,) = targets(answer)
    assert (target.positions, target.indices) == ((0, 1), (best.first, best.last))
    assert target.name == best.text
    (target,) = targets(answer, "start")
    assert (target.positions, target.indices) == ((0,), (best.first,))
    assert target.description() == f"logit of start of {best.text}"
    (target,) = targets(answer, ("end", second), "no answer", "prob")
    assert (target.positions, target.indices, target.against) == ((1,), (second.last,), (0,))
    assert target.description() == f"probability of end of {second.text} − end of no answer"
    assert targets(answer, "start", ("start", second)) == targets(answer, "start", second)
    (target,) = targets(answer, (20, 21), (18, 18), "log_prob")
    assert (target.positions, target.indices, target.against) == ((0, 1), (20, 21), (18, 18))
    (target,) = targets(answer, "no answer")
    assert (target.indices, target.name) == ((0, 0), "no answer")
    assert [target.indices for target in targets(answer, "all")] == [(s.first, s.last) for s in answer.spans]
    both = targets(answer, ["start", second])
    assert [target.positions for target in both] == [(0,), (0, 1)]
    assert targets(answer, ("start", "end")) == targets(answer, ["start", "end"])


def test_the_runner_up_overlaps_neither_the_answer_nor_another_target():
    answer, logits = answered()
    (target,) = targets(answer, against="runner-up")
    assert target.against == (answer.spans[1].first, answer.spans[1].last)
    named = (answer.spans[1].first, answer.spans[1].last)
    (target,) = targets(answer, named, "runner-up")
    ordered, _ = by_hand(answer.tokens, 1, logits, 15)
    assert target.against == next(e for e in ordered if e[1] < named[0] or named[1] < e[0])


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("text", ["Paris", "of Italy", "rome", " is "])
def test_a_text_names_its_likeliest_occurrence(name, text):
    for seed in range(4):
        answer, logits = answered(name, seed)
        (target,) = targets(answer, text)
        found = []
        at = CONTEXT.lower().find(text.strip().lower())
        while at >= 0:
            own = [
                p
                for p in range(len(answer.tokens))
                if answer.tokens.segments[p] == 1
                and answer.tokens.offsets[p, 0] < at + len(text.strip())
                and answer.tokens.offsets[p, 1] > at
            ]
            found.append((own[0], own[-1]))
            at = CONTEXT.lower().find(text.strip().lower(), at + 1)
        assert target.indices == max(found, key=lambda ends: logits[0, ends[0]] + logits[1, ends[1]])


def test_spans_of_one_text_are_told_apart():
    answer, _ = answered("byte level")
    first = targets(answer, "Paris")[0].indices
    places = [
        (p, q)
        for p, q in product(range(len(answer.tokens)), repeat=2)
        if p <= q < p + 6
        and answer.tokens.segments[p] == 1
        and "".join(answer.tokens.select(range(p, q + 1)).surfaces()).strip() == "Paris"
    ]
    other = next(place for place in places if place != first)
    (target,) = targets(answer, "Paris", other)
    assert target.name == f"Paris (tokens {first[0]}–{first[1]})"
    assert target.against_labels == (f"Paris (tokens {other[0]}–{other[1]})",)


def test_positions_may_come_as_text():
    answer, _ = answered()
    assert targets(answer, "18,20") == targets(answer, "18-20") == targets(answer, (18, 20))
    assert targets(answer, "18") == targets(answer, (18, 18))


@pytest.mark.parametrize(
    ("target", "against", "quantity", "message"),
    [
        ("Berlin", None, "logit", "'Berlin' does not occur in the context"),
        ((5, 3), None, "logit", r"Invalid span \(5, 3\)"),
        ((5, 3000), None, "logit", "the context has the tokens"),
        ([], None, "logit", "No target span"),
        (3.5, None, "logit", "A span cannot be 3.5"),
        (None, None, "prob", "no meaningful sum"),
        ((18, 20), (18, 20), "logit", "both tokens 18–20"),
        (("start", (18, 20)), (18, 22), "logit", "both token 18"),
        (None, None, "loss", "quantity"),
    ],
)
def test_what_cannot_be_explained_is_refused(target, against, quantity, message):
    with pytest.raises(InputError, match=message):
        targets(answered()[0], target, against, quantity)


def test_a_context_without_another_span_has_no_runner_up():
    answer, _ = answered()
    own = np.flatnonzero(answer.tokens.segments == 1)
    with pytest.raises(InputError, match="no other span"):
        targets(answer, (int(own[0]), int(own[-1])), "runner-up")


def test_best_spans_end_where_nothing_is_left():
    logits = np.zeros((2, 4))
    allowed = np.array([False, True, True, False])
    assert list(best_spans(logits, allowed, 1)) == [(1, 1), (2, 2)]
    assert not list(best_spans(logits, ~allowed & False, 3))
