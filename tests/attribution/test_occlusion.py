"""Occlusion and leave one out against removing each unit by hand; counts; units; hostile texts."""

import numpy as np
import oracles
import pytest
import tiny_models
import torch
from tiny_models import PROBE, TEXTS, visualizer_of

from attribution.perturbing import counted, linear_scores, linear_visualizer, mask_embedding
from model_understanding import InputError, LeaveOneOut, Occlusion
from model_understanding.model import memory

HOSTILE = ("<b>&\x07\u202e</script>", "שלום 你好", "👨‍👩‍👧🏽", "e\u0301", "   ", "a\n\nb\t")
LANGUAGE_MODELS = ("gpt2", "llama", "gemma3", "mixtral", "mamba")


@pytest.mark.parametrize("name", ["bert", "roberta", "modernbert", "xlnet"])
def test_a_score_is_what_masking_the_token_takes_away(name):
    visualizer = visualizer_of(name)
    found = visualizer.compute_saliency(PROBE, target="all", method="occlusion")
    inputs = visualizer.runner.model.encode(found.tokens).inputs
    with torch.no_grad():
        whole = visualizer.model(**inputs).logits[0]
        for position in range(len(found.tokens)):
            ids = inputs["input_ids"].clone()
            if not found.tokens.special[position]:
                ids[0, position] = visualizer.tokenizer.mask_token_id
            without = visualizer.model(**{**inputs, "input_ids": ids}).logits[0]
            error = np.abs(found.scores[:, position] - (whole - without).numpy()).max()
            assert error <= 1e-5 * float(whole.abs().max())
    assert not found.scores[:, found.tokens.special].any()
    assert oracles.close(found.outputs, whole)


@pytest.mark.parametrize("unit", ["token", "word", "sentence"])
def test_a_linear_model_gets_what_each_token_adds(unit):
    visualizer = linear_visualizer()
    text = "The film was dull. A king lived!"
    found = visualizer.compute_saliency(text, target="all", method=Occlusion(unit=unit))
    expected = linear_scores(visualizer, text, mask_embedding(visualizer))
    assert oracles.close(
        found.folded(unit).scores,
        np.stack([expected[:, list(g)].sum(1) for g in found.tokens.groups(unit)], axis=1),
    )
    assert oracles.close(found.scores.sum(1), expected.sum(1))


def test_windows_give_each_token_the_mean_of_its_shares():
    visualizer = linear_visualizer()
    method = Occlusion(unit="window", window=3, stride=2)
    found = visualizer.compute_saliency("a b c d e f", target="all", method=method)
    expected = linear_scores(visualizer, "a b c d e f", mask_embedding(visualizer))
    windows = [(1, 2, 3), (3, 4, 5), (4, 5, 6)]
    for token in range(1, 7):
        shares = [expected[:, list(w)].mean(1) for w in windows if token in w]
        assert oracles.close(found.scores[:, token], np.mean(shares, axis=0))


