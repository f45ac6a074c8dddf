"""A real sentence encoder: what it finds similar, and why, is what a reader expects."""

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from model_understanding import LoadingError, SimilarityVisualizer, visualizer
from model_understanding.demo_models import demo_model_folder

pytestmark = pytest.mark.real

CAT, KITTEN = "The cat sits outside in the sun.", "A kitten is lying in the garden."
SHARES = "The stock market fell sharply on Monday."


@pytest.fixture(scope="module")
def minilm() -> SimilarityVisualizer:
    try:
        demo_model_folder("demo:minilm")
    except LoadingError as error:
        pytest.skip(str(error))
    return SimilarityVisualizer("demo:minilm")


def test_the_cosine_is_that_of_mean_pooled_hidden_states(minilm):
    folder = demo_model_folder("demo:minilm")
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        first, second = (
            model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0)
            for text in (CAT, KITTEN)
        )
    expected = float(torch.nn.functional.cosine_similarity(first, second, dim=0))
    assert float(minilm.predict((CAT, KITTEN))) == pytest.approx(expected, abs=1e-6)
    assert expected > 0.4 > float(minilm.predict((CAT, SHARES)))
    assert type(visualizer("demo:minilm")) is SimilarityVisualizer


def test_a_cat_and_a_kitten_make_two_sentences_similar(minilm):
    attribution = minilm.compute_saliency((CAT, KITTEN))
    scores = dict(attribution.words().pairs())
    assert max(scores, key=scores.__getitem__) == "cat"
    assert sorted(scores, key=scores.__getitem__)[-2:] == ["kitten", "cat"]
    assert minilm.evaluate(attribution).verdict == "supported"


@pytest.mark.parametrize("method", ["integrated_jacobians", "removals"])
def test_the_strongest_link_is_between_them(minilm, method):
    links = minilm.compute_links(CAT, KITTEN, method=method)
    assert links.words().strongest(1)[0][:2] == ("cat", "kitten")
    assert links.total + links.rest + links.gap == pytest.approx(links.similarity, abs=1e-5)
    assert abs(links.gap) < 1e-3
    assert abs(links.rest) < 0.1  # nearly all is explained by pairs


def test_documents_are_ranked_by_what_they_are_about(minilm):
    ranking = minilm.rank("Where is the cat?", [SHARES, KITTEN, CAT])
    assert ranking.ranking == (2, 1, 0)
    alone = [float(minilm.predict(("Where is the cat?", text))) for text in ranking.names]
    np.testing.assert_allclose(ranking.values, alone, atol=1e-6)
