"""Effects of sentences by answer maps beside exact deletion and ContextCite, on some of the prompts."""

import time
from collections.abc import Iterator
from typing import Any

import context_cite
import numpy as np
from measuring import effects_of, mapped, of_set, places, stating
from prompts import Prompt
from sentences import Deletions

from model_understanding import GenerativeModelVisualizer
from model_understanding.statistics import rank_correlation

Row = dict[str, Any]
ABLATIONS = (32, 64)
_HELD_OUT = 16  # random deletions that effects predict
_SEED = 3


def chosen(count: int | None) -> list[Prompt]:
    """Return prompts with a fact in a seeded order: of four, one has paragraphs.

    Args:
        count: How many; ``None`` for all.
    """
    generator = np.random.default_rng(_SEED)
    planted, real = of_set("planted"), of_set("paragraphs")
    order = [planted[i] for i in generator.permutation(len(planted))]
    for place, index in enumerate(generator.permutation(len(real))):
        order.insert(4 * place + 3, real[index])
    return order[:count]


def rows(
    visualizer: GenerativeModelVisualizer, model: str, known: set[str], count: int | None
) -> Iterator[Row]:
    """Yield a row for each of the chosen prompts that has none; the given answers are explained."""
    for prompt in chosen(count):
        key = f"{model}: {prompt.key}"
        if key not in known:
            yield {"key": key, "model": model, **_row(visualizer, prompt)}


def _row(visualizer: Any, prompt: Prompt) -> Row:
    answers = mapped(visualizer, prompt, prompt.answer)
    statement = stating(answers, prompt.value)
    deletions = Deletions(visualizer.model, visualizer.tokenizer, answers, statement.first, statement.last)
    prefill, count = deletions.positions, len(deletions.spans)
    ours = effects_of(answers, statement)
    started = time.process_time()
    whole = float(deletions.whole.sum())
    exact = np.array([whole - deletions.score(~line).sum() for line in np.eye(count, dtype=bool)])
    exact_seconds, exact_positions = time.process_time() - started, deletions.positions - prefill
    starts = np.cumsum([0, *(len(source.sentences) for source in answers.sources)])
    facts = {int(starts[source]) + sentence for source, sentence in places(answers, prompt)}
    kept = context_cite.halves(max(ABLATIONS) + _HELD_OUT, count, _SEED)
    before = deletions.positions
    scored = np.array([deletions.score(line) for line in kept])
    values, tokens = context_cite.logits(scored), statement.last - statement.first
    held_out, truth = kept[max(ABLATIONS) :], values[max(ABLATIONS) :]
    found = {"ours": ours, "exact": exact}
    for number in ABLATIONS:
        found[f"context_cite_{number}"] = context_cite.weights(kept[:number], values[:number], tokens)
    return {
        "set": prompt.set,
        "kind": prompt.kind,
        "pronoun": prompt.pronoun,
        "tokens": len(answers.tokens),
        "sentences": count,
        "whole": whole,
        "ours_whole": float(answers.log_probs[statement.first : statement.last].sum()),
        "exact_seconds": exact_seconds,
        "exact_positions": prefill + exact_positions,
        "ablation_positions": (deletions.positions - before) / len(kept),
        "first": {name: int(effects.argmax()) in facts for name, effects in found.items()},
        "pearson": {
            name: float(np.corrcoef(effects, exact)[0, 1])
            for name, effects in found.items()
            if name != "exact" and effects.std() > 0
        },
        "lds": {name: rank_correlation(held_out @ effects, truth) for name, effects in found.items()},
        "held_out": np.round(truth, 4).tolist(),
        "effects": {name: np.round(effects, 3).tolist() for name, effects in found.items()},
    }
