"""Results made by hand, as the compute half would return them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import regex

from model_understanding.results import (
    AttentionMap,
    Attribution,
    Evaluation,
    Generation,
    Prediction,
    Provenance,
    Report,
    Target,
)
from model_understanding.tokens import Tokens

OPENING = (
    "it was the best of times and worst age wisdom foolishness epoch belief incredulity season light "
    "darkness spring hope winter despair everything nothing before us"
)
MANY_SCRIPTS = "I ❤️ 👩‍👩‍👧 and 😀! שלום עולם مرحبا بالعالم 你好世界 नमस्ते $x^2$ a_b 100%"
# Each of these has broken some tool of this kind.
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "&lt;b&gt;",
    "\"'><svg onload=alert(1)>",
    "\u202egnp.exe",
    "\x1b[31mred\x1b]0;title\x07",
    "nul\x00bell\x07back\x08",
    "[bold red]markup[/bold red]",
    "$x^2_{\\frac$",
    "100%_\\textbf{x}",
    "{{ 7*7 }}{% raw %}",
    "--><!--",
    "]]>",
    "javascript:alert(1)",
    "e\u0301\u0301\u0301",
    "\u2028line\u2029",
)

PIECES = ("The", " </script>", "שלום", "👨‍👩‍👧", "\x1b[31m")  # of a vocabulary


def text_of(count: int) -> str:
    words = OPENING.split()
    return " ".join(words[place % len(words)] for place in range(count))


def tokens_of(text: str, *, special: bool = True, splits_emoji: bool = False) -> Tokens:
    """Tokenize by words; ``splits_emoji`` gives each emoji three tokens, as a byte-level tokenizer does."""
    pieces, spans = [], []
    for match in regex.finditer(r"\w+|\X", text):
        if match.group().isspace():
            continue
        for _ in range(3 if splits_emoji and ord(match.group()[0]) > 0x1F000 else 1):
            pieces.append(match.group())
            spans.append(match.span())
    segments = [0] * len(pieces)
    if special:
        pieces, spans = ["[CLS]", *pieces, "[SEP]"], [(0, 0), *spans, (0, 0)]
        segments = [-1, *segments, -1]
    return Tokens.from_spans(
        texts=(text,),
        pieces=pieces,
        ids=list(range(len(pieces))),
        segments=segments,
        offsets=spans,
        special=[segment < 0 for segment in segments],
    )


def hostile_tokens() -> Tokens:
    """One token for each hostile string, between blanks, and one hostile special token."""
    text = " ".join(HOSTILE)
    starts = np.cumsum([0, *(len(part) + 1 for part in HOSTILE)])[:-1]
    return Tokens.from_spans(
        texts=(text,),
        pieces=["<s><script>", *HOSTILE],
        ids=range(len(HOSTILE) + 1),
        segments=[-1, *[0] * len(HOSTILE)],
        offsets=[(0, 0), *((start, start + len(part)) for start, part in zip(starts, HOSTILE, strict=True))],
        special=[True, *[False] * len(HOSTILE)],
    )


def provenance(*cautions: str, model: str = "demo:sentiment") -> Provenance:
    return Provenance(
        model=model,
        task="sequence-classification",
        architecture="BertForSequenceClassification",
        dtype="float32",
        device="cpu",
        versions={"torch": "2.13.0"},
        seconds=0.2,
        cautions=cautions,
    )


def attribution(
    tokens: Tokens,
    *,
    signed: bool = True,
    scores: Any = None,
    targets: Sequence[Target] | None = None,
    valid: Any = None,
    origin: Provenance | None = None,
) -> Attribution:
    targets = targets or [Target(task="sequence-classification", indices=(1,), labels=("positive",))]
    shape = (len(targets), len(tokens))
    if scores is None:
        scores = np.random.default_rng(0).standard_t(3, size=shape)
    scores = np.asarray(scores, dtype=np.float64).reshape(shape)
    return Attribution(
        tokens=tokens,
        targets=tuple(targets),
        scores=scores if signed else np.abs(scores),
        valid=np.ones(shape, dtype=bool) if valid is None else np.asarray(valid).reshape(shape),
        signed=signed,
        outputs=np.full(len(targets), -0.5),
        method="input_x_gradient" if signed else "saliency",
        parameters={} if signed else {"norm": "l2"},
        provenance=origin or provenance(),
    )


def attention(
    queries: Tokens,
    keys: Tokens | None = None,
    *,
    causal: bool = False,
    sink: int | None = None,
    steps: Tokens | None = None,
    origin: Provenance | None = None,
) -> AttentionMap:
    keys = keys or queries
    logits = np.random.default_rng(0).normal(size=(2, 3, len(queries), len(keys)))
    if sink is not None:
        logits[..., sink] += 2.5 + np.log(len(keys))
    offset = len(keys) - len(queries) - (steps is not None)
    mask = np.ones(logits.shape[2:], dtype=bool)
    if causal:
        mask = np.tril(mask, offset)
    weights = np.where(mask, np.exp(logits), 0)
    return AttentionMap(
        queries=queries,
        keys=keys,
        weights=weights / weights.sum(-1, keepdims=True),
        mask=mask,
        layers=(4, 5),
        heads=(0, 1, 2),
        steps=steps,
        provenance=origin or provenance(),
    )


def classification(
    tokens: Tokens | None = None, *, signed: bool = True, cautions: Sequence[str] = ()
) -> Report:
    tokens = tokens or tokens_of("The movie was absolutely fantastic!")
    origin = provenance(*cautions)
    return Report(
        prediction=Prediction(
            tokens=tokens,
            labels=("negative", "positive"),
            logits=np.array([-2.9, 3.4]),
            probabilities=np.array([0.002, 0.998]),
            problem="single_label",
        ),
        attributions=(attribution(tokens, signed=signed, origin=origin),),
        attention=(attention(tokens, sink=0, origin=origin),),
        evaluations=(
            Evaluation(
                metric="deletion",
                value=0.4,
                curve=[[0, 1], [1, 0]],
                control=[0.1, 0.2],
                higher_is_better=True,
            ),
        ),
        provenance=origin,
    )


def heads(length: int, *, causal: bool, layers: int = 12, count: int = 12) -> AttentionMap:
    """Return attention of many heads: random, which is close to the worst to compress, with a sink."""
    logits = np.random.default_rng(0).normal(size=(layers, count, length, length)).astype(np.float32)
    logits[..., 0] += 2
    mask = np.tril(np.ones((length, length), dtype=bool)) if causal else np.ones((length, length), dtype=bool)
    weights = np.where(mask, np.exp(logits), 0)
    tokens = tokens_of(text_of(length), special=False)
    return AttentionMap(
        queries=tokens,
        keys=tokens,
        weights=weights / weights.sum(-1, keepdims=True),
        mask=mask,
        layers=range(layers),
        heads=range(count),
    )


def with_heads(length: int, *, causal: bool, layers: int = 12) -> Report:
    found = heads(length, causal=causal, layers=layers)
    return replace(classification(found.queries), attention=(found,))


def generation(count: int = 12, prompt_count: int = 9) -> Report:
    prompt, answer = text_of(prompt_count), " " + text_of(count)
    spans = [[match.span() for match in regex.finditer(r" ?\w+", text)] for text in (prompt, answer)]
    pieces = [
        "<s>",
        *(text[a:b] for text, part in zip((prompt, answer), spans, strict=True) for a, b in part),
    ]
    tokens = Tokens.from_spans(
        texts=(prompt, answer),
        pieces=pieces,
        ids=range(len(pieces)),
        segments=[-1, *[0] * prompt_count, *[1] * count],
        offsets=[(0, 0), *spans[0], *spans[1]],
        special=[True, *[False] * (len(pieces) - 1)],
    )
    length = 1 + prompt_count
    probabilities = np.random.default_rng(0).uniform(0.1, 0.9, count)
    top = np.stack([probabilities, (1 - probabilities) / 2], axis=1)
    steps = tokens.select(range(length, len(tokens)))
    loss = Target(
        task="causal-lm",
        quantity="loss",
        name="loss",
        positions=tuple(range(length - 1)),
        indices=tuple(range(1, length)),
    )
    each = [
        Target(
            task="causal-lm", quantity="log_prob", positions=(at - 1,), indices=(at,), labels=(pieces[at],)
        )
        for at in range(length, len(tokens))
    ]
    return Report(
        generation=Generation(
            tokens=tokens,
            prompt_length=length,
            probabilities=probabilities,
            entropies=np.full(count, 1.5),
            top_ids=np.stack([tokens.ids[length:], np.zeros(count, dtype=int)], axis=1),
            top_probabilities=top,
            top_labels=tuple((piece, " </script>other") for piece in pieces[length:]),
            given=False,
            ended=False,
        ),
        attributions=(
            attribution(
                tokens.select(range(length)),
                signed=False,
                targets=[loss],
                valid=[[*[True] * (length - 1), False]],
            ),
            attribution(
                tokens,
                signed=False,
                targets=each,
                valid=[[place < at for place in range(len(tokens))] for at in range(length, len(tokens))],
            ),
        ),
        attention=(
            attention(
                tokens.select(range(length - 1, len(tokens) - 1)), tokens, causal=True, sink=0, steps=steps
            ),
        ),
        provenance=provenance(model="demo:smollm2"),
    )


def with_contrasts(report: Report) -> Report:
    """Return a generation with why each token and not the second of its likeliest."""
    attribution_of_steps, source = report.attributions[1], report.generation
    assert source is not None
    targets = [
        replace(
            target,
            quantity="logit",
            against=(int(source.top_ids[step, 1]),),
            against_labels=(source.top_labels[step][1],),
        )
        for step, target in enumerate(attribution_of_steps.targets)
    ]
    return replace(
        report,
        contrasts=attribution(attribution_of_steps.tokens, targets=targets, valid=attribution_of_steps.valid),
    )


def hostile() -> Report:
    """Return a report with a hostile string everywhere a string can stand."""
    tokens = hostile_tokens()
    joined = " ".join(HOSTILE)
    origin = Provenance(
        model=joined,
        task=joined,
        architecture=joined,
        tokenizer=joined,
        revision=joined,
        dtype=joined,
        device=joined,
        attention_implementation=joined,
        versions={joined: joined},
        cautions=HOSTILE,
    )
    target = Target(
        task="sequence-classification",
        indices=(1,),
        labels=(HOSTILE[0] + HOSTILE[4] + HOSTILE[5] + HOSTILE[8],),
        against=(0,),
        against_labels=(HOSTILE[1] + HOSTILE[6] + HOSTILE[7],),
    )
    several = [Target(task="x", quantity="custom", name=name) for name in HOSTILE]
    return Report(
        prediction=Prediction(
            tokens=tokens,
            labels=HOSTILE,
            logits=np.arange(len(HOSTILE)),
            probabilities=np.full(len(HOSTILE), 0.1),
            problem="single_label",
        ),
        attributions=(
            attribution(tokens, targets=[target], origin=origin),
            attribution(tokens, targets=several, origin=origin),
        ),
        attention=(attention(tokens, sink=0, causal=True, origin=origin),),
        evaluations=(
            Evaluation(
                metric=HOSTILE[1],
                value=1.0,
                curve=[[0, 0]],
                control=[],
                higher_is_better=True,
                verdict="supported",
                reasons=HOSTILE,
            ),
        ),
        provenance=origin,
    )
