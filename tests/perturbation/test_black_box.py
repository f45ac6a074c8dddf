"""A function of texts: variants edited in the text itself, asked once each, answers checked."""

import numpy as np
import pytest
import tiny_tokenizers
import torch
from registered import PERTURBATION

from model_understanding import InputError, UnsupportedModelError
from model_understanding.perturbation.black_box import BLACK_BOX, BlackBox, BlackBoxTokenRemoval, words_of
from model_understanding.results import Target

ONLY = Target(task=BLACK_BOX, indices=(0,), quantity="custom", name="output")


def lengths(texts):
    return [float(len(text)) for text in texts]


def removal_of(text, **options):
    box = BlackBox(lengths, **options)
    return BlackBoxTokenRemoval(box, box.encode(text), [ONLY])


def variant(text, *removed, **options):
    """Return a text without the tokens that stand at these places."""
    removal = removal_of(text, **options)
    lacking = np.zeros(len(removal.tokens), dtype=bool)
    lacking[list(removed)] = True
    return removal.variant(lacking)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't call it 1,000.5!", ["Don't", "call", "it", "1,000.5", "!"]),
        ("👨‍👩‍👧 👍🏽🇫🇷🇩🇪 e\u0301té", ["👨‍👩‍👧", "👍🏽", "🇫🇷", "🇩🇪", "e\u0301té"]),
        ("שלום, 你好", ["שלום", ",", "你", "好"]),
        ("a</script>\r\nb", ["a", "<", "/", "script", ">", "b"]),
        ("  lead\u00a0trail \t", ["lead", "trail"]),
    ],
)
def test_tokens_are_the_words_of_the_text(text, words):
    tokens = words_of(text)
    assert list(tokens.surfaces()) == words
    assert tokens.texts == (text,)
    assert [text[start:end] for start, end in tokens.offsets] == words


@pytest.mark.parametrize(
    ("removed", "masked", "deleted"),
    [
        ((), "  A good,\n bad  film. ", "  A good,\n bad  film. "),
        ((0,), "  … good,\n bad  film. ", "  good,\n bad  film. "),
        ((1,), "  A …,\n bad  film. ", "  A ,\n bad  film. "),
        ((1, 2), "  A ……\n bad  film. ", "  A \n bad  film. "),
        ((3,), "  A good,\n …  film. ", "  A good,\n  film. "),
        ((4, 5), "  A good,\n bad  …… ", "  A good,\n bad  "),
        ((0, 1, 2, 3, 4, 5), "  … ……\n …  …… ", "  \n  "),
    ],
)
def test_variants_are_the_text_edited_where_the_tokens_stand(removed, masked, deleted):
    text = "  A good,\n bad  film. "
    assert variant(text, *removed, replacement="…") == masked
    assert variant(text, *removed, replacement="delete") == deleted


def test_deleted_words_leave_the_text_as_if_written_without_them():
    text = "one two three four"
    words = text.split()
    for bits in range(16):
        removed = [place for place in range(4) if bits >> place & 1]
        kept = " ".join(word for place, word in enumerate(words) if place not in removed)
        assert variant(text, *removed, replacement="delete") == kept
        assert variant(text, *removed, replacement="") == kept


@pytest.mark.parametrize("text", ["👨‍👩‍👧 שלום </script>", "\u202eevil\u202c 你好", "a [MASK] <mask> x"])
@pytest.mark.parametrize("tokenizer", [None, "wordpiece", "gpt2_like", "roberta_like"])
@pytest.mark.parametrize("replacement", ["[MASK]", "delete"])
def test_what_is_not_removed_stays_to_the_last_character(text, tokenizer, replacement):
    made = None if tokenizer is None else getattr(tiny_tokenizers, tokenizer)()
    removal = removal_of(text, tokenizer=made, replacement=replacement)
    assert removal.variant(np.zeros(len(removal.tokens), dtype=bool)) == text
    for place in np.flatnonzero(removal.removable):
        removed = np.arange(len(removal.tokens)) == place
        start, end = removal.tokens.offsets[place]
        found = removal.variant(removed)
        core = text[start:end].strip() or text[start:end]
        if replacement == "delete":
            expected = text[:start] + text[end:]
            assert found.replace(" ", "") == expected.replace(" ", "")
            assert len(expected) - len(found) in (0, 1)
        else:
            assert found == text[:start] + text[start:end].replace(core, "[MASK]") + text[end:]


def test_a_tokenizer_s_tokens_that_share_a_character_are_one():
    tokens = removal_of("a 👨‍👩‍👧 king", tokenizer=tiny_tokenizers.gpt2_like()).tokens
    assert "".join(tokens.surfaces()) == "a 👨‍👩‍👧 king"
    assert " 👨‍👩‍👧" in tokens.surfaces() or "👨‍👩‍👧" in tokens.surfaces()


def test_special_tokens_that_the_text_spells_stay():
    removal = removal_of("the [SEP] film", tokenizer=tiny_tokenizers.wordpiece())
    assert removal.tokens.special.any()
    with pytest.raises(InputError, match="Special and template tokens cannot be removed"):
        removal.values(removal.tokens.special[None])
    removal.values(removal.removable[None])


