from dataclasses import fields

import pytest
import tiny_models
import typer.main

from model_understanding.cli.application import application
from model_understanding.cli.model_argument import ModelChoice, load_visualizer

COMMANDS = typer.main.get_command(application).commands  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("name", ["explain", "attention", "evaluate", "lens"])
def test_a_command_that_takes_a_model_has_each_of_its_options_once_and_the_model_first(name):
    parameters = [parameter.name for parameter in COMMANDS[name].params]
    assert parameters[0] == "name"
    assert sorted(set(parameters) & {field.name for field in fields(ModelChoice)}) == sorted(
        field.name for field in fields(ModelChoice)
    )
    assert len(set(parameters)) == len(parameters)
    assert "choice" not in parameters


def test_only_a_command_with_an_alternative_names_it():
    help_texts = {name: COMMANDS[name].params[0].help for name in ("attention", "lens")}
    assert help_texts["attention"].endswith("demo:minilm; or an attention map saved as .json or .npz.")
    assert help_texts["lens"].endswith("demo:minilm.")


def test_a_tokenizer_of_its_own_is_loaded(tmp_path):
    tiny_models.build("bert").save_pretrained(tmp_path / "model")
    tiny_models.tokenizer_of("bert").save_pretrained(tmp_path / "tokenizer")
    choice = ModelChoice(name=str(tmp_path / "model"), tokenizer=str(tmp_path / "tokenizer"))
    visualizer = load_visualizer(choice, lambda _: None, lambda _: None)
    assert visualizer.tokenizer.name_or_path == str(tmp_path / "tokenizer")
    assert visualizer.predict("a film").label
