"""What a pass holds, how many positions fit, and what is measured."""

import os
from pathlib import Path

import pytest
import torch
from tiny_models import PROBE, build, encoded, fresh, visualizer_of

from model_understanding.model import memory
from model_understanding.model.memory import (
    Memory,
    forward_cost,
    free_bytes,
    graph_bytes,
    most_positions,
    return_freed_memory,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_a_graph_is_counted_to_the_byte():
    weight = torch.nn.Parameter(torch.ones(8, 8))
    model = torch.nn.Linear(1, 1, bias=False)
    model.weight = weight
    leaf = torch.ones(4, 8, requires_grad=True)
    hidden = (leaf @ weight).sin()  # the product keeps the leaf (and the weight), the sine its input
    values = (hidden * hidden).sum()  # the square keeps the sine's output, once
    assert graph_bytes(values, model) == 3 * 4 * 8 * 4
    assert graph_bytes(values, torch.nn.Linear(1, 1)) == 3 * 4 * 8 * 4 + 8 * 8 * 4


@pytest.mark.parametrize("name", ["bert", "llama", "gpt2", "gemma3", "modernbert"])
def test_the_estimate_is_near_what_is_measured(name):
    visualizer = visualizer_of(name, model=fresh(name))
    before = visualizer.runner.model.memory.row_bytes(24, True, 0)
    visualizer.compute_saliency(PROBE, method="saliency")
    assert visualizer.runner.model.memory._measured is not None
    after = visualizer.runner.model.memory.row_bytes(24, True, 0)
    assert 0.4 < before / after < 4


def test_a_length_is_measured_once_and_not_while_blocks_run_again():
    runner = visualizer_of("bert", model=fresh("bert")).runner
    leaf = torch.ones(1, 4, 8, requires_grad=True)
    runner.model.memory.keeps_graph = False
    runner.model.memory.measure(leaf.sin().sum()[None, None], leaf)
    assert runner.model.memory._measured is None
    runner.model.memory.keeps_graph = True
    runner.model.memory.measure(leaf.sin().sum()[None, None], leaf)
    assert runner.model.memory._measured == (4, 8 * 4)
    runner.model.memory.measure(leaf.sin().sin().sum()[None, None], leaf)
    assert runner.model.memory._measured == (4, 8 * 4)
    longer = torch.ones(1, 8, 8, requires_grad=True)
    runner.model.memory.measure(longer.sin().sin().sum()[None, None], longer)
    assert runner.model.memory._measured == (8, 2 * 8 * 4)


def test_positions_are_as_many_as_fit_and_no_more_than_help(monkeypatch):
    runner = visualizer_of("bert", model=fresh("bert")).runner
    own = runner.model.memory
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1 << 40)
    assert own.positions_at_once(10, gradients=True) == memory.POSITIONS_AT_ONCE
    each = own.row_bytes(10, True)
    monkeypatch.setattr(memory, "free_bytes", lambda device: int(7.5 * each / 0.6))
    assert own.positions_at_once(10, gradients=True) == 70
    assert own.positions_at_once(10, gradients=False) > 70
    assert own.fits_graph(10)
    assert not own.fits_graph(100)
    monkeypatch.setattr(memory, "free_bytes", lambda device: 0)
    assert own.positions_at_once(10, gradients=True) == 10  # a text alone is always tried


def test_logits_and_squares_of_attention_count():
    own = Memory(build("llama"), CPU)
    vocabulary = build("llama").config.vocab_size
    assert own.row_bytes(10, False, 9) - own.row_bytes(10, False, 1) == 8 * vocabulary * (4 + 4)
    assert own.row_bytes(10, True, 9) - own.row_bytes(10, True, 1) == 8 * vocabulary * (4 + 12)
    fused, eager = (Memory(build("llama", kind), CPU) for kind in ("sdpa", "eager"))
    assert fused.row_bytes(200, True, 0) == 2 * fused.row_bytes(100, True, 0)
    assert eager.row_bytes(200, True, 0) > 2 * eager.row_bytes(100, True, 0)


