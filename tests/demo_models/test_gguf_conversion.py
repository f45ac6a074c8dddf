import json
from pathlib import Path

import pytest
import regex
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from model_understanding.demo_models.gguf_conversion import convert_gguf
from model_understanding.errors import LoadingError

from .tiny_language_model import byte_characters, write_tiny_gguf

TEXTS = (
    "",
    "ab ab  ab",
    "a  5",
    "12345 and 3.14",
    "x = [1, 2,  30]\n\tif x:\r\n\r\n    pass  ",
    "It's we're I'LL don't",
    "naïve café e\u0301",
    "שלום עולם 123",
    "中文 字符，测试",
    "🙂 👩‍👩‍👧 🇮🇱",
    "٣٤٥ ½ ² Ⅷ \u00a0\u200b",
)


@pytest.fixture(scope="module")
def folder(tiny_gguf, tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("converted") / "folder"
    convert_gguf(tiny_gguf, made)
    return made


@pytest.fixture(scope="module")
def tokenizer(folder):
    return AutoTokenizer.from_pretrained(folder)


def expected_tokens(text: str, merges: list[list[str]]) -> list[str]:
    """The tokenizer written out: digits apart, GPT-2's pattern, bytes, merges in their order."""
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    stand_ins = byte_characters()
    tokens: list[str] = []
    for part in regex.findall(r"\p{N}|\P{N}+", text):
        for word in regex.findall(pattern, part):
            pieces = [stand_ins[byte] for byte in word.encode()]
            for left, right in merges:
                at = 0
                while at < len(pieces) - 1:
                    if pieces[at : at + 2] == [left, right]:
                        pieces[at : at + 2] = [left + right]
                    at += 1
            tokens += pieces
    return tokens


@pytest.mark.parametrize("text", TEXTS)
def test_tokens_are_those_of_the_written_out_algorithm(text, tokenizer, folder):
    merges = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["merges"]
    encoded = tokenizer(text)
    assert encoded.tokens() == expected_tokens(text, merges)
    assert tokenizer.decode(encoded["input_ids"]) == text


@pytest.mark.parametrize("text", TEXTS)
def test_offsets_cover_the_text_and_point_into_it(text, tokenizer):
    encoded = tokenizer(text, return_offsets_mapping=True)
    covered = {i for start, end in encoded["offset_mapping"] for i in range(start, end)}
    assert covered == set(range(len(text)))
    stand_ins = byte_characters()
    for token, (start, end) in zip(encoded.tokens(), encoded["offset_mapping"], strict=True):
        assert bytes(stand_ins.index(character) for character in token) in text[start:end].encode()


def test_weights_and_logits_are_those_of_transformers_own_load(tiny_gguf, folder):
    ours = AutoModelForCausalLM.from_pretrained(folder)
    theirs = AutoModelForCausalLM.from_pretrained(
        tiny_gguf.parent, gguf_file=tiny_gguf.name, dtype=torch.float32
    )
    assert ours.dtype == torch.float32
    expected = theirs.state_dict()
    found = ours.state_dict()
    assert found.keys() == expected.keys()
    stored = {name: weight.half().float() for name, weight in expected.items()}
    for name, weight in stored.items():
        torch.testing.assert_close(found[name], weight, rtol=0, atol=0, msg=name)
    theirs.load_state_dict(stored)
    ids = torch.arange(3, 40)[None]
    with torch.no_grad():
        torch.testing.assert_close(ours(ids).logits, theirs(ids).logits, rtol=1e-5, atol=1e-5)


def test_configuration_and_special_tokens(folder, tokenizer):
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.tie_word_embeddings
    assert model.config.rms_norm_eps == 1e-5
    assert (model.generation_config.bos_token_id, model.generation_config.eos_token_id) == (1, 2)
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")
    assert (tokenizer.pad_token, tokenizer.unk_token) == ("<|im_end|>", "<|endoftext|>")
    assert tokenizer.model_max_length == 128
    assert tokenizer("<|im_start|>ab")["input_ids"] == [1, tokenizer.convert_tokens_to_ids("ab")]
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "ab"}], tokenize=False)
    assert chat == "<|im_start|>ab<|im_end|>"


def test_another_tokenizer_is_refused(tmp_path):
    path = tmp_path / "other.gguf"
    write_tiny_gguf(path, pre="llama-bpe")
    with pytest.raises(LoadingError) as caught:
        convert_gguf(path, tmp_path / "folder")
    assert caught.value.message == (
        "Cannot convert other.gguf: its architecture is 'llama' and its tokenizer 'llama-bpe'. "
        "Allowed: 'llama' and 'smollm'."
    )
    assert not (tmp_path / "folder").exists()
