"""Names and tables of a logit lens, and the shapes that it rejects."""

import re
from dataclasses import replace

import hard_results as made
import pytest

from model_understanding import NumericalError, Report


def test_it_names_layers_and_predictions():
    lens = made.lens()
    assert lens.layer_names == ("embeddings", "after block 0", "after block 1")
    assert lens.top_labels(0, 0) == ("b", "</script>")
    assert lens.top_labels() == ("</script>", "b")
    assert lens.final_ids.tolist() == [3, 2]
    assert (lens.label(7), lens.label(99)) == (" x", "99")


def test_a_prediction_is_stable_from_the_layer_after_which_it_does_not_change():
    lens = made.lens()
    assert lens.stable_layers().tolist() == [2, 2]
    assert replace(lens, final_ranks=[[1, 2], [1, 1], [1, 1]]).stable_layers().tolist() == [0, 1]


def test_it_is_a_table():
    table = made.lens().to_dataframe()
    assert len(table) == 12
    first = table.iloc[2]  # position 1, layer 1
    assert (first.token, first.layer_name, first.prediction, first.final_rank) == (
        "</script>",
        "after block 0",
        "b",
        2,
    )
    assert table.position.tolist() == [1] * 6 + [2] * 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positions": [1, 3]}, "positions must be positions of the 3 tokens, or −1."),
        ({"positions": [1]}, "top_ids must have shape (None, 1, None) (None: any length). Got (3, 2, 2)."),
        ({"labels": ("a",)}, "ids must have shape (1,) (None: any length). Got (4,)."),
        ({"next_ids": [8, -1]}, "IDs without a label: [8]."),
        ({"entropies": [[0, 0]]}, "entropies must have shape (3, 2) (None: any length). Got (1, 2)."),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        replace(made.lens(), **changes)


def test_numbers_are_finite():
    with pytest.raises(NumericalError) as caught:
        replace(made.lens(), divergences=[[float("nan")] * 2] * 3)
    assert str(caught.value) == (
        "The divergences of the logit lens are not finite. Load the model with dtype='float32' and try again."
    )


def test_a_report_of_before_still_loads():
    data = made.report().to_json().replace(', "lens": null', "")
    assert '"lens"' not in data
    assert Report.from_json(data).lens is None
