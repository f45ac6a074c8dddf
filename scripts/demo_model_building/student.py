"""Makes the small student from the teacher, with fewer tokens and narrower feed-forward layers."""

import json
import unicodedata
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def kept_character(token: str) -> bool:
    """Whether a one-character token is kept: all except letters of scripts that this model cannot read.

    Punctuation is never a continuation (##), because BERT's tokenizer splits it off first.
    """
    character = token.removeprefix("##")
    if len(character) != 1:
        return False
    if unicodedata.category(character).startswith(("L", "M")):
        return unicodedata.name(character, "").startswith("LATIN")
    return not (token.startswith("##") and unicodedata.category(character).startswith("P"))


def chosen_tokens(vocabulary: dict[str, int], texts: Sequence[str], tokenizer, size: int) -> list[str]:
    """The tokens to keep, in their old order: special, characters, then by a mix of two frequencies.

    BERT's vocabulary is sorted by frequency in general English, so a token's rank says how useful it
    is outside the training texts; its count says how useful it is in the training texts.
    """
    counts = Counter(index for row in tokenizer(list(texts))["input_ids"] for index in row)
    kept = {token for token in vocabulary if token in SPECIAL or kept_character(token)}
    words = [token for token in vocabulary if token not in kept and not token.startswith("[unused")]
    words.sort(key=lambda token: -(counts[vocabulary[token]] + 0.5) / (vocabulary[token] ** 0.3))
    kept.update(words[: size - len(kept)])
    return sorted(kept, key=vocabulary.__getitem__)


def write_tokenizer(base: Path, folder: Path, kept: Sequence[str]) -> None:
    """The base's tokenizer with fewer tokens, and without its fixed padding and truncation."""
    content = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    numbers = {token: index for index, token in enumerate(kept)}
    content["padding"] = content["truncation"] = None
    content["model"]["vocab"] = numbers
    content["added_tokens"] = [
        {**token, "id": numbers[token["content"]]}
        for token in content["added_tokens"]
        if token["content"] in numbers
    ]
    for token in content["post_processor"].get("special_tokens", {}).values():
        token["ids"] = [numbers[name] for name in token["tokens"]]
    for side in ("cls", "sep"):
        if side in content["post_processor"]:
            name = content["post_processor"][side][0]
            content["post_processor"][side] = [name, numbers[name]]
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(text + "\n", encoding="utf-8")
    names = {f"{name.strip('[]').lower()}_token": name for name in SPECIAL}
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512, **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


@torch.no_grad()
def unit_importance(teacher, batches: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Per layer, how much each feed-forward unit adds: its mean size times its output weight's norm."""
    totals = [torch.zeros(teacher.config.intermediate_size) for _ in teacher.bert.encoder.layer]
    handles = []
    for total, layer in zip(totals, teacher.bert.encoder.layer, strict=True):

        def add(_module, _arguments, output: Tensor, total: Tensor = total) -> None:
            total.add_(output.abs().sum(dim=(0, 1)))

        handles.append(layer.intermediate.register_forward_hook(add))
    teacher.eval()
    for ids, mask in batches:
        teacher(input_ids=ids, attention_mask=mask)
    for handle in handles:
        handle.remove()
    layers = teacher.bert.encoder.layer
    return [
        total * layer.output.dense.weight.norm(dim=0) for total, layer in zip(totals, layers, strict=True)
    ]


def narrowed(linear: nn.Linear, units: Tensor, *, inputs: bool) -> nn.Linear:
    """The layer with only those units, on its input or output side."""
    weight = linear.weight.data[:, units] if inputs else linear.weight.data[units]
    made = nn.Linear(weight.shape[1], weight.shape[0])
    made.weight.data = weight.clone()
    made.bias.data = (linear.bias.data if inputs else linear.bias.data[units]).clone()
    return made


def make_student(teacher, importance: Sequence[Tensor], token_ids: Sequence[int], width: int):
    """Narrows a copy of the teacher's layers in place and trims its embedding table; returns it."""
    student = deepcopy(teacher)
    for layer, scores in zip(student.bert.encoder.layer, importance, strict=True):
        units = scores.topk(width).indices.sort().values
        layer.intermediate.dense = narrowed(layer.intermediate.dense, units, inputs=False)
        layer.output.dense = narrowed(layer.output.dense, units, inputs=True)
    rows = teacher.bert.embeddings.word_embeddings.weight.data[list(token_ids)].clone()
    student.bert.embeddings.word_embeddings = nn.Embedding.from_pretrained(rows, freeze=False, padding_idx=0)
    student.config.intermediate_size = width
    student.config.vocab_size = len(token_ids)
    student.requires_grad_(True)
    return student
