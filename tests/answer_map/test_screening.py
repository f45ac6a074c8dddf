"""Sentences of long documents: estimated to first order, and only the strongest removed by themselves."""

import numpy as np
import pytest
import torch
from pass_counts import counted
from tiny_models import visualizer_of

from answer_map.test_removal import is_allowed, model_of, start_of
from model_understanding.answer_map.first_order import first_order_effects
from model_understanding.answer_map.removal import HiddenTokens
from model_understanding.answer_map.shortlist import groups_of, shortlist

DOCUMENTS = ["The film was wonderful. The actors were brilliant.", "A dull plot. I would not call it bad!"]
ANSWER = "The plot was dull, and it was not in Paris."


def hidden_of(name, attention="sdpa"):
    model = model_of(name)
    model.set_attn_implementation(attention)
    visualizer = visualizer_of(name, model=model)
    answers = visualizer.map_answer(question="What?", documents=DOCUMENTS, answer=ANSWER)
    encoding = visualizer.runner.model.encode(answers.tokens, prompt_length=answers.prompt_length)
    hidden = HiddenTokens(visualizer.runner.model, encoding, start_of(answers))
    assert hidden.prepare()
    return model, answers, hidden


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt-neox", "mixtral", "opt"])
def test_the_first_order_is_the_gradient_of_what_is_added_to_the_scores(name, attention):
    model, answers, hidden = hidden_of(name, attention)
    spans = [(0, 3), (2, len(answers.log_probs))]
    found = first_order_effects(hidden, spans)
    assert found is not None
    ids = torch.tensor(answers.tokens.ids.copy())[None]
    count = ids.shape[1]
    gates = torch.zeros(count, requires_grad=True)
    mask = torch.zeros(count, count).masked_fill(~is_allowed(count), torch.finfo(torch.float32).min)
    is_again = torch.arange(count)[:, None] >= hidden.start
    mask = mask + torch.where(is_again, gates, torch.zeros(()))
    positions = torch.arange(count)[None]
    logits = model(input_ids=ids, attention_mask=mask[None, None], position_ids=positions).logits[0]
    steps = torch.arange(answers.prompt_length, count)
    logs = logits.log_softmax(-1)[steps - 1, ids[0, steps]]
    for row, (first, last) in zip(found, spans, strict=True):
        (expected,) = torch.autograd.grad(logs[first:last].sum(), gates, retain_graph=True)
        assert np.abs(row).max() > 1e-3
        assert np.allclose(row, expected.numpy(), atol=2e-4 * np.abs(row).max() + 1e-6)


def long_documents(sentences, count=3):
    words = ["red", "blue", "green", "dull", "bad", "wonderful", "brilliant"]
    return [" ".join(f"It was {words[(i + k) % 7]}." for i in range(sentences)) for k in range(count)]


@pytest.mark.parametrize(("name", "limit"), [("llama", 6), ("mamba", 6)])
def test_of_many_sentences_those_with_the_largest_estimates_are_removed(name, limit, monkeypatch):
    monkeypatch.setattr("model_understanding.answer_map.screening.MOST_SENTENCES", limit)
    visualizer = visualizer_of(name, model=model_of(name))
    options = {"question": "What?", "documents": long_documents(8), "answer": "It was dull."}
    answers = visualizer.map_answer(**options)
    assert answers.removal == ("hidden" if name == "llama" else "deleted")
    assert limit <= int(answers.is_sentence_removed.sum()) < 16
    assert not (answers.is_sentence_removed & answers.is_sentence_screened).any()
    effects = answers.statement_effects()[0]
    chosen = np.argsort(-effects, kind="stable")[:2]
    rows = [row for source in chosen for row in answers.sentence_rows(int(source))]
    if name == "llama":  # the first order has all sentences, and the largest of the candidates are removed
        assert (answers.is_sentence_removed | answers.is_sentence_screened).all()
        estimates = answers.screened_effects[0]
        best = max(rows, key=lambda row: estimates[row])
        assert answers.is_sentence_removed[best]
    else:
        has = answers.is_sentence_removed | answers.is_sentence_screened
        assert sorted(np.flatnonzero(has)) == sorted(rows)
        for source in chosen:  # the shares of a source's groups are the effect of the groups
            assert answers.screened_effects[0, answers.sentence_rows(int(source))].any()
    table = answers.to_dataframe()
    screened = table[table.screened.notna()]
    assert len(screened) == int(answers.is_sentence_screened.sum())
    assert screened.effect.isna().all()


