"""What a page shows of the difference between two models: its answer, the text, both models, the maps."""

from collections.abc import Iterator
from dataclasses import dataclass

from model_understanding.results import ModelDiff, ModelDiffSummary
from model_understanding.show.shared.words import format_number, format_percent, printable, provenance_rows
from model_understanding.show.views.difference_map import DifferenceMap
from model_understanding.show.views.ledger import ComparedText, compared_text
from model_understanding.show.views.model_diff import (
    HOW_TO_READ,
    NOTE,
    answers_of,
    gap_words,
    model_diff_view,
    model_names,
    origin,
)
from model_understanding.show.views.model_diff_maps import model_diff_maps


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedModel:
    """One of the two models.

    Args:
        name: ``base`` or ``tuned``.
        called: What the model is called.
        answer: What it answers; empty if that is not known.
        value: The target's value in it.
    """

    name: str
    called: str
    answer: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelDiffPage:
    """A diff as a page shows it.

    Args:
        answer: What the difference is and which modules make it, in sentences.
        origin: What the page is of, in a few words.
        headline: The target's value in both models.
        target: The target in words.
        text: The text.
        models: Both models.
        maps: The heat maps with their strongest places; empty where no module makes a difference.
        restored: What restoring modules gave, as names and values; empty if it was not asked for.
        facts: How many modules were changed.
        gap: How much of the difference the modules leave unexplained.
        gaps: The same with the sum, as a row of a table.
        note: What a diff does not say.
        how_to_read: How all of it is read.
        provenance: The origin of both models.
    """

    answer: tuple[str, ...]
    origin: str
    headline: str
    target: str
    text: ComparedText
    models: tuple[ComparedModel, ...]
    maps: tuple[DifferenceMap, ...]
    restored: tuple[tuple[str, str], ...]
    facts: tuple[str, ...]
    gap: str
    gaps: tuple[tuple[str, str, str], ...]
    note: str
    how_to_read: tuple[str, ...]
    provenance: tuple[tuple[str, str], ...]


def model_diff_page(diff: ModelDiff, top: int) -> ModelDiffPage:
    """Return what a page shows of a diff.

    Args:
        diff: The diff.
        top: Number of places in each list.
    """
    view = model_diff_view(diff, top)
    changed = "".join(f"{fact[0].upper()}{fact[1:]}. " for fact in view.facts[:1])
    total = format_number(sum(change.value for change in diff.modules))
    gap = format_percent(diff.gap) if diff.gap else "0 %"
    return ModelDiffPage(
        answer=view.answer,
        origin=origin(diff),
        headline=view.headline,
        target=printable(diff.target.description(), 60),
        text=compared_text("text", diff.tokens, "", (False,) * len(diff.tokens)),
        models=tuple(_models(diff)),
        maps=model_diff_maps(diff, top),
        restored=tuple(_restored(diff)),
        facts=view.facts[:1],
        gap=gap_words(diff),
        gaps=(("all modules", total, gap),) if diff.modules else (),
        note=f"{changed}{NOTE}",
        how_to_read=HOW_TO_READ,
        provenance=both_provenances(diff),
    )


def both_provenances(result: ModelDiff | ModelDiffSummary) -> tuple[tuple[str, str], ...]:
    """Return what is known of the origin of both models; of the other one what is not the same."""
    own = provenance_rows(result.provenance)
    others = [(f"other {name}", value) for name, value in provenance_rows(result.other)]
    known = {(f"other {name}", value) for name, value in own}
    return (*own, *(row for row in others if row not in known))


def _models(diff: ModelDiff) -> Iterator[ComparedModel]:
    numbers = diff.value, diff.other_value
    names = ("first model", "other model")
    for name, called, answer, value in zip(names, model_names(diff), answers_of(diff), numbers, strict=True):
        yield ComparedModel(name=name, called=called, answer=answer, value=format_number(value))


def _restored(diff: ModelDiff) -> Iterator[tuple[str, str]]:
    restored = diff.restored
    if restored is None:
        return
    yield "restored modules", ", ".join(printable(name, 60) for name in restored.modules)
    yield f"{printable(diff.target.description(), 60)} with them restored", format_number(restored.value)
    yield "share of the difference that comes back", format_percent(restored.share)
    if restored.random_shares:
        shares = ", ".join(format_percent(share) for share in restored.random_shares)
        yield "the same with as many random modules", shares
