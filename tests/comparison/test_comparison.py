import json
from dataclasses import replace

import hard_results as made
import numpy as np
import pandas
import pytest
from compared_reports import (
    attention,
    attribution,
    classification,
    cut,
    generation,
    step_attribution,
    target,
    words,
)

from model_understanding import Comparison, InputError, Report, compare
from model_understanding.results import Evaluation, Limits, Provenance, result_from_json
from model_understanding.show.views.comparison import evaluation_changes

TEXT = "the plot is thin but fun"


def differing(first: dict, second: dict | None = None) -> Comparison:
    """Compare two reports of one text whose attributions differ as asked."""
    tokens = words(TEXT)
    sides = []
    for changed in (first, second or {}):
        scores = changed.pop("scores", [1, 2, 3, -4, 5, 6])
        sides.append(classification(tokens, attribution(tokens, scores, **changed)))
    return compare(*sides)


def test_a_report_compared_with_itself_differs_in_nothing():
    tokens = words(TEXT, special=True)
    report = classification(
        tokens, attribution(tokens, [9, 1, 2, 3, -4, 5, 6, 0]), attention=(attention(tokens),)
    )
    found = compare(report, report)
    (part,), (where,) = found.attributions, found.attention
    assert found.change == 0
    assert found.notes == found.left_out == part.reasons == ()
    assert part.measure == "score"
    assert not part.differences.any()
    assert part.compared.all()
    assert part.rank_correlations == (1.0,)
    assert part.top_overlaps == (1.0,)
    assert part.top_counts == (2,)  # a third of six words
    assert not where.largest.any()


def test_raw_scores_are_compared_where_method_target_and_quantity_agree():
    (part,) = differing({}, {"scores": [1, 2, 3, -4, 5, 8]}).attributions
    assert part.measure == "score"
    assert part.differences.tolist() == [[0, 0, 0, 0, 0, 2]]
    assert part.reach == 8
    assert part.change == pytest.approx(abs(8 / 23 - 6 / 21))
    assert part.signed


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"method": "occlusion"}, "different methods (input_x_gradient, occlusion)"),
        (
            {"targets": (target("negative"),)},
            "different targets (logit of positive; logit of negative)",
        ),
        ({"targets": (target(quantity="prob"),)}, "different quantities (logit; prob)"),
        ({"parameters": {"norm": "l1"}}, "different norm (None, l1)"),
        ({"provenance": Provenance(architecture="B")}, "different architectures (A, B)"),
    ],
)
def test_shares_are_compared_where_units_differ_and_that_is_said(changed, reason):
    found = differing({"provenance": Provenance(architecture="A")}, {"scores": [10] * 6, **changed})
    (part,) = found.attributions
    assert part.measure == "share"
    assert part.reasons == (reason,)
    assert part.values(1)[0].tolist() == pytest.approx([1 / 6] * 6)
    assert part.differences[0] == pytest.approx(1 / 6 - np.array([1, 2, 3, -4, 5, 6]) / 21)


def test_sizes_are_compared_where_only_one_has_signs():
    (part,) = differing(
        {}, {"method": "saliency", "signed": False, "scores": [1, 2, 3, 4, 5, 6]}
    ).attributions
    assert part.measure == "size"
    assert not part.signed
    assert part.reasons == (
        "different methods (input_x_gradient, saliency)",
        "only one of the methods gives signed scores",
    )
    assert part.change == pytest.approx(0, abs=1e-7)


def test_a_shuffled_map_of_scores_agrees_less():
    scores = [1, 2, 3, 4, 5, 6]
    (kept,) = differing({"scores": scores}, {"scores": [10, 20, 30, 40, 50, 60]}).attributions
    (shuffled,) = differing({"scores": scores}, {"scores": scores[::-1]}).attributions
    assert (kept.rank_correlations, kept.top_overlaps) == ((1.0,), (1.0,))
    assert (shuffled.rank_correlations, shuffled.top_overlaps) == ((-1.0,), (0.0,))


def test_one_word_changed_and_one_inserted():
    first, second = words("a good film here"), words("a really bad film here")
    (part,) = compare(
        classification(first, attribution(first, [1, 5, 2, 2])),
        classification(second, attribution(second, [1, 0.5, -5, 2, 4])),
    ).attributions
    assert part.alignment.kinds() == ("same", "first only", "second only", "second only", "same", "same")
    assert part.differences.tolist() == [[0, 0, 0, 0, 0, 2]]
    assert part.compared.tolist() == [[True, False, False, False, True, True]]
    assert part.change == pytest.approx(0.5)  # the share of "good", which the second does not have