def test_the_cost_of_a_screen_grows_with_the_square_root_of_the_sentences(monkeypatch):
    monkeypatch.setattr("model_understanding.answer_map.screening.MOST_SENTENCES", 4)
    costs = []
    for sentences in (6, 14):
        model = model_of("llama")
        visualizer, parts = visualizer_of("llama", model=model), {}

        def follow(done, total, part, parts=parts):
            parts.setdefault(part, []).append((done, total))

        documents = long_documents(sentences, 2)
        options = {"question": "What?", "documents": documents, "answer": "It was dull."}
        visualizer.map_answer(**options)
        with counted(model) as counts:
            answers = visualizer.map_answer(**options, progress=follow)
        rows = len(answers.tokens) - 1 - start_of(answers)
        screen = parts["Screening their sentences"]
        values = len(answers.statements[0].values)
        assert screen[-1] == (2 * (1 + values) * rows,) * 2
        totals = {part: sum(total for done, total in runs if done == total) for part, runs in parts.items()}
        forward = sum(totals.values()) - screen[-1][1] // 2
        # The text is run once, and once more in two parts; recomputed blocks are no passes of the model.
        assert counts["positions"] == forward + len(answers.tokens) - 1 + rows
        costs.append(totals["Measuring their sentences"] // rows)
    # Four sentences, the others in groups, and the halves of the one with the largest effect.
    assert costs[0] <= 4 + 3 + 2 * 2
    assert costs[1] <= 4 + 5 + 2 * 3


def test_without_attention_that_is_found_groups_of_neighbors_are_hidden(monkeypatch):
    monkeypatch.setattr("model_understanding.answer_map.screening.MOST_SENTENCES", 4)
    monkeypatch.setattr("model_understanding.answer_map.screening.first_order_effects", lambda *_: None)
    visualizer = visualizer_of("llama", model=model_of("llama"))
    answers = visualizer.map_answer(question="What?", documents=long_documents(6, 2), answer="It was dull.")
    removed = int(answers.is_sentence_removed.sum())
    assert 4 <= removed < 12
    assert int(answers.is_sentence_screened.sum()) == 12 - removed


def test_groups_and_shortlists():
    assert groups_of([5, 1]) == [[0, 1, 2], [3, 4], [5]]
    estimates = np.array([[5.0, 4.0, 3.0, 2.0, 1.0], [0.0, 0.0, 0.1, 0.0, 9.0]])
    assert shortlist(estimates, 2) == [0, 4]
    assert shortlist(estimates, 3) in ([0, 1, 4], [0, 2, 4])
    assert shortlist(estimates, 9) == [0, 1, 2, 3, 4]


def test_a_learned_sink_competes_with_the_gated_scores():
    _, answers, hidden = hidden_of("gpt-oss", "eager")
    span = (0, len(answers.log_probs))
    (found,) = first_order_effects(hidden, [span])
    sentences = [sentence.positions for source in answers.sources for sentence in source.sentences]
    removed = np.zeros((len(sentences), len(answers.tokens)), dtype=bool)
    for row, positions in zip(removed, sentences, strict=True):
        row[positions] = True
    exact = (hidden.values - hidden.without(removed)).sum(1)
    assert np.corrcoef(exact, [found[positions].sum() for positions in sentences])[0, 1] > 0.9
