"""What SimilarityVisualizer explains of two texts, and what it runs for it."""

import numpy as np
import pytest
import tiny_models
import tiny_similarity
import torch
from tiny_similarity import PAIR, PAIRS, cosine, embedding_by_hand

from model_understanding import (
    Choices,
    InputError,
    Prediction,
    Report,
    SimilarityVisualizer,
    TokenLinks,
    UnsupportedModelError,
)
from model_understanding.results import Failure

QUERY = "Where is the king?"
DOCUMENTS = ("The film was wonderful.", "Once upon a time there lived a king.", "Paris is in France.")


def _rows_encoded(visualizer, run) -> list[torch.Tensor]:
    """Return the ids of every row that the transformer reads."""
    rows = []
    handle = visualizer.model.encoder.register_forward_hook(
        lambda module, arguments, keywords, output: rows.extend(keywords["input_ids"].unbind()),
        with_kwargs=True,
    )
    run()
    handle.remove()
    return rows


def test_the_answer_is_a_number_with_both_texts():
    answer = tiny_similarity.visualizer("bert").predict(PAIR)
    assert isinstance(answer, Prediction)
    assert answer.labels == ("cosine",)
    assert answer.tokens.texts == PAIR
    assert str(answer).startswith(f"cosine {float(answer):.3g}"[:9])


def test_each_distinct_text_is_encoded_once():
    visualizer = tiny_similarity.visualizer("bert")
    texts = [f"{word} film" for word in ("a", "the", "bad", "dull", "wonderful")]
    pairs = [(first, second) for first in texts for second in texts]
    rows = _rows_encoded(visualizer, lambda: visualizer.predict(pairs))
    assert len(rows) == len(texts)
    rows = _rows_encoded(visualizer, lambda: visualizer.rank(QUERY, DOCUMENTS))
    assert len(rows) == 1 + len(DOCUMENTS)


def test_removals_encode_each_variant_of_a_side_once():
    visualizer = tiny_similarity.visualizer("bert")
    visualizer.compute_saliency(PAIR, method="leave_one_out")  # measures the model
    attribution = None

    def run():
        nonlocal attribution
        attribution = visualizer.compute_saliency(PAIR, method="leave_one_out")

    rows = _rows_encoded(visualizer, run)
    ordinary = int((~attribution.tokens.special).sum())
    # Of each text the whole one, and one without each token; the other side once in each of two batches.
    assert len(rows) <= ordinary + 4


@pytest.mark.parametrize("name", ["bert", "roberta", "qwen2"])
def test_links_by_removals_are_second_differences(name):
    visualizer = tiny_similarity.visualizer(name, "mean")
    model, tokenizer = tiny_similarity.encoder(name), tiny_models.tokenizer_of(name)
    links = visualizer.compute_links(*PAIR, method="removals", unit="token")
    assert links.reference == "attention"

    def without(text: str, place: int | None) -> torch.Tensor:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        mask = torch.ones_like(ids)
        if place is not None:
            mask[0, place] = 0
        with torch.no_grad():
            states = model(input_ids=ids, attention_mask=mask).last_hidden_state[0]
        return states[mask[0].bool()].mean(dim=0)

    whole = [without(text, None) for text in PAIR]
    for row, column in ((1, 2), (3, 1), (2, 4)):
        a, b = without(PAIR[0], row), without(PAIR[1], column)
        expected = cosine(*whole) - cosine(a, whole[1]) - cosine(whole[0], b) + cosine(a, b)
        assert links.scores[row, column] == pytest.approx(expected, abs=5e-6)
    assert links.total + links.rest == pytest.approx(cosine(*whole), abs=1e-5)


