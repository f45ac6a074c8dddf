"""What transformers and the hub raise while loading names the checkpoint and says what to do."""

from typing import Any

import transformers

from model_understanding import LoadingError

from .checkpoints import SEE_CONTENTS, configure, refusal


def test_a_name_the_hub_does_not_know(monkeypatch):
    def unknown(*_: Any, **__: Any) -> None:
        raise OSError(
            "x/y is not a local folder and is not a valid model identifier listed on "
            "'https://hub.example/models'\nIf this is a private repository, …"
        )

    monkeypatch.setattr(transformers.PretrainedConfig, "get_config_dict", unknown)
    assert refusal(LoadingError, "x/y") == (
        "'x/y' is neither a folder nor a model on the Hugging Face Hub. "
        "Check the name; for a private model pass token=… or set HF_TOKEN."
    )


def test_an_empty_folder(tmp_path):
    assert refusal(LoadingError, tmp_path).startswith(f"Cannot load '{tmp_path}': ")
    assert refusal(LoadingError, tmp_path).endswith(SEE_CONTENTS)


def test_a_broken_config(bert):
    (bert / "config.json").write_text('{"model_type":')
    assert refusal(LoadingError, bert) == (
        f"Cannot load '{bert}': It looks like the config file at '{bert}/config.json' "
        f"is not a valid JSON file. {SEE_CONTENTS}"
    )


def test_weights_of_other_shapes_than_configured(bert):
    configure(bert, num_labels=5, id2label={str(i): str(i) for i in range(5)})
    assert refusal(LoadingError, bert) == (
        f"The weights of '{bert}' do not have the shapes its config.json describes. "
        "Load it for the task it was saved for, or fix its config.json."
    )
