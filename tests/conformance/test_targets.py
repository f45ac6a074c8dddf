"""Every kind of target against a computation by hand: a plain call of the model, a hook, autograd.

A gradient method and a perturbation method, on architectures that differ in how they read an answer.
"""

import numpy as np
import pytest
import tiny_models
import torch
from by_hand import gradients_by_hand, left_out_by_hand
from tiny_models import visualizer_of

from model_understanding import InputError
from model_understanding.model.causality import is_causal
from model_understanding.show.shared.words import targets_name

TEXT, PAIR = "Don't call it bad!", "The film was wonderful."
PROMPT, CONTINUATION = "The film 👍 was", " a king lived."
OTHER = 9
TOLERANCE = 3e-5  # of the largest value


def close(found, expected, scale):
    return np.abs(np.asarray(found) - np.asarray(expected)).max() <= TOLERANCE * float(scale)


def check(visualizer, asked, options, inputs, read):
    """Assert that both kinds of methods give what is computed by hand, and return the attribution."""
    values, embeddings, gradients = gradients_by_hand(visualizer.model, inputs, read)
    found = visualizer.compute_saliency(asked, method="input_x_gradient", **options)
    assert found.tokens.ids.tolist() == inputs["input_ids"][0].tolist()
    assert found.scores.shape == (len(values), len(found.tokens))
    scale = values.abs().max().clamp(min=1)
    assert close(found.outputs, values, scale)
    norms = gradients.norm(dim=-1)
    # What is left of a difference of probabilities rounds as its parts do.
    assert norms.max() > 1e-6
    products = norms * embeddings.norm(dim=-1)
    assert close(found.scores, (gradients * embeddings).sum(-1), products.max().clamp(min=1e-2))
    perturbed = visualizer.compute_saliency(asked, method="leave_one_out", **options)
    expected = left_out_by_hand(visualizer, inputs, ~found.tokens.special, read)
    assert expected.abs().max() > 1e-4
    assert close(perturbed.outputs, values, scale)
    assert close(perturbed.scores, expected, scale.clamp(min=float(expected.abs().max())))
    assert [t.description() for t in perturbed.targets] == [t.description() for t in found.targets]
    return found


QUANTITIES = {
    "single_label": {
        "logit": lambda line: line,
        "log_prob": lambda line: line.log_softmax(-1),
        "prob": lambda line: line.softmax(-1),
    },
    "multi_label_classification": {
        "logit": lambda line: line,
        "log_prob": torch.nn.functional.logsigmoid,
        "prob": torch.sigmoid,
    },
    "regression": {"logit": lambda line: line},
}
# What is asked, and the classes (and contrast) it reads.
CLASS_TARGETS = {
    "a class": ({"target": 1}, [1], None),
    "a label": ({"target": "LABEL_2"}, [2], None),
    "all": ({"target": "all"}, [0, 1, 2], None),
    "several": ({"target": [2, "LABEL_0"]}, [2, 0], None),
    "a contrast": ({"target": 2, "against": 0}, [2], 0),
    "several contrasts": ({"target": [1, 2], "against": 0}, [1, 2], 0),
}


@pytest.mark.parametrize(
    ("name", "asked", "problem"),
    [
        *[("bert", TEXT, problem) for problem in QUANTITIES],
        ("roberta", (TEXT, PAIR), "single_label"),
        ("llama-classifier", TEXT, "single_label"),
        *[
            pytest.param(name, asked, problem, marks=pytest.mark.full)
            for name, asked in (("roberta", (TEXT, PAIR)), ("llama-classifier", TEXT))
            for problem in QUANTITIES
            if problem != "single_label"
        ],
    ],
)
def test_every_target_of_a_classifier_is_what_is_computed_by_hand(name, asked, problem):
    declared = None if problem == "single_label" else problem
    model = tiny_models.fresh(name, problem_type=declared)
    visualizer = visualizer_of(name, model=model)
    texts = asked if isinstance(asked, tuple) else (asked,)
    inputs = dict(visualizer.tokenizer(*texts, return_tensors="pt"))
    for quantity, transform in QUANTITIES[problem].items():
        for options, classes, contrast in CLASS_TARGETS.values():

            def read(line, transform=transform, classes=classes, contrast=contrast):
                values = transform(line)
                return [values[c] - (0 if contrast is None else values[contrast]) for c in classes]

            check(visualizer, asked, {**options, "quantity": quantity}, inputs, read)
    check(
        visualizer,
        asked,
        {"target": lambda outputs: outputs.logits[0, 0] * outputs.logits[0, 1]},
        inputs,
        lambda line: [line[0] * line[1]],
    )


