"""Other threads run and train the user's model while it is explained: neither disturbs the other."""

import threading
from concurrent.futures import ThreadPoolExecutor

import oracles
import pytest
import torch
from tiny_models import CLASSIFIERS, PROBE, fresh, visualizer_of

from model_understanding import InputError

NAMES = ["bert", "roberta", "gpt2-classifier", "gpt2", "llama", "gemma3"]
CALLS = {
    "saliency": lambda visualizer: visualizer.compute_saliency(PROBE, method="saliency"),
    "layer": lambda visualizer: visualizer.compute_saliency(PROBE, method="saliency", layer=1),
    "gim": lambda visualizer: visualizer.compute_saliency(PROBE, method="gim"),
    "leave_one_out": lambda visualizer: visualizer.compute_saliency(PROBE, method="leave_one_out"),
    "attention": lambda visualizer: visualizer.compute_attention(PROBE, kind="value_zeroing"),
    "analyze": lambda visualizer: visualizer.analyze(PROBE, show=False),
}


def inputs_of(visualizer):
    return visualizer.tokenizer(PROBE, return_tensors="pt")


def meanwhile(model, call):
    """Call a function in another thread, once, in the middle of every forward pass of this thread."""
    main, failures = threading.get_ident(), []

    def run(*_):
        if threading.get_ident() != main:
            return

        def caught():
            try:
                call()
            except Exception as error:
                failures.append(error)

        thread = threading.Thread(target=caught)
        thread.start()
        thread.join()

    middle = [module for module in model.modules() if isinstance(module, torch.nn.LayerNorm)]
    middle = middle or [module for module in model.modules() if "Norm" in type(module).__name__]
    return middle[len(middle) // 2].register_forward_hook(run), failures


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", NAMES)
def test_forward_passes_of_others_get_the_models_own_answer(name, call):
    model = fresh(name)
    visualizer = visualizer_of(name, model=model)
    inputs, answers = inputs_of(visualizer), []
    with torch.no_grad():
        own = model(**inputs).logits

    def serve():
        with torch.no_grad():
            answers.append(torch.equal(model(**inputs).logits, own))

    handle, failures = meanwhile(model, serve)
    CALLS[call](visualizer)
    handle.remove()
    assert not failures
    assert answers
    assert all(answers)


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_gradients_of_others_reach_every_weight(name):
    model = fresh(name)
    visualizer = visualizer_of(name, model=model)
    expected = visualizer.compute_saliency(PROBE, method="integrated_gradients")
    model.train()
    inputs, sizes = inputs_of(visualizer), []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model(**inputs).logits.square().sum().backward()
    own = {key: weight.grad.clone() for key, weight in model.named_parameters() if weight.grad is not None}

    def train():
        model.zero_grad()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model(**inputs).logits.square().sum().backward()
        sizes.append(all(torch.equal(model.get_parameter(key).grad, grad) for key, grad in own.items()))

    handle, failures = meanwhile(model, train)
    found = visualizer.compute_saliency(PROBE, method="integrated_gradients")
    handle.remove()
    assert not failures
    assert all(sizes)
    assert model.training
    assert oracles.close(found.scores, expected.scores, 0.0)


def test_weights_that_change_meanwhile_are_named_and_training_goes_on():
    model = fresh("bert")
    visualizer = visualizer_of("bert", model=model)
    inputs, losses = inputs_of(visualizer), []
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def step():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(**inputs).logits, torch.tensor([1]))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    handle, failures = meanwhile(model, step)
    with pytest.raises(InputError, match=r"weights of .* changed while"):
        visualizer.compute_saliency(PROBE, method="integrated_gradients")
    handle.remove()
    assert not failures
    assert losses == sorted(losses, reverse=True)
    again = visualizer_of("bert", model=model).compute_saliency(PROBE, method="saliency")
    assert oracles.close(visualizer.compute_saliency(PROBE, method="saliency").scores, again.scores, 0.0)


@pytest.mark.parametrize("name", ["bert", "llama"])
@pytest.mark.parametrize("is_shared", [True, False])
def test_several_threads_explain_at_once(name, is_shared):
    model = fresh(name)
    visualizer = visualizer_of(name, model=model)
    methods = ("saliency", "leave_one_out", "integrated_gradients") * 2
    expected = [visualizer.compute_saliency(PROBE, method=method).scores for method in methods]

    def explain(method):
        own = visualizer if is_shared else visualizer_of(name, model=model)
        return own.compute_saliency(PROBE, method=method).scores

    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(explain, methods))
    assert all(oracles.close(one, other, 0.0) for one, other in zip(found, expected, strict=True))


def test_generating_meanwhile_gives_the_models_own_continuation():
    model = fresh("llama")
    visualizer = visualizer_of("llama", model=model)
    inputs = inputs_of(visualizer)
    own, answers = model.generate(**inputs, max_new_tokens=3, do_sample=False), []

    def generate():
        answers.append(torch.equal(model.generate(**inputs, max_new_tokens=3, do_sample=False), own))

    handle, failures = meanwhile(model, generate)
    visualizer.generate(PROBE, max_new_tokens=2)
    visualizer.compute_saliency(PROBE, method="leave_one_out")
    handle.remove()
    assert not failures
    assert answers
    assert all(answers)


@pytest.mark.parametrize("name", [name for name in NAMES if name in CLASSIFIERS])
def test_a_batch_of_others_without_a_padding_token_is_refused_by_the_model_as_always(name):
    model = fresh(name)
    visualizer = visualizer_of(name, model=model)
    model.config.pad_token_id = None
    seen = []
    handle, failures = meanwhile(model, lambda: seen.append(model.config.pad_token_id))
    visualizer.compute_saliency(PROBE, method="leave_one_out")
    handle.remove()
    assert not failures
    assert set(seen) == {None}
