"""The words and phrases that matter most for each answer, with intervals, in two looks at the rows.

The first look counts all words (``counts.py``) and chooses some candidates; the second has the scores of
these by groups of rows. Words are ranked by the end of their interval that is nearer to 0: a frequent word of
little effect is low because its effect is small, a rare word because its interval is wide. In small data
words of very few rows are listed after the others.
"""

from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from model_understanding.dataset.summary.bootstrap import GROUPS, intervals, resampled_means
from model_understanding.dataset.summary.counts import Counter, Total, sums_of
from model_understanding.dataset.summary.reading import StoredRow
from model_understanding.dataset.summary.repeats import Repeats
from model_understanding.dataset.summary.sampling import Largest
from model_understanding.dataset.summary.words import Occurrence, phrases_of, words_in, words_of
from model_understanding.results.dataset_summary import WordEffect

LISTED, LISTED_PHRASES = 400, 120  # words and phrases of all answers together, about
_LEAST, _MOST = 10, 100  # words of one answer
_ENOUGH_ROWS = 5  # with a word; fewer where an answer has few rows
_EXAMPLES = 5
_TIED = 10  # words that are in the very same rows, which are named
_CELLS = 8_000_000  # groups of rows times candidates
_FORMS = 20  # ways of writing a word that are counted
_DIFFERENT = 0.25  # of its effect, by which a phrase must differ from the sum of its words
_SMALLEST = 0.05  # of the mean absolute word score: an effect below is none
_CARRIED = 0.7  # of its effect, which one word of a phrase may have alone


