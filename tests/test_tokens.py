"""Tokens: their invariants, their labels, and words, characters and sentences over many scripts."""

import random
import re

import numpy as np
import pytest
import regex
import tiny_tokenizers
from transformers import AutoTokenizer

from model_understanding import Attribution, InputError, Tokens
from model_understanding.demo_models import demo_model_folder
from model_understanding.text.tokenization import tokenize
from model_understanding.tokens import read_only, visible_text

FAMILY, FLAG, ENGLAND = "👨‍👩‍👧", "🇩🇪", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"
BYTE_LEVEL = ("roberta_like", "gpt2_like", "llama_like")
PARTS = (
    *"aZé1 .,!?'\"-_\n\t",
    *(
        "e\u0301",
        FAMILY,
        FLAG,
        ENGLAND,
        "👍🏽",
        "❤️",
        "ש",
        "שָׁ",
        "م",
        "مرحبا",
        "你",
        "好。",
        "한",
        "각",
        "नमस्ते",
    ),
    *("\x00", "\x1b", "\x85", "\u202e", "\u200d", "\u200b", "\u00a0", "\u3000", "\u0300", "\ufeff", "\u2028"),
    *(
        "</script>",
        "[SEP]",
        "[UNK]",
        "<|endoftext|>",
        "İ",
        "ß",
        "ﬁ",
        "\r\n",
        "Don't",
        "3.14",
        "𝔘",
        "the film",
    ),
)
KINDS = ("wordpiece", *BYTE_LEVEL, "demo", pytest.param("smollm2", marks=pytest.mark.real))


def tokenizer_named(name):
    if name in ("demo", "smollm2"):
        return AutoTokenizer.from_pretrained(
            demo_model_folder("demo:sentiment" if name == "demo" else "demo:smollm2")
        )
    return getattr(tiny_tokenizers, name)()


def spanning(text, *spans, special=()):
    """Tokens with these spans; the positions in ``special`` stand in no text."""
    return Tokens.from_spans(
        texts=(text,),
        pieces=[f"p{i}" for i in range(len(spans))],
        ids=range(len(spans)),
        segments=[-1 if i in special else 0 for i in range(len(spans))],
        offsets=spans,
        special=[i in special for i in range(len(spans))],
    )


def grouped(tokens, level):
    return [
        tokens.texts[0][tokens.offsets[group[0], 0] : tokens.offsets[group[-1], 1]]
        for group in tokens.groups(level)
    ]


# --- construction ---


def test_lengths_and_offsets_are_checked():
    fields = {
        "texts": ("ab",),
        "pieces": ("a",),
        "ids": [1],
        "segments": [0],
        "words": [0],
        "special": [False],
    }
    assert len(Tokens(**fields, offsets=[(0, 2)])) == 1
    wrong = [
        ({"offsets": [(0, 3)]}, "Token 0 has invalid offsets (0, 3); its text has 2 characters."),
        ({"offsets": [(2, 1)]}, "Token 0 has invalid offsets (2, 1); its text has 2 characters."),
        ({"offsets": [(-1, 1)]}, "Token 0 has invalid offsets (-1, 1); its text has 2 characters."),
        ({"offsets": [(0, 1)], "segments": [1]}, "Token 0 has segment 1; texts has 1 entries."),
        ({"offsets": [(0, 1)] * 2}, "offsets must have shape (1, 2) (None: any length). Got (2, 2)."),
        ({"offsets": [(0, 1)], "ids": [1, 2]}, "ids must have shape (1,) (None: any length). Got (2,)."),
    ]
    for changes, message in wrong:
        with pytest.raises(ValueError, match=r"Token|shape") as caught:
            Tokens(**{**fields, **changes})
        assert str(caught.value) == message


