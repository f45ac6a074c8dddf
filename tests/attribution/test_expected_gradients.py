"""Expected gradients: exact on average, honest about its error, the same for a seed."""

import numpy as np
import oracles
import pytest
import tiny_models
import torch
from tiny_models import PROBE, TEXTS, encoded, visualizer_of

from model_understanding import ExpectedGradients, InputError, IntegratedGradients
from model_understanding.attribution import expected_gradients
from model_understanding.results import Target


def targets_of(visualizer, encoding, count=1):
    if visualizer.task == tiny_models.CLASSIFIER:
        return [Target(task=visualizer.task, indices=(number,)) for number in range(count)]
    return [
        Target(task=visualizer.task, positions=(place,), indices=(9 + place,), quantity="log_prob")
        for place in range(encoding.ids.shape[1] - count, encoding.ids.shape[1])
    ]


@pytest.mark.parametrize("name", ["bert", "llama-classifier", "gpt2", "llama"])
def test_the_gap_is_reported_and_within_its_standard_error(name):
    visualizer = visualizer_of(name)
    encoding = encoded(visualizer, PROBE)
    targets = targets_of(visualizer, encoding, 2)
    found = ExpectedGradients(samples=200)(visualizer.runner, encoding, targets)
    change = found.outputs - found.baseline_outputs
    assert oracles.close(found.gaps, found.scores.sum(-1) - change)
    assert (np.abs(found.gaps) <= 4 * np.sqrt((found.standard_errors**2).sum(-1))).all()
    assert (np.abs(found.gaps) < 0.5 * np.abs(found.scores).sum(-1)).all()
    special = encoding.tokens[0].special
    assert not found.scores[..., special].any()
    assert found.standard_errors[:, -1, ~special].all()


def test_with_one_reference_it_is_integrated_gradients(monkeypatch):
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, PROBE)
    targets = targets_of(visualizer, encoding)
    monkeypatch.setattr(expected_gradients, "ordinary_ids", lambda _: torch.tensor([30]))
    found = ExpectedGradients(references="vocabulary", samples=128)(visualizer.runner, encoding, targets)
    expected = IntegratedGradients(baseline="id:30", nodes=32)(visualizer.runner, encoding, targets)
    # Stratified points are a midpoint rule with a random shift in each stratum.
    assert oracles.close(found.scores, expected.scores, 5e-3)
    assert oracles.close(found.baseline_outputs, expected.baseline_outputs)


@pytest.mark.parametrize("references", ["text", "vocabulary", "both"])
def test_references_are_drawn_from_where_they_should_be(references, monkeypatch):
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, PROBE)
    seen = []
    embed = expected_gradients.embedded_ids

    def watched(runner, encoding, ids):
        seen.append(ids)
        return embed(runner, encoding, ids)

    monkeypatch.setattr(expected_gradients, "embedded_ids", watched)
    method = ExpectedGradients(references=references, samples=8)
    method(visualizer.runner, encoding, targets_of(visualizer, encoding))
    ids, special = seen[0].numpy(), encoding.tokens[0].special
    own = encoding.ids[0].numpy()
    assert (ids[:, special] == own[special]).all()
    assert not np.isin(ids[:, ~special], visualizer.tokenizer.all_special_ids).any()
    shuffled = (np.sort(ids[:, ~special]) == np.sort(own[~special])).all(-1)
    expected = {"text": [True] * 8, "vocabulary": [False] * 8, "both": [True, False] * 4}[references]
    assert shuffled.tolist() == expected


def test_a_seed_gives_the_same_again_and_another_something_else():
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, PROBE)
    targets = targets_of(visualizer, encoding)
    one, again, other = (
        ExpectedGradients(samples=16, seed=seed)(visualizer.runner, encoding, targets).scores
        for seed in (5, 5, 6)
    )
    assert (one == again).all()
    assert not oracles.close(one, other, 0.01)


def test_more_samples_have_smaller_errors():
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, PROBE)
    targets = targets_of(visualizer, encoding)
    few, many = (
        ExpectedGradients(samples=count)(visualizer.runner, encoding, targets).standard_errors.mean()
        for count in (25, 400)
    )
    assert 0.15 < many / few < 0.4  # a quarter, were both known exactly


@pytest.mark.parametrize("name", ["bert", "llama-classifier"])
def test_a_padded_batch_gives_what_each_text_gives_alone(name):
    visualizer = visualizer_of(name)
    encodings = [encoded(visualizer, text) for text in TEXTS]
    targets = [targets_of(visualizer, encoding) for encoding in encodings]
    method = ExpectedGradients(samples=12)
    together = method(visualizer.runner, visualizer.runner.model.batch(encodings), targets)
    for row, encoding in enumerate(encodings):
        length = encoding.ids.shape[1]
        alone = method(visualizer.runner, encoding, targets[row])
        assert oracles.close(together.scores[row, :, :length], alone.scores[0], 1e-4)
        assert oracles.close(together.standard_errors[row, :, :length], alone.standard_errors[0], 1e-4)
        assert not together.scores[row, :, length:].any()


def test_many_targets_and_functions_are_those_one_by_one():
    visualizer = visualizer_of("llama")
    encoding = encoded(visualizer, TEXTS[1])
    targets = targets_of(visualizer, encoding, 3)
    method = ExpectedGradients(samples=10)
    together = method(visualizer.runner, encoding, targets)
    for number, target in enumerate(targets):
        alone = method(visualizer.runner, encoding, [[target]])
        assert oracles.close(together.scores[:, number], alone.scores[:, 0], 2e-5)
    place, index = targets[-1].positions[0], targets[-1].indices[0]
    custom = method(
        visualizer.runner, encoding, lambda outputs: outputs.logits[0, place].log_softmax(-1)[index]
    )
    assert oracles.close(custom.scores, together.scores[:, -1:], 2e-5)


def test_gradients_and_values_are_counted(monkeypatch):
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, PROBE)
    counts = {"gradients": 0, "values": 0}
    for name in counts:
        call = getattr(visualizer.runner, name)

        def counted(*arguments, call=call, name=name, **options):
            counts[name] += len(options.get("embeddings", [1]))
            return call(*arguments, **options)

        monkeypatch.setattr(visualizer.runner, name, counted)
    ExpectedGradients(samples=20)(visualizer.runner, encoding, targets_of(visualizer, encoding))
    assert counts == {"gradients": 20, "values": 21}


def test_misuse_is_refused():
    with pytest.raises(InputError) as caught:
        ExpectedGradients(samples=1)
    assert str(caught.value) == "samples must be a whole number, 2 or more. Got 1. Pass samples=64."
    with pytest.raises(InputError) as caught:
        ExpectedGradients(references="data")  # pyright: ignore[reportArgumentType]
    assert str(caught.value) == (
        "Unknown references 'data'. Allowed: both, text, vocabulary. Pass references='both'."
    )
