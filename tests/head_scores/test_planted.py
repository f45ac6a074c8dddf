"""Known heads are found: in a model written by hand, and in SmolLM2 by what they do."""

import numpy as np
import pytest
import torch
from loaded_demos import smollm2
from tiny_models import encoded

from model_understanding.head_scores.repeated_text import added_ids, repeated_random_text

from . import planted

PLACES = [((0, 0), (1, 1)), ((0, 2), (3, 0)), ((2, 1), (3, 1))]
TEXT = "w3 w1 w4 w15 w9 w2 w6"


@pytest.mark.parametrize(("previous", "induction"), PLACES)
def test_the_planted_model_says_what_followed_before(previous, induction):
    visualizer = planted.copying_visualizer(previous, induction)
    text, start, period = repeated_random_text(visualizer.runner.model, ((), ()), period=20, count=3, seed=1)
    assert (start, period) == (0, 20)
    said = visualizer.runner.model.logits(text).argmax(-1)[:, period:-1]
    assert torch.equal(said, text.ids[:, period + 1 :])
    assert visualizer.generate(f"{TEXT} w3 w1", max_new_tokens=4).text.split() == ["w4", "w15", "w9", "w2"]


@pytest.mark.parametrize(("previous", "induction"), PLACES)
def test_the_planted_heads_are_found(previous, induction):
    visualizer = planted.copying_visualizer(previous, induction)
    text = f"{TEXT} {TEXT}"
    scores = visualizer.score_heads(text, scores=["previous_token", "induction", "induction_in_text"])
    for name, planted_head in (
        ("previous_token", previous),
        ("induction", induction),
        ("induction_in_text", induction),
    ):
        first, second = scores.ranking(name, 2)
        assert (first.layer, first.head) == planted_head
        assert first.score > 0.99
        assert second.score < 0.5
    # What is said a second time needs both heads, and no other.
    first, _, rest = TEXT.partition(" ")
    scores = visualizer.score_heads(f"{TEXT} {first}", scores="ablation", continuation=rest)
    effects = scores.of("ablation")
    assert {(one.layer, one.head) for one in scores.ranking("ablation", 2)} == {previous, induction}
    assert effects[previous] > 1
    assert effects[induction] > 1
    others = np.ones_like(effects, dtype=bool)
    others[previous] = others[induction] = False
    assert np.abs(effects[others]).max() < 1e-4
    map = visualizer.compute_attention(text, rank="induction", queries="prompt", top=1)
    assert (map.layers, map.heads) == ((induction[0],), (induction[1],))
    rows = range(8, 14)
    assert all(map.matrix()[row, row - 6] > 0.99 for row in rows)


def test_a_model_whose_head_looks_two_back_has_no_previous_token_head():
    visualizer = planted.copying_visualizer((0, 0), (1, 1))
    attention = visualizer.model.transformer.h[0].attn
    with torch.no_grad():
        rows = attention.c_attn.weight[planted.PLACE, : planted.POSITIONS]
        rows.copy_(rows.roll(-1, dims=1))
    scores = visualizer.score_heads(f"{TEXT} {TEXT}", scores=["previous_token", "induction"])
    assert scores.of("previous_token")[0, 0] < 0.2
    assert scores.of("induction").max() < 0.2


@pytest.mark.real
def test_smollm2_has_the_heads_that_copying_needs():
    visualizer = smollm2()
    text = "When the lights went out, the old man lit a candle and read to the children until they slept."
    scores = visualizer.score_heads(text, scores=["previous_token", "induction", "sink"])
    previous, induction = (scores.ranking(name, 4) for name in ("previous_token", "induction"))
    assert {(one.layer, one.head) for one in previous} == {(1, 2), (2, 1), (11, 1), (16, 0)}
    assert previous[2].score > 0.6
    assert {(one.layer, one.head) for one in induction} == {(17, 3), (17, 4), (17, 5), (18, 6)}
    assert induction[3].score > 0.7
    # What a token came after is noted down in earlier layers than what followed it is looked up.
    assert max(one.layer for one in previous) < min(one.layer for one in induction)
    # Without its first induction heads the model says random tokens a second time less surely than without
    # as many others.
    runner = visualizer.runner
    said, start, period = repeated_random_text(
        runner.model, added_ids(runner.model, encoded(visualizer, text)), period=25, count=4, seed=7
    )

    def log_probability(heads):
        handles = []
        for layer, head in heads:
            projection = visualizer.model.model.layers[layer].self_attn.o_proj
            width = projection.in_features // visualizer.model.config.num_attention_heads

            def without(_, arguments, part=slice(head * width, (head + 1) * width)):
                changed = arguments[0].clone()
                changed[..., part] = 0
                return (changed,)

            handles.append(projection.register_forward_pre_hook(without))
        try:
            chances = runner.model.logits(said).float().log_softmax(-1)
        finally:
            for handle in handles:
                handle.remove()
        second = range(start + period, start + 2 * period - 1)
        return float(
            chances[:, second].gather(-1, said.ids[:, second.start + 1 : second.stop + 1, None]).mean()
        )

    whole = log_probability([])
    first = {(one.layer, one.head) for one in induction}
    without_induction = log_probability(first)
    numbers = np.random.default_rng(0)
    layers = [one.layer for one in induction]
    heads = visualizer.model.config.num_attention_heads
    others = []
    for _ in range(5):  # heads of the same layers
        chosen = []
        for layer in layers:
            free = [h for h in range(heads) if (layer, h) not in first and (layer, h) not in chosen]
            chosen.append((layer, int(numbers.choice(free))))
        others.append(log_probability(chosen))
    assert without_induction < whole - 0.05
    assert without_induction < min(others)
