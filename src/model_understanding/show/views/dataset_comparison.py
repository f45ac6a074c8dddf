"""What is shown of two runs over data sets beside each other, decided once."""

from pathlib import PurePath

from model_understanding.results.dataset_summary import DatasetComparison, RowExample, WordChange
from model_understanding.show.shared.words import format_percent, printable
from model_understanding.show.views.dataset_findings import Finding, Topic
from model_understanding.show.views.dataset_summary import origin, provenance_rows
from model_understanding.show.views.dataset_words import LABEL, LEVEL, counted, in_quotes, short

_NAMED_WORDS = 3


def compared_headline(comparison: DatasetComparison) -> str:
    """Return how much two runs differ, in one sentence."""
    same, changed = comparison.same_rows, comparison.changed_answers
    words = len(changed_words(comparison))
    roles = (
        "no word changed its role"
        if not words
        else f"{counted(words, 'word')} changed {'its' if words == 1 else 'their'} role"
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
        printable(name or str(folder), LABEL) for name, folder in zip(names, folders, strict=True)
    )
    return ("the first run", "the second run") if first == second else (first, second)


def run_origins(comparison: DatasetComparison) -> tuple[str, str]:
    """Return what two runs are of, after what they are called."""
    first, second = run_names(comparison)
    return f"{first}: {origin(comparison.first)}", f"{second}: {origin(comparison.second)}"


def changed_rows(comparison: DatasetComparison) -> list[tuple[RowExample, str]]:
    """Return rows with another answer, the surest first, each with the answer of the first run."""
    order = comparison.previous or comparison.examples
    return [
        (comparison.examples[row], comparison.previous.get(row, ""))
        for row in order
        if row in comparison.examples
    ]


def provenance_pairs(comparison: DatasetComparison) -> list[tuple[str, str, str]]:
    """Return what was run, as names with their values in both runs."""
    first, second = (dict(provenance_rows(run.manifest)) for run in (comparison.first, comparison.second))
    return [(name, first.get(name, "–"), second.get(name, "–")) for name in dict.fromkeys((*first, *second))]


def has_changes(comparison: DatasetComparison) -> bool:
    """Return whether an answer or the role of a word changed."""
    return bool(comparison.changed_answers or changed_words(comparison))


def changed_words(comparison: DatasetComparison) -> tuple[WordChange, ...]:
    """Return the words whose change is significant after the correction."""
    return tuple(change for change in comparison.words if change.adjusted < LEVEL)


def compared_topics(comparison: DatasetComparison) -> tuple[Topic, ...]:
    """Return what a reader must know first of how two runs differ."""
    every = (Topic("Answers", _answer_findings(comparison)), Topic("Words", compared_findings(comparison)))
    return tuple(topic for topic in every if topic.findings)


def _answer_findings(comparison: DatasetComparison) -> tuple[Finding, ...]:
    """Return how many answers are right in one run only."""
    right, wrong, changed = comparison.became_right, comparison.became_wrong, comparison.changed_answers
    if right is None or wrong is None or not changed:
        return ()
    first, second = run_names(comparison)
    both = changed - right - wrong
    others = f"; {both:,} {'is' if both == 1 else 'are'} wrong in both" if both else ""
    start = (
        f"Of {counted(changed, 'changed answer')}, {right:,} {'is' if right == 1 else 'are'} right only in "
    )
    then = f", and {wrong:,} {'was' if wrong == 1 else 'were'} right only in "
    return ((start, second, then, first, f"{others}."),)


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
            label = "" if change.label is None else f" ({short(change.label)})"
            pieces += [in_quotes(changed_word(change)), label]
        if words:
            pieces[-1] += "."
            found.append(tuple(pieces))
    return tuple(found)


def compared_reading_notes(comparison: DatasetComparison) -> tuple[str, ...]:
    """Return how to read a comparison of two runs: how rows were paired and, if something changed, more."""
    pairing = tuple(printable(note, 600) for note in comparison.reading_notes)
    if not has_changes(comparison):
        return pairing
    return (
        *pairing,
        "The values of a word are its mean scores in each run, with 95 % intervals"
        + (", in units of the run's mean absolute word score." if comparison.second.signed else "."),
        "p-values are adjusted for the number of words compared (Benjamini-Hochberg).",
        "Words are a correlation: they say what goes with an answer in this data.",
    )


def changed_word(change: WordChange) -> str:
    """Return the word of a change."""
    side = change.after or change.before
    return "" if side is None else side.word


def comparison_text(comparison: DatasetComparison) -> tuple[str, ...]:
    """Return a comparison of two runs in a few lines of plain text."""
    return (compared_headline(comparison), *("".join(finding) for finding in compared_findings(comparison)))
