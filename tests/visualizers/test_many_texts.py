"""Many texts: in whatever holds them, with or without one that cannot be explained."""

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_models import visualizer_of

from model_understanding import BlackBoxVisualizer, Failure, InputError, Report, StoppedError

TEXTS = ["the film was wonderful", "a dull plot", "the plot was a bad idea", "a bad film"]
TOO_LONG = "good " * 300
SOURCES = {
    "list": list,
    "series": pd.Series,
    "array of strings": np.array,
    "array of objects": lambda texts: np.array(texts, dtype=object),
    "generator": lambda texts: (text for text in texts),
    "column": lambda texts: pd.DataFrame({"text": texts}, index=range(5, 5 + len(texts)))["text"],
    "keys": dict.fromkeys,
}


def length_of_text(texts):
    return [[float(text.count("a")), 1.0] for text in texts]


@pytest.fixture(params=["bert", "gpt2", "black box"])
def visualizer(request):
    return (
        BlackBoxVisualizer(length_of_text) if request.param == "black box" else visualizer_of(request.param)
    )


def options_of(visualizer):
    return {"method": "occlusion"} if isinstance(visualizer, BlackBoxVisualizer) else {"method": "saliency"}


@pytest.mark.parametrize("source", [name for name in SOURCES if name != "keys"])
def test_whatever_holds_texts_is_explained_text_by_text(visualizer, source):
    options = options_of(visualizer)
    found = visualizer.compute_saliency(SOURCES[source](TEXTS), **options)
    assert [attribution.tokens.texts[0] for attribution in found] == TEXTS
    for text, attribution in zip(TEXTS, found, strict=True):
        alone = visualizer.compute_saliency(text, **options)
        np.testing.assert_allclose(attribution.scores, alone.scores, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["bert", "black box"])
def test_predictions_of_many_are_those_of_each(name):
    visualizer = BlackBoxVisualizer(length_of_text) if name == "black box" else visualizer_of(name)
    found = visualizer.predict(pd.Series(TEXTS))
    for text, prediction in zip(TEXTS, found, strict=True):
        np.testing.assert_allclose(prediction.logits, visualizer.predict(text).logits, rtol=1e-4, atol=1e-6)


def test_an_array_of_two_columns_holds_pairs():
    visualizer = visualizer_of("bert")
    pairs = np.array([["a film", "a bad plot"], ["the film was dull", "a plot"]])
    for found in (visualizer.predict(pairs), visualizer.predict(zip(*pairs.T, strict=True))):
        assert [prediction.tokens.texts for prediction in found] == [tuple(pair) for pair in pairs.tolist()]


def test_a_whole_table_is_refused_by_its_columns():
    with pytest.raises(InputError, match="columns id, text") as caught:
        visualizer_of("bert").predict(pd.DataFrame({"id": [1], "text": ["a film"]}))
    assert caught.value.hint == 'Pass one of its columns, as table["text"].'


@pytest.mark.parametrize("bad", ["", TOO_LONG, float("nan"), None, "\ud800"], ids=repr)
def test_one_bad_text_leaves_the_others_and_its_place_says_why(visualizer, bad):
    if isinstance(visualizer, BlackBoxVisualizer) and bad in (TOO_LONG, "\ud800"):
        pytest.skip("a function of texts may take these")
    options = options_of(visualizer)
    texts = [*TEXTS[:2], bad, *TEXTS[2:]]
    found = visualizer.compute_saliency(texts, errors="skip", **options)
    assert [bool(result) for result in found] == [True, True, False, True, True]
    assert isinstance(found[2], Failure)
    with pytest.raises(InputError, match="Text 3 of 5: ") as caught:
        visualizer.compute_saliency(texts, **options)
    assert caught.value.message == f"Text 3 of 5: {found[2].message}"
    assert caught.value.hint == found[2].hint


