"""What follows a prompt: generated ids as text, and both as one sequence."""

import pytest
import tiny_tokenizers

from model_understanding.text.continuation import joined, tokens_of_ids
from model_understanding.text.tokenization import tokenize

GPT2, LLAMA = tiny_tokenizers.gpt2_like(), tiny_tokenizers.llama_like()
END = 0


def following(tokenizer, prompt, ids):
    tokens = tokens_of_ids(tokenizer, ids, tokenize(tokenizer, prompt)[0])
    assert tokens.ids.tolist() == list(ids)
    assert ((tokens.segments < 0) == tokens.special).all()
    return tokens


def ids_of(text, tokenizer=GPT2):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("text", [" was a king", "\n\nOnce", " 👨‍👩‍👧 ok", "שלום", " 你好。", "é", "..."])
@pytest.mark.parametrize("tokenizer", [GPT2, LLAMA])
def test_generated_ids_stand_in_the_text_they_decode_to(tokenizer, text):
    ids = ids_of(text, tokenizer)
    generated, given = (
        following(tokenizer, "The film 👨‍👩‍👧", ids),
        tokenize(tokenizer, text, special_tokens=False)[0],
    )
    assert generated.texts == given.texts == (text,)
    assert generated.offsets.tolist() == given.offsets.tolist()
    assert generated.words.tolist() == given.words.tolist()


def test_half_an_emoji():
    half = ids_of("👨")[:3]
    tokens = following(GPT2, "The", half)
    assert tokens.surfaces() == ("\ufffd",) * 3
    tokens = following(GPT2, "The", half + ids_of(" bad"))
    assert tokens.texts == ("\ufffd bad",)
    assert tokens.surfaces()[:3] == ("\ufffd",) * 3
    assert "".join(tokens.surfaces()[3:]) == " bad"


def test_special_tokens_stand_in_no_text():
    tokens = following(GPT2, "The", [*ids_of(" king"), END, *ids_of(" bad"), END])
    assert tokens.texts == (" king bad",)
    assert tokens.special.tolist() == [i == END for i in tokens.ids]
    assert tokens.surfaces()[-1] == "<|endoftext|>"
    only = following(GPT2, "The", [END])
    assert (only.texts, only.surfaces()) == (("",), ("<|endoftext|>",))
    nothing = following(GPT2, "The", [])
    assert (nothing.texts, len(nothing)) == (("",), 0)


def byte_fallback():
    """Llama's own kind: unknown characters as bytes, which are decoded run by run."""
    import json

    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.train_from_iterator(
        tiny_tokenizers.SENTENCES,
        trainers.BpeTrainer(
            vocab_size=400, special_tokens=[f"<0x{i:02X}>" for i in range(256)], show_progress=False
        ),
    )
    written = json.loads(backend.to_str())
    written["added_tokens"] = []
    written["model"]["byte_fallback"] = True
    backend = Tokenizer.from_str(json.dumps(written))
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_input_names=["input_ids"])


def test_a_decoder_that_drops_the_first_blank_keeps_it_after_a_prompt():
    tokenizer = byte_fallback()
    ids = tokenizer("king was")["input_ids"]
    tokens = following(tokenizer, "The", ids)
    assert tokens.texts == (" king was",)
    assert "".join(tokens.surfaces()) == " king was"


def test_the_prompts_last_emoji_is_not_cut_where_the_context_begins():
    """A run of bytes that begins in the middle of a character decodes to nothing but replacements."""
    tokenizer = byte_fallback()
    ids = [i for i in tokenizer("👩")["input_ids"] if tokenizer.convert_ids_to_tokens(i).startswith("<0x")]
    assert len(ids) == 4
    for blanks in range(4):
        tokens = following(tokenizer, f"The {'a' * blanks}👨👨👨👨{'é' * blanks}", ids)
        assert tokens.texts == ("👩",)
        assert tokens.surfaces() == ("👩",) * 4


def test_a_prompt_and_what_follows_are_two_texts():
    prompt, _ = tokenize(LLAMA, "The king")
    tokens = joined(prompt, following(LLAMA, "The king", [*ids_of(" was bad", LLAMA), 2]))
    assert tokens.texts == ("The king", " was bad")
    assert "".join(tokens.surfaces()) == "<s>The king was bad</s>"
    assert tokens.segments.tolist() == [
        -1,
        *[0] * (len(prompt) - 1),
        *[1] * (len(tokens) - len(prompt) - 1),
        -1,
    ]
    words = tokens.words.tolist()
    assert words[0] == words[-1] == -1
    assert words[1:-1] == sorted(words[1:-1])
    labels = tokens.fold(tokens.groups("word")).labels()
    assert [label for label in labels[1:-1] if label != "␣"] == ["The", "king", "was", "bad"]
