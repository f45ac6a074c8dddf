"""Targets share forwards where that pays, and nothing changes but the cost."""

import oracles
import pytest
import torch
from tiny_models import PROBE, visualizer_of

from model_understanding.model import memory
from model_understanding.model.causality import is_causal
from model_understanding.passes import prefix_plan
from model_understanding.passes.prefix_plan import BACKWARD, FIXED, cheapest_prefixes, shared_prefix
from model_understanding.passes.target_values import Entry


def entry(target, position):
    return Entry(row=0, target=target, position=position, index=0, against=None, weight=1.0)


def cost(groups):
    return sum(length * (1 + len({e.target for e in part}) * BACKWARD) + FIXED for length, part in groups)


@pytest.mark.parametrize(("prompt", "targets"), [(1, 1), (4, 60), (32, 32), (512, 4), (300, 200)])
def test_groups_hold_every_entry_once_and_never_cost_more_than_one(prompt, targets):
    entries = [entry(number, prompt - 1 + number) for number in range(targets)]
    groups = cheapest_prefixes(entries)
    assert sorted((e for _, part in groups for e in part), key=lambda e: e.target) == entries
    assert all(max(e.position for e in part) + 1 == length for length, part in groups)
    assert cost(groups) <= cost(shared_prefix(entries))


def test_many_targets_after_a_short_prompt_are_cut_and_few_after_a_long_one_are_not():
    assert len(cheapest_prefixes([entry(n, 3 + n) for n in range(60)])) > 2
    assert len(cheapest_prefixes([entry(n, 511 + n) for n in range(4)])) == 1


def test_a_span_is_one_backward():
    assert cheapest_prefixes([entry(0, position) for position in range(3, 60)]) == [
        (60, [entry(0, position) for position in range(3, 60)])
    ]


@pytest.mark.parametrize("name", ["gpt2", "llama", "mamba", "gemma3"])
def test_grouped_rows_are_those_of_one_forward(name, monkeypatch):
    monkeypatch.setattr(memory, "PRODUCT_POSITIONS_AT_ONCE", 1024)
    visualizer = visualizer_of(name)
    options = {"target": "continuation", "continuation": " the king" * 10, "per_token": True}
    backwards = []
    grad = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *a, **k: backwards.append(1) or grad(*a, **k))
    _ = is_causal(visualizer.runner.model)
    backwards.clear()
    grouped = visualizer.compute_saliency(PROBE[:8], method="saliency", **options)
    assert len(backwards) > 2
    backwards.clear()
    monkeypatch.setattr(prefix_plan, "cheapest_prefixes", shared_prefix)
    together = visualizer.compute_saliency(PROBE[:8], method="saliency", **options)
    assert len(backwards) == 2  # the head's, and one product below it
    assert oracles.close(grouped.scores, together.scores, 5e-5)
    assert oracles.close(grouped.outputs, together.outputs)
