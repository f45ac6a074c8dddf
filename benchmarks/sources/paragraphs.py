"""Questions about real paragraphs, whose source is the sentence that has the answer.

The paragraphs (``paragraphs.json``) are quoted with their lines joined; formulas and references between them
are left out:

- Python: the history in its license file, and docstrings of its standard library (Python Software Foundation
  License Version 2);
- NumPy 2.4: docstrings of windows and of random distributions (BSD 3-Clause License, Copyright (c) 2005-2025,
  NumPy Developers);
- this project: README.md and CONTRIBUTING.md (MIT License).
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from prompts import DOCUMENTS, Prompt


@dataclass(frozen=True)
class _Asked:
    """A question about a paragraph.

    Args:
        source: The paragraph that has the answer.
        kind: What kind of value the answer has.
        question: The question.
        answer: The answer.
        value: The words of the answer that the paragraph has.
        sentence: The sentence that has them.
        pronoun: Whether the sentence names its subject by a pronoun.
    """

    source: str
    kind: str
    question: str
    answer: str
    value: str
    sentence: str
    pronoun: bool = False


_WRITTEN = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
_PARAGRAPHS: dict[str, str] = _WRITTEN["paragraphs"]
_ASKED = tuple(_Asked(**question) for question in _WRITTEN["questions"])


def asked() -> list[Prompt]:
    """Return the questions, each with its paragraph among nine others, the same at every call."""
    return [_prompt(number, each) for number, each in enumerate(_ASKED)]


def _prompt(number: int, each: _Asked) -> Prompt:
    generator = np.random.default_rng((11, number))
    others = [name for name, text in _PARAGRAPHS.items() if name != each.source and each.value not in text]
    names = [each.source, *generator.permutation(others)[: DOCUMENTS - 1].tolist()]
    order = generator.permutation(DOCUMENTS).tolist()
    return Prompt(
        key=f"paragraphs {number}",
        set="paragraphs",
        kind=each.kind,
        documents=tuple({"title": names[place], "text": _PARAGRAPHS[names[place]]} for place in order),
        question=each.question,
        answer=each.answer,
        value=each.value,
        facts=((order.index(0), each.sentence),),
        pronoun=each.pronoun,
    )