@pytest.mark.parametrize("name", ["bert", "llama-classifier"])
def test_one_output_is_a_regression(name):
    visualizer = visualizer_of(name, model=tiny_models.fresh(name, num_labels=1))
    inputs = dict(visualizer.tokenizer(TEXT, return_tensors="pt"))
    for options in ({}, {"target": 0}, {"target": "all"}):
        check(visualizer, TEXT, options, inputs, lambda line: [line[0]])
    for quantity in ("prob", "log_prob"):
        with pytest.raises(InputError, match="A regression model has no"):
            visualizer.compute_saliency(TEXT, target=0, quantity=quantity, method="saliency")


def single(transform, steps, contrast=None):
    """Read each step's own token, less that of the contrast at this step."""

    def read(line, ids):
        return [
            transform(line[step - 1])[ids[step]]
            - (0 if contrast is None else transform(line[step - 1])[contrast[place]])
            for place, step in enumerate(steps)
        ]

    return read


def summed(read, mean=False):
    return lambda line, ids: [sum(values := read(line, ids)) / (len(values) if mean else 1)]


def token_targets(ids, start, runners_up):
    """Return what can be asked of a language model, and how it is read by hand from one forward.

    Args:
        ids: Prompt and continuation.
        start: Where the continuation begins.
        runners_up: At each of its steps the likeliest token other than its own, and after the prompt's
            last token the two likeliest.
    """
    log = QUANTITIES["single_label"]["log_prob"]
    steps, part = range(start, len(ids)), range(start + 1, start + 3)
    others = [(int(ids[step]) + 3) % 50 for step in steps]
    follows = {"target": "continuation", "continuation": CONTINUATION}
    each = {**follows, "per_token": True}
    asked = {
        "loss": (
            {},
            summed(lambda line, ids: [-v for v in single(log, range(1, len(ids)))(line, ids)], True),
        ),
        "loss of a part": (
            {"span": (2, 5)},
            summed(lambda line, ids: [-v for v in single(log, range(2, 5))(line, ids)], True),
        ),
        "the likeliest next token": (
            {"target": "next"},
            lambda line, ids: [log(line[-1])[runners_up[-1][0]]],
        ),
        "its lead over the second": (
            {"target": "next", "against": "runner-up", "quantity": "logit"},
            lambda line, ids: [line[-1][runners_up[-1][0]] - line[-1][runners_up[-1][1]]],
        ),
        "a function": (
            {"target": lambda outputs: outputs.logits[0, -1, 7] - outputs.logits[0, 3, 9]},
            lambda line, ids: [line[-1, 7] - line[3, 9]],
        ),
        "whole": (follows, summed(single(log, steps))),
        "whole, logits": (
            {**follows, "quantity": "logit"},
            summed(single(QUANTITIES["single_label"]["logit"], steps)),
        ),
        "a span": ({**follows, "span": (1, 3)}, summed(single(log, part))),
        "a span against tokens": (
            {**follows, "span": (1, 3), "against": others[1:3]},
            summed(single(log, part, others[1:3])),
        ),
        "whole against tokens": ({**follows, "against": others}, summed(single(log, steps, others))),
        "whole against the second": (
            {**follows, "against": "runner-up"},
            summed(single(log, steps, runners_up[:-1])),
        ),
    }
    for quantity, transform in QUANTITIES["single_label"].items():
        asked |= {
            f"next tokens, {quantity}": (
                {"target": [OTHER, 20], "quantity": quantity},
                lambda line, ids, t=transform: [t(line[-1])[OTHER], t(line[-1])[20]],
            ),
            f"a token against another, {quantity}": (
                {"target": OTHER, "against": 20, "quantity": quantity},
                lambda line, ids, t=transform: [t(line[-1])[OTHER] - t(line[-1])[20]],
            ),
            f"each token, {quantity}": ({**each, "quantity": quantity}, single(transform, steps)),
            f"each token of a span against the second, {quantity}": (
                {**each, "span": (1, 3), "against": "runner-up", "quantity": quantity},
                single(transform, part, runners_up[1:3]),
            ),
        }
    return asked


