"""A row of a run opens as a full report with the scores that were stored."""

import json

import numpy as np
import pytest
import tiny_models
import torch

from model_understanding import InputError, explain_dataset, report_of
from model_understanding.dataset.summary.reading import StoredRows

TEXTS = ["a good film", "no", "the plot was bad and long", "a fine story", "good", "not a film at all"]
FORMS = ["jsonl", "parquet"]


@pytest.fixture(scope="module")
def classifier():
    return tiny_models.visualizer_of("bert")


@pytest.fixture(scope="module")
def language_model():
    return tiny_models.visualizer_of("gpt2")


def ran(model, data, out, form="jsonl", **options):
    if form == "parquet":
        pytest.importorskip("pyarrow")
    return explain_dataset(model, data, out, form=form, **options)


def assert_stored(report, folder, row):
    """The scores are those of the folder to the last bit, for the same tokens."""
    stored = StoredRows(folder).values(row)
    attribution = report.attributions[0]
    assert attribution.scores[0].tolist() == np.asarray(stored["scores"], np.float32).tolist()
    assert float(attribution.outputs[0]) == np.float32(stored["output"])
    assert list(attribution.tokens.surfaces()) == list(stored["tokens"])
    assert attribution.targets[0].description() == stored["target"]
    assert attribution.method == stored["method"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", ["fast", "saliency", "default"])
def test_a_row_has_the_stored_scores_and_all_parts_of_a_report(classifier, tmp_path, form, method):
    ran(classifier, TEXTS, tmp_path, form, method=method, rows_per_part=4)
    report = report_of(tmp_path, "4", model=classifier)
    assert_stored(report, tmp_path, 4)
    assert report.texts == ("good",)
    assert report.prediction.label == classifier.predict("good").label
    assert report.attention
    assert report.evaluations
    assert not any("stored" in caution for caution in report.provenance.cautions)
    assert_stored(report_of(tmp_path, row=0, model=classifier, scores_only=True), tmp_path, 0)


@pytest.mark.parametrize("form", FORMS)
def test_pairs_targets_and_quantities_are_explained_as_in_the_run(classifier, tmp_path, form):
    label = classifier.predict("a good film").labels[0]
    data = [
        {"id": "x", "text": "a good film", "other": "the film was bad", "what": label},
        {"id": "y", "text": "a plot", "other": "no", "what": "1"},
    ]
    columns = {"pair": "other", "target": "what"}
    ran(classifier, data, tmp_path, form, columns=columns, quantity="log_prob", method="saliency")
    for row, name in enumerate("xy"):
        report = report_of(tmp_path, name, model=classifier, evaluate=False)
        assert_stored(report, tmp_path, row)
        assert report.texts == (data[row]["text"], data[row]["other"])
    assert report.attributions[0].targets[0].indices == (1,)
    assert_stored(as_stored(tmp_path, "y"), tmp_path, 1)


def as_stored(folder, name):
    """Return the report of a row whose model is not there: it was passed in Python."""
    return report_of(folder, name)


@pytest.mark.parametrize("form", FORMS)
def test_texts_that_a_language_model_wrote_or_was_given(language_model, tmp_path, form):
    data = [{"prompt": "the film was", "next": " good"}, {"prompt": "a plot", "next": None}]
    columns = {"continuation": "next"}
    ran(language_model, data, tmp_path, form, columns=columns, max_new_tokens=2)
    for row in (0, 1):
        report = report_of(tmp_path, row=row, model=language_model, evaluate=False)
        assert_stored(report, tmp_path, row)
        assert report.generation.text == StoredRows(tmp_path).values(row)["prediction"]
        assert_stored(as_stored(tmp_path, str(row)), tmp_path, row)


def test_the_loss_of_a_prompt(language_model, tmp_path):
    data = [{"prompt": "the film was good", "what": "loss"}]
    ran(language_model, data, tmp_path, columns={"target": "what"}, method="saliency", max_new_tokens=1)
    assert_stored(report_of(tmp_path, "0", model=language_model, evaluate=False), tmp_path, 0)
    assert_stored(as_stored(tmp_path, "0"), tmp_path, 0)


def test_chats(language_model, tmp_path, monkeypatch):
    template = "{% for message in messages %}{{ message.content }} {% endfor %}"
    monkeypatch.setattr(language_model.tokenizer, "chat_template", template, raising=False)
    chat = [{"role": "user", "content": "the film was"}]
    data = [{"messages": chat}, {"messages": json.dumps(chat)}]
    ran(language_model, data, tmp_path, max_new_tokens=1)
    for row in (0, 1):  # the second is a text that looks like a chat
        report = report_of(tmp_path, row=row, model=language_model, scores_only=True)
        assert_stored(report, tmp_path, row)
        assert_stored(as_stored(tmp_path, str(row)), tmp_path, row)


def test_without_the_model_what_is_stored_is_shown(classifier, tmp_path):
    ran(classifier, TEXTS, tmp_path, method="saliency")
    report = report_of(tmp_path, "0")
    assert_stored(report, tmp_path, 0)
    answer = classifier.predict(TEXTS[0])
    cautions = " ".join(report.provenance.cautions)
    assert f"The model's answer was {answer.label!r}" in cautions
    assert f"{100 * answer.probability:.1f} %" in cautions
    assert "only what the run stored" in cautions
    assert "Pass the model." in cautions
    report.to_html()
    saliency = classifier.compute_saliency(TEXTS[0], method="saliency")
    assert report.attributions[0].signed == saliency.signed
    np.testing.assert_allclose(report.attributions[0].scores, saliency.scores, rtol=1e-4)


def test_a_named_model_is_loaded_and_other_weights_are_not_believed(tmp_path):
    ran("demo:sentiment", ["A fine film.", "A dull one."], tmp_path)
    report = report_of(tmp_path, "1", evaluate=False)
    assert report.prediction.label == "negative"
    assert_stored(report, tmp_path, 1)
    manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    manifest["weights_sha256"] = "0" * 64
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    report = report_of(tmp_path, "1")
    assert report.prediction is None
    assert "its weights differ" in " ".join(report.provenance.cautions)
    assert_stored(report, tmp_path, 1)


def test_a_model_that_is_not_the_runs_is_refused(classifier, tmp_path):
    ran(classifier, TEXTS, tmp_path)
    other = tiny_models.fresh("bert")
    with torch.no_grad():
        next(other.parameters()).add_(0.5)
    with pytest.raises(InputError, match="its weights differ"):
        report_of(tmp_path, "0", model=tiny_models.visualizer_of("bert", model=other))


@pytest.mark.parametrize("form", FORMS)
def test_ids_that_are_not_there_or_not_unique(classifier, tmp_path, form):
    data = [{"id": name, "text": "a good film"} for name in ("order-17", "order-18", "same", "same")]
    ran(classifier, [*data, {"id": "none", "text": ""}], tmp_path, form, rows_per_part=2)
    with pytest.raises(InputError, match=r"2 rows have the id 'same': rows 2, 3\. .*--row 2") as caught:
        report_of(tmp_path, "same", model=classifier)
    assert "row=2 in Python" in caught.value.hint
    with pytest.raises(InputError, match=r"has the id 'ordr-18'\. Did you mean 'order-18'"):
        report_of(tmp_path, "ordr-18")
    with pytest.raises(InputError, match="Its ids begin with 'order-17', 'order-18', 'same'"):
        report_of(tmp_path, "?")
    with pytest.raises(InputError, match=r"Row 4 \(id 'none'\) was not explained. The text is empty."):
        report_of(tmp_path, "none")
    with pytest.raises(InputError, match=r"no row 5 .* 5 rows"):
        report_of(tmp_path, row=5)
    for wrong in ({}, {"id": "same", "row": 1}):
        with pytest.raises(InputError, match="either the id of a row or its place"):
            report_of(tmp_path, **wrong)


def test_an_id_in_another_form_is_named_first(classifier, tmp_path):
    data = [{"id": f"Film-{number:02d}", "text": "a good film"} for number in (19, 29, 39, 9, 49)]
    ran(classifier, data, tmp_path)
    with pytest.raises(InputError, match=r"has the id 'film-9'\. Did you mean 'Film-09'"):
        report_of(tmp_path, "film-9")
