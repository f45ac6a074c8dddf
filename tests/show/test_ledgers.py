"""A ledger in every output: the same places, numbers and words, each computed here from its arrays."""

import io
import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_pictures import drawing_of, drawn_texts
from matplotlib import pyplot
from page_elements import Elements, hidden, words_of
from payload_schema import SCHEMA, faults
from rich.console import Console
from sample_ledgers import LEDGERS, language_model, ledger
from sample_results import HOSTILE

from model_understanding import InputError
from model_understanding.results import Ledger
from model_understanding.show.figures.ledger import KINDS, ledger_axes, ledger_figure
from model_understanding.show.page.document import html_fragment, html_page
from model_understanding.show.payload.ledger import ledger_json, ledger_payload
from model_understanding.show.payload.ledger_code import ledger_code, ledger_command
from model_understanding.show.shared.words import format_number, format_percent
from model_understanding.show.terminal.ledger import print_ledger
from model_understanding.show.views.ledger import LISTED, differing, ledger_view
from model_understanding.tokens import visible_text

NOTHING = "no difference"
DRAWN = [name for name in LEDGERS if name != NOTHING]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


@pytest.fixture(params=LEDGERS)
def shown(request: pytest.FixtureRequest) -> Ledger:
    return LEDGERS[request.param]()


def terminal_of(found: Ledger) -> str:
    file = io.StringIO()
    print_ledger(found, Console(file=file, width=250, color_system=None), top=LISTED)
    return re.sub(r"\s+", " ", file.getvalue())


def test_terminal_and_page_list_the_same_places_with_the_same_numbers(shown):
    terminal, page = terminal_of(shown), words_of(html_page(shown)).replace("&lt;", "<").replace("&gt;", ">")
    view = ledger_view(shown, LISTED)
    for sentence in view.answer:
        assert sentence in terminal
    assert view.headline in terminal
    for part in view.maps:
        for cell in part.ranked:
            row = f"{cell.place} {cell.value} {cell.share}"
            assert row in terminal
    if not any(text in str(shown.target) for text in HOSTILE):
        for part in view.maps:
            for cell in part.ranked:
                assert f"{cell.place} {cell.value} {cell.share}" in page


@pytest.mark.parametrize("name", DRAWN)
def test_listed_places_are_the_largest_entries_of_the_arrays(name):
    found = LEDGERS[name]()
    for part in ledger_view(found, LISTED).maps:
        values = getattr(found, part.key)
        cells = [(cell.row, cell.column) for cell in part.ranked]
        sizes = [abs(float(values[cell])) for cell in cells]
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[0] == float(np.abs(values).max())
        for cell in part.ranked:
            value = float(str(values[cell.row, cell.column]))
            assert cell.value == format_number(value)
            if abs(value) < 10 * abs(found.difference):
                assert cell.share == format_percent(value / found.difference)
        if part.key == "residual":  # blocks pass on what a token carries
            assert len({column for _, column in cells}) == len(cells)
        else:
            listed = set(cells)
            rest = [abs(v) for place, v in np.ndenumerate(values) if place not in listed]
            assert len(cells) < LISTED or max(rest, default=0.0) <= min(sizes)


def test_a_payload_is_by_its_schema_and_may_stand_in_a_script(shown):
    assert faults(ledger_payload(shown), SCHEMA["$defs"]["LedgerPayload"]) == []
    text = ledger_json(shown)
    assert json.loads(text)["kind"] == "ledger"
    assert "<" not in text


@pytest.mark.parametrize("name", DRAWN)
def test_a_payload_has_every_number_and_its_drawn_columns_sum_to_the_difference(name):
    found = LEDGERS[name]()
    payload = ledger_payload(found)
    for part in payload["maps"]:
        values = np.array(part["values"]).reshape(len(part["rows"]), -1)
        np.testing.assert_array_equal(values.astype(np.float32), getattr(found, part["key"]))
        drawn = np.array(payload["axes"][part["axis"]]["drawn"]).reshape(-1, 2)
        assert drawn[0, 0] == 0
        assert drawn[-1, 1] == values.shape[1] - 1
        np.testing.assert_array_equal(drawn[1:, 0], drawn[:-1, 1] + 1)
        if part["isCut"]:
            sums = sum(values[:, first : last + 1].sum(1) for first, last in drawn)
            np.testing.assert_allclose(sums, found.difference, rtol=1e-5, atol=1e-5)


