"""The three visualizers have one interface: one order of names, given by keyword, and typed results."""

import inspect
from collections.abc import Callable
from itertools import combinations
from typing import Any, TypeVar, get_args, get_origin, get_overloads, get_type_hints

import numpy as np
import pytest
from tiny_models import PROBE, visualizer_of

from model_understanding import (
    Assessment,
    Attribution,
    BlackBoxVisualizer,
    Estimate,
    Failure,
    GenerativeModelVisualizer,
    ModelVisualizer,
    Prediction,
    Report,
)

VISUALIZERS = (ModelVisualizer, GenerativeModelVisualizer, BlackBoxVisualizer)
SECOND_POSITIONAL = {
    ("GenerativeModelVisualizer", "analyze"): "continuation",
    ("GenerativeModelVisualizer", "estimate_analysis"): "continuation",
    ("ModelVisualizer", "compute_ledger"): "reference",
    ("GenerativeModelVisualizer", "compute_ledger"): "reference",
    ("ModelVisualizer", "compute_model_diff"): "text",
    ("GenerativeModelVisualizer", "compute_model_diff"): "prompt",
    ("ModelVisualizer", "compute_model_diffs"): "texts",
    ("GenerativeModelVisualizer", "compute_model_diffs"): "prompts",
}
ORDER = [
    *("question", "messages", "documents", "answer"),
    *(
        "text",
        "texts",
        "prompt",
        "prompts",
        "reference",
        "continuation",
        "kind",
        "scores",
        "method",
        "target",
        "against",
        "quantity",
        "layer",
        "head",
        "query",
    ),
    *("positions", "queries", "keep", "rank", "per_token", "span", "baseline", "top", "restore"),
    *("max_new_tokens",),
    *("alternatives", "evaluate", "metrics", "draws", "seed", "temperature", "top_p", "top_k"),
    *("replacements", "attribution", "stack", "attention", "scores_only"),
    *("errors", "each", "progress", "show"),
]
"""How the parameters after the text are ordered, of every method that explains a text."""

DEFAULTS_THAT_DIFFER = {
    "quantity": ("logit", "log_prob"),  # classifiers, language models
    "query": (0, -1),  # the token that a classifier or a language model reads its answer from
    "queries": (None, "steps"),
}


def methods_of(visualizer: type) -> dict[str, inspect.Signature]:
    """The public methods, those that only refuse left out."""
    methods = inspect.getmembers(visualizer, inspect.isfunction)
    found = {name: inspect.signature(method) for name, method in methods if not name.startswith("_")}
    refusing = inspect.Parameter.VAR_POSITIONAL
    return {
        name: signature
        for name, signature in found.items()
        if not any(parameter.kind is refusing for parameter in signature.parameters.values())
    }


def options_of(signature: inspect.Signature) -> list[inspect.Parameter]:
    """What comes after ``self`` and the text."""
    return list(signature.parameters.values())[2:]


def returned_by(visualizer: type, method: Callable[..., object]) -> Any:
    """What a method states to return, for this kind of visualizer."""
    stated = get_type_hints(method)["return"]
    answers: dict[Any, Any] = {}
    for base in getattr(visualizer, "__orig_bases__", ()):
        answers |= zip(getattr(get_origin(base), "__parameters__", ()), get_args(base), strict=True)
    if isinstance(stated, TypeVar):
        return answers[stated]
    variables = getattr(stated, "__parameters__", ())
    return stated[tuple(answers[variable] for variable in variables)] if variables else stated


METHODS = [(visualizer, name) for visualizer in VISUALIZERS for name in methods_of(visualizer)]
EXPLAINING = [(visualizer, name) for visualizer, name in METHODS if not name.startswith("plot_")]
IDS = [f"{visualizer.__name__}.{name}" for visualizer, name in METHODS]


@pytest.mark.parametrize(("visualizer", "name"), METHODS, ids=IDS)
def test_all_after_the_text_is_named(visualizer, name):
    options = options_of(methods_of(visualizer)[name])
    if (visualizer.__name__, name) in SECOND_POSITIONAL:
        assert options[0].name == SECOND_POSITIONAL[visualizer.__name__, name]
        assert options[0].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        options = options[1:]
    assert {option.kind for option in options} <= {inspect.Parameter.KEYWORD_ONLY}
    assert all(option.default is not inspect.Parameter.empty for option in options)