def least_rows(rows: int) -> int:
    """Return in how many of an answer's rows a word must be to be listed.

    >>> least_rows(10), least_rows(160), least_rows(1_000_000)
    (2, 3, 5)
    """
    return max(2, min(_ENOUGH_ROWS, rows // 50))


def listed(answers: int, total: int = LISTED) -> int:
    """Return how many words are listed for each of so many answers.

    >>> listed(2), listed(77)
    (100, 10)
    """
    return max(_LEAST, min(_MOST, total // max(answers, 1)))


class FirstLook:
    """Counts the words and phrases of all rows.

    Args:
        signed: Whether scores have a sign.
    """

    def __init__(self, signed: bool) -> None:
        self.signed = signed
        self.words, self.phrases = Counter(), Counter()
        self.rows: Tally[str | None] = Tally()
        self.repeats = Repeats()
        self._scores, self._size = 0, 0.0

    def add(self, row: StoredRow) -> None:
        """Count a row's words and phrases, if its scores explain the model's answer."""
        if row.explained != row.answer:
            return
        self.rows[row.answer] += 1
        self._scores += len(row.word_scores)
        self._size += float(np.abs(row.word_scores).sum(dtype=np.float64))
        if self.repeats.is_new(row):  # a text that is there twice is no second observation
            self.words.add(row.answer, words_of(row))
            self.phrases.add(row.answer, phrases_of(row, self.signed))

    @property
    def average(self) -> float:
        """Mean absolute score of a word."""
        return self._size / max(self._scores, 1)

    @property
    def missed(self) -> int:
        """In how many rows a word or phrase may be that is not listed because there were too many."""
        return max(self.words.missed, self.phrases.missed)

    def candidates(self, answer: str | None) -> tuple[list[str], list[str]]:
        """Return the words and phrases of an answer that may be among those that matter most."""
        least, words = least_rows(self.repeats.texts[answer]), self.words.totals(answer)
        chosen = _strongest(
            {
                key: value
                for key, total in words.items()
                if total.rows >= least and (value := self._strength(total))
            },
            3 * listed(len(self.rows)),
        )
        interest = {
            key: value
            for key, total in self.phrases.totals(answer).items()
            if total.rows >= least and (value := self._interest(key, total, words)) > 0
        }
        phrases = _strongest(interest, 3 * listed(len(self.rows), LISTED_PHRASES))
        parts = {word for phrase in phrases for word in phrase.split(" ")}
        return list(dict.fromkeys([*chosen, *sorted(parts)])), phrases

    def _strength(self, total: Total) -> float:
        if self.signed:
            return total.strength(0.0)
        return total.strength(1.0) if total.mean > 1 else 0.0

    def _interest(self, phrase: str, total: Total, words: Mapping[str, Total]) -> float:
        """Return about how much of a phrase's effect its words by themselves do not show."""
        parts = [words[word].mean for word in phrase.split(" ") if word in words]
        if len(parts) < words_in(phrase):
            return 0.0
        share = 1.0 if self.signed else 1 / len(parts)
        difference = abs(total.mean - share * sum(parts)) - total.margin
        carried = share * max(map(abs, parts)) > _CARRIED * abs(total.mean)
        return max(difference, 0.0 if carried else self._strength(total))


def _strongest(values: Mapping[str, float], count: int) -> list[str]:
    return sorted(values, key=lambda key: (-values[key], key))[:count]


def paired_groups(looks: Sequence[FirstLook]) -> int:
    """Return into how many groups the rows of runs can be put that are resampled together.

    Args:
        looks: The first look at each run.
    """
    rows = max(look.rows.total() for look in looks)
    words = sum(len(keys) for look in looks for answer in look.rows for keys in look.candidates(answer))
    return max(1, min(GROUPS, rows, max(100, _CELLS // max(words, 1))))


@dataclass(slots=True)
class _Scores:
    """The scores of an answer's candidates, by groups of rows."""

    keys: Sequence[str]
    sums: np.ndarray
    counts: np.ndarray
    squares: np.ndarray
    rows: np.ndarray
    texts: np.ndarray
    marks: list[int]
    is_negative: Sequence[bool]
    index: Mapping[str, int]
    by_place: bool = False
    seen: int = 0
    places: dict[int, int] = field(default_factory=dict)
    forms: list[Tally[str]] = field(default_factory=list)
    examples: list[Largest[None]] = field(default_factory=list)

    @classmethod
    def of(cls, keys: Sequence[str], groups: int, is_negative: Sequence[bool], by_place: bool) -> "_Scores":
        shape, each = (groups, len(keys)), len(keys)
        return cls(
            keys=keys,
            sums=np.zeros(shape),
            counts=np.zeros(shape),
            squares=np.zeros(each),
            rows=np.zeros(each, dtype=np.int64),
            texts=np.zeros(each, dtype=np.int64),
            marks=[0] * each,
            is_negative=is_negative,
            index={key: index for index, key in enumerate(keys)},
            by_place=by_place,
            forms=[Tally() for _ in keys],
            examples=[Largest(_EXAMPLES) for _ in keys],
        )

    def add(self, row: int, occurrences: Iterable[Occurrence], repeated: int | None) -> None:
        """Add a row; those of one text, which ``repeated`` names, are one unit of the bootstrap."""
        place = None if repeated is None else self.places.get(repeated)
        is_new = place is None
        if place is None:
            place = row if self.by_place else self.seen
            self.seen += 1
            if repeated is not None:
                self.places[repeated] = place
        group, mark = place % len(self.sums), hash((row, len(self.keys)))
        chosen = [occurrence for occurrence in occurrences if occurrence.key in self.index]
        for key, form, _, _ in chosen:
            forms = self.forms[self.index[key]]
            if form in forms or len(forms) < _FORMS:
                forms[form] += 1
        for key, (count, total, squares) in sums_of(chosen).items():
            index = self.index[key]
            self.sums[group, index] += total
            self.counts[group, index] += count
            self.squares[index] += squares
            self.rows[index] += 1
            self.texts[index] += is_new
            self.marks[index] ^= mark
            self.examples[index].add(-total if self.is_negative[index] else total, row, None)


class SecondLook:
    """Sums the scores of the candidates in groups of rows.

    Args:
        first: The first look.
        seed: Seeds the bootstrap.
        others: More words of each answer to measure, where they occur.
        paired: Groups of rows by their place in the input, all resampled together: with the same number and
            seed, two runs over the same rows are resampled row by row. ``None`` for groups of each answer.
    """

    def __init__(
        self,
        first: FirstLook,
        seed: int = 0,
        others: Mapping[str | None, Iterable[str]] = MappingProxyType({}),
        paired: int | None = None,
    ) -> None:
        self._first, self._seed, self._paired = first, seed, paired
        chosen = {answer: first.candidates(answer) for answer in first.rows}
        for answer, (words, _) in chosen.items():
            known = first.words.totals(answer)
            words += sorted({word for word in others.get(answer, ()) if word in known} - {*words})
        total = sum(len(words) + len(phrases) for words, phrases in chosen.values())
        self._phrases = {answer: frozenset(phrases) for answer, (_, phrases) in chosen.items()}
        self._scores = {
            answer: self._empty(answer, [*words, *phrases], max(100, _CELLS // max(total, 1)))
            for answer, (words, phrases) in chosen.items()
        }
        keys = {key for scores in self._scores.values() for key in scores.keys}
        self._labels: dict[str, Tally[str]] = {key: Tally() for key in keys}
        self._rows: Tally[str] = Tally()  # of all answers
        self._measured: dict[str | None, Measured] = {}

    def _empty(self, answer: str | None, keys: Sequence[str], most: int) -> _Scores:
        groups = self._paired or min(GROUPS, most, self._first.repeats.texts[answer])
        words, phrases = self._first.words.totals(answer), self._first.phrases.totals(answer)
        is_negative = [(phrases if " " in key else words)[key].sum < 0 for key in keys]
        return _Scores.of(keys, groups, is_negative, self._paired is not None)

    def add(self, row: StoredRow) -> None:
        """Add a row's scores, if they explain the model's answer."""
        if row.explained != row.answer:
            return
        occurrences = [*words_of(row), *phrases_of(row, self._first.signed)]
        self._scores[row.answer].add(row.row, occurrences, self._first.repeats.key(row))
        for key in {occurrence.key for occurrence in occurrences}:
            if key in self._labels:
                self._rows[key] += 1
                if row.label is not None:
                    self._labels[key][row.label] += 1

    def measured(self, answer: str | None) -> "Measured":
        """Return what is known of an answer's candidates, once all rows are added."""
        if answer not in self._measured:
            scores = self._scores[answer]
            number = list(self._scores).index(answer) if self._paired is None else 0
            draws = resampled_means(scores.sums, scores.counts, [self._seed, number])
            groups = (scores.counts > 0).sum(axis=0)
            ends = intervals(draws, groups).tolist()
            every = [
                self._effect(answer, scores, index, (low, high)) for index, (low, high) in enumerate(ends)
            ]
            self._measured[answer] = Measured(
                effects=dict(zip(scores.keys, every, strict=True)),
                index=scores.index,
                draws=draws,
                groups=groups,
                signed=self._first.signed,
                least=least_rows(self._first.repeats.texts[answer]),
            )
        return self._measured[answer]

    def listed(self, answer: str | None) -> tuple[tuple[WordEffect, ...], tuple[WordEffect, ...]]:
        """Return the words and phrases that matter most for an answer, in order."""
        measured, all_phrases, count = self.measured(answer), self._phrases[answer], len(self._scores)
        frequent = measured.frequent()
        strengths = {key: strength(effect.interval, measured.signed) for key, effect in frequent.items()}
        words = {
            key: value
            for key, value in strengths.items()
            if key not in all_phrases and value > 0 and self._matters(frequent[key])
        }
        phrases = Phrases(measured)
        interests = {
            key: value
            for key, effect in frequent.items()
            if key in all_phrases and self._matters(effect) and (value := phrases.interest(key)) > 0
        }
        kept = phrases.apart(_strongest(interests, len(interests)))
        order = self._in_order(answer, words)[: listed(count)]
        tied = self._tied(answer, [*order, *interests])
        return (
            tuple(replace(measured.effects[key], tied=tied.get(key, ())) for key in order),
            tuple(measured.effects[key] for key in kept[: listed(count, LISTED_PHRASES)]),
        )

    def _tied(self, answer: str | None, keys: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return the words that are in the very same rows as others, with these, the best name first."""
        scores, effects = self._scores[answer], self.measured(answer).effects
        groups: dict[tuple[int, int], list[str]] = {}
        for key in keys:
            index = scores.index[key]
            groups.setdefault((int(scores.rows[index]), scores.marks[index]), []).append(key)
        found: dict[str, tuple[str, ...]] = {}
        for group in groups.values():
            if len(group) > 1:
                ranked = sorted(group, key=lambda key: (-words_in(key), self._rows[key], -len(key), key))
                found |= dict.fromkeys(group, tuple(effects[key].word for key in ranked[:_TIED]))
        return found

    def _matters(self, word: WordEffect) -> bool:
        """Return whether a mean score is large enough to be listed, however certain it is."""
        if not self._first.signed:
            return word.effect > 1
        return abs(word.effect) >= _SMALLEST * self._first.average

    def _in_order(self, answer: str | None, strengths: Mapping[str, float]) -> list[str]:
        """Return words in the order of their strengths, those of few rows last: some of them are chance."""
        effects = self.measured(answer).effects
        few = max(2, min(_ENOUGH_ROWS, self._first.repeats.texts[answer] // 20))
        return sorted(strengths, key=lambda key: (effects[key].texts < few, -strengths[key], key))

    def _effect(
        self, answer: str | None, scores: _Scores, index: int, interval: tuple[float, float]
    ) -> WordEffect:
        total = Total(
            rows=int(scores.rows[index]),
            count=int(scores.counts[:, index].sum()),
            sum=float(scores.sums[:, index].sum()),
            squares=float(scores.squares[index]),
        )
        key, labels = scores.keys[index], self._labels[scores.keys[index]]
        forms = scores.forms[index]
        return WordEffect(
            word=min(forms, key=lambda form: (-forms[form], form), default=key),
            label=answer,
            effect=total.mean,
            interval=interval,
            spread=total.spread,
            count=total.count,
            rows=total.rows,
            texts=int(scores.texts[index]),
            share=total.rows / max(self._first.rows[answer], 1),
            answer_share=None if answer is None else total.rows / self._rows[key],
            label_precision=labels[answer] / labels.total() if answer is not None and labels else None,
            examples=scores.examples[index].rows(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What is known of the candidates of an answer.

    Args:
        effects: The effect of each word and phrase.
        index: Its column in ``draws``.
        draws: Mean scores in each resample.
        groups: How many groups of rows have each.
        signed: Whether scores are effects, which add up, or importances, which are averaged.
        least: In how many different texts a word must be.
    """

    effects: Mapping[str, WordEffect]
    index: Mapping[str, int]
    draws: np.ndarray
    groups: np.ndarray
    signed: bool
    least: int

    def frequent(self) -> dict[str, WordEffect]:
        """Return the effects of the words that are in enough different texts."""
        return {key: effect for key, effect in self.effects.items() if effect.texts >= self.least}


def strength(interval: tuple[float, float], signed: bool = True) -> float:
    """Return how far an interval of effects is from 0, or one of importances above 1; 0 if it is not.

    >>> strength((0.5, 1)), strength((-3.0, -2)), strength((-1, 1)), strength((1.5, 2), signed=False)
    (0.5, 2.0, 0.0, 0.5)
    """
    low, high = interval
    return float(max(low, -high, 0.0) if signed else max(low - 1, 0.0))


def _holds(longer: str, shorter: str) -> bool:
    """Return whether a phrase has another one in it."""
    return longer != shorter and f" {shorter} " in f" {longer} "


class Phrases:
    """Tells which phrases have an effect that their words by themselves do not show.

    Args:
        measured: The candidates of an answer.
    """

    def __init__(self, measured: Measured) -> None:
        self._measured, self._effects = measured, measured.effects

    def interest(self, phrase: str) -> float:
        """Return how much of a phrase's effect its words by themselves do not show; 0 if they do.

        They do not where the sum of their own mean effects is another one, or where they are hardly ever
        apart and none of them has most of the effect.
        """
        words, effect = phrase.split(" "), self._effects[phrase]
        parts = [self._effects[word] for word in words]
        shares = [self._share(word, phrase) * part.effect for word, part in zip(words, parts, strict=True)]
        size = max(abs(effect.effect), abs(sum(shares)))
        apart = self._difference(phrase, words)
        if strength(apart) > 0 and abs(effect.effect - sum(shares)) >= _DIFFERENT * size:
            return strength(apart)
        if max(map(abs, shares)) > _CARRIED * abs(effect.effect):
            return 0.0
        is_one = " " not in effect.word or all(2 * effect.count >= part.count for part in parts)
        return strength(effect.interval, self._measured.signed) if is_one else 0.0

    def apart(self, ranked: Sequence[str]) -> list[str]:
        """Return phrases without those that a longer or shorter one of them shows as well.

        Of two that hardly occur apart the longer stays; of others the longer goes if its effect is that of
        the shorter and its other word.

        Args:
            ranked: Phrases, the most interesting first.
        """
        kept: set[str] = set()
        for phrase in sorted(ranked, key=lambda key: -key.count(" ")):
            holding = [other for other in kept if _holds(other, phrase)]
            if any(self._hardly_apart(other, phrase) for other in holding):
                continue
            held = [other for other in ranked if _holds(phrase, other)]
            if any(self._is_sum(phrase, other) and not self._hardly_apart(phrase, other) for other in held):
                continue
            kept.add(phrase)
        return [phrase for phrase in ranked if phrase in kept]

    def _hardly_apart(self, longer: str, shorter: str) -> bool:
        return self._effects[shorter].count <= 1.25 * self._effects[longer].count

    def _share(self, part: str, phrase: str) -> float:
        """Return the weight of a part's score in that of a phrase."""
        return 1.0 if self._measured.signed else words_in(part) / words_in(phrase)

    def _is_sum(self, longer: str, shorter: str) -> bool:
        """Return whether the effect of a phrase is that of a shorter one and its other words."""
        others = f" {longer} ".replace(f" {shorter} ", " ", 1).split()
        return strength(self._difference(longer, [shorter, *others])) == 0

    def _difference(self, phrase: str, parts: Sequence[str]) -> tuple[float, float]:
        """Return the 95 % interval of a phrase's effect minus those of its parts."""
        measured = self._measured
        column, columns = measured.index[phrase], [measured.index[part] for part in parts]
        shares = np.array([self._share(part, phrase) for part in parts])
        draws = measured.draws[:, [column]] - (measured.draws[:, columns] @ shares)[:, None]
        ((low, high),) = intervals(draws, measured.groups[[column]])
        return float(low), float(high)
