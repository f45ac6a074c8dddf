"""Functions of texts whose right explanation is known, and a model asked as one."""

import json
from dataclasses import fields

import numpy as np
import oracles
import pytest
import tiny_tokenizers
import torch
from loaded_demos import sentiment
from registered import NEED_THE_MODEL, PERTURBATION

from model_understanding import (
    Attribution,
    BlackBoxVisualizer,
    ContextAttribution,
    InputError,
    Lime,
    Occlusion,
    Report,
    ShapleySampling,
    UnsupportedModelError,
)
from model_understanding.registry import METHODS
from model_understanding.results import Target

TEXT = "a good film, but a dull one"
WORDS = ("a", "good", "film", ",", "but", "a", "dull", "one")
WORTH = {"good": 2.5, "film": 0.5, "dull": -1.75, ",": 0.25, "one": 0.125}
HOSTILE = ("👨‍👩‍👧👍🏽 </script><b>x", "שלום 你好 عالم", "\u202eevil\u202c [MASK] & \x07")


def worth(texts):
    """Return a bias and a sum over the words, twice and with another sign."""
    totals = [1 + sum(value * text.count(word) for word, value in WORTH.items()) for text in texts]
    return np.stack([totals, np.negative(totals) * 2], axis=1)


EXPECTED = np.array([WORTH.get(word, 0.0) for word in WORDS])


@pytest.mark.parametrize("replacement", ["[MASK]", "…", "delete"])
def of_registry(**settings):
    """Return every method that can ask a function, with those of the settings that are fields of it."""
    kinds = {name: {field.name for field in fields(METHODS.load(name))} for name in PERTURBATION}
    return [
        METHODS.load(name)(**{field: value for field, value in settings.items() if field in own})
        for name, own in kinds.items()
    ]


EXACT = {"ridge": 0.0, "alpha": 0.0, "unit": "word"}  # nothing is shrunk


@pytest.mark.parametrize("replacement", ["[MASK]", "…", "delete"])
@pytest.mark.parametrize(
    "method",
    dict.fromkeys([*of_registry(**EXACT), *of_registry(**EXACT, samples=80, distance="hamming")]),
    ids=repr,
)
def test_a_sum_over_words_is_recovered(method, replacement):
    visualizer = BlackBoxVisualizer(worth, replacement=replacement)
    found = visualizer.compute_saliency(TEXT, method=method, target="all")
    assert found.tokens.surfaces() == WORDS
    assert oracles.close(found.scores, [EXPECTED, -2 * EXPECTED], 1e-6)
    assert oracles.close(found.outputs, worth([TEXT])[0])
    assert found.parameters["replacement"] == replacement
    if method.complete:
        assert oracles.close(found.baseline_outputs, [1, -2])
        assert np.abs(found.gaps).max() < 1e-9
    contrast = visualizer.compute_saliency(TEXT, method=method, target=0, against=1)
    assert oracles.close(contrast.scores[0], 3 * EXPECTED, 1e-6)


@pytest.mark.parametrize("method", [one for one in of_registry() if one.complete], ids=repr)
def test_a_product_is_shared_equally(method):
    visualizer = BlackBoxVisualizer(lambda texts: [8.0 * ("x" in text and "y" in text) for text in texts])
    found = visualizer.compute_saliency("x or y", method=method)
    assert oracles.close(found.scores, [[4, 0, 4]])
    occluded = visualizer.compute_saliency("x or y", method="occlusion")
    assert oracles.close(occluded.scores, [[8, 0, 8]])


def test_units_and_windows_and_chunks_are_those_of_the_text():
    def predict(texts):
        return [4.0 * ("Paris" in text) + 2.0 * ("dull" in text) for text in texts]

    visualizer = BlackBoxVisualizer(predict, replacement="delete")
    text = "The plot is dull. Paris is in France! Nothing else."
    found = visualizer.compute_saliency(text, method=Occlusion(unit="sentence")).sentences()
    assert oracles.close(found.scores, [[2, 4, 0]])
    chunked = ContextAttribution(chunks=("plot is dull.", "Paris"), alpha=0.0)
    by_chunk = visualizer.compute_saliency(text, method=chunked)
    assert oracles.close([by_chunk.scores[0, 1:5].sum(), by_chunk.scores[0, 5]], [2, 4], 1e-6)
    assert np.count_nonzero(by_chunk.scores) == 5
    windowed = visualizer.compute_saliency("dull or not", method=Occlusion(unit="window", window=2))
    assert oracles.close(windowed.scores, [[1, 0.5, 0]])


