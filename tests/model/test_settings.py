"""Settings of a configuration that differ by layer."""

import pytest
import transformers as hf

from model_understanding.model.settings import by_layer, largest


@pytest.mark.parametrize("config", [hf.BertConfig, hf.Qwen3Config])
def test_each_layer_has_its_own_value(config):
    sizes = {"num_hidden_layers": 3, "num_attention_heads": 4, "hidden_size": 32}
    plain = config(**sizes)
    assert by_layer(plain, "num_attention_heads") == [4, 4, 4]
    varied = config(**sizes, per_layer_config={1: {"num_attention_heads": 8}})
    assert by_layer(varied, "num_attention_heads") == [4, 8, 4]
    assert largest(varied, "num_attention_heads") == 8
    assert largest(varied, "missing", 5) == 5
