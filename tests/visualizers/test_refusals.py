"""What docs/limits.md says that a kind of model cannot have is refused, and the hint of the refusal works."""

import pytest
import tiny_kinds

from model_understanding import InputError, UnsupportedModelError, visualizer

PAIR = ("A far land", "The dull king, a plot!")
INPUTS = {
    "seq2seq-lm": "The dull king, a plot!",
    "question-answering": PAIR,
    "multiple-choice": ("A far land", ["a king", "a plot"]),
    "reranking": ("A far land", ["a king", "a plot"]),
    "sentence-similarity": PAIR,
    "masked-lm": "A far [MASK].",
}
THROUGH_LAYERS = ("attention_rollout", "gradient_weighted_attention", "value_weighted_attention")
THROUGH_LAYERS = (*THROUGH_LAYERS, "value_zeroing_rollout", "information_flow_routes")


def explainer(task):
    options = {"pooling": "mean"} if task == "sentence-similarity" else {}
    return visualizer(tiny_kinds.build(task), tokenizer=tiny_kinds.tokenizer_of(task), task=task, **options)


def refused(task, call, *, error=UnsupportedModelError):
    explains = explainer(task)
    with pytest.raises(error) as caught:
        call(explains, INPUTS[task])
    assert caught.value.hint
    return str(caught.value)


@pytest.mark.parametrize(
    "task", ["question-answering", "multiple-choice", "reranking", "sentence-similarity"]
)
def test_no_logit_lens_without_one_distribution(task):
    message = refused(task, lambda explains, text: explains.compute_logit_lens(text))
    assert message.startswith("A logit lens reads one distribution over answers at each layer, and ")


@pytest.mark.parametrize("method", THROUGH_LAYERS)
@pytest.mark.parametrize("task", ["seq2seq-lm", "sentence-similarity"])
def test_no_method_follows_attention_through_two_texts(task, method):
    message = refused(task, lambda explains, text: explains.compute_saliency(text, method=method))
    assert "one stack of layers" in message or "two texts, each read by itself" in message


@pytest.mark.parametrize("task", ["seq2seq-lm", "sentence-similarity"])
def test_no_layer_of_two_texts(task):
    def call(explains, text):
        explains.compute_saliency(text, method="saliency", layer=0)

    assert refused(task, call).endswith("Leave out layer to get attributions to the token embeddings.")


@pytest.mark.parametrize(
    ("kind", "stacks"),
    [
        ("rollout", ("cross", "decoder")),
        ("value_zeroing", ("cross", "decoder")),
        ("information_flow", ("cross", "decoder")),
        ("gradient_weighted", ("cross",)),
    ],
)
def test_maps_of_an_encoder_decoder(kind, stacks):
    explains = explainer("seq2seq-lm")
    for stack in ("encoder", "cross", "decoder"):
        if stack not in stacks:
            explains.compute_attention(INPUTS["seq2seq-lm"], kind=kind, stack=stack, max_new_tokens=3)
            continue
        with pytest.raises(UnsupportedModelError) as caught:
            explains.compute_attention(INPUTS["seq2seq-lm"], kind=kind, stack=stack, max_new_tokens=3)
        assert "stack='encoder'" in caught.value.hint
        for allowed in ("raw", "value_weighted"):
            assert f"kind={allowed!r}" in caught.value.hint
            explains.compute_attention(INPUTS["seq2seq-lm"], kind=allowed, stack=stack, max_new_tokens=3)


@pytest.mark.parametrize("score", ["distance", "previous_token", "induction", "induction_in_text"])
def test_no_head_score_compares_positions_of_two_texts(score):
    def call(explains, text):
        explains.score_heads(text, scores=score, stack="cross", max_new_tokens=3)

    assert "cross attention goes from the output to the source" in refused(
        "seq2seq-lm", call, error=InputError
    )


def test_a_source_has_no_loss():
    def call(explains, text):
        explains.compute_saliency(text, target="loss")

    assert "the source has no loss" in refused("seq2seq-lm", call, error=InputError)


@pytest.mark.parametrize("task", ["multiple-choice", "reranking"])
def test_no_single_text_has_the_difference_of_two_choices(task):
    def call(explains, text):
        explains.compute_saliency(text, target=text[1][0], against=text[1][1])

    refused(task, call, error=InputError)


@pytest.mark.parametrize("method", ["attn_lrp", "cp_lrp"])
def test_no_rule_of_lrp_covers_a_cosine(method):
    refused("sentence-similarity", lambda explains, text: explains.compute_saliency(text, method=method))


@pytest.mark.parametrize("method", ["gim", "saliency", "integrated_gradients", "leave_one_out"])
def test_other_methods_explain_a_similarity(method):
    found = explainer("sentence-similarity").compute_saliency(PAIR, method=method)
    assert found.scores[0][~found.tokens.special].any()


@pytest.mark.parametrize("score", ["saliency_agreement", "ablation"])
def test_no_head_score_of_one_text_has_a_target(score):
    refused("sentence-similarity", lambda explains, text: explains.score_heads(text, scores=score))


def test_no_word_of_several_tokens_for_one_mask():
    def call(explains, text):
        explains.compute_saliency(text, target="unbelievableness")

    refused("masked-lm", call, error=InputError)


@pytest.mark.parametrize(
    ("task", "given", "said", "hint"),
    [
        (
            "question-answering",
            {"question": "a", "context": None},
            "The context must be a string",
            "(question,",
        ),
        (
            "question-answering",
            (None, "b"),
            "The question must be a string. Got NoneType",
            "(question, context)",
        ),
        (
            "reranking",
            ("Who", None),
            "The documents must be one text or more. Got None",
            "(query, [documents",
        ),
        ("multiple-choice", ("Who", 3), "The choices must be one text or more. Got 3", "(question, [choices"),
        ("multiple-choice", ("Who", ["a", ""]), "One of the choices is empty: choices[1]", "one character"),
        ("token-classification", None, "A text must be a string. Got NoneType", "Pass a string."),
        ("seq2seq-lm", None, "A text must be a string. Got NoneType", "a string, chat messages or token ids"),
        ("causal-lm", 3.5, "A text must be a string. Got float", "a string, chat messages or token ids"),
        ("sequence-classification", None, "A text must be a string", "a string, or a (text, pair) tuple"),
        ("sequence-classification", ("a", None), "A text must be a string. Got None", "both strings"),
        ("reranking", ("a", {"x": 1}), "The documents must be one text or more. Got {'x': 1}", "(query, ["),
        ("masked-lm", 3, "A text must be a string", ""),
    ],
)
def test_what_is_no_text_is_refused_with_what_the_kind_takes(task, given, said, hint):
    call = "generate" if task in ("causal-lm", "seq2seq-lm") else "predict"
    with pytest.raises(InputError) as caught:
        getattr(explainer(task), call)(given)
    assert caught.value.message.startswith(said)
    assert hint in caught.value.hint
