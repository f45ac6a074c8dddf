"""Small results as HTML for a notebook: plain elements whose styles stand inline, without a script."""

from markupsafe import Markup

from model_understanding.show.views.summary import Result, summary_lines


def card_fragment(result: Result) -> str:
    """Return a small result as HTML for a notebook's output.

    Args:
        result: The result.
    """
    title, *lines = summary_lines(result)
    return Markup(
        '<div><p style="margin:4px 0"><strong>{}</strong></p><pre style="margin:0">{}</pre></div>'
    ).format(title, "\n".join(lines))
