"""Estimate the memory of one pass through a model.

Compared with the allocator's peak on one CPU thread (BERT base, GPT-2 small, a 30-layer Llama of width 576;
16 to 510 tokens; gradients, perturbations, 1 and 12 targets), the estimate was 0.8 to 1.7 times the peak. It
is larger for adaptive methods, because the maximum counts steps that a run may not need.
"""

from model_understanding.loading.wrappers import input_embeddings
from model_understanding.model.model import Model
from model_understanding.model.settings import largest

# Until a graph is measured, its size is overestimated so that batches fit; this factor corrects for it.
_UNMEASURED = 0.75


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
    """Return the memory of activations, logits and gradients of a pass, in bytes.

    Args:
        model: The model.
        rows: Rows of the batch.
        tokens: Tokens of a row.
        logits: Number of positions of a row whose logits are computed.
        at_once: Number of targets differentiated in one product; 0 without gradients.
        targets: Number of targets whose gradients are kept.
        is_cached: Whether keys and values of the rows are kept as well.
    """
    text_config = model.config.get_text_config()
    item = model.dtype.itemsize
    width = getattr(text_config, "hidden_size", None) or getattr(
        input_embeddings(model.module), "embedding_dim", 0
    )
    inner = largest(text_config, "intermediate_size") or 4 * width
    heads = largest(text_config, "num_attention_heads") or 1
    # A layer's temporary tensors: states, queries, keys and values, the inner layer three times.
    temporary = rows * tokens * item * (4 * width + 3 * inner)
    if getattr(model.config, "_attn_implementation", None) in (None, "eager"):
        temporary += rows * heads * tokens**2 * (2 * item + 4)
    graph = model.memory.row_bytes(tokens, at_once > 0, 0)
    output = rows * (model.memory.row_bytes(tokens, at_once > 0, logits) - graph)
    size = temporary
    if at_once:
        size = rows * graph * (1 if model.memory.is_measured else _UNMEASURED)
        size += at_once * temporary + rows * targets * tokens * width * 4
    if is_cached:
        layers = getattr(text_config, "num_hidden_layers", None) or 1
        key_width = (largest(text_config, "num_key_value_heads") or heads) * width // heads
        size += rows * tokens * item * 2 * layers * key_width
    return int(size + output)