def test_a_batch_with_logits_that_overflow_loses_that_text_only():
    visualizer = visualizer_of("bert")
    bad = visualizer.compute_saliency("idea", method="saliency").tokens.ids[1]
    table = visualizer.model.get_input_embeddings().weight
    before = table[bad].clone()
    try:
        with torch.no_grad():
            table[bad] = float("nan")
        texts = ["a bad plot", "a bad idea", "a dull film"]  # of one length
        for found in (
            visualizer.compute_saliency(texts, method="saliency", errors="skip"),
            visualizer.predict(texts, errors="skip"),
            visualizer.analyze(texts, method="saliency", evaluate=False, attention=(), errors="skip"),
        ):
            assert [bool(result) for result in found] == [True, False, True]
            assert found[1].message
    finally:
        with torch.no_grad():
            table[bad] = before


def test_reports_of_many_are_those_of_each(visualizer):
    options = options_of(visualizer)
    if not isinstance(visualizer, BlackBoxVisualizer):
        options |= {"evaluate": False, "attention": ()}
    alone = [visualizer.analyze(text, show=False, **options) for text in TEXTS]
    found = visualizer.analyze(SOURCES["generator"](TEXTS), **options)
    for one, other in zip(alone, found, strict=True):
        assert one.texts == other.texts
        for ours, theirs in zip(one.attributions, other.attributions, strict=True):
            assert ours.targets == theirs.targets
            np.testing.assert_allclose(ours.scores, theirs.scores, rtol=1e-4, atol=1e-6)
        for ours, theirs in zip(one.attention, other.attention, strict=True):
            np.testing.assert_allclose(ours.weights, theirs.weights, rtol=1e-4, atol=1e-6)
    skipped = visualizer.analyze([TEXTS[0], "", TEXTS[1]], errors="skip", **options)
    assert [isinstance(report, Report) for report in skipped] == [True, False, True]


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_scores_only_leaves_out_all_else_and_each_report_comes_when_it_is_done(name):
    visualizer = visualizer_of(name)
    read = []

    def source():
        for text in TEXTS:
            read.append(text)
            yield text

    options = {"method": "saliency", "scores_only": True}
    reports = visualizer.analyze_each(source(), **options)
    assert read == []
    for report, text in zip(reports, TEXTS, strict=True):
        assert report.texts[0] == text
        assert (report.attention, report.evaluations, report.heads, report.lens) == ((), (), None, None)
        whole = visualizer.analyze(text, method="saliency", evaluate=False, attention=(), show=False)
        np.testing.assert_allclose(
            report.attributions[0].scores, whole.attributions[0].scores, rtol=1e-4, atol=1e-6
        )


def test_progress_of_many_counts_texts_and_can_stop():
    visualizer, told = visualizer_of("bert"), []
    options = {"method": "saliency", "scores_only": True}
    visualizer.analyze(TEXTS, progress=lambda *numbers: told.append(numbers), **options)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    with pytest.raises(StoppedError, match="after 2 of 4 texts"):
        visualizer.analyze(TEXTS, progress=lambda done, _: done < 2, **options)


@pytest.mark.parametrize(
    "options", [{"metrics": ["nonsense"]}, {"attention": ["nonsense"]}, {"errors": "drop"}]
)
def test_a_wrong_request_is_no_fault_of_a_text(options):
    for name in ("bert", "gpt2"):
        with pytest.raises(InputError):
            visualizer_of(name).analyze(TEXTS, **{"errors": "skip", **options})


def test_texts_of_one_length_share_forward_passes():
    visualizer, calls = visualizer_of("bert"), []
    texts = ["a bad plot", "a bad film", "the film", *TEXTS]
    lengths = {len(prediction.tokens) for prediction in visualizer.predict(texts)}
    visualizer.compute_saliency(TEXTS[0], method="saliency")  # what is measured once for a model
    hook = visualizer.model.register_forward_pre_hook(lambda *_: calls.append(1))
    try:
        visualizer.analyze(texts, scores_only=True, method="saliency")
    finally:
        hook.remove()
    assert len(lengths) < len(texts)
    assert len(calls) == 2 * len(lengths)  # a prediction and a gradient for each length
