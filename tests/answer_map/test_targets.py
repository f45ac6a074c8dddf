"""A span of an answer, and why it was written and not something else."""

import numpy as np
import pytest
import torch
from tiny_models import visualizer_of

from answer_map.test_removal import ANSWER, DOCUMENTS, QUESTION, model_of, start_of
from model_understanding import AnswerMap, InputError, StoppedError
from model_understanding.show.views.answer_map import answer_map_view


def margins(model, answers, removed, others):
    """log p(token) − log p(other), or log p(token), of each token of the answer, with some tokens hidden."""
    from answer_map.test_removal import is_allowed

    ids = torch.tensor(answers.tokens.ids.copy())[None]
    count = ids.shape[1]
    mask = is_allowed(count)
    hidden = torch.zeros(count, count, dtype=torch.bool)
    hidden[start_of(answers) :, [int(each) for each in removed]] = True
    positions = torch.arange(count)[None]
    with torch.no_grad():
        logits = (
            model(input_ids=ids, attention_mask=(mask & ~hidden)[None, None], position_ids=positions)
            .logits[0]
            .double()
        )
    logs = logits.log_softmax(-1)
    steps = torch.arange(answers.prompt_length, count)
    values = logs[steps - 1, ids[0, steps]]
    for step, other in others.items():
        values[step] -= logs[steps[step] - 1, other]
    return values.numpy()


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_a_contrast_is_the_difference_of_log_probabilities_after_the_same_tokens(name):
    model = model_of(name)
    visualizer = visualizer_of(name, model=model)
    options = {"question": QUESTION, "documents": DOCUMENTS, "answer": ANSWER}
    plain = visualizer.map_answer(**options)
    answers = visualizer.map_answer(**options, span="Paris", against="runner-up")
    (statement,) = answers.statements
    assert statement.text == "Paris"
    assert [value.text for value in statement.values] == ["Paris"]
    steps = range(statement.first, statement.last)
    assert len(answers.against) == len(steps)
    assert np.allclose(answers.log_probs, plain.log_probs, atol=1e-5)
    ids, tokens = torch.tensor(answers.tokens.ids.copy())[None], answers.tokens
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0]
    others = {}
    for step in steps:
        row = logits[answers.prompt_length + step - 1].clone()
        row[int(tokens.ids[answers.prompt_length + step])] = -torch.inf
        others[step] = int(row.argmax())
    before = margins(model, answers, [], others)
    for found, source in zip(answers.effects, answers.sources, strict=True):
        assert np.allclose(found, before - margins(model, answers, source.positions, others), atol=1e-4)
    everything = np.concatenate([source.positions for source in answers.sources])
    earlier = np.arange(answers.prompt_length, answers.prompt_length + statement.first)
    without_all = before - margins(model, answers, np.concatenate([everything, earlier]), others)
    expected = without_all[statement.first : statement.last].sum()
    assert np.isclose(statement.without_all, expected, atol=1e-4)
    assert any("Compared" in fact for fact in answer_map_view(answers).facts)
    again = AnswerMap.from_json(answers.to_json())
    assert again.against == answers.against


def test_a_span_is_one_statement_with_the_effects_of_the_whole():
    visualizer = visualizer_of("llama", model=model_of("llama"))
    options = {"question": QUESTION, "documents": DOCUMENTS, "answer": ANSWER}
    whole = visualizer.map_answer(**options)
    for span in ("not in Paris", (2, 5)):
        part = visualizer.map_answer(**options, span=span)
        (statement,) = part.statements
        assert np.array_equal(part.effects, whole.effects)
        assert statement.without_sources == pytest.approx(
            whole.without_sources[statement.first : statement.last].sum(), abs=1e-4
        )
    with pytest.raises(InputError, match="'Berlin' does not occur in the answer"):
        visualizer.map_answer(**options, span="Berlin")
    with pytest.raises(InputError, match="Expected a contrast token for each"):
        visualizer.map_answer(**options, against="a b")


def test_models_without_a_cache_take_contrasts_too():
    model = model_of("mamba")
    visualizer = visualizer_of("mamba", model=model)
    options = {"question": QUESTION, "documents": DOCUMENTS, "answer": ANSWER}
    answers = visualizer.map_answer(**options, span="Paris", against="runner-up")
    plain = visualizer.map_answer(**options)
    assert answers.removal == "deleted"
    assert np.allclose(answers.log_probs, plain.log_probs, atol=1e-5)
    assert not np.allclose(answers.effects, plain.effects)


def test_progress_names_each_step_with_its_positions_and_stops_the_run():
    visualizer = visualizer_of("llama", model=model_of("llama"))
    options = {"question": QUESTION, "documents": DOCUMENTS, "answer": ANSWER}
    seen, first = [], []
    answers = visualizer.map_answer(
        **options, progress=lambda done, total, part: seen.append((part, done, total))
    )
    visualizer.map_answer(**options, progress=lambda done, total: first.append((done, total)))
    documents = [each[1:] for each in seen if each[0] == "Measuring the documents"]
    assert documents == first
    rows = len(answers.tokens) - 1 - start_of(answers)
    assert documents[0] == (0, (len(answers.sources) + 1) * rows)
    for part in dict.fromkeys(part for part, *_ in seen):
        runs = [(done, total) for name, done, total in seen if name == part]
        assert all(0 <= done <= total for done, total in runs)
    with pytest.raises(StoppedError):
        visualizer.map_answer(**options, progress=lambda done, total: done == 0)
