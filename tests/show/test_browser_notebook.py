"""Results inside other pages: notebooks that move, clip, scale and theme what they show."""

import pytest
from browsing import eventually
from sample_results import classification

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
