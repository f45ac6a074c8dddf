"""Pieces of tokenizers without offsets, aligned to the text."""

import itertools

import numpy as np
import pytest
import transformers

from model_understanding.text.cautions import cautions_about
from model_understanding.text.piece_places import spans_of_pieces
from model_understanding.text.tokenization import tokenize

UNKNOWN = "<unk>"


@pytest.mark.parametrize(
    ("text", "pieces", "surfaces"),
    [
        ("The FILM", "the fi ##lm", "The FI LM"),
        ("Été naïf", "ete na ##if", "Été na ïf"),
        ("a  film\n.", "a film .", "a film ."),
        ("undo it", "un@@ do it</w>", "un do it"),
        ("吾輩は猫", f"{UNKNOWN} {UNKNOWN} は {UNKNOWN}", "吾 輩 は 猫"),
        ("see @bob the", f"{UNKNOWN} {UNKNOWN} {UNKNOWN} the", "see @ bob the"),
        ("http://x now", f"http {UNKNOWN} {UNKNOWN} {UNKNOWN} x now", "http : / / x now"),
        ("abc x", f"{UNKNOWN} x", "abc x"),
        ("½ cup", "1 ⁄ 2 cup", "½ ½ ½ cup"),
    ],
)
def test_pieces_stand_where_their_text_is(text, pieces, surfaces):
    parts = pieces.split()
    spans = spans_of_pieces(text, parts, [piece == UNKNOWN for piece in parts])
    assert [text[start:end] for start, end in spans] == surfaces.split()


def test_a_piece_that_does_not_occur_has_an_empty_span():
    spans = spans_of_pieces("a 🙂 b", ["a", ":smile:", "b"], [False] * 3)
    assert spans == [(0, 1), (1, 1), (4, 5)]


def test_spans_are_in_order_whatever_the_pieces():
    numbers = np.random.default_rng(0)
    for _ in range(50):
        text = "".join(numbers.choice(list("ab c🙂é\n"), 12))
        pieces = [str(piece) for piece in numbers.choice(["a", "##b", "c", "e", UNKNOWN, "zz"], 8)]
        spans = spans_of_pieces(text, pieces, [piece == UNKNOWN for piece in pieces])
        assert all(0 <= start <= end <= len(text) for start, end in spans)
        assert all(a[1] <= b[1] for a, b in itertools.pairwise(spans))


@pytest.fixture(scope="module")
def protein(tmp_path_factory):
    file = tmp_path_factory.mktemp("esm") / "vocab.txt"
    file.write_text("\n".join(["<cls>", "<pad>", "<eos>", "<unk>", *"LAGVSERTIDPKQNFYMHWCXBUZO", "<mask>"]))
    return transformers.EsmTokenizer(str(file))


def test_a_protein_and_a_pair(protein):
    tokens, inputs = tokenize(protein, "MKTAY")
    assert tokens.surfaces() == ("<cls>", *"MKTAY", "<eos>")
    assert inputs["input_ids"] == protein("MKTAY")["input_ids"]
    tokens, inputs = tokenize(protein, "MKT", "AYK")
    assert inputs["input_ids"] == protein("MKT", "AYK")["input_ids"]
    assert [int(segment) for segment in tokens.segments] == [-1, 0, 0, 0, -1, 1, 1, 1, -1]
    assert cautions_about(tokens, protein) == ()


def test_unknown_and_missing_text_is_said(protein):
    tokens, _ = tokenize(protein, "MK 🙂 T")
    assert tokens.labels() == ("<cls>", "M", "K", "🙂 (unknown)", "T", "<eos>")
    assert cautions_about(tokens, protein) == (
        "1 of 3 words is unknown to the tokenizer and became <unk>: '🙂'.",
    )