def prepared(name):
    """Return a visualizer, the ids of the prompt, and those with the continuation."""
    visualizer = visualizer_of(name)
    prompt = visualizer.tokenizer(PROMPT)["input_ids"]
    following = visualizer.tokenizer(CONTINUATION, add_special_tokens=False)["input_ids"]
    return visualizer, torch.tensor([prompt]), torch.tensor([prompt + following])


@pytest.mark.parametrize("name", tiny_models.each(["gpt2", "llama", "gemma2", "gemma3", "mamba"]))
def test_every_target_of_a_language_model_is_what_is_computed_by_hand(name):
    visualizer, prompt, whole = prepared(name)
    start = prompt.shape[1]
    with torch.no_grad():
        order = visualizer.model(input_ids=whole).logits[0].argsort(dim=-1, descending=True).tolist()
    own = whole[0].tolist()
    seconds = [
        next(token for token in order[step - 1] if token != own[step]) for step in range(start, len(own))
    ]
    kinds = token_targets(whole[0], start, [*seconds, order[start - 1][:2]])
    for options, read in kinds.values():
        ids = whole if options.get("target") == "continuation" else prompt
        check(visualizer, PROMPT, options, {"input_ids": ids}, lambda line, i=ids, r=read: r(line, i[0]))


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_a_part_and_a_contrast_by_their_texts_are_those_by_tokens(name):
    visualizer, prompt, _ = prepared(name)
    tokenizer = visualizer.tokenizer
    follows = {"target": "continuation", "continuation": CONTINUATION}
    by_text = visualizer.compute_saliency(PROMPT, method="saliency", **follows, span="king")
    (target,) = by_text.targets
    assert tokenizer.decode(target.indices) == " king"
    assert target.name == "king"
    first = target.positions[0] + 1 - prompt.shape[1]
    by_tokens = visualizer.compute_saliency(
        PROMPT, method="saliency", **follows, span=(first, first + len(target.indices))
    )
    assert (by_text.scores == by_tokens.scores).all()
    assert not by_text.valid[0, target.positions[-1] + 1 :].any()
    other = tokenizer.decode(tokenizer(" a film", add_special_tokens=False)["input_ids"])
    ids = tokenizer(other, add_special_tokens=False)["input_ids"]
    span = (0, len(ids))
    contrasted = visualizer.compute_saliency(PROMPT, method="saliency", **follows, span=span, against=other)
    assert contrasted.targets[0].against == tuple(ids)
    assert "".join(contrasted.targets[0].against_labels) == other
    again = visualizer.compute_saliency(PROMPT, method="saliency", **follows, span=span, against=ids)
    assert (again.scores == contrasted.scores).all()
    prompt_part = visualizer.compute_saliency(PROMPT, span="👍", method="saliency")
    assert tokenizer.decode(prompt_part.targets[0].indices).strip() == "👍"


def test_a_language_model_that_is_not_causal_is_read_prefix_by_prefix():
    visualizer, prompt, whole = prepared("bert-as-language-model")
    found = visualizer.compute_saliency(
        PROMPT,
        target="continuation",
        continuation=CONTINUATION,
        span=(0, 3),
        per_token=True,
        against="runner-up",
        method="saliency",
    )
    assert len(found.targets) == 3
    for step, (target, output) in enumerate(zip(found.targets, found.outputs, strict=True), prompt.shape[1]):

        def read(line, own=whole[0, step], other=target.against[0]):
            logs = line[-1].log_softmax(-1)
            return [logs[own] - logs[other], logs[other], logs.topk(2).values[int(logs.argmax() == own)]]

        values, _, gradients = gradients_by_hand(visualizer.model, {"input_ids": whole[:, :step]}, read)
        assert values[1] == values[2]  # it is the likeliest other
        assert close(output, values[0], 1)
        expected = gradients[0].norm(dim=-1)
        assert close(found.scores[step - prompt.shape[1], :step], expected, expected.max())


