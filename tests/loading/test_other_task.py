"""Folders of models of other tasks are refused with the architecture and what is explained instead."""

import pytest
import tiny_models
import tiny_tokenizers
import transformers as hf

from model_understanding import GenerativeModelVisualizer, InputError, ModelVisualizer

ENCODER_DECODER = {
    **{"vocab_size": 50, "d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 8},
    **{"decoder_ffn_dim": 8, "encoder_attention_heads": 2, "decoder_attention_heads": 2},
}
T5 = {"vocab_size": 50, "d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}
VISION = {
    **{"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2},
    **{"image_size": 8, "patch_size": 4},
}
TEXT = {**{key: VISION[key] for key in list(VISION)[:4]}, "vocab_size": 50}


def bert():
    return tiny_models.build("bert").config


MODELS = {
    "T5ForConditionalGeneration": lambda: hf.T5ForConditionalGeneration(hf.T5Config(**T5)),
    "BartForConditionalGeneration": lambda: hf.BartForConditionalGeneration(hf.BartConfig(**ENCODER_DECODER)),
    "BertForQuestionAnswering": lambda: hf.BertForQuestionAnswering(bert()),
    "BertForTokenClassification": lambda: hf.BertForTokenClassification(bert()),
    "LlavaForConditionalGeneration": lambda: hf.LlavaForConditionalGeneration(
        hf.LlavaConfig(
            vision_config=hf.CLIPVisionConfig(**VISION),
            text_config=hf.LlamaConfig(**TEXT),
        )
    ),
}


KINDS = {
    "T5ForConditionalGeneration": ("an encoder–decoder language model", "Seq2SeqVisualizer"),
    "BartForConditionalGeneration": ("an encoder–decoder language model", "Seq2SeqVisualizer"),
    "BertForQuestionAnswering": ("a question answering model", "QuestionAnsweringVisualizer"),
    "BertForTokenClassification": ("a token classifier", "TokenClassificationVisualizer"),
    "LlavaForConditionalGeneration": ("a causal language model", "GenerativeModelVisualizer"),
}


@pytest.mark.parametrize("architecture", MODELS)
def test_a_folder_of_another_task_is_refused_by_its_architecture(architecture, tmp_path):
    MODELS[architecture]().save_pretrained(tmp_path)
    tiny_tokenizers.wordpiece().save_pretrained(tmp_path)
    name = str(tmp_path)
    for load in (ModelVisualizer, GenerativeModelVisualizer):
        if architecture.startswith("Llava") and load is not ModelVisualizer:
            continue
        with pytest.raises(InputError) as caught:
            load(name)
        kind, visualizer = KINDS[architecture]
        assert caught.value.message == f"{name!r} is {architecture}, {kind}."
        assert caught.value.hint.startswith(f"Use {visualizer} (--task ")
