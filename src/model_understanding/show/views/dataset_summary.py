"""What is shown of a run over a data set: its headline, numbers and notes, decided once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model_understanding.results.dataset_summary import DatasetSummary, TrustSample
from model_understanding.results.evaluation import NOT_EVALUATED
from model_understanding.results.provenance import Provenance
from model_understanding.show.shared.words import format_number, format_percent, printable
from model_understanding.show.views.dataset_findings import findings
from model_understanding.show.views.dataset_words import counted, short

_NAMED_ANSWERS = 3
_SHORT_LABEL = 12  # characters
_NOISE = ("is_local", "schema", "form")  # of a manifest, for programs only
SIGN_HINT = (
    "These scores cannot say whether a word is for or against an answer. For signed effects, which take "
    "longer: model-understanding dataset … --method default --out …"
)

NOTHING_TESTED = (
    "No word could be tested: none is in enough rows and goes with one answer more often than other words."
)
"""Why no word was inserted into texts."""

HOW_OVERUSED = (
    "Of the rows with the word, more are wrongly given the answer than miss it, and the answer is wrong more "
    "often with the word than without it: a correlation, not a cause."
)
"""What is said of words with which an answer is given too often."""

HOW_TESTED = (
    "Tested are words whose rows have one answer more often than other rows, and which have high scores for "
    "it wherever they are. Each is inserted at a random place of texts of this data set that have another "
    "answer and had no part in choosing the words. Control words take the same places: they are drawn from "
    "words about as frequent as the word that do not go with its answer, whatever they mean."
)
"""Which words are tested causally, in which texts, and beside which control words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number at the top of the page.

    Args:
        name: What it is.
        value: The number.
        detail: What else a reader must know; empty for nothing.
        section: The section of the page that has more of it; empty for none.
    """

    name: str
    value: str
    detail: str = ""
    section: str = ""


def headline(summary: DatasetSummary) -> str:
    """Return what the run says in one sentence: how many answers are right, or what the model answers.

    Where parts are missing, a sentence before it says so.
    """
    return f"{_incomplete(summary)}{_result(summary)}"


def _incomplete(summary: DatasetSummary) -> str:
    missing = summary.missing_parts
    if not missing:
        return ""
    known = summary.manifest.get("input_rows")
    of_all, least = (f" of {known:,}", "") if known else ("", "at least ")
    verb = "is" if summary.rows == 1 else "are"
    rows = f"{summary.rows:,}{of_all} rows" if known else counted(summary.rows, "row")
    parts = f"{counted(missing, 'part')} {'is' if missing == 1 else 'are'}"
    return f"Only {rows} {verb} here: {least}{parts} missing. "


def _result(summary: DatasetSummary) -> str:
    explained = summary.rows - summary.failed
    if not summary.rows:
        return "The data set has no rows"
    if not explained:
        if summary.rows == 1:
            return "The only row could not be explained"
        return f"None of {summary.rows:,} rows could be explained"
    confusion = summary.confusion
    if confusion is not None and (labeled := confusion.labeled):
        right = confusion.right
        if labeled == 1:
            return f"The only answer is {'right' if right else 'wrong'}"
        if right in (0, labeled):
            return f"{'All' if right else 'None of'} {labeled:,} answers are right"
        return f"{format_percent(confusion.accuracy)} of {labeled:,} answers are right"
    shares = answer_shares(summary)
    texts = counted(explained, "text")
    if not shares:
        return f"{texts} explained"
    if len(shares) == 1:
        which = "The only text is" if explained == 1 else f"All {texts} are"
        return f"{which} answered {short(shares[0][0])}"
    if len(shares) <= _NAMED_ANSWERS:
        return f"{texts}: {', '.join(f'{format_percent(share)} {short(label)}' for label, share in shares)}"
    label, share = shares[0]
    return f"{texts} in {len(shares):,} classes: most often {short(label)} ({format_percent(share)})"


def answer_shares(summary: DatasetSummary) -> list[tuple[str, float]]:
    """Return each class that the model answers with its share of the rows, the most frequent first."""
    answers = [answer for answer in summary.answers if answer.label is not None and answer.rows]
    total = sum(answer.rows for answer in answers)
    ordered = sorted(answers, key=lambda answer: -answer.rows)
    return [(str(answer.label), answer.rows / total) for answer in ordered]


def figures(summary: DatasetSummary) -> tuple[Figure, ...]:
    """Return the numbers at the top of the page."""
    failed = f"{summary.failed:,} failed" if summary.failed else ""
    found = [
        Figure(name="Rows", value=f"{summary.rows:,}", detail=failed, section="errors" if failed else "")
    ]
    confusion = summary.confusion
    if confusion is not None and confusion.labeled:
        found.append(
            Figure(
                name="Right",
                value=format_percent(confusion.accuracy),
                detail=f"{confusion.right:,} of {confusion.labeled:,}; "
                f"{confusion.labeled - confusion.right:,} wrong",
                section="wrong" if summary.wrong else "confusion",
            )
        )
    elif shares := answer_shares(summary):
        others = [f"{format_percent(share)} {short(label, 20)}" for label, share in shares[1:3]]
        more = f", {len(shares) - 3:,} more" if len(shares) > 3 else ""
        found.append(
            Figure(
                name=f"Answered {short(shares[0][0], 20)}",
                value=format_percent(shares[0][1]),
                detail=", ".join(others) + more,
                section="words",
            )
        )
    trust = summary.trust
    if trust is not None and trust.rows:
        low, high = trust.interval
        found.append(
            Figure(
                name="Faithful scores",
                value=format_percent(trust.supported),
                detail=f"{format_percent(low)} to {format_percent(high)}, "
                f"{'' if trust.sampled == summary.rows - summary.failed else 'sample of '}"
                f"{counted(trust.rows, 'row')}",
                section="trust",
            )
        )
    if summary.shortcuts is not None:
        confirmed = sum(shortcut.confirmed for shortcut in summary.shortcuts)
        found.append(
            Figure(
                name="Words that decide alone",
                value=f"{confirmed:,} of {len(summary.shortcuts):,}" if summary.shortcuts else "none",
                detail="words tested" if summary.shortcuts else "no word to test",
                section="shortcuts" if summary.shortcuts else "",
            )
        )
    if summary.slices:
        errors = sum(slice_.errors for slice_ in summary.slices)
        found.append(
            Figure(
                name="Error groups",
                value=f"{len(summary.slices):,}",
                detail=counted(errors, "error"),
                section="slices",
            )
        )
    return tuple(found)


def measure(summary: DatasetSummary) -> str:
    """Return what the words' numbers are: an ``effect`` has a sign, an ``importance`` has none."""
    return "effect" if summary.signed else "importance"


