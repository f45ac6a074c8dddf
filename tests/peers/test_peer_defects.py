"""Defects that were seen in other packages, each with a test that would fail if we had it.

What other tests hold already is only named here:

| defect | test |
|---|---|
| GIM's formulas, rule by rule (2) | attribution/test_gim.py |
| IG against captum at equal nodes, gaps told (3) | attribution/test_integrated_gradients.py |
| template tokens stay (4) | runner/test_chat.py |
| alone = batched = padded, every architecture (5, 11) | conformance/test_gradients.py |
| nothing is patched, other threads (8) | runner/test_modified_backward.py |
| multi-label models explained with softmax (transformers-interpret issue 107) | conformance/test_targets.py |
| occlusion without its sign (Inseq 0.7.1) | conformance/test_targets.py, attribution/test_occlusion.py |
| a forward for each token, a backward for each text over the whole batch (Inseq, Captum, Interpreto) | \
conformance/test_untouched.py, conformance/test_targets.py |
| all steps of a path in one batch (Captum) | runner/test_paths.py |
| token id 0 as the baseline, unnamed (Captum) | runner/test_baselines.py |
| ``output_attentions`` empty under fused attention | conformance/test_attention.py |
"""

import ast
import threading
from pathlib import Path

import numpy as np
import oracles
import pytest
import tiny_models
import torch
from by_hand import call, gradients_by_hand, left_out_by_hand
from pass_counts import measured
from tiny_models import PROBE, TEXTS, visualizer_of
from transformers import pipeline

import model_understanding
from model_understanding.attribution.gim import Gim
from model_understanding.attribution.integrated_gradients import IntegratedGradients
from model_understanding.attribution.shapley_sampling import ShapleySampling
from model_understanding.backward_rules import attention, mode
from model_understanding.model.causality import is_causal

PLAIN_METHODS = ("saliency", "leave_one_out", "integrated_gradients")
MODIFIED = ("gim", "attn_lrp", "cp_lrp")
FOLLOWING = " a king lived."


def log_probabilities(ids, start):
    """Return how one forward's logits give each continued token's log-probability."""
    return lambda line: [line[p - 1].log_softmax(-1)[ids[p]] for p in range(start, len(ids))]


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_1_cached_forwards_give_the_log_probabilities_of_one_pass(name):
    """Captum 0.9.0, ``LLMAttribution`` by default: ids are fed again on top of the cache.

    Silently wrong on Llama (−6.65 where one pass gives −3.67), an IndexError on GPT-2.
    """
    visualizer = visualizer_of(name)
    cached = []

    def count(module, arguments, keywords, outputs):
        if keywords.get("past_key_values") is not None:
            cached.append((keywords["input_ids"].shape[1], keywords["attention_mask"].shape[1]))

    handle = visualizer.model.register_forward_hook(count, with_kwargs=True)
    try:
        found = visualizer.compute_saliency(
            f"{PROBE} {PROBE}",
            target="continuation",
            continuation=FOLLOWING,
            per_token=True,
            method="leave_one_out",
        )
    finally:
        handle.remove()
    assert any(own < whole for own, whole in cached)  # keys and values of a prefix were used
    ids = found.tokens.ids.tolist()
    start = len(ids) - len(found.targets)
    read = log_probabilities(ids, start)
    inputs = {"input_ids": torch.tensor([ids])}
    logits, _ = call(visualizer.model, inputs)
    assert oracles.close(found.outputs, torch.stack(read(logits[0])), 2e-5)
    expected = left_out_by_hand(visualizer, inputs, ~found.tokens.special, read)
    assert oracles.close(found.scores, expected, 1e-4)


def counted_but_not_frozen(self, function, arguments, keywords):
    self.norms += 1
    return function(*arguments, **keywords)