def test_each_distinct_text_is_asked_once_in_full_batches():
    asked = []

    def predict(texts):
        asked.append(list(texts))
        texts.clear()  # what the function does to its list is its own affair
        return np.arange(len(asked[-1]), dtype=np.float32)

    box = BlackBox(predict, replacement="delete", batch_size=3)
    removal = BlackBoxTokenRemoval(box, box.encode("very very very good film"), [ONLY])
    removed = np.eye(5, dtype=bool)[[0, 1, 2, 3, 4, 0, 3]]
    found = removal.values(removed)
    assert asked == [["very very good film", "very very very film", "very very very good"]]
    assert found[:, 0].tolist() == [0, 0, 0, 1, 2, 0, 1]
    removal.values(np.zeros((1, 5), dtype=bool))
    box.predictions(["very very very good film", "very very good film", "x", "y", "z", "x", "w"])
    assert [len(batch) for batch in asked] == [3, 1, 3, 1]
    assert box.calls == 4


@pytest.mark.parametrize(
    "made",
    [
        lambda values: values.astype(np.float16),
        lambda values: values.tolist(),
        lambda values: torch.tensor(values, dtype=torch.bfloat16, requires_grad=True),
        lambda values: [torch.tensor(row) for row in values],
    ],
)
def test_arrays_tensors_and_lists_are_numbers(made):
    values = np.array([[0.25, 0.75], [0.5, 0.5]])
    found = BlackBox(lambda _: made(values)).predictions(["a", "b"])
    assert found.dtype == np.float64
    assert (found == values).all()


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ([1.0, 2.0], "an array of shape (2,)."),
        (np.zeros((4, 2)), "an array of shape (4, 2)."),
        (np.zeros((3, 1, 2)), "an array of shape (3, 1, 2)."),
        (np.zeros((3, 0)), "an array of shape (3, 0)."),
        (0.5, "an array of shape ()."),
        (
            [[1.0], [1.0, 2.0], [1.0]],
            "a list of irregular shape.",
        ),
        (None, "None, which does not contain numbers."),
        (
            ["a", "b", "c"],
            "a list, which does not contain numbers.",
        ),
        (
            [{"score": 1}] * 3,
            "a list, which does not contain numbers.",
        ),
        (
            np.ones(3) * 1j,
            "a ndarray, which does not contain numbers.",
        ),
    ],
)
def test_a_result_of_the_wrong_kind_is_refused(returned, message):
    with pytest.raises(InputError) as caught:
        BlackBox(lambda _: returned).predictions(["a", "b", "c"])
    assert caught.value.message == f"predict_fn was called with 3 texts and returned {message}"
    assert caught.value.hint == "Return an array of shape (3,) or (3, classes), one row per text."


def test_numbers_that_are_not_finite_are_refused_with_their_row():
    with pytest.raises(InputError) as caught:
        BlackBox(lambda _: [[0.0, 1.0], [0.5, -np.inf]]).predictions(["a", "b"])
    assert str(caught.value) == (
        "predict_fn was called with 2 texts and returned a number that is not finite, in row 1: [0.5, -inf]. "
        "Return finite numbers; do not take logarithms of probabilities that can be 0."
    )


def test_as_many_classes_in_every_call():
    box = BlackBox(lambda texts: np.zeros((len(texts), len(texts))), batch_size=2)
    with pytest.raises(InputError) as caught:
        box.predictions(["a", "b", "c"])
    assert str(caught.value) == (
        "predict_fn was called with 1 text and returned rows of length 1; in an earlier call the length "
        "was 2. Return the same number of classes in every call."
    )


def test_what_the_function_raises_passes_through():
    error = TimeoutError("rate limit")

    def predict(texts):
        raise error

    with pytest.raises(TimeoutError) as caught:
        BlackBox(predict).predictions(["a"])
    assert caught.value is error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"predict_fn": "model"}, "predict_fn must be a function. Got a str."),
        ({"tokenizer": "bert"}, "tokenizer must be a transformers tokenizer. Got a str."),
        ({"replacement": None}, "replacement must be a string. Got None."),
        ({"batch_size": 0}, "batch_size must be a whole number, 1 or more. Got 0."),
    ],
)
def test_wrong_parameters_are_refused(options, message):
    with pytest.raises(InputError) as caught:
        BlackBox(**{"predict_fn": lengths, **options})
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The text is empty."),
        (" \n\u00a0", "The text ' \\n\\xa0' contains no words."),
        ("half \ud800", "The text contains an unpaired surrogate at position 5: '\\ud800'."),
        (("a", "pair"), "A text for a predict_fn must be a string. Got a tuple."),
        (None, "A text for a predict_fn must be a string. Got None."),
    ],
)
def test_texts_that_cannot_be_asked_about_are_refused(text, message):
    with pytest.raises(InputError) as caught:
        BlackBox(lengths).encode(text)
    assert caught.value.message == message


def test_parts_of_a_model_are_not_there():
    with pytest.raises(UnsupportedModelError) as caught:
        _ = BlackBox(lengths).gradients
    assert str(caught.value) == (
        "A predict_fn gives values only; it has no 'gradients'. Use a perturbation method: "
        f"{', '.join(PERTURBATION)}."
    )
    assert not hasattr(BlackBox(lengths), "unheard_of")
