"""Reports of every kind of model but classifiers and decoders, made by hand."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import regex
from sample_results import attention, attribution

from model_understanding.results import (
    AnswerSpan,
    Choices,
    Entity,
    Evaluation,
    Generation,
    MaskFilling,
    Prediction,
    Provenance,
    Report,
    SpanAnswer,
    Tagging,
    Target,
    TokenLinks,
)
from model_understanding.tokens import Tokens


def origin(task: str, *cautions: str) -> Provenance:
    return Provenance(
        model=f"demo:{task}",
        task=task,
        architecture="TinyModel",
        dtype="float32",
        device="cpu",
        versions={"torch": "2.13.0"},
        cautions=cautions,
    )


def words_of(*texts: str, specials: Sequence[str] = ("[CLS]", "[SEP]", "[SEP]")) -> Tokens:
    """Tokenize by words, with a special token before the first text and after each."""
    pieces, spans, segments = [specials[0]], [(0, 0)], [-1]
    for segment, text in enumerate(texts):
        for match in regex.finditer(r"\[MASK\]|\w+|[^\w\s]", text):
            pieces.append(match.group())
            spans.append(match.span())
            segments.append(segment)
        pieces.append(specials[segment + 1])
        spans.append((0, 0))
        segments.append(-1)
    ids = [sum(map(ord, piece)) % 1000 for piece in pieces]
    special = [segment < 0 or piece == "[MASK]" for segment, piece in zip(segments, pieces, strict=True)]
    return Tokens.from_spans(
        texts=texts, pieces=pieces, ids=ids, segments=segments, offsets=spans, special=special
    )


def position(tokens: Tokens, piece: str) -> int:
    return tokens.pieces.index(piece)


def verdict(found, row: int = 0, name: str = "supported") -> Evaluation:
    return Evaluation(
        metric="verdict",
        value=2.4,
        curve=np.zeros((0, 2)),
        control=np.zeros(0),
        higher_is_better=True,
        verdict=name,
        reasons=("A reason.",),
        method=found.method,
        target=found.targets[row].description(),
        summary="Removing its top words lowers the logit by 3.6; random words, by 0.5.",
    )


def tagging(text: str = "Anna Schmidt moved from Paris to work for Acme Corp last May.") -> Report:
    tokens = words_of(text)
    labels = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG")
    found = (("PER", "Anna", "Schmidt", (1, 2), 0.998), ("LOC", "Paris", "Paris", (3,), 0.93))
    found += (("ORG", "Acme", "Corp", (5, 6), 0.71),)
    entities = []
    for label, start, end, indices, probability in found:
        first, last = position(tokens, start), position(tokens, end)
        begin, stop = int(tokens.offsets[first, 0]), int(tokens.offsets[last, 1])
        entities.append(
            Entity(
                label=label,
                first=first,
                last=last,
                start=begin,
                end=stop,
                text=text[begin:stop],
                probability=probability,
                tokens=tuple(range(first, last + 1)),
                indices=indices,
            )
        )
    targets = [
        Target(
            task="token-classification",
            positions=entity.tokens,
            indices=entity.indices,
            labels=tuple(labels[index] for index in entity.indices),
            reduce="mean",
        )
        for entity in entities
    ]
    scores = attribution(tokens, targets=targets, origin=origin("token-classification"))
    return Report(
        answer=Tagging(
            tokens=tokens,
            labels=labels,
            logits=np.random.default_rng(0).normal(size=(len(tokens), len(labels))),
            entities=tuple(entities),
            aggregation="simple",
        ),
        attributions=(scores,),
        attention=(attention(tokens, sink=0),),
        evaluations=(verdict(scores),),
        provenance=origin("token-classification"),
    )


def question_answering(
    question: str = "Where did Ada grow up?",
    context: str = "Ada was born in London. She grew up near the river, in an old mill, and studied at home.",
) -> Report:
    tokens = words_of(question, context)
    spans = []
    for start, end, logit, share in (
        ("the", "river", 7.2, 0.61),
        ("old", "mill", 5.9, 0.17),
        ("home", "home", 4.2, 0.03),
    ):
        first, last = position(tokens, start), position(tokens, end)
        begin, stop = int(tokens.offsets[first, 0]), int(tokens.offsets[last, 1])
        spans.append(
            AnswerSpan(
                first=first,
                last=last,
                text=context[begin:stop],
                start=begin,
                end=stop,
                logit=logit,
                probability=share,
                score=share,
            )
        )
    targets = [
        Target(
            task="question-answering",
            positions=(0, 1),
            indices=(span.first, span.last),
            labels=("start", "end"),
            name=span.text,
        )
        for span in spans
    ]
    targets.append(
        replace(
            targets[0],
            against=(spans[1].first, spans[1].last),
            against_labels=(spans[1].text,),
        )
    )
    targets.append(replace(targets[0], against=(0, 0), against_labels=("no answer",)))
    scores = attribution(tokens, targets=targets, origin=origin("question-answering"))
    random = np.random.default_rng(1).normal(size=(2, len(tokens)))
    return Report(
        answer=SpanAnswer(
            tokens=tokens,
            context=1,
            start_logits=random[0],
            end_logits=random[1],
            spans=tuple(spans),
            no_answer=AnswerSpan(
                first=0, last=0, text="", start=0, end=0, logit=5.1, probability=0.08, score=0.08
            ),
        ),
        attributions=(scores,),
        attention=(attention(tokens, sink=0),),
        evaluations=(verdict(scores),),
        provenance=origin("question-answering"),
    )


def masks(text: str = "[MASK] is the capital of [MASK].") -> Report:
    tokens = words_of(text)
    positions = [at for at, piece in enumerate(tokens.pieces) if piece == "[MASK]"]
    names = (("Paris", "Lyon", "Rome"), ("France", "Italy", "Europe"))
    ids = np.array([[11, 12, 13], [21, 22, 23]])[: len(positions)]
    targets = [
        Target(
            task="masked-lm",
            positions=(at,),
            indices=(int(ids[mask, 0]),),
            labels=(names[mask][0],),
            quantity="log_prob",
        )
        for mask, at in enumerate(positions)
    ]
    scores = attribution(tokens, targets=targets, origin=origin("masked-lm"))
    return Report(
        answer=MaskFilling(
            tokens=tokens,
            positions=positions,
            top_ids=ids,
            top_logits=np.array([[9, 7, 6], [8, 5, 4]])[: len(positions)],
            top_probabilities=np.array([[0.62, 0.11, 0.04], [0.83, 0.06, 0.02]])[: len(positions)],
            top_labels=names[: len(positions)],
        ),
        attributions=(scores,),
        attention=(attention(tokens),),
        provenance=origin("masked-lm"),
    )


def choices(
    kind: str = "choice",
    question: str = "The ground was wet this morning.",
    names: Sequence[str] = ("It rained at night.", "The sun was shining.", "A dog barked."),
) -> Report:
    task = {"choice": "multiple-choice"}.get(kind, "sequence-classification")
    values = np.linspace(3, -1, len(names))
    probabilities = np.exp(values) / np.exp(values).sum()
    parts = tuple(
        attribution(
            words_of(question, name),
            targets=[Target(task=task, indices=(0,), labels=(name,), name=name)],
            scores=np.random.default_rng(index).standard_t(3, size=len(words_of(question, name))),
            origin=origin(task),
        )
        for index, name in enumerate(names)
    )
    return Report(
        answer=Choices(
            kind=kind,
            tokens=words_of(question, names[0]),
            question=question,
            names=tuple(names),
            values=values,
            probabilities=None if kind == "document" else probabilities,
            quantity="logit",
        ),
        attributions=parts,
        attention=(attention(words_of(question, names[0]), sink=0),),
        evaluations=(verdict(parts[0]),),
        provenance=origin(task),
    )


def ranking() -> Report:
    return choices(
        "document",
        "how long is the nile",
        (
            "The Nile is about 6,650 km long.",
            "Cairo lies on the Nile.",
            "The Amazon carries more water.",
            "Bread.",
        ),
    )


def zero_shot() -> Report:
    report = choices(
        "label", "The match ended in a draw.", ("This is about sport.", "This is about politics.")
    )
    assert isinstance(report.answer, Choices)
    names = ("sport", "politics")
    parts = tuple(
        replace(part, targets=(replace(part.targets[0], name=name, labels=("entailment",)),))
        for part, name in zip(report.attributions, names, strict=True)
    )
    return replace(report, answer=replace(report.answer, names=names), attributions=parts)


def similarity(
    first: str = "A man plays the guitar", second: str = "Someone is strumming an old guitar"
) -> Report:
    joint = words_of(first, second)
    sides = [words_of(text, specials=("[CLS]", "[SEP]")) for text in (first, second)]
    target = Target(task="sentence-similarity", indices=(0,), labels=("cosine",))
    scores = np.random.default_rng(3).normal(scale=0.02, size=(len(sides[0]), len(sides[1])))
    scores[position(sides[0], "guitar"), position(sides[1], "guitar")] = 0.31
    scores[position(sides[0], "plays"), position(sides[1], "strumming")] = 0.14
    rest = 0.05
    return Report(
        prediction=Prediction(
            tokens=joint,
            labels=("cosine",),
            logits=[scores.sum() + rest],
            probabilities=None,
            problem="regression",
        ),
        attributions=(attribution(joint, targets=[target], origin=origin("sentence-similarity")),),
        links=TokenLinks(
            first=sides[0],
            second=sides[1],
            scores=scores,
            similarity=float(scores.sum() + rest),
            rest=rest,
            method="integrated Jacobians (50 steps)",
            provenance=origin("sentence-similarity"),
        ),
        provenance=origin("sentence-similarity"),
    )


def translation(
    source: str = "The old house is near the river", output: str = "Das alte Haus liegt am Fluss"
) -> Report:
    tokens = words_of(source, output, specials=("▁", "</s>", "</s>"))
    pieces, spans, segments = list(tokens.pieces), tokens.offsets.tolist(), tokens.segments.tolist()
    end = pieces.index("</s>") + 1
    # No token before the source; a decoder start before the output.
    pieces = [*pieces[1:end], "<pad>", *pieces[end:]]
    spans, segments = [*spans[1:end], [0, 0], *spans[end:]], [*segments[1:end], -1, *segments[end:]]
    tokens = Tokens.from_spans(
        texts=(source, output),
        pieces=pieces,
        ids=range(len(pieces)),
        segments=segments,
        offsets=spans,
        special=[segment < 0 for segment in segments],
    )
    start = end  # of the output, after the decoder start
    count = len(tokens)
    steps = tokens.select(range(start, count))
    targets = [
        Target(
            task="seq2seq-lm", quantity="log_prob", positions=(at - 1,), indices=(at,), labels=(pieces[at],)
        )
        for at in range(start, count)
    ]
    probabilities = np.random.default_rng(0).uniform(0.3, 0.99, len(steps))
    scores = attribution(
        tokens,
        targets=targets,
        valid=[[place < at for place in range(count)] for at in range(start, count)],
        origin=origin("seq2seq-lm"),
    )
    source_tokens, queries = tokens.select(range(end - 1)), tokens.select(range(start - 1, count - 1))
    return Report(
        generation=Generation(
            tokens=tokens,
            prompt_length=start,
            probabilities=probabilities,
            entropies=np.full(len(steps), 1.2),
            top_ids=np.stack([steps.ids, np.zeros(len(steps), dtype=int)], axis=1),
            top_probabilities=np.stack([probabilities, (1 - probabilities) / 2], axis=1),
            top_labels=tuple((piece, "other") for piece in steps.pieces),
            given=False,
            ended=True,
        ),
        attributions=(scores,),
        attention=(
            attention(queries, source_tokens, steps=steps, origin=origin("seq2seq-lm")),
            attention(source_tokens, origin=origin("seq2seq-lm")),
            attention(queries, tokens.select(range(start - 1, count)), causal=True, steps=steps),
        ),
        provenance=origin("seq2seq-lm"),
    )


ANSWERS: dict[str, Callable[[], Report]] = {
    "tagger": tagging,
    "question answering": question_answering,
    "masks": masks,
    "one mask": lambda: masks("Paris is the capital of [MASK]."),
    "multiple choice": choices,
    "labels by hypothesis": zero_shot,
    "ranked documents": ranking,
    "similarity": similarity,
    "encoder–decoder": translation,
}
