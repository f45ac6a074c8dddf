"""Our implementation of each task: a method object and targets, through the call that visualizers make."""

from collections.abc import Callable
from typing import Any

from model_understanding.attribution.gim import Gim
from model_understanding.attribution.integrated_gradients import IntegratedGradients
from model_understanding.attribution.lrp import AttnLrp
from model_understanding.attribution.occlusion import Occlusion
from model_understanding.attribution.run import attribute
from model_understanding.attribution.saliency import Saliency
from model_understanding.loading import LoadedModel
from model_understanding.model.causality import is_causal
from model_understanding.passes.runner import Runner
from model_understanding.results import Attribution, Provenance, Target
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens
from model_understanding.visualizers import SimilarityVisualizer

TASKS = {
    "classifier": "sequence-classification",
    "tagger": "token-classification",
    "causal": "causal-lm",
    "seq2seq": "seq2seq-lm",
}
START = 0  # what the decoder of an encoder–decoder starts with


def tokens_of(ids: list[int], special: set[int]) -> Tokens:
    """Return tokens with given IDs, one letter of text each."""
    count = len(ids)
    return Tokens.from_spans(
        texts=("x" * count,),
        pieces=["x"] * count,
        ids=ids,
        segments=[0] * count,
        offsets=[(i, i + 1) for i in range(count)],
        special=[i in special for i in range(count)],
    )


def encodings_of(runner: Runner, problem: Any) -> list[Encoding]:
    """Return the texts as inputs."""
    found = []
    for ids in problem.ids:
        if problem.kind == "seq2seq":
            tokens = tokens_of([*ids[: problem.prompt], START, *ids[problem.prompt :]], {problem.prompt})
            lengths = {"source_length": problem.prompt, "prompt_length": problem.prompt + 1}
            found.append(runner.model.encode(tokens, **lengths))
            continue
        special = set() if problem.kind == "causal" else {0, len(ids) - 1}
        prompt = problem.prompt if problem.kind == "causal" else None
        found.append(runner.model.encode(tokens_of(ids, special), prompt_length=prompt))
    return found


def targets_of(problem: Any) -> list[Target]:
    """Return the targets of a task, the same for each text."""
    task = TASKS[problem.kind]
    if problem.kind == "classifier":
        return [Target(task=task, indices=(problem.index,))]
    if problem.kind == "tagger":
        return [
            Target(task=task, positions=entity, indices=(problem.index,) * len(entity), reduce="mean")
            for entity in problem.entities
        ]
    ids = problem.ids[0]
    if problem.work in ("next_token_gradient", "occlusion"):
        return [Target(task=task, positions=(len(ids) - 1,), indices=(problem.index,), quantity="log_prob")]
    if problem.kind == "seq2seq":
        return [
            Target(task=task, positions=(place,), indices=(ids[place],), quantity="log_prob")
            for place in range(problem.prompt, len(ids))
        ]
    places = range(problem.prompt - 1, len(ids) - 1)
    if problem.work.startswith("span"):
        answer = tuple(ids[problem.prompt :])
        return [Target(task=task, positions=tuple(places), indices=answer, quantity="log_prob")]
    return [
        Target(task=task, positions=(place,), indices=(ids[place + 1],), quantity="log_prob")
        for place in places
    ]


def method_of(problem: Any) -> Any:
    """Return the method of a task."""
    if problem.method == "gim":
        return Gim()
    if problem.method == "attn_lrp":
        return AttnLrp()
    if problem.work.endswith(("path", "paths")):
        return IntegratedGradients(nodes=problem.nodes)
    return Occlusion() if problem.work == "occlusion" else Saliency()


def prepare(problem: Any) -> tuple[Callable[[], Any], Callable[[list[Attribution]], dict[str, Any]]]:
    """Return the function to time, and one that converts its result to lists."""
    if problem.work == "pair_cosines":
        return _prepare_similarity(problem)
    task = TASKS[problem.kind]
    runner = Runner(
        LoadedModel(problem.model, problem.tokenizer, task, Provenance(model=problem.model_folder, task=task))
    )
    if runner.model.is_language_model:
        assert is_causal(runner.model)  # measured once per model, so not part of any task
    method, encodings, targets = method_of(problem), encodings_of(runner, problem), targets_of(problem)
    # A plain gradient is compared by its norm; no floor has other backward rules to compare with.
    kind = "other" if problem.method else "signed" if method.signed else "norm"
    width = problem.prompt if problem.work in COMPARED_ON_PROMPT else None

    def run() -> list[Attribution]:
        return attribute(runner, method, encodings, [targets] * len(encodings))

    def read(found: list[Attribution]) -> dict[str, Any]:
        return {kind: [row[:width].tolist() for attribution in found for row in attribution.scores]}

    return run, read


def _prepare_similarity(problem: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    visualizer = SimilarityVisualizer(model=problem.model, tokenizer=problem.tokenizer, pooling="mean")
    texts = [problem.tokenizer.decode(ids, skip_special_tokens=True) for ids in problem.ids]
    pairs = list(zip(texts[::2], texts[1::2], strict=True))
    return lambda: visualizer.predict(pairs), lambda found: {"signed": [[float(each) for each in found]]}


COMPARED_ON_PROMPT = ("token_gradients", "output_gradients", "token_paths", "span_gradient", "span_path")