@pytest.mark.parametrize("name", ["bert", "roberta", "modernbert"])
def test_integrated_links_are_integrals_of_autograds_jacobians(name):
    visualizer = tiny_similarity.visualizer(name, "mean")
    pair = ("a dull film", "the king")
    links = visualizer.compute_links(*pair)
    model, tokenizer = tiny_similarity.encoder(name), tiny_models.tokenizer_of(name)
    table = model.get_input_embeddings()
    nodes, weights = np.polynomial.legendre.leggauss(64)
    parts, ends = [], []
    for text in pair:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        masked = ids.clone()
        masked[0, 1:-1] = tokenizer.mask_token_id
        start, change = table(masked).detach(), (table(ids) - table(masked)).detach()

        def embed(rows, ids=ids):
            handle = table.register_forward_hook(lambda *_: rows)
            states = model(input_ids=ids).last_hidden_state[0]
            handle.remove()
            return torch.nn.functional.normalize(states.mean(dim=0), dim=0)

        total = 0
        for node, weight in zip(nodes, weights, strict=True):
            point = start + (node + 1) / 2 * change
            jacobian = torch.autograd.functional.jacobian(embed, point, vectorize=True)[:, 0]
            total = total + weight / 2 * torch.einsum("etd,td->te", jacobian, change[0])
        parts.append(total)
        ends.append((embed(start + change).detach(), embed(start).detach()))
    basis, _ = torch.linalg.qr(torch.stack([ends[0][1], ends[1][1]], dim=1))
    projected = [part - part @ basis @ basis.T for part in parts]
    np.testing.assert_allclose(links.scores, projected[0] @ projected[1].T, atol=2e-3)
    rest = (ends[0][0] @ basis) @ (basis.T @ ends[1][0])
    assert links.rest == pytest.approx(float(rest), abs=1e-4)


def test_two_texts_are_linked_by_the_word_that_they_share():
    """Planted: blocks that add nothing leave each token its own vector, so only shared words can matter."""
    model = tiny_similarity.encoder("bert")
    with torch.no_grad():
        model.embeddings.position_embeddings.weight.zero_()
        model.embeddings.token_type_embeddings.weight.zero_()
        for block in model.encoder.layer:
            for layer in (block.attention.output.dense, block.output.dense):
                layer.weight.zero_()
                layer.bias.zero_()
    tokenizer = tiny_models.tokenizer_of("bert")
    words = [word for word in tokenizer.get_vocab() if word.isalpha() and len(word) > 3]
    shared, *others = sorted(words)[:9]
    used = tokenizer.convert_tokens_to_ids(["[CLS]", "[SEP]", "[MASK]", shared, *others])
    with torch.no_grad():
        model.embeddings.word_embeddings.weight[used] = 5 * torch.eye(32)[: len(used)]
    visualizer = SimilarityVisualizer(model=model, tokenizer=tokenizer, pooling="mean")
    first, second = " ".join([*others[:3], shared, others[3]]), " ".join([others[4], shared, *others[5:]])
    for method in ("integrated_jacobians", "removals"):
        links = visualizer.compute_links(first, second, method=method).words()
        (strongest, next_one) = links.strongest(2)
        assert strongest[:2] == (shared, shared)
        assert strongest[2] > 3 * abs(next_one[2])
    scores = visualizer.compute_saliency((first, second), method="leave_one_out").words().pairs()
    ranked = sorted(scores, key=lambda pair: -pair[1])
    assert [word for word, _ in ranked[:2]] == [shared, shared]


def test_a_report_has_everything_and_survives_being_saved(tmp_path):
    visualizer = tiny_similarity.visualizer("bert")
    report = visualizer.analyze(PAIRS[2], show=False)
    assert report.texts == PAIRS[2]
    assert report.prediction.labels == ("cosine",)
    assert {attention.stack for attention in report.attention} == {"first text", "second text"}
    assert report.links.total + report.links.rest + report.links.gap == pytest.approx(
        report.links.similarity, abs=1e-5
    )
    assert report.evaluations
    again = Report.load(report.save(tmp_path / "report.json"))
    assert again.links.scores.tolist() == report.links.scores.tolist()
    page = report.to_html()
    assert "שלום" in page
    assert "👨‍👩‍👧" in page
    assert len(report.provenance.cautions) == 1  # words that this tokenizer does not know
    links = report.links
    assert TokenLinks.from_json(links.to_json()).total == links.total
    assert len(links.to_dataframe()) == links.scores.size


def test_sides_stay_apart_in_the_tokens_of_a_pair():
    attribution = tiny_similarity.visualizer("bert").compute_saliency(PAIR)
    tokens = attribution.tokens
    second = int(np.flatnonzero(tokens.segments == 1)[0])
    assert tokens.labels()[second] == "[CLS]"
    assert not tokens.special[np.flatnonzero(tokens.segments == 0)].any()
    assert attribution.method == "guided_ablation"
    assert attribution.targets[0].description() == "cosine"


