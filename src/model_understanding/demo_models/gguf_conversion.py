"""Convert a llama-family GGUF file into a folder that transformers loads.

transformers can read GGUF files, but requires another package for it, dequantizes the weights at every
load, cannot save the result, and does not split digits as this model's tokenizer did in training.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from model_understanding.errors import LoadingError

if TYPE_CHECKING:
    from gguf import GGUFReader

_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_CONTROL_TOKEN = 3  # gguf.TokenType.CONTROL


def convert_gguf(gguf: Path, folder: Path, *, progress: Callable[[float], None] | None = None) -> None:
    """Write the weights, config, tokenizer and chat template of a GGUF file into a new folder.

    The weights are stored as ``float16``, and the config requests ``float32`` when they are loaded. On
    SmolLM2-135M-Instruct (Q4_1) and five texts of 89 tokens, the maximum difference of any logit from the
    ``float32`` dequantization is 0.00 for ``float32`` (538 MB, and equal to transformers' own load), 0.08
    for ``float16`` (269 MB) and 0.28 for ``bfloat16`` (269 MB); the most likely token never changes.

    Args:
        gguf: A GGUF file of a llama model with tied embeddings and the "smollm" tokenizer.
        folder: The folder to create; it must not exist.
        progress: Called with the completed fraction.

    Raises:
        LoadingError: The file has another architecture or tokenizer.
        OSError: The folder cannot be written.
    """
    import gguf as gguf_package
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    reader = gguf_package.GGUFReader(gguf)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    architecture, tokenizer = fields.get("general.architecture"), fields.get("tokenizer.ggml.pre")
    if (architecture, tokenizer) != ("llama", "smollm"):
        raise LoadingError(
            f"Cannot convert {gguf.name}: its architecture is {architecture!r} and its tokenizer "
            f"{tokenizer!r}. Allowed: 'llama' and 'smollm'.",
            hint="Pass the .gguf file itself as the model.",
        )
    folder.mkdir(parents=True)
    weights: dict[str, np.ndarray] = {}
    for name, weight in _weights(reader, fields):
        weights[name] = weight
        if progress is not None:
            progress(len(weights) / len(reader.tensors))
    try:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    except SafetensorError as error:  # raised by safetensors where a file cannot be written
        raise OSError(str(error)) from error
    (folder / "model.safetensors").chmod(0o644)  # safetensors lets only the owner read it
    _write_json(folder / "config.json", _config(fields, weights))
    _write_json(folder / "generation_config.json", _special_ids(fields))
    _write_json(folder / "tokenizer.json", _tokenizer(fields))
    _write_json(folder / "tokenizer_config.json", _tokenizer_config(fields))
    (folder / "chat_template.jinja").write_text(
        fields["tokenizer.chat_template"], encoding="utf-8", newline=""
    )


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8", newline="")


def _weights(reader: "GGUFReader", fields: dict[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each weight by its transformers name, dequantized to ``float16``."""
    from gguf.quants import dequantize

    heads = {
        "attn_q": fields["llama.attention.head_count"],
        "attn_k": fields["llama.attention.head_count_kv"],
    }
    for tensor in reader.tensors:
        weight = dequantize(tensor.data, tensor.tensor_type)
        parts = tensor.name.split(".")
        if parts[0] == "blk":
            if parts[2] in heads:
                weight = _half_split_rotary(weight, heads[parts[2]])
            name = f"model.layers.{parts[1]}.{_LAYER_NAMES[parts[2]]}.weight"
        else:
            name = {
                "token_embd.weight": "model.embed_tokens.weight",
                "output_norm.weight": "model.norm.weight",
                "output.weight": "lm_head.weight",
            }[tensor.name]
        yield name, np.ascontiguousarray(weight, dtype=np.float16)


def _half_split_rotary(weight: np.ndarray, heads: int) -> np.ndarray:
    """Undo llama.cpp's order of a head's rows: it pairs neighbors, transformers pairs the two halves."""
    rows, columns = weight.shape
    paired = weight.reshape(heads, rows // heads // 2, 2, columns)
    return paired.swapaxes(1, 2).reshape(rows, columns)


def _special_ids(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "bos_token_id": fields["tokenizer.ggml.bos_token_id"],
        "eos_token_id": fields["tokenizer.ggml.eos_token_id"],
        "pad_token_id": fields["tokenizer.ggml.padding_token_id"],
    }


def _config(fields: dict[str, Any], weights: dict[str, np.ndarray]) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float32",
        "hidden_act": "silu",
        "hidden_size": fields["llama.embedding_length"],
        "intermediate_size": fields["llama.feed_forward_length"],
        "max_position_embeddings": fields["llama.context_length"],
        "num_attention_heads": fields["llama.attention.head_count"],
        "num_hidden_layers": fields["llama.block_count"],
        "num_key_value_heads": fields["llama.attention.head_count_kv"],
        # GGUF stores it as float32; the shortest decimal that rounds to it is the original value.
        "rms_norm_eps": float(str(np.float32(fields["llama.attention.layer_norm_rms_epsilon"]))),
        "rope_parameters": {"rope_theta": float(fields["llama.rope.freq_base"]), "rope_type": "default"},
        "tie_word_embeddings": "lm_head.weight" not in weights,
        "vocab_size": len(fields["tokenizer.ggml.tokens"]),
        **_special_ids(fields),
    }


def _tokenizer(fields: dict[str, Any]) -> dict[str, Any]:
    """Return tokenizer.json: byte-level BPE after splitting single digits, then as GPT-2; no added tokens."""
    tokens: list[str] = fields["tokenizer.ggml.tokens"]
    kinds: list[int] = fields["tokenizer.ggml.token_type"]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": index, "content": token, **flags}
            for index, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
            if kind == _CONTROL_TOKEN
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level],
        },
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: index for index, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in fields["tokenizer.ggml.merges"]],
        },
    }


def _tokenizer_config(fields: dict[str, Any]) -> dict[str, Any]:
    tokens: list[str] = fields["tokenizer.ggml.tokens"]
    return {
        # Not GPT-2's class, which would replace the splitting of digits by its own.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": fields["llama.context_length"],
        "clean_up_tokenization_spaces": False,
        "bos_token": tokens[fields["tokenizer.ggml.bos_token_id"]],
        "eos_token": tokens[fields["tokenizer.ggml.eos_token_id"]],
        "pad_token": tokens[fields["tokenizer.ggml.padding_token_id"]],
        "unk_token": tokens[fields["tokenizer.ggml.unknown_token_id"]],
    }
