"""Results inside other pages: notebooks that move, clip, scale and theme what they show."""

import numpy as np
import pytest
from browsing import eventually, keep_picture
from sample_results import classification, generation
from untrusted import sanitized

from model_understanding import AttentionMap
from model_understanding.show.page.document import html_fragment

pytestmark = pytest.mark.browser

# What notebooks and their themes set on the elements around an output.
HOSTS = {
    "transform": "transform:translate(0)",
    "contain": "contain:strict;height:700px;overflow:auto",
    "filter": "filter:brightness(1)",
    "will-change": "will-change:transform",
    "scale": "transform:scale(0.8);transform-origin:0 0",
    "scroll": "overflow:auto;height:560px;transform:translateZ(0)",
    "backdrop": "backdrop-filter:blur(0)",
    "container": "container-type:inline-size",
}
NO_POPOVERS = """
const set = Element.prototype.setAttribute;
Element.prototype.setAttribute = function (name, value) {
  if (name !== "popover") set.call(this, name, value);
};
delete HTMLElement.prototype.showPopover;
delete HTMLElement.prototype.hidePopover;
"""


@pytest.mark.parametrize("has_popovers", [True, False], ids=["popover", "fixed"])
@pytest.mark.parametrize("host", HOSTS)
def test_the_tooltip_is_at_the_pointer(visit, host, has_popovers):
    fragment = html_fragment(classification())
    before = "" if has_popovers else f"<script>{NO_POPOVERS}</script>"
    opened = visit(
        f"<!DOCTYPE html><body style='margin:0'>{before}<div style='margin:300px 0 0 120px;{HOSTS[host]}'>"
        f"{fragment}</div></body>"
    )
    page = opened.page
    token = page.locator(".token").nth(3)
    token.wait_for()
    token.scroll_into_view_if_needed()
    token.hover()
    tooltip = page.locator(".tooltip")
    eventually(tooltip.is_visible, True)
    word, shown = token.bounding_box(), tooltip.bounding_box()
    x, y = word["x"] + word["width"] / 2, word["y"] + word["height"] / 2
    right, bottom = (shown[side] + shown[size] for side, size in (("x", "width"), ("y", "height")))
    assert abs(max(shown["x"] - x, 0, x - right) - 14) <= 2
    assert 8 <= max(shown["y"] - y, y - bottom) <= 22
    page.mouse.move(5, 5)
    eventually(tooltip.is_visible, False)


# What JupyterLab's own style sheet says about the elements of an output.
JUPYTERLAB = """
<style>
body { margin: 0; }
body[data-jp-theme-light=false] { background: #111; color: #eee; }
.jp-OutputArea-output { margin-left: 72px; overflow: auto; transform: translateZ(0); }
.jp-RenderedHTMLCommon table { border-collapse: collapse; border-spacing: 0; border: none; font-size: 12px;
  table-layout: fixed; margin-left: auto; margin-right: auto; }
.jp-RenderedHTMLCommon td, .jp-RenderedHTMLCommon th { padding: 0.5em; text-align: right; border: none; }
</style>
"""


def jupyterlab(output: str, theme: str) -> str:
    is_light = str(theme == "light").lower()
    return (
        f'<!DOCTYPE html>{JUPYTERLAB}<body data-jp-theme-light="{is_light}">'
        '<div class="jp-OutputArea-output">'
        f'<div class="jp-RenderedHTMLCommon">{output}</div></div></body>'
    )


RESULTS = {
    "classification": classification(),
    "generation": generation(),
    "saliency": classification().attributions[0],
    "attention": classification().attention[0],
    "prediction": classification().prediction,
    "steps": generation().generation,
}
SHOWN = """() => [...document.querySelectorAll("span[style], bdi[style], td > div[style]")].map((element) => {
  const { left, width } = element.getBoundingClientRect();
  return [getComputedStyle(element).backgroundColor, left, width];
}).filter(([color]) => color !== "rgba(0, 0, 0, 0)")"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", RESULTS)
def test_an_untrusted_notebook_keeps_colors_bars_and_table(visit, name, theme):
    opened = visit(jupyterlab(sanitized(RESULTS[name]._repr_html_()), theme))
    assert opened.events == []
    keep_picture(opened, f"untrusted-{name}-{theme}")
    shown = [entry for entry in opened.page.evaluate(SHOWN) if entry[2] > 0]
    assert len({color for color, *_ in shown}) >= (1 if name in ("prediction", "steps") else 2)
    assert min(left for _, left, _ in shown) >= 72
    for table in opened.page.locator("table:visible").all():
        assert table.bounding_box()["x"] >= 72
    words = opened.page.locator("body").inner_text()
    assert "{" not in words
    assert "function" not in words


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_map_alone_opens_with_its_matrix_and_no_empty_part(visit, theme):
    opened = visit(jupyterlab(classification().attention[0]._repr_html_(), theme), scheme="light")
    page = opened.page
    page.locator("[data-view=heatmap]").wait_for()
    keep_picture(opened, f"notebook-attention-{theme}")
    assert opened.events == []
    drawers = page.locator("details.drawer")
    names = drawers.evaluate_all("all => all.map((one) => [one.dataset.drawer, one.open])")
    assert names == [["attention", True], ["heads", False], ["about", False]]
    assert page.locator("[data-view-of-report]").get_attribute("data-theme") == theme
    assert page.locator("[data-plain]").count() == 0


def test_a_map_of_two_texts_shows_both(visit):
    weights = np.random.default_rng(0).dirichlet(np.ones(4), (2, 3))
    attention = AttentionMap.from_arrays(weights, ["Le", "chat", "dort"], ["The", "cat", "is", "asleep"])
    opened = visit(attention.to_html())
    opened.page.locator("[data-view=heatmap]").wait_for()
    assert opened.events == []
    words = opened.page.locator("main").inner_text()
    assert "The cat is asleep" in words


def test_a_map_of_signed_weights_has_the_colors_and_the_words_of_both_signs(visit):
    attention = AttentionMap.from_arrays([[0.5, -1.5], [2.0, -0.25]], ["a", "b"], map="difference")
    opened = visit(attention.to_html())
    opened.page.locator("[data-view=heatmap]").wait_for()
    legend = opened.page.locator(".attention-drawer .legend").first
    eventually(lambda: legend.inner_text().split()[0::1], ["−2", "2"])
    assert "how much tokens contribute to each other" in opened.page.locator("main").inner_text()
    plainly = visit(attention.to_html(), java_script_enabled=False).page.locator("table").first.inner_text()
    assert "−1.5" in plainly
    assert "−0.25" in plainly


@pytest.mark.parametrize(
    ("host", "theme"),
    [
        ("<html theme=dark><body>", "dark"),  # Colab
        ("<html><body class='dark dark-theme'>", "dark"),  # marimo
        ("<html data-theme=light><body>", "light"),  # pages of documentation
        ("<html><body class='light-theme'>", "light"),
    ],
)
def test_a_result_has_the_theme_of_its_host(visit, host, theme):
    other = "light" if theme == "dark" else "dark"
    opened = visit(f"<!DOCTYPE html>{host}{html_fragment(classification())}", scheme=other)
    shown = opened.page.locator("[data-view-of-report]")
    eventually(lambda: shown.get_attribute("data-theme"), theme)
