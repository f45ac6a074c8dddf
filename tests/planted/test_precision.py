"""Every method on models whose answer hangs on known words: floors and orders, with margins."""

import numpy as np
import pytest

from model_understanding.registry import METHODS
from planted import scoring, tasks

SHORT = ("shortcut", "ordered pair", "negation", "marker copy", "keyed mask")
# Of any method on any of them; random orders reach half of it.
FLOOR = 0.3
# What removes words finds what the answer hangs on.
REMOVING = ("occlusion", "leave_one_out", "guided_ablation")


TEXTS = 8  # of each task: as many as the margins below need


def planted_model(task):
    return scoring.planted(task, TEXTS)


@pytest.fixture(scope="session", params=SHORT)
def planted(request):
    return planted_model(request.param)


@pytest.fixture(scope="session")
def precisions():
    """Return a function of a task and a method that asks each pair once."""
    known: dict[tuple[str, str], float] = {}

    def precision(task, method):
        if (task, method) not in known:
            known[task, method] = scoring.precision(planted_model(task), scoring.method_of(method))
        return known[task, method]

    return precision


def test_the_model_has_learned_its_task(planted):
    assert planted.accuracy == 1.0


def test_random_orders_find_little(planted):
    assert scoring.random_precision(planted) == pytest.approx(
        planted.truth.shape[1] / planted.ranked[0].sum(), abs=0.03
    )
    assert scoring.random_precision(planted) <= 0.25


@pytest.mark.parametrize("method", METHODS.names())
def test_every_method_finds_far_more_than_random_orders(planted, precisions, method):
    assert planted.accuracy == 1.0
    assert precisions(planted.task.name, method) >= FLOOR


@pytest.mark.parametrize("method", ["saliency", *REMOVING])
@pytest.mark.parametrize("task", ["shortcut", "keyed mask"])
def test_good_methods_find_a_shortcut(precisions, task, method):
    assert precisions(task, method) >= 0.9


@pytest.mark.parametrize("method", REMOVING)
@pytest.mark.parametrize("task", ["negation", "marker copy"])
def test_words_that_matter_together_are_found_by_removing_them(precisions, task, method):
    assert precisions(task, method) >= 0.9


@pytest.mark.parametrize("task", ["negation", "marker copy"])
def test_a_path_from_absence_finds_them_too(precisions, task):
    assert precisions(task, "integrated_gradients") >= 0.75


@pytest.mark.parametrize("task", ["negation", "marker copy"])
def test_the_norm_of_the_gradient_finds_more_than_its_product_with_the_embedding(precisions, task):
    assert precisions(task, "saliency") >= precisions(task, "input_x_gradient") + 0.15


@pytest.mark.parametrize("method", REMOVING)
def test_a_needle_is_found_in_a_long_text(method):
    needle = scoring.planted("needle", 2)
    assert needle.accuracy == 1.0
    assert scoring.precision(needle, scoring.method_of(method)) >= 0.9


@pytest.mark.full
@pytest.mark.parametrize("method", METHODS.names())
def test_every_method_finds_more_of_a_needle_than_random_orders(method):
    needle = scoring.planted("needle", 4)
    assert scoring.random_precision(needle) < 0.05
    assert scoring.precision(needle, scoring.method_of(method)) >= 0.1


def test_an_order_of_words_separates_methods(precisions):
    found = [precisions("ordered pair", method) for method in METHODS.names()]
    assert max(found) - min(found) >= 0.2


def test_the_share_counts_only_what_is_ranked_and_shares_places_among_equals():
    ranked = np.array([False, True, True, True, True, False])
    truth = np.array([1, 2])
    share = scoring._share
    assert share(np.array([9, 4, 3, 2, 1, 9.0]), truth, ranked) == 1
    assert share(np.array([9, 1, 2, 3, 4, 9.0]), truth, ranked) == 0
    assert share(np.array([9, 4, 1, 3, 2, 9.0]), truth, ranked) == 0.5
    assert share(np.zeros(6), truth, ranked) == 0.5
    assert share(np.array([0, 3, 1, 1, 1, 0.0]), truth, ranked) == pytest.approx((1 + 1 / 3) / 2)


@pytest.mark.parametrize("task", tasks.TASKS.values(), ids=tasks.TASKS)
def test_texts_hold_what_they_claim(task):
    drawn = task.draw(np.random.default_rng(5), 50, task.length)
    words = np.take_along_axis(drawn.ids, drawn.truth, axis=1)
    names = list(scoring.vocabulary.NUMBER)
    for row, (ids, answer, place) in enumerate(zip(drawn.ids, drawn.answers, drawn.truth, strict=True)):
        planted = [names[number] for number in words[row]]
        if task.draw is tasks.shortcut:
            assert planted == [("alpha", "beta")[answer]]
        elif task.draw is tasks.ordered_pair:
            assert planted == ["alpha", "beta"]
            assert answer == int(place[0] > place[1])
        elif task.draw is tasks.keyed_mask:
            assert planted == [("alpha", "beta")[answer - tasks.NUMBER[tasks.VALUES[0]]]]
            assert names[ids[drawn.masks[row]]] == "[MASK]"
        elif task.draw is tasks.negation:
            assert planted == [("beta", "alpha")[answer], "not"]
        else:
            assert planted == ["marker", names[answer]]
            assert names[ids[-1]] == "marker"
            assert [names[number] for number in ids].count("marker") == 2
