"""Ledgers of every architecture: cuts sum to the difference, and say what patching says."""

from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
from torch import Tensor

from model_understanding import (
    GenerativeModelVisualizer,
    InputError,
    Ledger,
    ModelVisualizer,
    NumericalError,
    UnsupportedModelError,
)
from model_understanding.finite_backward import one_to_one
from model_understanding.ledger.alignment import paired_positions
from model_understanding.results import Target
from model_understanding.tokens import Tokens

PAIR = (
    "The film was wonderful, but a dull plot is bad.",
    "The film was dull, but a wonderful plot is bad.",
)
OTHER_LENGTH = "The film was wonderful, but a plot is bad."
NAMES = [
    architecture.name
    for architecture in tiny_models.ARCHITECTURES
    if architecture.name != "bert-as-language-model"
]
BLOCKS = {
    "bert": "bert.encoder.layer",
    "roberta": "roberta.encoder.layer",
    "deberta-v2": "deberta.encoder.layer",
    "modernbert": "model.layers",
    "gpt2": "transformer.h",
    "llama": "model.layers",
    "gemma3": "model.layers",
    "gpt-neox": "gpt_neox.layers",
    "bloom": "transformer.h",
    "mamba": "backbone.layers",
}


def _ledger(name: str, text: str = PAIR[0], reference: str | None = PAIR[1], **options: Any) -> Ledger:
    visualizer = tiny_models.visualizer_of(name)
    is_classifier = isinstance(visualizer, ModelVisualizer)
    target, against = (1, 0) if is_classifier else ([42], 57)
    defaults = {"target": target, "against": against, "quantity": "logit"}
    return visualizer.compute_ledger(text, reference, **{**defaults, **options})


def _value(name: str, text: str) -> float:
    """Return the same target's value in plain torch."""
    model, tokenizer = tiny_models.build(name), tiny_models.tokenizer_of(name)
    inputs = tokenizer(text, return_tensors="pt")
    if not isinstance(tiny_models.visualizer_of(name), ModelVisualizer):
        inputs.pop("token_type_ids", None)
    with torch.no_grad():
        logits = model(**inputs).logits
    return (
        float(logits[0, 1] - logits[0, 0])
        if logits.ndim == 2
        else float(logits[0, -1, 42] - logits[0, -1, 57])
    )


@pytest.mark.parametrize("name", tiny_models.each(NAMES))
def test_every_cut_sums_to_the_difference(name: str) -> None:
    ledger = _ledger(name)
    assert ledger.residual.shape == (4, len(ledger.tokens))
    assert ledger.difference == pytest.approx(
        _value(name, PAIR[0]) - _value(name, PAIR[1]), rel=1e-3, abs=1e-4
    )
    sizes = np.maximum(np.abs(ledger.residual).sum(1), abs(ledger.difference))
    assert (np.abs(ledger.residual.sum(1) - ledger.difference) <= 1e-3 * sizes).all()
    assert ledger.gaps.max() <= 1e-3
    assert ledger.reference_tokens.texts == (PAIR[1],)


@pytest.mark.parametrize("name", tiny_models.each(NAMES))
def test_sublayers_are_all_found(name: str) -> None:
    ledger = _ledger(name)
    assert (np.abs(ledger.mlp).sum(1) > 0).all()
    if not tiny_models.BY_NAME[name].has_attention:
        assert not ledger.attention.any()
        assert ledger.heads is None
        return
    assert (np.abs(ledger.attention).sum(1) > 0).all()
    assert ledger.heads is not None
    assert ledger.heads.shape == (3, 4)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt-neox", "bloom", "falcon", "opt"])
def test_heads_sum_to_attention(name: str) -> None:
    """Where the projection is the last step of attention, its heads pass what attention adds."""
    ledger = _ledger(name)
    assert ledger.heads is not None
    np.testing.assert_allclose(ledger.heads.sum(1), ledger.attention.sum(1), rtol=1e-3, atol=1e-4)


