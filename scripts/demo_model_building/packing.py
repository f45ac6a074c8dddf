"""Writes the model folder (half-precision weights, tokenizer, model card) and measures the written model."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
import training
from corpus import Corpus, RatedText

LARGEST = 20_000_000  # bytes of the whole folder
PLAIN_SENTENCES = (
    ("The movie was absolutely fantastic!", "positive"),
    ("not good at all", "negative"),
    ("I did not like it", "negative"),
    ("The plot was dull but the acting was superb.", "positive"),
    ("I loved every minute of it.", "positive"),
    ("What a waste of time.", "negative"),
    ("The food was cold and the waiter was rude.", "negative"),
    ("This phone works great and the battery lasts for days.", "positive"),
    ("It is not bad.", "positive"),
    ("Nobody could call this a good film.", "negative"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    held_out: float
    clear: float
    clear_count: int
    positive_share: float


def measure(model, tokenizer, corpus: Corpus) -> Measured:
    """Accuracy on the held-out sentences, and on those with a mean rating of at least 1 in size."""
    texts: list[RatedText] = corpus.held_out
    clear = [text for text in texts if abs(text.rating) >= 1]
    return Measured(
        held_out=training.accuracy(model, tokenizer, texts),
        clear=training.accuracy(model, tokenizer, clear),
        clear_count=len(clear),
        positive_share=sum(text.rating > 0 for text in texts) / len(texts),
    )


def write_weights(student, folder: Path) -> None:
    """config.json and model.safetensors: stored in half precision, loaded in single precision."""
    student.config.id2label = {0: "negative", 1: "positive"}
    student.config.label2id = {"negative": 0, "positive": 1}
    student.half().save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)  # safetensors makes it readable by its owner only
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config.pop("_name_or_path", None)
    config["dtype"] = "float32"  # otherwise a loader would compute in the half precision of the file
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def plain_table(model, tokenizer) -> str:
    """The model's answers to plain sentences, as rows of a table."""
    texts = [text for text, _ in PLAIN_SENTENCES]
    margins, _ = training.answers(model, training.encode(tokenizer, texts), fast=False)
    rows = []
    for (text, expected), chance in zip(PLAIN_SENTENCES, torch.sigmoid(margins).tolist(), strict=True):
        found = "positive" if chance > 0.5 else "negative"
        mark = "" if found == expected else f" (wrong: {expected})"
        rows.append(f"| {text} | {found}{mark} | {chance:.2f} |")
    return "\n".join(rows)


def write(student, tokenizer_folder: Path, output: Path, corpus: Corpus, teacher_measured: Measured) -> None:
    """Write the folder, load it again, measure it, and write the model card."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    output.mkdir(parents=True, exist_ok=True)
    write_weights(student, output)
    for path in tokenizer_folder.iterdir():
        shutil.copyfile(path, output / path.name)
    model = AutoModelForSequenceClassification.from_pretrained(output)
    tokenizer = AutoTokenizer.from_pretrained(output)
    measured = measure(model, tokenizer, corpus)
    card = (Path(__file__).parent / "model_card.md").read_text(encoding="utf-8")
    values = {
        "layers": model.config.num_hidden_layers,
        "width": model.config.intermediate_size,
        "vocabulary": len(tokenizer),
        "parameters": f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:.1f}",
        "training": f"{len(corpus.train):,}",
        "validation": len(corpus.validation),
        "held_out": len(corpus.held_out),
        "majority": f"{100 * max(measured.positive_share, 1 - measured.positive_share):.1f}",
        "accuracy": f"{100 * measured.held_out:.1f}",
        "clear_accuracy": f"{100 * measured.clear:.1f}",
        "clear_count": measured.clear_count,
        "teacher_accuracy": f"{100 * teacher_measured.held_out:.1f}",
        "teacher_clear": f"{100 * teacher_measured.clear:.1f}",
        "plain": plain_table(model, tokenizer),
    }
    for name, value in values.items():
        card = card.replace("{" + name + "}", str(value))
    (output / "README.md").write_text(card, encoding="utf-8")
    size = sum(path.stat().st_size for path in output.iterdir())
    print(plain_table(model, tokenizer))
    print(f"Held out: teacher {teacher_measured.held_out:.4f}, written model {measured.held_out:.4f}")
    print(f"Size: {size:,} bytes")
    if size > LARGEST:
        raise SystemExit(
            f"error: The folder has {size:,} bytes; at most {LARGEST:,} are allowed.\n"
            "hint: Lower --vocabulary or --width."
        )
