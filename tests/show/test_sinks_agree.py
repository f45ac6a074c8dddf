"""Which keys are attention sinks, and how much they receive: the same in every view of a matrix."""

import dataclasses
import io
from typing import Any

import numpy as np
import pytest
from matplotlib import pyplot
from rich.console import Console
from sample_results import classification, tokens_of

from model_understanding.results import AttentionMap
from model_understanding.show.figures.attention import attention_axes
from model_understanding.show.payload.report import report_payload
from model_understanding.show.terminal.report import print_attention
from model_understanding.show.views.attention import attention_view

TEXT = "It was good, really good."
REPORT = classification(tokens_of(TEXT))


def random_map(seed: int) -> AttentionMap:
    """Return attention whose heads attend to one key as much as makes it a sink or just not."""
    random = np.random.default_rng(seed)
    tokens = tokens_of(TEXT)
    layers, heads, count = 1 + seed % 2, 1 + seed % 4, len(tokens)
    logits = random.normal(0, 1, (layers, heads, count, count))
    logits[..., random.integers(count)] += random.uniform(0, 5, (layers, heads, 1))
    mask = np.tril(np.ones((count, count), bool)) if seed % 3 == 0 else np.ones((count, count), bool)
    weights = np.where(mask, np.exp(logits), 0)
    return AttentionMap.from_arrays(weights / weights.sum(-1, keepdims=True), tokens, mask=mask)


def by_hand(weights: np.ndarray, mask: np.ndarray) -> dict[int, float]:
    """Return the sinks of a matrix with their shares: at least 30 %, and 2.5 times an even share."""
    sinks = {}
    for key in range(weights.shape[1]):
        rows = [row for row in range(len(weights)) if mask[row, key] and mask[row].sum() > 1]
        share = sum(float(weights[row, key]) for row in rows) / max(len(rows), 1)
        even = sum(1 / mask[row].sum() for row in rows) / max(len(rows), 1)
        if len(rows) > 1 and share >= 0.3 and share >= 2.5 * even:
            sinks[key] = share
    return sinks


def in_page(attention: AttentionMap) -> dict[tuple[int, int | None], dict[int, float]]:
    """Return the sinks that the page is given, by layer and head; ``None`` is the mean over heads."""
    (part,) = report_payload(dataclasses.replace(REPORT, attention=(attention,)))["attention"]
    heads: list[Any] = [*part["heads"], *([None] if len(part["heads"]) > 1 else [])]
    planes = [(layer, head) for layer in part["layers"] for head in heads]
    return {
        plane: dict(zip(sinks, shares, strict=True))
        for plane, sinks, shares in zip(planes, part["sinks"], part["sinkShares"], strict=True)
    }


def test_page_figure_and_terminal_have_the_sinks_of_the_matrix_that_they_show():
    disagreements_of_heads = 0
    for seed in range(200):
        attention = random_map(seed)
        page = in_page(attention)
        assert len(page) >= len(attention.layers)
        for (layer, head), sinks in page.items():
            matrix = attention.matrix(layer, head)
            expected = by_hand(matrix, attention.mask)
            view = attention_view(attention, layer, head)
            assert sinks == pytest.approx(expected, abs=1e-6), (seed, layer, head)
            assert dict(zip(view.sinks, view.shares, strict=True)) == sinks
            assert attention.plane(layer, head).sinks == tuple(sinks)
            if head is None:
                heads = [other for plane, other in page if plane == layer and other is not None]
                majority = [sum(key in page[layer, other] for other in heads) for key in range(9)]
                disagreements_of_heads += {
                    key for key, count in enumerate(majority) if count > len(attention.heads) / 2
                } != set(sinks)
        output = io.StringIO()
        print_attention(attention, Console(file=output, width=160))
        whole = attention_view(attention)
        assert ("attention sink" in output.getvalue()) == bool(whole.sinks)
        for share in whole.shares:
            assert f"{100 * share:.1f} %" in output.getvalue()
    assert disagreements_of_heads > 10, "the mean over heads is no vote of the heads"


@pytest.mark.parametrize("seed", [1, 3, 5])
def test_the_figure_names_the_sinks_of_the_page(seed):
    attention = random_map(seed)
    page = in_page(attention)
    for (layer, head), sinks in page.items():
        axes = attention_axes(attention, layer=layer, head=head)
        legend = axes.get_legend()
        words = " ".join(text.get_text() for text in legend.get_texts()) if legend else ""
        pyplot.close("all")
        assert ("attention sink" in words) == bool(sinks)
        for share in sinks.values():
            assert f"{100 * share:.1f} %" in words


def test_the_share_of_a_sink_is_the_same_for_words_and_sentences():
    attention = random_map(1)
    tokens = attention.keys
    shares = dict(zip(attention.sinks or (), attention.key_shares(attention.sinks or ()), strict=True))
    for level in ("token", "character", "word", "sentence"):
        view = attention_view(attention, level=level)
        groups = tokens.groups(level)
        expected = [sum(shares.get(key, 0) for key in groups[column]) for column in view.sinks]
        assert list(view.shares) == pytest.approx(expected)
        assert sum(view.shares) == pytest.approx(sum(shares.values()))


def test_the_largest_weights_prove_a_share_of_all_queries():
    # Query 0 keeps key 0 with 0.9, the other three keep another key: at least 0.9 / 4 of the attention.
    tokens = tokens_of("a b c d")
    count = len(tokens)
    weights, places = np.full((1, 1, count, 1), 0.9), np.full((1, 1, count, 1), 1)
    places[0, 0, 0, 0] = 0
    attention = AttentionMap(
        queries=tokens, keys=tokens, weights=weights, places=places, mask=np.ones((count, 1), bool),
        layers=(0,), heads=(0,), keep="top:1", sinks=(0,),
    )  # fmt: skip
    assert attention.key_shares((0,)) == pytest.approx((0.9 / count,))
    assert attention.dense().key_shares((0,)) == pytest.approx((0.9 / count,))
    assert attention_view(attention).shares == pytest.approx((0.9 / count,))
    one = attention.selected([0])
    assert one.dominant_keys() == one.dense().dominant_keys() == ()
