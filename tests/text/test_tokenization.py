"""Text to tokens: the position of each, which are special, and which texts are refused."""

from functools import cache

import numpy as np
import pytest
import tiny_models
import tiny_tokenizers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizer, PreTrainedTokenizerFast

from model_understanding import InputError, ModelVisualizer
from model_understanding.text.detokenization import spans_in_decoded
from model_understanding.text.tokenization import ids_between, outputs_of_texts, tokenize
from model_understanding.text.words import Words

FAMILY = "👨‍👩‍👧"


class Slow(PreTrainedTokenizer):
    """Words without offsets, as tokenizers written in Python give them."""

    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012

    def __init__(self) -> None:
        self.words = ["<unk>", "the", "film", "was", "good"]
        super().__init__(unk_token="<unk>")

    @property
    def vocab_size(self):
        return len(self.words)

    def get_vocab(self):
        return {word: index for index, word in enumerate(self.words)}

    def _tokenize(self, text):
        return text.split()

    def _convert_token_to_id(self, token):
        return self.get_vocab().get(token, 0)

    def _convert_id_to_token(self, index):
        return self.words[index]


def wordpiece():
    """BERT's kind, with words that are known beforehand."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [*specials, "the", "film", "a", "king", "é", "b", "##b"]
    backend = Tokenizer(
        models.WordPiece({word: index for index, word in enumerate(words)}, unk_token="[UNK]")
    )
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = dict(
        zip(["pad_token", "unk_token", "cls_token", "sep_token", "mask_token"], specials, strict=True)
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **names,
    )


def metaspace():
    """SentencePiece's kind: a blank is part of the word after it, and decoding drops the first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(
        tiny_tokenizers.SENTENCES, trainers.BpeTrainer(vocab_size=200, show_progress=False)
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_input_names=["input_ids"])


def parts(tokenizer, text, pair=None, **options):
    tokens, _ = tokenize(tokenizer, text, pair, **options)
    return [
        (surface, bool(special)) for surface, special in zip(tokens.surfaces(), tokens.special, strict=True)
    ]


def refusal(*arguments, kind=InputError):
    with pytest.raises(kind) as caught:
        tokenize(*arguments)
    return str(caught.value)


GPT2, ROBERTA = tiny_tokenizers.gpt2_like(), tiny_tokenizers.roberta_like()
WORDPIECE = wordpiece()


@cache
def canine():
    """Return a tokenizer of characters; on import it makes a table of all there are."""
    from transformers import CanineTokenizer

    return CanineTokenizer()


@pytest.mark.parametrize("kind", ["wordpiece", "gpt2", "slow", "canine"])
def test_invalid_texts(kind):
    makers = {"wordpiece": wordpiece, "gpt2": tiny_tokenizers.gpt2_like, "slow": Slow, "canine": canine}
    tokenizer = makers[kind]()
    assert refusal(tokenizer, "") == "The text is empty. Pass at least one character."
    assert refusal(tokenizer, "film", "") == "The text is empty. Pass at least one character."
    for value, kind in ((None, "NoneType"), (3, "int"), (b"film", "bytes"), ([], "list"), (["film"], "list")):
        assert refusal(tokenizer, value) == (f"A text must be a string. Got {kind}. Pass a string.")
    assert refusal(tokenizer, "ab\ud83d") == (
        r"The text contains an unpaired surrogate at position 2: '\ud83d'. Pass text that encodes as UTF-8."
    )


@pytest.mark.parametrize("text", [" ", "\n\t ", "\u200b", "\x00", "[SEP]", "[SEP] [CLS]", "[UNK]"])
def test_a_text_of_special_tokens_only(text):
    message = f"The text {text!r} has no tokens other than special ones. Pass a text with at least one word."
    assert refusal(WORDPIECE, text) == message
    assert refusal(WORDPIECE, "film", text) == message
    assert refusal(WORDPIECE, text, "film") == message


def test_blanks_are_tokens_where_the_tokenizer_keeps_them():
    assert parts(GPT2, " ") == [(" ", False)]
    assert parts(GPT2, "\n") == [("\n", False)]


@pytest.mark.parametrize("text", ["a\nb", "a  b", "\n\na", " a ", "a\n\n", "a \n\t b", " "])
def test_blanks_that_the_tokenizer_trims_keep_their_place_and_their_word(text):
    trimmed, whole = (tokenize(tokenizer, text)[0] for tokenizer in (ROBERTA, GPT2))
    inner = trimmed.select(range(1, len(trimmed) - 1))
    assert inner.pieces == whole.pieces
    assert inner.words.tolist() == whole.words.tolist()
    assert (inner.offsets[:, 1] > inner.offsets[:, 0]).all()
    assert [a.strip(" ") for a in inner.surfaces()] == [b.strip(" ") for b in whole.surfaces()]
    assert inner.labels() == whole.labels()


