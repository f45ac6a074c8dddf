"""Attention maps: which matrix is which, how tokens join, and what a sink is."""

import types
from dataclasses import replace

import hard_results as made
import numpy as np
import pandas
import pytest
import torch

from model_understanding import AttentionMap, InputError, NumericalError, Tokens
from model_understanding.results.attention_sinks import find_sinks

WEIGHTS = np.random.default_rng(0).dirichlet(np.ones(4), size=(3, 2, 4)).astype(np.float32)
MAP = AttentionMap.from_arrays(WEIGHTS, list("abcd"))


def test_the_matrix_of_a_layer_and_a_head():
    assert (MAP.matrix(2, 1) == WEIGHTS[2, 1]).all()
    assert MAP.matrix(1) == pytest.approx(WEIGHTS[1].mean(0))
    assert MAP.matrix(head=1) == pytest.approx(WEIGHTS[:, 1].mean(0))
    assert MAP.matrix() == pytest.approx(WEIGHTS.mean((0, 1)))
    chosen = replace(MAP, layers=(7, 3, 5), heads=(4, 0))
    assert (chosen.matrix(3, 4) == WEIGHTS[1, 0]).all()
    for layer in (0, -1):
        with pytest.raises(InputError) as caught:
            chosen.matrix(layer)
        assert str(caught.value) == (
            f"The map has no layer {layer}. It has layers 7, 3, 5. Pass one of these, or compute the map "
            f"with layer={layer} if the model has this layer."
        )
    reduced = made.attention()
    with pytest.raises(InputError) as caught:
        reduced.matrix(1, 0)
    assert str(caught.value) == (
        "The map has no head 0. It has the mean over all heads. Compute the map with head=0."
    )


def test_arrays_from_elsewhere():
    assert AttentionMap.from_arrays(WEIGHTS[0, 0], list("abcd")).weights.shape == (1, 1, 4, 4)
    heads = AttentionMap.from_arrays(WEIGHTS[0], list("abcd"))
    assert (heads.layers, heads.heads) == ((0,), (0, 1))
    wide = AttentionMap.from_arrays(WEIGHTS[..., :2, :], list("ab"), list("abcd"), mask=np.eye(2, 4) > 0)
    assert (len(wide.queries), len(wide.keys), wide.mask.sum()) == (2, 4, 2)
    assert heads.mask.all()
    for shape in ((3,), (1, 1, 1, 1, 1, 1)):
        with pytest.raises(InputError) as caught:
            AttentionMap.from_arrays(np.ones(shape), list("abc"))
        assert str(caught.value) == (
            "Attention weights must have shape (Q, K), (H, Q, K), (L, H, Q, K), or one array per layer of "
            f"shape (H, Q, K) or (1, H, Q, K). Got {shape}. Pass the attention of one text."
        )


def test_what_a_model_returns_is_taken_as_it_is():
    layers = tuple(torch.tensor(layer[None]) for layer in WEIGHTS)
    found = AttentionMap.from_arrays(layers, list("abcd"))
    assert (found.weights == WEIGHTS).all()
    assert (found.layers, found.heads) == ((0, 1, 2), (0, 1))
    assert (AttentionMap.from_arrays([layer[0] for layer in layers], list("abcd")).weights == WEIGHTS).all()
    half = AttentionMap.from_arrays([layer.bfloat16().requires_grad_() for layer in layers], list("abcd"))
    assert half.weights == pytest.approx(WEIGHTS, rel=1e-2)
    assert (AttentionMap.from_arrays(WEIGHTS.tolist(), list("abcd")).weights == WEIGHTS).all()
    assert AttentionMap.from_arrays(layers[0], list("abcd")).weights.shape == (1, 2, 4, 4)