def test_a_smaller_dtype_needs_less():
    whole, half = Memory(fresh("llama"), CPU), Memory(fresh("llama").bfloat16(), CPU)
    assert half.row_bytes(20, True, 0) == whole.row_bytes(20, True, 0) / 2


def test_what_did_not_fit_is_remembered():
    own = Memory(build("bert"), CPU)
    own.halve_limit(400, gradients=True)
    assert own.positions_at_once(10, gradients=True) == 200
    assert own.positions_at_once(10, gradients=False) == memory.POSITIONS_AT_ONCE


def test_devices_differ():
    assert most_positions(CPU) < most_positions(GPU)
    assert forward_cost(CPU) < forward_cost(GPU)
    assert 1 << 20 < free_bytes(CPU) < 1 << 50


def test_a_containers_limit_counts(monkeypatch, tmp_path):
    limit, used = tmp_path / "max", tmp_path / "current"
    monkeypatch.setattr(memory, "_GROUPS", [(str(limit), str(used))])
    plain = free_bytes(CPU)
    limit.write_text("1000\n")
    used.write_text("400\n")
    assert free_bytes(CPU) == 600
    limit.write_text("max\n")
    assert free_bytes(CPU) > min(plain, 1 << 30) // 2


def test_a_graph_measured_on_a_real_text_leaves_the_answer_as_it_is():
    visualizer = visualizer_of("bert", model=fresh("bert"))
    first = visualizer.compute_saliency(PROBE, method="saliency")
    assert visualizer.runner.model.memory._measured[0] == len(encoded(visualizer, PROBE).tokens[0])
    assert (visualizer.compute_saliency(PROBE, method="saliency").scores == first.scores).all()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the process's memory as on Linux")
def test_freed_memory_between_what_is_in_use_goes_back_to_the_system():
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    blocks = [
        bytes([1]) * 100_000 for _ in range(1000)
    ]  # small enough for the heap, which shrinks at its end only
    full = resident()
    kept = blocks[::2]
    del blocks
    return_freed_memory()
    assert full - resident() > 30e6
    assert len(kept) == 500


def test_freed_memory_is_returned_only_where_a_process_has_grown(monkeypatch):
    sizes = iter([1000, 1020, 1031, 900, 920, 1300, 1100])
    returned = []
    monkeypatch.setattr(memory, "resident_bytes", lambda: next(sizes))
    monkeypatch.setattr(memory, "return_freed_memory", lambda: returned.append(True))
    steady = memory.SteadyMemory()
    counts = []
    for _ in range(7):
        steady.check()
        counts.append(len(returned))
    assert counts == [0, 0, 1, 1, 1, 2, 2]  # the checks after a return say what is usual


def test_a_run_shares_passes_among_more_positions_where_their_graph_is_small(monkeypatch):
    model = fresh("bert")
    assert Memory(model, GPU).positions_of_a_run() == most_positions(GPU)
    found = Memory(model, CPU)
    assert found.positions_of_a_run() == 1024
    position_bytes = found.row_bytes(1, True, 0)  # estimated from the weights
    monkeypatch.setattr(memory, "GRAPH_OF_A_RUN", 700 * position_bytes)
    assert found.positions_of_a_run() == pytest.approx(700, abs=1)
    found._measured = (1, 100 * position_bytes)  # what other texts took does not matter
    assert found.positions_of_a_run() == pytest.approx(700, abs=1)
    monkeypatch.setattr(memory, "GRAPH_OF_A_RUN", position_bytes)
    assert found.positions_of_a_run() == most_positions(CPU)


def test_a_larger_batch_holds_for_the_body_and_gives_way_to_memory(monkeypatch):
    found = Memory(fresh("bert"), CPU)
    monkeypatch.setattr(memory, "free_bytes", lambda _: 1 << 40)
    with found.batches_of(1024):
        assert found.positions_at_once(16, gradients=True) == 1024
        found.halve_limit(800, gradients=True)
        assert found.positions_at_once(16, gradients=True) == 400
    assert found.positions_at_once(16, gradients=False) == most_positions(CPU)