def test_documents_are_ranked_and_explained_on_demand():
    visualizer = tiny_similarity.visualizer("bert")
    ranking = visualizer.rank(QUERY, DOCUMENTS)
    assert isinstance(ranking, Choices)
    alone = [float(visualizer.predict((QUERY, document))) for document in DOCUMENTS]
    np.testing.assert_allclose(ranking.values, alone, atol=2e-6)
    assert ranking.ranking == tuple(np.argsort(-np.array(alone)))
    report = visualizer.analyze((QUERY, list(DOCUMENTS)), show=False, target=[1, DOCUMENTS[2]])
    assert [each.tokens.texts[1] for each in report.attributions] == [DOCUMENTS[1], DOCUMENTS[2]]
    assert report.answer.names == DOCUMENTS
    own = visualizer.compute_saliency((QUERY, DOCUMENTS[2]))
    np.testing.assert_allclose(report.attributions[1].scores, own.scores, atol=2e-6)


def test_attention_is_that_of_each_text_by_itself():
    visualizer = tiny_similarity.visualizer("bert")
    of_pair = visualizer.compute_attention(PAIR, stack="second text", layer=0, head=1)
    alone = visualizer.compute_attention(PAIR[1], layer=0, head=1)
    np.testing.assert_allclose(of_pair.weights, alone.weights, atol=1e-6)
    assert visualizer.compute_attention(PAIR).keys.texts == PAIR[:1]
    assert visualizer.score_heads(PAIR, scores="entropy").stack == "first text"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda it: it.predict("one text"), "needs two texts"),
        (lambda it: it.predict(("a film", None)), "needs two texts"),
        (lambda it: it.compute_saliency((3, "a film")), "needs two texts"),
        (lambda it: it.compute_links("a film"), "needs two texts"),
        (lambda it: it.predict((None, ["a film"])), "The query must be a text"),
        (lambda it: it.embed([]), "a list of one text or more"),
        (lambda it: it.embed(None), "a list of one text or more"),
        (lambda it: it.embed(["a film", None]), "a list of one text or more"),
        (lambda it: it.predict(("a film", "")), "The text is empty"),
        (lambda it: it.predict(("a film", [])), "one text or more"),
        (lambda it: it.compute_links("a film", method="sum"), "sum"),
        (lambda it: it.compute_saliency(PAIR, target="positive"), "one similarity"),
        (lambda it: it.compute_saliency(PAIR, quantity="prob"), "no probability"),
        (lambda it: it.compute_attention("a film", stack="first text"), "single text"),
    ],
)
def test_what_cannot_be_explained_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call(tiny_similarity.visualizer("bert"))


def test_a_distance_has_no_integrated_links():
    visualizer = tiny_similarity.visualizer("bert", similarity="euclidean")
    with pytest.raises(InputError, match="method='removals'"):
        visualizer.compute_links(*PAIR, method="integrated_jacobians")
    assert visualizer.compute_links(*PAIR).method == "removals"
    with pytest.raises(UnsupportedModelError, match="likeliest answer"):
        visualizer.compute_attention("a film", kind="gradient_weighted")


def test_a_pair_that_fails_is_skipped():
    answers = tiny_similarity.visualizer("bert").predict([PAIR, ("a film", ""), PAIR], errors="skip")
    assert [isinstance(answer, Failure) for answer in answers] == [False, True, False]


def test_a_path_between_empty_texts_warns():
    attribution = tiny_similarity.visualizer("bert").compute_saliency(PAIR, method="integrated_gradients")
    assert any("At the baseline both texts are the same" in each for each in attribution.provenance.cautions)


def test_an_embedding_is_the_one_by_hand():
    visualizer = tiny_similarity.visualizer("roberta")
    by_hand = [
        embedding_by_hand(
            tiny_similarity.encoder("roberta"), tiny_models.tokenizer_of("roberta"), text, "cls"
        )
        for text in PAIR
    ]
    np.testing.assert_allclose(visualizer.embed(PAIR), torch.stack(by_hand), atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "qwen2"])
def test_the_callers_model_keeps_its_mode(name):
    model = tiny_similarity.encoder(name).train()
    next(model.children()).eval()
    modes = [module.training for module in model.modules()]
    visualizer = SimilarityVisualizer(
        model=model, tokenizer=tiny_models.tokenizer_of(name), pooling="mean", similarity="cosine"
    )
    value = float(visualizer.predict(PAIR))
    visualizer.compute_saliency(PAIR)
    assert [module.training for module in model.modules()] == modes
    assert value == float(tiny_similarity.visualizer(name, "mean").predict(PAIR))