def test_a_causal_mask_is_derived():
    square = AttentionMap.from_arrays(WEIGHTS, list("abcd"), mask="causal")
    assert (square.mask == np.tri(4, dtype=bool)).all()
    steps = AttentionMap.from_arrays(WEIGHTS[..., 2:, :], list("cd"), list("abcd"), mask="causal")
    assert steps.mask.tolist() == [[True, True, True, False], [True] * 4]


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        (
            [np.ones((3, 1, 4, 4))] * 2,
            {},
            "The weights are of 3 texts: shape (2, 3, 1, 4, 4). Pass the weights of one text, for example "
            "tuple(layer[0] for layer in attentions).",
        ),
        (
            (np.ones((1, 2, 4, 4)), None),
            {},
            "Some layers have no attention weights: the model did not return them. Load the model with "
            "attn_implementation='eager', or use compute_attention instead.",
        ),
        (
            (np.ones((1, 2, 4, 4)), np.ones((1, 2, 4, 5))),
            {},
            "The layers have weights of different shapes: (1, 2, 4, 4), (1, 2, 4, 5). Pass one text and one "
            "stack of layers (encoder, decoder or cross-attention).",
        ),
        (
            np.ones((3, 4)),
            {},
            "The weights have 3 queries, but 4 tokens were passed. Pass all tokens that the model saw, "
            "including special tokens, in the order of the weights.",
        ),
        (
            np.ones((4, 4)),
            {"keys": "abcd"},
            "keys must be Tokens or one string per token. Got str. Pass for example "
            "tokenizer.convert_ids_to_tokens(ids).",
        ),
        (
            np.ones((4, 3)),
            {"keys": list("abc"), "mask": "causal"},
            "A causal mask needs no fewer keys than queries. Got 4 queries and 3 keys. Pass the mask "
            "as an array.",
        ),
        (
            np.ones((4, 4)),
            {"mask": np.ones((4, 3))},
            "The mask has shape (4, 3); the weights of a head have shape (4, 4). Pass an array that is True "
            "where a query can attend to a key.",
        ),
        (
            np.ones((4, 4)),
            {"mask": "diagonal"},
            "Unknown mask 'diagonal'. Allowed: 'causal', an array, None. Omit mask to allow every cell.",
        ),
    ],
)
def test_arrays_that_do_not_fit(weights, options, message):
    with pytest.raises(InputError) as caught:
        AttentionMap.from_arrays(weights, list("abcd"), **options)
    assert str(caught.value) == message


def test_words_are_no_weights():
    with pytest.raises(InputError, match=r"^The weights cannot be converted to an array of numbers: "):
        AttentionMap.from_arrays([["a", "b"]], ["a"], ["b", "c"])


def largest_of(count):
    """Return the map of each row's largest weights, as a reducer would."""
    places = np.argsort(-WEIGHTS, axis=-1)[..., :count]
    weights = np.take_along_axis(WEIGHTS, places, -1)
    places[..., 0, 1:] = -1  # a row with one weight
    weights[..., 0, 1:] = 0
    return replace(
        MAP, weights=weights, places=places, mask=(places >= 0).any((0, 1)), keep=f"top:{count}", sinks=None
    )


def test_the_largest_weights_stand_where_they_belong():
    top = largest_of(2)
    dense = top.dense()
    for layer, head in ((0, 0), (2, 1)):
        expected = np.zeros((4, 4), np.float32)
        for row in range(4):
            for weight, place in zip(
                top.weights[layer, head, row], top.places[layer, head, row], strict=True
            ):
                if place >= 0:
                    expected[row, place] = weight
        assert (top.matrix(layer, head) == expected).all()
        assert (top.plane(layer, head).mask == (expected > 0)).all()
        assert (dense.matrix(layer, head) == expected).all()
    assert top.matrix() == pytest.approx(dense.weights.mean((0, 1)))
    assert (dense.mask == (dense.weights > 0).any((0, 1))).all()
    words = top.folded("word")
    assert words.weights == pytest.approx(dense.folded("word").weights)
    some = top.selected([3, 0])
    assert (some.matrix(1, 1) == top.matrix(1, 1)[[3, 0]]).all()
    with pytest.raises(ValueError, match=r"^places must be positions of the 4 keys, or −1.$"):
        replace(top, places=top.places + 4)


def test_a_plane_has_sinks_of_its_own():
    sink, even = np.array([[0.8, 0.1, 0.05, 0.05]] * 4), np.full((4, 4), 0.25)
    found = AttentionMap.from_arrays([[sink, even, even[:, ::-1], even]], list("abcd"))
    assert found.sinks == ()
    assert found.plane(head=0).sinks == (0,)
    assert found.plane(0, 1).sinks == ()
    other = replace(found, map="rollout")
    assert other.plane(0, 0).sinks == (), "what takes most of another map may be the answer"
    assert other.dominant_keys(0, 0) == (0,)
    scaled = replace(found, map="value_weighted", weights=found.weights * 0.01)
    assert scaled.dominant_keys(0, 0) == (0,), "weights of another map have any scale"


def test_the_largest_weights_prove_a_sink_only_where_it_is_certain():
    keys = [str(number) for number in range(40)]
    weights, places = np.full((1, 1, 40, 1), 0.8), np.zeros((1, 1, 40, 1), int)
    base = {"queries": made.tokens_of(*keys), "keys": made.tokens_of(*keys), "layers": (0,), "heads": (0,)}
    top = {**base, "weights": weights, "places": places, "mask": np.ones((40, 1), bool), "keep": "top:1"}
    assert AttentionMap(**top).sinks == (0,)
    assert AttentionMap(**top).plane().sinks == (0,)
    few = np.where(np.arange(40)[:, None] < 10, 0, np.arange(40)[:, None])
    assert AttentionMap(**(top | {"places": few[None, None]})).sinks == ()