def test_neighbors_with_next_to_nothing_are_one_column_and_no_token_that_differs_is():
    found = language_model(212)
    view = ledger_view(found)
    spans = view.maps[0].columns.spans
    folded = [span for span in spans if span[0] < span[1]]
    assert folded == [(0, 208)]  # of a language model what precedes the difference carries none
    assert all(not any(differing(found)[first : last + 1]) for first, last in folded)
    assert view.maps[0].columns.label(folded[0]) == "209 tokens"
    few = ledger_view(language_model(20)).maps[0].columns.spans
    assert few == tuple((token, token) for token in range(20))


def test_a_cell_in_words():
    found = ledger()
    part = ledger_view(found).maps[0]
    column = found.tokens.pieces.index("wonderful")
    value = float(str(found.residual[2, column]))
    assert part.sentence(2, (column, column)) == (
        f"entering block 2, at “wonderful (terrible)”: +{format_number(value)} of +4 "
        f"({format_percent(value / 4)})"
    )
    several = float(sum(float(str(each)) for each in found.residual[6, 1:3]))
    assert part.sentence(6, (1, 2)).startswith("leaving the last block, at 2 tokens: ")
    assert format_number(several) in part.sentence(6, (1, 2))


def test_texts_are_whole_and_say_where_they_differ():
    for name in ("classifier", "right to left", "many scripts", "long"):
        found = LEDGERS[name]()
        for text, tokens in zip(
            ledger_payload(found)["texts"], (found.tokens, found.reference_tokens), strict=True
        ):
            parts = [part["text"] for part in text["parts"] if not part["isPill"]]
            assert "".join(parts) == tokens.texts[0]
            marked = {part["text"] for part in text["parts"] if part["differs"]}
            own = {
                piece
                for piece, other in zip(found.tokens.pieces, found.reference_tokens.pieces, strict=True)
                if piece != other
            }
            if tokens is found.tokens:
                assert marked == own
        direction = "rtl" if name == "right to left" else "ltr"
        assert {text["direction"] for text in ledger_payload(found)["texts"]} == {direction}


def test_a_baseline_is_named_and_no_token_differs():
    payload = ledger_payload(LEDGERS["baseline"]())
    assert payload["baseline"] == "its baseline (mask)"
    assert len(payload["texts"]) == 1
    assert not any(part["differs"] for part in payload["texts"][0]["parts"])


def test_without_a_difference_there_is_no_map_and_nothing_to_draw():
    found = LEDGERS[NOTHING]()
    assert ledger_payload(found)["maps"] == []
    assert "nothing to split" in words_of(html_page(found))
    with pytest.raises(InputError, match="no residual to draw"):
        ledger_axes(found)
    with pytest.raises(InputError, match="there is no difference"):
        ledger_figure(found)


@pytest.mark.parametrize("render", [html_page, html_fragment])
def test_hostile_strings_are_text(render):
    found = LEDGERS["hostile"]()
    page = render(found)
    elements = Elements(page)
    assert "img" not in elements.tags
    assert not [name for name, _ in elements.attributes if name.startswith("on") or name == "src"]
    assert page.count("</script") == 2
    assert not hidden(page)
    words = "".join(elements.words)
    assert all(visible_text(text) in words for text in HOSTILE)


CLEAN = [
    pytest.param(name, theme, marks=[] if theme == "light" else [pytest.mark.full])
    for name in DRAWN
    for theme in ("light", "dark")
]


