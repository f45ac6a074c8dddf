"""Inseq 0.7: one forward and one backward for each generated token."""

from collections.abc import Callable
from typing import Any

import inseq


def log_probability(args: Any) -> Any:
    """Return the target's log-probability; Inseq's own default, the probability, does not add up."""
    logits = args.attribution_model.output2logits(args.forward_output)
    target = args.target_ids.reshape(logits.shape[0], 1)
    return logits.log_softmax(-1).gather(-1, target).squeeze(-1)


inseq.register_step_function(log_probability, "log_probability")


def prepare(problem: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """Return Inseq's way of a task: each generated token, or their sum for the whole continuation."""
    path, span = problem.work == "token_paths", problem.work == "span_gradient"
    # Its saliency is absolute, so that a continuation's is no sum of its tokens'.
    method = "integrated_gradients" if path else "input_x_gradient" if span else "saliency"
    model = inseq.load_model(
        problem.model,
        method,
        tokenizer=problem.tokenizer,
        device=problem.device,
    )
    ids = problem.texts[0][0]
    is_seq2seq = problem.kind == "seq2seq"
    prompt, whole = problem.tokenizer.decode(ids[: problem.prompt]), problem.tokenizer.decode(ids)
    if is_seq2seq:
        whole = problem.tokenizer.decode(ids[problem.prompt :])
    options = {"n_steps": problem.nodes} if path else {}

    def run() -> Any:
        return model.attribute(
            prompt, whole, attributed_fn="log_probability", show_progress=False, **options
        ).sequence_attributions[0]

    def read(found: Any) -> dict[str, Any]:
        if is_seq2seq:
            expected = ids[problem.prompt :].tolist()
            steps = [step for step, token in enumerate(found.target) if token.id in expected]
            assert [found.target[step].id for step in steps] == expected, "tokenized to other ids"
            scores = found.source_attributions[: problem.prompt].transpose(0, 1).float()
            return {"norm": scores[-len(steps) :].norm(dim=-1).tolist()}
        assert [token.id for token in found.target] == ids.tolist(), "the text was tokenized to other ids"
        # (tokens, steps, width) of the prompt and, below it, of what was generated
        scores = found.target_attributions[: problem.prompt].transpose(0, 1).float()
        if span:
            return {"product": [scores.sum((0, 2)).tolist()]}
        if path:
            return {"signed": scores.sum(-1).tolist()}
        return {"norm": scores.norm(dim=-1).tolist()}

    return run, read
