"""Sequential integrated gradients: each path adds up to leaving one token out."""

import logging

import numpy as np
import oracles
import pytest
import tiny_models
import torch
from tiny_models import PROBE, TEXTS, encoded, visualizer_of

from model_understanding import InputError, SequentialIntegratedGradients
from model_understanding.paths.baselines import baseline_embeddings
from model_understanding.results import Target


def targets_of(visualizer, encoding, count=1):
    if visualizer.task == tiny_models.CLASSIFIER:
        return [Target(task=visualizer.task, indices=(number,)) for number in range(count)]
    return [
        Target(task=visualizer.task, positions=(place,), indices=(9 + place,), quantity="log_prob")
        for place in range(encoding.ids.shape[1] - count, encoding.ids.shape[1])
    ]


def left_out(visualizer, encoding, targets, groups):
    """Return what the targets lose where the tokens of a group are at the baseline."""
    own = visualizer.runner.embed(encoding)[0]
    rows = baseline_embeddings(visualizer.runner, encoding, "default")[0]
    variants = own.repeat(len(groups), 1, 1)
    for number, group in enumerate(groups):
        variants[number, list(group)] = rows[list(group)]
    whole = visualizer.runner.values(encoding, targets)
    return (whole - visualizer.runner.values(encoding, targets, embeddings=variants)).T.numpy()


@pytest.mark.parametrize(
    "name", ["bert", "modernbert", "llama-classifier", "xlnet", "gpt2", "llama", "mamba"]
)
def test_a_tokens_score_is_what_the_target_loses_without_it(name):
    visualizer = visualizer_of(name)
    encoding = encoded(visualizer, TEXTS[1])
    targets = targets_of(visualizer, encoding, 2)
    found = SequentialIntegratedGradients(tolerance=0.001, max_nodes=256)(
        visualizer.runner, encoding, targets
    )
    expected = left_out(visualizer, encoding, targets, encoding.tokens[0].groups("token"))
    assert found.cautions == ((),)
    assert not found.scores[0][:, encoding.tokens[0].special].any()
    for row in range(2):
        assert oracles.close(found.scores[0, row], expected[row], 0.002)
    assert oracles.close(found.outputs, visualizer.runner.values(encoding, targets))


def test_the_tokens_of_a_word_share_what_the_target_loses_without_the_word():
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, PROBE)
    targets = targets_of(visualizer, encoding)
    words = encoding.tokens[0].groups("word")
    assert max(len(word) for word in words) > 1
    found = SequentialIntegratedGradients(level="word", tolerance=0.001)(visualizer.runner, encoding, targets)
    sums = [found.scores[0, 0, list(word)].sum() for word in words]
    assert oracles.close(sums, left_out(visualizer, encoding, targets, words)[0], 0.002)
    tokens = SequentialIntegratedGradients(tolerance=0.001)(visualizer.runner, encoding, targets)
    assert not oracles.close(tokens.scores, found.scores, 0.02)


@pytest.mark.parametrize("name", ["bert", "llama-classifier"])
def test_a_padded_batch_gives_what_each_text_gives_alone(name):
    visualizer = visualizer_of(name)
    encodings = [encoded(visualizer, text) for text in TEXTS]
    targets = [targets_of(visualizer, encoding) for encoding in encodings]
    method = SequentialIntegratedGradients(tolerance=0.1)
    together = method(visualizer.runner, visualizer.runner.model.batch(encodings), targets)
    for row, encoding in enumerate(encodings):
        alone = method(visualizer.runner, encoding, targets[row])
        assert oracles.close(together.scores[row, :, : encoding.ids.shape[1]], alone.scores[0], 1e-4)
        assert not together.scores[row, :, encoding.ids.shape[1] :].any()


def test_gradients_and_values_are_counted(monkeypatch):
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, PROBE)
    counts = {"gradients": 0, "values": 0}
    for name in counts:
        call = getattr(visualizer.runner, name)

        def counted(*arguments, call=call, name=name, **options):
            counts[name] += len(options["embeddings"])
            return call(*arguments, **options)

        monkeypatch.setattr(visualizer.runner, name, counted)
    SequentialIntegratedGradients(tolerance=0.1)(
        visualizer.runner, encoding, targets_of(visualizer, encoding)
    )
    moved = int((~encoding.tokens[0].special).sum())
    assert counts == {"gradients": 4 * moved, "values": moved + 1}


def test_paths_that_have_not_converged_say_so(caplog):
    visualizer = visualizer_of("llama")
    encoding = encoded(visualizer, TEXTS[1])
    with caplog.at_level(logging.WARNING, logger="model_understanding"):
        found = SequentialIntegratedGradients(baseline="zero", nodes=2, max_nodes=2)(
            visualizer.runner, encoding, targets_of(visualizer, encoding)
        )
    ((caution,),) = found.cautions
    paths = int((~encoding.tokens[0].special).sum())
    assert f"of {paths} paths: after 2 nodes" in caution
    assert caution in caplog.text


def test_several_baselines_are_averaged_and_functions_are_targets():
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, TEXTS[1])
    targets = targets_of(visualizer, encoding)
    both, mask, mean = (
        SequentialIntegratedGradients(baseline=name)(visualizer.runner, encoding, targets).scores
        for name in ("mask,mean", "mask", "mean")
    )
    assert oracles.close(both, (mask + mean) / 2)
    custom = SequentialIntegratedGradients(baseline="mask")(
        visualizer.runner, encoding, lambda outputs: outputs.logits[0, 0]
    )
    assert oracles.close(custom.scores, mask, 2e-5)


def test_a_text_of_special_tokens_alone_has_no_scores():
    visualizer = visualizer_of("bert")
    pair = visualizer.runner.model.encode(encoded(visualizer, PROBE).tokens[0].select([0, -1]))
    found = SequentialIntegratedGradients()(visualizer.runner, pair, targets_of(visualizer, pair))
    assert not found.scores.any()
    assert torch.isfinite(torch.from_numpy(np.asarray(found.outputs))).all()


def test_an_unknown_level_is_refused():
    with pytest.raises(InputError) as caught:
        SequentialIntegratedGradients(level="sentence")  # pyright: ignore[reportArgumentType]
    assert str(caught.value) == "Unknown level 'sentence'. Allowed: token, word. Pass level='token'."
