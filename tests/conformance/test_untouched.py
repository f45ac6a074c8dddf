"""The user's model is bit-identical afterwards, whatever happens in the middle."""

import threading

import oracles
import pytest
import torch
from pass_counts import measured
from tiny_models import PROBE, visualizer_of
from untouched import assert_same, prepared, snapshot

from model_understanding import InputError

NAMES = ("bert", "gpt2-classifier", "xlnet", "gpt2", "llama", "gemma3", "mamba")


@pytest.mark.parametrize("name", NAMES)
def test_everything_is_as_before(name):
    model = prepared(name)
    before = snapshot(model)
    visualizer = visualizer_of(name, model=model)
    visualizer.analyze(PROBE, show=False)
    visualizer.compute_saliency(PROBE, method="input_x_gradient")
    assert_same(before, snapshot(model))


@pytest.mark.parametrize("name", NAMES)
def test_training_mode_does_not_change_the_answer(name):
    one = visualizer_of(name).compute_saliency(PROBE, method="saliency")
    other = visualizer_of(name, model=prepared(name)).compute_saliency(PROBE, method="saliency")
    assert oracles.close(other.scores, one.scores)


FAULTS = ("read_values", "swapped forward", "backward", "capture")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["bert", "gpt2-classifier", "llama"])
def test_a_fault_in_the_middle_leaves_no_trace(name, fault, monkeypatch):
    model = prepared(name)
    before = snapshot(model)
    visualizer = visualizer_of(name, model=model)

    def broken(*_, **__):
        raise RuntimeError("planted")

    if fault == "read_values":
        monkeypatch.setattr("model_understanding.passes.runner.read_values", broken)
    elif fault == "swapped forward":
        inner = [module for module in model.modules() if not list(module.children())][-1]
        monkeypatch.setattr(type(inner), "forward", broken)
    elif fault == "backward":
        monkeypatch.setattr(torch.autograd, "grad", broken)
    else:
        monkeypatch.setattr("model_understanding.attention.capture.weights.KeptLayers.keep", broken)
    with pytest.raises((RuntimeError, InputError), match="planted"):
        visualizer.compute_attention(PROBE) if fault == "capture" else visualizer.compute_saliency(
            PROBE, method="saliency"
        )
    monkeypatch.undo()
    assert_same(before, snapshot(model))


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_two_threads_give_the_answers_of_one_after_the_other(name):
    model = prepared(name)
    before = snapshot(model)
    texts = [PROBE, "Don't call it bad!"] * 6
    alone = [visualizer_of(name).compute_saliency(text, method="saliency").scores for text in texts]
    attention = [visualizer_of(name).compute_attention(text).weights for text in texts]
    found: dict[int, object] = {}

    def work(start):
        visualizer = visualizer_of(name, model=model)
        for number in range(start, len(texts), 2):
            found[number] = (
                visualizer.compute_saliency(texts[number], method="saliency").scores,
                visualizer.compute_attention(texts[number]).weights,
            )

    threads = [threading.Thread(target=work, args=(start,)) for start in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(len(texts)):
        assert oracles.close(found[number][0], alone[number])
        assert oracles.close(found[number][1], attention[number])
    assert_same(before, snapshot(model))


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_the_callers_gradient_mode_does_not_matter(context):
    visualizer = visualizer_of("bert")
    expected = visualizer.compute_saliency(PROBE, method="saliency").scores
    with context():
        found = visualizer.compute_saliency(PROBE, method="saliency")
    assert oracles.close(found.scores, expected)


def test_forwards_backwards_and_positions_are_counted(monkeypatch):
    """What a task costs: exact, where a time would not be."""
    visualizer = measured(visualizer_of("llama"))
    options = {"target": "continuation", "continuation": " a king lived", "method": "saliency"}
    visualizer.compute_saliency(PROBE, **options, per_token=True)  # measures whether prefixes agree, once
    counts = {"forwards": 0, "positions": 0, "logits": 0, "backwards": 0}

    def count_forward(_, arguments, keywords, outputs):
        counts["forwards"] += 1
        counts["positions"] += keywords["input_ids"].numel()
        counts["logits"] += outputs.logits.shape[1]

    handle = visualizer.model.register_forward_hook(count_forward, with_kwargs=True)
    grad = torch.autograd.grad

    def count_backward(*arguments, **keywords):
        counts["backwards"] += 1
        return grad(*arguments, **keywords)

    monkeypatch.setattr(torch.autograd, "grad", count_backward)
    try:
        rows = visualizer.compute_saliency(PROBE, **options, per_token=True)
        steps, tokens = rows.scores.shape
        # One forward over all but the last token, logits only where they are read, one backward of the
        # head for all targets and one batched product below it.
        assert counts == {"forwards": 1, "positions": tokens - 1, "logits": steps, "backwards": 2}
        counts.update(dict.fromkeys(counts, 0))
        visualizer.compute_saliency(PROBE, **options)
        assert counts == {"forwards": 1, "positions": tokens - 1, "logits": steps, "backwards": 1}
        counts.update(dict.fromkeys(counts, 0))
        visualizer.compute_saliency(
            PROBE, target="next", method="saliency"
        )  # the likeliest: said by the same forward
        prompt = tokens - steps
        assert counts == {"forwards": 1, "positions": prompt, "logits": 1, "backwards": 1}
        counts.update(dict.fromkeys(counts, 0))
        visualizer.compute_attention(PROBE, continuation=" a king lived", layer="all", head="all")
        assert counts == {"forwards": 1, "positions": tokens, "logits": 1, "backwards": 0}
    finally:
        handle.remove()


def test_texts_of_one_length_share_their_forwards():
    visualizer = measured(visualizer_of("bert"))
    sizes = []

    def count(_, arguments, keywords, outputs):
        sizes.append(tuple(keywords["input_ids"].shape))

    handle = visualizer.model.register_forward_hook(count, with_kwargs=True)
    try:
        visualizer.compute_saliency([PROBE, PROBE, "Don't call it bad!", PROBE], method="saliency")
    finally:
        handle.remove()
    short, long = sorted({length for _, length in sizes})
    # The forward of the gradients also says which class was predicted.
    assert sorted(sizes) == sorted([(1, short), (3, long)])
