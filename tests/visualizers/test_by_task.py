"""One function picks the class: by the task that is given, the pipeline's, else the model's own."""

import copy

import pytest
import tiny_kinds
import tiny_models
import transformers as hf
from torch import nn

import model_understanding
from model_understanding import InputError, LoadingError, visualizer
from model_understanding.targets.names import KINDS
from model_understanding.visualizers.by_task import class_of

ZERO_SHOT = "zero-shot-classification"
PIPELINES = {
    "text-classification": "sequence-classification",
    "text-generation": "causal-lm",
    "token-classification": "token-classification",
    "fill-mask": "masked-lm",
}


@pytest.mark.parametrize("task", [task for task in tiny_kinds.OWN if task != "sentence-similarity"])
def test_a_module_is_explained_by_the_class_of_its_task(task):
    picked = visualizer(tiny_kinds.build(task), tokenizer=tiny_kinds.tokenizer_of(task))
    assert type(picked).__name__ == tiny_kinds.CLASS_OF[task]
    picked = visualizer(model=tiny_kinds.build(task), tokenizer=tiny_kinds.tokenizer_of(task))
    assert picked.task == task


@pytest.mark.parametrize("task", tiny_kinds.OWN)
def test_a_folder_is_explained_by_what_its_config_names(task, tmp_path):
    folder = tiny_kinds.save(task, tmp_path)
    assert type(visualizer(folder)) is class_of(task)
    assert type(visualizer(tmp_path, dtype="float32")) is class_of(task)


@pytest.mark.parametrize(("name", "task"), PIPELINES.items())
def test_a_pipeline_names_its_task(name, task):
    tokenizer = copy.deepcopy(tiny_kinds.tokenizer_of(task))  # some pipelines change its padding side
    pipeline = hf.pipeline(name, model=tiny_kinds.build(task), tokenizer=tokenizer)
    assert type(visualizer(pipeline)) is class_of(task)
    assert class_of(name) is class_of(task)


def test_a_pipeline_of_hypotheses_is_no_plain_classifier():
    model, tokenizer = (
        tiny_kinds.build("zero-shot-classification"),
        tiny_kinds.tokenizer_of("zero-shot-classification"),
    )
    pipeline = hf.pipeline("zero-shot-classification", model=model, tokenizer=tokenizer)
    picked = visualizer(pipeline)
    assert type(picked).__name__ == "ZeroShotClassificationVisualizer"
    expected = pipeline("the film was wonderful", ["good", "bad"])
    answer = picked.predict(("the film was wonderful", ["good", "bad"]))
    assert [answer.names[index] for index in answer.ranking] == expected["labels"]
    assert sorted(answer.probabilities, reverse=True) == pytest.approx(expected["scores"], abs=1e-6)
    assert type(visualizer(model, tokenizer=tokenizer)).__name__ == "ModelVisualizer"


def test_the_task_that_is_given_goes_first():
    model, tokenizer = (
        tiny_kinds.build("zero-shot-classification"),
        tiny_kinds.tokenizer_of("zero-shot-classification"),
    )
    picked = visualizer(
        model, tokenizer=tokenizer, task="zero-shot-classification", candidate_labels=["good", "bad"]
    )
    assert picked.predict("a film").names == ("good", "bad")
    with pytest.raises(InputError, match=r"BertForSequenceClassification is a sequence classifier"):
        visualizer(model, tokenizer=tokenizer, task="fill-mask")


def test_a_class_derived_from_one_of_transformers_is_of_its_kind():
    class Own(hf.BertForTokenClassification):
        pass

    model = Own(tiny_models.build("bert").config)
    assert visualizer(model, tokenizer=tiny_models.tokenizer_of("bert")).task == "token-classification"


@pytest.mark.parametrize("name", ["image-classification", "nonsense", "", "translate", 3])
def test_an_unknown_task_is_refused_with_those_there_are(name):
    with pytest.raises(InputError, match="is not supported") as refusal:
        visualizer("demo:sentiment", task=name)
    assert all(kind in refusal.value.hint for kind in KINDS)


def refusal(module):
    with pytest.raises(InputError) as refused:
        visualizer(module, tokenizer=tiny_models.tokenizer_of("bert"))
    return refused.value


def test_a_module_of_the_users_own_needs_a_task():
    refused = refusal(nn.Linear(2, 2))
    assert refused.message == "Cannot determine the task of a Linear: its class does not name it."
    assert all(kind in refused.hint for kind in KINDS)


def test_a_model_without_a_head_can_only_compare_texts():
    refused = refusal(tiny_models.build("bert").base_model)
    assert refused.message == "BertModel has no head, so it answers nothing that could be explained."
    assert "pooling='mean'" in refused.hint
    model, tokenizer = tiny_models.build("bert").base_model, tiny_models.tokenizer_of("bert")
    assert visualizer(model, tokenizer=tokenizer, pooling="mean").task == "sentence-similarity"


@pytest.mark.parametrize("name", ["BertForNextSentencePrediction", "GPT2DoubleHeadsModel"])
def test_a_head_of_another_kind_is_refused_with_the_kinds_there_are(name):
    config = tiny_models.build("bert" if "Bert" in name else "gpt2").config
    refused = refusal(getattr(hf, name)(config))
    assert refused.message == f"{name} is not supported."
    assert "token classifiers (token-classification)" in refused.hint
    assert "BlackBoxVisualizer" in refused.hint


def test_what_was_made_for_pretraining_fills_masks(tmp_path):
    model = hf.BertForPreTraining(tiny_models.build("bert").config)
    assert "AutoModelForMaskedLM" in refusal(model).hint
    model.save_pretrained(tmp_path)
    tiny_models.tokenizer_of("bert").save_pretrained(tmp_path)
    assert visualizer(tmp_path).task == "masked-lm"


@pytest.mark.parametrize("name", ["./no-such-folder", "no-such/model", ""])
def test_a_missing_checkpoint_cannot_be_loaded(name):
    with pytest.raises(LoadingError):
        visualizer(name)


def test_what_is_no_model_is_refused_as_every_class_does():
    with pytest.raises(InputError, match="Cannot explain an object of type int"):
        visualizer(3)
    with pytest.raises(InputError, match="Expected either a model name or a loaded model"):
        visualizer()
    with pytest.raises(InputError, match="Expected either a model name or a loaded model"):
        visualizer("demo:sentiment", model="demo:sentiment")


@pytest.mark.parametrize("task", KINDS)
def test_every_kind_has_a_class_of_its_own_in_the_package(task):
    assert getattr(model_understanding, tiny_kinds.CLASS_OF[task]) is class_of(task)
