"""Nothing that is passed on names a folder of its author's disk."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tiny_models
import tiny_tokenizers
from matplotlib import pyplot
from sample_results import classification, provenance

from model_understanding import ModelVisualizer, Report
from model_understanding.results import Provenance
from model_understanding.show.payload.report import report_payload

NAMES = {
    "/home/me/models/bert": ("bert", True),
    "/home/me/models/bert/": ("bert", True),
    "~/models/bert": ("bert", True),
    "./bert": ("bert", True),
    "../runs/checkpoint-500": ("checkpoint-500", True),
    "runs/first/checkpoint-500": ("checkpoint-500", True),
    "C:\\Users\\me\\bert": ("bert", True),
    "D:/models/bert.gguf": ("bert.gguf", True),
    "\\\\server\\share\\bert": ("bert", True),
    "/home/me/.cache/huggingface/hub/models--org--bert/snapshots/0a1b2c": ("org/bert", False),
    "org/bert-base.v1": ("org/bert-base.v1", False),
    "gpt2": ("gpt2", False),
    "demo:sentiment": ("demo:sentiment", False),
    "predict_fn <lambda>": ("predict_fn <lambda>", False),
    "BertForSequenceClassification": ("BertForSequenceClassification", False),
}


@pytest.mark.parametrize("given", NAMES)
def test_a_path_is_shortened_to_its_name_and_a_hub_id_is_kept(given):
    origin = Provenance(model=given)
    assert (origin.model, origin.is_local) == NAMES[given]
    assert Provenance.from_json(origin.to_json()) == origin
    old = {name: value for name, value in json.loads(origin.to_json()).items() if name != "is_local"}
    assert Provenance.from_json(json.dumps(old | {"model": given})) == origin, "files of earlier versions"


def test_no_output_of_a_model_in_a_folder_names_the_folder(tmp_path, monkeypatch):
    folder = tmp_path / "private name" / "my-bert"
    tiny_models.build("bert").save_pretrained(folder)
    tiny_tokenizers.wordpiece().save_pretrained(folder)
    monkeypatch.chdir(tmp_path / "private name")
    for name in (str(folder), "my-bert"):
        report = ModelVisualizer(name, device="cpu").analyze(
            "the film ☃", method="fast", evaluate=False, show=False
        )
        assert (report.provenance.model, report.provenance.is_local) == ("my-bert", True)
        for suffix in (".html", ".json", ".npz", ".csv", ".svg"):
            content = report.save(tmp_path / f"x{suffix}").read_bytes()
            if suffix == ".npz":
                with np.load(tmp_path / "x.npz") as arrays:
                    content = bytes(arrays["report"])
            assert b"private name" not in content, suffix
        assert "private name" not in report.to_html()
        pyplot.close("all")
        code = "".join(report_payload(report)["attributions"][0]["python"])
        assert "ModelVisualizer('path/to/my-bert')" in code
        loaded = Report.load(tmp_path / "x.json")
        assert loaded.provenance == report.provenance


def test_code_for_a_loaded_model_leaves_the_model_to_the_reader():
    origin = provenance(model="BertForSequenceClassification")
    payload = report_payload(replace(classification(), provenance=origin))
    assert "ModelVisualizer(model=model, tokenizer=tokenizer)" in "".join(
        payload["attributions"][0]["python"]
    )
    assert "ModelVisualizer('demo:sentiment')" in "".join(
        report_payload(classification())["attributions"][0]["python"]
    )
