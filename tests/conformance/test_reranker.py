"""Rerankers of every classifier's architecture: scores, ranking and maps against plain torch and captum."""

from functools import cache

import numpy as np
import oracles
import pytest
import tiny_models
import torch
from pass_counts import forwards_of

from model_understanding import InputError, RerankerVisualizer, UnsupportedModelError
from model_understanding.results import result_from_json
from model_understanding.text.tokenization import tokenize

QUERY = "Where did the king live?"
DOCUMENTS = (
    "The film was dull.",
    "Once upon a time a king lived far away 👨‍👩‍👧.",
    "שלום: the capital of France is Paris.",
    "The plot was dull.",
)
each = pytest.mark.parametrize("name", tiny_models.CLASSIFIERS)
some = pytest.mark.parametrize("name", ["bert", "roberta", "gpt2-classifier", "modernbert"])


@cache
def reranker(name, outputs=1, **options):
    model = tiny_models.fresh(name, num_labels=outputs)
    return RerankerVisualizer(model=model, tokenizer=tiny_models.tokenizer_of(name), **options)


def inputs_of(visualizer, document):
    tokens, inputs = tokenize(visualizer.tokenizer, QUERY, document)
    return visualizer.runner.model.encode(tokens, inputs).inputs


def logits_by_hand(visualizer, document):
    with torch.no_grad():
        return visualizer.model(**inputs_of(visualizer, document)).logits[0].double().numpy()


@each
@pytest.mark.parametrize("outputs", [1, 2])
def test_scores_and_ranking_are_those_of_each_pair_by_itself(name, outputs):
    visualizer = reranker(name, outputs)
    choices = visualizer.rank(QUERY, DOCUMENTS)
    logits = np.stack([logits_by_hand(visualizer, document) for document in DOCUMENTS])
    margins = logits[:, 0] if outputs == 1 else logits[:, 1] - logits[:, 0]
    assert oracles.close(choices.values, margins, 2e-5)
    assert oracles.close(choices.probabilities, 1 / (1 + np.exp(-margins)), 2e-5)
    assert (choices.kind, choices.question, choices.names) == ("document", QUERY, DOCUMENTS)
    gaps = np.diff(np.sort(margins))
    if gaps.min() > 1e-5:
        assert choices.ranking == tuple(np.argsort(-margins))
    assert choices.tokens.texts == (QUERY, DOCUMENTS[choices.ranking[0]])


@each
@pytest.mark.parametrize("outputs", [1, 2])
def test_each_document_has_captums_gradient_of_its_logit_best_first(name, outputs):
    visualizer = reranker(name, outputs)
    report = visualizer.analyze(
        (QUERY, DOCUMENTS), method="saliency", evaluate=False, attention=(), show=False
    )
    assert len(report.attributions) == len(DOCUMENTS)
    for place, attribution in zip(report.answer.ranking, report.attributions, strict=True):
        document = DOCUMENTS[place]
        assert attribution.tokens.texts == (QUERY, document)
        assert set(attribution.tokens.segments.tolist()) >= {0, 1}  # the sides stay apart
        read = (lambda logits: logits[0, 0]) if outputs == 1 else (lambda logits: logits[0, 1] - logits[0, 0])
        gradients = oracles.captum_gradients(visualizer.model, inputs_of(visualizer, document), read)
        assert oracles.close(attribution.scores[0], gradients.norm(dim=-1), 3e-5)
        assert attribution.targets[0].name == document


@pytest.mark.parametrize("name", ["bert", "roberta", "modernbert"])
def test_removed_words_of_either_side_become_masks(name):
    visualizer = reranker(name)
    found = visualizer.compute_saliency((QUERY, DOCUMENTS[0]), method="leave_one_out")
    tokens, tokenizer = found.tokens, visualizer.tokenizer
    inputs = inputs_of(visualizer, DOCUMENTS[0])
    whole = logits_by_hand(visualizer, DOCUMENTS[0])[0]
    for position in np.flatnonzero(~tokens.special):
        ids = inputs["input_ids"].clone()
        ids[0, position] = tokenizer.mask_token_id
        with torch.no_grad():
            without = float(visualizer.model(**{**inputs, "input_ids": ids}).logits[0, 0])
        assert found.scores[0, position] == pytest.approx(whole - without, abs=1e-4)
    assert {0, 1} <= set(tokens.segments[found.scores[0] != 0].tolist())