@pytest.mark.parametrize("suffix", ["json", "npz"])
def test_a_map_alone_is_saved_and_loaded(tmp_path, suffix):
    for found in (MAP, largest_of(2), made.attention()):
        path = found.save(tmp_path / f"map.{suffix}")
        assert AttentionMap.load(path).to_json() == found.to_json()
    if suffix == "npz":
        with np.load(path) as archive:
            assert (archive["weights"] == found.weights).all()


def test_what_is_no_saved_map(tmp_path):
    with pytest.raises(InputError) as caught:
        MAP.save(tmp_path / "map.gif")
    assert str(caught.value) == (
        "Cannot save 'map.gif': its suffix is .gif. Use one of .html, .png, .svg, .pdf, .json, .csv, .npz."
    )
    with pytest.raises(InputError) as caught:
        AttentionMap.load(tmp_path / "none.npz")
    assert str(caught.value) == (
        f"Cannot read an attention map from {tmp_path / 'none.npz'}: No such file or directory. "
        "Pass a file that AttentionMap.save wrote."
    )
    (tmp_path / "report.json").write_text(made.report().to_json())
    with pytest.raises(InputError) as caught:
        AttentionMap.load(tmp_path / "report.json")
    assert str(caught.value) == (
        f"{tmp_path / 'report.json'} holds Report, not AttentionMap. Use Report.load or Report.from_json."
    )
    np.savez(tmp_path / "plain.npz", weights=WEIGHTS)
    with pytest.raises(InputError, match=r"^Cannot read an attention map from "):
        AttentionMap.load(tmp_path / "plain.npz")


