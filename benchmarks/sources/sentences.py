"""A prompt without some of its sentences: cut out of the text, tokenized anew, and the same answer scored."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache

from model_understanding.results import AnswerMap


class Deletions:
    """Scores of an answer without some sentences, in plain torch; what begins a prompt runs only once.

    Args:
        model: The causal language model.
        tokenizer: Its tokenizer.
        answers: The answer map, for its text, its sentences and its answer's tokens.
        first: The first token of the statement that is scored, counted in the answer.
        last: The token after its last one.
    """

    def __init__(self, model: Any, tokenizer: Any, answers: AnswerMap, first: int, last: int) -> None:
        self.model, self.tokenizer, self.text = model, tokenizer, answers.prompt
        self.spans = spans_of(answers)
        self.answer = answers.tokens.ids[answers.prompt_length :].tolist()[:last]
        self.first = first
        self.positions = 0
        self._ids: list[int] = []
        self._cache: Any = None
        if self._tokenized(self.text) != answers.tokens.ids[: answers.prompt_length].tolist():
            raise AssertionError("The prompt has other tokens than its answer map.")
        self.whole = self.score(np.ones(len(self.spans), dtype=bool))

    def score(self, kept: Sequence[bool] | np.ndarray) -> np.ndarray:
        """Return the log-probability of each token of the statement.

        Args:
            kept: Which sentences are left in the prompt.
        """
        text, end = "", 0
        for (start, stop), is_kept in zip(self.spans, kept, strict=True):
            if not is_kept:
                text, end = text + self.text[end:start], stop
        prompt = self._tokenized(text + self.text[end:])
        ids = [*prompt, *self.answer]
        # The answer's tokens run again in every prompt, at least from the one before them on.
        same = min(_common(ids, self._ids), len(prompt) - 1)
        outputs = self._run(ids, same)
        lines = outputs.logits[0, -len(self.answer) - 1 : -1].float().log_softmax(-1)
        values = lines.gather(1, torch.tensor(self.answer)[:, None])[:, 0]
        return values.double().numpy()[self.first :]

    def _run(self, ids: list[int], same: int) -> Any:
        cache = DynamicCache()
        for index, layer in enumerate(self._cache.layers if same else ()):
            cache.update(layer.keys[..., :same, :].clone(), layer.values[..., :same, :].clone(), index)
        self.positions += len(ids) - same
        with torch.no_grad():
            outputs = self.model(
                input_ids=torch.tensor([ids[same:]]),
                attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                position_ids=torch.arange(same, len(ids))[None],
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=len(self.answer) + 1,
            )
        if self._cache is None:
            self._ids, self._cache = ids, outputs.past_key_values
        return outputs

    def _tokenized(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]


def spans_of(answers: AnswerMap) -> list[tuple[int, int]]:
    """Return where in the prompt each sentence of its sources is."""
    spans = []
    for source in answers.sources:
        for sentence in source.sentences:
            offsets = answers.tokens.offsets[sentence.positions]
            start, end = int(offsets[0, 0]), int(offsets[-1, 1])
            spans.append((start, end))
    if spans != sorted(spans):
        raise AssertionError("The sources are in another order in the prompt.")
    return spans


def exact_positions(answers: AnswerMap) -> int:
    """Return the token positions of leaving out each sentence once; what is before it runs only once."""
    length = len(answers.tokens) - 1  # nothing is read from the row of the last token
    left = [
        length - int(sentence.positions[0]) - len(sentence.positions)
        for source in answers.sources
        for sentence in source.sentences
    ]
    return length + sum(left)


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """Return how many tokens two texts begin with in common."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count
