"""The maps that a report shows without a choice of the reader, in order."""

from dataclasses import dataclass, replace

from model_understanding.results import Attribution, Choices, Report
from model_understanding.show.shared.tasks import sides_of
from model_understanding.show.views.answers import answer_view
from model_understanding.show.views.reading import Reading, readings
from model_understanding.show.views.saliency import SaliencyView, saliency_view
from model_understanding.show.views.sources import SourcesView, sources_view


@dataclass(frozen=True, slots=True, kw_only=True)
class MapView:
    """One attribution of a report as every output shows it.

    Args:
        reading: What its main map says, with its verdict.
        saliency: The main map: the one target, the whole answer, or the predicted class.
        sources: What each target depends on; ``None`` for a single target.
        is_brief: Whether terminal and figure give only its sentence: the map of a choice that the model did
            not make, over a text of its own.
    """

    reading: Reading
    saliency: SaliencyView
    sources: SourcesView | None
    is_brief: bool = False


def map_views(report: Report) -> tuple[MapView, ...]:
    """Return the attributions of a report, the main one first.

    Args:
        report: The report.
    """
    found = readings(report)
    maps = [
        _map_view(report, attribution, [reading for reading in found if reading.attribution == index])
        for index, attribution in enumerate(report.attributions)
        if attribution.targets
    ]
    opened = found[answer_view(report).opens].attribution if found else 0
    maps.sort(key=lambda shown: shown.reading.attribution != opened)
    if not maps or not isinstance(report.answer, Choices):
        return tuple(maps)
    main = report.attributions[opened].tokens.texts
    return tuple(
        replace(shown, is_brief=report.attributions[shown.reading.attribution].tokens.texts != main)
        for shown in maps
    )


def _map_view(report: Report, attribution: Attribution, found: list[Reading]) -> MapView:
    reading = next((entry for entry in found if _is_answer(report, attribution, entry)), found[0])
    return MapView(
        reading=reading,
        saliency=saliency_view(
            attribution,
            reading.first,
            reading.last,
            level=reading.level,
            of_prompt=reading.of_prompt,
            faded=reading.trust.is_faded,
            sides=sides_of(report, attribution),
        ),
        sources=None if len(attribution.targets) == 1 else sources_view(attribution, reading.level, report),
    )


def _is_answer(report: Report, attribution: Attribution, reading: Reading) -> bool:
    """Return whether a map explains the class that the model answers."""
    answer = report.prediction
    target = attribution.targets[reading.first]
    return answer is not None and target.indices == (answer.index,) and not target.against
