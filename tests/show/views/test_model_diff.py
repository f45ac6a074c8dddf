"""The difference between two models in words."""

from dataclasses import replace

import pytest

from model_understanding.results import (
    Failure,
    ModelDiff,
    ModelDiffSummary,
    ModuleChange,
    Provenance,
    Restoration,
    Target,
)
from model_understanding.show.shared.modules import module_words
from model_understanding.show.views.model_diff import model_diff_summary_view, model_diff_view
from model_understanding.tokens import Tokens

TARGET = Target(task="causal-lm", positions=(1,), indices=(7,), labels=(" Rome",), quantity="log_prob")


def diff_of(
    values: dict[str, tuple[float, float]], value: float = -1.0, restored: Restoration | None = None
) -> ModelDiff:
    return ModelDiff(
        tokens=Tokens.from_pieces(["The", " capital"]),
        target=TARGET,
        value=value,
        other_value=value + sum(map(sum, values.values())),
        modules=tuple(
            ModuleChange(name=name, kind="linear", layer=11 if ".11." in name else None, value=sum(row))
            for name, row in values.items()
        ),
        at_tokens=list(values.values()),
        gap=0.0,
        unchanged=3,
        answers=(" Rome", " Milan"),
        restored=restored,
        provenance=Provenance(model="base"),
        other=Provenance(model="tuned"),
    )


def test_one_module_with_most_of_it() -> None:
    view = model_diff_view(diff_of({"model.layers.11.mlp.down_proj": (0.1, 0.9), "lm_head": (0.1, 0.22)}))
    assert " ".join(view.answer) == (
        "The log-probability of Rome rises by 1.32; 75.8 % of it comes from block 11's MLP down projection, "
        "mostly at “capital”. Over all modules, 84.8 % of it arises at “capital”."
    )
    assert view.headline == "log-probability of Rome: −1 in base, 0.32 in tuned"
    assert view.texts[1] == "base answers “Rome”, tuned “Milan”"
    assert [(row.name, row.value, row.share, row.at) for row in view.modules] == [
        ("model.layers.11.mlp.down_proj", "1", "75.8 %", "“capital”"),
        ("lm_head", "0.32", "24.2 %", "“capital”"),
    ]
    assert [(row.name, row.share) for row in view.tokens] == [("“capital”", "84.8 %"), ("“The”", "15.2 %")]
    assert view.facts[0] == "2 modules have other weights; in 3 they are the same"


def test_many_modules_and_what_was_restored() -> None:
    restored = Restoration(modules=("a", "b"), value=-1.2, share=0.8, random_shares=(0.0, 0.1, -0.1))
    view = model_diff_view(diff_of(dict.fromkeys("abcd", (-0.1, -0.15)), restored=restored))
    assert view.answer[:2] == (
        "The log-probability of Rome drops by 1; the largest share, 25.0 %, comes from a, "
        "mostly at “capital”.",
        "No single module has half of it; the 2 largest together do. The next ones: b (25.0 %), c (25.0 %).",
    )
    assert view.answer[3] == (
        "Restoring the 2 modules with the largest values brings back 80.0 % of the difference; restoring 2 "
        "random modules, 0.0 % (median of 3 draws)."
    )


def test_all_modules_restored_have_no_random_ones_beside_them() -> None:
    values = dict.fromkeys("abcd", (-0.1, -0.15))
    restored = Restoration(modules=tuple("abcd"), value=0.0, share=1.0, random_shares=())
    diff = diff_of(values, restored=restored)
    assert model_diff_view(diff).answer[-1] == (
        "Restoring all 4 changed modules, there are no more, brings back 100 % of the difference."
    )
    summary = ModelDiffSummary.of([diff, diff])
    assert (summary.restored, summary.restored_at_random) == (1.0, None)
    view = model_diff_summary_view(summary)
    assert view.answer[-1] == "Restoring all changed modules brings back 100 % of the differences."


