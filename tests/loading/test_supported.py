"""Models and tokenizers that are passed as objects: those that can be explained, and the others."""

import tiny_models
import tiny_tokenizers
import torch
import transformers

from model_understanding import GenerativeModelVisualizer, InputError, ModelVisualizer

from .checkpoints import refusal


def test_objects_that_are_no_model_or_no_tokenizer():
    either = (
        "Expected either a model name or a loaded model. Got {}. For example "
        "ModelVisualizer('bert-base-uncased'), or ModelVisualizer(model=model, tokenizer=tokenizer)."
    )
    model = tiny_models.build("bert")
    assert refusal(InputError) == either.format("neither")
    assert refusal(InputError, "x", model=model) == either.format("both")
    for thing, kind in ((0, "int"), ([], "list"), (object(), "object")):
        assert refusal(InputError, thing) == (
            f"Cannot explain an object of type {kind}. "
            "Pass a model name, a folder, a transformers model with its tokenizer, or a pipeline. "
            "For any other model use BlackBoxVisualizer, which needs only a function from texts to numbers."
        )
    assert refusal(InputError, model=model) == (
        "A loaded model needs its tokenizer. "
        "Pass tokenizer=…: a tokenizer, or the name or folder to load it from."
    )
    assert refusal(InputError, model=model, tokenizer=3) == (
        "An object of type int is not a transformers tokenizer. "
        "Pass AutoTokenizer.from_pretrained(…), or the name or folder to load it from."
    )
    layer = torch.nn.Linear(2, 2)
    assert refusal(InputError, model=layer, tokenizer=tiny_tokenizers.wordpiece()).startswith(
        "Linear could not be run with input_ids: "
    )


def test_models_with_another_head_or_none():
    bert, tokenizer = tiny_models.build("bert"), tiny_tokenizers.wordpiece()
    t5 = transformers.T5Config(vocab_size=50, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    of_classes, of_text = "a sequence classifier", "a causal language model"
    generative = "Use GenerativeModelVisualizer (--task causal-lm)."
    wrong = [
        (ModelVisualizer, tiny_models.build("gpt2"), f"{of_text}, not {of_classes}. {generative}"),
        (
            ModelVisualizer,
            transformers.BertForQuestionAnswering(bert.config),
            f"a question answering model, not {of_classes}. "
            "Use QuestionAnsweringVisualizer (--task question-answering).",
        ),
        (
            GenerativeModelVisualizer,
            bert,
            f"{of_classes}, not {of_text}. Use ModelVisualizer (--task sequence-classification).",
        ),
        (
            GenerativeModelVisualizer,
            transformers.BertForMaskedLM(bert.config),
            f"a masked language model, not {of_text}. Use MaskedLMVisualizer (--task masked-lm).",
        ),
        (
            GenerativeModelVisualizer,
            transformers.T5ForConditionalGeneration(t5),
            f"an encoder–decoder language model, not {of_text}. Use Seq2SeqVisualizer (--task seq2seq-lm).",
        ),
    ]
    for visualizer, model, reason in wrong:
        assert refusal(InputError, visualizer=visualizer, model=model, tokenizer=tokenizer) == (
            f"{type(model).__name__} is {reason}"
        )
    message = refusal(InputError, model=bert.bert, tokenizer=tokenizer)
    assert message.startswith("BertModel is not a sequence classifier. Supported are sequence classifiers")


def test_a_model_of_the_users_own_class_is_accepted():
    class Mine(transformers.BertForSequenceClassification):
        pass

    model = Mine(tiny_models.build("bert").config).eval()
    visualizer = ModelVisualizer(model=model, tokenizer=tiny_tokenizers.wordpiece())
    assert visualizer.runner.model.loaded.provenance.architecture == "Mine"


def test_a_loaded_model_is_neither_moved_nor_converted():
    model, tokenizer = tiny_models.build("bert"), tiny_tokenizers.wordpiece()
    same = ModelVisualizer(model=model, tokenizer=tokenizer, device="cpu", dtype="float32")
    assert same.model is model
    assert refusal(InputError, model=model, tokenizer=tokenizer, dtype="float16") == (
        "The model's weights are torch.float32, not torch.float16. Convert it first: model.to(torch.float16)."
    )
    assert model.dtype == torch.float32