def test_what_is_checked():
    with pytest.raises(NumericalError) as caught:
        AttentionMap.from_arrays([[np.nan]], ["a"])
    assert str(caught.value) == (
        "The attention weights are not finite. Load the model with dtype='float32' and try again."
    )
    with pytest.raises(ValueError, match=r"^mask must have shape \(4, 4\)"):
        replace(MAP, mask=np.ones((3, 4), bool))
    with pytest.raises(ValueError, match=r"^weights must have shape \(2, 2, 4, 4\)"):
        replace(MAP, layers=(0, 1))
    with pytest.raises(ValueError, match=r"^steps must have one token per query. Got 2 for 4 queries.$"):
        replace(MAP, steps=made.tokens_of("a", "b"))
    with pytest.raises(ValueError, match=r"^An attention map needs at least one layer and one head.$"):
        replace(MAP, weights=np.zeros((0, 2, 4, 4)), layers=())
    for name in ("weights", "mask"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(MAP, name)[0] = 0


def tokens(*spans):
    return Tokens.from_spans(
        texts=("good films now",),
        pieces=[str(span) for span in spans],
        ids=range(len(spans)),
        segments=[0] * len(spans),
        offsets=spans,
        special=[False] * len(spans),
    )


def test_words_sum_keys_and_average_queries():
    parts = tokens((0, 2), (2, 4), (5, 10), (11, 14))
    mask = np.tril(np.ones((4, 4), bool))
    weights = np.where(mask, WEIGHTS, 0)
    found = replace(MAP, queries=parts, keys=parts, weights=weights, mask=mask).folded("word")
    assert found.keys.labels() == found.queries.labels() == ("good", "films", "now")
    keys = np.stack([weights[..., 0] + weights[..., 1], weights[..., 2], weights[..., 3]], -1)
    expected = np.stack([(keys[..., 0, :] + keys[..., 1, :]) / 2, keys[..., 2, :], keys[..., 3, :]], -2)
    assert found.weights == pytest.approx(expected)
    assert found.mask.tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    apart = np.array([[0, 0, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0]], bool)
    joined = replace(MAP, queries=parts, keys=parts, mask=apart).folded("word")
    assert joined.mask.tolist() == [[False, True, True], [True, False, False], [True, False, False]]
    whole = replace(MAP, queries=parts, keys=parts).folded("word")
    assert whole.weights.sum(-1) == pytest.approx(np.ones((3, 2, 3)))


def test_the_rows_of_a_generation_join_by_the_tokens_they_produced():
    keys = tokens((0, 4), (5, 8), (8, 10), (11, 14))
    steps = keys.select([1, 2, 3])
    found = replace(
        MAP,
        queries=keys.select([0, 1, 2]),
        keys=keys,
        weights=WEIGHTS[..., :3, :],
        mask=np.ones((3, 4), bool),
        steps=steps,
        sinks=None,
    ).folded("word")
    assert found.steps.labels() == ("films", "now")
    assert found.keys.labels() == ("good", "films", "now")
    keyed = np.stack(
        [WEIGHTS[..., :3, 0], WEIGHTS[..., :3, 1] + WEIGHTS[..., :3, 2], WEIGHTS[..., :3, 3]], -1
    )
    expected = np.stack([(keyed[..., 0, :] + keyed[..., 1, :]) / 2, keyed[..., 2, :]], -2)
    assert found.weights == pytest.approx(expected)


def test_a_map_without_queries_folds():
    empty = next(result for result in made.empty() if isinstance(result, AttentionMap))
    assert empty.folded("word").weights.shape == (1, 1, 0, 1)


def test_sinks():
    everyone = np.ones((4, 4), bool)
    causal = np.tril(everyone)
    even = np.full((4, 4), 0.25)
    sink = np.array([[0.7, 0.1, 0.1, 0.1]] * 4)
    assert find_sinks(even, everyone) == ()
    assert find_sinks(sink, everyone) == (0,)
    assert find_sinks(causal / causal.sum(1, keepdims=True), causal) == ()
    assert find_sinks(np.where(causal, [[1.0, 0, 0, 0]] * 4, 0), causal) == (0,)
    assert find_sinks(np.where(causal, [[0.85, 0.15, 0, 0]] * 4, 0), causal) == ()  # 2.5 × even is more
    long = np.tril(np.ones((12, 12), bool))
    assert find_sinks(np.where(long, [[0.9, *[0.01] * 11]] * 12, 0), long) == (0,)
    assert find_sinks(np.eye(4), everyone) == ()
    assert find_sinks(sink[:1], everyone[:1]) == ()
    assert find_sinks(np.zeros((0, 3)), np.zeros((0, 3), bool)) == ()
    assert AttentionMap.from_arrays(sink, list("abcd")).sinks == (0,)


def test_a_map_from_arrays_is_saved_and_shown_like_any_result(tmp_path):
    weights = np.random.default_rng(0).dirichlet(np.ones(3), (2, 2, 3))
    attention = AttentionMap.from_arrays(weights, ["The", "plot", "<b>"], mask="causal")
    for suffix in (".html", ".png", ".svg", ".pdf", ".json", ".csv", ".npz"):
        assert attention.save(tmp_path / f"map{suffix}").stat().st_size > 100
    page = (tmp_path / "map.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "<b>" not in page
    assert 'type="application/json"' in page
    table = pandas.read_csv(tmp_path / "map.csv")
    assert len(table) == 2 * 2 * 6
    row = table[(table["layer"] == 1) & (table["head"] == 0) & (table["query_position"] == 2)]
    assert np.allclose(row["weight"], weights[1, 0, 2], atol=1e-6)
    assert list(row["key"]) == ["The", "plot", "<b>"]
    bundle = attention._repr_mimebundle_()
    assert {"text/plain", "text/html", "image/png"} == set(bundle)
    assert "<svg" in attention._repr_html_()
    for suffix in (".json", ".npz"):
        assert np.array_equal(AttentionMap.load(tmp_path / f"map{suffix}").weights, attention.weights)


def test_the_steps_of_a_generation_are_joined():
    whole = np.tril(np.random.default_rng(0).random((2, 3, 5, 5)))
    prompt = tuple(torch.tensor(layer[None, :, :3, :3]) for layer in whole)
    steps = [
        tuple(torch.tensor(layer[None, :, row : row + 1, : row + 1]) for layer in whole) for row in (3, 4)
    ]
    for pieces in (list("abcde"), list("abcdef")):  # the last token that is written is not read
        attention = AttentionMap.from_arrays((prompt, *steps), pieces)
        assert np.allclose(attention.weights, whole, atol=1e-6)
        assert attention.keys.pieces == tuple("abcde")
        assert np.array_equal(attention.mask, np.tril(np.ones((5, 5), dtype=bool)))
    with pytest.raises(InputError, match="The steps of a generation must attend to all tokens before them"):
        AttentionMap.from_arrays((prompt, steps[1]), list("abcd"))


def steps_of(whole: np.ndarray, prompt: int) -> list[tuple[torch.Tensor, ...]]:
    """Cut causal weights of one text into what ``generate`` returns: the prompt, then one row per step."""
    starts = [0, *range(prompt, whole.shape[2])]
    return [
        tuple(torch.tensor(layer[None, :, start:end, :end]) for layer in whole)
        for start, end in zip(starts, [*starts[1:], whole.shape[2]], strict=True)
    ]


def test_what_generate_returns_is_taken_in_every_form():
    whole = np.tril(np.random.default_rng(1).random((2, 3, 6, 6)) / 6 + 0.01)
    steps = steps_of(whole, prompt=3)
    output = types.SimpleNamespace(attentions=tuple(steps))
    lists = [[layer.tolist() for layer in step] for step in steps]
    for weights in (steps, tuple(steps), output, lists):
        for pieces in (["a", "Ġb", "Ġc", "Ġd", "Ġe", "Ġf"], np.array(list("abcdefg"))):
            attention = AttentionMap.from_arrays(weights, pieces, list(pieces))
            assert np.allclose(attention.weights, whole, atol=1e-6)
            assert attention.keys.labels() == tuple("abcdef")
            assert np.array_equal(attention.mask, np.tril(np.ones((6, 6), dtype=bool)))


def test_cross_attention_of_a_generation_has_the_encoders_keys():
    whole = np.random.default_rng(2).dirichlet(np.ones(5), (2, 3, 4))
    steps = [tuple(torch.tensor(layer[None, :, row : row + 1]) for layer in whole) for row in range(4)]
    attention = AttentionMap.from_arrays(steps, [*"wxyz", "end"], list("abcde"))
    assert np.allclose(attention.weights, whole, atol=1e-6)
    assert attention.mask.all()
    assert attention.queries.labels() == tuple("wxyz")


def test_a_causal_forward_pass_is_known_by_its_zeros():
    lower = np.tril(np.ones((4, 4)))
    weights = (lower / lower.sum(1, keepdims=True))[None, None]
    attention = AttentionMap.from_arrays(weights, list("abcd"))
    assert np.array_equal(attention.mask, lower > 0)
    assert attention.sinks == ()
    assert AttentionMap.from_arrays(np.eye(4), list("abcd")).mask.all()
    assert AttentionMap.from_arrays(weights, list("abcd"), mask=np.ones((4, 4))).mask.all()


@pytest.mark.parametrize(
    ("weights", "tokens", "message"),
    [
        (None, ["a"], r"The output has no attention weights\. Call the model with output_attentions=True"),
        (types.SimpleNamespace(attentions=None), ["a"], "The output has no attention weights"),
        (
            types.SimpleNamespace(encoder_attentions=(1,), cross_attentions=(1,)),
            ["a"],
            r"several kinds of attention: encoder_attentions, cross_attentions\. Pass one of them",
        ),
        ((None, np.eye(2)), ["a", "b"], "Some layers have no attention weights"),
        (np.eye(2), [1, 2], "one string per token. Got list of int"),
        (np.eye(1), ["a", "b"], "The weights have 1 query, but 2 tokens were passed"),
    ],
)
def test_what_cannot_be_a_map_is_named(weights, tokens, message):
    with pytest.raises(InputError, match=message):
        AttentionMap.from_arrays(weights, tokens)


@pytest.mark.parametrize(
    ("pieces", "labels", "words"),
    [
        (["I", "Ġwant", "Ġmon", "ey"], ("I", "want", "mon", "ey"), ("I", "want", "money")),
        (["▁The", "▁Fra", "nce"], ("The", "Fra", "nce"), ("The", "France")),
        (
            ["[CLS]", "play", "##ing", "[SEP]"],
            ("[CLS]", "play", "ing", "[SEP]"),
            ("[CLS]", "playing", "[SEP]"),
        ),
        (["un@@", "able", "to"], ("un", "able", "to"), ("unable", "to")),
        (["lo", "w</w>", "er</w>"], ("lo", "w", "er"), ("low", "er")),
        (["play", "ing", " chess"], ("play", "ing", "chess"), ("playing", "chess")),
        (
            ["h", "i", " ", "\xe2", "\x82", "\xac"],
            ("h", "i", "␣", "<0xE2>", "<0x82>", "<0xAC>"),
            ("hi", "␣", "€"),
        ),
        (["âĤ", "¬", "Ġok"], ("<0xE2><0x82>", "<0xAC>", "ok"), ("€", "ok")),
        (["▁a", "<0xE2>", "<0x82>", "<0xAC>"], ("a", "<0xE2>", "<0x82>", "<0xAC>"), ("a", "€")),
    ],
)
def test_pieces_of_every_kind_of_tokenizer_are_read(pieces, labels, words):
    count = len(pieces)
    attention = AttentionMap.from_arrays(np.full((count, count), 1 / count), pieces)
    assert attention.keys.labels() == labels
    assert attention.folded("word").keys.labels() == words
