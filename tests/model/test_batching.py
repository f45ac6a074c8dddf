"""Batches that fit, and halving where they do not: the same results in the same order, with a warning."""

import numpy as np
import oracles
import pytest
import torch
from tiny_models import PROBE, TEXTS, build, encoded, fresh, visualizer_of

from model_understanding import NumericalError
from model_understanding.model import memory
from model_understanding.model.batching import Batches, memory_cautions
from model_understanding.model.memory import POSITIONS_AT_ONCE, Memory


def a_memory():
    return Memory(build("bert"), torch.device("cpu"))


def run_batched(run, *arguments, **options):
    """Run every batch, and those that run out of memory again in halves."""
    batches = Batches(*arguments, **options)
    results = []
    for start, end in batches:
        with batches.halving():
            results.append(run(start, end))
    return results


def test_every_variant_is_run_once_in_order():
    batches = run_batched(lambda start, end: list(range(start, end)), 7, POSITIONS_AT_ONCE // 3, a_memory())
    assert batches == [[0, 1, 2], [3, 4, 5], [6]]


def test_a_variant_larger_than_the_budget_still_runs():
    assert run_batched(lambda start, end: end - start, 2, 10 * POSITIONS_AT_ONCE, a_memory()) == [1, 1]


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory")]
)
def test_a_batch_is_halved_where_memory_runs_out(error, caplog):
    def run(start, end):
        tried.append(end - start)
        if end - start > 2:
            raise error
        return list(range(start, end))

    tried, memory = [], a_memory()
    with memory_cautions() as cautions:
        assert [number for batch in run_batched(run, 9, 1, memory) for number in batch] == list(range(9))
    assert cautions == [
        "Out of memory with 9 texts per batch; continuing with 4.",
        "Out of memory with 4 texts per batch; continuing with 2.",
    ]
    assert [record.message for record in caplog.records] == cautions
    assert tried == [9, 4, 2, 2, 2, 2, 1]
    tried.clear()
    run_batched(run, 4, 1, memory)
    assert tried == [2, 2]  # what did not fit once is not tried again
    run_batched(run, 2, 1, memory, gradients=True)
    assert tried == [2, 2, 2]


def test_a_single_text_that_does_not_fit_is_refused():
    def run(start, end):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(NumericalError) as caught:
        run_batched(run, 4, 100, a_memory())
    assert str(caught.value) == (
        "Not enough memory for a single text of 100 tokens. "
        "Use a shorter text, a smaller dtype or another device."
    )


def test_other_errors_pass():
    def run(start, end):
        raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        run_batched(run, 1, 1, a_memory())


def limited(name, most):
    """Return a visualizer whose model runs out of memory above so many rows × tokens."""
    model = fresh(name)

    def refuse(module, arguments, keywords):
        if keywords["input_ids"].numel() > most:
            raise torch.OutOfMemoryError("CUDA out of memory (planted)")

    model.register_forward_pre_hook(refuse, with_kwargs=True)
    return visualizer_of(name, model=model)


@pytest.mark.parametrize("method", ["saliency", "integrated_gradients", "smooth_grad", "gim", "occlusion"])
def test_a_model_that_runs_out_of_memory_gives_the_same_answers(method):
    texts = [PROBE, TEXTS[1], PROBE, PROBE, PROBE, PROBE]
    length = len(encoded(visualizer_of("bert"), PROBE).tokens[0])
    expected = visualizer_of("bert").compute_saliency(texts, method=method)
    found = limited("bert", 2 * length).compute_saliency(texts, method=method)
    for one, other in zip(expected, found, strict=True):
        assert one.tokens.texts == other.tokens.texts
        assert oracles.close(other.scores, one.scores, 1e-4)
        assert not one.provenance.cautions
    told = [caution for attribution in found for caution in attribution.provenance.cautions]
    assert any(
        caution.startswith("Out of memory with ") and "; continuing with " in caution for caution in told
    )


def test_saliency_of_five_texts_says_what_was_halved(caplog):
    length = len(encoded(visualizer_of("bert"), PROBE).tokens[0])
    found = limited("bert", 2 * length).compute_saliency([PROBE] * 5, target=1, method="saliency")
    told = "Out of memory with 5 texts per batch; continuing with 2."
    assert [attribution.provenance.cautions for attribution in found] == [(told,)] * 5
    assert [record.message for record in caplog.records] == [told]


def test_a_product_of_targets_is_halved(monkeypatch, caplog):
    monkeypatch.setattr(memory, "PRODUCT_POSITIONS_AT_ONCE", 1024)
    visualizer = visualizer_of("llama")
    options = {
        "target": "continuation",
        "continuation": " a king of a far away land",
        "per_token": True,
        "method": "saliency",
    }
    expected = visualizer.compute_saliency(PROBE, **options)
    own = torch.autograd.grad

    def hungry(outputs, inputs, grad_outputs=None, **keywords):
        if keywords.get("is_grads_batched") and grad_outputs is not None and len(grad_outputs) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory (planted)")
        return own(outputs, inputs, grad_outputs, **keywords)

    monkeypatch.setattr(torch.autograd, "grad", hungry)
    found = visualizer.compute_saliency(PROBE, **options)
    assert np.array_equal(found.valid, expected.valid)
    assert oracles.close(found.scores, expected.scores)
    assert any(
        caution.startswith("Out of memory with gradients of ") and caution.endswith("; continuing with 2.")
        for caution in found.provenance.cautions
    )