@pytest.mark.parametrize("method", of_registry(unit="word"), ids=repr)
@pytest.mark.parametrize("text", ["a good film but bad", "wonderful and dull"])
def test_a_model_asked_as_a_function_agrees_with_itself(method, text):
    """Where the mask's string in the text is the mask's id in the model's input."""
    model = sentiment()
    tokenizer = model.tokenizer

    def predict(texts):
        with torch.no_grad():
            return model.model(**tokenizer(texts, padding=True, return_tensors="pt")).logits

    expected = model.compute_saliency(text, method=method, target="all")
    own = ~expected.tokens.special
    for given in (tokenizer, None):  # each word of these texts is one token
        options = {"labels": model.predict(text).labels, "replacement": tokenizer.mask_token}
        visualizer = BlackBoxVisualizer(predict, tokenizer=given, **options)
        found = visualizer.compute_saliency(text, method=method, target="all")
        assert found.tokens.surfaces() == tuple(np.array(expected.tokens.surfaces())[own])
        assert oracles.close(found.scores, expected.scores[:, own])
        assert oracles.close(found.outputs, expected.outputs)
        assert [target.labels for target in found.targets] == [t.labels for t in expected.targets]
        assert visualizer.predict(text).label == model.predict(text).label
    if not hasattr(method, "samples"):  # these ask about a text of masks alone
        again = BlackBoxVisualizer(lambda texts: [model.predict(one).logits for one in texts], **options)
        found = again.compute_saliency(text, method=method, target="all")
        assert oracles.close(found.scores, expected.scores[:, own])


def test_a_method_object_is_usable_alone():
    visualizer = BlackBoxVisualizer(worth)
    box = visualizer.runner
    target = Target(task="black-box", indices=(1,), against=(0,), quantity="custom", name="other")
    encodings = [box.encode(text) for text in (TEXT, "dull film")]
    for encoding in encodings:
        found = Occlusion(replacement="mask")(box, encoding, [target])
        expected = [-3 * WORTH.get(word, 0) for word in encoding.tokens[0].surfaces()]
        assert oracles.close(found.scores[0, 0], expected)


def test_targets_are_named_by_what_is_known():
    named = BlackBoxVisualizer(worth, labels=["good", "bad"])
    found = named.compute_saliency(TEXT, method="occlusion", target=["bad", 0])
    assert [target.name for target in found.targets] == ["bad", "good"]
    contrast = named.compute_saliency(TEXT, method="occlusion", target="GOOD", against="bad").targets[0]
    assert contrast == Target(
        task="black-box",
        indices=(0,),
        labels=("good",),
        against=(1,),
        against_labels=("bad",),
        quantity="custom",
        name="good − bad",
    )
    assert contrast.description() == "custom target good − bad"
    highest = BlackBoxVisualizer(worth).compute_saliency(["dull " * 3, TEXT], method="occlusion")
    assert [one.targets[0].name for one in highest] == ["class 1", "class 0"]
    alone = BlackBoxVisualizer(lambda texts: [len(text) / 2 for text in texts])
    assert alone.compute_saliency("a b", method="occlusion").targets[0].name == "output"


def test_an_explanation_asks_each_distinct_text_once():
    asked = []

    def predict(texts):
        asked.append(list(texts))
        return worth(texts)

    visualizer = BlackBoxVisualizer(predict, batch_size=5)
    visualizer.compute_saliency([TEXT, "a good film", TEXT], method="occlusion")
    every = [text for batch in asked for text in batch]
    assert len(every) == len(set(every)) == (1 + len(WORDS)) + (1 + 3)
    assert max(len(batch) for batch in asked) == 5
    assert asked[0] == [TEXT, "a good film"]
    asked.clear()
    visualizer.analyze(TEXT, show=False)
    every = [text for batch in asked for text in batch]
    assert len(every) == len(set(every)) == 2 ** len(WORDS)
    assert [len(batch) for batch in asked] == [1] + [5] * 51


