"""A page says how large it is, and is right though the number stands in it."""

import pytest
from sample_results import classification, generation, hostile

from model_understanding.show.page.document import (
    SIZE_MARK,
    exact_size,
    html_fragment,
    html_page,
    with_size,
)


@pytest.mark.parametrize("render", [html_page, html_fragment])
@pytest.mark.parametrize(
    "report", [classification(), generation(), hostile()], ids=["one", "steps", "hostile"]
)
def test_a_page_says_its_own_size(render, report):
    page = render(report)
    said = exact_size(len(page.encode("utf-8")))
    assert page.count(f'data-page-size="{said}"') == page.count(f"Page size: {said}.") == 1
    assert "\0" not in page


@pytest.mark.parametrize("around", [985, 9_990, 99_980, 999_960])
def test_the_digits_of_the_size_count_too(around):
    for length in range(around - 40, around + 40):
        page = with_size("é" + "x" * length + SIZE_MARK + SIZE_MARK)
        assert page.count(exact_size(len(page.encode("utf-8")))) == 2
