"""MaskedLMVisualizer: masks as users write them, passes, reports, refusals and pseudo-log-likelihoods."""

import contextlib
import io
from functools import cache

import numpy as np
import pytest
import tiny_masked
import torch
from pass_counts import counted, forwards_of

from model_understanding import InputError, MaskedLMVisualizer, Words, compare, visualizer
from model_understanding.results import Report, result_from_json

TEXT = "The {} was wonderful, but a dull plot is {}!"
LONG = " ".join(["The film was wonderful and the actors were dull."] * 40)


@cache
def masked(name="bert"):
    return MaskedLMVisualizer(model=tiny_masked.build(name), tokenizer=tiny_masked.tokenizer_of(name))


def text_of(name="bert", text=TEXT):
    return tiny_masked.text_of(name, text)


def refused(call, *arguments, **options):
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    return str(caught.value)


@pytest.mark.parametrize("name", ["bert", "roberta", "xlm-roberta"])
@pytest.mark.parametrize("spelled", ["[MASK]", "<mask>"])
def test_masks_of_other_tokenizers_are_read_and_said(name, spelled):
    own = masked(name).tokenizer.mask_token
    text = TEXT.replace("{}", spelled)
    found, plain = masked(name).predict(text), masked(name).predict(text_of(name))
    assert np.array_equal(found.top_ids, plain.top_ids)
    said = () if spelled == own else (f"'{spelled}' was read as this tokenizer's mask token, '{own}'.",)
    assert (found.cautions, plain.cautions) == (said, ())
    report = masked(name).analyze(text, method="saliency", evaluate=False, attention=(), show=False)
    assert report.provenance.cautions == said


@pytest.mark.parametrize(
    "call", ["predict", "compute_saliency", "analyze", "compute_attention", "compute_logit_lens", "evaluate"]
)
def test_a_text_without_a_mask_is_refused_with_what_works(call):
    text = "The film was wonderful."
    message = refused(getattr(masked(), call), text)
    assert message == (
        "The text 'The film was wonderful.' has no mask token. Write [MASK] in the place of a word, or mask "
        "a word of the text: visualizer.mask(text, word) returns such a text (--mask)."
    )
    assert masked().predict(masked().mask(text, "wonderful")).positions.tolist() == [
        masked().predict("The film was [MASK].").positions[0]
    ]


def test_a_tokenizer_without_a_mask_is_refused_when_it_is_loaded():
    import tiny_tokenizers

    message = refused(
        MaskedLMVisualizer, model=tiny_masked.build("bert"), tokenizer=tiny_tokenizers.gpt2_like()
    )
    assert "has no mask token. Set the token that the model was trained to fill in" in message


def test_words_pairs_and_right_to_left_texts_are_explained():
    found = masked().predict(Words(["The", "[MASK]", "was", "dull"]))
    same = masked().predict("The [MASK] was dull")
    assert np.array_equal(found.top_ids, same.top_ids)
    pair = masked().compute_saliency(("The [MASK] was dull.", "A king!"), method="saliency")
    assert {0, 1} <= set(pair.tokens.segments.tolist())
    both = masked("xlm-roberta").analyze("שלום <mask> 👨‍👩‍👧!", evaluate=False, show=False)
    assert "שלום" in both.to_html()


def test_all_masks_share_a_forward_pass_and_its_backward_pass():
    text = text_of()
    length = len(masked().predict(text).tokens)
    with counted(masked().model) as counts:
        found = masked().compute_saliency(text, target="king", method="saliency")
    assert len(found.targets) == 2
    assert (counts["forwards"], counts["positions"]) == (1, length)
    assert counts["backward_positions"] == 2 * length
    with counted(masked().model) as counts:  # the likeliest tokens are known after a pass of their own
        masked().compute_saliency(text, method="saliency")
    assert counts["forwards"] == 2
    with counted(masked().model) as counts:
        masked().predict([text, text])
    assert counts["forwards"] == 1


def test_the_report_tests_the_map_that_it_opens_with():
    report = masked().analyze(text_of(), show=False)
    assert len(report.attributions[0].targets) == 2
    (verdict,) = (each for each in report.evaluations if each.metric == "verdict")
    assert verdict.target == report.attributions[0].targets[0].description()
    assert report.heads is not None
    assert report.attention
    each = masked().evaluate(text_of(), method="saliency")
    assert [assessment.target for assessment in each] == [
        target.description() for target in masked().compute_saliency(text_of(), method="saliency").targets
    ]
    again = result_from_json(report.to_json())
    assert isinstance(again, Report)
    assert again.answer.top_labels == report.answer.top_labels
    assert again.to_html() == report.to_html()


def test_masks_have_no_color_and_are_never_removed():
    report = masked().analyze(text_of(), method="occlusion", evaluate=False, attention=(), show=False)
    (attribution,) = report.attributions
    assert attribution.tokens.special[report.answer.positions].all()
    assert not attribution.scores[:, report.answer.positions].any()


def test_a_function_of_the_outputs_is_explained():
    text = text_of()
    position = int(masked().predict(text).positions[1])
    found = masked().compute_saliency(
        text, target=lambda outputs: outputs.logits[0, position, 9], method="saliency"
    )
    plain = masked().compute_saliency(text, target={1: 9}, quantity="logit", method="saliency")
    np.testing.assert_allclose(found.scores, plain.scores, rtol=1e-4)