def test_the_hint_for_what_is_no_pair_speaks_of_pairs():
    with pytest.raises(InputError) as caught:
        tiny_similarity.visualizer("bert").predict(("a film", None))
    assert "(text, text) tuple" in caught.value.hint


@pytest.mark.parametrize("kind", ["cosine", "euclidean", "manhattan", "dot"])
def test_equal_texts_warn_that_gradients_vanish(kind):
    visualizer = tiny_similarity.visualizer("bert", similarity=kind)
    pair = (PAIR[0], PAIR[0].lower())  # one to this tokenizer, which lowercases
    attribution = visualizer.compute_saliency(pair, method="input_x_gradient")
    has_warning = any("Both texts are the same" in each for each in attribution.provenance.cautions)
    assert has_warning == (kind != "dot")
    assert not any("Both texts" in each for each in visualizer.compute_saliency(PAIR).provenance.cautions)
    if kind in ("euclidean", "manhattan"):
        assert str(float(visualizer.predict(pair))) == "0.0"


class _OwnEncoder(torch.nn.Module):
    """A caller's encoder whose forward takes nothing but what it needs."""

    def __init__(self, inner, fails: bool) -> None:
        super().__init__()
        self.inner, self.fails, self.config = inner, fails, inner.config

    def get_input_embeddings(self):
        return self.inner.get_input_embeddings()

    def forward(self, input_ids, attention_mask=None):
        if self.fails:
            raise TypeError("unexpected keyword")
        return self.inner(input_ids=input_ids, attention_mask=attention_mask)


def test_an_own_encoder_needs_no_option_of_transformers():
    def visualizer(fails: bool):
        return SimilarityVisualizer(
            model=_OwnEncoder(tiny_similarity.encoder("bert"), fails),
            tokenizer=tiny_models.tokenizer_of("bert"),
            pooling="mean",
        )

    expected = float(tiny_similarity.visualizer("bert").predict(PAIR))
    assert float(visualizer(fails=False).predict(PAIR)) == pytest.approx(expected, abs=1e-6)
    with pytest.raises(InputError, match="unexpected keyword") as caught:
        visualizer(fails=True).predict(PAIR)
    assert "longer" not in caught.value.hint


def _sharp(dtype: torch.dtype, name: str = "bert") -> SimilarityVisualizer:
    """Return an encoder with weights that make its embeddings change fast, rounded to 16 bits."""
    model = tiny_similarity.encoder(name)
    torch.manual_seed(3)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.copy_(0.35 * torch.randn_like(weight))
    whole = model.forward
    model.forward = lambda **inputs: whole(**inputs)  # as hooks of other packages replace it
    return SimilarityVisualizer(
        model=model.bfloat16().to(dtype), tokenizer=tiny_models.tokenizer_of(name), pooling="mean"
    )


@pytest.mark.parametrize("method", ["integrated_jacobians", "removals"])
@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_links_in_half_precision_are_those_of_the_same_weights_in_32_bits(name, method):
    half, whole = (_sharp(dtype, name) for dtype in (torch.bfloat16, torch.float32))
    links, expected = (each.compute_links(*PAIR, method=method) for each in (half, whole))
    assert links.method == method
    np.testing.assert_allclose(links.scores, expected.scores, atol=1e-6)
    assert links.similarity == pytest.approx(float(half.predict(PAIR)), abs=1e-6)
    assert links.total + links.rest + links.gap == pytest.approx(links.similarity, abs=1e-5)
    assert {weight.dtype for weight in half.model.parameters()} == {torch.bfloat16}


def test_links_that_miss_the_similarity_warn_everywhere(monkeypatch, capsys):
    visualizer = _sharp(torch.bfloat16)
    monkeypatch.setattr("model_understanding.attribution.token_links._MOST_COPIED", 0)
    assert visualizer.compute_links(*PAIR).method == "removals"
    links = visualizer.compute_links(*PAIR, method="integrated_jacobians")
    assert abs(links.gap) > 0.1 * abs(links.similarity)
    warning = links.provenance.cautions[-1]
    assert f"the completeness gap is {links.gap:.3g}" in warning
    assert "completeness gap" in links.to_html()
    report = visualizer.analyze(PAIR, method="leave_one_out", evaluate=False, show=False)
    assert any("bfloat16" in each for each in report.provenance.cautions)
    assert "rounding errors are a large part" in report.to_html()
