"""What an answer map measures, against full passes of the model in plain torch."""

import numpy as np
import pytest
import tiny_seq2seq
import tiny_tokenizers
import torch
from length_dependent import longrope
from pass_counts import counted
from tiny_models import BY_NAME, fresh, visualizer_of

from model_understanding import GenerativeModelVisualizer, Seq2SeqVisualizer, UnsupportedModelError
from model_understanding.answer_map.removal import DeletedTokens, HiddenTokens, hides_on_cache

DOCUMENTS = [
    "The film was wonderful. The actors were brilliant.",
    {"title": "plot.txt", "text": "A dull plot. I would not call it bad!"},
    "The capital of France is Paris.",
]
ANSWER = "The plot was dull, and it was not in Paris. It was in Rome."
QUESTION = "What was bad?"
WINDOW = 48  # of the models that have one


def model_of(name, **changes):
    options = BY_NAME[name].options
    length = next((each for each in ("n_positions", "max_position_embeddings") if each in options), None)
    window = {"sliding_window": WINDOW} if "sliding_window" in options else {}
    return fresh(name, **({length: 512} if length else {}), **window, **changes)


def mapped(name, model=None, **changes):
    model = model or model_of(name)
    visualizer = visualizer_of(name, model=model)
    return visualizer, visualizer.map_answer(
        **{"question": QUESTION, "documents": DOCUMENTS, "answer": ANSWER, **changes}
    )


def is_allowed(count, window=None):
    """The causal mask of so many positions, row by column."""
    rows, columns = torch.arange(count)[:, None], torch.arange(count)[None]
    allowed = columns <= rows
    return allowed if window is None else allowed & (columns > rows - window)


def by_hand(model, answers, removed, start):
    """Log-probabilities of the answer in one full pass under a four-dimensional mask."""
    ids = torch.tensor(answers.tokens.ids.copy())[None]
    count = ids.shape[1]
    hidden = torch.zeros(count, count, dtype=torch.bool)
    hidden[start:, [int(each) for each in removed]] = True
    full = is_allowed(count) & ~hidden
    kinds = set(getattr(model.config, "layer_types", None) or ["full_attention"])
    masks = {
        kind: full & is_allowed(count, WINDOW if kind == "sliding_attention" else None) for kind in kinds
    }
    if model.config.model_type == "mistral":
        mask = (full & is_allowed(count, WINDOW))[None, None]
    elif len(kinds) > 1:
        mask = {kind: each[None, None] for kind, each in masks.items()}
    else:
        mask = full[None, None]
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask, position_ids=torch.arange(count)[None]).logits[0]
    logs = logits.double().log_softmax(-1)
    steps = torch.arange(answers.prompt_length, count)
    return logs[steps - 1, ids[0, steps]].numpy()


def start_of(answers):
    last = max(int(source.positions.max()) for source in answers.sources)
    return min(last + 1, answers.prompt_length - 1)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3", "mistral", "gpt-neox", "mixtral"])
def test_hiding_is_a_mask_over_all_rows_after_the_sources(name):
    model = model_of(name)
    _, answers = mapped(name, model)
    assert answers.removal == "hidden"
    start = start_of(answers)
    plain = by_hand(model, answers, [], start)
    assert np.allclose(answers.log_probs, plain, atol=1e-4)
    everything = np.concatenate([source.positions for source in answers.sources])
    for found, removed in [
        *zip(answers.effects, [source.positions for source in answers.sources], strict=True),
        (answers.without_sources, everything),
    ]:
        assert np.allclose(found, plain - by_hand(model, answers, removed, start), atol=1e-4)
    assert np.abs(answers.effects).max() > 0.02
    sentences = [sentence.positions for source in answers.sources for sentence in source.sentences]
    for row, removed in enumerate(sentences):
        if answers.is_sentence_removed[row]:
            expected = plain - by_hand(model, answers, removed, start)
            assert np.allclose(answers.sentence_effects[row], expected, atol=1e-4)
        else:
            assert not answers.sentence_effects[row].any()