def unscaled(value, factor):
    return value


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ["llama", "gemma3"])
def test_2_each_ingredient_of_gim_acts_on_models_as_they_are_loaded(name, implementation, monkeypatch):
    """gim-explain 0.1.4: on Llama with sdpa the norm freeze and the temperature do nothing.

    ``LlamaRMSNorm`` is no ``nn.RMSNorm`` and the fused kernel never calls the patched softmax; with eager
    attention there is a TypeError. GPT-2 in bfloat16 crashes, and gradients stay on the parameters.
    """
    visualizer = visualizer_of(name, implementation)

    def scores(**settings):
        return visualizer.compute_saliency(PROBE, target="next", method=Gim(**settings)).scores

    whole = scores()
    assert not oracles.close(scores(temperature=1.0), whole, 1e-2)
    with monkeypatch.context() as without:
        without.setattr(mode.ModifiedBackward, "_statistic", counted_but_not_frozen)
        assert not oracles.close(scores(), whole, 1e-2)
    with monkeypatch.context() as without:
        without.setattr(mode, "scale_arriving_gradient", unscaled)
        without.setattr(attention, "with_scaled_gradient", unscaled)
        assert not oracles.close(scores(), whole, 1e-2)
    assert (scores() == whole).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_2_gim_runs_in_half_precision_and_leaves_no_gradients(name, dtype):
    """gim-explain 0.1.4: a crash on GPT-2 in bfloat16, ``.grad`` on 26 of 26 parameters."""
    model = tiny_models.fresh(name).to(dtype)
    found = visualizer_of(name, model=model).compute_saliency(PROBE, target=9, method="gim")
    expected = visualizer_of(name).compute_saliency(PROBE, target=9, method="gim")
    assert oracles.close(found.scores, expected.scores, 0.15)
    assert all(p.grad is None and p.requires_grad and p.dtype is dtype for p in model.parameters())


@pytest.mark.parametrize("name", ["bert", "llama-classifier"])
def test_3_integrated_gradients_are_signed_complete_and_converge(name):
    """Interpreto 0.5.2: absolute values are taken before the integral, times the point on the way.

    Never below 0, no completeness (.087 where the difference is .157), no convergence. Also
    transformers-interpret 0.10.0: the baseline was run at other positions than the text.
    """
    visualizer = visualizer_of(name)
    model, tokenizer = visualizer.model, visualizer.tokenizer
    inputs = dict(tokenizer(PROBE, return_tensors="pt"))
    own = ~torch.tensor(tokenizer(PROBE, return_special_tokens_mask=True)["special_tokens_mask"]).bool()
    substitute = tokenizer.mask_token_id or tokenizer.pad_token_id
    row = model.get_input_embeddings().weight[substitute].detach()
    ends = [
        call(model, inputs, change)[0][0, 1]
        for change in (None, lambda output: torch.where(own[None, :, None], row, output))
    ]
    baseline = "mask" if tokenizer.mask_token_id else "pad"
    fine = None
    for nodes in (200, 50, 20):
        method = IntegratedGradients(baseline=baseline, nodes=nodes, max_nodes=2048, tolerance=1e-4)
        found = visualizer.compute_saliency(PROBE, target=1, method=method)
        assert found.outputs[0] == pytest.approx(float(ends[0]), abs=1e-5)
        assert found.baseline_outputs[0] == pytest.approx(float(ends[1]), abs=1e-5)
        assert found.scores.min() < 0 < found.scores.max()
        scale = float(np.abs(found.scores).sum())
        assert found.scores.sum() == pytest.approx(float(ends[0] - ends[1]), abs=2e-4 * scale)
        fine = found.scores if fine is None else fine
        assert oracles.close(found.scores, fine, 5e-2)  # a gap as small may hide errors that cancel


@pytest.mark.parametrize("method", [*PLAIN_METHODS, "shapley_sampling", "gim"])
def test_4_the_model_reads_every_token_and_keeps_its_size(method):
    """Interpreto 0.5.2 decodes without special tokens and tokenizes again; it adds ``[REPLACE]``.

    Beginning-of-text and chat-role tokens are gone before the model sees them, and the user's embeddings
    are resized.
    """
    messages = [{"role": "user", "content": "A king?"}]
    for name, asked in (("llama", "A king?"), ("gpt2", messages), ("bert", "A king?")):
        visualizer = visualizer_of(name, model=tiny_models.fresh(name))
        model, tokenizer = visualizer.model, visualizer.tokenizer
        table = model.get_input_embeddings().weight
        size, words, added = len(tokenizer), dict(tokenizer.get_vocab()), dict(tokenizer.get_added_vocab())
        if asked is messages:
            expected = list(
                tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)[
                    "input_ids"
                ]
            )
        else:
            expected = tokenizer(asked)["input_ids"]
        special = np.isin(expected, tokenizer.all_special_ids)
        assert special.any()
        options = {"target": 0} if name == "bert" else {"target": 9}
        visualizer.compute_saliency(asked, method=method, **options)  # what is measured once, on other ids
        rows = []
        handle = model.register_forward_pre_hook(
            lambda module, arguments, keywords, rows=rows: rows.append(keywords["input_ids"].clone()),
            with_kwargs=True,
        )
        found = visualizer.compute_saliency(asked, method=method, **options)
        handle.remove()
        assert found.tokens.ids.tolist() == expected
        for ids in rows:
            part = ids.shape[1]  # a cached forward runs only the end
            assert (ids.numpy()[:, special[-part:]] == np.array(expected)[-part:][special[-part:]]).all()
        assert model.get_input_embeddings().weight is table
        assert model.config.vocab_size == size == len(tokenizer)
        assert (tokenizer.get_vocab(), tokenizer.get_added_vocab()) == (words, added)


