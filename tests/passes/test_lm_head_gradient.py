"""The head's backward runs once for all targets, and only where that gives the same numbers."""

import oracles
import pytest
import tiny_models
import torch
from tiny_models import LANGUAGE_MODEL, PROBE, encoded, visualizer_of

from model_understanding.model import memory
from model_understanding.model.causality import is_causal
from model_understanding.results import Target


def targets(ids, positions, quantity="log_prob"):
    return [
        Target(task=LANGUAGE_MODEL, positions=(p,), indices=(int(ids[0, p + 1]),), quantity=quantity)
        for p in positions
    ]


def head_backwards(model):
    """Count, for each backward through the head, how many targets it carries."""
    seen = []

    def watch(_module, _arguments, output):
        if output.requires_grad:
            output.register_hook(lambda gradient: seen.append(gradient.shape))

    return seen, model.get_output_embeddings().register_forward_hook(watch)


def each_alone(runner, encoding, wanted):
    return torch.cat([runner.gradients(encoding, [target]).gradients for target in wanted], dim=1)


@pytest.mark.parametrize("name", tiny_models.each(tiny_models.LANGUAGE_MODELS))
def test_targets_at_different_positions_share_one_backward_of_the_head(name):
    visualizer = visualizer_of(name)
    runner, encoding = visualizer.runner, encoded(visualizer, PROBE)
    length, causal = encoding.ids.shape[1], is_causal(runner.model)
    wanted = targets(encoding.ids, range(length - 4, length - 1))
    seen, handle = head_backwards(visualizer.model)
    try:
        together = runner.gradients(encoding, wanted).gradients
    finally:
        handle.remove()
    groups = 1 if causal else len(wanted)  # without a causal mask each has its own forward
    assert len(seen) == groups
    assert all(len(shape) == 3 for shape in seen)
    assert oracles.close(together, each_alone(runner, encoding, wanted), 5e-5)


def test_targets_that_share_a_position_are_differentiated_one_by_one():
    visualizer = visualizer_of("llama")
    runner, encoding = visualizer.runner, encoded(visualizer, PROBE)
    last = encoding.ids.shape[1] - 1
    wanted = [
        Target(task=LANGUAGE_MODEL, positions=(last,), indices=(index,), quantity="logit")
        for index in (3, 9, 11)
    ]
    together = runner.gradients(encoding, wanted).gradients
    assert oracles.close(together, each_alone(runner, encoding, wanted), 5e-5)
    assert not oracles.close(together[:, 0], together[:, 1], 0.1)


def test_contrasts_of_each_position_take_as_many_backwards_of_the_head_as_share_one():
    visualizer = visualizer_of("llama")
    runner, encoding = visualizer.runner, encoded(visualizer, PROBE)
    assert is_causal(runner.model)  # measured before backwards are counted
    last = encoding.ids.shape[1] - 1
    wanted = [
        Target(
            task=LANGUAGE_MODEL,
            positions=(position,),
            indices=(int(encoding.ids[0, position + 1]),),
            against=(other,),
            quantity="logit",
        )
        for position in range(last - 3, last)
        for other in (1, 2)
    ]
    seen, handle = head_backwards(visualizer.model)
    try:
        together = runner.gradients(encoding, wanted).gradients
    finally:
        handle.remove()
    assert len(seen) == 2
    assert oracles.close(together, each_alone(runner, encoding, wanted), 5e-5)
    assert not oracles.close(together[:, 0], together[:, 1], 0.1)


def test_a_target_over_several_positions_keeps_all_of_them():
    visualizer = visualizer_of("gpt2")
    runner, encoding = visualizer.runner, encoded(visualizer, PROBE)
    single = targets(encoding.ids, range(3, 8))
    spans = [
        Target(
            task=LANGUAGE_MODEL,
            positions=tuple(t.positions[0] for t in part),
            indices=tuple(t.indices[0] for t in part),
            quantity="log_prob",
            reduce="sum",
        )
        for part in (single[0::2], single[1::2])
    ]
    found = runner.gradients(encoding, spans).gradients[0]
    alone = each_alone(runner, encoding, single)[0]
    assert oracles.close(found[0], alone[0::2].sum(0), 5e-5)
    assert oracles.close(found[1], alone[1::2].sum(0), 5e-5)


def test_texts_of_a_batch_may_have_their_targets_at_different_positions():
    visualizer = visualizer_of("llama")
    runner = visualizer.runner
    one = encoded(visualizer, PROBE)
    two = runner.model.encode(one.tokens[0].select(range(len(one.tokens[0]))))
    batch = runner.model.batch([one, two])
    rows = [targets(one.ids, (3, 5)), targets(one.ids, (6, 4))]
    together = runner.gradients(batch, rows).gradients
    for row, wanted in enumerate(rows):
        assert oracles.close(together[row : row + 1], each_alone(runner, one, wanted), 5e-5)


def test_chunks_of_targets_are_the_same_targets(monkeypatch):
    visualizer = visualizer_of("gpt2")
    runner, encoding = visualizer.runner, encoded(visualizer, PROBE)
    wanted = targets(encoding.ids, range(3, 9))
    whole = runner.gradients(encoding, wanted).gradients
    monkeypatch.setattr(memory, "POSITIONS_AT_ONCE", 2 * encoding.ids.shape[1])
    assert oracles.close(runner.gradients(encoding, wanted).gradients, whole, 5e-6)


def test_logits_that_also_read_the_embeddings_past_the_head_are_differentiated_whole():
    model = tiny_models.fresh("llama")
    embedded = []
    model.model.layers[0].register_forward_pre_hook(
        lambda _, arguments, keywords: embedded.append((*arguments, *keywords.values())[0]), with_kwargs=True
    )

    def add_embeddings(_module, _arguments, output):
        kept = embedded[-1][:, -output.logits.shape[1] :].sum(-1, keepdim=True)
        output.logits = output.logits * (1 + kept)
        return output

    model.register_forward_hook(add_embeddings)
    runner = visualizer_of("llama", model=model).runner
    encoding = encoded(visualizer_of("llama", model=model), PROBE)
    wanted = targets(encoding.ids, (4, 6, 7), "logit")
    together = runner.gradients(encoding, wanted).gradients
    assert oracles.close(together, each_alone(runner, encoding, wanted), 5e-5)
