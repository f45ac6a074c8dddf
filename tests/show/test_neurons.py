"""Queries and keys of one head, drawn and in the page."""

from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from browsing import EVERYTHING, eventually
from sample_results import generation

from model_understanding.results import QueryKey, Report
from model_understanding.show.figures.report import query_key_axes
from model_understanding.show.page.document import html_page
from model_understanding.show.payload.report import report_payload
from model_understanding.tokens import Tokens

matplotlib.use("Agg")


def sample(tokens: Tokens, query: int = -1, layer: int = 1, head: int = 2, width: int = 8) -> QueryKey:
    numbers = np.random.default_rng(layer + head)
    count = len(tokens)
    own, keys = numbers.normal(size=width), numbers.normal(size=(count, width))
    allowed = np.arange(count) <= query % count
    scores = np.where(allowed, keys @ own / 2, -np.inf)
    weights = np.exp(scores - scores.max())
    return QueryKey(
        tokens=tokens,
        query=query % count,
        layer=layer,
        head=head,
        query_vector=own,
        key_vectors=keys,
        scale=0.5,
        additions=np.zeros(count),
        allowed=allowed,
        weights=weights / weights.sum(),
    )


def with_neurons() -> Report:
    report = generation()
    assert report.generation is not None
    tokens = report.generation.tokens
    return report.with_query_keys(sample(tokens), sample(tokens, query=3, layer=0, head=1))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_figure_names_keys_with_their_weights(theme):
    found = sample(Tokens.from_pieces(["The", "</script>", "שלום"]))
    axes = query_key_axes(found, theme=theme)
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert [row.split("  ")[0] for row in rows][:2] == ["The", "</script>"]
    assert all(row.endswith("%") for row in rows)
    matplotlib.pyplot.close(axes.figure)


def test_the_payload_sums_to_the_scores():
    held = report_payload(with_neurons())["neurons"]["held"][0]
    products = np.reshape(held["products"], (len(held["keys"]), held["width"]))
    np.testing.assert_allclose(products.sum(1) + held["additions"], held["scores"], rtol=1e-2, atol=1e-3)


def test_a_long_text_keeps_the_keys_of_most_weight_and_says_so():
    tokens = Tokens.from_pieces([f"w{number}" for number in range(200)])
    payload = report_payload(replace(generation(), query_keys=(sample(tokens),)))
    (held,) = payload["neurons"]["held"]
    assert len(held["keys"]) == 64
    assert any("only the 64 of 200 keys with the largest weights" in words for words in payload["omitted"])


@pytest.mark.browser
def test_the_page_shows_what_it_holds_and_how_to_get_more(visit):
    opened = visit(html_page(with_neurons()), view=EVERYTHING)
    card = opened.page.locator(".card.neurons")
    held = report_payload(with_neurons())["neurons"]["held"]
    card.locator("select").select_option(index=0)
    eventually(card.locator("tbody tr").count, len(held[0]["keys"]))
    card.locator("select").select_option(index=1)
    eventually(card.locator("tbody tr").count, len(held[1]["keys"]))
    eventually(card.locator("tbody canvas").count, len(held[1]["keys"]))
    assert "report.with_query_keys" in card.text_content()
    assert not opened.events


@pytest.mark.browser
def test_a_page_that_holds_none_has_no_empty_section(visit):
    opened = visit(html_page(generation()), view=EVERYTHING)
    assert opened.page.locator("[data-drawer=attention]").count() == 1
    assert opened.page.locator("[data-drawer=neurons]").count() == 0
    assert not opened.events