def test_arrays_are_read_only_copies():
    ids = np.array([3, 4])
    tokens = Tokens.from_spans(
        texts=("ab",), pieces=("a", "b"), ids=ids, segments=[0, 0], offsets=[(0, 1), (1, 2)], special=[0, 0]
    )
    ids[0] = 9
    assert tokens.ids.tolist() == [3, 4]
    for name in ("ids", "segments", "offsets", "words", "special"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(tokens, name)[0] = 0
    with pytest.raises(AttributeError):
        tokens.ids = ids


def test_no_tokens_at_all():
    tokens = Tokens.from_pieces([])
    assert (len(tokens), tokens.labels(), tokens.groups("word")) == (0, (), ())
    assert tokens.fold(()).offsets.shape == tokens.select([]).offsets.shape == (0, 2)


def test_what_overflows_becomes_infinite_without_a_warning():
    assert np.isinf(read_only([1e300], np.float32, (1,), "x")).all()


def test_select_and_fold():
    tokens = spanning("a bad film", (0, 0), (0, 1), (2, 4), (4, 5), (6, 10), special=[0])
    picked = tokens.select([4, 0])
    assert (picked.surfaces(), picked.ids.tolist()) == (("film", "p0"), [4, 0])
    folded = tokens.fold(tokens.groups("word"))
    assert folded.surfaces() == ("p0", "a", "bad", "film")
    assert folded.pieces == ("p0", "p1", "p2p3", "p4")
    assert folded.ids.tolist() == [0, 1, -1, 4]
    assert folded.special.tolist() == [True, False, False, False]


def test_a_group_over_two_texts_stands_where_it_begins():
    tokens = Tokens.from_spans(
        texts=("so", " it is so"),
        pieces=["so", " it", " is"],
        ids=[1, 2, 3],
        segments=[0, 1, 1],
        offsets=[(0, 2), (0, 3), (3, 6)],
        special=[False] * 3,
    )
    folded = tokens.fold([(0, 1, 2)])
    assert folded.surfaces() == ("so",)
    assert folded.pieces == ("so it is",)
    assert tokens.fold([(0,), (1, 2)]).surfaces() == ("so", " it is")


# --- what is drawn ---


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain", "plain"),
        (" ", "␣"),
        ("   ", "␣␣␣"),
        ("\u00a0", "␣"),
        ("\u3000\u2003", "␣␣"),
        ("a b", "a b"),
        ("\n\t\r", "↵⇥␍"),
        ("\x00\x1b[31m\x07", "␀␛[31m␇"),
        ("\x7f\x85", r"\x7f\x85"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u200b\ufeff\u2028", r"\u200b\ufeff\u2028"),
        ("\ud800", r"\ud800"),
        ("\U000e0001", r"\U000e0001"),
        ("\u200d", r"\u200d"),
        (FAMILY, FAMILY),
        (FLAG, FLAG),
        (ENGLAND, ENGLAND),
        ("</script>", "</script>"),
        ("שלום", "שלום"),
        ("مرحبا", "مرحبا"),
        ("你好", "你好"),
        ("", ""),
    ],
)
def test_visible_text(text, seen):
    assert visible_text(text) == seen


def test_labels():
    text = " film\n \u0301e\u0301\u200d"
    tokens = spanning(text, (0, 0), (0, 5), (5, 6), (6, 7), (7, 8), (8, 10), (10, 11), (11, 11), special=[0])
    assert tokens.labels() == ("p0", "film", "↵", "␣", "◌\u0301", "e\u0301", r"\u200d", "p7")
    assert tokens.surfaces() == ("p0", " film", "\n", " ", "\u0301", "e\u0301", "\u200d", "p7")


# --- what belongs together ---


@pytest.mark.parametrize("kind", BYTE_LEVEL)
@pytest.mark.parametrize("emoji", [FAMILY, FLAG, ENGLAND, "👍🏽", "❤️", "e\u0301\u0301", "नि"])
def test_a_character_split_over_tokens_is_one_unit(kind, emoji):
    text = f"a {emoji}{emoji} b"
    tokens, _ = tokenize(tokenizer_named(kind), text)
    character = tokens.fold(tokens.groups("character"))
    surfaces = [s for s, special in zip(character.surfaces(), character.special, strict=True) if not special]
    assert [surface.strip() for surface in surfaces if surface.strip()] == ["a", emoji, emoji, "b"]
    assert len(tokens) > len(character)


def test_words_are_those_of_the_text():
    text = "Don't panic: 3.14 你好 naïve e-mail"
    spans = [(i, i + 1) for i, character in enumerate(text) if character != " "]
    words = grouped(spanning(text, *spans), "word")
    assert words == ["Don't", "panic", ":", "3.14", "你", "好", "naïve", "e", "-", "mail"]


def test_a_token_over_two_words_joins_them():
    tokens = spanning("one two three", (0, 2), (2, 6), (6, 7), (8, 13))
    assert grouped(tokens, "word") == ["one two", "three"]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four… Five", ["One.", "Two!", "Three?", "Four…", "Five"]),
        ('It is 3.14 now. He said "no." Go', ["It is 3.14 now.", 'He said "no."', "Go"]),
        ("你好。再见！好", ["你好。", "再见！", "好"]),
        ("first line\nsecond", ["first line", "second"]),
        ("מה? כן.", ["מה?", "כן."]),
        ("هل هذا؟ نعم", ["هل هذا؟", "نعم"]),
    ],
)
def test_sentences(text, sentences):
    spans = [(i, i + 1) for i, character in enumerate(text) if not character.isspace()]
    assert grouped(spanning(text, *spans), "sentence") == sentences


def test_special_tokens_stand_alone():
    tokens = spanning("good film", (0, 0), (0, 0), (0, 4), (5, 9), special=[0, 1])
    for level in ("character", "word", "sentence"):
        assert tokens.groups(level)[:2] == ((0,), (1,))


def test_what_special_tokens_surround_is_cut_into_sentences_by_itself():
    said = (
        "The bridge over the river was opened in May 1883, after four winters\nof work by a Swiss engineer."
    )
    start, role, end, asked = "<|im_start|>", "user\n", "<|im_end|>\n", "It is old. Is it not?"
    text = f"{start}{role}{said}{end}{start}{role}{asked}{end}"
    spans, special, place = [], [], 0
    for part in (start, role, said, end, start, role, asked, end):
        is_text = part in (said, asked)
        for match in re.finditer(r"\S+" if is_text else r"[^\n]+|\n", part):
            spans.append((place + match.start(), place + match.end()))
            special.append(not is_text)
        place += len(part)
    tokens = Tokens.from_spans(
        texts=(text,),
        pieces=[text[slice(*span)] for span in spans],
        ids=range(len(spans)),
        segments=[0] * len(spans),
        offsets=spans,
        special=special,
    )
    joined = [group for group in grouped(tokens, "sentence") if " " in group]
    assert joined == [said, "It is old.", "Is it not?"]


