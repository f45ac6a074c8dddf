"""The model of a run is loaded again only if it is the same."""

import pytest
import tiny_models
import torch

from model_understanding import InputError, visualizer
from model_understanding.dataset.model_identity import identity_of, model_of_run


@pytest.fixture(scope="module")
def manifest():
    return identity_of(visualizer("demo:sentiment"))


def test_a_model_that_is_named_is_loaded_as_it_was(manifest):
    explainer = model_of_run(manifest)
    assert identity_of(explainer) == manifest
    explainer.tokenizer(["a", "b c"], padding=True, truncation=True)  # leaves a setting in the tokenizer
    assert model_of_run(manifest, explainer) is explainer


def test_other_weights_are_refused(manifest):
    other = visualizer("demo:sentiment")
    with torch.no_grad():
        next(other.model.parameters()).add_(1e-3)
    with pytest.raises(InputError, match="not the model that the run explained: its weights differ"):
        model_of_run(manifest, other)
    with pytest.raises(InputError, match="its weights and tokenizer differ"):
        model_of_run(manifest, tiny_models.visualizer_of("bert"))


def test_a_model_that_the_manifest_does_not_name_must_be_passed(tmp_path, monkeypatch):
    explainer = tiny_models.visualizer_of("bert")
    manifest = identity_of(explainer)
    with pytest.raises(InputError, match="not by a name"):
        model_of_run(manifest)
    explainer.model.save_pretrained(tmp_path / "mine")
    explainer.tokenizer.save_pretrained(tmp_path / "mine")
    saved = visualizer(tmp_path / "mine")
    assert (identity_of(saved)["model"], identity_of(saved)["is_local"]) == ("mine", True)
    with pytest.raises(InputError, match="in a folder named 'mine', which is not here"):
        model_of_run(identity_of(saved))
    monkeypatch.chdir(tmp_path)
    assert identity_of(model_of_run(identity_of(saved))) == identity_of(saved)
    assert model_of_run(identity_of(saved), tmp_path / "mine").model is not saved.model
