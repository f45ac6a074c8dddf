"""Progress and stopping: what a caller is told, and that a stopped run leaves no trace."""

import threading

import numpy as np
import pytest
import tiny_models
import torch
from registered import quick
from tiny_models import PROBE, TEXTS, visualizer_of

from model_understanding import IntegratedGradients, ModelUnderstandingError, Occlusion, StoppedError
from model_understanding.model.metering import (
    PassCounter,
    count_backward,
    count_forward,
    counted_by,
    run_with_progress,
)
from model_understanding.registry import METHODS

NEXT = {"target": 9}


def told_of(run, total):
    """Return what a caller is told of a run."""
    told = []
    run_with_progress(run, lambda done, total: told.append((done, total)), lambda: total)
    return told


def passes(*sizes):
    """Return a run of some forwards, each followed by its backward."""

    def run():
        for size in sizes:
            count_forward(size)
            count_backward(size)

    return run


@pytest.mark.parametrize(
    ("total", "told"),
    [
        (10, [(0, 10), (2, 10), (4, 10), (7, 10), (10, 10)]),
        (50, [(0, 50), (2, 50), (4, 50), (7, 50), (10, 50), (10, 10)]),  # stopped earlier than it might
        (7, [(0, 7), (2, 7), (4, 7), (7, 7)]),  # a batch was run again in halves
        (None, [(0, None), (2, None), (4, None), (7, None), (10, None), (10, 10)]),
    ],
)
def test_a_caller_is_told_of_every_pass_and_of_the_end(total, told):
    assert told_of(passes(2, 3), total) == told


def test_a_run_inside_the_callers_function_counts_for_itself_and_threads_do_not_mix():
    told = []

    def look(done, total):
        told.append(done)
        count_forward(100)
        told_of(passes(1000), 2000)

    counter = PassCounter()
    with counted_by(counter):
        other = threading.Thread(target=passes(7))
        other.start()
        other.join()
        run_with_progress(passes(1), look, lambda: 2)
        count_forward(5)
    assert told == [0, 1, 2]
    assert (counter.forwards, counter.positions) == (1, 5)


@pytest.mark.parametrize("answer", [False, np.False_])
def test_false_stops_and_says_where(answer):
    with pytest.raises(StoppedError) as caught:
        run_with_progress(passes(2, 3), lambda done, total: answer if done == 4 else None, lambda: 10)
    assert isinstance(caught.value, ModelUnderstandingError)
    assert str(caught.value) == (
        "The run was stopped after 4 of 10 token positions because progress returned False. "
        "Return None or True to continue."
    )


@pytest.mark.parametrize("answer", [None, True, 0, ""])
def test_only_false_stops(answer):
    assert run_with_progress(lambda: 3, lambda done, total: answer, lambda: 10) == 3


def state_of(model):
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
    flags = [m.training for m in model.modules()], [p.requires_grad for p in model.parameters()]
    caches = [p.grad is None for p in model.parameters()]
    return hooks, flags, caches, torch.is_grad_enabled(), model.config.to_json_string()


@pytest.mark.parametrize("method", METHODS.names())
@pytest.mark.parametrize("name", ["bert", "llama"])
def test_a_stopped_run_leaves_the_model_as_it_was_and_the_next_run_is_right(name, method):
    method, model = quick(method), tiny_models.fresh(name).train()
    visualizer = visualizer_of(name, model=model)
    options = {"target": 1} if name in tiny_models.CLASSIFIERS else NEXT
    before, calls = state_of(model), []

    def stop(done, total):
        calls.append(done)
        return done == 0  # that is: go on once, then stop

    with pytest.raises(StoppedError):
        visualizer.compute_saliency(TEXTS[1], method=method, progress=stop, **options)
    assert len(calls) == 2
    assert state_of(model) == before
    found = visualizer.compute_saliency(TEXTS[1], method=method, **options)
    expected = visualizer_of(name).compute_saliency(TEXTS[1], method=method, **options)
    np.testing.assert_array_equal(found.scores, expected.scores)


class GoneError(RuntimeError):
    """A caller's own, in words that mean something elsewhere in the engine."""


@pytest.mark.parametrize("words", ["out of memory", "vmap batching rule", "modified by an inplace operation"])
@pytest.mark.parametrize("method", [Occlusion(), IntegratedGradients()])
def test_what_the_callers_function_raises_comes_out_as_it_is(method, words):
    def fail(done, total):
        if done:
            raise GoneError(words)

    options = {"target": "continuation", "continuation": " a bad film", "per_token": True}
    with pytest.raises(GoneError, match=words):
        visualizer_of("gpt2").compute_saliency(PROBE, method=method, progress=fail, **options)


def test_halved_batches_end_at_the_total(monkeypatch):
    visualizer = visualizer_of("bert")
    run = visualizer.runner.gradients
    told = []

    def hungry(*arguments, **keywords):
        if len(keywords["embeddings"]) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(*arguments, **keywords)

    monkeypatch.setattr(visualizer.runner, "gradients", hungry)
    visualizer.compute_saliency(
        PROBE, method="smooth_grad", target=0, progress=lambda *numbers: told.append(numbers)
    )
    assert len(told) > 8
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] == told[0][1]
