"""Results to JSON and back, bit for bit; what is not a whole result is refused."""

import json
from dataclasses import replace

import hard_results as made
import numpy as np
import pytest
from hard_results import same

from model_understanding import Attribution, InputError, NumericalError, Report
from model_understanding.results import Evaluation, Prediction, Target, result_from_json

HINT = "Pass a file that Report.save('x.json') or to_json wrote."


@pytest.mark.parametrize("result", made.everything(), ids=lambda result: type(result).__name__)
def test_every_result_comes_back_to_the_bit(result):
    text = result.to_json()
    assert same(type(result).from_json(text), result)
    assert same(result_from_json(result.to_json(indent=2)), result)
    assert json.loads(text)["schema"] == 1


def test_any_float_comes_back_to_the_bit():
    bits = np.random.default_rng(0).integers(0, 2**32, size=5000, dtype=np.uint32).view(np.float32)
    values = bits[np.isfinite(bits)]
    logits = Prediction(
        tokens=made.tokens_of("a"),
        labels=[str(i) for i in range(len(values))],
        logits=values,
        probabilities=None,
        problem="regression",
    )
    assert Prediction.from_json(logits.to_json()).logits.tobytes() == values.tobytes()


def test_numbers_are_written_as_short_as_they_can_be():
    assert json.loads(Attribution.from_arrays(["a", "b"], [0.1, -0.0]).to_json())["scores"] == [[0.1, -0.0]]
    assert '"scores": [[0.1, -0.0]]' in Attribution.from_arrays(["a", "b"], [0.1, -0.0]).to_json()


def test_parameters_of_any_kind_are_written():
    odd = {"array": np.arange(2), "number": np.float32(0.1), "tuple": (1, 2), "object": int, 3: True}
    found = Attribution.from_json(replace(made.attribution(), parameters=odd).to_json()).parameters
    assert found == {
        "array": [0, 1], "number": 0.1, "tuple": [1, 2], "object": "<class 'int'>", "3": True,
    }  # fmt: skip


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_what_is_not_finite_is_refused(value):
    with pytest.raises(NumericalError) as caught:
        Attribution.from_arrays(["a", "b"], [1.0, value])
    assert str(caught.value) == (
        "The scores of 'custom' are not finite. Load the model with dtype='float32' and try again."
    )
    odd = replace(made.evaluation(), value=value)
    if value != 1e300:
        with pytest.raises(NumericalError) as caught:
            odd.to_json()
        assert str(caught.value) == (
            "Evaluation has a value that is not finite. Load the model with dtype='float32' and try again."
        )


def changed(**changes):
    return json.dumps({**json.loads(made.attribution().to_json()), **changes})


def without(name):
    data = json.loads(made.attribution().to_json())
    del data[name]
    return json.dumps(data)


def inside(part, **changes):
    data = json.loads(made.attribution().to_json())
    data[part] = {**data[part], **changes}
    return json.dumps(data)