def test_another_tokenizer_sums_what_it_splits():
    text = "unbelievably good film"
    first, second = words(text), cut(text, "un", "believ", "ably", "good", "film")
    (part,) = compare(
        classification(first, attribution(first, [3, 1, 0])),
        classification(second, attribution(second, [1, 1, 1.5, 1, 0])),
    ).attributions
    assert part.alignment.kinds() == ("same", "same", "same")
    assert part.differences.tolist() == [[0.5, 0, 0]]
    norms = compare(
        classification(first, attribution(first, [5, 1, 0], signed=False)),
        classification(second, attribution(second, [3, 4, 0, 1, 0], signed=False)),
    )
    assert norms.attributions[0].change == 0  # norms join by their norm


def test_special_tokens_are_left_out_of_the_agreement():
    tokens = words(TEXT, special=True)
    (part,) = compare(
        classification(tokens, attribution(tokens, [100, 1, 2, 3, 4, 5, 6, 0])),
        classification(tokens, attribution(tokens, [0, 1, 2, 3, 4, 5, 6, 100])),
    ).attributions
    assert part.rank_correlations == (1.0,)
    assert part.differences[0, [0, -1]].tolist() == [-100, 100]


def test_tokens_without_a_score_are_not_compared():
    valid = np.array([[True, True, True, True, True, False]])
    (part,) = differing({"valid": valid}, {}).attributions
    assert part.compared.tolist() == valid.tolist()
    assert part.differences.tolist() == [[0] * 6]


def test_attributions_are_paired_by_method_and_target_and_the_rest_is_named():
    tokens = words(TEXT)
    saliency = attribution(tokens, [1] * 6, method="saliency", signed=False)
    product = attribution(tokens, [1, 2, 3, 4, 5, 6])
    loss = attribution(tokens, [1] * 6, targets=(target(quantity="loss"),), method="saliency")
    found = compare(classification(tokens, saliency, product), classification(tokens, product, loss))
    assert [(part.first.method, part.second.method) for part in found.attributions] == [
        ("input_x_gradient", "input_x_gradient")
    ]
    assert found.left_out == (
        "Only the first report has the attribution saliency (logit of positive).",
        "Only the second report has the attribution saliency (language-model loss of the prompt).",
    )


def test_answers_stand_side_by_side_by_name():
    tokens = words(TEXT)
    found = compare(classification(tokens, positive=0.9), classification(tokens, positive=0.65))
    assert [(pair.first_name, pair.first, pair.second) for pair in found.outputs] == [
        ("negative", pytest.approx(0.1), pytest.approx(0.35)),
        ("positive", pytest.approx(0.9), pytest.approx(0.65)),
    ]
    assert found.outputs[1].difference == pytest.approx(-0.25)
    assert found.change == pytest.approx(0.25)


def test_generated_tokens_stand_side_by_side():
    found = compare(generation("the sky is", "blue today ."), generation("the sky is", "gray ."))
    assert [(pair.first_name, pair.second_name) for pair in found.outputs] == [
        ("blue", None),
        ("today", None),
        (None, "gray"),
        (".", "."),
    ]
    assert [pair.first for pair in found.outputs] == pytest.approx([1 / 2, 1 / 3, None, 1 / 4])
    assert found.outputs[-1].difference == pytest.approx(1 / 3 - 1 / 4)


def test_steps_are_paired_by_the_tokens_they_produced():
    first, second = generation("the sky is", "very blue today"), generation("the sky is", "blue today")
    scores = np.arange(1.0, 19).reshape(3, 6)
    sides = (
        replace(first, attributions=(step_attribution(first, scores),)),
        replace(second, attributions=(step_attribution(second, scores[:2, :5]),)),
    )
    (part,) = compare(*sides).attributions
    assert [one.labels for one in part.first.targets] == [("blue",), ("today",)]
    assert [one.labels for one in part.second.targets] == [("blue",), ("today",)]
    assert part.differences[0].tolist() == [-6, -6, -6, 0, 0, 0]