def test_t_tokens_cost_t_plus_one_variants_in_full_packs(monkeypatch):
    visualizer = visualizer_of("bert")
    tokens = visualizer.compute_saliency(PROBE, target=0, method="saliency").tokens
    length, content = len(tokens), int((~tokens.special).sum())
    monkeypatch.setattr(memory, "POSITIONS_AT_ONCE", (content + 1) * length)
    with counted(visualizer.model) as counts:
        visualizer.compute_saliency(PROBE, target="all", method="occlusion")
    assert (counts["forwards"], counts["positions"]) == (1, (content + 1) * length)
    monkeypatch.setattr(memory, "POSITIONS_AT_ONCE", 5 * length)
    with counted(visualizer.model) as counts:
        visualizer.compute_saliency(PROBE, target="all", method="occlusion")
    assert (counts["forwards"], counts["positions"]) == (-(-(content + 1) // 5), (content + 1) * length)


def test_many_targets_are_each_alone_and_a_batch_is_each_text_alone():
    visualizer = visualizer_of("bert")
    together = visualizer.compute_saliency([*TEXTS, TEXTS[0]], target="all", method="occlusion")
    for text, found in zip([*TEXTS, TEXTS[0]], together, strict=True):
        for target in range(3):
            alone = visualizer.compute_saliency(text, target=target, method="occlusion")
            assert oracles.close(found.scores[target], alone.scores[0], 2e-5)


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_language_models_targets(name):
    visualizer = visualizer_of(name)
    runner = visualizer.runner
    options = {"target": "continuation", "continuation": " a king", "method": "occlusion"}
    rows = visualizer.compute_saliency(PROBE, **options, per_token=True)
    whole = visualizer.compute_saliency(PROBE, **options)
    assert oracles.close(rows.scores.sum(0), whole.scores[0], 2e-5)
    assert not rows.scores[~rows.valid].any()
    following = visualizer.compute_saliency(PROBE, target=9, method="occlusion")
    encoding = runner.model.encode(following.tokens)
    place = int(np.flatnonzero(~following.tokens.special)[3])
    embeddings = runner.embed(encoding).clone()
    table = visualizer.model.get_input_embeddings()
    pad = visualizer.tokenizer.pad_token_id
    with torch.no_grad():
        every = table(torch.arange(table.num_embeddings)[None])[0]
    embeddings[0, place] = every.mean(0) if pad is None else every[pad]
    changed = float(runner.values(encoding, following.targets, embeddings=embeddings)[0, 0])
    expected = float(following.outputs[0]) - changed
    assert abs(following.scores[0, place] - expected) <= 2e-5 * abs(changed)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", ["bert", "llama-classifier", "llama"])
def test_hostile_texts(name, text):
    visualizer = visualizer_of(name)
    options = {"target": "next"} if name == "llama" else {}
    for unit in ("token", "word", "sentence", "window"):
        if name == "bert" and text == "   ":  # its tokenizer drops blanks: nothing is left
            with pytest.raises(InputError, match="no tokens other than special ones"):
                visualizer.compute_saliency(text, method=Occlusion(unit=unit), **options)
            continue
        found = visualizer.compute_saliency(text, method=Occlusion(unit=unit), **options)
        assert np.isfinite(found.scores).all()


def test_one_token_of_content():
    found = visualizer_of("bert").compute_saliency("a", target="all", method="occlusion")
    assert (found.scores != 0).sum() == 3


def test_a_custom_target():
    visualizer = visualizer_of("bert")
    found = visualizer.compute_saliency(PROBE, target=lambda out: out.logits[0, 2], method="occlusion")
    expected = visualizer.compute_saliency(PROBE, target=2, method="occlusion")
    assert oracles.close(found.scores, expected.scores)


@pytest.mark.parametrize("name", tiny_models.each(tiny_models.CLASSIFIERS))
def test_pairs(name):
    found = visualizer_of(name).compute_saliency((TEXTS[0], TEXTS[1]), target=0, method="occlusion")
    assert found.scores[0][~found.tokens.special].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": "letter"}, "Unknown unit 'letter'. Allowed: token, word, sentence, window."),
        ({"window": 2, "stride": 3}, "stride must be a whole number, from 1 to 2. Got 3."),
        ({"replacement": "zero"}, "Unknown replacement 'zero'."),
    ],
)
def test_wrong_parameters_are_refused(options, message):
    with pytest.raises(InputError) as caught:
        Occlusion(**options)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("replacement", ["mask", "pad", "mean", "attention"])
def test_leave_one_out_is_occlusion_by_token(replacement):
    visualizer = visualizer_of("bert")
    one = visualizer.compute_saliency(PROBE, target="all", method=LeaveOneOut(replacement=replacement))
    other = visualizer.compute_saliency(PROBE, target="all", method=Occlusion(replacement=replacement))
    assert np.array_equal(one.scores, other.scores)
    assert one.method == "leave_one_out"


def test_replacements_differ():
    visualizer = visualizer_of("bert")
    found = {
        tuple(
            visualizer.compute_saliency(PROBE, target=0, method=LeaveOneOut(replacement=r)).scores[0].tolist()
        )
        for r in ("mask", "pad", "mean", "attention")
    }
    assert len(found) == 4


def test_leave_one_out_knows_no_other_replacement():
    with pytest.raises(InputError, match="Unknown replacement 'delete'"):
        LeaveOneOut(replacement="delete")