@pytest.mark.parametrize(("name", "theme"), CLEAN)
def test_the_figure_of_a_ledger_is_clean(name, theme):
    figure = ledger_figure(LEDGERS[name](), theme=theme)
    drawing = drawing_of(figure)
    assert drawing.overlaps() == []
    assert drawing.outside() == []
    assert drawing.faint() == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_plot_has_the_numbers_of_the_array_with_the_last_layer_at_the_top(kind):
    found = ledger()
    axes = found.plot(kind=kind, title="mine", vmin=-5, vmax=5)
    values = getattr(found, kind)
    drawn = np.asarray(axes.collections[0].get_array()).reshape(values.shape)
    np.testing.assert_allclose(drawn[::-1], values, rtol=1e-6)
    assert axes.get_title() == "mine"
    assert axes.collections[0].norm.vmin == -5
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[-1] == "0"
    assert labels[0] == ("end" if kind == "residual" else "5")
    if kind != "heads":
        assert "wonderful (terrible)" in [label.get_text() for label in axes.get_xticklabels()]


def test_a_plot_is_centered_at_zero_and_stays_in_the_axes_given():
    found = ledger(value=1.0, reference_value=-3.0)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 5))
    assert found.plot(left) is left
    assert found.plot(right, kind="attention") is right
    for axes, values in ((left, found.residual), (right, found.attention)):
        norm = axes.collections[0].norm
        assert norm.vmax == -norm.vmin == pytest.approx(float(np.abs(values).max()))
    drawn_texts(figure)


def test_refusals_of_a_plot():
    with pytest.raises(InputError, match="kind"):
        ledger().plot(kind="layers")
    with pytest.raises(InputError, match="no heads to draw"):
        ledger(heads=None).plot(kind="heads")


@pytest.mark.parametrize("suffix", [".html", ".png", ".svg", ".pdf", ".json", ".csv"])
def test_a_ledger_is_saved_in_every_format(tmp_path: Path, suffix):
    found = language_model(12, layers=6)
    path = found.save(tmp_path / f"ledger{suffix}")
    content = path.read_bytes()
    assert content == found.save(tmp_path / f"again{suffix}").read_bytes()
    if suffix == ".svg":
        assert ElementTree.fromstring(content).tag.endswith("svg")
    if suffix == ".json":
        again = Ledger.load(path)
        np.testing.assert_array_equal(again.residual, found.residual)
        assert html_page(again) == html_page(found)


def test_a_large_ledger_is_the_same_after_it_was_saved(tmp_path: Path):
    found = language_model(212)
    again = Ledger.load(found.save(tmp_path / "x.json"))
    for name in ("residual", "attention", "mlp", "heads", "gaps"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))


def test_a_notebook_shows_the_page_and_has_a_figure_of_short_texts():
    found = ledger()
    bundle = found._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "image/png"}
    assert 'data-model-understanding="fragment"' in bundle["text/html"]
    assert "image/png" not in language_model(212)._repr_mimebundle_(include={"text/plain"})
    for without in (language_model(70, layers=2), LEDGERS[NOTHING]()):
        assert set(without._repr_mimebundle_()) == {"text/plain", "text/html"}


def test_code_and_command_name_the_texts_and_the_target():
    found = ledger(provenance=replace(ledger().provenance, task="sequence-classification"))
    assert ledger_code(found) == (
        "from model_understanding import ModelVisualizer\n\n"
        "visualizer = ModelVisualizer('demo:sentiment')\n"
        "ledger = visualizer.compute_ledger(\n"
        "    'The film was truly wonderful.',\n"
        "    'The film was truly terrible.',\n"
        "    target=1,\n"
        "    quantity='logit',\n"
        ")\n"
        'ledger.save("ledger.html")\n'
    )
    assert ledger_command(found) == (
        "model-understanding ledger demo:sentiment --task=sequence-classification --target=1 "
        "--quantity=logit "
        "'--reference=The film was truly terrible.' 'The film was truly wonderful.'"
    )
    generated = language_model()
    assert "    target=42,\n    quantity='log_prob',\n" in ledger_code(generated)
    assert "--target=id:42" in ledger_command(
        replace(generated, provenance=replace(generated.provenance, task="causal-lm"))
    )
    assert "    baseline='mask',\n" in ledger_code(LEDGERS["baseline"]())
    custom = replace(found, target=replace(found.target, quantity="custom", name="mine"))
    assert ledger_code(custom) == ledger_command(custom) == ""
    assert ledger_command(LEDGERS["hostile"]()) == ""
