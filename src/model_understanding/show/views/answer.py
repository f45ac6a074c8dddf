"""The answer that a report explains: what stands at the top of every output."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRow:
    """A class, an entity, a span, a token for a mask, a choice or a document, with its value.

    Args:
        label: Its name or text.
        value: Its probability, score, or the predicted value of a regression, as text.
        logit: Its logit as text; empty where there is none or ``value`` is it.
        share: Length of its bar, from 0 to 1: its probability; ``None`` without a bar.
        predicted: Whether it is what the model answers.
        tag: The label of an entity; empty otherwise.
        group: What it is one of several answers to, for example ``mask 2``; empty if there is one question.
        reading: Index of the map that explains it among the readings of the report; −1 for none.
    """

    label: str
    value: str
    logit: str = ""
    share: float | None = None
    predicted: bool = False
    tag: str = ""
    group: str = ""
    reading: int = -1

    @property
    def words(self) -> str:
        """The row in a line of text, as in ``Anna PER 99.8 %``."""
        return " ".join(filter(None, (self.label, self.tag, self.value)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Neighboring tokens of the text that the answer is about: an entity, an answer span, a mask.

    Args:
        first: Position of the first token among the answer's tokens.
        last: Position of the last token.
        label: What it is: the label of an entity, ``answer``, or the likeliest token of a mask.
        value: Its probability as text.
        reading: Index of the map that explains it among the readings of the report; −1 for none.
    """

    first: int
    last: int
    label: str
    value: str
    reading: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedText:
    """One of the texts that a model was given, cut where its marks begin and end.

    Args:
        side: What the text is: ``question``, ``context``; empty for a single text.
        parts: Its parts, each with the index of its mark, −1 for none. Of a long text only what stands around
            the marks.
    """

    side: str
    parts: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerView:
    """What the model was given and what it answered.

    Args:
        headline: The answer in one line: ``positive 97.6 %``, ``“Paris.”``.
        title: What is shown large: a label, or what the model wrote.
        value: The probability of the label as text; empty if there is none.
        facts: The length of a generated text and how it ended, or what the rows are not enough to say.
        texts: What the model was given: the text, a pair, or the prompt, without special tokens.
        is_text: Whether ``title`` is a text that the model wrote.
        rows: What the model answers and what else it could, in the order of each kind: classes, entities,
            spans, tokens for each mask, choices; empty for a language model.
        omitted: Number of rows that are not listed.
        model: Name of the model, empty if it is not known.
        columns: What label, tag and value of the rows are, where they are listed as a table of their own;
            empty for classes, which follow the title.
        marks: Parts of the text that the answer is about.
        marked: The texts with these marks; empty without marks.
        opens: Index of the map that a report opens with among its readings.
    """

    headline: str
    title: str
    model: str
    value: str = ""
    facts: str = ""
    texts: tuple[str, ...] = ()
    is_text: bool = False
    rows: tuple[AnswerRow, ...] = ()
    omitted: int = 0
    columns: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    marked: tuple[MarkedText, ...] = ()
    opens: int = 0

    @property
    def has_table(self) -> bool:
        """Whether the rows are listed as a table of their own, not as classes beside the title."""
        return bool(self.columns and self.rows)

    def others(self, count: int) -> tuple[AnswerRow, ...]:
        """Return the first of the classes that the model did not answer.

        Args:
            count: Maximum number of classes.
        """
        return tuple(entry for entry in self.rows if not entry.predicted)[:count]
