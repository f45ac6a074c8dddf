"""Converts a llama-family GGUF file into a folder that transformers loads.

transformers reads GGUF files itself, but needs a further package for it, dequantizes anew at each load,
refuses to save the result, and splits this tokenizer's digits otherwise than the model was trained with.
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
    """Writes weights, configuration, tokenizer and chat template of a GGUF file into a new folder.

    The weights are stored in half precision (fp16), and the configuration asks for single precision when
    they are loaded. Measured for SmolLM2-135M-Instruct (Q4_1) on five texts of 89 tokens, as the largest
    difference of any logit from the single-precision dequantization: fp32 0.00 (538 MB, and equal to
    transformers' own load), fp16 0.08 (269 MB), bf16 0.28 (269 MB); the likeliest token never changed.

    Args:
        gguf: A GGUF file of a llama model with tied embeddings and the "smollm" tokenizer.
        folder: The folder to make; it must not exist.
        progress: Called with the share that is done.

    Raises:
        LoadingError: The file is of another kind.
        OSError: The folder could not be written.
    """
    import gguf as gguf_package
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    reader = gguf_package.GGUFReader(gguf)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    found = tuple(fields.get(key) for key in ("general.architecture", "tokenizer.ggml.pre"))
    if found != ("llama", "smollm"):
        raise LoadingError(
            f"{gguf.name} holds a model of architecture and tokenizer {found}; "
            "this conversion knows ('llama', 'smollm') only.",
            hint="Load the file itself as a model, or convert it with a tool of its makers.",
        )
    folder.mkdir(parents=True)
    count = len(reader.tensors)
    weights: dict[str, np.ndarray] = {}
    for done, (name, weight) in enumerate(_weights(reader, fields), start=1):
        weights[name] = weight
        if progress is not None:
            progress(done / count)
    try:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    except SafetensorError as error:  # how safetensors says that a file could not be written
        raise OSError(str(error)) from error
    (folder / "model.safetensors").chmod(0o644)  # safetensors writes it for its owner only
    _write_json(folder / "config.json", _configuration(fields, weights))
    _write_json(folder / "generation_config.json", _special_ids(fields))
    _write_json(folder / "tokenizer.json", _tokenizer(fields))
    _write_json(folder / "tokenizer_config.json", _tokenizer_configuration(fields))
    (folder / "chat_template.jinja").write_text(
        fields["tokenizer.chat_template"], encoding="utf-8", newline=""
    )


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8", newline="")


def _weights(reader: "GGUFReader", fields: dict[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Each weight under its transformers name, dequantized, in half precision."""
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
    """Undoes llama.cpp's order of a head's rows: it pairs neighbors, transformers pairs the two halves."""
    rows, columns = weight.shape
    paired = weight.reshape(heads, rows // heads // 2, 2, columns)
    return paired.swapaxes(1, 2).reshape(rows, columns)


def _special_ids(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "bos_token_id": fields["tokenizer.ggml.bos_token_id"],
        "eos_token_id": fields["tokenizer.ggml.eos_token_id"],
        "pad_token_id": fields["tokenizer.ggml.padding_token_id"],
    }


def _configuration(fields: dict[str, Any], weights: dict[str, np.ndarray]) -> dict[str, Any]:
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
        # GGUF keeps it as fp32; the shortest decimal that gives the same fp32 is the original figure.
        "rms_norm_eps": float(str(np.float32(fields["llama.attention.layer_norm_rms_epsilon"]))),
        "rope_parameters": {"rope_theta": float(fields["llama.rope.freq_base"]), "rope_type": "default"},
        "tie_word_embeddings": "lm_head.weight" not in weights,
        "vocab_size": len(fields["tokenizer.ggml.tokens"]),
        **_special_ids(fields),
    }


def _tokenizer(fields: dict[str, Any]) -> dict[str, Any]:
    """tokenizer.json: byte-level BPE; every digit stands alone, then GPT-2's splitting; nothing added."""
    tokens: list[str] = fields["tokenizer.ggml.tokens"]
    kinds: list[int] = fields["tokenizer.ggml.token_type"]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, "content": token, **flags}
            for number, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
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
            "vocab": {token: number for number, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in fields["tokenizer.ggml.merges"]],
        },
    }


def _tokenizer_configuration(fields: dict[str, Any]) -> dict[str, Any]:
    tokens: list[str] = fields["tokenizer.ggml.tokens"]
    return {
        # Not the class of GPT-2, which would replace the digit splitting by its own.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": fields["llama.context_length"],
        "clean_up_tokenization_spaces": False,
        "bos_token": tokens[fields["tokenizer.ggml.bos_token_id"]],
        "eos_token": tokens[fields["tokenizer.ggml.eos_token_id"]],
        "pad_token": tokens[fields["tokenizer.ggml.padding_token_id"]],
        "unk_token": tokens[fields["tokenizer.ggml.unknown_token_id"]],
    }
