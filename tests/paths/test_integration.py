"""Integration along lines: adaptive, exactly counted, honest where it fails."""

import logging

import numpy as np
import oracles
import pytest
import torch
from tiny_models import PROBE, TEXTS, encoded, visualizer_of

from model_understanding import InputError
from model_understanding.model import memory
from model_understanding.paths.baselines import baseline_embeddings, movable_tokens
from model_understanding.paths.integration import Line, cautions_of, check_nodes, integrate
from model_understanding.results import Target

CLASS = [Target(task="sequence-classification", indices=(0,))]
NEXT = [Target(task="causal-lm", positions=(5,), indices=(9,), quantity="log_prob")]


def lines_of(visualizer, encoding, baseline="default"):
    difference = visualizer.runner.embed(encoding) - baseline_embeddings(
        visualizer.runner, encoding, baseline
    )
    movable = movable_tokens(visualizer.runner, encoding)
    return [Line(row, difference[row], movable[row]) for row in range(len(encoding))]


class Counts:
    """Counts a runner's calls and the variants in them."""

    def __init__(self, runner, monkeypatch):
        self.gradients, self.values = [], []
        for name in ("gradients", "values"):
            monkeypatch.setattr(runner, name, self._counted(getattr(runner, name), getattr(self, name)))

    def _counted(self, call, sizes):
        def counted(*arguments, **options):
            sizes.append(len(options["embeddings"]))
            return call(*arguments, **options)

        return counted


def test_one_piece_costs_its_nodes_and_the_two_ends(monkeypatch):
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, PROBE)
    counts = Counts(visualizer.runner, monkeypatch)
    lines = lines_of(visualizer, encoding)
    (found,) = integrate(visualizer.runner, encoding, CLASS, lines, nodes=16, max_nodes=256, tolerance=0.01)
    assert found.nodes == 16
    assert found.has_converged
    assert counts.gradients == [16]  # one packed forward and backward
    assert counts.values == [2]


def test_only_pieces_that_need_it_are_halved_and_all_that_was_run_is_counted(monkeypatch):
    visualizer = visualizer_of("llama")
    encoding = encoded(visualizer, PROBE)
    lines = lines_of(visualizer, encoding, "zero")
    counts = Counts(visualizer.runner, monkeypatch)
    options = {"nodes": 8, "max_nodes": 256, "tolerance": 0.01}
    (found,) = integrate(visualizer.runner, encoding, NEXT, lines, **options)
    assert found.has_converged
    assert sum(counts.gradients) == found.nodes
    halvings = sum(counts.values) - 2
    assert found.nodes == 8 + 16 * halvings
    # Doubling the nodes of the whole line as often would cost far more.
    rounds = len(counts.gradients) - 1
    assert rounds >= 4
    assert found.nodes < 8 * (2 ** (rounds + 1) - 1) / 2


def test_an_integral_that_fails_keeps_to_its_budget_and_says_so(caplog):
    visualizer = visualizer_of("llama")
    encoding = encoded(visualizer, PROBE)
    lines = lines_of(visualizer, encoding, "zero")
    options = {"nodes": 8, "max_nodes": 30, "tolerance": 0.01}
    (found,) = integrate(visualizer.runner, encoding, NEXT, lines, **options)
    assert found.nodes == 24
    assert not found.has_converged
    change = abs(found.end - found.start)[0]
    assert abs(found.gaps[0]) > 0.1 * change
    with caplog.at_level(logging.WARNING, logger="model_understanding"):
        ((caution,),) = cautions_of(encoding, NEXT, [[found]], 0.01)
    assert caution == (
        f"The integral did not converge: after 24 nodes, the completeness gap is "
        f"{100 * abs(found.gaps[0]) / change:.1f} % of the target's change "
        f"({NEXT[0].description()}; tolerance: 1.0 %). "
        "Increase max_nodes or choose another baseline."
    )
    assert caution in caplog.text


def test_in_a_batch_each_text_has_its_own_cautions():
    visualizer = visualizer_of("llama")
    batch = visualizer.runner.model.batch([encoded(visualizer, text) for text in TEXTS[:2]])
    lines = lines_of(visualizer, batch, "zero")
    options = {"nodes": 2, "max_nodes": 2, "tolerance": 0.01}
    rough, other = integrate(visualizer.runner, batch, NEXT, lines, **options)
    cautions = cautions_of(batch, NEXT, [[rough], [other]], 0.01)
    assert [len(of_text) for of_text in cautions] == [1, 1]
    assert cautions_of(batch, NEXT, [[], [other]], 0.01) == ((), cautions[1])


def test_every_target_must_converge():
    visualizer = visualizer_of("llama-classifier")
    encoding = encoded(visualizer, TEXTS[1])
    targets = [Target(task="sequence-classification", indices=(i,)) for i in range(3)]
    lines = lines_of(visualizer, encoding)
    (together,) = integrate(
        visualizer.runner, encoding, targets, lines, nodes=8, max_nodes=512, tolerance=0.001
    )
    assert together.has_converged
    scale = np.maximum(abs(together.end - together.start), 0.01 * np.abs(together.scores).sum(-1))
    assert (np.abs(together.gaps) <= 0.001 * scale).all()
    alone = [
        integrate(visualizer.runner, encoding, [t], lines, nodes=8, max_nodes=512, tolerance=0.001)[0].nodes
        for t in targets
    ]
    assert together.nodes >= max(alone)


def test_small_batches_and_lost_memory_change_nothing(monkeypatch):
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, PROBE)
    lines = lines_of(visualizer, encoding)
    options = {"nodes": 12, "max_nodes": 64, "tolerance": 0.01}
    (whole,) = integrate(visualizer.runner, encoding, CLASS, lines, **options)
    run = visualizer.runner.gradients

    def hungry(*arguments, **keywords):
        if len(keywords["embeddings"]) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(*arguments, **keywords)

    monkeypatch.setattr(visualizer.runner, "gradients", hungry)
    (halved,) = integrate(visualizer.runner, encoding, CLASS, lines, **options)
    assert oracles.close(halved.scores, whole.scores, 2e-5)
    monkeypatch.setattr(memory, "POSITIONS_AT_ONCE", 1)
    (one_by_one,) = integrate(visualizer.runner, encoding, CLASS, lines, **options)
    assert oracles.close(one_by_one.scores, whole.scores, 2e-5)
    assert one_by_one.nodes == whole.nodes


def test_texts_share_batches(monkeypatch):
    visualizer = visualizer_of("bert")
    batch = visualizer.runner.model.batch([encoded(visualizer, text) for text in TEXTS])
    counts = Counts(visualizer.runner, monkeypatch)
    lines = lines_of(visualizer, batch)
    found = integrate(visualizer.runner, batch, CLASS, lines, nodes=16, max_nodes=64, tolerance=0.01)
    assert [integral.nodes for integral in found] == [16] * len(TEXTS)
    each = memory.POSITIONS_AT_ONCE // batch.ids.shape[1]
    assert len(counts.gradients) == -(-16 * len(TEXTS) // each)
    assert counts.values == [2 * len(TEXTS)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((0, 8, 0.1), "nodes must be a whole number, 1 or more. Got 0. Pass nodes=20."),
        ((9, 8, 0.1), "max_nodes must be a whole number, 9 or more. Got 8. Pass max_nodes=9."),
        ((4, 8, -1), "tolerance must be a finite number, 0 or more. Got -1. Pass tolerance=0.01."),
        ((4, 8, float("nan")), "tolerance must be a finite number, 0 or more. Got nan. Pass tolerance=0.01."),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError) as caught:
        check_nodes(*settings)
    assert str(caught.value) == message
