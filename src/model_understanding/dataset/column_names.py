"""How columns of texts are recognized: by their names, and by what a first row looks like."""

import re

TEXT_NAMES = frozenset(
    {
        *("text", "texts", "text_a", "text_b", "text1", "text2", "text_pair", "full_text"),
        *("sentence", "sentences", "sentence1", "sentence2", "premise", "hypothesis"),
        *("review", "reviews", "review_text", "review_body", "reviewtext", "comment", "comments"),
        *("comment_text", "content", "body", "message", "messages", "conversation", "tweet", "tweets"),
        *("document", "documents", "prompt", "prompts", "question", "question1", "question2", "query"),
        *("passage", "context", "utterance", "input", "inputs", "instruction"),
    }
)
"""Names of columns of texts."""

OTHER_TEXT_NAMES = frozenset(
    {"title", "headline", "summary", "description", "abstract", "answer", "response", "paragraph"}
)
"""Names of columns that are texts only where there is none of the former."""


def normalized(column: str) -> str:
    """Return the name of a column as it is compared: in lower case, with underscores.

    >>> normalized("Review Text")
    'review_text'
    """
    return re.sub(r"[\s\-.]+", "_", column.strip()).lower()


def could_be_name(cell: str) -> bool:
    """Return whether a cell may be the name of a column, and not a text or a number."""
    cell = cell.strip()
    is_number = bool(re.fullmatch(r"[-+]?[\d.,]+%?", cell))
    return (
        bool(cell) and not is_number and len(cell) <= 40 and len(cell.split()) <= 3 and cell[-1] not in ".!?…"
    )
