"""Verdicts follow from measured effects alone: no model runs here."""

import numpy as np
import pytest

from model_understanding.answer_map.answer_text import AnswerText
from model_understanding.answer_map.measured import Measured, SourceGroup
from model_understanding.answer_map.replacements import is_unexplained, replacing
from model_understanding.answer_map.statements import Clause, Value
from model_understanding.answer_map.verdicts import statement_of
from model_understanding.results.answer_map import AnswerSource, SourceSentence
from model_understanding.tokens import Tokens

CLAUSE = Clause("in 1931", 0, 2, (Value("1931", 1, 2),))


def measured(by_source, without, controls=(0.0,), **fields):
    """Effects on “1931” of sources of two sentences, of which the second has all; “in” has none."""
    count = len(by_source)
    pieces = [f"w{place}" for place in range(2 * count)] + ["?", "in", "1931"]
    sources = tuple(
        AnswerSource(
            name=f"{index}.txt",
            sentences=tuple(SourceSentence(text="w", positions=[2 * index + place]) for place in range(2)),
        )
        for index in range(count)
    )
    text = AnswerText(
        Tokens.from_pieces(pieces), 2 * count + 1, sources, (), (CLAUSE,), (CLAUSE,), is_span=False
    )
    on_value = np.array([0.0, 1.0])
    return Measured(
        text=text,
        log_probs=np.array([-0.5, -1.0]),
        by_source=np.array(
            [effect * on_value if np.isfinite(effect) else [effect] * 2 for effect in by_source]
        ),
        without=without * on_value,
        by_sentence=[np.array([[0.0, 0.0], max(effect, 0.0) * on_value]) for effect in by_source],
        is_removed=[np.ones(2, dtype=bool)] * count,
        by_statement=np.zeros((0, 2)),
        joint_source=[0],
        joint=[np.zeros(2)],
        without_all=np.array([without * on_value]),
        controls={(0, 0): tuple(controls)},
        **fields,
    )


@pytest.mark.parametrize(
    ("effect", "control", "origin"),
    [
        (2.5, 0.0, "sources"),
        (4.0, 1.6, "unclear"),
        (2.4, 0.0, "unclear"),
        (3.0, 2.1, "nothing"),
        (0.9, 0.0, "nothing"),
    ],
)
def test_a_value_is_judged_by_its_effect_above_the_controls(effect, control, origin):
    statement = statement_of(measured([0.1, effect, 0.2], effect + 0.3, (control, -5.0)), 0)
    (value,) = statement.values
    assert (statement.origin, value.source, value.effect, value.control) == (origin, 1, effect, control)
    named = [(part.source, part.sentence) for part in statement.sources]
    assert named == ([(1, 1)] if effect >= 1 else [])


def test_sources_that_replace_each_other_are_those_that_explain_it_alone():
    alone = np.array([8.0, 0.5, 7.0, 0.5])[:, None] * [0.0, 1.0]
    effects = measured([0.1, 0.0, 0.2, 0.0], 8.0, alone=alone)
    assert replacing(effects, CLAUSE) == [0, 2]
    statement = statement_of(effects, 0)
    assert (statement.origin, statement.is_redundant) == ("sources", True)
    assert [(part.source, part.alone) for part in statement.sources] == [(0, 8.0), (2, 7.0)]
    (value,) = statement.values
    assert (value.effect, value.control) == (8.0, 0.5)  # what any source does alone


def test_what_was_only_removed_in_a_group_is_never_the_strongest_and_its_group_explains_once():
    group = SourceGroup((0, 3), np.array([0.0, 0.4]))
    effects = measured([-np.inf, -3.0, -2.0, -np.inf], 1.0, groups=(group,))
    assert effects.is_single.tolist() == [False, True, True, False]
    assert effects.shares().tolist() == [[0.2, 0.0, 0.0, 0.2]]
    (value,) = statement_of(effects, 0).values
    assert (value.source, value.effect, value.origin) == (2, -2.0, "nothing")
    assert is_unexplained(effects, CLAUSE)  # 0.4 of 1 nat
    effects.by_source[0] = [0.0, 0.4]  # measured later: it is in the group's effect already
    assert is_unexplained(effects, CLAUSE)
    effects.groups = (SourceGroup((0, 3), np.array([0.0, 0.5])),)
    assert not is_unexplained(effects, CLAUSE)


def test_what_only_the_form_of_a_statement_rises_with_is_no_source_of_a_value_that_has_one():
    form, value = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    alone = np.array([30 * form + 6 * value, 33 * form, 36 * form, 0 * form])
    effects = measured([6.0, 0.0, 0.1, 0.0], 6.2, alone=alone)
    effects.without = 40 * form + 6.2 * value  # no single source explains the statement, one the value
    assert replacing(effects, CLAUSE) == [0, 2, 1]
    statement = statement_of(effects, 0)
    assert [(part.source, part.alone) for part in statement.sources] == [(0, None)]
    assert not statement.is_redundant


@pytest.mark.parametrize(("best", "named"), [(1.1, 1), (0.9, None)])
def test_no_sentence_is_named_where_none_does_anything_alone_that_counts(best, named):
    on_value = np.array([0.0, 1.0])
    alone = np.array([8.0, 0.5, 8.0, 0.5])[:, None] * on_value
    kept = {(source, place): best * place * on_value for source in (0, 2) for place in range(2)}
    effects = measured([0.0, 0.0, 0.0, 0.0], 8.0, alone=alone, sentence_alone=kept)
    assert [(part.source, part.sentence) for part in statement_of(effects, 0).sources] == [
        (0, named),
        (2, named),
    ]
