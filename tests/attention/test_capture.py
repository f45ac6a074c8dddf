"""What the capture keeps, and what it never holds."""

import oracles
import pytest
import tiny_models
import tiny_tokenizers
import torch
import transformers as hf
from tiny_models import PROBE, encoded, visualizer_of
from torch.utils._python_dispatch import TorchDispatchMode

from model_understanding import GenerativeModelVisualizer, InputError, Tokens
from model_understanding.attention.capture import layer
from model_understanding.attention.capture.reducers import ColumnMass, Pooled, TopKeys
from model_understanding.attention.capture.weights import capture_attention
from model_understanding.text.encoding import Encoding

SOME = ["bert", "deberta-v2", "modernbert", "gpt2", "mistral", "gemma3", "falcon", "gpt-oss", "xlnet"]


@pytest.fixture(params=[1, 2**21])
def cells(request, monkeypatch):
    """Blocks of the fewest rows, and one block."""
    monkeypatch.setattr(layer, "CELLS_AT_ONCE", request.param)
    monkeypatch.setattr(layer, "_LEAST_ROWS", 3)


def captured(name, layers, heads, queries, reducer):
    visualizer = visualizer_of(name)
    encoding = encoded(visualizer, PROBE)
    whole = oracles.eager_attention(name, encoding.inputs)
    return whole, capture_attention(visualizer.runner.model, encoding, layers, heads, queries, reducer)


@pytest.mark.usefixtures("cells")
@pytest.mark.parametrize("queries", [None, [7, 8, 9, 10], [20, 3, 11]])
@pytest.mark.parametrize("name", SOME)
def test_reduced_maps_are_those_of_the_whole(name, queries):
    whole, mass = captured(name, [2, 0], [1, 3], queries, ColumnMass())
    rows = range(whole.shape[-1]) if queries is None else queries
    chosen = whole[[2, 0]][:, [1, 3]][..., list(rows), :]
    assert oracles.close(mass.weights[0], chosen.mean(-2), oracles.FUSED)
    assert not mass.weights[0][..., ~mass.mask[0]].any()

    _, joined = captured(name, "mean", "max", queries, ColumnMass())
    assert oracles.close(joined.weights[0, 0, 0], whole.amax(1).mean(0)[list(rows)].mean(0), oracles.FUSED)

    _, top = captured(name, [2, 0], [1, 3], queries, TopKeys(count=4))
    assert top.keys is not None
    expected = chosen.topk(4, dim=-1).values
    assert oracles.close(top.weights[0], expected, oracles.FUSED)
    found = chosen.gather(-1, top.keys[0].clamp(min=0)).where(top.keys[0] >= 0, 0)
    assert oracles.close(found, expected, oracles.FUSED)

    for size in (1, 5, 64):
        _, pooled = captured(name, [2, 0], "mean", queries, Pooled(size=size))
        heads = pooled_by_hand(whole[[2, 0]].mean(1)[:, list(rows)], size)
        assert oracles.close(pooled.weights[0, :, 0], heads, oracles.FUSED)
        assert (pooled.weights[0, :, 0] > 0).any(0).le(pooled.mask[0]).all()
        assert not pooled.weights[0][..., ~pooled.mask[0]].any()


def pooled_by_hand(weights, size):
    """Queries averaged and keys summed in groups, one group at a time."""
    _, queries, tokens = weights.shape
    return torch.stack(
        [
            torch.stack(
                [weights[:, q : q + size, k : k + size].sum(-1).mean(-1) for k in range(0, tokens, size)],
                dim=-1,
            )
            for q in range(0, queries, size)
        ],
        dim=1,
    )


@pytest.mark.usefixtures("cells")
@pytest.mark.parametrize("name", tiny_models.each(tiny_models.WITH_ATTENTION))
def test_rows_are_the_same_in_any_blocks(name):
    whole, found = captured(name, range(3), range(4), None, None)
    assert oracles.close(found.weights[0], whole, oracles.FUSED)
    assert not found.weights[0][..., ~found.mask[0]].any()
    assert (whole.amax(dim=(0, 1)) > 0).le(found.mask[0]).all()


class Largest(TorchDispatchMode):
    """The most numbers that any operation gave."""

    numbers = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        for one in result if isinstance(result, tuple | list) else [result]:
            if isinstance(one, torch.Tensor):
                self.numbers = max(self.numbers, one.untyped_storage().nbytes() // one.element_size())
        return result


@pytest.mark.parametrize("reducer", [ColumnMass(), TopKeys(count=8), Pooled(size=128), None])
def test_a_long_text_never_holds_tokens_squared(reducer):
    tokens = 4096
    config = hf.LlamaConfig(**{**tiny_models.GROUPED, "max_position_embeddings": tokens}, vocab_size=64)
    model = hf.AutoModelForCausalLM.from_config(config).eval()
    visualizer = GenerativeModelVisualizer(model=model, tokenizer=tiny_tokenizers.llama_like())
    ids = torch.arange(tokens)[None] % 60
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    encoding = Encoding((Tokens.from_pieces(["a"] * tokens),), inputs)
    queries = [tokens - 1, 17] if reducer is None else None
    with Largest() as largest:
        found = capture_attention(visualizer.runner.model, encoding, [0, 2], "mean", queries, reducer)
    assert found.weights.shape[:3] == (1, 2, 1)
    assert largest.numbers <= layer.CELLS_AT_ONCE < tokens * tokens / 4


def test_a_causal_layer_computes_no_key_after_its_last_row(monkeypatch):
    monkeypatch.setattr(layer, "CELLS_AT_ONCE", 1)
    blocks = []
    compute = layer.FusedWeights.block

    def counted(self, start, queries):
        blocks.append(compute(self, start, queries))
        return blocks[-1]

    monkeypatch.setattr(layer.FusedWeights, "block", counted)
    for name, width in (
        ("gpt2", None),
        ("mistral", tiny_models.BY_NAME["mistral"].options["sliding_window"]),
    ):
        blocks.clear()
        visualizer = visualizer_of(name, "sdpa")
        capture_attention(visualizer.runner.model, encoded(visualizer, PROBE), [0], "mean", None)
        for block in blocks:
            rows = block.rows.tolist()
            first = 0 if width is None else max(0, rows[0] - width + 1)
            assert (block.first_key, block.end_key) == (first, rows[-1] + 1)


def test_a_reducer_refuses_what_it_cannot_do():
    with pytest.raises(InputError) as caught:
        captured("bert", "mean", [0], None, TopKeys())
    assert str(caught.value) == (
        "layers='mean' cannot join the largest weights of a row: their keys differ between layers. "
        "Choose layers by their index."
    )
    with pytest.raises(InputError, match=r"^count must be a whole number, 1 or more. Got 0. Pass count=1.$"):
        TopKeys(count=0)
    with pytest.raises(InputError, match=r"^size must be a whole number, 1 or more. Got 0. Pass size=1.$"):
        Pooled(size=0)
