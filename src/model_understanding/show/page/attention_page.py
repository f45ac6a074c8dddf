"""An attention map as HTML: its plot, without a script."""

from typing import Any

from model_understanding.results import AttentionMap
from model_understanding.show.page.document import policy, rendered
from model_understanding.show.page.svg import attention_matrix
from model_understanding.show.shared.words import attention_note, attention_title, cautions_of
from model_understanding.show.views.attention import attention_view


def attention_page(attention: AttentionMap) -> str:
    """Return a map as a self-contained HTML document: the mean over the layers and heads that it has.

    Args:
        attention: The map.
    """
    return rendered("plain_page.html.jinja", {"policy": policy(""), **_values(attention)})


def attention_fragment(attention: AttentionMap) -> str:
    """Return a map as HTML for a notebook's output.

    Args:
        attention: The map.
    """
    return rendered("plain_fragment.html.jinja", _values(attention))


def _values(attention: AttentionMap) -> dict[str, Any]:
    title = attention_title(attention)
    return {
        "content": "attention.html.jinja",
        "title": title,
        "heading": title,
        "cautions": cautions_of(attention),
        "omissions": attention_view(attention).omissions,
        "plot": attention_matrix(attention, title),
        "note": attention_note(attention),
    }
