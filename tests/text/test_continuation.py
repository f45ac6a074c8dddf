"""What follows a prompt: generated ids as text, and both as one sequence."""

import pytest
import tiny_tokenizers
from transformers import ByT5Tokenizer, CanineTokenizer

from model_understanding import InputError
from model_understanding.text.continuation import continuation_of, joined, tokens_of_ids
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


# --- a continuation given as text ---

KINDS = {
    "gpt2": GPT2,
    "llama": LLAMA,
    "llama 2": tiny_tokenizers.llama2_like(),
    "metaspace always": tiny_tokenizers.llama2_like("always"),
    "metaspace never": tiny_tokenizers.llama2_like("never"),
    "blank put by bytes": tiny_tokenizers.byte_level_with_blank(),
    "bert": tiny_tokenizers.wordpiece(),
    "xlmr": tiny_tokenizers.xlmr_like(),
    "byt5": ByT5Tokenizer(),
    "canine": CanineTokenizer(),
}
PROMPTS = ("The capital of France is", "un", "naïve café", "吾輩は", "It", "a\n")
FOLLOWING = (" Paris .", ".", "'s", "!", "\nThe", "king", "👩x", "1", "猫である", "שלום", "  two", "\n\nOnce")


@pytest.mark.parametrize("kind", KINDS)
def test_a_continuation_is_what_follows_when_both_are_tokenized_together(kind):
    tokenizer, together = KINDS[kind], 0
    for prompt in PROMPTS:
        before = tokenize(tokenizer, prompt)[0]
        own = before.ids[before.segments >= 0].tolist()
        for text in FOLLOWING:
            whole = ids_of(prompt + text, tokenizer)
            if whole[: len(own)] != own or len(whole) == len(own):
                continue
            tokens, cautions = continuation_of(tokenizer, before, text)
            assert tokens.ids.tolist() == whole[len(own) :]
            assert tokens.texts == (text,)
            assert not cautions or "<unk>" in tokenizer.convert_ids_to_tokens(own[-1])
            together += 1
    assert together > 40


@pytest.mark.parametrize(
    ("kind", "prompt", "text", "pieces"),
    [
        ("gpt2", "The ", "king", ("k", "i", "n", "g")),  # together: "The", " ki", "ng"
        ("llama 2", "The ", "king", ("k", "i", "n", "g")),
        ("llama 2", "The capital", ".", (".",)),
        ("blank put by bytes", "a\n", "\n", ("Ċ",)),
    ],
)
def test_a_shared_token_leaves_the_prompt_as_it_is(kind, prompt, text, pieces):
    tokenizer = KINDS[kind]
    before = tokenize(tokenizer, prompt)[0]
    tokens, cautions = continuation_of(tokenizer, before, text)
    assert tokens.pieces == pieces
    own = before.ids[before.segments >= 0].tolist()
    if ids_of(prompt + text, tokenizer)[: len(own)] == own:
        assert cautions == ()
    else:
        (caution,) = cautions
        assert all(repr(label) in caution for label in tokens.labels())


def test_an_unknown_token_for_text_on_both_sides_is_named():
    tokenizer = KINDS["xlmr"]
    before = tokenize(tokenizer, "The 👨")[0]
    tokens, (caution,) = continuation_of(tokenizer, before, "👩 was")
    assert tokens.ids.tolist() == ids_of("The 👨👩 was", tokenizer)[len(before) - 2 :]
    assert caution.startswith(
        "The continuation's first characters '👩' are a part of the prompt's last token"
    )


@pytest.mark.parametrize(
    "kind", ["gpt2", "llama", "llama 2", "metaspace always", "blank put by bytes", "byt5"]
)
def test_a_generated_text_given_back_has_the_generated_ids(kind):
    tokenizer = KINDS[kind]
    for prompt, text in (
        ("The film", " was a king."),
        ("She sells", "\n\nOnce, 👨‍👩‍👧 ok!"),
        ("It", "'s bad."),
    ):
        before = tokenize(tokenizer, prompt)[0]
        own = before.ids[before.segments >= 0].tolist()
        ids = ids_of(prompt + text, tokenizer)[len(own) :]
        generated = tokens_of_ids(tokenizer, ids, tokenize(tokenizer, prompt, special_tokens=False)[0])
        assert generated.texts == (text,)
        assert continuation_of(tokenizer, before, generated.texts[0]).tokens.ids.tolist() == ids


def test_a_part_of_a_token_that_the_next_one_completes():
    """A fast-BPE decoder writes the end of a word only once it knows that another word follows."""

    class Parts:
        all_special_ids: list[int] = []  # noqa: RUF012
        unk_token_id = None

        def __len__(self):
            return 2

        def convert_ids_to_tokens(self, token):
            return ["un@@", "do"][token]

        def decode(self, ids, **_):
            return " ".join(["un@@", "do"][i] for i in ids).replace("@@ ", "")

    before = tokens_of_ids(Parts(), [0])
    assert tokens_of_ids(Parts(), [1], before).texts == ("do",)


@pytest.mark.parametrize("text", [" ", "\n", " \n"])
def test_a_continuation_without_tokens_is_refused_by_its_own_name(text):
    tokenizer = tiny_tokenizers.wordpiece()  # it drops blanks
    for prompt in ("The film", "The king was"):
        with pytest.raises(InputError) as caught:
            continuation_of(tokenizer, tokenize(tokenizer, prompt)[0], text)
        assert caught.value.message == f"The text {text!r} has no tokens other than special ones."