def test_attention_of_shared_layers_and_heads():
    tokens = words(TEXT)
    numbers = np.random.default_rng(0)
    mask = np.tril(np.ones((6, 6), dtype=bool))
    weights = np.where(mask, numbers.random((3, 1, 6, 6)) / 2, 0)
    changed = weights.copy()
    changed[2, 0, 5, 1] += 0.5
    found = compare(
        classification(tokens, attention=(attention(tokens, weights, layers=(0, 1, 2)),)),
        classification(tokens, attention=(attention(tokens, changed[1:], layers=(1, 2)),)),
    )
    (part,) = found.attention
    assert part.first.layers == part.second.layers == (1, 2)
    assert part.largest.tolist() == [[0.0], [pytest.approx(0.5)]]
    assert np.argwhere(part.differences(1, 0)).tolist() == [[5, 1]]
    assert part.compared.tolist() == mask.tolist()
    assert found.change == pytest.approx(0.5)


def test_attention_over_other_texts_is_compared_where_both_have_cells():
    first, second = words("a good film"), words("a very good film")
    (part,) = compare(
        classification(first, attention=(attention(first),)),
        classification(second, attention=(attention(second),)),
    ).attention
    assert part.differences(0, 0)[3] == pytest.approx([1 / 4 - 1 / 3, 0, 1 / 4 - 1 / 3, 1 / 4 - 1 / 3])
    assert not part.compared[1].any()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"layers": (4,)}, "The attention maps raw are not compared: no common layers or heads."),
        ({"heads": "mean"}, "The attention maps raw are not compared: no common layers or heads."),
        ({"map": "rollout"}, "Only the first report has the attention map raw."),
    ],
)
def test_maps_that_do_not_fit_are_named(changed, said):
    tokens = words(TEXT)
    found = compare(
        classification(tokens, attention=(attention(tokens),)),
        classification(tokens, attention=(attention(tokens, **changed),)),
    )
    assert found.attention == ()
    assert said in found.left_out


def test_maps_of_two_architectures_are_compared_as_means():
    tokens = words(TEXT)
    even = attention(tokens, provenance=Provenance(architecture="A"))
    twice = attention(
        tokens,
        np.concatenate([even.weights, even.weights]),
        layers=(0, 1),
        provenance=Provenance(architecture="B"),
    )
    (part,) = compare(
        classification(tokens, attention=(even,)), classification(tokens, attention=(twice,))
    ).attention
    assert part.reason == "Different architectures (A, B): means over layers and heads are compared"
    assert part.change == pytest.approx(0, abs=1e-7)


def test_what_else_differs_is_noted():
    tokens = words(TEXT)
    ours = Provenance(model="a", dtype="float32", versions={"torch": "2.12", "numpy": "2"})
    theirs = Provenance(model="b", dtype="float32", versions={"torch": "2.13", "numpy": "2"}, revision="r")
    found = compare(classification(tokens, provenance=ours), classification(tokens, provenance=theirs))
    assert found.notes == (
        "Different models: a; b.",
        "Different revisions: unknown; r.",
        "Different versions: torch 2.12; torch 2.13.",
    )


def test_evaluations_are_paired_by_metric():
    tokens = words(TEXT)

    def metric(name: str, value: float) -> Evaluation:
        return Evaluation(metric=name, value=value, curve=[], control=[], higher_is_better=True)

    found = compare(
        classification(tokens, evaluations=(metric("x", 1), metric("y", 2))),
        classification(tokens, evaluations=(metric("y", 3), metric("z", 4))),
    )
    assert [
        (pair.first and pair.first.metric, pair.second and pair.second.metric) for pair in found.evaluations
    ] == [("x", None), ("y", "y"), (None, "z")]


def test_what_two_models_cannot_be_compared_by_is_said():
    tokens = words(TEXT)

    def report(model: str, *metrics: str) -> Report:
        measured = tuple(
            Evaluation(metric=name, value=1, curve=[], control=[], higher_is_better=True) for name in metrics
        )
        made = classification(tokens, evaluations=measured)
        return replace(made, provenance=replace(made.provenance, model=model))

    plain = ("verdict", "comprehensiveness", "sufficiency")
    (_, note) = compare(report("a", *plain), report("b", *plain, "normalized_aopc")).notes
    assert note == (
        "Values of comprehensiveness and sufficiency cannot be compared between models, because each model "
        "has its own scale; create both reports with metrics=['normalized_aopc'] (--metrics normalized_aopc) "
        "instead."
    )
    both = [report(name, "deletion", "normalized_aopc") for name in "ab"]
    assert compare(*both).notes[-1].startswith("Values of deletion cannot be compared between models")
    assert "normalized_aopc can: it is normalized to the range of each model." in compare(*both).notes[-1]
    assert not compare(both[0], both[0]).notes
    assert len(compare(report("a", "verdict"), report("b", "verdict")).notes) == 1


