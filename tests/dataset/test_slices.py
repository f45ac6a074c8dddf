"""Error slices of rows whose words and scores are given: which are found, their names and their counts."""

from dataclasses import replace
from math import comb, log

import numpy as np
import pytest

from model_understanding.dataset.summary.reading import StoredRow
from model_understanding.dataset.summary.slices import find_slices, mattering
from model_understanding.statistics import log_overlap_probability, log_stratified_overlap_probability

LABELS = ("bad", "good", "other")
FILLER = tuple(f"filler{number}" for number in range(30))


def row(number, label, prediction, scores, probability=0.95, **fields):
    """Return a row whose words are given with their scores."""
    words = [word for word, _ in scores]
    rest = (1 - probability) / (len(LABELS) - 1)
    return StoredRow(
        row=number,
        id=str(number),
        text=fields.pop("text", f"{number} {' '.join(words)}"),
        label=label,
        prediction=prediction,
        explained=fields.pop("explained", prediction),
        probabilities=np.array([probability if name == prediction else rest for name in LABELS], np.float32),
        words=words,
        word_offsets=np.zeros((len(words), 2), np.int32),
        word_segments=np.zeros(len(words), np.int8),
        word_scores=np.array([score for _, score in scores], np.float32),
        **fields,
    )


def drawn(seed, count, cause, sign=1):
    """Return rows of two classes; in those for which ``cause`` returns words, these decide, wrongly.

    Args:
        seed: Of the words.
        count: How many rows.
        cause: Takes a row's label and filler words; returns the words that make the answer wrong.
        sign: Sign of the scores of the class's own word in errors, which opposes the answer.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        label = ("bad", "good")[number % 2]
        words = list(generator.choice(FILLER, 6, replace=False))
        causes = cause(label, words)
        wrong = bool(causes) or generator.random() < 0.04
        prediction = ("bad", "good")[(number + wrong) % 2]
        scores = [(word, 0.9 if word in causes else 0.1 * generator.random()) for word in words]
        scores.append((f"{label}word{number % 10}", sign * 0.3 if causes else 0.6))
        rows.append(row(number, label, prediction, scores))
    return rows


def single(label, words):
    return [word for word in words if word == "filler3" and label == "good"]


def both(label, words):
    pair = {"filler4", "filler5"}
    return [word for word in words if word in pair] if label == "bad" and pair.issubset(words) else []


@pytest.mark.parametrize("sign", [1, -1], ids=["importances", "effects"])
def test_a_cue_word_and_a_pair_of_words_are_found_and_counted(sign):
    rows = drawn(0, 3000, lambda *given: single(*given) or both(*given), sign)
    slices, notes = find_slices(rows, LABELS)
    assert notes == ()
    assert [(each.label, each.prediction) for each in slices] == [("good", "bad"), ("bad", "good")]
    cue, pair = slices
    assert cue.words == ("filler3",)
    assert set(pair.words) == {"filler4", "filler5"}
    planted = {each.row for each in rows if each.label == "good" and "filler3" in each.words}
    assert cue.errors == len(planted & {each.row for each in rows if "filler3" in mattering(each)})
    by_number = {each.row: each for each in rows}
    for each, words in ((cue, {"filler3"}), (pair, {"filler4", "filler5"})):
        assert each.precision == each.errors / each.size > 0.9
        assert len(each.rows) == len(set(each.rows)) == 20
        for number in each.rows:
            found = by_number[number]
            assert words.issubset(found.words)
            assert (found.label, found.prediction) == (each.label, each.prediction)


def with_unseen(rows, word, is_wrong, share=0.1):
    """Return rows of which some have a word without a score; those for which ``is_wrong`` become errors."""
    generator, changed = np.random.default_rng(7), []
    for each in rows:
        if generator.random() > share:
            changed.append(each)
            continue
        wrong = {"bad": "good", "good": "bad"}[each.label]
        answer = wrong if is_wrong(each, generator) else each.prediction
        scores = [*zip(each.words, each.word_scores, strict=True), (word, 0.001)]
        changed.append(row(each.row, each.label, answer, scores))
    return changed


@pytest.mark.parametrize("labels", [("good",), ("good", "bad")])
def test_a_word_that_the_scores_do_not_see_is_found_by_its_presence(labels):
    rows = with_unseen(drawn(0, 1500, lambda *_: []), "Stadium", lambda each, _: each.label in labels)
    (found,), notes = find_slices(rows, LABELS)
    assert notes == ()
    assert (found.found_by, found.words) == ("presence", ("Stadium",))
    assert (found.label, found.prediction) == (("good", "bad") if labels == ("good",) else (None, None))
    planted = {one.row for one in rows if "Stadium" in one.words and one.label in labels}
    right = {one.row for one in rows if "Stadium" in one.words and one.label == one.prediction}
    assert (found.errors, found.size) == (len(planted), len(planted | right))
    assert planted.issuperset(found.rows)
    assert len(found.rows) == 20


def test_a_group_of_many_classes_needs_no_pair_of_classes():
    """Of 20 classes each mistake is another one: no right class and answer has five errors."""
    generator = np.random.default_rng(0)
    labels = [f"class{number}" for number in range(20)]
    rows = []
    for number in range(2000):
        label = labels[number % 20]
        words = [f"{label}word", *map(str, generator.choice(FILLER, 5))]
        is_planted = generator.random() < 0.03
        others = [other for other in labels if other != label]
        wrong = is_planted or generator.random() < 0.02
        prediction = str(generator.choice(others)) if wrong else label
        given = [(word, 0.1) for word in [*words, *(["stadium"] if is_planted else [])]]
        rows.append(replace(row(number, label, prediction, given), probabilities=None))
    (found,), _ = find_slices(rows, labels)
    planted = {each.row for each in rows if "stadium" in each.words}
    assert (found.words, found.label, found.prediction) == (("stadium",), None, None)
    assert (found.errors, found.size, found.precision) == (len(planted), len(planted), 1.0)


def test_what_scores_show_is_found_by_scores_and_only_once():
    """The word matters in nine of ten of its errors, and is there in all of them."""
    generator, rows = np.random.default_rng(0), []
    for number in range(1200):
        label = ("bad", "good")[number % 2]
        has_cue = generator.random() < 0.1
        wrong = has_cue and label == "good"
        words = [(str(word), 0.1) for word in generator.choice(FILLER, 6)]
        if has_cue:
            words.append(("cue", 0.9 if wrong and generator.random() < 0.9 else 0.01))
        rows.append(row(number, label, "bad" if wrong else label, words))
    (found,), _ = find_slices(rows, LABELS)
    assert (found.words, found.found_by) == (("cue",), "scores")


@pytest.mark.parametrize("seed", range(5))
def test_a_word_of_errors_whose_rows_are_mostly_right_is_no_reason(seed):
    """Of the rows with the word three in ten are wrong, of the others 4 %."""
    rows = with_unseen(
        drawn(seed, 3000, lambda *_: []), "but", lambda _, generator: generator.random() < 0.3, 0.3
    )
    assert find_slices(rows, LABELS).slices == ()


def test_rows_with_two_reasons_are_less_typical_of_either():
    def cause(label, words):
        return [word for word in words if label == "good" and word in ("filler3", "filler8")]

    rows = drawn(0, 3000, cause)
    slices, _ = find_slices(rows, LABELS)
    assert {each.words[0] for each in slices} == {"filler3", "filler8"}
    by_number = {each.row: set(each.words) for each in rows}
    assert any({"filler3", "filler8"} <= words for words in by_number.values())
    for each in slices:
        assert not any({"filler3", "filler8"} <= by_number[number] for number in each.rows)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rate", [0.04, 0.3])
def test_random_errors_have_no_slices(seed, rate):
    generator = np.random.default_rng(seed)
    rows = drawn(seed, 1000, lambda label, words: [])
    other = {"bad": "good", "good": "bad"}
    noisy = [replace(each, label=other[each.label]) if generator.random() < rate else each for each in rows]
    slices, (note,) = find_slices(noisy, LABELS)
    assert slices == ()
    errors = sum(each.label != each.prediction for each in noisy)
    assert note.startswith(f"No common reason was found for the {errors} confident errors (66.7 % or more)")


@pytest.mark.parametrize("seed", range(5))
def test_errors_in_which_any_word_may_matter_have_no_slices(seed):
    """One word decides each of them, and is another one each time: each matters more than in right rows."""
    generator = np.random.default_rng(seed)
    rows = drawn(seed, 1000, lambda label, words: words[:1] if generator.random() < 0.3 else [])
    assert find_slices(rows, LABELS).slices == ()


def test_usual_words_of_a_class_and_usual_reasons_for_an_answer_are_no_slices():
    """The errors are texts with words of both classes: these words matter in right rows as well."""
    generator, rows = np.random.default_rng(0), []
    for number in range(1000):
        label, other = (("bad", "good"), ("good", "bad"))[number % 2]
        wrong = generator.random() < 0.1
        scores = [(f"{label}word", 0.5), *((word, 0.1) for word in generator.choice(FILLER, 5))]
        if wrong:
            scores.append((f"{other}word", 0.6))
        rows.append(row(number, label, other if wrong else label, scores))
    assert find_slices(rows, LABELS).slices == ()


def test_words_that_go_along_are_one_slice_and_others_are_not():
    """Each error has two of the six words of a topic; another cue is a slice by itself."""
    generator = np.random.default_rng(0)
    topic, rows = [f"topic{number}" for number in range(6)], []
    for number in range(2400):
        filler = [(str(word), 0.1 * generator.random()) for word in generator.choice(FILLER, 6)]
        causes = [[], [], [], list(generator.choice(topic, 2, replace=False)), ["cue"]][number % 5]
        label = "good" if causes or number % 2 else "bad"
        scores = [*filler, *((str(word), 0.9) for word in causes)]
        rows.append(row(number, label, "bad" if causes else label, scores))
    slices, _ = find_slices(rows, LABELS)
    assert sorted(each.words for each in slices if each.words == ("cue",)) == [("cue",)]
    assert {word for each in slices for word in each.words} == {*topic, "cue"}
    assert sum(each.errors for each in slices if "cue" not in each.words) >= 480


def test_counts_are_of_all_rows_although_a_sample_is_searched():
    rows = drawn(0, 3000, single)
    (whole,), _ = find_slices(rows, LABELS)
    (sampled,), notes = find_slices(rows, LABELS, kept=200)
    assert sampled == whole
    assert "a random sample of 200 of " in notes[0]
    assert find_slices(rows, LABELS, kept=200) == ((sampled,), notes)


def test_rows_without_a_class_of_their_own_answer_do_not_count():
    rows = drawn(0, 1000, single)
    (found,), _ = find_slices(rows, LABELS)
    others = [
        row(9000, None, "bad", [("filler3", 1.0)]),
        row(9001, "good", "bad", [("filler3", 1.0)], error="Too long."),
        row(9002, "good", "bad", [("filler3", 1.0)], explained="good"),
        row(9003, "other", "bad", [("filler3", 1.0)]),
        row(9004, "good", "bad", [("filler3", float("nan"))]),
        row(9005, "good", "bad", []),
    ]
    assert find_slices([*rows, *others], LABELS).slices == (found,)
    right = row(9006, "good", "good", [("filler3", 1.0)])
    (more,), _ = find_slices([*rows, right], LABELS)
    assert (more.errors, more.size) == (found.errors, found.size + 1)


def test_without_right_classes_there_is_nothing_to_search():
    rows = [row(number, None, "bad", [("word", 1.0)]) for number in range(50)]
    assert find_slices(rows, LABELS) == (None, ())
    assert find_slices(rows, ()) == (None, ())
    assert find_slices([row(0, "bad", "bad", [("word", 1.0)])], LABELS).slices == ()
    assert find_slices([row(0, "good", "bad", [("word", 1.0)], 0.4)], LABELS).slices == ()


def test_equal_texts_are_one_piece_of_evidence():
    generator = np.random.default_rng(0)
    rows = drawn(0, 600, lambda label, words: [])
    copies = [
        row(1000 + number, "good", "bad", [("spam", 1.0), ("x", 0.1)], text="spam x") for number in range(40)
    ]
    assert find_slices([*rows, *copies], LABELS).slices == ()
    different = [
        row(1000 + number, "good", "bad", [("spam", 1.0), (str(generator.choice(FILLER)), 0.1)])
        for number in range(40)
    ]
    ((found,), _) = find_slices([*rows, *different], LABELS)
    assert (found.words, found.errors, found.size) == (("spam",), 40, 40)
    six = [different[number % 6] for number in range(40)]  # of 66 texts with the word
    right = [row(2000 + number, "good", "good", [("spam", 0.1), (str(number), 0.9)]) for number in range(60)]
    assert find_slices([*rows, *six, *right], LABELS).slices == ()


def test_only_confident_errors_are_searched_and_few_are_said():
    rows = drawn(0, 1000, single)
    unsure = [
        row(each.row, each.label, each.prediction, list(zip(each.words, each.word_scores, strict=True)), 0.5)
        if each.label != each.prediction
        else each
        for each in rows
    ]
    slices, (note,) = find_slices(unsure, LABELS)
    assert slices == ()
    assert "0 have a probability of 66.7 % or more: too few to search" in note
    assert find_slices(unsure, LABELS, confidence=0.4).slices == find_slices(rows, LABELS).slices


def test_the_words_that_matter_have_at_least_the_mean_magnitude():
    given = row(0, "bad", "bad", [("The", 0.1), ("Plot,", -0.8), ("the", 0.1), ("is", 0.1), ("plot", -0.4)])
    assert mattering(given) == pytest.approx({"plot": 1.2 / 1.5})  # the mean of three words is 0.5
    text = row(0, "bad", "bad", [(f"w{number}", 1.0) for number in range(100)])
    assert len(mattering(text)) == 32


@pytest.mark.parametrize(
    ("overlap", "first", "second", "total"), [(3, 4, 4, 8), (5, 9, 7, 12), (30, 60, 80, 900)]
)
def test_the_chance_of_an_overlap(overlap, first, second, total):
    ways = [comb(first, k) * comb(total - first, second - k) for k in range(overlap, min(first, second) + 1)]
    expected = log(sum(ways)) - log(comb(total, second))
    assert log_overlap_probability(overlap, first, second, total) == pytest.approx(expected)


def test_the_chance_of_an_overlap_in_strata():
    """By hand: the sum over all ways to have as much in common in two strata together."""

    def chance(overlap, first, second, total):
        return comb(first, overlap) * comb(total - first, second - overlap) / comb(total, second)

    strata = [(3, 6, 5, 12), (2, 4, 3, 9), (1, 1, 1, 1), (0, 0, 3, 5)]  # the last two are certain
    expected = sum(
        chance(one, 6, 5, 12) * chance(other, 4, 3, 9)
        for one in range(6)
        for other in range(4)
        if one + other >= 5
    )
    assert log_stratified_overlap_probability(strata) == pytest.approx(log(expected))
    assert log_stratified_overlap_probability(strata[:1]) == log_overlap_probability(*strata[0])
    assert log_stratified_overlap_probability([(5000, 5000, 5000, 90000)] * 2) < -700
    assert log_stratified_overlap_probability([]) == 0.0


@pytest.mark.parametrize(("overlap", "first", "second", "total"), [(0, 4, 4, 8), (3, 6, 7, 10), (0, 0, 5, 9)])
def test_an_overlap_that_must_be_has_chance_one(overlap, first, second, total):
    assert log_overlap_probability(overlap, first, second, total) == 0.0
