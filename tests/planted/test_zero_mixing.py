"""A decoder that mixes no positions: only the last token can matter, and nothing has to be trained."""

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from model_understanding import GenerativeModelVisualizer
from model_understanding.registry import METHODS
from planted import vocabulary
from planted.scoring import method_of

TEXT = "word1 word2 alpha word3 value4 word5 beta word6"
# Weights of attention stand whether or not anything is made of what they carry.
READS_WEIGHTS_ALONE = ("attention_rollout",)
# A regression spreads what the drawn subsets leave undecided; it promises its limit alone.
FITS = {"lime": 1e-1, "kernel_shap": 1e-3}
# What the embedding is worth to a network that divides by its length: x · ∂f/∂x = 0. And no weight of
# attention reaches the answer, so none has a gradient.
NOTHING_LEFT = ("input_x_gradient", "gradient_weighted_attention")


@pytest.fixture(scope="session")
def without_mixing():
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary.SIZE,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            initializer_range=0.3,
            pad_token_id=0,
            bos_token_id=vocabulary.NUMBER["<s>"],
            eos_token_id=None,
        )
    ).eval()
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
    return GenerativeModelVisualizer(model=model, tokenizer=vocabulary.of_a_language_model())


@pytest.mark.parametrize("name", METHODS.names())
def test_no_other_position_has_a_score(without_mixing, name):
    found = without_mixing.compute_saliency(TEXT, target="next", method=method_of(name)).scores[0]
    elsewhere = np.abs(found[:-1]).max()
    if name in READS_WEIGHTS_ALONE:
        assert elsewhere > 0.05 * found[-1]  # attention is no attribution
    elif name in FITS:
        assert elsewhere < FITS[name] * abs(found[-1])
    else:
        assert elsewhere == 0.0
        assert (abs(found[-1]) > 0.01) == (name not in NOTHING_LEFT)
