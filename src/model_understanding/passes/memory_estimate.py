"""What one pass through a model is thought to hold in all, for estimates.

Against the allocator's peak on one CPU thread (BERT base, GPT-2 small, a 30-layer Llama of width 576; 16 to
510 tokens; gradients, perturbations, 1 and 12 targets) the estimate was 0.8 to 1.7 of it; more for
adaptive methods, whose most counts pieces that a run may not need.
"""

from model_understanding.model.model import Model

# The graph of a model that was not measured yet is taken large, so that batches fit; here it is to be right.
_BEFORE_MEASURED = 0.75


def pass_bytes(
    model: Model,
    rows: int,
    tokens: int,
    logits: int = 1,
    at_once: int = 0,
    targets: int = 0,
    *,
    is_cached: bool = False,
) -> int:
    """Return the bytes of activations, logits and gradients of a pass.

    Args:
        model: The model.
        rows: Rows of the batch.
        tokens: Tokens of a row.
        logits: Positions of a row whose logits are computed.
        at_once: Targets differentiated in one product; 0 where nothing is.
        targets: Targets whose gradients are kept.
        is_cached: Whether keys and values of the rows are held as well.
    """
    text_config = model.config.get_text_config()
    size = getattr(model.module, "dtype", None)
    item = size.itemsize if size is not None and size.is_floating_point else 4
    width = text_config.hidden_size
    inner = getattr(text_config, "intermediate_size", None) or 4 * width
    heads = getattr(text_config, "num_attention_heads", None) or 1
    # What a layer works with for a moment: states, queries, keys and values, the inner layer three times.
    moment = rows * tokens * item * (4 * width + 3 * inner)
    if getattr(model.config, "_attn_implementation", None) in (None, "eager"):
        moment += rows * heads * tokens**2 * (2 * item + 4)
    graph = model.memory.row_bytes(tokens, at_once > 0, 0)
    read = rows * (model.memory.row_bytes(tokens, at_once > 0, logits) - graph)
    held = moment
    if at_once:
        held = rows * graph * (1 if model.memory.is_measured else _BEFORE_MEASURED)
        held += at_once * moment + rows * targets * tokens * width * 4
    if is_cached:
        layers = getattr(text_config, "num_hidden_layers", None) or 1
        kept = (getattr(text_config, "num_key_value_heads", None) or heads) * width // heads
        held += rows * tokens * item * 2 * layers * kept
    return int(held + read)