@pytest.mark.parametrize("name", ["gpt2", "llama", "opt", "bloom"])
def test_5_decoders_explain_a_prompt_as_alone_whatever_its_batch_mates(name):
    """Inseq 0.7.1 pads on the left without position ids: a target logit is 3.65 alone and 1.41 batched.

    LIT's ``HFSalienceModel`` (11) is of the same class.
    """
    visualizer = visualizer_of(name)
    prompts = [PROBE, "A king", *TEXTS[1:], "A film", PROBE[::-1]]
    found = visualizer.compute_saliency(prompts, target=9, quantity="logit", method="saliency")
    for prompt, one in zip(prompts, found, strict=True):
        inputs = {"input_ids": torch.tensor([visualizer.tokenizer(prompt)["input_ids"]])}
        values, _, gradients = gradients_by_hand(visualizer.model, inputs, lambda line: [line[-1, 9]])
        assert oracles.close(one.outputs, values)
        assert oracles.close(one.scores, gradients.norm(dim=-1), 2e-5)


@pytest.mark.parametrize(
    "asked",
    [
        "The film ,  was wonderful ; don 't call it bad !",
        ("Don't call it bad!", "A dull plot , but"),
        "A </script> 👨‍👩‍👧 שלום",
    ],
)
def test_6_the_explained_probability_is_the_models_own(asked):
    """transformers-interpret 0.10.0 gives BERT's last ``[SEP]`` token type 1 and rewrites the text.

    It explains .6485 where the model says .8154.
    """
    visualizer = measured(visualizer_of("bert"))
    model, tokenizer = visualizer.model, visualizer.tokenizer
    answer = pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None)
    is_pair = isinstance(asked, tuple)
    given = {"text": asked[0], "text_pair": asked[1]} if is_pair else {"text": asked}
    expected = {one["label"]: one["score"] for one in answer(given)}
    seen = []
    handle = model.register_forward_pre_hook(
        lambda module, arguments, keywords: seen.append(keywords["token_type_ids"]), with_kwargs=True
    )
    for method in PLAIN_METHODS:
        found = visualizer.compute_saliency(asked, target="all", quantity="prob", method=method)
        for target, output in zip(found.targets, found.outputs, strict=True):
            assert output == pytest.approx(expected[target.labels[0]], abs=1e-6)
        assert found.tokens.texts == (asked if is_pair else (asked,))
    handle.remove()
    types = tokenizer(*asked if is_pair else (asked,))["token_type_ids"]
    assert types[-1] == is_pair
    assert all((rows == torch.tensor(types)).all() for rows in seen)


def test_7_no_models_own_file_is_imported():
    """LXT 2.1 imports the code of every model it knows: one removed name breaks it on transformers 5."""
    package = Path(model_understanding.__file__).parent
    imported = set()
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                imported.add(node.module or "")
            elif isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
    ours = {name for name in imported if name.split(".")[0] == "transformers"}
    assert "transformers" in ours
    assert not {name for name in ours if name.startswith("transformers.models")}


