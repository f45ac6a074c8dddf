"""Similarities of tiny sentence encoders of many architectures and poolings against plain torch."""

import numpy as np
import pytest
import tiny_models
import tiny_similarity
import torch
from tiny_similarity import PAIR, PAIRS, POOLINGS, cosine, embedding_by_hand

NAMES = list(POOLINGS)


def _embedding(name: str, text: str) -> torch.Tensor:
    return embedding_by_hand(
        tiny_similarity.encoder(name), tiny_models.tokenizer_of(name), text, POOLINGS[name]
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pair", PAIRS)
def test_similarity_is_the_cosine_of_embeddings_pooled_by_hand(name, pair):
    visualizer = tiny_similarity.visualizer(name)
    expected = cosine(*(_embedding(name, text) for text in pair))
    assert float(visualizer.predict(pair)) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("mode", ["mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"])
@pytest.mark.parametrize("name", ["bert", "qwen2"])
def test_every_pooling_is_that_of_its_definition(name, mode):
    visualizer = tiny_similarity.visualizer(name, mode)
    by_hand = embedding_by_hand(tiny_similarity.encoder(name), tiny_models.tokenizer_of(name), PAIR[0], mode)
    np.testing.assert_allclose(visualizer.embed(PAIR[0]), by_hand, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_pairs_give_the_same_alone_and_among_others(name):
    visualizer = tiny_similarity.visualizer(name)
    alone = [float(visualizer.predict(pair)) for pair in PAIRS]
    together = visualizer.predict([*PAIRS, PAIRS[0][::-1]])
    np.testing.assert_allclose([float(each) for each in together[:3]], alone, atol=2e-6)
    assert float(together[3]) == pytest.approx(alone[0], abs=2e-6)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_plain_torch(name):
    visualizer = tiny_similarity.visualizer(name)
    model, tokenizer = tiny_similarity.encoder(name), tiny_models.tokenizer_of(name)
    table = model.get_input_embeddings()
    leaves, vectors = [], []

    def cut(module, arguments, output):
        leaf = output.detach().requires_grad_()
        leaves.append(leaf)
        return leaf.clone()

    handle = table.register_forward_hook(cut)
    for text in PAIR:
        inputs = tokenizer(text, return_tensors="pt")
        states = model(input_ids=inputs["input_ids"]).last_hidden_state[0]
        modes = POOLINGS[name]
        modes = (modes,) if isinstance(modes, str) else modes
        vectors.append(torch.cat([tiny_similarity.pooled(states, mode) for mode in modes]))
    handle.remove()
    torch.nn.functional.cosine_similarity(vectors[0], vectors[1], dim=0).backward()
    expected = torch.cat([leaf.grad[0].norm(dim=1) for leaf in leaves])
    scores = visualizer.compute_saliency(PAIR, method="saliency").scores[0]
    np.testing.assert_allclose(scores, expected, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["bert", "roberta", "mpnet", "modernbert"])
def test_removed_words_are_hidden_and_left_out_of_the_pooling(name):
    visualizer = tiny_similarity.visualizer(name, "mean")
    model, tokenizer = tiny_similarity.encoder(name), tiny_models.tokenizer_of(name)
    attribution = visualizer.compute_saliency(PAIR, method="leave_one_out")
    first = tokenizer(PAIR[0], return_tensors="pt")["input_ids"]
    second = embedding_by_hand(model, tokenizer, PAIR[1], "mean")
    whole = cosine(embedding_by_hand(model, tokenizer, PAIR[0], "mean"), second)
    for place in range(1, first.shape[1] - 1):
        mask = torch.ones_like(first)
        mask[0, place] = 0
        with torch.no_grad():
            states = model(input_ids=first, attention_mask=mask).last_hidden_state[0]
        without = cosine(states[mask[0].bool()].mean(dim=0), second)
        assert attribution.scores[0, place] == pytest.approx(whole - without, abs=5e-6)


@pytest.mark.parametrize("name", NAMES)
def test_links_sum_to_the_cosine_without_the_rest(name):
    pooling = POOLINGS[name] if POOLINGS[name] != "max" else "mean"  # a maximum has corners along the path
    visualizer = tiny_similarity.visualizer(name, pooling)
    links = visualizer.compute_links(*PAIR)
    assert links.method == "integrated_jacobians"
    assert links.similarity == pytest.approx(float(visualizer.predict(PAIR)), abs=2e-6)
    assert links.total + links.rest + links.gap == pytest.approx(links.similarity, abs=1e-5)
    assert abs(links.gap) < 1e-3
    assert not links.scores[links.first.special].any()
    assert not links.scores[:, links.second.special].any()
