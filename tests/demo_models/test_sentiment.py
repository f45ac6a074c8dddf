import json
import socket
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from model_understanding.demo_models import demo_model_folder

POSITIVE = (
    "The movie was absolutely fantastic!",
    "I loved every minute of it.",
    "A wonderful, moving and very funny film.",
    "This phone works great and the battery lasts for days.",
)
NEGATIVE = (
    "What a waste of time.",
    "not good at all",
    "A boring, stupid and badly acted mess.",
    "The food was cold and the waiter was rude.",
)


@pytest.fixture(scope="module")
def folder() -> Path:
    return demo_model_folder("demo:sentiment")


@pytest.fixture(scope="module")
def tokenizer(folder):
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def model(folder):
    return AutoModelForSequenceClassification.from_pretrained(folder)


def test_the_folder_is_at_most_20_megabytes_and_holds_no_pickle(folder):
    files = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert set(files) == {
        "README.md",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert sum(files.values()) <= 20_000_000


def test_loads_without_a_network(folder, monkeypatch):
    def refuse(*_arguments, **_options):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    AutoTokenizer.from_pretrained(folder)
    AutoModelForSequenceClassification.from_pretrained(folder)


def test_what_it_is(folder, model, tokenizer):
    assert type(model).__name__ == "BertForSequenceClassification"
    assert model.config.id2label == {0: "negative", 1: "positive"}
    assert model.config.label2id == {"negative": 0, "positive": 1}
    assert model.dtype == torch.float32
    assert model.config.vocab_size == len(tokenizer) == model.get_input_embeddings().num_embeddings
    assert tokenizer.is_fast
    assert tokenizer.model_max_length == model.config.max_position_embeddings == 512
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert "auto_map" not in config
    assert "_attn_implementation" not in config


@pytest.mark.parametrize(
    ("text", "label"), [(text, 1) for text in POSITIVE] + [(text, 0) for text in NEGATIVE], ids=str
)
def test_clear_sentences(text, label, model, tokenizer):
    with torch.no_grad():
        logits = model(**tokenizer(text, return_tensors="pt")).logits[0]
    assert logits.argmax() == label
    assert logits.softmax(0)[label] > 0.7


def test_padding_changes_nothing(model, tokenizer):
    texts = [POSITIVE[0], " ".join(NEGATIVE)]
    with torch.no_grad():
        alone = torch.cat([model(**tokenizer(text, return_tensors="pt")).logits for text in texts])
        together = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits
    torch.testing.assert_close(alone, together, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("text", [chr(code) for code in range(32, 127)])
def test_every_printable_ascii_character_has_a_token(text, tokenizer):
    encoded = tokenizer(f"a{text}b {text}", return_offsets_mapping=True)
    assert tokenizer.unk_token_id not in encoded["input_ids"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "🙂 nice 👩‍👩‍👧",
        "שלום great עולם",
        "中文 film 电影",
        "naïve café",
        "a\u0000b\u200bc\n\td",
        "x" * 150,
    ],
)
def test_any_text_is_tokenized_with_offsets_into_it(text, model, tokenizer):
    encoded = tokenizer(text, return_offsets_mapping=True, return_tensors="pt")
    offsets = encoded.pop("offset_mapping")[0].tolist()
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"][0].tolist())
    assert (tokens[0], tokens[-1]) == ("[CLS]", "[SEP]")
    assert offsets[0] == offsets[-1] == [0, 0]
    for token, (start, end) in zip(tokens[1:-1], offsets[1:-1], strict=True):
        assert 0 <= start < end <= len(text)
        if token != "[UNK]" and text.isascii():
            assert text[start:end].lower() == token.removeprefix("##")
    with torch.no_grad():
        assert torch.isfinite(model(**encoded).logits).all()


def test_other_scripts_are_unknown_and_not_lost(tokenizer):
    assert tokenizer.tokenize("good שלום 🙂 film") == ["good", "[UNK]", "[UNK]", "film"]


def test_the_card_says_what_matters(folder):
    card = (folder / "README.md").read_text(encoding="utf-8")
    for part in (
        "license: apache-2.0",
        "## Accuracy",
        "## Limits",
        "## Data and license",
        "Hutto",
        "Pang",
        "KDD 2004",
    ):
        assert part in card
    assert "{" not in card
