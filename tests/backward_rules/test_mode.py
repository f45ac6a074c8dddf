"""Modified backward passes on every architecture: what holds, what is left alone, what is refused."""

import threading

import oracles
import pytest
import tiny_models
import tiny_tokenizers
import torch
import transformers as hf
from tiny_models import PROBE, TEXTS, encoded, visualizer_of
from torch.nn import functional

from model_understanding import ModelVisualizer, UnsupportedModelError
from model_understanding.attribution.gim import Gim
from model_understanding.attribution.lrp import AttnLrp, CpLrp
from model_understanding.backward_rules import activations
from model_understanding.backward_rules.mode import _is_norm, modified_backward
from model_understanding.backward_rules.rules import BackwardRules
from model_understanding.model import embeddings
from model_understanding.model import guard as state
from model_understanding.model.causality import is_causal
from model_understanding.passes import gradients
from model_understanding.results import Target

ATTN_LRP = BackwardRules(activations="slope")
CP_LRP = BackwardRules(activations="slope", gates="constant", weights="constant")
GIM = BackwardRules(temperature=2.0)
METHODS = (Gim(), AttnLrp(), CpLrp())
NAMES = tiny_models.each(tiny_models.WITH_ATTENTION)


def drawn(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(len(shape)))


def compared(name, method, implementation=None, model=None):
    visualizer = visualizer_of(name, implementation, model)
    return visualizer.compute_saliency(PROBE, method=method)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@pytest.mark.parametrize("name", NAMES)
def test_fused_attention_gives_what_eager_gives(name, method):
    fused, eager = compared(name, method), compared(name, method, "eager")
    assert oracles.close(fused.scores, eager.scores, 2e-5)
    assert fused.scores.any()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@pytest.mark.parametrize("name", ["mixtral", "gpt-oss"])
def test_every_way_to_compute_experts_gives_the_same(name, method):
    found = []
    for implementation in ("eager", "batched_mm", "grouped_mm"):
        model = tiny_models.fresh(name)
        model.set_experts_implementation(implementation)
        found.append(compared(name, method, model=model).scores)
    assert oracles.close(found[1], found[0], 2e-5)
    assert oracles.close(found[2], found[0], 2e-5)


@pytest.mark.parametrize("rules", [GIM, ATTN_LRP, CP_LRP], ids=["gim", "attn_lrp", "cp_lrp"])
@pytest.mark.parametrize("name", NAMES)
def test_logits_are_those_of_the_plain_forward(name, rules):
    runner = visualizer_of(name).runner
    encoding = encoded(visualizer_of(name), PROBE)

    def logits(outputs):
        seen.append(outputs.logits.detach())
        return outputs.logits.sum()

    seen = []
    runner.gradients(encoding, logits)
    runner.gradients(encoding, logits, rule=modified_backward(runner.model, rules, "rules"))
    assert oracles.close(seen[1], seen[0], 3e-6)


@pytest.mark.parametrize("name", NAMES)
def test_norms_and_activations_conserve_relevance(name):
    """Under AttnLRP Σ x·∂x = Σ (y − bias)·∂y, module by module."""
    model = tiny_models.fresh(name).double()
    if name in ("mixtral", "gpt-oss"):
        model.set_experts_implementation("eager")  # the grouped kernel has no 64-bit numbers
    runner = visualizer_of(name, model=model).runner
    encoding = encoded(visualizer_of(name, model=model), PROBE)
    model = runner.model.module
    seen = []

    def before(module, arguments):
        if arguments and arguments[0].requires_grad:
            alias = arguments[0].view_as(arguments[0])
            alias.retain_grad()
            return (alias, *arguments[1:])
        return None

    def after(module, arguments, output):
        if output.requires_grad:
            output.retain_grad()
            seen.append((module, arguments[0], output))

    modules = [m for m in model.modules() if activations.is_activation(m) or _is_norm(m)]
    rule = modified_backward(runner.model, ATTN_LRP, "attn_lrp")
    with (
        state.guarded(runner.model.module, gradients=True),
        embeddings.replaced_embeddings(runner.model, encoding.ids),
    ):
        with rule():
            for module in modules:
                module.register_forward_pre_hook(before)
                module.register_forward_hook(after)
            logits = runner.model.forward(encoding).logits
        (logits * torch.linspace(-1, 1, logits.shape[-1])).sum().backward()
    assert sum(_is_norm(module) for module, *_ in seen) >= 3
    for module, x, y in seen:
        bias = getattr(module, "bias", None)
        shifted = y if bias is None else y - bias
        assert oracles.close((x * x.grad).sum().detach(), (shifted * y.grad).sum().detach(), 1e-6)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "gemma3", "mixtral", "modernbert"])