DECIDING = (
    "Whether such a word should decide is your judgment: “wonderful” is an opinion; the name of a hotel "
    "would be a shortcut."
)


def trust_sentence(trust: TrustSample, explained: int) -> str:
    """Return how many rows of the sample have which verdict.

    Args:
        trust: The sample.
        explained: All rows with scores.
    """
    low, high = map(format_percent, trust.interval)
    tested = {verdict: count for verdict, count in trust.verdicts.items() if verdict != NOT_EVALUATED}
    is_all = trust.sampled == explained
    rows = f"Of {'' if is_all else 'a random sample of '}{counted(trust.sampled, 'row')}"
    if trust.sampled != trust.rows:
        rows += f", {trust.rows:,} could be tested. Of these"
    verdicts = ", ".join(f"{count:,} {printable(verdict, 40)}" for verdict, count in tested.items() if count)
    return (
        f"{rows}, the scores of {format_percent(trust.supported)} are supported by removing words (95 % "
        f"interval {low} to {high}): {verdicts}."
    )


def adjusted_text(value: float) -> str:
    """Return an adjusted p-value as text."""
    return "< 0.0001" if value < 1e-4 else format_number(value)


def share_columns(label: str | None) -> tuple[str, str]:
    """Return the names of the columns with the shares of rows answered and labeled with a class."""
    name = short(label) if label is not None and len(label) <= _SHORT_LABEL else "so"
    return f"answered {name}", f"labeled {name}"


