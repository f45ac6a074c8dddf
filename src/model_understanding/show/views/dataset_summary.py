"""What is shown of a run over a data set, and of two runs: headlines, findings and figures, decided once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import erfc, sqrt
from pathlib import PurePath
from typing import Any

from model_understanding.results.dataset_summary import (
    DatasetComparison,
    DatasetSummary,
    ErrorSlice,
    Shortcut,
    TrustSample,
    WordChange,
    WordEffect,
)
from model_understanding.results.evaluation import NOT_EVALUATED
from model_understanding.results.provenance import Provenance
from model_understanding.show.shared.words import format_number, format_percent, printable

LEVEL = 0.05  # of an adjusted p-value
_NAMED_WORDS, _NAMED_ANSWERS = 3, 3
_FIRST_WORDS = 10  # of an answer, of which some are named
_CLEARLY = 0.4  # of the largest of their effects, which a named word must have
_LABEL, _WORD, _SHORT_LABEL = 40, 30, 12  # characters
_NOISE = ("is_local", "schema", "form")  # of a manifest, for programs only
SIGN_HINT = (
    "These scores cannot say whether a word is for or against an answer. For signed effects, which take "
    "longer: model-understanding dataset … --method integrated_gradients --out …"
)

NOTHING_TESTED = (
    "No word could be tested: none goes with one answer in enough rows and has control words of about the "
    "same frequency."
)
"""Why no word was inserted into texts."""

HOW_TESTED = (
    "Tested are words whose rows have one answer more often than other rows, and which have high scores for "
    "it wherever they are. Each is inserted at a random place of texts of this data set that have another "
    "answer and had no part in choosing the words. Control words take the same places: they are drawn from "
    "words about as frequent as the word that do not go with its answer, whatever they mean."
)
"""Which words are tested causally, in which texts, and beside which control words."""

Finding = tuple[str, ...]
"""A sentence in pieces; every second piece is a word or a label."""


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
    rows = f"{summary.rows:,}{of_all} rows" if known else _counted(summary.rows, "row")
    parts = f"{_counted(missing, 'part')} {'is' if missing == 1 else 'are'}"
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
            return f"{'All' if right else 'None'} of {labeled:,} answers are right"
        return f"{format_percent(confusion.accuracy)} of {labeled:,} answers are right"
    shares = answer_shares(summary)
    texts = _counted(explained, "text")
    if not shares:
        return f"{texts} explained"
    if len(shares) == 1:
        which = "The only text is" if explained == 1 else f"All {texts} are"
        return f"{which} answered {_label(shares[0][0])}"
    if len(shares) <= _NAMED_ANSWERS:
        return f"{texts}: {', '.join(f'{format_percent(share)} {_label(label)}' for label, share in shares)}"
    label, share = shares[0]
    return f"{texts} in {len(shares):,} classes: most often {_label(label)} ({format_percent(share)})"


def answer_shares(summary: DatasetSummary) -> list[tuple[str, float]]:
    """Return each class that the model answers with its share of the rows, the most frequent first."""
    answers = [answer for answer in summary.answers if answer.label is not None and answer.rows]
    total = sum(answer.rows for answer in answers)
    ordered = sorted(answers, key=lambda answer: -answer.rows)
    return [(str(answer.label), answer.rows / total) for answer in ordered]


def notes(summary: DatasetSummary) -> tuple[str, ...]:
    """Return what could not be computed, and what is to be known about the evaluated sample."""
    return (*summary.notes, *(summary.trust.cautions if summary.trust is not None else ()))


def findings(summary: DatasetSummary) -> tuple[Finding, ...]:
    """Return what else a reader must know first: what misleads, what decides, and what errors share."""
    found = [
        _overused_finding(summary),
        _shortcut_finding(summary.shortcuts),
        _word_finding(summary),
        _slice_finding(summary.slices),
    ]
    return tuple(finding for finding in found if finding)


def _overused_finding(summary: DatasetSummary) -> Finding:
    """Return the word with which one answer is given more often than it is right, if that is no chance.

    The test is that of two independent shares; answers and right classes of the same rows go together, so it
    finds too little rather than too much. It is corrected for all words listed (Bonferroni).
    """
    confusion = summary.confusion
    if confusion is None or confusion.labeled != summary.rows - summary.failed:
        return ()
    words = [word for answer in summary.answers for word in answer.words]
    best, least = (), LEVEL / max(len(words), 1)
    for word in words:
        answered, labeled = word.answer_share, word.label_precision
        if answered is None or labeled is None or answered <= labeled:
            continue
        count = word.rows / answered
        mean = (answered + labeled) / 2
        p_value = erfc((answered - labeled) / sqrt(4 * mean * (1 - mean) / count))  # two-sided
        if p_value < least:
            least = p_value
            best = (
                "With ",
                _word(word.word),
                " in a text, the model answers ",
                _label(word.label),
                f" more often than is right: in {format_percent(answered)} of these rows; "
                f"{format_percent(labeled)} are labeled so.",
            )
    return best


def _shortcut_finding(shortcuts: tuple[Shortcut, ...] | None) -> Finding:
    if not shortcuts:
        return ()
    confirmed = [shortcut for shortcut in shortcuts if shortcut.confirmed]
    if not confirmed and len(shortcuts) == 1:
        return ("The tested word does not decide an answer by itself.",)
    if not confirmed:
        return (f"None of {len(shortcuts):,} tested words decides an answer by itself.",)
    first_of: dict[str | None, Shortcut] = {}
    for shortcut in confirmed:
        first_of.setdefault(shortcut.word.label, shortcut)
    named = list(first_of.values())[:_NAMED_ANSWERS]
    pieces: list[str] = ["Inserting "]
    for place, shortcut in enumerate(named):
        causal, label = shortcut.inserted, _label(shortcut.word.label)
        if place:
            pieces[-1] += "; "
        rates = f"{format_percent(causal.flip_rate)} of texts with another answer "
        control = f" (control words: {format_percent(causal.control_flip_rate)})"
        pieces += [_word(shortcut.word.word), f" turns {rates}", label, control]
    pieces[-1] += "."
    if more := len(confirmed) - len(named):
        does = "turns answers by itself" if more == 1 else "turn answers by themselves"
        pieces[-1] += f" {_counted(more, 'more word')} also {does}."
    return tuple(pieces)


def _word_finding(summary: DatasetSummary) -> Finding:
    answers = sorted((answer for answer in summary.answers if answer.words), key=lambda answer: -answer.rows)
    pieces: list[str] = ["Most important words: " if not summary.signed else "Strongest words: "]
    for index, answer in enumerate(answers[:_NAMED_ANSWERS]):
        if index:
            pieces[-1] += "; "
        for place, effect in enumerate(named(answer.words, summary.signed)):
            if place:
                pieces[-1] += ", "
            pieces += [_word(effect.word), ""]
        if answer.label is not None:
            pieces[-1] += f" ({_label(answer.label)})"
    if len(pieces) == 1:
        return ()
    pieces[-1] += "."
    if summary.trust is not None and summary.trust.interval[1] < 0.5:
        supported = format_percent(summary.trust.supported)
        pieces[-1] += f" Removing words supports only {supported} of the scores tested: do not rely on them."
    return tuple(pieces)


def _slice_finding(slices: tuple[ErrorSlice, ...] | None) -> Finding:
    if not slices:
        return ()
    first = slices[0]
    verb = "has" if first.errors == 1 else "share"
    pieces: list[str] = [f"{_counted(first.errors, 'confident error')} {verb} "]
    for index, word in enumerate(first.words[:_NAMED_WORDS]):
        if index:
            pieces[-1] += ", "
        pieces += [_word(word), ""]
    pieces[-1] += f": labeled {_label(first.label)}, answered {_label(first.prediction)}."
    return tuple(pieces)


def named(words: Iterable[WordEffect], signed: bool) -> list[WordEffect]:
    """Return the words of an answer that are named first, in the order of the summary.

    Words that support the answer, or all if none does. A word that is hardly above others, which frequent
    words such as ``and`` can be with certainty, is named only where no word is clearly above it.

    Args:
        words: The words of an answer.
        signed: Whether they have effects; else importances, of which 1 is an average word's.
    """
    every, average = list(words), 0.0 if signed else 1.0
    kept = [effect for effect in every if effect.effect > 0] or every
    sizes = [abs(effect.effect - average) for effect in kept[:_FIRST_WORDS]]
    least = _CLEARLY * max(sizes, default=0.0)
    return [effect for effect, size in zip(kept, sizes, strict=False) if size >= least][:_NAMED_WORDS]


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
        others = [f"{format_percent(share)} {_label(label, 20)}" for label, share in shares[1:3]]
        more = f", {len(shares) - 3:,} more" if len(shares) > 3 else ""
        found.append(
            Figure(
                name=f"Answered {_label(shares[0][0], 20)}",
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
                detail=f"{format_percent(low)} to {format_percent(high)}, sample of {trust.rows:,}",
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
                detail=_counted(errors, "error"),
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


def trust_sentence(trust: TrustSample) -> str:
    """Return how many rows of the sample have which verdict."""
    low, high = map(format_percent, trust.interval)
    tested = {verdict: count for verdict, count in trust.verdicts.items() if verdict != NOT_EVALUATED}
    sampled = trust.rows + trust.verdicts.get(NOT_EVALUATED, 0)
    rows = (
        f"Of a random sample of {_counted(sampled, 'row')}"
        if sampled == trust.rows
        else f"Of {_counted(sampled, 'sampled row')}, {trust.rows:,} could be tested. Of these"
    )
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
    short = _label(label) if label is not None and len(label) <= _SHORT_LABEL else "so"
    return f"answered {short}", f"labeled {short}"


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
    return tuple(notes)


def how_tested(summary: DatasetSummary) -> str:
    """Return which words were tested, and how; or why none was."""
    return f"{HOW_TESTED} {DECIDING}" if summary.shortcuts else NOTHING_TESTED


def origin(manifest: Mapping[str, Any]) -> str:
    """Return the data set, the model and the method of a run in a line."""
    parts = (manifest.get("input"), model_of(manifest), manifest.get("method"))
    return " · ".join(printable(str(part), 60) for part in parts if part)


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


# Comparison of two runs


def compared_headline(comparison: DatasetComparison) -> str:
    """Return how much two runs differ, in one sentence."""
    same, changed = comparison.same_rows, comparison.changed_answers
    words = len(changed_words(comparison))
    roles = (
        "no word changed its role"
        if not words
        else f"{_counted(words, 'word')} changed {'its' if words == 1 else 'their'} role"
    )
    if not same:
        return f"{roles[0].upper()}{roles[1:]} between two data sets"
    if not changed:
        return f"All {same:,} answers stayed the same; {roles}"
    verb = "answer" if same == 1 else "answers"
    if changed == same:
        return f"All {same:,} {verb} changed; {roles}"
    return f"{format_percent(changed / same)} of {same:,} {verb} changed; {roles}"


def run_names(comparison: DatasetComparison) -> tuple[str, str]:
    """Return what two runs are called: their folders, without the paths to them where that is enough."""
    folders = [run.folder for run in (comparison.first, comparison.second)]
    if None in folders or folders[0] == folders[1]:
        return ("the first run", "the second run")
    paths = [PurePath(str(folder)) for folder in folders]
    names = [path.name for path in paths]
    depth = 1
    while names[0] == names[1] and depth < max(len(path.parts) for path in paths):
        depth += 1
        names = ["/".join(path.parts[-depth:]) for path in paths]
    first, second = (
        printable(name or str(folder), _LABEL) for name, folder in zip(names, folders, strict=True)
    )
    return ("the first run", "the second run") if first == second else (first, second)


def run_origins(comparison: DatasetComparison) -> tuple[str, str]:
    """Return what two runs are of, after what they are called."""
    first, second = run_names(comparison)
    return f"{first}: {origin(comparison.first.manifest)}", f"{second}: {origin(comparison.second.manifest)}"


def has_changes(comparison: DatasetComparison) -> bool:
    """Return whether an answer or the role of a word changed."""
    return bool(comparison.changed_answers or changed_words(comparison))


def changed_words(comparison: DatasetComparison) -> tuple[WordChange, ...]:
    """Return the words whose change is significant after the correction."""
    return tuple(change for change in comparison.words if change.adjusted < LEVEL)


def compared_findings(comparison: DatasetComparison) -> tuple[Finding, ...]:
    """Return the words that gained and lost most."""
    found = []
    second = run_names(comparison)[1]
    gained, lost = (
        (f"Supports its answer more in {second}: ", "Supports it less, or opposes it more: ")
        if comparison.second.signed
        else (f"More important in {second}: ", "Less important: ")
    )
    for verb, sign in ((gained, 1), (lost, -1)):
        words = sorted(
            (change for change in changed_words(comparison) if sign * change.difference > 0),
            key=lambda change: -abs(change.difference),
        )
        pieces: list[str] = [verb]
        for index, change in enumerate(words[:_NAMED_WORDS]):
            if index:
                pieces[-1] += ", "
            label = "" if change.label is None else f" ({_label(change.label)})"
            pieces += [_word(changed_word(change)), label]
        if words:
            pieces[-1] += "."
            found.append(tuple(pieces))
    return tuple(found)


def compared_reading_notes(comparison: DatasetComparison) -> tuple[str, ...]:
    """Return how to read a comparison of two runs; nothing where nothing changed."""
    if not has_changes(comparison):
        return ()
    return (
        "Before and after are the mean scores of a word in each run, with their 95 % intervals"
        + (", in units of the run's mean absolute word score." if comparison.second.signed else "."),
        "p-values are adjusted for the number of words compared (Benjamini-Hochberg).",
        "Words are a correlation: they say what goes with an answer in this data.",
    )


def changed_word(change: WordChange) -> str:
    """Return the word of a change."""
    side = change.after or change.before
    return "" if side is None else side.word


def summary_text(summary: DatasetSummary) -> tuple[str, ...]:
    """Return a summary in a few lines of plain text."""
    return (headline(summary), *("".join(finding) for finding in findings(summary)))


def comparison_text(comparison: DatasetComparison) -> tuple[str, ...]:
    """Return a comparison of two runs in a few lines of plain text."""
    return (compared_headline(comparison), *("".join(finding) for finding in compared_findings(comparison)))


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _label(label: str | None, length: int = _LABEL) -> str:
    return printable(str(label), length)


def _word(word: str) -> str:
    return f"“{printable(word, _WORD)}”"