@some
def test_alone_is_together(name):
    visualizer = reranker(name)
    together = visualizer.rank(QUERY, DOCUMENTS)
    for document, value in zip(DOCUMENTS, together.values, strict=True):
        assert visualizer.rank(QUERY, [document]).values[0] == pytest.approx(value, abs=1e-5)
        assert visualizer.predict((QUERY, document)).values[0] == pytest.approx(value, abs=1e-5)
    many = visualizer.predict([(QUERY, DOCUMENTS), (QUERY, DOCUMENTS[:2])])
    np.testing.assert_allclose(many[1].values, together.values[:2], atol=1e-5)


def test_documents_of_one_length_share_a_forward_pass():
    visualizer = reranker("bert")
    shapes = forwards_of(visualizer.model, lambda: visualizer.rank(QUERY, DOCUMENTS))
    lengths = [len(tokenize(visualizer.tokenizer, QUERY, document)[0]) for document in DOCUMENTS]
    assert sorted(shapes) == sorted((lengths.count(length), length) for length in set(lengths))


@pytest.mark.parametrize(
    ("stated", "activation"),
    [
        ({"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}, "identity"),
        ({"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"}}, "sigmoid"),
        ({"sbert_ce_default_activation_function": "torch.nn.modules.activation.Tanh"}, "tanh"),
        ({"sbert_ce_default_activation_function": None}, "sigmoid"),
        ({"sentence_transformers": {"version": "4.1.0"}}, "sigmoid"),
        ({}, "sigmoid"),
    ],
)
def test_scores_are_made_by_the_activation_that_the_config_names(stated, activation):
    model = tiny_models.fresh("bert", num_labels=1)
    for key, value in stated.items():
        setattr(model.config, key, value)
    visualizer = RerankerVisualizer(model=model, tokenizer=tiny_models.tokenizer_of("bert"))
    logits = np.array([logits_by_hand(visualizer, document)[0] for document in DOCUMENTS])
    choices = visualizer.rank(QUERY, DOCUMENTS)
    assert visualizer.activation == activation
    if activation == "sigmoid":
        np.testing.assert_allclose(choices.probabilities, 1 / (1 + np.exp(-logits)), rtol=1e-5)
        np.testing.assert_allclose(choices.values, logits, rtol=1e-4)
        assert choices.quantity == "logit"
    else:
        expected = logits if activation == "identity" else np.tanh(logits)
        np.testing.assert_allclose(choices.values, expected, rtol=1e-4)
        assert (choices.quantity, choices.probabilities) == ("score", None)


def test_the_order_is_that_of_the_logits_where_a_sigmoid_saturates():
    model = tiny_models.fresh("bert", num_labels=1)
    with torch.no_grad():
        model.classifier.bias.fill_(60.0)
    visualizer = RerankerVisualizer(model=model, tokenizer=tiny_models.tokenizer_of("bert"))
    logits = [logits_by_hand(visualizer, document)[0] for document in DOCUMENTS]
    choices = visualizer.rank(QUERY, DOCUMENTS)
    assert set(choices.probabilities.tolist()) == {1.0}
    assert choices.ranking == tuple(np.argsort(-np.array(logits)))


def test_an_activation_that_is_not_known_is_said():
    model = tiny_models.fresh("bert", num_labels=1)
    model.config.sentence_transformers = {"activation_fn": "someone.elses.Activation"}
    visualizer = RerankerVisualizer(model=model, tokenizer=tiny_models.tokenizer_of("bert"))
    found = visualizer.compute_saliency((QUERY, DOCUMENTS[0]), method="saliency")
    assert found.provenance.cautions == (
        "The checkpoint names the activation someone.elses.Activation, which is not known here: scores are "
        "made by a sigmoid. Their order is that of the logits.",
    )
    chosen = RerankerVisualizer(
        model=model, tokenizer=tiny_models.tokenizer_of("bert"), activation="identity"
    )
    found = chosen.compute_saliency((QUERY, DOCUMENTS[0]), method="saliency")
    assert (chosen.activation, found.provenance.cautions) == ("identity", ())


def test_the_relevant_class_is_found_by_its_name_or_said():
    model = tiny_models.fresh("bert", num_labels=2)
    tokenizer = tiny_models.tokenizer_of("bert")
    plain = RerankerVisualizer(model=model, tokenizer=tokenizer)
    assert plain.relevant == 1
    (caution,) = plain.compute_saliency((QUERY, DOCUMENTS[0]), method="saliency").provenance.cautions
    assert caution.startswith("No class is called relevant: 'LABEL_1' is taken for it.")
    first = RerankerVisualizer(model=model, tokenizer=tokenizer, relevant="LABEL_0")
    np.testing.assert_allclose(
        first.rank(QUERY, DOCUMENTS).values, -plain.rank(QUERY, DOCUMENTS).values, atol=1e-6
    )
    named = tiny_models.fresh("bert", num_labels=2)
    named.config.id2label = {0: "Relevant", 1: "Not_Relevant"}
    named = RerankerVisualizer(model=named, tokenizer=tokenizer)
    assert named.relevant == 0
    assert named.compute_saliency((QUERY, DOCUMENTS[0]), method="saliency").provenance.cautions == ()


def test_a_report_has_a_verdict_and_comes_back_from_json():
    visualizer = reranker("bert")
    report = visualizer.analyze((QUERY, DOCUMENTS), show=False)
    verdict = next(each for each in report.evaluations if each.metric == "verdict")
    assert verdict.verdict in ("supported", "weak", "not supported")
    assert verdict.target == report.attributions[0].targets[0].description()
    again = result_from_json(report.to_json())
    assert again.answer.ranking == report.answer.ranking
    assert again.to_html() == report.to_html()


def test_a_document_is_named_by_its_text_or_place():
    visualizer = reranker("bert")
    by_text = visualizer.compute_saliency((QUERY, DOCUMENTS), target=DOCUMENTS[2], method="saliency")
    by_index = visualizer.compute_saliency((QUERY, DOCUMENTS), target=2, method="saliency")
    assert by_text.tokens.texts == by_index.tokens.texts == (QUERY, DOCUMENTS[2])
    assert np.array_equal(by_text.scores, by_index.scores)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda v: v.rank(QUERY, []), "The documents must be one text or more."),
        (lambda v: v.rank(QUERY, [3]), "The documents must be one text or more."),
        (lambda v: v.predict(QUERY), "The input is no query with documents"),
        (lambda v: v.rank(QUERY, ["a", ""]), "One of the documents is empty: documents[1]."),
        (
            lambda v: v.compute_saliency((QUERY, DOCUMENTS), quantity="prob"),
            "A reranker with one output has no 'prob'",
        ),
        (lambda v: v.compute_saliency((QUERY, DOCUMENTS), against=1), "against=1 is not possible"),
        (lambda v: v.compute_saliency((QUERY, DOCUMENTS), target="cat"), "'cat' is none of the documents"),
        (lambda v: reranker("bert", activation="relu"), "Unknown activation 'relu'"),
        (lambda v: reranker("bert", 2, relevant="yes"), "Unknown label 'yes'"),
    ],
)
def test_what_cannot_be_ranked_is_refused(call, message):
    with pytest.raises(InputError) as caught:
        call(reranker("bert"))
    assert str(caught.value).startswith(message)


def test_more_than_two_classes_are_refused_with_what_explains_them():
    with pytest.raises(UnsupportedModelError) as caught:
        reranker("bert", 3)
    assert str(caught.value) == (
        "BertForSequenceClassification has 3 classes; a reranker has one output, or two for not relevant "
        "and relevant. Use ModelVisualizer for pairs of texts, or ZeroShotClassificationVisualizer for a "
        "model of entailment."
    )