def _states(model: Any, blocks: str, inputs: Any, change: tuple[int, int, Tensor] | None = None) -> Any:
    """Return what enters each block, and the logits, with one state replaced, by hooks of this test."""
    entered: list[Tensor] = []
    handles = []
    for layer, block in enumerate(model.get_submodule(blocks)):

        def enter(module: Any, arguments: Any, keywords: Any, layer: int = layer) -> Any:
            states = arguments[0] if arguments else keywords["hidden_states"]
            entered.append(states.detach().clone())
            if change is None or change[0] != layer:
                return None
            states = states.clone()
            states[0, change[1]] = change[2]
            if arguments:
                return (states, *arguments[1:]), keywords
            return arguments, {**keywords, "hidden_states": states}

        handles.append(block.register_forward_pre_hook(enter, with_kwargs=True))
    with torch.no_grad():
        logits = model(**inputs).logits
    for handle in handles:
        handle.remove()
    value = logits[0, 1] - logits[0, 0] if logits.ndim == 2 else logits[0, -1, 42] - logits[0, -1, 57]
    return entered, float(value)


@pytest.mark.parametrize("name", BLOCKS)
def test_agrees_with_patching_both_ways(name: str) -> None:
    """Each state of one text is put into the other's run, and the other way round."""
    model, tokenizer = tiny_models.build(name), tiny_models.tokenizer_of(name)
    inputs = [tokenizer(text, return_tensors="pt") for text in PAIR]
    for each in inputs:
        if not isinstance(tiny_models.visualizer_of(name), ModelVisualizer):
            each.pop("token_type_ids", None)
    (text, text_value), (reference, reference_value) = (_states(model, BLOCKS[name], each) for each in inputs)
    count = text[0].shape[1]
    effects = np.zeros((len(text), count))
    for layer in range(len(text)):
        for token in range(count):
            states = text[layer][0, token], reference[layer][0, token]
            if torch.equal(*states):
                continue
            _, put_in = _states(model, BLOCKS[name], inputs[1], (layer, token, states[0]))
            _, taken_out = _states(model, BLOCKS[name], inputs[0], (layer, token, states[1]))
            effects[layer, token] = (put_in - reference_value + text_value - taken_out) / 2
    ledger = _ledger(name)
    assert np.corrcoef(ledger.residual[:-1].ravel(), effects.ravel())[0, 1] > 0.85