def test_a_span_costs_one_forward_and_one_backward_over_its_own_prefix(monkeypatch):
    visualizer, prompt, whole = prepared("llama")
    assert is_causal(visualizer.runner.model)
    follows = {"target": "continuation", "continuation": CONTINUATION}
    visualizer.compute_saliency(PROMPT, method="saliency", **follows)  # what is measured once for a model
    seen = {"forwards": [], "backwards": 0}
    grad = torch.autograd.grad

    def backward(*arguments, **keywords):
        seen["backwards"] += 1
        return grad(*arguments, **keywords)

    def forward(module, arguments, keywords, outputs):
        seen["forwards"].append((*keywords["input_ids"].shape, outputs.logits.shape[1]))

    monkeypatch.setattr(torch.autograd, "grad", backward)
    handle = visualizer.model.register_forward_hook(forward, with_kwargs=True)
    start, end = prompt.shape[1], whole.shape[1]
    steps = end - start
    costs = [  # rows, positions and logits of each forward
        ({**follows}, [(1, end - 1, steps)]),
        ({**follows, "span": (1, 3)}, [(1, start + 2, 2)]),
        ({**follows, "against": [OTHER] * steps}, [(1, end - 1, steps)]),
        ({**follows, "against": "runner-up"}, [(1, end - 1, steps)] * 2),
        ({"span": (2, 5)}, [(1, 4, 3)]),
        ({"target": [OTHER, 20, 21]}, [(1, start, 1)]),
    ]
    try:
        for options, forwards in costs:
            seen.update(forwards=[], backwards=0)
            visualizer.compute_saliency(PROMPT, method="saliency", **options)
            assert seen == {"forwards": forwards, "backwards": 1}, options
        seen.update(forwards=[], backwards=0)
        visualizer.compute_saliency([PROMPT, "A king", PROMPT, PROMPT], target=OTHER, method="saliency")
        short = len(visualizer.tokenizer("A king")["input_ids"])
        seen["forwards"].sort()  # batches of one length may come in any order
        assert seen == {"forwards": [(1, short, 1), (3, start, 1)], "backwards": 2}
    finally:
        handle.remove()


RAGGED = [PROMPT, "Don't call it bad!", "A king: שלום 你好", PROMPT[::-1], "A </script> 👨‍👩‍👧"]


@pytest.mark.parametrize(
    ("name", "method"),
    [
        *[(name, method) for name in ("gpt2", "llama", "mamba") for method in ("saliency", "leave_one_out")],
        ("gpt2", "integrated_gradients"),
    ],
)
def test_many_prompts_in_any_order_are_each_alone(name, method):
    visualizer = visualizer_of(name)
    following = [f" a {word}" for word in ("king", "film", "dull plot", "king", "שלום")]
    prompts: list = list(RAGGED)
    if name == "gpt2":  # its tokenizer has a chat template
        prompts[1] = [{"role": "user", "content": "A king?"}]
    asked = [
        {"target": "next", "against": "runner-up"},
        {"target": "continuation", "continuation": following, "per_token": True},
    ]
    if method != "integrated_gradients":
        asked += [{}, {"target": "continuation", "continuation": " a king", "span": "king"}]
    for options in asked:
        alone = []
        for number, prompt in enumerate(prompts):
            own = dict(options)
            if own.get("continuation") is following:
                own["continuation"] = following[number]
            alone.append(visualizer.compute_saliency(prompt, method=method, **own))
        order = [3, 1, 4, 0, 2]
        given = dict(options)
        if given.get("continuation") is following:
            given["continuation"] = [following[number] for number in order]
        found = visualizer.compute_saliency([prompts[number] for number in order], method=method, **given)
        for number, one in zip(order, found, strict=True):
            expected = alone[number]
            assert one.targets == expected.targets
            assert one.tokens.texts == expected.tokens.texts
            assert close(one.outputs, expected.outputs, np.abs(expected.outputs).max())
            scale = np.abs(expected.scores).max() + (method == "leave_one_out")
            assert close(one.scores, expected.scores, scale)