NO_RESULT = (
    "The JSON is not a result. Types: Alignment, AnswerMap, AnswerSource, AnswerSpan, AnswerSummary, "
    "Assessment, AssessmentSummary, AttentionComparison, AttentionMap, Attribution, AttributionComparison, "
    "CausalEffect, ChangedRow, Choices, Comparison, Confusion, DatasetComparison, DatasetSummary, "
    "Distribution, Entity, ErrorSlice, Estimate, Evaluation, EvaluationPair, Failure, Generation, "
    "HeadScores, Ledger, LedgerPlace, LikelihoodComparison, Limits, LogitLens, MaskFilling, MetricMean, "
    "ModelDiff, ModelDiffSummary, ModuleChange, ModuleMean, OverusedWord, Prediction, Provenance, "
    "PseudoLikelihood, QueryKey, RankedHead, Report, Restoration, RowExample, Shortcut, SourceEffect, "
    "SourceSentence, SpanAnswer, StatedValue, Statement, Tagging, Target, TokenLinks, Tokens, "
    "TrustSample, ValuePair, WordChange, WordEffect."
)
INVALID = "The JSON is not a valid result: "
SCHEMA = (
    "Unsupported schema {}: this version of model-understanding reads schema 1. "
    "Compute and save the result again with this version."
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"Invalid JSON: Expecting value: line 1 column 1 (char 0). {HINT}"),
        ('{"a": 1', f"Invalid JSON: Expecting ',' delimiter: line 1 column 8 (char 7). {HINT}"),
        ("[]", f"{NO_RESULT} {HINT}"),
        ("1", f"{NO_RESULT} {HINT}"),
        (changed(type="Nothing"), f"{NO_RESULT} {HINT}"),
        (changed(type=["Target"]), f"{NO_RESULT} {HINT}"),
        (changed(type=None), f"{NO_RESULT} {HINT}"),
        (changed(schema=2), SCHEMA.format(2)),
        (without("schema"), SCHEMA.format(None)),
        (made.target().to_json(), "The JSON holds Target, not Attribution. Call Target.from_json instead."),
        (changed(more=1), f"{INVALID}Attribution has no field 'more'. {HINT}"),
        (
            without("scores"),
            f"{INVALID}Attribution.__init__() missing 1 required keyword-only argument: 'scores'. {HINT}",
        ),
        (changed(scores="abc"), f"{INVALID}Attribution.scores has the invalid value 'abc'. {HINT}"),
        (changed(scores=None), f"{INVALID}Attribution.scores has the invalid value None. {HINT}"),
        (
            changed(outputs=["1", "2"]),
            f"{INVALID}Attribution.outputs has the invalid value ['1', '2']. {HINT}",
        ),
        (
            changed(outputs=[1, 2, 3]),
            f"{INVALID}outputs must have shape (2,) (None: any length). Got (3,). {HINT}",
        ),
        (changed(gaps=0), f"{INVALID}Attribution.gaps has the invalid value 0. {HINT}"),
        (changed(signed="no"), f"{INVALID}Attribution.signed has the invalid value 'no'. {HINT}"),
        (changed(signed=1), f"{INVALID}Attribution.signed has the invalid value 1. {HINT}"),
        (changed(method=3), f"{INVALID}Attribution.method has the invalid value 3. {HINT}"),
        (changed(parameters=[1]), f"{INVALID}Attribution.parameters has the invalid value [1]. {HINT}"),
        (changed(provenance=None), f"{INVALID}Attribution.provenance has the invalid value None. {HINT}"),
        (
            changed(tokens={"type": "Target"}),
            f"{INVALID}Attribution.tokens has the invalid value {{'type': 'Target'}}. {HINT}",
        ),
        (changed(targets=[1]), f"{INVALID}Attribution.targets has the invalid value 1. {HINT}"),
        (changed(targets="ab"), f"{INVALID}Attribution.targets has the invalid value 'ab'. {HINT}"),
        (inside("tokens", texts="abc"), f"{INVALID}Tokens.texts has the invalid value 'abc'. {HINT}"),
        (inside("tokens", pieces=[1] * 8), f"{INVALID}Tokens.pieces has the invalid value 1. {HINT}"),
        (
            inside("tokens", ids=[0.5] + [0] * 7),
            f"{INVALID}Tokens.ids has the invalid value [0.5, 0, 0, 0, 0, 0, 0, 0]. {HINT}",
        ),
        (inside("provenance", seed="x"), f"{INVALID}Provenance.seed has the invalid value 'x'. {HINT}"),
    ],
)
def test_what_is_not_a_whole_result_is_refused(text, message):
    with pytest.raises(InputError) as caught:
        Attribution.from_json(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_result_is_refused(share):
    text = made.report().to_json()
    with pytest.raises(InputError, match=r"^Invalid JSON: .* Pass a file"):
        Report.from_json(text[: int(len(text) * share)])


def test_depth_and_size_do_no_harm():
    with pytest.raises(InputError, match=r"^Invalid JSON"):
        Report.from_json("[" * 200_000)
    with pytest.raises(
        InputError, match=r"^The JSON is not a valid result: Attribution\.outputs has the invalid value"
    ):
        Attribution.from_json(changed(outputs=[10**400, 1]))
    with pytest.raises(InputError, match=r"Attribution\.outputs has a value that is not finite"):
        Attribution.from_json(changed(outputs=[1e300, 1]))
    data = json.loads(made.report().to_json())
    data["prediction"]["probabilities"][0] = 1e300
    with pytest.raises(InputError, match=r"Prediction\.probabilities has a value that is not finite"):
        Report.from_json(json.dumps(data))


def test_a_file_with_a_value_for_what_was_not_evaluated_still_loads():
    evaluation = replace(made.evaluation(), verdict="not evaluated", reasons=("Too short.",))
    assert evaluation.value is None
    data = {**json.loads(evaluation.to_json()), "value": 0.0}
    assert Evaluation.from_json(json.dumps(data)).value is None


def test_values_of_a_choice_are_checked():
    data = {**json.loads(made.target().to_json()), "quantity": "guess"}
    with pytest.raises(InputError) as caught:
        Target.from_json(json.dumps(data))
    assert str(caught.value) == f"{INVALID}Target.quantity has the invalid value 'guess'. {HINT}"


def at(data, path, value):
    """Set what is at a path of keys and indices."""
    *way, last = path
    for step in way:
        data = data[step]
    data[last] = value


@pytest.mark.parametrize(
    ("made_by", "path", "value", "field"),
    [
        (
            "evaluation",
            ("control", 0),
            float(
                "nan",
            ),
            "Evaluation.control",
        ),
        (
            "evaluation",
            ("value",),
            float(
                "inf",
            ),
            "Evaluation.value",
        ),
        ("evaluation", ("verdict",), "excellent", "verdict"),
        ("generation", ("top_labels",), [], "top_labels"),
        ("generation", ("top_labels", 0), ["b"], "top_labels"),
        ("generation", ("probabilities", 0), -0.5, "probabilities"),
        ("generation", ("top_probabilities", 0, 0), 4.0, "top_probabilities"),
        ("generation", ("entropies", 0), -1.0, "entropies"),
        ("generation", ("prompt_length",), 99, "prompt_length"),
        ("attention", ("weights", 0, 0, 0, 0), 7.5, "weights"),
        (
            "attention",
            ("weights", 0, 0, 0, 0),
            float(
                "nan",
            ),
            "AttentionMap.weights",
        ),
        ("attention", ("sinks",), [99], "sinks"),
        ("attribution", ("scores", 0, 0), float("-inf"), "Attribution.scores"),
        ("attribution", ("parameters",), {"steps": [float("nan")]}, "Attribution.parameters"),
        ("attribution", ("targets", 0, "labels"), ["a", "b", "c"], "labels"),
        (
            "head_scores",
            ("scores", 0, 0, 0),
            float(
                "nan",
            ),
            "HeadScores.scores",
        ),
        ("lens", ("top_probabilities", 0, 0, 0), 1.5, "top_probabilities"),
        ("lens", ("entropies", 0, 0), -2.0, "entropies"),
        ("query_key", ("weights", 0), 2.0, "weights"),
        (
            "query_key",
            ("scale",),
            float(
                "nan",
            ),
            "QueryKey.scale",
        ),
    ],
)
def test_impossible_numbers_are_refused_by_name(made_by, path, value, field):
    result = getattr(made, made_by)()
    data = json.loads(result.to_json())
    at(data, path, value)
    with pytest.raises(InputError, match=field):
        type(result).from_json(json.dumps(data))


def test_impossible_probabilities_of_classes_are_refused():
    data = {**json.loads(made.prediction().to_json()), "probabilities": [-3.0, 4.0]}
    with pytest.raises(InputError, match="probabilities must be from 0 to 1"):
        Prediction.from_json(json.dumps(data))
