import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from compared_reports import cut, generation, words

from model_understanding.comparison.alignment import Alignment, match_tokens
from model_understanding.tokens import Tokens


def matched(first: Tokens, second: Tokens) -> list[tuple[str, str, str]]:
    """Return what stands in each unit: its kind, the first's tokens, the second's."""
    alignment = match_tokens(first, second).alignment(first, second)
    sides = [(*tokens.labels(), "") for tokens in (alignment.first, alignment.second)]
    return [
        (kind, sides[0][one], sides[1][other])
        for kind, (one, other) in zip(alignment.kinds(), alignment.pairs, strict=True)
    ]


def test_the_same_text_is_the_same():
    tokens = words("a b a b", special=True)
    assert matched(tokens, tokens) == [("same", x, x) for x in ("[CLS]", "a", "b", "a", "b", "[SEP]")]


def test_a_replaced_word_stands_beside_the_one_that_took_its_place():
    assert matched(words("a good film"), words("a bad film")) == [
        ("same", "a", "a"),
        ("replaced", "good", "bad"),
        ("same", "film", "film"),
    ]


def test_a_word_more_stands_alone():
    first, second = words("a good film"), words("a very good film")
    assert matched(first, second)[1] == ("second only", "", "very")
    assert matched(second, first)[1] == ("first only", "very", "")
    assert [kind for kind, *_ in matched(first, second)] == ["same", "second only", "same", "same"]


def test_as_many_words_are_set_beside_each_other_and_others_apart():
    assert [kind for kind, *_ in matched(words("x p q y"), words("x r s y"))] == [
        "same",
        "replaced",
        "replaced",
        "same",
    ]
    assert matched(words("x p q y"), words("x r y"))[1:3] == [
        ("first only", "p", ""),
        ("first only", "q", ""),
    ]


def test_another_tokenizer_of_the_same_text_is_joined_where_both_cut():
    text = "unbelievably good"
    first = cut(text, "un", "believ", "ably", "good")
    second = cut(text, "unbeliev", "ably", " go", "od")
    assert matched(first, second) == [
        ("same", "unbeliev", "unbeliev"),
        ("same", "ably", "ably"),
        ("same", "good", "good"),
    ]
    assert match_tokens(first, second).units == (((0, 1), (0,)), ((2,), (1,)), ((3,), (2, 3)))


def test_another_tokenizer_of_another_text_joins_what_is_the_same():
    first = cut("an unlikely tale", "an", "un", "like", "ly", "tale")
    second = cut("an unlikely story", "an", "unlike", "ly", "story")
    assert matched(first, second) == [
        ("same", "an", "an"),
        ("same", "unlike", "unlike"),
        ("same", "ly", "ly"),
        ("replaced", "tale", "story"),
    ]


def test_characters_in_common_do_not_make_words_the_same():
    assert matched(words("fantastic"), words("terrible")) == [("replaced", "fantastic", "terrible")]


def test_special_tokens_of_two_tokenizers_stand_beside_each_other():
    first, second = words("a b", special=True), words("a b", special=True)
    second = Tokens(**{**_fields(second), "pieces": ("<s>", "a", "b", "</s>")})
    assert [kind for kind, *_ in matched(first, second)] == ["replaced", "same", "same", "replaced"]
    assert [kind for kind, *_ in matched(first, words("a b"))] == ["first only", "same", "same", "first only"]


def test_composed_and_decomposed_letters_are_the_same():
    text = "café λ"
    assert all(kind == "same" for kind, *_ in matched(words(text), words(unicodedata.normalize("NFD", text))))


def test_an_emoji_split_by_a_byte_tokenizer_is_one_unit():
    text = "so 👩‍👩‍👧‍👦 good"
    split = Tokens.from_spans(
        texts=(text,),
        pieces=["so", "\xf0", "\x9f", "good"],
        ids=range(4),
        segments=[0] * 4,
        offsets=[(0, 2), (3, 10), (3, 10), (11, 15)],
        special=[False] * 4,
    )
    assert matched(split, words(text)) == [("same", x, x) for x in ("so", "👩‍👩‍👧‍👦", "good")]


def test_right_to_left_text_aligns_by_its_order_in_memory():
    assert matched(words("הסרט היה נפלא"), words("הסרט היה גרוע"))[2] == ("replaced", "נפלא", "גרוע")


def test_a_prompt_is_not_aligned_with_an_answer():
    first, second = generation("the capital", "is Paris"), generation("the capital is", "Paris")
    assert first.generation is not None
    assert second.generation is not None
    assert matched(first.generation.tokens, second.generation.tokens) == [
        ("same", "the", "the"),
        ("same", "capital", "capital"),
        ("second only", "", "is"),
        ("first only", "is", ""),
        ("same", "Paris", "Paris"),
    ]


@pytest.mark.parametrize("seed", range(40))
def test_every_token_stands_in_one_unit_in_order_and_same_means_same(seed):
    numbers = np.random.default_rng(seed)
    sides = []
    for _ in range(2):
        text = "".join(numbers.choice(list("ab é👍🏽\n"), numbers.integers(1, 30)))
        cuts = sorted({0, len(text), *numbers.integers(0, len(text) + 1, 8).tolist()})
        pieces = [text[a:b] for a, b in pairwise(cuts)]
        sides.append(cut(text, *pieces))
    first, second = sides
    matching = match_tokens(first, second)
    for side, tokens in enumerate(sides):
        assert [place for group in matching.groups(side) for place in group] == [*range(len(tokens))]
    alignment = matching.alignment(first, second)
    surfaces = alignment.first.surfaces(), alignment.second.surfaces()
    for same, (one, other) in zip(alignment.same, alignment.pairs, strict=True):
        if same:
            assert _plain(surfaces[0][one]) == _plain(surfaces[1][other])
    mirrored = match_tokens(second, first)
    assert sum(mirrored.same) > 0 or sum(matching.same) == 0


def test_nothing_at_all_aligns_to_nothing():
    nothing = words("a").select([])
    assert match_tokens(nothing, nothing).units == ()
    assert matched(nothing, words("a")) == [("second only", "", "a")]


def test_a_word_more_in_a_long_text_that_repeats_itself():
    text = ["the", "a", "of", "b"] * 1000
    changed = [*text[:2000], "new", *text[2000:]]
    matching = match_tokens(words(" ".join(text)), words(" ".join(changed)))
    assert matching.same.count(False) == 1


def test_an_alignment_must_hold_every_token_once():
    tokens = words("a b")
    with pytest.raises(ValueError, match="must be in exactly one unit, in order"):
        Alignment(first=tokens, second=tokens, pairs=[(0, 0)], same=[True])
    with pytest.raises(ValueError, match="same can be True only for units with two tokens"):
        Alignment(first=tokens, second=tokens, pairs=[(0, 0), (1, -1), (-1, 1)], same=[True, True, False])


def _fields(tokens: Tokens) -> dict:
    return {name: getattr(tokens, name) for name in tokens.__dataclass_fields__}


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", "".join(text.split()) or text)
