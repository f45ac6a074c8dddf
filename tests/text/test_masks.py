"""Masks in a text: spelled as any tokenizer's, put in the place of a word, and filled with one."""

import pytest
import tiny_tokenizers
from tokenizers import AddedToken, Tokenizer
from transformers import PreTrainedTokenizerFast

from model_understanding import InputError, Words
from model_understanding.text.masks import (
    ids_in_place,
    mask_positions,
    masked_text,
    neighboring_runs,
    with_own_masks,
)
from model_understanding.text.tokenization import tokenize

WP, RB, XR = tiny_tokenizers.wordpiece(), tiny_tokenizers.roberta_like(), tiny_tokenizers.xlmr_like()


def taking_the_blank(tokenizer):
    """RoBERTa's and XLM-R's own masks take the blank before them."""
    raw = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    mask = AddedToken("<mask>", lstrip=True, special=True)
    names = {
        f"{name}_token": getattr(tokenizer, f"{name}_token")
        for name in ("bos", "cls", "pad", "eos", "sep", "unk")
    }
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, mask_token=mask, model_input_names=["input_ids"], **names
    )


RB_TAKING, XR_TAKING = taking_the_blank(RB), taking_the_blank(XR)
ALL = {
    "wordpiece": WP,
    "bytes": RB,
    "unigram": XR,
    "bytes, mask takes blank": RB_TAKING,
    "unigram, too": XR_TAKING,
}
each = pytest.mark.parametrize("tokenizer", ALL.values(), ids=ALL)


def refused(call, *arguments):
    with pytest.raises(InputError) as caught:
        call(*arguments)
    return str(caught.value)


@each
@pytest.mark.parametrize("spelled", ["[MASK]", "<mask>", "[mask]", "<|mask|>"])
def test_any_usual_mask_is_read_as_the_tokenizers_own(tokenizer, spelled):
    text = f"A {spelled} film 👨‍👩‍👧 שלום {spelled}."
    own = text.replace(spelled, tokenizer.mask_token)
    read, cautions = with_own_masks(tokenizer, text)
    assert read == own
    is_own = spelled == tokenizer.mask_token
    assert cautions == (
        () if is_own else (f"'{spelled}' was read as this tokenizer's mask token, '{tokenizer.mask_token}'.",)
    )
    tokens, _ = tokenize(tokenizer, read)
    positions = mask_positions(tokenizer, tokens)
    assert len(positions) == 2
    assert all(tokens.special[position] for position in positions)
    assert all(tokens.surfaces()[position].strip() == tokenizer.mask_token for position in positions)


def test_a_text_with_the_tokenizers_own_mask_keeps_other_spellings():
    text = "A [MASK] film called <mask>."
    assert with_own_masks(WP, text) == (text, ())
    assert with_own_masks(RB, text) == (text, ())


def test_masks_in_words_and_pairs_are_read():
    assert with_own_masks(RB, Words(["A", "[MASK]", "film"]))[0] == Words(["A", "<mask>", "film"])
    assert with_own_masks(RB, ("A film.", "A [MASK]."))[0] == ("A film.", "A <mask>.")
    assert with_own_masks(RB, 3) == (3, ())  # what is no text is refused where texts are read


def test_a_text_without_a_mask_is_refused_with_what_to_write():
    tokens, _ = tokenize(WP, "A dull film.")
    assert refused(mask_positions, WP, tokens) == (
        "The text 'A dull film.' has no mask token. Write [MASK] in the place of a word, or mask a word of "
        "the text: visualizer.mask(text, word) returns such a text (--mask)."
    )


def test_a_tokenizer_without_a_mask_is_refused():
    tokenizer = tiny_tokenizers.gpt2_like()
    assert " has no mask token. Set the token that" in refused(with_own_masks, tokenizer, "a [MASK]")


@each
def test_a_word_is_masked_by_as_many_masks_as_it_has_tokens(tokenizer):
    text = "The film was wonderful, really."
    start = text.index("wonderful")
    tokens, _ = tokenize(tokenizer, text)
    starts, ends = tokens.offsets.T
    count = int(((tokens.segments == 0) & (starts < start + 9) & (ends > start)).sum())
    masked = masked_text(tokenizer, text, "wonderful")
    assert masked == f"The film was {tokenizer.mask_token * count}, really."
    assert len(mask_positions(tokenizer, tokenize(tokenizer, masked)[0])) == count


def test_whole_words_are_masked_first_and_parts_where_there_is_no_boundary():
    assert masked_text(WP, "a film and the plot", "a") == "[MASK] film and the plot"
    assert masked_text(XR, "吾輩は猫である", "猫") == "吾輩は<mask>である"
    assert masked_text(WP, "a film", "il") == "a f[MASK][MASK]m"


def test_a_word_to_mask_occurs_once():
    assert refused(masked_text, WP, "the film and the plot", "the") == (
        "'the' occurs 2 times in 'the film and the plot'. Write [MASK] in its place, or pass a word that "
        "occurs once, spelled as in the text."
    )
    assert "'cat' does not occur in 'the film'." in refused(masked_text, WP, "the film", "cat")


def test_neighboring_positions_are_one_run():
    assert neighboring_runs(()) == ()
    assert neighboring_runs((3, 4, 5, 7)) == ((3, 4, 5), (7,))


@each
@pytest.mark.parametrize("text", ["The {} was dull.", "{} was dull.", "She called it {}"])
@pytest.mark.parametrize("word", ["film", "wonderful", "👨‍👩‍👧", "שלום"])
def test_a_word_has_the_ids_that_it_has_in_its_place(tokenizer, text, word):
    """The text with the word is tokenized by hand; as many masks as the word has tokens stand for it."""
    before, after = (part for part in text.split("{}"))
    whole = tokenizer(before + word + after, add_special_tokens=False, return_offsets_mapping=True)
    own = [
        token
        for token, (start, end) in zip(whole["input_ids"], whole["offset_mapping"], strict=True)
        if start < len(before + word) and end > len(before)
    ]
    masked = before + tokenizer.mask_token * len(own) + after
    tokens, _ = tokenize(tokenizer, masked)
    masks = mask_positions(tokenizer, tokens)
    ids = ids_in_place(tokenizer, tokens, masks, word)
    if tokenizer in (RB, XR) and before:  # the blank is a token of its own before such a mask
        assert tokenizer.decode(ids).strip() == word or tokenizer is XR
    else:
        assert ids == own
    assert ids_in_place(tokenizer, tokens, masks, f" {word}" if before else word) == ids


def test_raw_tokens_name_themselves():
    tokens, _ = tokenize(WP, "A [MASK] film.")
    assert ids_in_place(WP, tokens, [2], "##s") == [WP.convert_tokens_to_ids("##s")]
    tokens, _ = tokenize(RB, "A <mask> film.")
    assert ids_in_place(RB, tokens, mask_positions(RB, tokens), "Ġfil") == [RB.convert_tokens_to_ids("Ġfil")]


def test_a_mask_after_a_blank_token_stands_for_what_follows_it():
    """Without lstrip the blank before the mask is a token, so the mask can only be a word without one."""
    tokens, _ = tokenize(RB, "A <mask> film.")
    assert RB.convert_ids_to_tokens(tokens.ids.tolist())[2] == "Ġ"
    assert ids_in_place(RB, tokens, [3], "b") == [RB.convert_tokens_to_ids("b")]
    tokens, _ = tokenize(RB_TAKING, "A <mask> film.")
    assert ids_in_place(RB_TAKING, tokens, [2], "b") == [RB.convert_tokens_to_ids("Ġb")]
