"""Attention methods of models that answer at single tokens start where the answer is read."""

import numpy as np
import pytest
import tiny_masked
import tiny_taggers

from model_understanding import MaskedLMVisualizer, TokenClassificationVisualizer

TEXT = "Paris is a far away land."


@pytest.mark.parametrize("name", ["bert", "distilbert", "llama"])
def test_a_taggers_rollout_starts_at_the_token_of_its_label(name):
    visualizer = TokenClassificationVisualizer(
        model=tiny_taggers.build(name), tokenizer=tiny_taggers.tokenizer_of(name)
    )
    rollout = visualizer.compute_attention(TEXT, kind="rollout")
    for position in (1, 4):
        scores = visualizer.compute_saliency(TEXT, method="attention_rollout", target=(position, "B-PER"))
        assert np.abs(scores.scores[0] - rollout.weights[0, 0, position]).max() < 1e-5


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_a_masks_rollout_starts_at_the_mask(name):
    visualizer = MaskedLMVisualizer(model=tiny_masked.build(name), tokenizer=tiny_masked.tokenizer_of(name))
    text = tiny_masked.text_of(name)
    rollout = visualizer.compute_attention(text, kind="rollout")
    scores = visualizer.compute_saliency(text, method="attention_rollout")
    for target, row in zip(scores.targets, scores.scores, strict=True):
        assert np.abs(row - rollout.weights[0, 0, target.positions[0]]).max() < 1e-5
