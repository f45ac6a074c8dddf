from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest

from model_understanding import Report
from model_understanding.attribution.context_attribution import ContextAttribution
from model_understanding.attribution.saliency import Saliency
from model_understanding.cli.settings import method_fields, parse_method, type_in_words
from model_understanding.errors import InputError
from model_understanding.registry import METHODS


@dataclass(frozen=True)
class Planted:
    signed: ClassVar[bool] = True
    steps: int = 16
    ratio: float = 0.5
    baseline: str = "pad"
    absolute: bool = False
    order: Literal[1, 2] = 2
    seed: int | None = 0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError("steps must be at least 1")


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    place = f"{Planted.__module__}:Planted"
    monkeypatch.setitem(METHODS.places, "planted", place)
    monkeypatch.setattr("model_understanding.registry.import_module", lambda name: _modules(name))


def _modules(name: str):
    from importlib import import_module

    return type("Module", (), {"Planted": Planted}) if name == Planted.__module__ else import_module(name)


@pytest.mark.parametrize("name", ["default", "fast"])
def test_default_and_fast_are_passed_on(name: str) -> None:
    assert parse_method(name, ()) == name
    with pytest.raises(InputError) as caught:
        parse_method(name, ["nodes=40"])
    assert str(caught.value).startswith(
        f"--set 'nodes=40' needs a specific method, and {name!r} depends on the model."
    )


def test_a_field_is_set() -> None:
    assert parse_method("saliency", ["norm=l1"]) == Saliency(norm="l1")


def test_each_type_of_field_is_read(planted: None) -> None:
    settings = ["steps=4", "ratio=1e-2", "baseline=a=b", "absolute=yes", "order=1", "seed=none"]
    assert parse_method("planted", settings) == Planted(4, 0.01, "a=b", True, 1, None)


def test_a_field_of_several_values_is_set_once_for_each() -> None:
    settings = ["chunks=a = b, c", "samples=8", "chunks=</script> שלום"]
    expected = ContextAttribution(chunks=("a = b, c", "</script> שלום"), samples=8)
    assert parse_method("context_attribution", settings) == expected
    assert type_in_words(method_fields(ContextAttribution)["chunks"]) == "text (repeatable)"
    with pytest.raises(InputError) as caught:
        parse_method("context_attribution", ["chunk=a"])
    assert caught.value.hint == "Did you mean 'chunks'?"


def test_chunks_reach_the_method(command: Callable, language_model: str) -> None:
    text = "The plot was dull. Paris is in France."
    outcome = command(
        "explain", language_model, text, "--json", "-m", "context_attribution", "--continuation", " a king",
        "--set", "chunks=plot was", "--set", "chunks=Paris", "--set", "alpha=0", "--set", "samples=8",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    found = Report.from_json(outcome.out).attributions[0]
    assert found.parameters["chunks"] == ["plot was", "Paris"]
    scored = found.scores.any(axis=0) & (found.tokens.segments == 0)
    pieces = [text[start:end] for start, end in found.tokens.offsets[scored]]
    assert "".join(pieces) == " plot was Paris"


def test_fields_and_types_in_words() -> None:
    assert {name: type_in_words(kind) for name, kind in method_fields(Planted).items()} == {
        "steps": "int",
        "ratio": "float",
        "baseline": "text",
        "absolute": "true|false",
        "order": "1|2",
        "seed": "int|none",
    }


@pytest.mark.parametrize(
    ("method", "setting", "message", "hint"),
    [
        ("salience", "", "Unknown method 'salience'. Allowed: ", "Did you mean 'saliency'?"),
        (
            "saliency",
            "norm",
            "Invalid --set 'norm'. Expected FIELD=VALUE.",
            "Fields of saliency: norm=l2|l1|max.",
        ),
        ("saliency", "nrm=l1", "The method 'saliency' has no field 'nrm'.", "Did you mean 'norm'?"),
        ("saliency", "norm=l3", "Invalid value norm='l3'.", "norm takes l2|l1|max."),
        (
            "input_x_gradient",
            "steps=3",
            "The method 'input_x_gradient' has no field 'steps'.",
            "The method 'input_x_gradient' has no fields. Drop --set.",
        ),
        ("planted", "steps=few", "Invalid value steps='few'.", "steps takes int."),
        (
            "planted",
            "steps=0",
            "Invalid settings of the method 'planted': steps must be at least 1",
            "Fields of planted: steps=int, ratio=float, baseline=text, "
            "absolute=true|false, order=1|2, seed=int|none.",
        ),
    ],
)
def test_a_mistake_is_told(planted: None, method: str, setting: str, message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_method(method, [setting] if setting else [])
    assert caught.value.message.startswith(message)
    assert caught.value.hint == hint