def test_limits_are_told_once_beside_what_they_normalize():
    tokens = words(TEXT)

    def report(upper: float, exact: bool) -> Report:
        limits = Limits(lower=0, upper=upper, exact=exact)
        return classification(
            tokens,
            evaluations=tuple(
                Evaluation(
                    metric=name,
                    value=value,
                    curve=[],
                    control=[],
                    higher_is_better=True,
                    quantity="probability",
                    limits=limits,
                )
                for name, value in (("normalized_aopc", 0.5), ("normalized_sufficiency", None))
            ),
        )

    found = compare(report(2, True), report(3, False))
    assert list(evaluation_changes(found)) == [
        ("normalized AOPC · probability", "0.5", "0.5", "–"),
        ("possible range · probability", "0 to 2", "0 to 3", "exact → beam search"),
        ("normalized sufficiency · probability", "–", "–", "–"),
    ]


def test_reports_of_two_kinds_are_refused():
    tokens = words(TEXT)
    with pytest.raises(InputError) as caught:
        compare(classification(tokens), generation("the", "plot"), names=("a.json", "b.json"))
    assert str(caught.value) == (
        "Cannot compare a report on a classifier (a.json) with one on a language model (b.json). "
        "Compare two reports on models of one kind."
    )


def test_texts_without_a_token_in_common_are_refused():
    first, second = words("a good film", special=True), words("der Hund", special=True)
    with pytest.raises(InputError) as caught:
        compare(classification(first), classification(second))
    assert str(caught.value) == (
        "The texts have no token in common: “a good film” (first report), “der Hund” (second report). "
        "Compare reports on the same text, or on texts that share words."
    )


def test_what_is_no_report_is_refused():
    with pytest.raises(InputError) as caught:
        compare(classification(words(TEXT)), "b.json")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "The second argument must be a Report. Got str. Pass the result of analyze, or Report.load('x.json')."
    )


def hostile() -> Comparison:
    report = made.report()
    return compare(report, report, names=("</script>.json", "\x1b[31m.json"))


@pytest.mark.parametrize("make", [hostile, lambda: differing({}, {"scores": [1] * 6})])
def test_json_restores_every_field(make):
    found = make()
    text = found.to_json()
    assert result_from_json(text).to_json() == text
    assert json.loads(text)["change"] == found.change


def test_json_holds_no_attention_that_is_not_compared(tmp_path):
    tokens = words(TEXT)
    report = classification(tokens, attention=(attention(tokens, map="rollout"),))
    path = compare(report, classification(tokens)).save(tmp_path / "x.json")
    assert '"weights"' not in path.read_text("utf-8")


def test_csv_has_a_row_for_each_unit(tmp_path):
    first, second = words("=a good film"), words("=a film")
    found = compare(
        classification(first, attribution(first, [0.1, 2, 3])),
        classification(second, attribution(second, [0.3, 3])),
    )
    table = pandas.read_csv(found.save(tmp_path / "x.csv"))
    assert table["kind"].tolist() == ["same", "first only", "same"]
    assert table["first_token"].tolist() == ["\t=a", "good", "film"]
    assert table["first"].tolist() == [0.1, 2, 3]
    assert table["second"].isna().tolist() == [False, True, False]
    assert table["difference"][0] == pytest.approx(0.2)
    with pytest.raises(InputError, match="The comparison has no attribution"):
        compare(classification(first), classification(second)).save(tmp_path / "y.csv")


def test_an_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"Cannot save 'x.npz': its suffix is .npz. Use one of "):
        hostile().save(tmp_path / "x.npz")


def test_loading_a_comparison_as_a_report_says_so(tmp_path):
    path = hostile().save(tmp_path / "x.json")
    with pytest.raises(InputError, match="The JSON holds Comparison, not Report"):
        Report.load(path)
