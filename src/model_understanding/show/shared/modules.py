"""Names of a model's modules in words."""

_WORDS = {
    "mlp": "MLP",
    **dict.fromkeys(("feed_forward", "ffn", "block_sparse_moe"), "MLP"),
    **dict.fromkeys(("self_attn", "self_attention", "attn", "attention"), "attention"),
    **dict.fromkeys(("q_proj", "query", "q_lin"), "query projection"),
    **dict.fromkeys(("k_proj", "key", "k_lin"), "key projection"),
    **dict.fromkeys(("v_proj", "value", "v_lin"), "value projection"),
    **dict.fromkeys(("o_proj", "out_proj", "out_lin"), "output projection"),
    **dict.fromkeys(("qkv_proj", "query_key_value", "Wqkv", "c_attn"), "query, key and value projection"),
    "gate_proj": "gate projection",
    "up_proj": "up projection",
    "down_proj": "down projection",
    "experts": "experts",
    "gate": "gate",
}
_WHOLE = {
    "lm_head": "the output head",
    "model.embed_tokens": "the token embeddings",
    "transformer.wte": "the token embeddings",
    "embed_tokens": "the token embeddings",
    "classifier": "the classification head",
    "score": "the classification head",
}


def module_words(name: str, layer: int | None) -> str:
    """Return a module's name in words where each part of it is a common one, else the name itself.

    Args:
        name: The module's name.
        layer: The transformer block that it is a part of.

    >>> module_words("model.layers.11.mlp.down_proj", 11)
    "block 11's MLP down projection"
    >>> module_words("encoder.layer.3.output.dense", 3)
    "block 3's output.dense"
    """
    if layer is None:
        return _WHOLE.get(name, name)
    inner = name_in_block(name, layer)
    return name if inner is None else f"block {layer}'s {inner}"


def name_in_block(name: str, layer: int) -> str | None:
    """Return what a module is called within its block, in words where each part of it is a common one.

    Args:
        name: The module's name.
        layer: The transformer block that it is a part of.

    Returns:
        The name; ``None`` if the module's name does not have the number of the block.

    >>> name_in_block("model.layers.11.mlp.down_proj", 11)
    'MLP down projection'
    """
    parts = name.split(".")
    if str(layer) not in parts:
        return None
    inner = ".".join(parts[parts.index(str(layer)) + 1 :]).replace("attention.self.", "attention.")
    words = [_WORDS.get(part) for part in inner.split(".")]
    known = [word for word in words if word is not None]
    return " ".join(known) if len(known) == len(words) else inner
