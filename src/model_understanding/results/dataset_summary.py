"""What a run over a data set says about the model: words, shortcuts, and where it is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from model_understanding.results.assessment_summary import MetricMean
from model_understanding.results.rendering import Rendered
from model_understanding.results.serialization import JsonResult


@dataclass(frozen=True, slots=True, kw_only=True)
class RowExample(JsonResult):
    """A row of a run, as far as a summary shows it.

    Args:
        row: Its place in the input, from 0.
        id: Its id.
        text: The text.
        pair: The second text of a pair.
        label: The right class, if the data has one.
        prediction: The model's answer.
        probability: The probability of the answer; ``None`` if the model has none.
        words: The words.
        word_offsets: Start and end of each word in its text, in characters.
        word_segments: Which text each word is part of, 0 or 1.
        word_scores: Score of each word; in a summary of importances, in units of the row's mean.
        verdict: How far to believe the scores, where it was measured.
        has_repeated_id: Whether another row has the same id, so that only ``row`` names it.
    """

    row: int
    id: str
    text: str
    pair: str | None = None
    label: str | None = None
    prediction: str | None = None
    probability: float | None = None
    words: tuple[str, ...] = ()
    word_offsets: tuple[tuple[int, int], ...] = ()
    word_segments: tuple[int, ...] = ()
    word_scores: tuple[float, ...] = ()
    verdict: str | None = None
    has_repeated_id: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WordEffect(JsonResult):
    """What a word or phrase does to the model's answers, on average; a correlation, not a cause.

    Args:
        word: The word, in the way it is written most often; the words of a phrase with spaces between them.
        label: The answer that it is about: only rows with this answer count. ``None`` for a language model.
        effect: Mean of its scores, each of one occurrence; of a phrase, the sum of its words' scores. In a
            summary of importances, 1 is an average word of the same row, and a phrase has the mean of its
            words.
        interval: 95 % interval of ``effect``, from a bootstrap over rows.
        spread: Standard deviation of its scores over occurrences: how much they depend on the other words.
        count: Occurrences.
        rows: Rows with it.
        share: ``rows`` as a share of the rows with this answer.
        answer_share: Share of all rows with it that have this answer; ``None`` for a language model.
        label_precision: Share of all labeled rows with it whose right class is ``label``; ``None`` without
            labels.
        examples: Some rows with it, those where it matters most first.
        texts: Different texts among ``rows``: one that is there twice counts once.
        tied: All listed words and phrases that are in the very same rows, if there are others: this one is
            among them, and the one that names them best is the first.
    """

    word: str
    label: str | None
    effect: float
    interval: tuple[float, float]
    spread: float
    count: int
    rows: int
    share: float
    answer_share: float | None = None
    label_precision: float | None = None
    examples: tuple[int, ...] = ()
    texts: int = 0
    tied: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSummary(JsonResult):
    """The rows to which the model gives one answer.

    Args:
        label: The answer; ``None`` for a language model.
        rows: Rows with this answer.
        labeled: Rows with this right class; ``None`` without labels.
        words: The words that matter most in them.
        phrases: The phrases of two or three words whose effect is not that of one of their words.
    """

    label: str | None
    rows: int
    labeled: int | None = None
    words: tuple[WordEffect, ...] = ()
    phrases: tuple[WordEffect, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution(JsonResult):
    """A histogram.

    Args:
        name: What is counted, such as ``tokens per row``.
        edges: Ends of the bins, one more than there are bins.
        counts: Rows in each bin.
    """

    name: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion(JsonResult):
    """Right classes against answers.

    Args:
        labels: The classes; rows are right classes, columns are answers.
        counts: Rows of the data set in each cell.
        confidence: Mean probability of the answer in each cell; ``None`` where there is no row.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    confidence: tuple[tuple[float | None, ...], ...]

    @property
    def labeled(self) -> int:
        """Rows with a right class and an answer."""
        return sum(map(sum, self.counts))

    @property
    def right(self) -> int:
        """Rows among them whose answer is right."""
        return sum(row[index] for index, row in enumerate(self.counts))

    @property
    def accuracy(self) -> float:
        """Share of labeled rows whose answer is right."""
        return self.right / max(self.labeled, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSample(JsonResult):
    """How far the scores of a random sample of rows are to be believed.

    Args:
        rows: Rows in the sample that could be evaluated.
        verdicts: Rows by their verdict, those that could not be evaluated included.
        supported: Share of ``rows`` whose scores are supported.
        interval: 95 % interval of ``supported`` (Wilson).
        least: Rows of the sample whose scores are to be believed least, in order.
        verdict_of: Verdicts of the rows in ``least``.
        means: Means of the metrics of evaluation over the sample, with 95 % intervals; none where verdicts
            were stored with the rows.
        cautions: What is to be known about these numbers, in sentences.
    """

    rows: int
    verdicts: Mapping[str, int]
    supported: float
    interval: tuple[float, float]
    least: tuple[int, ...] = ()
    verdict_of: Mapping[int, str] = field(default_factory=dict)
    means: tuple[MetricMean, ...] = ()
    cautions: tuple[str, ...] = ()

    @property
    def sampled(self) -> int:
        """Rows of the sample, those that could not be evaluated included."""
        return max(sum(self.verdicts.values()), self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class CausalEffect(JsonResult):
    """What happens to the model's answers when a word is put into texts, beside control words.

    Args:
        trials: Texts changed.
        flips: Of these, how many then get the candidate's class as their answer.
        control_trials: Texts changed with control words.
        control_flips: Of these, how many then get the candidate's class.
        difference: Flip rate minus that of the control words.
        interval: 95 % interval of ``difference``, from a bootstrap over texts.
        shift: Mean change of the class's log-probability above that of the control words.
        p_value: One-sided, for a flip rate no higher than that of the control words.
        adjusted: ``p_value`` after Benjamini-Hochberg over all candidates.
    """

    trials: int
    flips: int
    control_trials: int
    control_flips: int
    difference: float
    interval: tuple[float, float]
    shift: float
    p_value: float
    adjusted: float

    @property
    def flip_rate(self) -> float:
        """Share of changed texts that then get the candidate's class."""
        return self.flips / max(self.trials, 1)

    @property
    def control_flip_rate(self) -> float:
        """Share of texts changed with control words that then get the candidate's class."""
        return self.control_flips / max(self.control_trials, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedRow(JsonResult):
    """A row whose answer a word changes when it is inserted; the old answer is that of the row.

    Args:
        row: The row's place in the input, from 0.
        text: The text that the model read, with the word if it was put into this one.
        pair: The second text of a pair, likewise.
        segment: Which text the word was put into, 0 or 1.
        start: Where the word begins in it, in characters.
        end: Where it ends.
        answer: The model's answer with the word; where a row may have several, the one that is added.
        probability: The probability of this answer.
    """

    row: int
    text: str
    pair: str | None = None
    segment: int = 0
    start: int
    end: int
    answer: str
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcut(JsonResult):
    """A word that may decide the answer by itself: what the scores say, and what inserting it does.

    Args:
        word: The correlational finding from which it is a candidate.
        inserted: The word inserted at random places of rows of other classes.
        swapped: The word put in the place of the one whose frequency is nearest; ``None`` if that was not
            possible.
        controls: The control words, of about the same frequency.
        confirmed: Whether the causal test is significant after the correction, the interval of the
            difference is above 0, and the difference is large enough to matter: a tenth of the texts.
        changes: Some rows whose answer the word changes when it is inserted, and what the model then says.
        misled: What tells a shortcut from a word that rightly decides: how many rows have the word and
            another right class, and how many of these the model gives the word's class. A correlation;
            ``None`` without labels.
    """

    word: WordEffect
    inserted: CausalEffect
    swapped: CausalEffect | None = None
    controls: tuple[str, ...] = ()
    confirmed: bool = False
    changes: tuple[ChangedRow, ...] = ()
    misled: tuple[int, int] | None = None

    @property
    def examples(self) -> tuple[int, ...]:
        """The rows of ``changes``."""
        return tuple(change.row for change in self.changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorSlice(JsonResult):
    """Rows that the model gets wrong, confidently, for what looks like one reason.

    Args:
        words: The words that name it: those that matter in more of its rows than of rows that are right, or
            are there.
        label: The right class; ``None`` if its rows are wrong whatever their class.
        prediction: The model's answer; likewise.
        errors: Rows of the slice that are wrong.
        size: All rows that are alike, right ones included.
        precision: ``errors`` as a share of ``size``.
        rows: Its wrong rows, the most typical first.
        found_by: ``scores``: the words matter in these rows by their scores; ``presence``: they are there,
            whatever their scores.
    """

    words: tuple[str, ...]
    label: str | None
    prediction: str | None
    errors: int
    size: int
    precision: float
    rows: tuple[int, ...]
    found_by: str = "scores"


@dataclass(frozen=True, slots=True, kw_only=True)
class OverusedWord(JsonResult):
    """A word with which the model gives an answer more often than it is right; a correlation, not a cause.

    Args:
        word: The word, in the way it is written most often.
        label: The answer.
        rows: Rows with the word that have a right class.
        answered: Of these, rows that the model gives the answer.
        labeled: Of these, rows whose right class it is.
        wrong: Rows that are wrongly given the answer.
        missed: Rows whose right class it is and which are given another answer.
        interval: 95 % interval of ``answered_share`` minus ``labeled_share``, of different texts.
        p_value: The larger of two one-sided exact p-values: of no more different texts being wrongly given
            the answer than missing it (McNemar), and of the answer being wrong no more often with the word
            than without it (Fisher).
        adjusted: ``p_value`` after Benjamini-Hochberg over all words and answers.
        examples: Some rows that are wrongly given the answer, the most confident first.
    """

    word: str
    label: str
    rows: int
    answered: int
    labeled: int
    wrong: int
    missed: int
    interval: tuple[float, float]
    p_value: float
    adjusted: float
    examples: tuple[int, ...] = ()

    @property
    def answered_share(self) -> float:
        """Share of the rows with the word that are given the answer."""
        return self.answered / max(self.rows, 1)

    @property
    def labeled_share(self) -> float:
        """Share of the rows with the word whose right class it is."""
        return self.labeled / max(self.rows, 1)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DatasetSummary(Rendered):
    """What a run over a data set says about the model.

    Args:
        manifest: What was run.
        rows: Rows of the run.
        failed: Rows among them that were not explained.
        errors: The most frequent reasons, with how many rows each.
        answers: Words and phrases, for each answer.
        distributions: Histograms of lengths, scores and confidence.
        confusion: Right classes against answers; ``None`` without labels.
        overused: Words with which an answer is given more often than it is right, those of the largest
            certain difference first; ``None`` without labels.
        methods: Rows that each attribution method explained: what a name such as ``fast`` stands for.
        cautions: Rows with each warning, the most frequent first. Warnings that differ by a number or by what
            they quote are one, in the words of its first row.
        caution_ids: Ids of the first rows with each warning.
        wrong: Rows whose answer is wrong, those with the highest probability of the answer first; at most 20.
        trust: Faithfulness of a random sample; ``None`` if it was not measured.
        shortcuts: Candidates that were tested causally, the confirmed ones first; ``None`` if not tested.
        slices: Groups of errors, the largest first; ``None`` if they were not looked for.
        examples: Every row that is named above, by its place in the input.
        error_notes: What is known of wrong answers besides, or why nothing is: for example that no common
            reason was found.
        notes: What a reader must be warned of, such as missing parts, in sentences.
        reading_notes: How to read the numbers of this data, such as what rows are called, in sentences.
        signed: Whether scores below 0 oppose the answer, so that they are effects; else they are importances,
            whichever way a word pulls.
        folder: The folder of the run, as the user named it.
        missing_parts: Parts of the run that are not there, as far as that is known.
    """

    SUFFIXES: ClassVar[tuple[str, ...]] = (".html", ".json")

    manifest: Mapping[str, Any]
    rows: int
    failed: int
    errors: Mapping[str, int] = field(default_factory=dict)
    answers: tuple[AnswerSummary, ...] = ()
    distributions: tuple[Distribution, ...] = ()
    confusion: Confusion | None = None
    overused: tuple[OverusedWord, ...] | None = None
    methods: Mapping[str, int] = field(default_factory=dict)
    cautions: Mapping[str, int] = field(default_factory=dict)
    caution_ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    wrong: tuple[int, ...] = ()
    trust: TrustSample | None = None
    shortcuts: tuple[Shortcut, ...] | None = None
    slices: tuple[ErrorSlice, ...] | None = None
    examples: Mapping[int, RowExample] = field(default_factory=dict)
    error_notes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reading_notes: tuple[str, ...] = ()
    signed: bool = True
    folder: str | None = None
    missing_parts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WordChange(JsonResult):
    """A word whose role differs between two runs.

    Args:
        label: The answer that it is about.
        before: Its effect in the first run, in units of the run's mean absolute word score, so that two
            models can be compared; an importance as it is. ``None`` if no row with this answer has the word.
        after: Its effect in the second, likewise.
        difference: ``after`` minus ``before``.
        interval: 95 % interval of ``difference``.
        adjusted: p-value of no difference after Benjamini-Hochberg over all words compared.
    """

    label: str | None
    before: WordEffect | None
    after: WordEffect | None
    difference: float
    interval: tuple[float, float]
    adjusted: float


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DatasetComparison(Rendered):
    """Two runs beside each other: two models on the same data, or one model on two data sets.

    Args:
        first: The first run.
        second: The second run.
        same_rows: Rows with the same text in both; 0 if the data differs.
        paired: Whether intervals of differences are from rows resampled together in both runs, as some are
            the same; else from both independently.
        changed_answers: Of these, rows with another answer.
        words: The words that changed their role most.
        examples: Rows with another answer, of the second run.
        previous: What the first run answered in these rows.
        became_right: Of the changed answers, those that are right only in the second run; ``None`` without
            right classes.
        became_wrong: Those that are right only in the first run.
        notes: What could not be compared, and why.
        reading_notes: How the rows of both runs were paired, in sentences.
    """

    SUFFIXES: ClassVar[tuple[str, ...]] = (".html", ".json")

    first: DatasetSummary
    second: DatasetSummary
    same_rows: int
    changed_answers: int
    paired: bool = False
    words: tuple[WordChange, ...] = ()
    examples: Mapping[int, RowExample] = field(default_factory=dict)
    previous: Mapping[int, str] = field(default_factory=dict)
    became_right: int | None = None
    became_wrong: int | None = None
    notes: tuple[str, ...] = ()
    reading_notes: tuple[str, ...] = ()
