"""SmoothGrad: saliency without noise, averaged before the norm, the same for a seed."""

import numpy as np
import oracles
import pytest
import tiny_models
import torch
from tiny_models import PROBE, TEXTS, encoded, visualizer_of

from model_understanding import InputError, Saliency, SmoothGrad
from model_understanding.model import memory
from model_understanding.results import Target


def targets_of(visualizer, encoding, count=1):
    if visualizer.task == tiny_models.CLASSIFIER:
        return [Target(task=visualizer.task, indices=(number,)) for number in range(count)]
    return [
        Target(task=visualizer.task, positions=(place,), indices=(9 + place,), quantity="log_prob")
        for place in range(encoding.ids.shape[1] - count, encoding.ids.shape[1])
    ]


@pytest.mark.parametrize(
    "name", ["bert", "modernbert", "xlnet", "gpt2", "llama", "gemma3", "mixtral", "mamba"]
)
@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("norm", ["l2", "l1", "max"])
def test_without_noise_it_is_saliency(name, squared, norm):
    visualizer = visualizer_of(name)
    encoding = encoded(visualizer, TEXTS[1])
    targets = targets_of(visualizer, encoding)
    plain = SmoothGrad(noise=0, samples=2, squared=squared, norm=norm)(visualizer.runner, encoding, targets)
    expected = Saliency(norm=norm)(visualizer.runner, encoding, targets)
    assert oracles.close(plain.scores, expected.scores, 2e-5)
    assert oracles.close(plain.outputs, expected.outputs)


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_gradients_are_averaged_before_the_norm_and_their_squares_where_asked(name):
    visualizer = visualizer_of(name)
    encoding = encoded(visualizer, PROBE)
    targets = targets_of(visualizer, encoding)
    method = SmoothGrad(samples=6, noise=0.8, seed=3)
    own = visualizer.runner.embed(encoding)[0]
    ordinary = torch.from_numpy(~encoding.tokens[0].special)
    gradients = []
    for number in range(6):
        drawn = np.random.default_rng([3, number]).standard_normal(own.shape, dtype=np.float32)
        noise = 0.8 * own[ordinary].std() * torch.from_numpy(drawn) * ordinary[:, None]
        gradients.append(visualizer.runner.gradients(encoding, targets, embeddings=(own + noise)[None])[1])
    stacked = torch.cat(gradients)[:, 0]
    plain = method(visualizer.runner, encoding, targets).scores[0, 0]
    assert oracles.close(plain, stacked.mean(0).norm(dim=-1), 2e-5)
    squares = SmoothGrad(samples=6, noise=0.8, seed=3, squared=True)
    found = squares(visualizer.runner, encoding, targets).scores[0, 0]
    assert oracles.close(found, (stacked**2).mean(0).sum(-1).sqrt(), 2e-5)
    # The norm before averaging is another map.
    assert not oracles.close(plain, stacked.norm(dim=-1).mean(0), 0.01)
    assert (found >= plain).all()


def test_a_seed_gives_the_same_again_and_another_something_else():
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, PROBE)
    targets = targets_of(visualizer, encoding)
    one, again, other = (
        SmoothGrad(samples=4, noise=0.5, seed=seed)(visualizer.runner, encoding, targets).scores
        for seed in (5, 5, 6)
    )
    assert (one == again).all()
    assert not oracles.close(one, other, 0.001)


@pytest.mark.parametrize("name", ["bert", "llama-classifier"])
def test_batches_and_lost_memory_change_nothing(name, monkeypatch):
    visualizer = visualizer_of(name)
    encodings = [encoded(visualizer, text) for text in (TEXTS[0], TEXTS[0], TEXTS[2])]
    targets = [targets_of(visualizer, encoding) for encoding in encodings]
    method = SmoothGrad(samples=7)
    same_length = visualizer.runner.model.batch(encodings[:2])
    together = method(visualizer.runner, same_length, targets[:2])
    alone = method(visualizer.runner, encodings[0], targets[0])
    for row in range(2):
        assert oracles.close(together.scores[row], alone.scores[0], 2e-5)
    run = visualizer.runner.gradients

    def hungry(*arguments, **keywords):
        if len(keywords["embeddings"]) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(*arguments, **keywords)

    monkeypatch.setattr(visualizer.runner, "gradients", hungry)
    halved = method(visualizer.runner, same_length, targets[:2])
    assert oracles.close(halved.scores, together.scores, 2e-5)


def test_many_targets_and_functions_are_those_one_by_one():
    visualizer = visualizer_of("gpt2")
    encoding = encoded(visualizer, TEXTS[1])
    targets = targets_of(visualizer, encoding, 3)
    method = SmoothGrad(samples=5)
    together = method(visualizer.runner, encoding, targets)
    for number, target in enumerate(targets):
        alone = method(visualizer.runner, encoding, [[target]])
        assert oracles.close(together.scores[:, number], alone.scores[:, 0], 2e-5)
    place, index = targets[-1].positions[0], targets[-1].indices[0]
    custom = method(
        visualizer.runner, encoding, lambda outputs: outputs.logits[0, place].log_softmax(-1)[index]
    )
    assert oracles.close(custom.scores, together.scores[:, -1:], 2e-5)


def test_samples_share_batches(monkeypatch):
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, PROBE)
    monkeypatch.setattr(memory, "POSITIONS_AT_ONCE", 32 * encoding.ids.shape[1])
    sizes = []
    run = visualizer.runner.gradients

    def counted(*arguments, **keywords):
        sizes.append(len(keywords["embeddings"]))
        return run(*arguments, **keywords)

    monkeypatch.setattr(visualizer.runner, "gradients", counted)
    SmoothGrad()(visualizer.runner, encoding, targets_of(visualizer, encoding))
    assert sizes == [32]


MISUSES = {
    "samples": ({"samples": 0}, "samples must be a whole number, 1 or more. Got 0. Pass samples=32."),
    "noise": ({"noise": -1.0}, "noise must be a finite number, 0 or more. Got -1.0. Pass noise=0.15."),
    "norm": ({"norm": "l3"}, "Unknown norm 'l3'. Allowed: l2, l1, max. Pass norm='l2'."),
}


@pytest.mark.parametrize("misuse", MISUSES)
def test_misuse_is_refused(misuse):
    options, message = MISUSES[misuse]
    with pytest.raises(InputError) as caught:
        SmoothGrad(**options)
    assert str(caught.value) == message