def test_the_target_in_a_sentence() -> None:
    diff = diff_of({"a": (0.5, 0.5)})
    named = replace(diff.target, name="continuation")
    against = replace(diff.target, quantity="prob", against=(3,), against_labels=(" Paris",))
    for target, words in (
        (named, "The log-probability of the continuation rises by 1"),
        (against, "The difference in probability between Rome and Paris rises by 1"),
        (replace(named, against=(3,), against_labels=(" Paris",)), "of the continuation − Paris rises by 1"),
    ):
        assert words in model_diff_view(replace(diff, target=target)).answer[0]


def test_answers_that_differ_in_a_blank_alone_are_two() -> None:
    diff = replace(diff_of({"a": (0.5, 0.5)}), answers=(" Rome", "Rome"))
    assert model_diff_view(diff).texts[1] == "base answers “ Rome”, tuned “Rome”"


def test_one_text_is_no_mean() -> None:
    failure = Failure(message="too long")
    view = model_diff_summary_view(ModelDiffSummary.of([failure, diff_of({"a": (-0.3, 0.0)})]))
    assert view.answer[0] == (
        "Only one text was compared: on text 2, the answer's log-probability drops by 0.3."
    )
    assert "A 95 % interval needs at least two texts." in view.facts


def test_contributions_that_cancel_have_no_shares_to_speak_of() -> None:
    view = model_diff_view(diff_of({"a": (1.0, 0.0), "b": (-0.99, 0.0)}))
    assert "what is left of contributions that cancel" in view.answer[0]


def test_nothing_changed() -> None:
    assert model_diff_view(diff_of({})).answer == (
        "No weights differ in what this answer is computed from: the models answer the same.",
    )
    view = model_diff_view(diff_of({"a": (1.0, -1.0)}))
    assert view.answer == ("The log-probability of Rome is the same in both models: nothing to split.",)


def test_pooled_states_have_a_row_of_their_own() -> None:
    diff = diff_of({"a": (0.5, 0.0)})
    pooled = ModuleChange(name="classifier", kind="linear", value=0.5)
    diff = ModelDiff(
        tokens=diff.tokens,
        target=TARGET,
        value=0.0,
        other_value=1.0,
        modules=(*diff.modules, pooled),
        at_tokens=[[0.5, 0.0], [0.0, 0.0]],
        gap=0.0,
    )
    assert [(row.name, row.share) for row in model_diff_view(diff).tokens] == [
        ("“The”", "50.0 %"),
        ("at no single token", "50.0 %"),
    ]
    table = diff.to_dataframe()
    assert list(table["value"]) == [0.5, 0.0, 0.5]
    assert table["position"].isna().tolist() == [False, False, True]


def test_many_texts() -> None:
    diffs = [diff_of({"a": (0.3, 0.0), "b": (0.0, 0.1)}), diff_of({"a": (-0.6, 0.0), "b": (0.0, -0.2)})]
    view = model_diff_summary_view(ModelDiffSummary.of(diffs))
    assert view.answer[0] == (
        "Over 2 texts, the answer's log-probability changes by 0.6 on average (signed mean −0.2; largest "
        "0.8, on text 2)."
    )
    assert view.answer[1:] == (
        "The models answer differently on 2 of them.",
        "The largest mean share, 75.0 %, comes from a.",
    )
    assert [(row.name, row.share, row.signed) for row in view.modules] == [
        ("a", "75.0 %", "0.0 %"),
        ("b", "25.0 %", "0.0 %"),
    ]


@pytest.mark.parametrize(
    ("name", "layer", "words"),
    [
        ("model.layers.11.mlp.down_proj", 11, "block 11's MLP down projection"),
        ("bert.encoder.layer.3.attention.self.query", 3, "block 3's attention query projection"),
        ("bert.encoder.layer.3.output.dense", 3, "block 3's output.dense"),
        ("transformer.h.2.attn.c_attn", 2, "block 2's attention query, key and value projection"),
        ("lm_head", None, "the output head"),
        ("model.norm", None, "model.norm"),
    ],
)
def test_modules_in_words(name: str, layer: int | None, words: str) -> None:
    assert module_words(name, layer) == words
