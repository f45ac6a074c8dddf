"""Classes by label and index, kinds of problems, and their probabilities."""

from types import SimpleNamespace

import numpy as np
import pytest
import tiny_models
import torch

from model_understanding import InputError, ModelVisualizer, Tokens
from model_understanding.targets.classification import (
    class_index,
    labels_of,
    prediction_of,
    problem_of,
    resolve_targets,
)
from model_understanding.tokens import Tokens as TokenSequence

LABELS = ("NEGATIVE", "neutral", "positive")
SEE_LABELS = "Pass one of NEGATIVE, neutral, positive, or an index."
SAME_CLASS = "The target and its contrast are both 'positive'. Pass a different class as against."
SEE_INDEX = "Pass an index from 0 to 2, or from -3 to -1 counting from the end."


def config(count=3, kind=None, names=LABELS):
    return SimpleNamespace(num_labels=count, problem_type=kind, id2label=dict(enumerate(names)))


def refusal(call, *arguments):
    with pytest.raises(InputError) as caught:
        call(*arguments)
    return str(caught.value)


def targets(target, against=None, quantity="logit", configuration=None):
    return resolve_targets(configuration or config(), 2 if target is None else target, against, quantity)


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("positive", 2), ("Positive", 2), ("negative", 0), ("NEGATIVE", 0),
        (0, 0), (2, 2), (-1, 2), (-3, 0), (np.int64(1), 1), ("1", 1), ("-1", 2),
    ],
)  # fmt: skip
def test_a_class_by_label_or_index(name, index):
    assert class_index(LABELS, name) == index


def test_labels_that_look_like_indices_are_labels():
    assert class_index(("2", "1", "0"), "0") == 2
    assert class_index(("2", "1", "0"), 0) == 0


@pytest.mark.parametrize(
    ("labels", "name", "message"),
    [
        (LABELS, 3, f"There is no class 3: the model has 3. {SEE_INDEX}"),
        (LABELS, -4, f"There is no class -4: the model has 3. {SEE_INDEX}"),
        (LABELS, "7", f"There is no class 7: the model has 3. {SEE_INDEX}"),
        (
            LABELS,
            "positve",
            "Unknown label 'positve'. Allowed: NEGATIVE, neutral, positive. Did you mean 'positive'?",
        ),
        (
            LABELS,
            "zzz",
            "Unknown label 'zzz'. Allowed: NEGATIVE, neutral, positive. "
            "Pass one of these labels, or an index.",
        ),
        (
            LABELS,
            "²",
            "Unknown label '²'. Allowed: NEGATIVE, neutral, positive. Pass one of these labels, or an index.",
        ),
        (
            LABELS,
            "--1",
            "Unknown label '--1'. Allowed: NEGATIVE, neutral, positive. "
            "Pass one of these labels, or an index.",
        ),
        (("pos", "POS"), "Pos", "Unknown label 'Pos'. Allowed: pos, POS. Did you mean 'pos'?"),
        (("a", "a"), "a", "2 classes have the label 'a'. Pass the index of the class."),
        (LABELS, True, f"A class must be a label or an index. Got True. {SEE_LABELS}"),
        (LABELS, 1.0, f"A class must be a label or an index. Got 1.0. {SEE_LABELS}"),
    ],
)
def test_an_unknown_class(labels, name, message):
    assert refusal(class_index, labels, name) == message


def test_kinds_of_problems():
    assert problem_of(config()) == "single_label"
    assert problem_of(config(kind="single_label_classification")) == "single_label"
    assert problem_of(config(kind="multi_label_classification")) == "multi_label"
    assert problem_of(config(1)) == problem_of(config(2, "regression")) == "regression"
    assert problem_of(config(1, "multi_label_classification")) == "multi_label"


def test_labels_the_configuration_leaves_out_are_numbered():
    assert labels_of(SimpleNamespace(num_labels=2, id2label={"1": "yes"})) == ("LABEL_0", "yes")
    assert labels_of(SimpleNamespace(num_labels=1, id2label=None)) == ("LABEL_0",)


@pytest.mark.parametrize("logits", [[0.1, -2.0, 3.0], [1000.0, -1000.0, 0.0], [0.0, 0.0, 0.0]])
def test_probabilities_are_torchs(logits):
    tokens = TokenSequence.from_pieces(["a"])
    values = np.array(logits, np.float32)
    single = prediction_of(config(), tokens, values)
    assert single.probabilities == pytest.approx(torch.tensor(logits).softmax(0).numpy(), abs=1e-7)
    several = prediction_of(config(kind="multi_label_classification"), tokens, values)
    assert several.probabilities == pytest.approx(torch.tensor(logits).sigmoid().numpy(), abs=1e-7)
    regression = prediction_of(config(kind="regression"), tokens, values)
    assert (regression.probabilities, regression.probability) == (None, None)
    assert (single.label, single.index) == (LABELS[int(np.argmax(logits))], int(np.argmax(logits)))


def test_targets():
    assert [t.indices for t in targets(None)] == [(2,)]
    assert [t.indices for t in targets("all")] == [(0,), (1,), (2,)]
    assert [t.indices for t in targets(["positive", 0])] == [(2,), (0,)]
    named_all = config(2, names=("none", "all"))
    assert [t.labels for t in targets("all", configuration=named_all)] == [("all",)]
    (contrast,) = targets("positive", "negative", "log_prob")
    assert contrast.description() == "log-probability of positive − NEGATIVE"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("positive", 2),
            "The target and its contrast are both 'positive'. Pass a different class as against.",
        ),
        ((None, 2), "The target and its contrast are both 'positive'. Pass a different class as against."),
        (([],), "No target class is given. Pass a label, an index, or target='all'."),
        (
            (0, None, "loss"),
            "Unknown quantity 'loss'. Allowed: logit, log_prob, prob. Pass quantity='logit'.",
        ),
        (
            (0, None, "prob", config(kind="regression")),
            "A regression model has no 'prob': it predicts values, not probabilities. Pass quantity='logit'.",
        ),
    ],
)
def test_targets_that_make_no_sense(arguments, message):
    assert refusal(targets, *arguments) == message


@pytest.mark.parametrize(
    ("kind", "count"), [(None, 3), ("multi_label_classification", 3), ("regression", 3), (None, 1)]
)
def test_predictions_and_targets_are_the_models(kind, count):
    model = tiny_models.fresh("bert", num_labels=count, problem_type=kind)
    visualizer = ModelVisualizer(model=model, tokenizer=tiny_models.tokenizer_of("bert"))
    text = tiny_models.PROBE
    with torch.no_grad():
        logits = model(**visualizer.tokenizer(text, return_tensors="pt")).logits[0]
    prediction = visualizer.predict(text)
    assert prediction.logits == pytest.approx(logits.numpy(), abs=1e-6)
    assert isinstance(prediction.tokens, Tokens)
    quantities = {"logit": logits}
    if kind == "multi_label_classification":
        quantities |= {"prob": logits.sigmoid(), "log_prob": torch.nn.functional.logsigmoid(logits)}
    elif kind is None and count > 1:
        quantities |= {"prob": logits.softmax(0), "log_prob": logits.log_softmax(0)}
    for quantity, expected in quantities.items():
        attribution = visualizer.compute_saliency(text, target="all", quantity=quantity, method="saliency")
        assert attribution.outputs == pytest.approx(expected.numpy(), rel=1e-5, abs=1e-6)
    if count > 1:
        contrast = visualizer.compute_saliency(text, target=0, against=2, method="saliency")
        assert contrast.outputs == pytest.approx([float(logits[0] - logits[2])], rel=1e-4)