def test_targets_are_taken_together_in_one_batched_product(name, method, monkeypatch):
    visualizer = visualizer_of(name)
    encoding = encoded(visualizer, PROBE)
    last = encoding.ids.shape[1] - 1
    place = () if name in tiny_models.CLASSIFIERS else (last,)
    kind = tiny_models.BY_NAME[name].task
    targets = [Target(task=kind, positions=place, indices=(i,), labels=(str(i),)) for i in range(3)]
    alone = [method(visualizer.runner, encoding, [target]).scores[0, 0] for target in targets]
    calls, grad = [], torch.autograd.grad

    def counted(*arguments, **keywords):
        calls.append(keywords)
        return grad(*arguments, **keywords)

    monkeypatch.setattr(gradients.torch.autograd, "grad", counted)
    together = method(visualizer.runner, encoding, targets).scores[0]
    assert [call.get("is_grads_batched") for call in calls] == [True]
    for one, other in zip(together, alone, strict=True):
        assert oracles.close(one, other)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_one_forward_and_one_backward(method, monkeypatch):
    visualizer = visualizer_of("llama")
    encoding = encoded(visualizer, PROBE)
    assert is_causal(visualizer.runner.model)
    forwards, backwards, grad = [], [], torch.autograd.grad
    handle = visualizer.model.register_forward_hook(lambda *_: forwards.append(1))
    monkeypatch.setattr(
        gradients.torch.autograd, "grad", lambda *a, **k: (backwards.append(1), grad(*a, **k))[1]
    )
    last = encoding.ids.shape[1] - 1
    target = Target(task=tiny_models.LANGUAGE_MODEL, positions=(last,), indices=(9,), labels=("9",))
    method(visualizer.runner, encoding, [target])
    handle.remove()
    assert (len(forwards), len(backwards)) == (1, 1)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@pytest.mark.parametrize("name", ["bert", "llama", "gpt2"])
def test_a_text_in_a_batch_is_explained_as_alone(name, method):
    visualizer = visualizer_of(name)
    if name == "gpt2":
        encodings = [encoded(visualizer, PROBE)] * 2
    else:
        encodings = [encoded(visualizer, text) for text in TEXTS]
    batch = visualizer.runner.model.batch(encodings)
    task = tiny_models.BY_NAME[name].task
    place = () if task == tiny_models.CLASSIFIER else (3,)
    target = Target(task=task, positions=place, indices=(1,), labels=("1",))
    together = method(visualizer.runner, batch, [target]).scores
    for row, encoding in enumerate(encodings):
        alone = method(visualizer.runner, encoding, [target]).scores[0]
        assert oracles.close(together[row][:, : alone.shape[1]], alone, 2e-5)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "gemma3"])
def test_half_precision_gives_nearly_what_full_precision_gives(name, method):
    full = compared(name, method)
    half = compared(name, method, model=tiny_models.fresh(name).to(torch.bfloat16))
    if full.targets != half.targets:
        pytest.skip("another prediction in half precision")
    assert oracles.close(half.scores, full.scores, 0.15)


