"""A diff of two models in every output: the same places, numbers and words, each computed from its arrays."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browsing import eventually
from payload_schema import SCHEMA, faults
from sample_results import HOSTILE, provenance, tokens_of

from model_understanding.errors import InputError
from model_understanding.results import ModelDiff, ModelDiffSummary, ModuleChange, Restoration, Target
from model_understanding.show.figures.model_diff import KINDS, model_diff_axes, model_diff_figure
from model_understanding.show.page.document import html_page
from model_understanding.show.payload.model_diff import model_diff_json, model_diff_payload
from model_understanding.show.payload.model_diff_code import model_diff_code, model_diff_command
from model_understanding.show.views.model_diff import model_diff_view
from model_understanding.show.views.model_diff_maps import model_diff_maps

POSITIVE = Target(task="sequence-classification", indices=(1,), labels=("positive",))
INNER = ("self_attn.q_proj", "mlp.down_proj", "norm")


def diff(text: str = "a good film it was", layers: int = 4, seed: int = 0, name: str = "") -> ModelDiff:
    """A diff of a model with embeddings, blocks of three modules, and a head that reads pooled states."""
    tokens = tokens_of(text)
    names = [("embed_tokens", None)]
    names += [(f"layers.{layer}.{inner}{name}", layer) for layer in range(layers) for inner in INNER]
    names += [("score", None)]
    at_tokens = np.random.default_rng(seed).normal(0, 0.1, (len(names), len(tokens))).astype(np.float32)
    at_tokens[5, 2] += 2  # the down projection of block 1
    at_tokens[-1] = 0
    values = [*at_tokens[:-1].sum(1, dtype=np.float64), 0.3]
    return ModelDiff(
        tokens=tokens,
        target=POSITIVE,
        value=-1.0,
        other_value=-1.0 + float(np.sum(values)),
        modules=tuple(
            ModuleChange(name=each, kind="linear", layer=layer, value=float(value))
            for (each, layer), value in zip(names, values, strict=True)
        ),
        at_tokens=at_tokens,
        gap=0.0,
        answers=("negative", "positive"),
        restored=Restoration(
            modules=("layers.1.mlp.down_proj",), value=-0.9, share=0.8, random_shares=(0.1,)
        ),
        provenance=provenance(),
        other=provenance(model="tuned"),
    )


def unchanged() -> ModelDiff:
    return replace(diff(), modules=(), at_tokens=np.zeros((0, 0)), other_value=-1.0, restored=None)


def test_maps_sum_to_the_difference() -> None:
    found = diff()
    maps = {shown.key: shown for shown in model_diff_maps(found)}
    assert tuple(maps) == KINDS
    for shown in maps.values():
        assert shown.values.sum() == pytest.approx(found.difference)
        assert shown.drawn().sum() == pytest.approx(found.difference)
    rows = ("embed_tokens", *(f"block {layer}" for layer in range(4)), "score")
    assert maps["modules"].row_labels == ("embed_tokens", "0", "1", "2", "3", "score")
    assert maps["blocks"].rows[1:5] == rows[1:5]
    labels = ("attention query", "MLP down", "norm", "outside of blocks")
    assert maps["modules"].columns.labels == labels
    for change in found.modules:
        row = maps["modules"].row_labels.index(change.name if change.layer is None else str(change.layer))
        column = 3 if change.layer is None else INNER.index(change.name.split(".", 2)[2])
        assert maps["modules"].values[row, column] == pytest.approx(change.value)
    in_block = found.at_tokens[4:7].sum(0, dtype=np.float64)
    np.testing.assert_allclose(maps["blocks"].values[2, :-1], in_block)
    assert maps["blocks"].values[-1, -1] == pytest.approx(0.3)  # the head works at no single token
    np.testing.assert_allclose(maps["tokens"].values[0, :-1], found.at_tokens.sum(0, dtype=np.float64))


def test_modules_that_share_a_row_and_a_kind_are_summed() -> None:
    found = diff(layers=2)
    twice = (*found.modules, replace(found.modules[1], value=5.0))
    found = replace(found, modules=twice, at_tokens=np.vstack([found.at_tokens, found.at_tokens[1]]))
    shown = model_diff_maps(found)[0]
    assert shown.values[1, 0] == pytest.approx(found.modules[1].value + 5)
    assert all(-1 <= cell.strength <= 1 for cell in shown.ranked)


def test_rows_of_modules_have_the_shortest_ending_that_names_one_module() -> None:
    found = diff(layers=2)
    names = ("model.embed_tokens", "model.norm", "pooler.down_proj", "final.norm")
    others = tuple(ModuleChange(name=name, kind="linear", value=0.1) for name in names)
    modules = (*found.modules[1:7], *others)
    found = replace(found, modules=modules, at_tokens=np.ones((10, len(found.tokens))))
    labels = model_diff_maps(found)[0].row_labels
    assert labels == ("0", "1", "embed_tokens", "model.norm", "pooler.down_proj", "final.norm")


def test_a_number_in_a_cell_is_written_smaller_but_never_shortened() -> None:
    own = diff()
    rows = np.full(own.at_tokens.shape, -0.00512)
    found = replace(own, at_tokens=rows, modules=tuple(replace(each, value=-0.0123) for each in own.modules))
    texts = [text for axes in model_diff_figure(found).axes for text in axes.texts]
    cells = [text for text in texts if text.get_text() and "What" not in text.get_text()]
    assert {text.get_text() for text in cells} == {"−0.012", "−0.0051", "−0.015"}
    assert len({text.get_fontsize() for text in cells}) > 1


def test_the_data_of_the_page_fits_the_schema_and_says_what_every_output_says() -> None:
    for found in (diff(), unchanged(), diff(" ".join(["word"] * 60)), diff(name=HOSTILE)):
        payload = model_diff_payload(found)
        assert faults(payload, SCHEMA["$defs"]["LedgerPayload"]) == []
        assert json.loads(model_diff_json(found))["kind"] == "diff"
        page, view = html_page(found), model_diff_view(found)
        assert payload["answer"] == list(view.answer)
        assert "<script>alert" not in page
    page = html_page(diff())
    main = max(diff().modules, key=lambda change: abs(change.value))
    assert f"{main.value / diff().difference:.1%}".replace("%", " %") in page
    assert model_diff_view(diff()).answer[0].endswith("block 1's MLP down projection, mostly at “good”.")
    assert "A diff splits a joint change" in page
    assert "share of the difference that comes back" in page


@pytest.mark.parametrize("suffix", [".html", ".png", ".svg", ".pdf", ".json", ".csv"])
def test_diffs_and_their_summaries_are_saved_in_every_format(tmp_path: Path, suffix: str) -> None:
    for found in (diff(), ModelDiffSummary.of([diff(), diff(seed=1)])):
        path = found.save(tmp_path / f"x{suffix}")
        assert path.read_bytes() == found.save(tmp_path / f"again{suffix}").read_bytes()
        if suffix == ".json":
            again = type(found).from_json(path.read_text())
            assert html_page(again) == html_page(found)


def test_plots_and_notebooks() -> None:
    for kind in KINDS:
        shown = next(each for each in model_diff_maps(diff()) if each.key == kind)
        axes = model_diff_axes(diff(), kind=kind)
        drawn = np.asarray(axes.collections[0].get_array()).ravel()
        np.testing.assert_allclose(drawn, shown.drawn()[::-1].ravel(), rtol=1e-6)
    summary = ModelDiffSummary.of([diff(), diff(seed=1)])
    for found in (diff(), summary):
        assert set(found._repr_mimebundle_()) == {"text/plain", "text/html", "image/png"}
    assert "<script" not in html_page(summary)
    assert set(unchanged()._repr_mimebundle_()) == {"text/plain", "text/html"}
    with pytest.raises(InputError, match="no modules to draw"):
        unchanged().plot()


def test_code_and_command_name_both_models_the_text_and_the_target() -> None:
    assert model_diff_code(diff()) == (
        "from model_understanding import ModelVisualizer\n\n"
        "visualizer = ModelVisualizer('demo:sentiment')\n"
        "diff = visualizer.compute_model_diff(\n"
        "    'tuned',\n"
        "    'a good film it was',\n"
        "    target=1,\n"
        "    quantity='logit',\n"
        "    restore=1,\n"
        ")\n"
        'diff.save("diff.html")\n'
    )
    assert model_diff_command(diff()) == (
        "model-understanding diff demo:sentiment tuned --task=sequence-classification --target=1 "
        "--quantity=logit --restore=1 'a good film it was'"
    )


@pytest.mark.browser
@pytest.mark.parametrize("size", [(1400, 900), (390, 844)])
def test_in_a_browser(visit, size) -> None:
    opened = visit(html_page(diff()), viewport={"width": size[0], "height": size[1]})
    opened.open_everything()
    assert opened.events == []
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.locator("h1").inner_text() == model_diff_view(diff()).answer[0]
    shown = model_diff_maps(diff())[0]
    readout = page.locator("[data-role=readout] strong")
    assert readout.inner_text() == shown.sentence(2, (1, 1))
    page.locator("[data-view=ledger]").focus()
    page.keyboard.press("ArrowUp")
    eventually(readout.inner_text, shown.sentence(3, (1, 1)))
    page.keyboard.press("m")
    blocks = model_diff_maps(diff())[1]
    first = blocks.ranked[0]
    eventually(readout.inner_text, blocks.sentence(first.row, (first.column, first.column)))
