"""Models that fail on a text: what is said, and that other texts are explained."""

import pytest
import tiny_models
import torch
from transformers import (
    CanineConfig,
    CanineForSequenceClassification,
    CanineTokenizer,
    NystromformerConfig,
    NystromformerForSequenceClassification,
)

from model_understanding import InputError, ModelVisualizer

SHORT, LONG = "ok", "A good film"


def canine():
    """A model that has no place for texts of fewer characters than it joins into one position."""
    torch.manual_seed(0)
    config = CanineConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_hash_functions=2,
        num_hash_buckets=64,
        downsampling_rate=8,
        upsampling_kernel_size=4,
        max_position_embeddings=128,
    )
    return ModelVisualizer(
        model=CanineForSequenceClassification(config).eval(), tokenizer=CanineTokenizer(model_max_length=64)
    )


def of_at_least_five_tokens():
    model = tiny_models.fresh("bert")
    whole = model.bert.forward

    def forward(input_ids, **options):
        if input_ids.shape[1] < 5:
            raise AssertionError
        return whole(input_ids, **options)

    model.bert.forward = forward
    return ModelVisualizer(model=model, tokenizer=tiny_models.tokenizer_of("bert"))


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (
            canine,
            "CanineForSequenceClassification fails on a text of 4 tokens: RuntimeError: max_pool1d() Invalid "
            "computed output size: 0.",
        ),
        (
            of_at_least_five_tokens,
            "BertForSequenceClassification fails on a text of 4 tokens: AssertionError.",
        ),
    ],
)
def test_what_the_model_itself_raises_is_said(build, said):
    visualizer = build()
    for ask in (
        visualizer.predict,
        visualizer.compute_saliency,
        visualizer.compute_attention,
        visualizer.score_heads,
        visualizer.analyze,
    ):
        with pytest.raises(InputError) as caught:
            ask(SHORT)
        assert caught.value.message == said
        assert isinstance(caught.value.__cause__, RuntimeError | AssertionError)
    assert visualizer.compute_saliency(LONG, method="leave_one_out").scores.any()
    failure, prediction = visualizer.predict([SHORT, LONG], errors="skip")
    assert failure.message == said
    assert prediction.label


def test_a_text_of_a_length_that_blocks_cannot_be_split_into():
    """Nyströmformer averages blocks of tokens, which a text must fill: our short probes do not either."""
    torch.manual_seed(0)
    config = NystromformerConfig(
        vocab_size=128,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=32,
        segment_means_seq_len=96,
        num_landmarks=8,
    )
    model = NystromformerForSequenceClassification(config).eval()
    visualizer = ModelVisualizer(model=model, tokenizer=tiny_models.tokenizer_of("bert"))
    for ask in (
        visualizer.predict,
        visualizer.compute_saliency,
        visualizer.compute_attention,
        visualizer.compute_logit_lens,
    ):
        with pytest.raises(InputError, match=r"fails on a text of [0-9]+ tokens: RuntimeError"):
            ask(LONG)


def test_a_fault_of_hooks_is_not_taken_for_one_of_the_model():
    visualizer = tiny_models.visualizer_of("bert")
    encoding = tiny_models.encoded(visualizer, LONG)
    with pytest.raises(ZeroDivisionError, match="ours"), visualizer.runner.model.own_failures(encoding):
        raise ZeroDivisionError("ours")
