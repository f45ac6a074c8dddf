"""The logit lens on every architecture: the last layer is the model's own answer, or a refusal by name."""

import numpy as np
import oracles
import pytest
import tiny_models
import torch
from tiny_models import CLASSIFIER, TEXTS, encoded, visualizer_of

from model_understanding import LogitLens, UnsupportedModelError

REFUSED = {
    "bert-as-language-model": (
        "BertLMHeadModel is not causal: each prefix of a text has its own hidden states. "
        "Use compute_saliency (the command explain): it does not read inner layers through the head."
    )
}


@pytest.mark.parametrize(
    ("name", "implementation"),
    [
        *[(name, None) for name in tiny_models.BY_NAME],
        *[
            pytest.param(*name.values, "eager", marks=name.marks)
            for name in tiny_models.each(tiny_models.WITH_ATTENTION)
        ],
    ],
)
def test_the_last_layer_is_the_model_s_own_answer(name, implementation):
    visualizer = visualizer_of(name, implementation)
    if name in REFUSED:
        with pytest.raises(UnsupportedModelError) as caught:
            visualizer.compute_logit_lens(TEXTS[2])
        assert str(caught.value) == REFUSED[name]
        return
    found = visualizer.compute_logit_lens(TEXTS[2])
    logits = visualizer.runner.model.logits(encoded(visualizer, TEXTS[2]))[0].double()
    probabilities = torch.softmax(logits, -1)
    assert oracles.close(
        found.top_probabilities[-1], probabilities.gather(-1, torch.tensor(found.top_ids[-1])), 1e-6
    )
    assert oracles.close(found.entropies[-1], torch.special.entr(probabilities).sum(-1))
    assert (found.final_ranks[-1] == 1).all()
    assert not found.divergences[-1].any()
    assert found.divergences[0].max() > 1e-6  # the embeddings answer otherwise
    assert (found.stable_layers() >= 0).all()
    assert LogitLens.from_json(found.to_json()).to_json() == found.to_json()
    if tiny_models.BY_NAME[name].task == CLASSIFIER:
        assert found.label(int(found.final_ids[0])) == visualizer.predict(TEXTS[2]).label
    else:
        assert np.array_equal(found.next_ids, [*found.tokens.ids[1:], -1])


@pytest.mark.parametrize("name", tiny_models.each(tiny_models.BY_NAME))
def test_the_lens_leaves_the_logits_as_they_are(name):
    if name in REFUSED:
        return
    visualizer = visualizer_of(name)
    encoding = encoded(visualizer, TEXTS[0])
    before = visualizer.runner.model.logits(encoding)
    visualizer.compute_logit_lens(TEXTS[0])
    assert torch.equal(before, visualizer.runner.model.logits(encoding))


@pytest.mark.parametrize("name", [*REFUSED, "llama", "mamba"])
def test_a_report_holds_the_lens_of_its_steps_where_there_is_one(name):
    report = visualizer_of(name).analyze(TEXTS[0], " a bad film", show=False)
    assert (report.lens is None) == (name in REFUSED)
    if report.lens is not None:
        steps = len(report.generation.probabilities)
        assert report.lens.next_ids.tolist() == report.generation.tokens.ids[-steps:].tolist()
        assert oracles.close(report.lens.next_probabilities[-1], report.generation.probabilities)


def test_a_long_continuation_is_read_at_its_first_64_steps():
    report = visualizer_of("llama").analyze("A", "abcdefgh" * 10, show=False)
    start = report.generation.prompt_length
    assert report.lens.positions.tolist() == list(range(start - 1, start + 63))