def test_the_unknown_token_stands_for_the_users_text_unless_the_text_spells_it():
    assert parts(WORDPIECE, "the ☃ film") == [
        ("[CLS]", True), ("the", False), ("☃", False), ("film", False), ("[SEP]", True),
    ]  # fmt: skip
    assert ("[UNK]", True) in parts(WORDPIECE, "the [UNK] film")


def test_special_tokens_that_the_text_spells_are_special():
    assert parts(WORDPIECE, "the [SEP] film [MASK]")[1:-1] == [
        ("the", False), ("[SEP]", True), ("film", False), ("[MASK]", True),
    ]  # fmt: skip
    assert parts(GPT2, "a<|endoftext|>b") == [("a", False), ("<|endoftext|>", True), ("b", False)]


def test_a_token_that_is_unknown_and_end_at_once_is_special_where_it_is_spelled():
    """GPT-2's own: <|endoftext|> is its unknown token too."""
    same = PreTrainedTokenizerFast(
        tokenizer_object=GPT2.backend_tokenizer, eos_token="<|endoftext|>", unk_token="<|endoftext|>"
    )
    assert parts(same, "a<|endoftext|>b") == [("a", False), ("<|endoftext|>", True), ("b", False)]


def test_a_pair_and_its_special_tokens():
    tokens, inputs = tokenize(WORDPIECE, "the [SEP] film", "a king")
    assert tokens.texts == ("the [SEP] film", "a king")
    assert tokens.segments.tolist() == [-1, 0, 0, 0, -1, 1, 1, -1]
    assert tokens.special.tolist() == [True, False, True, False, True, False, False, True]
    assert tokens.surfaces() == ("[CLS]", "the", "[SEP]", "film", "[SEP]", "a", "king", "[SEP]")
    assert tokens.words.tolist() == [-1, 0, -1, 1, -1, 2, 3, -1]
    assert inputs["token_type_ids"] == [0, 0, 0, 0, 0, 1, 1, 1]
    plain, _ = tokenize(WORDPIECE, "the film", special_tokens=False)
    assert plain.pieces == ("the", "film")


def test_inputs_are_those_the_model_takes():
    _, inputs = tokenize(GPT2, "film")
    assert set(inputs) == {"input_ids", "attention_mask"}
    _, inputs = tokenize(WORDPIECE, "film")
    assert set(inputs) == {"input_ids", "attention_mask", "token_type_ids"}


def test_a_text_longer_than_the_tokenizer_would_like_is_not_cut():
    short = tiny_tokenizers.gpt2_like.__wrapped__()
    short.model_max_length = 4
    text = "The film was wonderful, but a dull plot is bad."
    assert "".join(surface for surface, _ in parts(short, text)) == text


def test_ids_beyond_the_models_vocabulary():
    visualizer = ModelVisualizer(model=tiny_models.build("bert"), tokenizer=GPT2)
    rows = tiny_models.build("bert").config.vocab_size
    highest = max(GPT2("The king")["input_ids"])
    assert highest >= rows
    with pytest.raises(InputError) as caught:
        visualizer.predict("The king")
    assert str(caught.value) == (
        f"The text has the token id {highest}, but the model's vocabulary has only {rows} tokens. "
        f"Use the tokenizer that belongs to this model, or pass ids from 0 to {rows - 1}."
    )


def test_tokenizers_without_offsets_are_read_by_decoding():
    assert parts(Slow(), "the film was") == [("the", False), (" film", False), (" was", False)]
    tokens, _ = tokenize(canine(), f"é {FAMILY}")
    assert tokens.surfaces()[1:-1] == ("é", " ", *FAMILY)
    assert tokens.special.tolist() == [True, *[False] * 7, True]
    assert len(tokens.groups("character")) == 5


@pytest.mark.parametrize(
    ("texts", "surfaces"),
    [
        (("the  film",), ["the", "film"]),
        (("the king",), ["the", "king"]),
        (("the king of film",), ["the", "king", "of", "film"]),
        (("the film\n",), ["the", "film"]),
        (("The FILM",), ["The", "FILM"]),
        (("the film", "was good"), ["the", " film", "was", " good"]),
        (("the film", "the  film"), ["the", " film", "the", "film"]),
    ],
)
def test_tokens_of_a_tokenizer_without_offsets_are_aligned_to_the_text(texts, surfaces):
    tokens, _ = tokenize(Slow(), *texts)
    assert list(tokens.surfaces()) == surfaces
    assert tokens.segments.tolist() == [i for i, text in enumerate(texts) for _ in text.split()]


def test_tokens_of_sentencepieces_kind_stand_where_they_are():
    assert "".join(surface for surface, _ in parts(metaspace(), "The king was bad")) == "The king was bad"


# --- decoding ---