@pytest.mark.parametrize("name", ["llama", "gemma3"])
def test_an_earlier_statement_is_hidden_from_what_follows_it(name):
    model = model_of(name)
    _, answers = mapped(name, model)
    start = start_of(answers)
    first, second, third = answers.statements
    plain = by_hand(model, answers, [], start)
    part = np.arange(answers.prompt_length + first.first, answers.prompt_length + first.last)

    def effect(removed, statement):
        values = plain - by_hand(model, answers, removed, start)
        return values[statement.first : statement.last].sum()

    assert second.earlier == 0
    assert np.isclose(second.earlier_effect, effect(part, second), atol=1e-4)
    everything = np.concatenate([source.positions for source in answers.sources])
    before = np.arange(answers.prompt_length, answers.prompt_length + second.last)
    assert np.isclose(third.without_all, effect(np.concatenate([everything, before]), third), atol=1e-4)
    strongest = answers.sources[int(answers.statement_effects()[1].argmax())].positions
    assert np.isclose(second.joint_effect, effect(np.concatenate([part, strongest]), second), atol=1e-4)


def deletions_of(visualizer, answers):
    """Deletions of a text whose positions are cached where its model can hide them."""
    model = visualizer.runner.model
    encoding = model.encode(answers.tokens, prompt_length=answers.prompt_length)
    hidden = HiddenTokens(model, encoding, start_of(answers))
    return DeletedTokens(model, encoding, hidden if hidden.prepare() else None)


def without(answers, positions):
    removed = np.zeros((1, len(answers.tokens)), dtype=bool)
    removed[0, positions] = True
    return removed


def by_hand_without(model, answers, positions, values):
    """Log-probabilities of the answer in a pass over the tokens that are left; others as they were."""
    kept = np.setdiff1d(np.arange(len(answers.tokens)), positions)
    ids = torch.tensor(answers.tokens.ids[kept])[None]
    with torch.no_grad():
        logs = model(input_ids=ids).logits[0].double().log_softmax(-1)
    expected = values.copy()
    for line, position in enumerate(kept):
        if position >= answers.prompt_length:
            expected[position - answers.prompt_length] = logs[line - 1, ids[0, line]]
    return expected


@pytest.mark.parametrize("name", ["mamba", "llama", "gpt2", "gemma3", "mistral", "bloom", "gpt-oss"])
def test_deleting_is_a_pass_over_what_is_left(name):
    model = model_of(name)
    visualizer, answers = mapped(name, model)
    assert (answers.removal == "deleted") == (name in ("mamba", "bloom"))
    deleted = deletions_of(visualizer, answers)
    first = answers.statements[0]
    statement = np.arange(answers.prompt_length + first.first, answers.prompt_length + first.last)
    for positions in ([1], *[source.positions for source in answers.sources], statement):
        expected = by_hand_without(model, answers, positions, deleted.log_probs)
        assert np.allclose(deleted.without(without(answers, positions))[0], expected, atol=1e-4)
        if name == "mamba" and positions is not statement and len(positions) > 1:
            row = [int(source.positions[0]) for source in answers.sources].index(int(positions[0]))
            assert np.allclose(answers.effects[row], deleted.log_probs - expected, atol=1e-4)


@pytest.mark.parametrize(
    ("implementation", "saved"), [("sdpa", {2: 0, 100: 100}), ("eager", {2: 2, 100: 100})]
)
def test_a_deletion_after_few_positions_runs_them_too_where_attention_is_then_causal(implementation, saved):
    model = fresh("llama", implementation, max_position_embeddings=512)
    visualizer, answers = mapped("llama", model)
    deleted = deletions_of(visualizer, answers)
    for position, skipped in saved.items():
        removed = without(answers, [position])
        with counted(model) as counts:
            values = deleted.without(removed)[0]
        assert counts["positions"] == deleted.cost(removed) == len(answers.tokens) - 2 - skipped
        expected = by_hand_without(model, answers, [position], deleted.log_probs)
        assert np.allclose(values, expected, atol=1e-4)


