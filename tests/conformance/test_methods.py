"""What every registered method owes, on every architecture it fits.

The default run takes four architectures; ``scripts/test --full`` takes all of them.
"""

import json
from functools import cache

import numpy as np
import pytest
import tiny_models
from registered import OF_ATTENTION, quick
from tiny_models import TEXTS, encoded, visualizer_of

from model_understanding import Attribution, UnsupportedModelError
from model_understanding.attribution.protocol import Scores
from model_understanding.registry import METHODS

FEW = ("bert", "gpt2-classifier", "llama", "gemma3")
GRID = [
    pytest.param(name, marks=[] if name in FEW else pytest.mark.full)
    for name in tiny_models.CLASSIFIERS + tiny_models.LANGUAGE_MODELS
]
TEXT = TEXTS[1]


def target_of(name):
    """Return the options of one target that fits the architecture."""
    if name in tiny_models.CLASSIFIERS:
        return {"target": 1, "against": 0}
    return {"target": 9}


REFUSED = {("mamba", method) for method in OF_ATTENTION}


def explained(name, method, **options):
    """Return the attribution of a short text; only what is listed may be refused, and must be."""
    options = options or target_of(name)
    if (name, method.name) in REFUSED:
        with pytest.raises(UnsupportedModelError, match="Mamba"):
            visualizer_of(name).compute_saliency(TEXT, method=method, **options)
        return None
    return visualizer_of(name).compute_saliency(TEXT, method=method, **options)


once = cache(explained)


@pytest.mark.parametrize("method", METHODS.names())
@pytest.mark.parametrize("name", GRID)
def test_a_method_keeps_its_promises(name, method):
    kind = METHODS.load(method)
    found = once(name, kind())
    if found is None:
        return
    assert found.method == method
    assert found.signed == kind.signed
    assert found.scores.shape == (1, len(found.tokens))
    assert np.isfinite(found.scores).all()
    assert found.scores.any()
    if not found.signed:
        assert (found.scores >= 0).all()
    if kind.complete:
        total = float(found.outputs[0] - found.baseline_outputs[0])
        assert found.gaps[0] == pytest.approx(found.scores[0].sum() - total, abs=1e-4 + 1e-4 * abs(total))
        scale = max(abs(total), 0.01 * float(np.abs(found.scores).sum()))
        assert abs(found.gaps[0]) <= 0.011 * scale or found.provenance.cautions
    again = Attribution.from_json(found.to_json())
    assert (again.scores == found.scores).all()
    assert again.parameters == json.loads(json.dumps(found.parameters))


@pytest.mark.parametrize("method", METHODS.names())
@pytest.mark.parametrize("name", GRID)
def test_a_method_is_the_same_twice_and_in_a_batch(name, method):
    method = quick(method, tolerance=0.1)
    found = once(name, method)
    if found is None:
        return
    assert (explained(name, method).scores == found.scores).all()
    if name in tiny_models.CLASSIFIERS:
        together = visualizer_of(name).compute_saliency([TEXTS[0], TEXT], method=method, **target_of(name))
        scale = np.abs(found.scores).max()
        assert np.abs(together[1].scores - found.scores).max() <= 1e-4 * scale


@pytest.mark.parametrize("method", METHODS.names())
@pytest.mark.parametrize("name", [name for name in FEW if name in tiny_models.CLASSIFIERS])
def test_all_classes_in_one_call_are_those_one_by_one(name, method):
    method = quick(method)
    together = explained(name, method, target="all", quantity="log_prob")
    for row in range(3):
        alone = explained(name, method, target=row, quantity="log_prob")
        # Adaptive methods stop where their worst target is good enough: the others may be better.
        scale = max(float(np.abs(alone.scores).max()), 1e-6)
        assert np.abs(together.scores[row] - alone.scores[0]).max() <= 2e-2 * scale


@pytest.mark.parametrize("method", METHODS.names())
@pytest.mark.parametrize("name", [name for name in FEW if name in tiny_models.LANGUAGE_MODELS])
def test_each_token_of_a_continuation_gets_a_row(name, method):
    method = quick(method)
    rows = explained(name, method, target="continuation", continuation=" a king", per_token=True)
    assert np.isfinite(rows.scores).all()
    assert len(rows.targets) == len(rows.tokens) - rows.targets[0].positions[0] - 1
    first = explained(name, method, target=rows.targets[0].indices[0])
    assert rows.outputs[0] == pytest.approx(first.outputs[0], abs=1e-4)
    if not hasattr(method, "seed"):  # what is sampled depends on how many tokens there are
        prompt = rows.scores[0, : len(first.tokens)]
        assert np.abs(prompt - first.scores[0]).max() <= 2e-2 * np.abs(first.scores).max()


@pytest.mark.parametrize("method", METHODS.names())
@pytest.mark.parametrize("name", FEW)
def test_a_function_of_the_outputs_can_be_the_target(name, method):
    method = quick(method, tolerance=0.1)
    if name in tiny_models.CLASSIFIERS:
        found = explained(name, method, target=lambda outputs: outputs.logits[0, 1] - outputs.logits[0, 0])
        expected = once(name, method)
    else:
        found = explained(name, method, target=lambda outputs: outputs.logits[0, -1, 9])
        expected = explained(name, method, target=9, quantity="logit")
    scale = np.abs(expected.scores).max()
    assert np.abs(found.scores - expected.scores).max() <= 1e-3 * scale


@pytest.mark.parametrize("method", METHODS.names())
def test_a_method_object_is_usable_alone(method):
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, TEXT)
    from model_understanding.results import Target

    scores = METHODS.load(method)()(
        visualizer.runner, encoding, [[Target(task="sequence-classification", indices=(1,))]]
    )
    assert isinstance(scores, Scores)
    assert scores.scores.shape == (1, 1, len(encoding.tokens[0]))