def test_nothing_is_patched_and_no_other_model_or_thread_changes():
    functions = {
        (owner, name): getattr(owner, name)
        for owner in (torch, functional, torch.Tensor, torch.nn.Module)
        for name in ("softmax", "layer_norm", "rsqrt", "matmul", "mul", "forward", "__call__")
        if hasattr(owner, name)
    }
    model, other = tiny_models.fresh("bert"), tiny_models.fresh("bert")
    classes = {type(m): dict(vars(type(m))) for m in model.modules()}
    state = {key: value.clone() for key, value in model.state_dict().items()}
    gelu = model.bert.encoder.layer[0].intermediate.intermediate_act_fn  # of the very model that runs
    x = drawn(2, 3)
    plain = torch.autograd.grad(functional.gelu(leaf := x.clone().requires_grad_()).sum(), leaf)[0]
    results = []

    def elsewhere(*_):
        leaf = x.clone().requires_grad_()
        results.append(torch.autograd.grad(gelu(leaf).sum(), leaf)[0])

    def in_a_thread(*_):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()

    expected = compared("bert", "saliency", model=other).scores
    handle = model.bert.encoder.layer[1].register_forward_hook(in_a_thread)
    for method in METHODS:
        compared("bert", method, model=model)
    handle.remove()
    elsewhere()
    assert len(results) >= 4
    assert all(torch.equal(result, plain) for result in results)
    assert all(getattr(owner, name) == value for (owner, name), value in functions.items())
    assert all(dict(vars(kind)) == before for kind, before in classes.items())
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in state.items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    assert not any(getattr(m, name) for m in model.modules() for name in hooks)
    assert (compared("bert", "saliency", model=other).scores == expected).all()


def test_hooks_are_gone_also_after_an_error():
    model = tiny_models.fresh("bert")
    visualizer = visualizer_of("bert", model=model)

    def broken(outputs):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Gim()(visualizer.runner, encoded(visualizer, PROBE), broken)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_model_without_attention_is_refused(method):
    with pytest.raises(UnsupportedModelError) as caught:
        compared("mamba", method)
    assert str(caught.value) == (
        f"{method.name} needs attention in every layer, but 3 of the 3 layers of MambaForCausalLM have none. "
        "Use method='default' or 'leave_one_out': both work for every model."
    )


def test_layers_of_another_kind_are_refused():
    model = tiny_models.fresh("llama")
    model.config.layer_types = ["full_attention", "conv", "full_attention"]
    runner = visualizer_of("llama", model=model).runner
    with pytest.raises(UnsupportedModelError) as caught:
        modified_backward(runner.model, GIM, "gim")
    assert caught.value.message == (
        "gim needs attention in every layer, but 1 of the 3 layers of LlamaForCausalLM have none."
    )


def test_attention_out_of_sight_is_refused(monkeypatch):
    model = tiny_models.fresh("bert")
    attention = model.bert.encoder.layer[1].attention.self
    monkeypatch.setattr(attention, "forward", lambda hidden_states, *_, **__: (hidden_states, None))
    with pytest.raises(UnsupportedModelError) as caught:
        compared("bert", Gim(), model=model)
    assert str(caught.value) == (
        "The rules of gim do not cover BertForSequenceClassification with attn_implementation='sdpa': found "
        "2 attention layers instead of 3. "
        "Use method='default' or 'leave_one_out': both work for every model."
    )


def test_both_stacks_of_an_encoder_decoder_follow_the_rules():
    """T5 has no biases: with constant attention weights, relevance adds up to the logit."""
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "vocab_size": 420}
    ids = {"decoder_start_token_id": 3, "pad_token_id": 1, "eos_token_id": 2}
    torch.manual_seed(0)
    model = hf.AutoModelForSequenceClassification.from_config(
        hf.T5Config(**sizes, **ids, num_labels=3)
    ).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape) * 0.2 if weight.ndim > 1 else weight)
        model.transformer.shared.weight[3] = 0  # the decoder's first token is no token of the text
    visualizer = ModelVisualizer(model=model, tokenizer=tiny_tokenizers.roberta_like())
    found = visualizer.compute_saliency("A far land", method=CpLrp(), target=0)
    assert abs(float(found.outputs[0])) > 0.05
    assert oracles.close(found.scores.sum(), found.outputs[0], 1e-4)
    for method in ("gim", "attn_lrp"):
        assert visualizer.compute_saliency("A far land", method=method, target=0).scores.any()
    with pytest.raises(UnsupportedModelError, match="encoder–decoder"):
        visualizer.compute_saliency("A far land", method="attention_rollout", target=0)
