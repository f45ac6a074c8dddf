"""An encoder–decoder that translates word by word: each word of its output hangs on one of the source."""

from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BartConfig, BartForConditionalGeneration, PreTrainedTokenizerFast

from model_understanding import Seq2SeqVisualizer
from planted import training
from planted.tasks import MASKED

SPECIALS = ("[PAD]", "</s>", "[UNK]", "[MASK]")
WORDS = 20
NUMBER = {
    word: number
    for number, word in enumerate(
        (*SPECIALS, *(f"word{i}" for i in range(WORDS)), *(f"wort{i}" for i in range(WORDS)))
    )
}
LENGTHS, LENGTH = (4, 9), 8
BATCH, STEPS, LEARNING_RATE, HELD_OUT = 32, 300, 3e-3, 256


def draw(generator: np.random.Generator, count: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sources of random words and their translations, both with the end token."""
    words = generator.integers(0, WORDS, (count, length))
    end = np.full((count, 1), NUMBER["</s>"])
    return tuple(  # pyright: ignore[reportReturnType]
        np.concatenate([words + NUMBER[first], end], axis=1) for first in ("word0", "wort0")
    )


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    """One token a word: text </s>."""
    raw = Tokenizer(models.WordLevel(NUMBER, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    raw.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", NUMBER["</s>"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        eos_token="</s>",
        pad_token="[PAD]",
        unk_token="[UNK]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "attention_mask"],
    )


@cache
def model(seed: int = 0) -> Any:
    """Return the trained model, the same at every call."""
    return training.kept(_built, partial(_trained, seed), [Path(__file__).read_bytes(), str(seed).encode()])


def visualizer() -> Seq2SeqVisualizer:
    """Return the visualizer of the trained model."""
    return Seq2SeqVisualizer(model=model(), tokenizer=tokenizer())


def texts_of(ids: np.ndarray) -> list[str]:
    """Return texts without their end token."""
    words = list(NUMBER)
    return [" ".join(words[number] for number in row[:-1]) for row in ids]


def accuracy() -> float:
    """Return the share of right words, the end among them, of held-out sources."""
    source, target = (torch.tensor(ids) for ids in draw(np.random.default_rng(1), HELD_OUT, LENGTH))
    translating = model()
    with torch.no_grad():
        logits = translating(input_ids=source, labels=target).logits
    return float((logits.argmax(-1) == target).float().mean())


def _built() -> Any:
    return BartForConditionalGeneration(
        BartConfig(
            vocab_size=len(NUMBER),
            d_model=64,
            encoder_layers=1,
            decoder_layers=2,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=128,
            decoder_ffn_dim=128,
            max_position_embeddings=32,
            init_std=0.1,
            dropout=0.0,
            pad_token_id=NUMBER["[PAD]"],
            bos_token_id=None,
            eos_token_id=NUMBER["</s>"],
            decoder_start_token_id=NUMBER["[PAD]"],
            forced_bos_token_id=None,
            forced_eos_token_id=None,
        )
    )


def _trained(seed: int) -> Any:
    with training.one_thread(seed):
        built, generator = _built().train(), np.random.default_rng(seed)
        optimizer = torch.optim.AdamW(built.parameters(), lr=LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS)
        for _ in range(STEPS):
            source, target = draw(generator, BATCH, int(generator.integers(LENGTHS[0], LENGTHS[1] + 1)))
            hidden = (source != NUMBER["</s>"]) & (generator.random(source.shape) < MASKED)
            loss = built(
                input_ids=torch.tensor(np.where(hidden, NUMBER["[MASK]"], source)),
                labels=torch.tensor(target),
            ).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(built.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        return built.eval()