def test_probabilities_are_told_from_other_numbers():
    shares = BlackBoxVisualizer(lambda texts: [[0.25, 0.75]] * len(texts), labels=["no", "yes"])
    prediction = shares.predict("a film")
    assert (prediction.label, prediction.probability, prediction.problem) == ("yes", 0.75, "single_label")
    assert BlackBoxVisualizer(worth).predict(TEXT).probabilities is None
    assert BlackBoxVisualizer(worth).predict(TEXT).label == "class 0"
    number = BlackBoxVisualizer(lambda texts: [1.0] * len(texts)).predict("a film")
    assert (number.labels, number.probabilities, number.problem) == (("output",), None, "regression")


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("tokenizer", [None, tiny_tokenizers.wordpiece(), tiny_tokenizers.gpt2_like()])
def test_hostile_texts_are_explained_saved_and_drawn(text, tokenizer, tmp_path):
    visualizer = BlackBoxVisualizer(
        lambda texts: [[(share := sum(map(ord, one)) % 97 / 97), 1 - share] for one in texts],
        tokenizer=tokenizer,
        labels=["</script>", "שלום"],
        replacement="…",
    )
    report = visualizer.analyze(text, method=ShapleySampling(samples=64), show=False)
    found = report.attributions[0]
    assert found.tokens.texts == (text,)
    assert np.abs(found.gaps).max() < 1e-9
    assert found.scores.any()
    page = report.save(tmp_path / "report.html").read_text()
    assert "<b>x" not in page.replace("&lt;b&gt;x", "")
    again = Report.load(report.save(tmp_path / "report.json"))
    assert (again.attributions[0].scores == found.scores).all()
    assert again.provenance.task == "black-box"
    assert again.provenance.model == "predict_fn <lambda>"
    assert visualizer.plot_saliency(found).get_figure() is not None


def test_results_keep_their_parameters():
    found = BlackBoxVisualizer(worth).compute_saliency(TEXT, method=ShapleySampling(samples=300, seed=3))
    again = Attribution.from_json(found.to_json())
    assert again.parameters == json.loads(json.dumps(found.parameters))
    assert (found.provenance.seed, found.provenance.tokenizer) == (3, "words of the text")
    assert found.parameters["replacement"] == "[MASK]"


@pytest.mark.parametrize("method", NEED_THE_MODEL)
def test_methods_that_need_the_model_are_refused_by_name(method):
    visualizer = BlackBoxVisualizer(worth)
    hint = f"Use a perturbation method: {', '.join(PERTURBATION)}."
    for given in (method, METHODS.load(method)()):
        with pytest.raises(UnsupportedModelError) as caught:
            visualizer.compute_saliency(TEXT, method=given)
        assert caught.value.message == (
            f"The method {method!r} needs the model itself; a predict_fn gives values only."
        )
        assert caught.value.hint == hint
    box = visualizer.runner
    with pytest.raises(UnsupportedModelError, match="A predict_fn gives values only; "):
        METHODS.load(method)()(box, box.encode(TEXT), [Target(task="black-box", indices=(0,))])


def test_attention_is_refused():
    for ask in (BlackBoxVisualizer(worth).compute_attention, BlackBoxVisualizer(worth).plot_attention):
        with pytest.raises(UnsupportedModelError) as caught:
            ask(TEXT, layer=0)
        assert str(caught.value) == (
            "A predict_fn gives values only: the model's attention cannot be seen. "
            "Load the model itself with ModelVisualizer or GenerativeModelVisualizer."
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": ""}, "The text is empty."),
        ({"text": ("a", "b")}, "A text for a predict_fn must be a string. Got a tuple."),
        ({"target": "great"}, "Unknown label 'great'. Allowed: good, bad."),
        ({"target": 2}, "There is no class 2: the model has 2."),
        ({"target": lambda outputs: outputs}, "A class must be a label or an index. Got <function"),
        ({"target": 0, "against": "good"}, "The target and its contrast are both 'good'."),
        (
            {"method": Lime(replacement="pad")},
            "replacement='pad' is not available for a predict_fn, which gets '[MASK]' for removed tokens.",
        ),
        (
            {"method": Occlusion(replacement="mask"), "replacement": "delete"},
            "replacement='mask' is not available for a predict_fn, which gets 'delete' for removed tokens.",
        ),
        ({"labels": ["good"]}, "Got 1 label, but predict_fn returned 2 numbers for a text."),
        ({"labels": "good"}, "labels must be a list of strings, one for each class. Got 'good'."),
        ({"labels": []}, "labels must be a list of strings, one for each class. Got []."),
    ],
)
def test_mistakes_are_refused(options, message):
    made = {name: options[name] for name in ("labels", "replacement") if name in options}
    asked = {name: value for name, value in options.items() if name not in made}
    with pytest.raises(InputError) as caught:
        BlackBoxVisualizer(worth, **{"labels": ["good", "bad"], **made}).compute_saliency(
            **{"text": TEXT, "method": "occlusion", **asked}
        )
    assert caught.value.message.startswith(message)


def test_what_the_function_raises_passes_through():
    error = ConnectionError("no route")

    def predict(texts):
        if "[MASK]" in "".join(texts):
            raise error
        return worth(texts)

    with pytest.raises(ConnectionError) as caught:
        BlackBoxVisualizer(predict).analyze(TEXT, show=False)
    assert caught.value is error
