"""Estimates: what is foretold is what hooks then count, for every method and without running the model."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import tiny_models
import torch
from pass_counts import counted, measured
from registered import ADAPTIVE, FLOW, OF_ATTENTION, quick
from tiny_models import PROBE, TEXTS, visualizer_of

from model_understanding import Estimate, InputError, IntegratedGradients, Saliency, ShapleySampling
from model_understanding.attribution.protocol import Scores
from model_understanding.registry import METHODS

GIVEN = {"target": "continuation", "continuation": " a bad film", "per_token": True}
NEXT = {"target": 9}
CASES = [
    ("bert", {}),
    ("llama", GIVEN),
    pytest.param("albert", {"target": "all"}, marks=pytest.mark.full),
    pytest.param("gpt2-classifier", {"target": 1, "against": 0}, marks=pytest.mark.full),
    pytest.param("gpt2", {"target": "loss"}, marks=pytest.mark.full),
    pytest.param("gpt2", NEXT, marks=pytest.mark.full),
    pytest.param("bert-as-language-model", {**NEXT, "against": 4}, marks=pytest.mark.full),
    pytest.param("mamba", {"target": "continuation", "continuation": " a bad film"}, marks=pytest.mark.full),
]
# The backward passes of FLOW end at attention weights, not at the embeddings where these tests count.
REFUSED = {("mamba", method) for method in OF_ATTENTION}


def most(estimate):
    """Return the counts of an estimate, as ``counted`` gives them."""
    return {name: getattr(estimate, name) for name in NAMES}


def least(estimate):
    return {name: getattr(estimate, f"least_{name}") for name in NAMES}


NAMES = ("forwards", "positions", "backwards", "backward_positions")


@pytest.mark.parametrize("method", METHODS.names())
@pytest.mark.parametrize(("name", "options"), CASES)
def test_what_is_foretold_is_what_runs(name, options, method):
    if (name, method) in REFUSED:
        pytest.skip("refused")
    visualizer = visualizer_of(name)
    settings = quick(method, tolerance=0.1)
    estimate = visualizer.estimate_saliency(PROBE, method=settings, **options)
    told = []
    with counted(visualizer.model) as counts:
        found = visualizer.compute_saliency(
            PROBE, method=settings, progress=lambda done, total: told.append((done, total)), **options
        )
    assert estimate.is_exact or method in ADAPTIVE
    if method in FLOW:
        counts |= {name: most(estimate)[name] for name in NAMES[2:]}
    if method == "value_zeroing_rollout":  # runs its blocks again, past the model's own forward
        assert counts["forwards"] < estimate.forwards
        counts |= {name: most(estimate)[name] for name in NAMES[:2]}
    if estimate.is_exact:
        assert counts == most(estimate)
    for count in NAMES:
        assert least(estimate)[count] <= counts[count] <= most(estimate)[count]
    assert (estimate.texts, estimate.tokens, estimate.targets) == (1, len(found.tokens), len(found.targets))
    assert estimate.result_bytes == found.scores.nbytes
    assert estimate.peak_bytes > 0
    done, totals = zip(*told, strict=True)
    assert list(done) == sorted(done)
    assert done[0] == 0
    assert set(totals[:-1]) == {estimate.positions + estimate.backward_positions}
    assert done[-1] == totals[-1] == counts["positions"] + counts["backward_positions"]
    assert len(told) >= counts["forwards"] + counts["backwards"]


@pytest.mark.parametrize(
    ("name", "method", "end"),
    [
        ("bert", ShapleySampling(tolerance=0, samples=500), most),
        ("bert", ShapleySampling(tolerance=1e9, samples=500), least),
        ("llama", IntegratedGradients(tolerance=0.99), least),
    ],
)
def test_both_ends_of_a_range_are_reached(name, method, end):
    visualizer = visualizer_of(name)
    options = NEXT if name == "llama" else {"target": 0}
    estimate = visualizer.estimate_saliency(PROBE, method=method, **options)
    assert least(estimate) != most(estimate)
    with counted(visualizer.model) as counts:
        visualizer.compute_saliency(PROBE, method=method, **options)
    assert counts == end(estimate)


def test_an_integral_that_never_converges_runs_the_most_positions():
    visualizer = visualizer_of("llama")
    method = IntegratedGradients(baseline="zero", tolerance=1e-9, nodes=4, max_nodes=60)
    estimate = visualizer.estimate_saliency(PROBE, method=method, **NEXT)
    with counted(visualizer.model) as counts:
        found = visualizer.compute_saliency(PROBE, method=method, **NEXT)
    assert found.provenance.cautions
    assert (counts["positions"], counts["backward_positions"]) == (
        estimate.positions,
        estimate.backward_positions,
    )
    assert counts["forwards"] <= estimate.forwards


@pytest.mark.parametrize("method", [Saliency(), IntegratedGradients()])
def test_several_texts_of_several_lengths(method):
    visualizer = visualizer_of("bert")
    texts = [*TEXTS, PROBE, TEXTS[1]]
    estimate = visualizer.estimate_saliency(texts, method=method)
    with counted(visualizer.model) as counts:
        found = visualizer.compute_saliency(texts, method=method)
    assert (estimate.texts, estimate.targets) == (5, 5)
    assert estimate.tokens == max(len(attribution.tokens) for attribution in found)
    assert all(least(estimate)[name] <= counts[name] <= most(estimate)[name] for name in NAMES)
    if estimate.is_exact:
        assert counts == most(estimate)


@pytest.mark.parametrize("name", ["bert", "llama", pytest.param("mamba", marks=pytest.mark.full)])
def test_an_estimate_runs_nothing_once_the_model_is_known(name):
    visualizer = measured(visualizer_of(name))
    options = {"target": "next"} if name in tiny_models.LANGUAGE_MODELS else {}
    # Whether the model is causal, its cache can be trusted and its runs can be paired is measured once, here.
    visualizer.compute_saliency(PROBE, method="leave_one_out", **options)
    visualizer.estimate_saliency(PROBE, method="deep_lift", **options)
    visualizer.estimate_saliency(PROBE, method="leave_one_out", **options)
    before = torch.random.get_rng_state()
    with counted(visualizer.model) as counts:
        for method in METHODS.names():
            if (name, method) not in REFUSED:
                visualizer.estimate_saliency(PROBE, method=quick(method), **options)
    assert counts == dict.fromkeys(NAMES, 0)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("method", ["saliency", "integrated_gradients", "gim"])
@pytest.mark.parametrize("name", ["albert", "llama"])
def test_at_a_layer(name, method):
    visualizer = visualizer_of(name)
    options = {**(NEXT if name == "llama" else {"target": 0}), "layer": 1}
    estimate = visualizer.estimate_saliency(PROBE, method=method, **options)
    with counted(visualizer.model) as counts:
        visualizer.compute_saliency(PROBE, method=method, **options)
    assert all(least(estimate)[name] <= counts[name] <= most(estimate)[name] for name in NAMES)
    assert counts == most(estimate) or method in ADAPTIVE


def test_a_function_as_target_is_not_called_for_an_estimate():
    visualizer, calls = visualizer_of("bert"), []

    def first_logit(outputs):
        calls.append(1)
        return outputs.logits[0, 0]

    estimate = visualizer.estimate_saliency(list(TEXTS), target=first_logit, method="saliency")
    assert calls == []
    with counted(visualizer.model) as counts:
        visualizer.compute_saliency(list(TEXTS), target=first_logit, method="saliency")
    assert counts == most(estimate)


@pytest.mark.parametrize("against", [0, 1])
def test_the_answer_that_is_not_known_yet_is_not_taken_for_its_contrast(against):
    visualizer = visualizer_of("bert")
    predicted = visualizer.predict(PROBE).index
    against = against if against != predicted else 2
    assert visualizer.estimate_saliency(PROBE, against=against, method="saliency").forwards == 1


def test_a_continuation_that_is_not_generated_yet_is_a_range():
    visualizer = visualizer_of("gpt2")
    options = {"target": "continuation", "per_token": True, "max_new_tokens": 6, "method": "saliency"}
    estimate = visualizer.estimate_saliency(PROBE, **options)
    shortest = visualizer.estimate_saliency(PROBE, **{**options, "max_new_tokens": 1})
    assert shortest.is_exact
    assert least(estimate) == most(shortest)
    assert estimate.notes == (
        "The length of the continuation is unknown: "
        f"texts of {shortest.tokens} to {shortest.tokens + 5} tokens are counted.",
    )
    words = visualizer.generate(PROBE, max_new_tokens=6)
    given = " a bad film was a"
    exact = visualizer.estimate_saliency(PROBE, target="continuation", continuation=given, method="saliency")
    assert exact.is_exact
    assert len(words.tokens) <= estimate.tokens


def test_an_analysis_is_estimated_as_a_whole_and_told_of_as_a_whole():
    visualizer = visualizer_of("gpt2")
    estimate = visualizer.estimate_analysis(PROBE, " a bad film")
    told = []
    visualizer.analyze(PROBE, " a bad film", show=False, progress=lambda *numbers: told.append(numbers))
    assert estimate.is_exact
    assert told[-1] == (estimate.positions + estimate.backward_positions,) * 2
    assert {total for _, total in told} == {told[-1][1]}


def test_an_estimate_reads_well_and_survives_json():
    estimate = visualizer_of("bert").estimate_saliency(list(TEXTS), method="shapley_sampling")
    assert Estimate.from_json(estimate.to_json()) == estimate
    lines = str(estimate).splitlines()
    assert lines[0] == f"shapley_sampling of 3 texts ({estimate.tokens} tokens in the longest, 3 targets)"
    assert lines[1] == (
        f"forward passes   {estimate.least_forwards} to {estimate.forwards} over "
        f"{estimate.least_positions:,} to {estimate.positions:,} token positions"
    )
    assert lines[2] == "backward passes  0"
    assert lines[3].startswith("memory           about ")


@dataclass(frozen=True)
class OwnForward:
    """A method of another package that needs more of the runner than a dry run has."""

    name: ClassVar[str] = "own_forward"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    cost: ClassVar[str] = ""
    reference: ClassVar[str] = ""

    def __call__(self, runner, encoding, targets):
        runner.model.logits(encoding)
        outputs = runner.model.forward(encoding)
        ones = np.ones((len(encoding), 1, encoding.ids.shape[1]))
        return Scores(scores=ones, outputs=outputs.logits[:, :1].detach().numpy())


def test_a_method_that_cannot_be_rehearsed_runs_without_a_total_and_says_so_when_asked():
    visualizer, told = visualizer_of("bert"), []
    visualizer.compute_saliency(
        PROBE, method=OwnForward(), target=0, progress=lambda *numbers: told.append(numbers)
    )
    tokens = told[-1][0]
    assert told == [(0, None), (tokens, None), (tokens, tokens)]
    with pytest.raises(InputError) as caught:
        visualizer.estimate_saliency(PROBE, method=OwnForward(), target=0)
    assert str(caught.value) == (
        "The cost of 'own_forward' cannot be estimated: the method uses more of the runner than values and "
        "gradients (AttributeError: 'NoneType' object has no attribute 'logits'). "
        "Pass progress=True to see how far a run is."
    )


def test_what_is_wrong_with_a_request_is_said_by_its_estimate_too():
    visualizer = visualizer_of("bert")
    with pytest.raises(InputError, match="Unknown label 'x'"):
        visualizer.estimate_saliency(PROBE, target="x", method="saliency")
    with pytest.raises(InputError, match="the tokenizer has no mask token"):
        visualizer_of("gpt2").estimate_saliency(PROBE, method=IntegratedGradients(baseline="mask"))