def reading_notes(summary: DatasetSummary) -> tuple[str, ...]:
    """Return how to read the summary, for what it has."""
    signed = (
        "An effect is the mean score of a word over its occurrences in rows with one answer: above 0 it "
        "supports the answer, below 0 it opposes it."
        if summary.signed
        else "An importance is the mean score of a word over its occurrences in rows with one answer. 1 is "
        "an average word of the same row. It has no sign: an important word may support the answer or "
        "oppose it."
    )
    notes = [
        signed,
        *([] if summary.signed else [SIGN_HINT]),
        "Words are ranked by the end of their interval that is nearer to 0, so that neither a frequent word "
        "of little effect nor a rare one is on top.",
        "“Answered” and “labeled” are shares of all rows with the word: how many get this answer, and how "
        "many have it as their right class.",
        "Intervals are 95 % bootstrap intervals over rows. The spread is the standard deviation over "
        "occurrences: how much a word's score depends on the words around it.",
        "Words are a correlation: they say what goes with an answer in this data.",
    ]
    if summary.shortcuts is not None:
        notes.append(
            f"{HOW_TESTED} A word decides if the adjusted p is at most 0.05, the 95 % interval of the "
            "difference is above 0, and the difference is 10 points or more. p-values are one-sided and "
            f"adjusted for the number of words tested (Benjamini-Hochberg). {DECIDING}"
        )
    if summary.trust is not None:
        notes.append(
            "Scores are supported if removing the words that they name changes the answer clearly more than "
            "removing random words; they are weak if the difference is small, and not supported without one."
        )
    if summary.overused:
        notes.append(
            f"Words with which an answer is given too often: {HOW_OVERUSED[0].lower()}{HOW_OVERUSED[1:]} "
            "Intervals and p-values are of different texts; p-values are exact, one-sided and adjusted for "
            "all words and answers (Benjamini-Hochberg)."
        )
    if summary.slices is not None:
        bound = (1 + 1 / max(len(summary.manifest.get("labels") or ()), 2)) / 2
        notes.append(
            f"Confident errors are wrong answers with a probability of {format_percent(bound)} or more: "
            "half way between chance and certainty."
        )
    if any(one.name.startswith("largest score") for one in summary.distributions):
        notes.append(
            "The largest score's share is that of the strongest word in the sum of all sizes of scores: near "
            "1, one word explains the answer."
        )
    return (*notes, *(printable(note, 600) for note in summary.reading_notes))


def how_tested(summary: DatasetSummary) -> str:
    """Return which words were tested, and how; or why none was."""
    return f"{HOW_TESTED} {DECIDING}" if summary.shortcuts else NOTHING_TESTED


def origin(summary: DatasetSummary) -> str:
    """Return the data set, the model and the method of a run in a line."""
    manifest = summary.manifest
    parts = (manifest.get("input"), model_of(manifest), _method(summary))
    return " · ".join(printable(str(part), 60) for part in parts if part)


def _method(summary: DatasetSummary) -> str:
    """Return the method of a run, and what its name stands for."""
    name, ran = str(summary.manifest.get("method") or ""), ", ".join(summary.methods)
    return f"{name} ({ran})" if name and ran not in ("", name) else ran or name


def warnings(summary: DatasetSummary) -> list[str]:
    """Return how many rows have each warning and which are the first, in a line each."""
    lines: list[str] = []
    for caution, rows in summary.cautions.items():
        ids = [printable(each, 40) for each in summary.caution_ids.get(caution, ())]
        more = ", …" if rows > len(ids) else ""
        which = f" ({', '.join(ids)}{more})" if ids else ""
        lines.append(f"warning of {counted(rows, 'row')}{which}: {printable(caution, 400)}")
    return lines


def model_of(manifest: Mapping[str, Any]) -> str:
    """Return the name of the model of a run; of a folder, without the path to it."""
    return Provenance(model=str(manifest.get("model") or "")).model


def provenance_rows(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what was run, as names and values."""
    rows = []
    is_classifier = manifest.get("task") == "sequence-classification"
    for name, value in manifest.items():
        if name in _NOISE or (is_classifier and name == "max_new_tokens"):
            continue
        if name == "model":
            value = model_of(manifest)
        elif name == "tokenizer" and value:
            value = Provenance(model=str(value)).model
        if isinstance(value, Mapping):
            value = ", ".join(f"{key} {item}" for key, item in value.items())
        elif isinstance(value, list | tuple):
            value = ", ".join(map(str, value))
        elif isinstance(value, bool):
            value = "yes" if value else "no"
        if value not in (None, ""):
            rows.append((name.replace("_", " "), printable(str(value), 200)))
    return rows


def interval_text(interval: tuple[float, float]) -> str:
    """Return an interval of effects as text."""
    return f"{format_number(interval[0])} to {format_number(interval[1])}"


def points_text(value: float) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    return f"{100 * value:+.1f}".replace("-", "−")


def summary_text(summary: DatasetSummary) -> tuple[str, ...]:
    """Return a summary in a few lines of plain text."""
    return (headline(summary), *("".join(finding) for finding in findings(summary)))