def test_tokens_after_the_target_pass_nothing() -> None:
    visualizer = tiny_models.visualizer_of("llama")
    ledger = visualizer.compute_ledger(*PAIR, continuation=" and a bad king")
    assert len(ledger.tokens) > len(tiny_models.encoded(visualizer, PAIR[0]).tokens[0])
    assert not ledger.residual[:, -1].any()
    assert ledger.residual[0].sum() == pytest.approx(ledger.difference, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("name", ["bert", "llama", "gpt2", "xlnet"])
@pytest.mark.parametrize("is_longer", [True, False])
def test_texts_of_other_lengths(name: str, is_longer: bool) -> None:
    pair = (PAIR[0], OTHER_LENGTH) if is_longer else (OTHER_LENGTH, PAIR[0])
    ledger = _ledger(name, *pair)
    assert len(ledger.tokens) == len(ledger.reference_tokens)
    assert ledger.residual[0].sum() == pytest.approx(ledger.difference, rel=2e-3, abs=1e-4)
    filled, whole = (
        (ledger.reference_value, ledger.value) if is_longer else (ledger.value, ledger.reference_value)
    )
    assert whole == pytest.approx(_value(name, PAIR[0]), rel=1e-3, abs=1e-4)
    (caution,) = [
        text
        for text in ledger.provenance.cautions
        if "filler" in text and "has" in text and "with them" in text
    ]
    assert f"instead of {_value(name, OTHER_LENGTH):.3g}"[:14] in caution
    assert filled != pytest.approx(_value(name, OTHER_LENGTH), rel=1e-6)
    places = np.flatnonzero(np.abs(ledger.residual[0]) > 1e-9)
    same = [a == b for a, b in zip(ledger.tokens.ids, ledger.reference_tokens.ids, strict=True)]
    assert all(not same[place] for place in places) or name == "xlnet"


def test_pairing_of_positions() -> None:
    assert paired_positions([1, 2, 3], [1, 2, 3]) == [(0, 0), (1, 1), (2, 2)]
    assert paired_positions([1, 5, 6, 9], [1, 7, 9]) == [(0, 0), (1, None), (2, 1), (3, 2)]
    assert paired_positions([1, 2, 8], [1, 9]) == [(0, 0), (1, None), (2, 1)]
    assert paired_positions([4], [5, 6]) == [(None, 0), (0, 1)]


@pytest.mark.parametrize("baseline", ["default", "mean", "zero", "text:bad plot"])
@pytest.mark.parametrize("name", ["bert", "llama"])
def test_a_text_against_its_baseline(name: str, baseline: str) -> None:
    ledger = _ledger(name, PAIR[0], None, baseline=baseline)
    assert ledger.value == pytest.approx(_value(name, PAIR[0]), rel=1e-3, abs=1e-4)
    assert ledger.residual[0].sum() == pytest.approx(ledger.difference, rel=2e-3, abs=1e-4)
    assert not ledger.residual[0][ledger.tokens.special].any()
    assert ledger.baseline is not None


@pytest.mark.parametrize("quantity", ["logit", "log_prob", "prob"])
def test_quantities(quantity: str) -> None:
    ledger = _ledger("bert", quantity=quantity, against=None)
    values = []
    for text in PAIR:
        inputs = tiny_models.tokenizer_of("bert")(text, return_tensors="pt")
        with torch.no_grad():
            logits = tiny_models.build("bert")(**inputs).logits[0]
        quantities = {"logit": logits, "log_prob": logits.log_softmax(-1), "prob": logits.softmax(-1)}
        values.append(float(quantities[quantity][1]))
    assert (ledger.value, ledger.reference_value) == pytest.approx(values, rel=1e-4, abs=1e-6)
    assert ledger.residual.sum(1) == pytest.approx(ledger.difference, rel=1e-3, abs=1e-5)


def test_a_function_of_the_outputs() -> None:
    ledger = _ledger("bert", target=lambda outputs: outputs.logits[0, 1].tanh(), against=None)
    assert ledger.residual.sum(1) == pytest.approx(ledger.difference, rel=1e-3, abs=1e-5)


def test_the_same_text_twice_has_an_empty_ledger() -> None:
    ledger = _ledger("llama", PAIR[0], PAIR[0])
    assert ledger.difference == 0
    assert not ledger.residual.any()
    assert not ledger.gaps.any()


def test_json_and_table() -> None:
    ledger = _ledger("bert")
    again = Ledger.from_json(ledger.to_json())
    np.testing.assert_array_equal(again.residual, ledger.residual)
    assert again.difference == ledger.difference
    table = ledger.to_dataframe()
    of_input = table[(table.part == "residual") & (table.layer == 0)]
    assert of_input.value.sum() == pytest.approx(ledger.difference, rel=1e-3)
    assert "completeness gap" in str(ledger)


def test_refusals_say_what_to_do() -> None:
    visualizer = tiny_models.visualizer_of("bert")
    assert isinstance(visualizer, ModelVisualizer)
    with pytest.raises(InputError, match="one target"):
        visualizer.compute_ledger(*PAIR, target="all")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="baseline"):
        visualizer.compute_ledger(*PAIR, baseline="mean")
    with pytest.raises(InputError, match="same form"):
        visualizer.compute_ledger((PAIR[0], "really"), PAIR[1])
    with pytest.raises(InputError, match="one baseline"):
        visualizer.compute_ledger(PAIR[0], baseline="mean,pad")
    language_model = tiny_models.visualizer_of("bert-as-language-model")
    assert isinstance(language_model, GenerativeModelVisualizer)
    with pytest.raises(UnsupportedModelError, match="compute_saliency"):
        language_model.compute_ledger(*PAIR)