def test_a_pair_never_shares_a_group():
    tokens = Tokens.from_spans(
        texts=("film", "film"),
        pieces=("fi", "lm", "fi", "lm"),
        ids=range(4),
        segments=[0, 0, 1, 1],
        offsets=[(0, 2), (2, 4), (0, 2), (2, 4)],
        special=[False] * 4,
    )
    assert tokens.words.tolist() == [0, 0, 1, 1]
    assert tokens.groups("word") == tokens.groups("sentence") == ((0, 1), (2, 3))


def test_an_unknown_level():
    with pytest.raises(ValueError, match="level") as caught:
        Tokens.from_pieces(["a"]).groups("line")
    assert str(caught.value) == "Unknown level 'line'. Allowed: token, character, word, sentence."


# --- any text, any tokenizer ---


def texts_of(seed, count):
    chosen = random.Random(seed)
    return ["".join(chosen.choice(PARTS) for _ in range(chosen.randint(1, 12))) for _ in range(count)]


@pytest.mark.parametrize("kind", KINDS)
def test_any_text_has_right_spans_and_groups_or_is_refused(kind):
    tokenizer, checked, refusals = tokenizer_named(kind), 0, []
    for text in texts_of(kind, 300):
        try:
            tokens, inputs = tokenize(tokenizer, text)
        except InputError as error:
            refusals.append((text, str(error)))
            continue
        checked += 1
        assert inputs["input_ids"] == tokens.ids.tolist()
        assert tokens.texts == (text,)
        placed = tokens.offsets[tokens.segments >= 0]
        assert (placed[:, 0] < placed[:, 1]).all(), ascii(text)
        assert (np.diff(placed[:, 0]) >= 0).all(), ascii(text)
        covered = {place for start, end in placed for place in range(start, end)}
        if kind not in (
            "wordpiece",
            "demo",
        ):  # BERT's normalizer drops controls, marks and private characters
            assert covered >= {place for place, character in enumerate(text) if not character.isspace()}
        for level in ("character", "word", "sentence"):
            groups = tokens.groups(level)
            assert [place for group in groups for place in group] == list(range(len(tokens)))
            assert all(not tokens.special[list(group)].any() for group in groups if len(group) > 1)
        words = {place: group for group in tokens.groups("word") for place in group}
        assert all(set(group) <= set(words[group[0]]) for group in tokens.groups("character")), ascii(text)
    assert checked > 200
    for text, message in refusals:
        assert message == (
            f"The text {text[:40]!r} has no tokens other than special ones. "
            "Pass a text with at least one word."
        )


@pytest.mark.parametrize("kind", KINDS)
def test_a_byte_of_text_is_where_the_token_says(kind):
    tokenizer = tokenizer_named(kind)
    for text in texts_of(kind + "!", 150):
        try:
            tokens, _ = tokenize(tokenizer, text)
        except InputError:
            continue
        for piece, surface, special in zip(tokens.pieces, tokens.surfaces(), tokens.special, strict=True):
            if special or piece == "[UNK]":
                continue
            if kind in ("wordpiece", "demo"):
                normal = tokenizer.backend_tokenizer.normalizer.normalize_str(surface)
                assert piece.removeprefix("##") in normal, ascii(text)
            else:
                decoded = tokenizer.convert_tokens_to_string([piece])
                assert "\ufffd" in decoded or decoded.strip() == surface.strip(), ascii(text)


@pytest.mark.parametrize("kind", KINDS)
def test_folding_keeps_the_sum_of_signed_scores(kind):
    tokenizer, numbers = tokenizer_named(kind), np.random.default_rng(0)
    for text in texts_of(kind + "?", 40):
        try:
            tokens, _ = tokenize(tokenizer, text)
        except InputError:
            continue
        scores = numbers.normal(size=(2, len(tokens)))
        attribution = Attribution.from_arrays(tokens, scores)
        for level in ("character", "word", "sentence"):
            folded = attribution.folded(level)
            assert len(folded.tokens) == len(tokens.groups(level))
            assert folded.scores.sum(1) == pytest.approx(attribution.scores.sum(1), abs=1e-5)


def test_every_character_unit_is_whole_with_a_tokenizer_that_keeps_all():
    for text in texts_of("whole", 200):
        tokens, _ = tokenize(tiny_tokenizers.llama_like(), text)
        units = tokens.fold(tokens.groups("character"))
        spelled = any(name in text for name in ("<s>", "</s>", "<pad>"))
        assert not spelled
        edges = {edge for match in regex.finditer(r"\X", text) for edge in match.span()}
        assert all(start in edges and end in edges for start, end in units.offsets[1:]), ascii(text)
