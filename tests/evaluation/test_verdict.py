"""The verdict on games whose right answer is known: words that interact, replace each other, or oppose."""

import itertools
import re
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from model_understanding.evaluation.ranked_text import RankedText
from model_understanding.evaluation.verdict import Verdict, chance_of
from model_understanding.results import Attribution
from model_understanding.tokens import Tokens


@dataclass
class Game:
    """Removals of a text whose value is a function of the tokens that are left."""

    value: object
    length: int
    quantities: tuple[str, ...] = ("value",)
    replacements: tuple[str, ...] = ("mask", "mean")
    runs: set = field(default_factory=set)

    @property
    def tokens(self):
        return Tokens.from_pieces([f"w{index}" for index in range(self.length)])

    def values(self, removed):
        self.runs |= {row.tobytes() for row in removed}
        own = np.array([self.value(~row) for row in removed], dtype=float)
        generator = np.random.default_rng(
            0
        )  # the replacements differ a little, and every token has some effect
        noise = [(~removed) @ generator.normal(scale=0.02, size=self.length) for _ in self.replacements]
        return np.stack([own + small for small in noise])[..., None]


def judge(value, scores, seed=0):
    game = Game(value, len(scores))
    attribution = Attribution.from_arrays(game.tokens, scores)
    text = RankedText(
        removals=game, attribution=attribution, candidates=np.arange(len(scores)), seed=seed, draws=5
    )
    metric = Verdict()
    game.values(metric.removals(text))
    verdict, *_ = metric(text)
    return SimpleNamespace(
        verdict=verdict.verdict,
        reasons=verdict.reasons,
        summary=verdict.summary,
        runs=len(game.runs),
        z=verdict.value,
    )


def marks(length, *places):
    return np.isin(np.arange(length), places).astype(float)


def negation(left):
    """``not`` (4) turns the class of the signal (1) over; alone each says nothing."""
    return {(True, True): 3.0, (True, False): -6.0, (False, True): -1.0, (False, False): -1.2}[
        left[1], left[4]
    ]


def either(left):
    return 4.0 if left[2] or left[5] else -2.0


def any_of_three(left):
    return 4.0 if left[0] or left[2] or left[5] else -2.0


LENGTHS = (6, 8, 14, 30)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(
    ("value", "places"), [(negation, (1, 4)), (either, (2, 5)), (any_of_three, (0, 2, 5))]
)
def test_words_that_act_together_are_supported_and_a_part_of_them_is_not(value, places, length):
    for seed in range(3):
        assert judge(value, marks(length, *places), seed).verdict == "supported"
    for count in range(1, len(places)):
        for part in itertools.combinations(places, count):
            assert judge(value, marks(length, *part)).verdict != "supported"


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("value", [negation, either, any_of_three])
def test_a_word_that_does_not_matter_is_not_supported(value, length):
    for place in range(length):
        if value(np.arange(length) != place) == value(np.ones(length, bool)) and place not in (0, 2, 5):
            assert judge(value, marks(length, place)).verdict != "supported"


def test_the_reason_names_the_word_that_is_left_out():
    judged = judge(negation, marks(14, 4) * 2 + marks(14, 0) * 0.1)
    assert judged.verdict == "weak"
    assert any("Scores leave out tokens" in reason and "'w1'" in reason for reason in judged.reasons)


DROP = (
    r"Removing the top-ranked tokens (\w+) the value by (\S+); "
    r"(?:random tokens,|removing random tokens (\w+) it) by (\S+)\."
)
SIGN = {"lowers": 1, "raises": -1}


def test_the_summary_never_points_the_other_way_than_the_verdict():
    """Some games reward removing a few tokens together, which says nothing of what each token does alone."""
    generator = np.random.default_rng(2)
    kinds = set()
    for _ in range(150):
        weights = generator.normal(size=10)
        scores = weights + generator.normal(scale=generator.uniform(0, 2), size=10)
        together = generator.uniform(-6, 6)
        judged = judge(lambda left, w=weights, t=together: left @ w + t * (left.sum() < 9), scores)
        (drop,) = (reason for reason in judged.reasons if reason.startswith("Removing the top-ranked"))
        verb, own, random_verb, random = re.fullmatch(DROP, drop).groups()
        own, random = SIGN[verb] * float(own), SIGN[random_verb or verb] * float(random)
        is_better = own > max(random, 0)
        shows_drop = drop in judged.summary
        kinds.add((judged.verdict, is_better, shows_drop))
        if shows_drop:
            assert (judged.verdict, is_better) not in {("supported", False), ("not supported", True)}
        else:
            assert judged.summary.startswith("Scores ")
            assert (
                f"z = {judged.z:.2f}".replace("-", "−") in judged.summary
                or judged.reasons[2] in judged.summary
            )
    assert {("supported", True, True), ("supported", False, False), ("not supported", True, False)} <= kinds


def test_the_verdict_does_not_depend_on_the_seed():
    generator = np.random.default_rng(0)
    weights = generator.normal(size=12)
    for _ in range(20):
        scores = weights + generator.normal(scale=generator.uniform(0, 2), size=12)
        assert (
            len(
                {
                    (one.verdict, one.z)
                    for one in (judge(lambda left: left @ weights, scores, s) for s in range(3))
                }
            )
            == 1
        )


def test_opposing_words_are_part_of_a_right_map():
    weights = np.array([-3.0, 0.1, 2.0, 0, -1.0, 0, 0.2, 0, 0, 0.1])
    assert judge(lambda left: left @ weights, weights).verdict == "supported"
    assert judge(lambda left: left @ weights, -weights).verdict == "not supported"
    assert judge(lambda left: left @ weights, np.abs(weights)).verdict != "supported"


def test_chance_is_the_share_of_permutations_that_do_as_well():
    generator = np.random.default_rng(1)
    scores, effects = generator.normal(size=(2, 6))
    own = np.corrcoef(scores, effects)[0, 1]
    every = [np.corrcoef(scores[list(order)], effects)[0, 1] for order in itertools.permutations(range(6))]
    assert chance_of(scores, effects) == pytest.approx(np.mean(np.array(every) >= own - 1e-12))
    assert chance_of(marks(6, 2), marks(6, 2)) == pytest.approx(1 / 6)
    assert chance_of(marks(8, 2, 3), marks(8, 2, 3)) == pytest.approx(1 / 28)
    assert chance_of(marks(40, 2), marks(40, 2)) == pytest.approx(1 / 40, rel=0.3)
    assert chance_of(np.ones(7), effects=np.arange(7.0)) == 1.0


def test_a_short_text_says_what_chance_supports():
    judged = judge(lambda left: 3.0 * left[2], marks(6, 2))
    assert judged.verdict == "supported"
    assert "16.7 % of permutations do as well" in judged.reasons[0]


@pytest.mark.parametrize(("length", "runs"), [(6, 180), (14, 180), (32, 180), (64, 250), (200, 250)])
def test_the_number_of_variants_is_bounded(length, runs):
    generator = np.random.default_rng(length)
    weights = generator.normal(size=length)
    judged = judge(lambda left: left @ weights, generator.normal(size=length))
    assert 2 * judged.runs <= runs