@pytest.mark.parametrize("method", MODIFIED)
@pytest.mark.parametrize("name", ["llama", "gpt2", "bert"])
def test_8_another_model_of_the_same_kind_does_not_change(name, method):
    """LXT patches the model's module for good: a model built before computes other gradients, too.

    The other model is run plainly before, in the middle of and after an explanation of the first.
    """
    other, model = tiny_models.fresh(name), tiny_models.fresh(name)
    inputs = {"input_ids": torch.tensor([visualizer_of(name).tokenizer(PROBE)["input_ids"]])}

    def run():
        other.zero_grad(set_to_none=True)
        logits = other(**inputs).logits
        (logits * torch.linspace(-1, 1, logits.shape[-1])).sum().backward()
        return [logits.detach(), *(p.grad for p in other.parameters() if p.grad is not None)]

    def run_elsewhere(*_):
        thread = threading.Thread(target=lambda: during.append(run()))
        thread.start()
        thread.join()

    before, during = run(), []
    head = model.classifier if name == "bert" else model.get_output_embeddings()
    handle = head.register_forward_hook(run_elsewhere)
    options = {"target": 0} if name == "bert" else {"target": 9}
    try:
        found = visualizer_of(name, model=model).compute_saliency(PROBE, method=method, **options)
    finally:
        handle.remove()
    assert found.scores.any()
    assert during
    assert len(before) > 10
    for again in (*during, run()):
        assert all(torch.equal(one, two) for one, two in zip(before, again, strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["llama", "gpt2", "bert"])
def test_9_shapley_values_of_a_model_in_half_precision(name, dtype):
    """SHAP 0.51 ``TeacherForcing``: a TypeError, since numpy has no bfloat16; 18 s for 5 + 2 tokens.

    Also its ``exp`` without the maximum taken off first.
    """
    model = tiny_models.fresh(name).to(dtype)
    visualizer = visualizer_of(name, model=model)
    assert name == "bert" or is_causal(visualizer.runner.model)  # measured once, by a forward of its own
    rows = []
    handle = model.register_forward_pre_hook(
        lambda module, arguments, keywords: rows.append(len(keywords["input_ids"])), with_kwargs=True
    )
    options = (
        {"target": 0, "quantity": "prob"}
        if name == "bert"
        else {"target": "continuation", "continuation": " a"}
    )
    found = visualizer.compute_saliency("A king?", method=ShapleySampling(), **options)
    handle.remove()
    assert found.scores.dtype == np.float32
    assert found.scores.any()
    assert found.gaps[0] == pytest.approx(0, abs=1e-5)
    players = int((~found.tokens.special[: int(found.valid[0].sum())]).sum())
    assert sum(rows) <= 2**players + 3  # each combination once; a text and two rows to check the cache
    inputs = {"input_ids": torch.from_numpy(found.tokens.ids.copy())[None]}
    logits, _ = call(model, inputs)
    if name == "bert":
        expected = logits[0].float().softmax(-1)[0]
    else:
        read = log_probabilities(found.tokens.ids, len(found.tokens) - 1)
        expected = torch.stack(read(logits[0].float()))
    assert found.outputs[0] == pytest.approx(float(expected.sum()), rel=2e-2)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_9_probabilities_of_huge_logits_are_finite(name):
    """SHAP 0.51 takes ``exp`` of the logits as they are."""
    model = tiny_models.fresh(name)
    ids = torch.tensor([visualizer_of(name).tokenizer(PROBE)["input_ids"]])
    head = model.get_output_embeddings()
    head.weight = torch.nn.Parameter(head.weight.detach() * 1e4)  # no longer the embedding table
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0, -1]
    assert logits.max() > 1000
    best = int(logits.argmax())
    for quantity, expected in (("prob", logits.softmax(-1)), ("log_prob", logits.log_softmax(-1))):
        found = visualizer_of(name, model=model).compute_saliency(
            PROBE, target=best, quantity=quantity, method="saliency"
        )
        assert found.outputs[0] == pytest.approx(float(expected[best]), abs=1e-5)
        assert np.isfinite(found.scores).all()


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma3"])
def test_10_probabilities_are_over_the_vocabulary(name):
    """PIZZA takes the softmax of (1, tokens, vocabulary) over axis 1: the text."""
    visualizer = visualizer_of(name)
    size = visualizer.model.config.vocab_size
    found = visualizer.compute_saliency(
        PROBE, target=list(range(size)), quantity="prob", method="input_x_gradient"
    )
    assert found.outputs.sum() == pytest.approx(1, abs=1e-5)
    # What all together have does not change, whatever the text.
    assert np.abs(found.scores.sum(0)).max() <= 1e-4 * np.abs(found.scores).sum(0).max()
    ids = torch.tensor([visualizer.tokenizer(PROBE)["input_ids"]])
    with torch.no_grad():
        expected = visualizer.model(input_ids=ids).logits[0, -1].softmax(-1)
    assert oracles.close(found.outputs, expected)