@pytest.mark.parametrize(("visualizer", "name"), EXPLAINING)
def test_parameters_have_one_order(visualizer, name):
    names = [option.name for option in options_of(methods_of(visualizer)[name])]
    assert names == sorted(names, key=ORDER.index)


@pytest.mark.parametrize(("first", "second"), [*combinations(VISUALIZERS, 2)])
def test_what_is_shared_is_the_same(first, second):
    ours, theirs = methods_of(first), methods_of(second)
    for name in ours.keys() & theirs.keys():
        other = theirs[name].parameters
        for option in options_of(ours[name]):
            if option.name not in other:
                continue
            assert option.kind is other[option.name].kind, (name, option.name)
            defaults = (option.default, other[option.name].default)
            assert defaults[0] == defaults[1] or defaults == DEFAULTS_THAT_DIFFER[option.name], name


def test_explaining_takes_the_same_wherever_it_does_not_run_or_also_shows():
    for visualizer in (ModelVisualizer, GenerativeModelVisualizer):
        methods = methods_of(visualizer)
        computed = {option.name: option.default for option in options_of(methods["compute_saliency"])}
        estimated = {option.name: option.default for option in options_of(methods["estimate_saliency"])}
        assert computed == {**estimated, "errors": "raise", "progress": None}
        for name in ("analyze", "evaluate", "estimate_analysis"):
            options = {option.name: option.default for option in options_of(methods[name])}
            left_out = {"errors", "progress"} - options.keys() | ({"layer"} if name == "evaluate" else set())
            assert computed.keys() - left_out <= options.keys(), name
            differing = {key for key in computed.keys() & options.keys() if computed[key] != options[key]}
            # A report shows each token by itself.
            one_each = {"per_token"} if visualizer is GenerativeModelVisualizer and "analy" in name else set()
            assert differing == one_each, name


@pytest.mark.parametrize(("visualizer", "name"), METHODS, ids=IDS)
def test_what_is_returned_is_stated(visualizer, name):
    method = getattr(visualizer, name)
    returned = inspect.signature(method).return_annotation
    assert returned not in (inspect.Signature.empty, object)
    assert "Any" not in str(returned)
    documented = inspect.getdoc(method) or ""
    for option in options_of(inspect.signature(method)):
        assert f"{option.name}: " in documented, option.name
    assert "Returns:" in documented
    assert "Raises:" in documented


@pytest.mark.parametrize("visualizer", VISUALIZERS)
def test_overloads_tell_one_text_from_several(visualizer):
    results = {"predict": Prediction, "compute_saliency": Attribution, "analyze": Report}
    for name in results.keys() & methods_of(visualizer).keys():
        stated = get_overloads(getattr(visualizer, name))
        one, several, skipping = (returned_by(visualizer, overload) for overload in stated)
        assert one is results[name]
        assert several == list[results[name]]
        assert skipping == list[results[name] | Failure]
    if visualizer is BlackBoxVisualizer:
        return
    assert get_type_hints(visualizer.estimate_saliency)["return"] is Estimate
    assert get_type_hints(visualizer.estimate_analysis)["return"] is Estimate
    returned = [get_type_hints(stated)["return"] for stated in get_overloads(visualizer.evaluate)]
    assert Assessment in returned
    assert set(get_args(returned[-1])) == {Assessment, list[Assessment]}
    for name in ("compute_saliency", "evaluate", "analyze"):
        method = getattr(visualizer, name)
        for stated in get_overloads(method):
            assert list(inspect.signature(stated).parameters) == list(inspect.signature(method).parameters)


@pytest.mark.parametrize("model", ["bert", "gpt2"])
def test_a_method_s_name_is_not_taken_for_a_token(model):
    visualizer = visualizer_of(model)
    for name in ("compute_saliency", "compute_attention", "score_heads", "evaluate", "estimate_saliency"):
        with pytest.raises(TypeError, match="positional argument"):
            getattr(visualizer, name)(PROBE, "lime")


def test_arguments_are_taken_by_their_former_names_with_a_warning():
    visualizer = ModelVisualizer("demo:sentiment")
    text = "A fine film."
    with pytest.warns(FutureWarning, match="attention"):
        report = visualizer.analyze(text, method="fast", maps=(), evaluate=False, show=False)
    assert len(report.attention) == 1
    with pytest.warns(FutureWarning, match="kind"):
        weights = visualizer.compute_attention(text, map="rollout").weights
    np.testing.assert_array_equal(weights, visualizer.compute_attention(text, kind="rollout").weights)