def test_likeliest_tokens_of_a_padded_vocabulary_are_named_by_their_number():
    padded = masked("bert-padded")
    filling = padded.predict(text_of("bert-padded"))
    size = len(padded.tokenizer)
    unknown = [token for token in filling.top_ids[0].tolist() if token >= size]
    assert unknown
    assert [label for label in filling.top_labels[0] if label.startswith("<id ")] == [
        f"<id {token}>" for token in unknown
    ]
    found = padded.compute_saliency(text_of("bert-padded"), target=unknown[0], method="saliency")
    assert found.targets[0].labels == (f"<id {unknown[0]}>",)


def test_texts_that_are_too_long_are_refused_or_skipped():
    text = f"{LONG} [MASK]"
    assert "accepts at most 96" in refused(masked().predict, text)
    assert "accepts at most 96" in refused(masked().pseudo_log_likelihood, LONG)
    first, second = masked().pseudo_log_likelihood(["A film.", LONG], errors="skip")
    assert first.total < 0
    assert not second
    assert "accepts at most 96" in second.message


def test_the_right_class_is_picked_for_a_masked_language_model():
    model, tokenizer = tiny_masked.build("bert"), tiny_masked.tokenizer_of("bert")
    assert type(visualizer(model, tokenizer=tokenizer)) is MaskedLMVisualizer
    assert type(visualizer(model, tokenizer=tokenizer, task="fill-mask")) is MaskedLMVisualizer


def test_a_checkpoint_made_for_pretraining_has_its_masked_head(tmp_path):
    """BERT's own checkpoints name BertForPreTraining, which has the head of a masked language model."""
    import transformers as hf

    config = tiny_masked.build("bert").config
    torch.manual_seed(3)
    pretrained = hf.BertForPreTraining(config).eval()
    pretrained.save_pretrained(tmp_path)
    tokenizer = tiny_masked.tokenizer_of("bert")
    tokenizer.save_pretrained(tmp_path)
    loaded = MaskedLMVisualizer(str(tmp_path), device="cpu")
    filling = loaded.predict("The [MASK] was dull.")
    with torch.no_grad():
        logits = pretrained(**tokenizer("The [MASK] was dull.", return_tensors="pt")).prediction_logits[0]
    expected = logits[int(filling.positions[0])].softmax(-1).topk(10)
    np.testing.assert_allclose(filling.top_probabilities[0], expected.values, rtol=1e-4)


# Pseudo-log-likelihoods.


def test_pseudo_log_likelihood_runs_a_row_for_each_token_in_one_batch():
    tokens = masked().pseudo_log_likelihood("A dull film.").tokens
    scored = int((~tokens.special).sum())
    shapes = forwards_of(masked().model, lambda: masked().pseudo_log_likelihood("A dull film."))
    assert shapes == [(scored, len(tokens))]
    shapes = forwards_of(
        masked().model, lambda: masked().pseudo_log_likelihood(["A dull film.", "A dull film."])
    )
    assert shapes == [(2 * scored, len(tokens))]


def test_masks_of_the_text_stay_and_are_not_scored():
    found = masked().pseudo_log_likelihood("A [MASK] film.")
    assert found.tokens.pieces[2] == "[MASK]"
    assert 2 not in found.positions


def test_two_texts_are_compared_in_sum_and_by_token():
    first, second = masked().pseudo_log_likelihood(["The king was bad.", "The king were bad."])
    compared = compare(first, second, names=("was", "were"))
    assert compared.difference == pytest.approx(second.total - first.total)
    assert compared.preferred == int(second.total > first.total)
    assert float(compared.differences.sum()) == pytest.approx(compared.difference, abs=1e-4)
    table = compared.to_dataframe()
    assert (table["first"] == "king").sum() == 1
    king = table[table["first"] == "king"].iloc[0]
    position = first.tokens.labels().index("king")
    assert king["first_log_probability"] == pytest.approx(
        float(first.log_probabilities[first.positions.tolist().index(position)])
    )
    name = ("was", "were")[compared.preferred]
    assert str(compared).startswith(f"More natural to the model: {name}, by ")
    again = result_from_json(compared.to_json())
    assert again.difference == compared.difference


def test_texts_of_different_lengths_are_compared_per_token_too():
    first, second = masked().pseudo_log_likelihood(["The king was bad.", "The king was."])
    line = str(compare(first, second)).split("\n")[0]
    means = sorted([f"{first.mean:.3g}", f"{second.mean:.3g}"])
    assert "per token" in line
    assert all(mean.replace("-", "−") in line for mean in means)


def test_likelihoods_show_themselves_everywhere():
    first, second = masked("xlm-roberta").pseudo_log_likelihood(["A king שלום.", "<b>A film & more</b>"])
    for result in (first, second, compare(first, second)):
        html = result._repr_html_()
        assert "pseudo" in html.lower()
        assert "<b>A" not in html
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            result.show()
        assert "seudo-log-likelihood" in printed.getvalue()
    assert f"{first.total:.3g}".replace("-", "−") in str(first)
    least = first.to_dataframe().sort_values("log_probability").iloc[0]
    assert least["token"] in str(first)


def test_an_unknown_masking_is_refused():
    assert refused(masked().pseudo_log_likelihood, "A film.", masking="all").startswith(
        "Unknown masking 'all'. Allowed: token, word-l2r."
    )
