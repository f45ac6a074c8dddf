"""One exact deletion of what each statement is attributed to, beside its effect; it changes no order."""

from collections.abc import Sequence
from dataclasses import replace

from model_understanding.answer_map.answer_text import AnswerText
from model_understanding.answer_map.measured import total
from model_understanding.answer_map.measuring import Effects, Mask
from model_understanding.results.answer_map import SourceEffect, Statement

_DELETING = "Confirming by deletion"


def confirmed(statements: Sequence[Statement], text: AnswerText, deletions: Effects) -> tuple[Statement, ...]:
    """Return statements with what happens to them when their sources are deleted from the prompt.

    Args:
        statements: The statements.
        text: The answer and its sources.
        deletions: Deletes tokens.
    """

    def mask(part: SourceEffect) -> Mask:
        if part.sentence is None:
            return deletions.mask(text.sources[part.source].positions)
        sentences = text.sentences[part.source]
        return deletions.mask(*(sentences[place].positions for place in part.copies or (part.sentence,)))

    deletions.of([mask(part) for statement in statements for part in statement.sources], _DELETING)
    return tuple(
        replace(
            statement,
            sources=tuple(
                replace(part, deleted=float(total(deletions.of([mask(part)], _DELETING)[0], clause)))
                for part in statement.sources
            ),
        )
        for statement, clause in zip(statements, text.clauses, strict=True)
    )
