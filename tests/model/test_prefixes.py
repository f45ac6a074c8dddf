"""Rows of models whose answer at a position depends on the text's length are those of each prefix."""

import copy

import pytest
import tiny_tokenizers
import torch
from length_dependent import SPARSE, longrope, model_of, with_capacity

from model_understanding import GenerativeModelVisualizer
from model_understanding.model.prefixes import prefixes_agree

PROMPT, CONTINUATION = "The king was in the land far away, once. " * 2, "The film was wonderful."
TOKENIZER = tiny_tokenizers.gpt2_like()

MODELS = {
    "longrope, crossed": lambda start, end: longrope((start + end) // 2),
    "longrope of another model, crossed": lambda start, end: longrope((start + end) // 2, "Llama"),
    "longrope, all short": lambda start, end: longrope(100),
    "longrope, all long": lambda start, end: longrope(start - 2),
    "sparse attention": lambda start, end: model_of("DeepseekV32", index_topk=6, **SPARSE),
    "sparse attention with room": lambda start, end: model_of("DeepseekV32", index_topk=100, **SPARSE),
    "experts of limited capacity": lambda start, end: with_capacity(),
    "plain": lambda start, end: model_of("Llama"),
}
AGREE = {"longrope, all short", "longrope, all long", "sparse attention with room", "plain"}


def rows_by_hand(model, prompt, continuation):
    """Plain torch: each continuation token's log-probability and gradient norms, from its own prefix."""
    values, rows = [], []
    ids = torch.tensor([prompt + continuation])
    for end in range(len(prompt), ids.shape[1]):
        kept = []

        def leaf(module, arguments, output, kept=kept):
            kept.append(output.detach().requires_grad_())
            return kept[-1] * 1.0

        handle = model.get_input_embeddings().register_forward_hook(leaf)
        logits = model(input_ids=ids[:, :end], use_cache=False).logits
        handle.remove()
        value = logits[0, -1].log_softmax(-1)[ids[0, end]]
        (gradient,) = torch.autograd.grad(value, kept[0])
        values.append(value.item())
        rows.append(gradient[0].norm(dim=-1))
    return values, rows


@pytest.mark.parametrize("name", MODELS)
def test_each_token_is_explained_from_its_own_prefix(name):
    start, rest = (TOKENIZER(text)["input_ids"] for text in (PROMPT, CONTINUATION))
    model = MODELS[name](len(start), len(start) + len(rest))
    values, rows = rows_by_hand(copy.deepcopy(model), start, rest)
    visualizer = GenerativeModelVisualizer(model=model, tokenizer=TOKENIZER)
    encoding = visualizer._encode(PROMPT, CONTINUATION)
    agree = prefixes_agree(visualizer.runner.model, encoding, len(start), len(start) + len(rest) - 1)
    assert agree == (name in AGREE)

    options = {"continuation": CONTINUATION, "method": "saliency", "target": "continuation"}
    found = visualizer.compute_saliency(PROMPT, per_token=True, **options)
    assert torch.tensor(found.outputs) == pytest.approx(torch.tensor(values), abs=1e-4)
    for row, expected in zip(found.scores, rows, strict=True):
        assert row[: len(expected)] == pytest.approx(expected.numpy(), rel=1e-3, abs=1e-5)
        assert not row[len(expected) :].any()
    together = visualizer.compute_saliency(PROMPT, **options)
    assert together.outputs[0] == pytest.approx(sum(values), abs=1e-3)
    record = visualizer.generate(PROMPT, continuation=CONTINUATION)
    assert record.probabilities == pytest.approx(torch.tensor(values).exp().numpy(), rel=1e-3, abs=1e-7)


def test_what_comes_from_one_pass_warns():
    visualizer = GenerativeModelVisualizer(model=longrope(20), tokenizer=TOKENIZER)
    options = {"continuation": CONTINUATION}
    for result, subject in (
        (visualizer.compute_attention(PROMPT, **options), "The attention shown comes"),
        (visualizer.compute_query_key(PROMPT, layer=0, query=2), "Queries and keys come"),
        (visualizer.score_heads(PROMPT, scores="entropy"), "The heads' attention comes"),
        (visualizer.compute_saliency(PROMPT, target="loss", method="saliency"), "The loss comes"),
    ):
        assert any(subject in caution for caution in result.provenance.cautions), subject
    plain = GenerativeModelVisualizer(model=longrope(100), tokenizer=TOKENIZER)
    assert plain.compute_attention(PROMPT, **options).provenance.cautions == ()


def test_the_loss_is_that_of_one_pass_as_in_transformers():
    model = longrope(20)
    ids = torch.tensor([TOKENIZER(PROMPT)["input_ids"]])
    expected = copy.deepcopy(model)(input_ids=ids, labels=ids, use_cache=False).loss.item()
    visualizer = GenerativeModelVisualizer(model=model, tokenizer=TOKENIZER)
    found = visualizer.compute_saliency(PROMPT, target="loss", method="saliency")
    assert found.outputs[0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["longrope, crossed", "sparse attention"])
def test_the_lens_and_removals_follow_each_prefix(name):
    start, rest = (TOKENIZER(text)["input_ids"] for text in (PROMPT, CONTINUATION))
    model = MODELS[name](len(start), len(start) + len(rest))
    values, _ = rows_by_hand(copy.deepcopy(model), start, rest)
    visualizer = GenerativeModelVisualizer(model=model, tokenizer=TOKENIZER)
    lens = visualizer.compute_logit_lens(PROMPT, continuation=CONTINUATION)
    assert lens.next_probabilities[-1] == pytest.approx(
        torch.tensor(values).exp().numpy(), rel=1e-3, abs=1e-7
    )

    removed = visualizer.compute_saliency(PROMPT, continuation=CONTINUATION, method="leave_one_out")
    embeddings, position = model.get_input_embeddings(), 3
    handle = embeddings.register_forward_hook(replaced_by(removed.parameters["replacement"], position))
    without, _ = rows_by_hand(model, start, rest)
    handle.remove()
    assert removed.scores[0, position] == pytest.approx(sum(values) - sum(without), abs=2e-3)


def replaced_by(replacement, position):
    """Put the padding token's or the mean embedding in place of one token's."""

    def hook(module, arguments, output):
        row = module.weight[0] if replacement == "pad" else module.weight.mean(0)
        kept = torch.arange(output.shape[1])[:, None] != position
        return torch.where(kept, output, row)

    return hook
