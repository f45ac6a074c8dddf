"""What an explanation takes: one tokenization, few calls of our own, and the target that was meant."""

import traceback

import numpy as np
import pytest
from pass_counts import measured
from tiny_models import PROBE, visualizer_of

from model_understanding import GenerativeModelVisualizer, InputError, ModelVisualizer
from model_understanding.visualizers import heads

CONTINUATION = " a king"
ONE_CALL = ("saliency", "input_x_gradient", "gim")
MOST_FRAMES = {**dict.fromkeys(ONE_CALL, 13), **dict.fromkeys(("integrated_gradients", "occlusion"), 17)}


@pytest.fixture
def tokenized(monkeypatch):
    """Return a function that counts how often a visualizer's tokenizer is called."""

    def watch(visualizer) -> list[str]:
        monkeypatch.setattr(heads, "MOST_TOKENS_IN_REPORT", 0)  # induction makes a text of its own
        calls: list[str] = []
        kind = type(visualizer.tokenizer)
        call = kind.__call__

        def counting(self, text, *arguments, **options):
            calls.append(text)
            return call(self, text, *arguments, **options)

        monkeypatch.setattr(kind, "__call__", counting)
        return calls

    return watch


@pytest.mark.parametrize("evaluate", [False, True])
def test_analyzing_a_text_tokenizes_it_once(tokenized, evaluate):
    visualizer = measured(visualizer_of("bert"))
    calls = tokenized(visualizer)
    visualizer.analyze(PROBE, evaluate=evaluate, show=False)
    assert calls == [PROBE]


@pytest.mark.parametrize(
    ("continuation", "texts"), [(None, [PROBE]), (CONTINUATION, [PROBE, PROBE + CONTINUATION])]
)
def test_analyzing_a_prompt_tokenizes_it_once(tokenized, continuation, texts):
    visualizer = measured(visualizer_of("gpt2"))
    calls = tokenized(visualizer)
    visualizer.analyze(PROBE, continuation, max_new_tokens=4, show=False)
    assert calls == texts


@pytest.mark.parametrize("method", MOST_FRAMES)
@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_the_way_to_the_model_is_short(name, method):
    visualizer = visualizer_of(name)
    options = {"target": "next"} if isinstance(visualizer, GenerativeModelVisualizer) else {}
    visualizer.compute_saliency(PROBE, method=method, **options)  # what is measured once for a model
    depths = []

    def count(*_):
        frames = traceback.extract_stack()
        depths.append(sum("/model_understanding/" in frame.filename for frame in frames))

    hook = visualizer.model.register_forward_pre_hook(count)
    try:
        visualizer.compute_saliency(PROBE, method=method, **options)
    finally:
        hook.remove()
    assert 0 < max(depths) <= MOST_FRAMES[method]


def test_the_default_target_is_the_continuation_where_one_is_given_else_the_loss():
    visualizer = visualizer_of("gpt2")
    for explain in (
        lambda **options: visualizer.compute_saliency(PROBE, method="saliency", **options).targets[0],
        lambda **options: visualizer.score_heads(PROBE, scores="ablation", **options).target,
    ):
        assert explain() == explain(target="loss")
        assert explain(continuation=CONTINUATION) == explain(target="continuation", continuation=CONTINUATION)
    assert "loss" in visualizer.evaluate(PROBE, method="saliency").target
    judged = visualizer.evaluate(PROBE, method="saliency", continuation=CONTINUATION)
    assert "continuation" in judged.target


@pytest.mark.parametrize("word", ["next", "loss", "continuation"])
def test_a_token_that_is_spelled_like_a_target_is_named_in_a_list(word):
    visualizer = visualizer_of("gpt2")
    ids = visualizer.tokenizer(word)["input_ids"]
    with pytest.raises(InputError, match=f"'{word}' is {len(ids)} tokens"):
        visualizer.compute_saliency(PROBE, target=[word], method="saliency")


def test_a_text_is_drawn_by_the_layer_and_head_that_are_named():
    visualizer = visualizer_of("bert")
    one = visualizer.plot_attention(PROBE, layer=0, head=2)
    other = visualizer.plot_attention(
        visualizer.compute_attention(PROBE, layer=[0, 1], head="all"), layer=0, head=2
    )
    drawn = [axes.collections[0].get_array() for axes in (one, other)]
    np.testing.assert_array_equal(*drawn)
    rolled = visualizer.compute_attention(PROBE, kind="rollout")
    assert visualizer.plot_attention(PROBE, kind="rollout").get_title() == (
        visualizer.plot_attention(rolled).get_title()
    )
    with pytest.raises(InputError, match="kind='rollout' chooses the map of a text"):
        visualizer.plot_attention(rolled, kind="rollout")


def test_a_grid_of_a_text_has_a_tile_for_each_layer_and_head():
    visualizer = visualizer_of("bert")
    assert isinstance(visualizer, ModelVisualizer)
    whole = visualizer.compute_attention(PROBE, layer="all", head="all")
    figures = [visualizer.plot_attention(given, view="grid").figure for given in (PROBE, whole)]
    assert len(figures[0].axes) == len(figures[1].axes)
