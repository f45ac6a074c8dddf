import math

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from model_understanding.demo_models import demo_model_folder

pytestmark = pytest.mark.real

NORMAL = (
    "The river rises in the mountains and flows through three countries before it reaches the sea. "
    "In spring, when the snow melts, it often floods the villages along its banks."
)


@pytest.fixture(scope="module")
def folder():
    return demo_model_folder("demo:smollm2")


@pytest.fixture(scope="module")
def tokenizer(folder):
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def model(folder):
    return AutoModelForCausalLM.from_pretrained(folder).eval()


def perplexity(model, tokenizer, text: str) -> float:
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        return math.exp(model(input_ids=ids, labels=ids).loss)


def test_normal_text_is_far_likelier_than_scrambled_text(model, tokenizer):
    words = NORMAL.split()
    scrambled = " ".join(words[i * 7 % len(words)] for i in range(len(words)))
    assert sorted(scrambled.split()) == sorted(words)
    assert perplexity(model, tokenizer, NORMAL) < 30
    assert perplexity(model, tokenizer, scrambled) > 10 * perplexity(model, tokenizer, NORMAL)


def test_the_capital_of_france(model, tokenizer):
    with torch.no_grad():
        logits = model(**tokenizer("The capital of France is", return_tensors="pt")).logits
    assert tokenizer.decode(logits[0, -1].argmax()) == " Paris"


def test_a_chat_answers_and_ends(model, tokenizer):
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text.endswith(
        "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    )
    encoded = tokenizer(text, return_tensors="pt")
    generated = model.generate(**encoded, max_new_tokens=40, do_sample=False)
    new = generated[0, encoded["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(new)
    assert new[-1] == tokenizer.eos_token_id
    assert tokenizer.eos_token == "<|im_end|>"


def test_the_tokenizer_adds_nothing_and_splits_digits(tokenizer):
    assert (
        tokenizer("Hello world")["input_ids"]
        == tokenizer("Hello world", add_special_tokens=False)["input_ids"]
    )
    assert tokenizer.tokenize("in 1984, a  5") == ["in", "Ġ", "1", "9", "8", "4", ",", "Ġa", "ĠĠ", "5"]
    encoded = tokenizer("Café 🙂!", return_offsets_mapping=True)
    assert encoded["offset_mapping"][-2:] == [(4, 6), (6, 7)]


def test_generating_again_gives_the_same_folder(folder):
    assert demo_model_folder("demo:smollm2") == folder