def placed(tokenizer, ids, context=()):
    text, spans = spans_in_decoded(tokenizer, ids, context)
    return text, [text[start:end] for start, end in spans]


def test_bytes_of_a_character_share_its_span():
    ids = GPT2(f"a {FAMILY}x")["input_ids"]
    text, pieces = placed(GPT2, ids)
    assert text == f"a {FAMILY}x"
    assert pieces == ["a", " ", *["👨"] * 4, *["\u200d"] * 3, *["👩"] * 4, *["\u200d"] * 3, *["👧"] * 4, "x"]


def test_bytes_of_a_character_that_is_never_completed():
    half, king = GPT2("👨")["input_ids"][:2], GPT2(" king")["input_ids"]
    blanks = len(king) - 1
    assert placed(GPT2, half) == ("\ufffd", ["\ufffd"] * 2)
    text, pieces = placed(GPT2, half + king)
    assert text == "\ufffd king"
    assert pieces[:2] == ["\ufffd", "\ufffd"]
    assert "".join(pieces[2:]) == " king"
    assert len(pieces[2:]) == blanks + 1
    text, pieces = placed(GPT2, half + GPT2("👩")["input_ids"])
    assert (text, pieces) == ("\ufffd👩", ["\ufffd"] * 2 + ["👩"] * 4)


def test_a_replacement_character_that_was_meant():
    ids = GPT2("a\ufffdb")["input_ids"]
    text, pieces = placed(GPT2, ids)
    assert (text, pieces) == ("a\ufffdb", ["a", "\ufffd", "\ufffd", "\ufffd", "b"])


def test_a_decoder_that_drops_the_first_blank():
    tokenizer = metaspace()
    ids, context = tokenizer("king was")["input_ids"], tokenizer("The")["input_ids"]
    assert placed(tokenizer, ids)[0] == "king was"
    text, pieces = placed(tokenizer, ids, context)
    assert text == "".join(pieces) == " king was"


def test_any_ids_decode_to_spans_in_order_that_cover_the_text():
    numbers = np.random.default_rng(0)
    for tokenizer in (GPT2, metaspace(), WORDPIECE):
        for _ in range(40):
            ids = numbers.integers(5, len(tokenizer), size=12).tolist()
            text, spans = spans_in_decoded(tokenizer, ids)
            starts, ends = zip(*spans, strict=True)
            assert list(starts) == sorted(starts)
            assert list(ends) == sorted(ends)
            assert {i for start, end in spans for i in range(start, end)} == set(range(len(text)))


def test_what_a_tokenizer_adds_between_two_texts():
    assert ids_between(tiny_tokenizers.wordpiece()) == [3]
    assert ids_between(tiny_tokenizers.roberta_like()) == [2, 2]
    assert ids_between(tiny_tokenizers.xlnet_like()) == [4]
    assert ids_between(tiny_tokenizers.gpt2_like()) == []


TOGETHER = [
    "the film was good",
    "",
    "a",
    f"good {FAMILY} film\n\tthe  king",
    ("the film", "a king"),
    Words(["the", "film"]),
    "naïve e\u0301 ½ <unk> [MASK] </s>",
    None,
    "the " * 700,
]


@pytest.mark.parametrize(
    "kind", ["wordpiece", "gpt2_like", "roberta_like", "llama_like", "xlmr_like", "t5_like", "nllb_like"]
)
def test_texts_that_are_read_together_are_as_each_by_itself(kind):
    tokenizer = getattr(tiny_tokenizers, kind)()
    outputs = list(outputs_of_texts(tokenizer, TOGETHER))
    read = [text for text, output in zip(TOGETHER, outputs, strict=True) if output is not None]
    assert read == [text for text in TOGETHER if isinstance(text, str) and text]
    for text, output in zip(TOGETHER, outputs, strict=True):
        if output is None:
            continue
        (together, inputs), (alone, own_inputs) = (
            tokenize(tokenizer, text, output=given) for given in (output, None)
        )
        assert inputs == own_inputs
        for name in ("texts", "pieces"):
            assert getattr(together, name) == getattr(alone, name)
        for name in ("ids", "segments", "offsets", "words", "special", "unknown"):
            assert np.array_equal(getattr(together, name), getattr(alone, name))


def test_texts_are_not_read_together_where_that_may_be_something_else():
    class Lowercase(PreTrainedTokenizerFast):
        def __call__(self, text, **options):
            return super().__call__(text if isinstance(text, list) else text.lower(), **options)

    own = Lowercase(tokenizer_object=WORDPIECE.backend_tokenizer, unk_token="[UNK]")
    for tokenizer in (own, Slow()):
        assert list(outputs_of_texts(tokenizer, ["the film", "a king"])) == [None, None]
    refused = ["the film", "ab\ud83d", "a king"]  # each then raises its own error, or none
    assert list(outputs_of_texts(WORDPIECE, refused)) == [None] * 3
