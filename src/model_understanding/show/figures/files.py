"""Results as the content of a figure's file."""

from model_understanding.comparison import Comparison
from model_understanding.results import (
    AnswerMap,
    AttentionMap,
    Attribution,
    Ledger,
    ModelDiff,
    ModelDiffSummary,
    Report,
    TokenLinks,
)
from model_understanding.show.figures.answer_map import answer_map_figure
from model_understanding.show.figures.attention import attention_figure
from model_understanding.show.figures.comparison import comparison_figure
from model_understanding.show.figures.ledger import ledger_figure
from model_understanding.show.figures.model_diff import model_diff_figure, model_diff_summary_figure
from model_understanding.show.figures.report import figure_bytes, report_figure


def figure_file(
    result: Report
    | Comparison
    | Attribution
    | AttentionMap
    | TokenLinks
    | Ledger
    | ModelDiff
    | ModelDiffSummary
    | AnswerMap,
    format: str,
) -> bytes:
    """Return the figure of a result as the content of a file.

    Args:
        result: The result.
        format: ``png``, ``svg`` or ``pdf``.
    """
    match result:
        case Comparison():
            figure = comparison_figure(result)
        case Ledger():
            figure = ledger_figure(result)
        case ModelDiff():
            figure = model_diff_figure(result)
        case ModelDiffSummary():
            figure = model_diff_summary_figure(result)
        case AnswerMap():
            figure = answer_map_figure(result)
        case AttentionMap():
            figure = attention_figure(result)
        case Attribution() | TokenLinks():
            figure = report_figure(Report.of(result))
        case Report():
            figure = report_figure(result)
    return figure_bytes(figure, format)
