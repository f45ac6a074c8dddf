"""Gradients and ablations by hand: a plain call of the model, a hook on its embeddings, autograd.

Nothing of the package runs here, so that it can be compared with.
"""

import torch


def call(model, inputs, change=None, gradients=False):
    """Return the logits and the embeddings they were computed from, changed on the way where asked."""
    kept = []

    def keep(_, arguments, output):
        leaf = (output if change is None else change(output)).detach().requires_grad_(gradients)
        kept.append(leaf)
        return leaf.clone()

    handle = model.get_input_embeddings().register_forward_hook(keep)
    try:
        with torch.set_grad_enabled(gradients):
            logits = model(**inputs).logits
    finally:
        handle.remove()
    return logits, kept[0]


def gradients_by_hand(model, inputs, read):
    """Return the values that ``read`` takes from the logits, embeddings ``(T, D)`` and their gradients."""
    logits, leaf = call(model, inputs, gradients=True)
    values = read(logits[0])
    gradients = [torch.autograd.grad(value, leaf, retain_graph=True)[0][0] for value in values]
    return torch.stack(values).detach(), leaf[0].detach(), torch.stack(gradients)


def left_out_by_hand(visualizer, inputs, content, read):
    """Return value − value with the token's embedding replaced, ``(N, T)``; 0 for special tokens."""
    model, tokenizer = visualizer.model, visualizer.tokenizer
    table = model.get_input_embeddings()
    with torch.no_grad():
        if tokenizer.mask_token_id is not None:
            substitute = table(torch.tensor(tokenizer.mask_token_id))
        elif tokenizer.pad_token_id is not None:
            substitute = table(torch.tensor(tokenizer.pad_token_id))
        else:
            substitute = table(torch.arange(table.num_embeddings)).mean(0)
    length = inputs["input_ids"].shape[1]
    rows = {name: values.expand(length + 1, -1) for name, values in inputs.items()}

    def change(output):
        changed = output.clone()
        changed[range(length), range(length)] = substitute
        return changed

    logits, _ = call(model, rows, change)
    values = torch.stack([torch.stack(read(line)) for line in logits])
    return torch.where(torch.as_tensor(content), (values[-1] - values[:-1]).T, 0)