def test_a_notebook_and_the_terminal_name_the_same_places(capsys: pytest.CaptureFixture[str]) -> None:
    ledger = _ledger("bert")
    ledger.show()
    layer, token, _ = ledger.strongest("mlp", top=1)[0]
    place = f"block {layer}, at “{ledger.tokens.labels()[token].strip()}”"
    for output in (capsys.readouterr().out, ledger._repr_html_(), str(ledger)):
        assert place in output
        assert "the share of a place is not what changing it alone would do" in " ".join(output.split())


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_a_cut_that_does_not_add_up_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong slope passes every other check: the sums of the cuts before it give it away."""
    right = one_to_one.with_slope
    monkeypatch.setattr(one_to_one, "with_slope", lambda x, value, slope: right(x, value, slope * 1.5))
    with pytest.raises(NumericalError, match="and the difference is") as raised:
        _ledger(name)
    assert "block" in str(raised.value)


def _of_numbers(residual: Any, attention: Any, mlp: Any, heads: Any = None, **given: Any) -> Ledger:
    fields: dict[str, Any] = {
        "tokens": Tokens.from_pieces(["a", "b", "c"]),
        "reference_tokens": Tokens.from_pieces(["a", "x", "c"]),
        "target": Target(task="sequence-classification", name="good", quantity="logit"),
        "value": 3.0,
        "reference_value": 1.0,
        **given,
    }
    return Ledger(
        residual=np.asarray(residual, dtype=float),
        attention=attention,
        mlp=mlp,
        heads=heads,
        gaps=np.zeros(len(residual)),
        **fields,
    )


def _answer(ledger: Ledger) -> str:
    """Return the lines before the one with both values."""
    return " ".join(takewhile(lambda line: not line.startswith("Difference in"), str(ledger).splitlines()))


def test_the_answer_names_where_a_difference_enters_and_what_moves_it() -> None:
    moved = _of_numbers(
        [[0, 2, 0], [0, 2, 0], [0, -0.4, 2.4]],
        [[0, 0, 0], [0, 0, 2.2]],
        [[0, 1.8, 0], [0, 0, 0]],
        [[0, 0], [0.2, 2.0]],
    )
    assert _answer(moved) == (
        "The logit of good is 2 higher for the text than for the reference. This difference enters the model "
        "at “b (x)”. Only after the last block it is at “c” (120.0 %). What adds most: attention in block 1 "
        "at “c” (110.0 %; head 1 over all tokens 100 %) and the MLP of block 0 at “b (x)” (90.0 %)."
    )
    assert "text (reference)" in str(moved)
    assert "Only 2 of the 3 tokens carry any" in str(moved)
    assert "completeness gap below 0.1 %" in str(moved)


def test_the_answer_of_a_scattered_ledger_names_no_main_place() -> None:
    scattered = _of_numbers([[0.9, 0.6, 0.5], [0.8, 0.7, 0.5]], [[0.4, 0, 0]], [[0, 0.2, 0]])
    assert _answer(scattered) == (
        "The logit of good is 2 higher for the text than for the reference. This difference enters the model "
        "at many tokens, none with half of it; the largest "
        "shares: “a” (45.0 %), “b (x)” (30.0 %), “c” (25.0 %). It leaves the last block at many tokens, none "
        "with half of it; the largest shares: “a” (40.0 %), “b (x)” (35.0 %), “c” (25.0 %). No single "
        "addition has half of it; the largest: attention in block 0 at “a” (20.0 %)."
    )


def test_the_answer_says_when_all_of_a_difference_is_at_a_token_and_when_most_is() -> None:
    empty = [[0, 0, 0]] * 3
    for moved, words in ((2.1, "it is at “c”"), (1.4, "at least half of it is at “c”")):
        states = [[0, 2, 0], [0, 2 - moved, moved], [0, 2 - moved, moved], [0, 0, 2]]
        assert f"From block 1 on, {words} (100 % after the last block)." in _answer(
            _of_numbers(states, empty, empty)
        )
    assert "In every block, it is at “b (x)” (100 % after the last block)." in _answer(
        _of_numbers([[0, 2, 0]] * 4, empty, empty)
    )


NEXT = {"task": "causal-lm", "positions": (2,), "indices": (7,), "labels": (" Paris",)}


@pytest.mark.parametrize(
    ("text", "other", "target", "values", "expected"),
    [
        (
            "is France is",
            "is Italy is",
            Target(**NEXT, quantity="log_prob"),
            (0.77, 0.001),
            "“Paris” is much more likely after “… France is” (77.0 %) than after “… Italy is” (0.1 %).",
        ),
        (
            "France is it",
            "Italy is it",
            Target(**NEXT, quantity="log_prob"),
            (0.2, 0.4),
            "“Paris” is less likely after “France is it” (20.0 %) than after “Italy is it” (40.0 %).",
        ),
        (  # a longer rest, and a target that is not what follows the text
            f"a {'b' * 50} c",
            "a x c",
            Target(**NEXT, quantity="log_prob"),
            (0.2, 0.4),
            "“Paris” is less likely for the text (20.0 %) than for the reference (40.0 %).",
        ),
        (
            "a b c",
            "a x c",
            Target(**(NEXT | {"positions": (1,)}), quantity="log_prob"),
            (0.2, 0.4),
            "“Paris” is less likely for the text (20.0 %) than for the reference (40.0 %).",
        ),
        (  # probabilities that look the same
            "a b c",
            "a x c",
            Target(**NEXT, quantity="log_prob"),
            (0.00002, 0.00001),
            "The log-probability of Paris is 0.693 higher for the text than for the reference.",
        ),
        (
            "a b c",
            "a x c",
            Target(**NEXT, against=(8,), against_labels=(" Rome",), quantity="log_prob"),
            (0.4, 0.2),
            "The log-probability of Paris − Rome is 0.693 higher for the text than for the reference.",
        ),
    ],
)
def test_the_answer_begins_with_what_differs(
    text: str, other: str, target: Target, values: tuple[float, float], expected: str
) -> None:
    given, empty = np.log(values), [[0, 0, 0]]
    own, reference = (Tokens.from_pieces(each.split()) for each in (text, other))
    fields = {"tokens": own, "reference_tokens": reference, "target": target}
    whole = [[0, given[0] - given[1], 0]] * 2
    shown = _of_numbers(whole, empty, empty, value=given[0], reference_value=given[1], **fields)
    assert _answer(shown).startswith(f"{expected} ")


def test_the_answer_of_what_cancels_gives_no_shares() -> None:
    answer = _answer(_of_numbers([[50, -48, 0], [50, -48, 0]], [[0, 0, 0]], [[0, 0, 0]]))
    assert "contributions that cancel" in answer
    assert "total size of 98" in answer


def test_the_same_text_twice_is_named() -> None:
    text = str(_ledger("bert", PAIR[0], PAIR[0]))
    assert text.startswith("The texts are the same.")
    assert "reference:" not in text


def test_a_baseline_is_not_quoted_as_a_text() -> None:
    ledger = _ledger("bert", PAIR[0], None, baseline="mean")
    assert "reference: its baseline (mean)" in str(ledger)
    assert "“its baseline" not in repr(ledger)


def test_a_ledger_is_saved_by_its_suffix(tmp_path: Path) -> None:
    ledger = _ledger("bert")
    again = Ledger.from_json(ledger.save(tmp_path / "ledger.json").read_text(encoding="utf-8"))
    np.testing.assert_array_equal(again.residual, ledger.residual)
    assert ledger.save(tmp_path / "ledger.csv").read_text(encoding="utf-8").startswith("part,layer,position,")
    with pytest.raises(InputError, match=r"its suffix is \.txt"):
        ledger.save(tmp_path / "ledger.txt")
