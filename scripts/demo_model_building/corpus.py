"""Reads the rated sentences, and splits them so that held-out sentences do not overlap with others."""

import hashlib
import html
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SOURCES = ("movieReviewSnippets", "tweets", "amazonReviewSnippets", "nytEditorialSnippets")
HELD_OUT, VALIDATION = 997, 600
SPLIT_SEED = "model-understanding demo split 1"
SHARED_RUN = 8  # a training text with this many consecutive words of a held-out text is dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedText:
    source: str
    identifier: str
    text: str
    rating: float  # mean of about 20 human ratings, -4 to 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    train: list[RatedText]
    validation: list[RatedText]
    held_out: list[RatedText]


def plain_words(text: str) -> tuple[str, ...]:
    """The text's words without case and punctuation, to detect duplicates."""
    return tuple(re.findall(r"[a-z0-9]+", text.lower()))


def runs(words: tuple[str, ...]) -> set[tuple[str, ...]]:
    """All runs of SHARED_RUN words, and the whole text."""
    return {words, *(words[i : i + SHARED_RUN] for i in range(len(words) - SHARED_RUN + 1))}


def read_source(folder: Path, source: str) -> list[RatedText]:
    """One file's texts, in its order."""
    lines = (folder / f"{source}_GroundTruth.txt").read_text(encoding="utf-8-sig").splitlines()
    rows = [line.split("\t", 2) for line in lines]
    return [
        RatedText(source=source, identifier=row[0], rating=float(row[1]), text=html.unescape(row[2]).strip())
        for row in rows
    ]


def without_overlap(texts: Iterable[RatedText], kept_apart: Iterable[RatedText]) -> list[RatedText]:
    """The texts that share neither all their words nor a long run of words with the texts kept apart."""
    apart = set().union(*(runs(plain_words(text.text)) for text in kept_apart))
    return [text for text in texts if apart.isdisjoint(runs(plain_words(text.text)))]


def draw_order(text: RatedText) -> str:
    """A fixed pseudo-random key, the same on every machine and library version."""
    return hashlib.sha256(f"{SPLIT_SEED}:{text.source}:{text.identifier}".encode()).hexdigest()


def read_corpus(folder: Path) -> Corpus:
    """Held-out and validation are movie snippets with a rating that is not 0; training is the rest."""
    unique: dict[tuple[str, ...], RatedText] = {}
    for source in SOURCES:
        for text in read_source(folder, source):
            words = plain_words(text.text)
            if words:
                unique.setdefault(words, text)
    texts = list(unique.values())
    movies = [text for text in texts if text.source == SOURCES[0] and text.rating != 0]
    movies.sort(key=draw_order)
    held_out = movies[:HELD_OUT]
    validation = without_overlap(movies[HELD_OUT : HELD_OUT + VALIDATION], held_out)
    taken = {text.identifier for text in movies[: HELD_OUT + VALIDATION]}
    rest = [text for text in texts if text.source != SOURCES[0] or text.identifier not in taken]
    train = without_overlap(rest, [*held_out, *validation])
    return Corpus(train=train, validation=validation, held_out=held_out)


def phrases(texts: Iterable[RatedText]) -> list[str]:
    """Clauses of the texts, without ratings: short inputs to distill on."""
    clauses: dict[str, None] = {}
    for text in texts:
        for part in re.split(r"[,;:.!?()]+|\s-+\s|\bbut\b|\band\b|\bthough\b", text.text):
            clause = part.strip(" '\"-")
            if len(clause.split()) >= 2 and clause != text.text:
                clauses[clause] = None
    return list(clauses)