def test_a_deletion_runs_in_full_where_frequencies_depend_on_the_length_of_the_text():
    documents = ["The film was dull.", "It was in Rome."]
    question = {"question": "What?", "documents": documents, "answer": "The film was dull."}
    tokenizer = tiny_tokenizers.gpt2_like()
    length = len(
        GenerativeModelVisualizer(model=longrope(1000, "Llama"), tokenizer=tokenizer)
        .map_answer(**question)
        .tokens
    )
    model = longrope(length - 3, "Llama")
    visualizer = GenerativeModelVisualizer(model=model, tokenizer=tokenizer)
    answers = visualizer.map_answer(**question)
    deleted = deletions_of(visualizer, answers)
    positions = answers.sources[1].positions  # without these the text is short
    expected = by_hand_without(model, answers, positions, deleted.log_probs)
    found = deleted.without(without(answers, positions))[0]
    assert np.allclose(found, expected, atol=1e-4)
    assert np.abs(found - deleted.log_probs).max() > 1e-3


def test_what_ignores_the_mask_is_not_hidden():
    model = model_of("llama")
    forward = model.forward

    def ignoring(*arguments, attention_mask=None, **options):
        return forward(*arguments, **options)

    model.forward = ignoring
    visualizer, answers = mapped("llama", model)
    assert not hides_on_cache(visualizer.runner.model)
    assert answers.removal == "deleted"
    assert "sources were deleted from the prompt" in answers.provenance.cautions[-1]


@pytest.mark.parametrize(("name", "changes"), [("bloom", {}), ("falcon", {"alibi": True})])
def test_where_masked_positions_do_not_count_tokens_are_deleted(name, changes):
    model = model_of(name, **changes)
    visualizer, answers = mapped(name, model)
    assert not hides_on_cache(visualizer.runner.model)
    assert answers.removal == "deleted"
    for source, found in zip(answers.sources, answers.effects, strict=True):
        expected = by_hand_without(model, answers, source.positions, answers.log_probs)
        assert np.allclose(found, answers.log_probs - expected, atol=1e-4)


def test_what_is_not_causal_is_refused():
    with pytest.raises(UnsupportedModelError, match="not a causal language model"):
        mapped("bert-as-language-model")


def test_passes_and_positions_are_those_of_the_steps():
    model = model_of("llama")
    visualizer = visualizer_of("llama", model=model)
    assert hides_on_cache(visualizer.runner.model)
    answers = visualizer.map_answer(question=QUESTION, documents=DOCUMENTS, answer="The plot was dull.")
    with counted(model) as counts:
        again = visualizer.map_answer(question=QUESTION, documents=DOCUMENTS, answer="The plot was dull.")
    assert np.array_equal(answers.effects, again.effects)
    total, start = len(answers.tokens) - 1, start_of(answers)
    (statement,) = answers.statements
    kinds = {len(answers.sources), int(answers.is_sentence_removed.sum())}
    assert kinds == {3, 4} or kinds == {3}
    removed = len(answers.sources) + 1 + int(answers.is_sentence_removed.sum())
    singles = sum(  # a source of one sentence is not removed twice
        len(source.sentences) == 1 and bool(answers.is_sentence_removed[answers.sentence_rows(i)[0]])
        for i, source in enumerate(answers.sources)
    )
    deleted = [
        (
            answers.sources[part.source].sentences[part.sentence]
            if part.sentence is not None
            else answers.sources[part.source]
        ).positions
        for part in statement.sources
    ]
    controls = counts["positions"] - total - (1 + removed - singles) * (total - start)
    controls -= sum(total - int(positions.min()) - len(positions) for positions in deleted)
    assert controls % (total - start) == 0
    assert 0 <= controls // (total - start) <= 3 * len(statement.values)


def test_half_precision_hides_too():
    model = model_of("llama").to(torch.bfloat16)
    _, answers = mapped("llama", model)
    _, exact = mapped("llama")
    assert answers.removal == "hidden"
    assert np.abs(answers.effects - exact.effects).max() < 0.5


def test_an_encoder_is_refused():
    visualizer = Seq2SeqVisualizer(model=tiny_seq2seq.build("t5"), tokenizer=tiny_seq2seq.tokenizer_of("t5"))
    with pytest.raises(UnsupportedModelError, match="an answer map is of one"):
        visualizer.map_answer(question="Why?", documents=["The film was dull."])


def test_a_source_without_other_text_has_no_control_and_that_is_said():
    _, answers = mapped("llama", documents=["The plot was dull in Rome."])
    assert all(value.control == 0 for statement in answers.statements for value in statement.values)
    assert any("no other text to remove as a control" in caution for caution in answers.provenance.cautions)