@pytest.mark.parametrize("name", ["bert", "gpt2-classifier"])
def test_many_texts_with_many_targets_in_any_order_are_each_alone(name):
    visualizer = visualizer_of(name)
    asked = [TEXT, (TEXT, PAIR), PAIR, TEXT, "A </script> 👨‍👩‍👧"]
    options = {"target": "all", "quantity": "log_prob", "method": "leave_one_out"}
    alone = [visualizer.compute_saliency(one, **options) for one in asked]
    for order in ([0, 1, 2, 3, 4], [4, 2, 0, 1, 3]):
        found = visualizer.compute_saliency([asked[number] for number in order], **options)
        for number, one in zip(order, found, strict=True):
            assert one.tokens.texts == alone[number].tokens.texts
            assert close(one.scores, alone[number].scores, np.abs(alone[number].outputs).max())


def test_lists_and_chats_are_told_apart():
    visualizer = visualizer_of("gpt2")
    chat = [{"role": "user", "content": "A king?"}]
    one = visualizer.compute_saliency(chat, method="saliency")
    many = visualizer.compute_saliency([chat, "A king?", tuple(chat)], method="saliency")
    assert visualizer.compute_saliency([], method="saliency") == []
    assert [len(found.tokens) for found in many] == [
        len(one.tokens),
        len(visualizer.tokenizer("A king?")["input_ids"]),
        len(one.tokens),
    ]
    assert (many[0].scores == many[2].scores).all()


def test_several_next_tokens_are_not_steps():
    found = visualizer_of("gpt2").compute_saliency(PROMPT, target=[OTHER, 20], method="saliency")
    assert targets_name(found.targets) == "log-probability of each target"


MISUSES = {
    "a sum of probabilities": (
        {"target": "continuation", "continuation": CONTINUATION, "span": (0, 2), "quantity": "prob"},
        "The probabilities of 2 tokens cannot be summed to one target. "
        "Pass quantity='log_prob' for their joint log-probability, or per_token=True.",
    ),
    "a span of the next token": (
        {"target": "next", "span": (0, 1)},
        "span needs target='continuation' or 'loss'. Got target='next'. Pass target='continuation'.",
    ),
    "a continuation and another target": (
        {"target": "next", "continuation": CONTINUATION},
        "A continuation is given, but the target is not the continuation. Got target='next'. "
        "Pass target='continuation', or leave one of the two out.",
    ),
    "a contrast of a function": (
        {"target": lambda outputs: outputs.logits[0, 0, 0], "against": 9},
        "against needs target='next', 'continuation' or a token. Got a function. Pass target='next'.",
    ),
    "a quantity of the loss": (
        {"quantity": "prob"},
        "The loss is explained as it is. Got quantity='prob'. "
        "Leave quantity out, or pass target='next' or 'continuation'. "
        "To explain the token 'loss', pass its id or ['loss'] as target.",
    ),
    "a quantity of a function": (
        {"target": lambda outputs: outputs.logits[0, 0, 0], "quantity": "logit"},
        "The value of a function is explained as it is. Got quantity='logit'. "
        "Leave quantity out, or pass target='next' or 'continuation'.",
    ),
    "no token": (
        {"target": []},
        "The list of target tokens is empty. Pass a token, or target='next' for the likeliest.",
    ),
    "a list as the contrast of one token": (
        {"target": 9, "against": [8]},
        "A token must be a text or an id. Got [8]. Pass for example ' Paris' or 3681.",
    ),
    "continuations of one prompt": (
        {"target": "continuation", "continuation": [" a", " b"]},
        "Got 2 continuations for 1 prompt. "
        "Pass a list of prompts and as many continuations, or one continuation for all.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("misuse", MISUSES)
def test_what_does_not_fit_is_told_before_anything_runs(misuse):
    options, message = MISUSES[misuse]
    with pytest.raises(InputError) as caught:
        visualizer_of("gpt2").compute_saliency(PROMPT, **options)
    assert str(caught.value) == message


@pytest.mark.parametrize("options", [{"against": 1}, {"quantity": "prob"}])
def test_a_function_of_a_classifier_is_explained_as_it_is(options):
    with pytest.raises(InputError) as caught:
        visualizer_of("bert").compute_saliency(TEXT, target=lambda outputs: outputs.logits[0, 0], **options)
    assert str(caught.value) == (
        "The value of a function is explained as it is: against and quantity do not apply. "
        "Leave them out, and let the function return what to explain."
    )
