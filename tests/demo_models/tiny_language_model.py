"""A GGUF file of a tiny llama with random weights, in the quantization of the real one."""

from pathlib import Path

import gguf
import numpy as np
from gguf.quants import quantize

CHAT = "{% for message in messages %}<|im_start|>{{ message['content'] }}<|im_end|>{% endfor %}"


def byte_characters() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    stand_ins = {byte: chr(byte) for byte in printable} | {
        byte: chr(256 + i) for i, byte in enumerate(others)
    }
    return [stand_ins[byte] for byte in range(256)]


def write_tiny_gguf(path: Path, *, pre: str = "smollm") -> None:
    """A llama of two layers with random weights and a byte-level vocabulary."""
    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_context_length(128)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(96)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(16)
    merges = ["Ġ Ġ", "a b", "Ġ ab"]
    characters = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *byte_characters()]
    tokens = [*characters, *(merge.replace(" ", "") for merge in merges)]
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT)

    def add(name: str, rows: int, columns: int, kind: gguf.GGMLQuantizationType) -> None:
        weight = random.normal(scale=0.3, size=(rows, columns)).astype(np.float32)
        writer.add_tensor(name, quantize(weight, kind), raw_dtype=kind)

    fourbit, eightbit = gguf.GGMLQuantizationType.Q4_1, gguf.GGMLQuantizationType.Q8_0
    add("token_embd.weight", len(tokens), 64, eightbit)
    for layer in range(2):
        for name, rows, columns in (
            ("attn_q", 64, 64),
            ("attn_k", 32, 64),
            ("attn_v", 32, 64),
            ("attn_output", 64, 64),
            ("ffn_gate", 96, 64),
            ("ffn_up", 96, 64),
            ("ffn_down", 64, 96),
        ):
            add(f"blk.{layer}.{name}.weight", rows, columns, fourbit)
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", random.uniform(0.5, 1.5, 64).astype(np.float32))
    writer.add_tensor("output_norm.weight", random.uniform(0.5, 1.5, 64).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
