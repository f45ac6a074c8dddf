"""Words put into texts, and what the model then answers, beside control words in the same places."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_models
import tiny_tokenizers
import torch
from pass_counts import forwards_of

from model_understanding import InputError, ModelVisualizer, explain_dataset
from model_understanding.dataset.summary.candidates import choose_candidates, placed_phrases, placed_words
from model_understanding.dataset.summary.causal_test import Place, Trial, corrected, effect_of, outcomes_of
from model_understanding.dataset.summary.insertion import boundaries_of, with_inserted, with_replaced
from model_understanding.dataset.summary.reading import StoredRow, StoredRows
from model_understanding.dataset.summary.shortcuts import find_shortcuts, most_forward_passes
from model_understanding.dataset.summary.words import phrases_of
from model_understanding.text.tokenization import tokenize

TOKENIZERS = {
    "wordpiece": tiny_tokenizers.wordpiece,
    "roberta": tiny_tokenizers.roberta_like,
    "gpt2": tiny_tokenizers.gpt2_like,
    "llama": tiny_tokenizers.llama_like,
    "llama2": tiny_tokenizers.llama2_like,
    "xlmr": tiny_tokenizers.xlmr_like,
    "xlnet": tiny_tokenizers.xlnet_like,
}
WORDS = "the plot of this film was good bad long and but a story no not actor".split()  # noqa: SIM905


def row(text, scores=None, *, prediction="a", pair=None, label=None, number=0, tokenizer=None):
    """Return a row as a run stores it, with words as the tokenizer gives them."""
    tokens, _ = tokenize(tokenizer or tiny_tokenizers.wordpiece(), text, pair)
    groups = [group for group in tokens.groups("word") if not tokens.special[group[0]]]
    words = tokens.fold(groups)
    return StoredRow(
        row=number,
        id=str(number),
        text=text,
        pair=pair,
        label=label,
        prediction=prediction,
        explained=prediction,
        probabilities=np.array([0.9, 0.1] if prediction == "a" else [0.1, 0.9], dtype=np.float32),
        words=list(words.surfaces()),
        word_offsets=words.offsets,
        word_segments=words.segments,
        word_scores=np.ones(len(words), np.float32) if scores is None else np.array(scores, np.float32),
    )


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("text", ["a good film", ' "Well-known", they\nsaid.  ', "no"])
def test_a_word_goes_between_words_and_changes_none(tokenizer, text):
    given = row(text, tokenizer=TOKENIZERS[tokenizer]())
    parts = placed_words(given)
    boundaries = boundaries_of(text, [part.outer for part in parts])
    results = [with_inserted(text, place, "plot").split() for place in boundaries]
    words = text.split()
    assert results == [[*words[:place], "plot", *words[place:]] for place in range(len(words) + 1)]


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_words_are_counted_without_case_and_punctuation_whatever_the_tokenizer_cuts(tokenizer):
    text = "The plot, the PLOT (plot) … !"
    given = row(text, tokenizer=TOKENIZERS[tokenizer]())
    parts = placed_words(given)
    assert [part.key for part in parts if part.key.isalpha()] == ["the", "plot", "the", "plot", "plot"]
    assert [text[slice(*part.span)].lower() for part in parts] == [part.key for part in parts]
    assert {"…", "!"} <= {part.key for part in parts}


@pytest.mark.parametrize(
    ("text", "word", "expected"),
    [
        ("电影好", "坏", {"坏电影好", "电坏影好", "电影坏好", "电影好坏"}),
        ("好 film", "bad", {"bad 好 film", "好 bad film", "好 film bad"}),
        ("หนัง", "ดี", {"ดีหนัง", "หดีนัง", "หนัดีง", "หนังดี"}),
        ("좋은 영화", "매우", {"매우 좋은 영화", "좋은 매우 영화", "좋은 영화 매우"}),
    ],
)
def test_where_words_have_no_spaces_between_them_none_are_added(text, word, expected):
    tokens, _ = tokenize(tiny_tokenizers.gpt2_like(), text)
    words = tokens.fold(tokens.groups("word"))
    given = StoredRow(
        row=0,
        id="0",
        text=text,
        words=words.surfaces(),
        word_offsets=words.offsets,
        word_segments=words.segments,
        word_scores=np.ones(len(words), np.float32),
    )
    boundaries = boundaries_of(text, [part.outer for part in placed_words(given)])
    assert {with_inserted(text, place, word) for place in boundaries} == expected


def test_a_phrase_is_two_words_with_nothing_between_them():
    given = row("good film, bad plot")
    phrases = [given.text[slice(*part.span)] for part in placed_phrases(given, placed_words(given))]
    assert phrases == ["good film", "bad plot"]
    pair = row("good film", pair="bad plot")
    assert len(list(placed_phrases(pair, placed_words(pair)))) == 2  # none across both texts


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize(
    "text", ["It was good, the end. (Really bad) 'not  good'... so-so\n\nall", "好的电影。很好 a b"]
)
def test_phrases_that_are_tested_are_those_that_are_counted(tokenizer, text):
    given = row(text, pair="bad plot", tokenizer=TOKENIZERS[tokenizer]())
    counted = [phrase.key for phrase in phrases_of(given, signed=True) if phrase.words == 2]
    assert [phrase.key for phrase in placed_phrases(given, placed_words(given))] == counted


def test_of_a_pair_one_text_is_changed_and_the_other_stays():
    given = row("good film", pair="bad plot")
    place = Place(0, given)
    seen = set()
    for seed in range(20):
        boundary = place.boundary(np.random.default_rng(seed))
        changed = place.inserted(("long", "story"), boundary)
        start, end = place.span("long", boundary)
        assert changed[0][boundary.segment][start:end] == "long"
        (first, second), (other_first, other_second) = changed
        assert (first.replace("long", "story"), second.replace("long", "story")) == (
            other_first,
            other_second,
        )
        assert (first == "good film") != (second == "bad plot")
        seen.add(first == "good film")
    assert seen == {True, False}
    assert place.swapped(("long",), place.words[3]) == (("good film", "bad long"),)
    assert with_replaced("a dull film.", (2, 6), "fine") == "a fine film."


def logits_by_hand(explainer, texts):
    model, tokenizer = explainer.runner.model.module, explainer.tokenizer
    with torch.no_grad():
        return torch.cat([model(**tokenizer(text, return_tensors="pt")).logits for text in texts]).double()


@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2-classifier"])
def test_effects_are_those_that_the_model_itself_shows(name):
    explainer = tiny_models.visualizer_of(name)
    texts = [" ".join(np.random.default_rng(seed).choice(WORDS, 4)) for seed in range(30)]
    trials = [
        Trial(number, tuple(with_inserted(text, 0, word) for word in ("bad", "of", "story")))
        for number, text in enumerate(texts)
    ]
    outcomes = outcomes_of(
        explainer, [each for trial in trials for each in trial.variants], 1, lambda _: None
    )
    effect = effect_of(trials, outcomes, seed=0)
    logits = logits_by_hand(explainer, [each for trial in trials for each in trial.variants])
    flips = (logits.argmax(-1) == 1).reshape(30, 3).double()
    shifts = logits.log_softmax(-1)[:, 1].reshape(30, 3)
    assert (effect.trials, effect.control_trials) == (30, 60)
    assert (effect.flips, effect.control_flips) == (flips[:, 0].sum(), flips[:, 1:].sum())
    assert effect.difference == pytest.approx(float(flips[:, 0].mean() - flips[:, 1:].mean()))
    assert effect.shift == pytest.approx(float((shifts[:, 0] - shifts[:, 1:].mean(1)).mean()), rel=1e-4)
    assert effect.interval[0] < effect.difference < effect.interval[1]


def test_texts_that_the_model_cannot_read_do_not_count():
    trials = [Trial(number, (f"a{number}", f"b{number}")) for number in range(6)]
    outcome = SimpleNamespace(is_answer=True, log_probability=0.0)
    outcomes = {variant: outcome for trial in trials[1:] for variant in trial.variants}
    assert effect_of(trials, outcomes, 0).trials == 5
    assert effect_of(trials[:-1], outcomes, 0) is None  # four texts are no test


def test_no_flip_at_all_is_not_certain_to_be_none():
    outcome = SimpleNamespace(is_answer=False, log_probability=0.0)
    trials = [Trial(number, (f"a{number}", f"b{number}")) for number in range(50)]
    outcomes = {variant: outcome for trial in trials for variant in trial.variants}
    effect = effect_of(trials, outcomes, 0)
    assert (effect.difference, effect.p_value) == (0, 1)
    assert effect.interval[0] < 0 < effect.interval[1]


def test_p_values_are_corrected_for_the_candidates_that_were_tested():
    outcome = {True: SimpleNamespace(is_answer=True, log_probability=0.0)}
    outcome[False] = SimpleNamespace(is_answer=False, log_probability=-1.0)
    effects = []
    for flips in (3, 4):
        trials = [Trial(number, (f"a{number}", f"b{number}")) for number in range(10)]
        outcomes = {trial.variants[0]: outcome[trial.row < flips] for trial in trials}
        outcomes |= {trial.variants[1]: outcome[False] for trial in trials}
        effects.append(effect_of(trials, outcomes, 0))
    first, none, second = corrected([effects[0], None, effects[1]])
    assert none is None
    assert [first.p_value, second.p_value] == [1 / 8, 1 / 16]
    assert [first.adjusted, second.adjusted] == [1 / 8, 1 / 8]


def drawn_rows(count, rates, seed=0):
    """Return rows with answers a and b, and words in shares of the rows of each."""
    generator, rows = np.random.default_rng(seed), []
    for number in range(count):
        answer = "ab"[number % 2]
        words = ["the", *(word for word, shares in rates.items() if generator.random() < shares[number % 2])]
        scores = [rates.get(word, (0, 0, 1.0))[2] * generator.uniform(0.9, 1.1) for word in words]
        rows.append(row(" ".join(words), scores, prediction=answer, number=number))
    return rows


def members(of):
    return (int(of.probabilities.argmax()),)


def test_candidates_go_with_an_answer_and_support_it():
    rates = {
        "good": (0.6, 0.1, 3.0),
        "bad": (0.1, 0.6, 2.0),
        "plot": (0.3, 0.3, 9.0),  # goes with no answer
        "story": (0.6, 0.1, -3.0),  # goes with it, but opposes it
        "film": (0.4, 0.35, 1.0),
    }
    chosen = choose_candidates(drawn_rows(300, rates), members, ("a", "b"), 20, 2)
    assert [(each.key, each.answer) for each in chosen.candidates] == [("good", 0), ("bad", 1)]
    assert chosen.candidates[0].controls == ("film", "plot")  # the nearest in frequency


def test_a_phrase_is_a_candidate_where_neither_of_its_words_is():
    rows = []
    for number in range(400):
        answer = number % 2
        words = ["no plot" if answer else "plot no", "the film"]
        rows.append(row(" ".join(words), prediction="ab"[answer], number=number))
    chosen = choose_candidates(rows, members, ("a", "b"), 20, 2)
    found = {(each.key, each.answer) for each in chosen.candidates}
    assert found == {("plot no", 0), ("no the", 0), ("no plot", 1), ("plot the", 1)}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    generator = np.random.default_rng(0)
    texts = [" ".join(generator.choice(WORDS, generator.integers(3, 8))) for _ in range(240)]
    model = tiny_models.fresh("bert")
    explainer = tiny_models.visualizer_of("bert", model=model)
    with torch.no_grad():  # so that all classes are answers
        model.classifier.bias -= logits_by_hand(explainer, texts[:60]).mean(0).float()
    folder = tmp_path_factory.mktemp("run")
    explain_dataset(explainer, texts, folder, method="saliency", form="jsonl")
    return explainer, StoredRows(folder), model


def test_the_passes_are_those_that_are_stated_and_the_same_each_time(run):
    explainer, rows, model = run
    found: list = []
    sizes = {"candidates": 4, "texts": 10, "controls": 2}
    passes = forwards_of(model, lambda: found.append(find_shortcuts(explainer, rows, **sizes)))
    read = sum(shape[0] for shape in passes)
    assert 0 < read <= most_forward_passes(**sizes) == 4 * 10 * 3 * 2
    assert len(passes) < read / 2  # texts of one length share passes
    reports: list[tuple[int, int]] = []
    progress = find_shortcuts(explainer, list(rows), **sizes, progress=lambda *each: reports.append(each))
    assert progress == found[0]
    assert all(done <= total <= most_forward_passes(**sizes) for done, total in reports)
    assert find_shortcuts(explainer, rows, seed=1, **sizes) != found[0]


def test_what_is_found_is_described_by_all_rows(run):
    explainer, rows, _ = run
    found = find_shortcuts(explainer, rows, candidates=6, texts=20)
    assert found
    for shortcut in found:
        word, everything = shortcut.word, list(rows)
        scores = [
            score
            for each in everything
            if each.prediction == word.label
            for text, score in zip(each.words, each.word_scores, strict=True)
            if text == word.word
        ]
        if " " not in word.word:
            assert word.count == len(scores)
            assert word.effect == pytest.approx(np.mean(scores), rel=1e-5)
            assert word.spread == pytest.approx(np.std(scores, ddof=1), rel=1e-4)
            assert word.interval[0] < word.effect < word.interval[1]
        assert 3 <= len(shortcut.controls) <= 10
        assert shortcut.inserted.trials == 20
        by_row = {each.row: each for each in everything}
        assert len(shortcut.changes) == min(5, shortcut.inserted.flips)
        for change in shortcut.changes:
            given = by_row[change.row]
            assert given.prediction != word.label == change.answer
            assert change.text[change.start : change.end] == word.word
            without = change.text[: change.start].split() + change.text[change.end :].split()
            assert without == given.text.split()
            logits = logits_by_hand(explainer, [change.text])[0]
            assert explainer.predict("a").labels[int(logits.argmax())] == change.answer
            assert change.probability == pytest.approx(float(logits.softmax(-1).max()), rel=1e-4)
        if shortcut.confirmed:
            assert shortcut.inserted.interval[0] > 0
        assert word.label_precision is None
    order = [(not each.confirmed, -each.inserted.difference) for each in found]
    assert order == sorted(order)


def test_labels_tell_whom_a_word_misleads(run):
    explainer, rows, _ = run
    everything = list(rows)
    generator = np.random.default_rng(1)
    labels = explainer.predict("a").labels
    for each in everything:
        each.label = each.prediction if generator.random() < 0.8 else str(generator.choice(labels))
    found = find_shortcuts(explainer, everything, candidates=6, texts=10)
    assert found
    for shortcut in found:
        word, label = shortcut.word.word, shortcut.word.label
        having = [each for each in everything if f" {word} " in f" {each.text} "]
        others = [each for each in having if each.label != label]
        misled = sum(each.prediction == label for each in others)
        assert shortcut.misled == (len(others), misled)
        assert shortcut.word.label_precision == pytest.approx(1 - len(others) / len(having))
        answered = sum(each.prediction == label for each in having)
        assert shortcut.word.answer_share == pytest.approx(answered / len(having))
        by_row = {each.row: each for each in everything}
        assert all(by_row[number].label != label for number in shortcut.examples)


def test_models_without_classes_are_refused(run):
    _, rows, _ = run
    regression = tiny_models.visualizer_of("bert", model=tiny_models.fresh("bert", num_labels=1))
    with pytest.raises(InputError, match="a regression"):
        find_shortcuts(regression, rows)
    with pytest.raises(InputError, match="causal-lm"):
        find_shortcuts(tiny_models.visualizer_of("gpt2"), rows)


def test_rows_with_one_answer_are_refused(run):
    explainer, rows, _ = run
    first = next(iter(rows)).prediction
    with pytest.raises(InputError, match="1 class"):
        find_shortcuts(explainer, [each for each in rows if each.prediction == first])
    with pytest.raises(InputError, match="no class"):
        find_shortcuts(explainer, [])


def test_several_labels_flip_by_themselves():
    explainer = ModelVisualizer(
        model=tiny_models.fresh("bert", problem_type="multi_label_classification"),
        tokenizer=tiny_models.tokenizer_of("bert"),
    )
    text = "good film"
    outcomes = outcomes_of(explainer, [text], 1, lambda _: None)
    logit = logits_by_hand(explainer, [text])[0, 1]
    assert outcomes[text].is_answer == (logit >= 0)
    assert outcomes[text].log_probability == pytest.approx(float(logit.sigmoid().log()), rel=1e-4)


def test_why_candidates_have_no_test_is_said(run):
    """Each word goes with an answer, so none is a control word."""
    explainer, _, _ = run
    labels = [explainer.runner.model.config.id2label[index] for index in range(3)]

    def given(number):
        answer, word = number % 2, ("bad", "good")[number % 2]
        chances = np.eye(3, dtype=np.float32)[answer]
        made = row(f"{word} " * (1 + number // 2), number=number, prediction=labels[answer])
        return replace(made, probabilities=chances)

    rows = [given(number) for number in range(48)]
    with pytest.raises(InputError, match="no other word that is in enough rows") as caught:
        find_shortcuts(explainer, rows)
    assert f"“bad” ({labels[0]})" in str(caught.value)
    assert f"“good” ({labels[1]})" in str(caught.value)