@pytest.mark.parametrize("name", ["gpt2", "llama", "opt"])
def test_11_a_logit_is_a_logit_and_every_row_begins_at_position_0(name):
    """LIT's ``HFSalienceModel`` pads on the left without position ids and explains the loss, not a logit."""
    visualizer = visualizer_of(name)
    masks = []

    def see(module, arguments, keywords):
        masks.append(keywords.get("attention_mask"))
        assert keywords.get("position_ids") is None

    prompts = [PROBE, "A king", PROBE]
    handle = visualizer.model.register_forward_pre_hook(see, with_kwargs=True)
    try:
        found = visualizer.compute_saliency(prompts, target=9, quantity="logit", method="saliency")
        others = visualizer.compute_saliency(prompts, target=9, quantity="log_prob", method="saliency")
    finally:
        handle.remove()
    assert all(mask is None or bool(mask.all()) for mask in masks)
    for prompt, logit, log_probability in zip(prompts, found, others, strict=True):
        inputs = {"input_ids": torch.tensor([visualizer.tokenizer(prompt)["input_ids"]])}
        values, _, gradients = gradients_by_hand(
            visualizer.model, inputs, lambda line: [line[-1, 9], line[-1].log_softmax(-1)[9]]
        )
        norms = gradients.norm(dim=-1)
        assert oracles.close(logit.outputs, values[:1])
        assert oracles.close(logit.scores[0], norms[0], 2e-5)
        assert oracles.close(log_probability.scores[0], norms[1], 2e-5)
        assert not oracles.close(norms[0], norms[1], 1e-2)


@pytest.mark.parametrize("continuation", ["is a city", " is  a city", "👍", "a", "</script>"])
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_a_continuation_is_the_callers_own(name, continuation):
    """Interpreto 0.5.2 puts a blank before a continuation and tokenizes it again; one token fails.

    Inseq issues 278, 198 and 214: "Forced generations must start with the input texts".
    """
    visualizer = visualizer_of(name)
    ids = visualizer.tokenizer(continuation, add_special_tokens=False)["input_ids"]
    found = visualizer.compute_saliency(
        PROBE, target="continuation", continuation=continuation, method="saliency"
    )
    assert list(found.targets[0].indices) == ids
    assert found.tokens.texts == (PROBE, continuation)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_the_share_of_the_generated_prefix_is_kept(name):
    """Captum 0.9.0 ``LLMGradientAttribution`` moves the prefix too and throws its share away.

    The scores of the prompt then add up to nothing in particular (−7.36 where the change is −2.11).
    """
    visualizer = visualizer_of(name)
    method = IntegratedGradients(tolerance=1e-3, max_nodes=1024)
    found = visualizer.compute_saliency(
        "A king", target="continuation", continuation=FOLLOWING, per_token=True, method=method
    )
    start = found.targets[0].positions[0] + 1
    change = found.outputs - found.baseline_outputs
    scale = np.abs(found.scores).sum(1)
    assert (np.abs(found.scores.sum(1) - change) <= 2e-3 * scale).all()
    assert np.abs(found.scores[1:, start:]).max() > 0.05 * np.abs(found.scores).max()


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_scores_are_raw(name):
    """transformers-interpret 0.10.0 divides scores by their norm, Inseq's occlusion loses their sign."""
    visualizer = visualizer_of(name, model=tiny_models.fresh(name))
    once = visualizer.compute_saliency(PROBE, target=0, method="leave_one_out")
    with torch.no_grad():
        head = [p for n, p in visualizer.model.named_parameters() if n.startswith("classifier")][-2:]
        for parameter in head:
            parameter.mul_(3)
    thrice = visualizer.compute_saliency(PROBE, target=0, method="leave_one_out")
    assert oracles.close(thrice.scores, 3 * once.scores, 1e-4)
    assert once.scores.min() < 0 < once.scores.max()
