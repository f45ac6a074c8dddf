"""A tiny language model that copies, whose weights are written down: what it answers from is known.

Two blocks of a GPT-2. The heads of the first read the one, two and three tokens before each token, by a code
of the positions. A head of the second looks for the place before which stand the same three tokens (fewer,
where there is none), and copies the token that stands there: of 1,500 words, with a probability of about .9.
Tokens are words, and each has a random code of ±1.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from model_understanding import GenerativeModelVisualizer

_CODE, _WAVES, _BACK = 96, 64, 3  # dimensions of a token's code, waves of a position's, tokens read before
_HEAD = _BACK * _CODE
_SIZE = _BACK * _HEAD
_POSITIONS = 4096
# Nats of a wave, and of each part of a code that matches or is copied.
_NEAR, _MATCH, _LOGIT = 0.6, 1 / 12, 0.1
_WORD = r"\w+|[^\w\s]"
# Parts of the residual stream: the token, its position, the tokens before it, what is copied.
_TOKEN = slice(0, _CODE)
_PLACE = slice(_CODE, _CODE + 2 * _WAVES)
_BEFORE = [slice(_PLACE.stop + back * _CODE, _PLACE.stop + (back + 1) * _CODE) for back in range(_BACK)]
_COPY = slice(_BEFORE[-1].stop, _BEFORE[-1].stop + _CODE)


def copying_visualizer(texts: Iterable[str]) -> GenerativeModelVisualizer:
    """Return the model, with every word of some texts as a token.

    Args:
        texts: Texts with all words that it shall know.
    """
    words = list(dict.fromkeys(word for text in texts for word in re.findall(_WORD, text)))
    tokenizer = _tokenizer(words)
    return GenerativeModelVisualizer(model=_model(len(tokenizer)), tokenizer=tokenizer)


def _tokenizer(words: Sequence[str]) -> PreTrainedTokenizerFast:
    vocabulary = {word: number for number, word in enumerate(["[UNK]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_WORD), "removed", invert=True)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[UNK]")


def _model(vocabulary: int) -> Any:
    generator = np.random.default_rng(5)
    codes = np.stack([generator.permutation([1.0, -1.0] * (_CODE // 2)) for _ in range(vocabulary)])
    waves = generator.uniform(0, np.pi, _WAVES)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocabulary,
            n_positions=_POSITIONS,
            n_embd=_SIZE,
            n_layer=2,
            n_head=_BACK,
            n_inner=8,
            tie_word_embeddings=False,
            bos_token_id=None,
            eos_token_id=None,
        )
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        reading, copying = model.transformer.h
        for norm in (reading.ln_1, reading.ln_2, copying.ln_1, copying.ln_2, model.transformer.ln_f):
            norm.weight.fill_(1.0)
        _write(model.transformer.wte.weight, (slice(None), _TOKEN), codes)
        _write(model.transformer.wpe.weight, (slice(None), _PLACE), _places(np.arange(_POSITIONS), waves))
        # A layer norm divides by the root mean square of the stream, which is the same for all tokens.
        spread = np.sqrt((_CODE + _WAVES) / _SIZE)
        _write_reading(reading.attn, waves, spread)
        spread = np.sqrt((_CODE + _WAVES + _BACK * _CODE) / _SIZE)
        _write_copying(copying.attn, spread)
        spread = np.sqrt((2 * _CODE + _WAVES + _BACK * _CODE) / _SIZE)
        _write(model.lm_head.weight, (slice(None), _COPY), _LOGIT * spread * codes)
    return model


def _places(positions: np.ndarray, waves: np.ndarray) -> np.ndarray:
    """Return the codes of positions: cosines and sines, whose products depend on the distance alone."""
    angles = positions[:, None] * waves
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)


def _write_reading(attention: Any, waves: np.ndarray, spread: float) -> None:
    """Let each head read the token that stands a number of tokens before."""
    scale = spread * np.sqrt(_NEAR * np.sqrt(_HEAD))
    cosines, sines = np.diag(np.cos(waves)), np.diag(np.sin(waves))
    for head in range(_BACK):
        turn = np.linalg.matrix_power(np.block([[cosines, -sines], [sines, cosines]]), head + 1)
        query, key, value = (
            slice(part * _SIZE + head * _HEAD, part * _SIZE + (head + 1) * _HEAD) for part in range(3)
        )
        _write(attention.c_attn.weight, (_PLACE, _first(query.start, 2 * _WAVES)), scale * turn)
        _write(attention.c_attn.weight, (_PLACE, _first(key.start, 2 * _WAVES)), scale * np.eye(2 * _WAVES))
        _write(attention.c_attn.weight, (_TOKEN, _first(value.start, _CODE)), spread * np.eye(_CODE))
        output = slice(head * _HEAD, head * _HEAD + _CODE)
        _write(attention.c_proj.weight, (output, _BEFORE[head]), np.eye(_CODE))


def _write_copying(attention: Any, spread: float) -> None:
    """Let the first head compare the last three tokens with those before each token, and copy that one."""
    scale = spread * np.sqrt(_MATCH * np.sqrt(_HEAD))
    for back, asked in enumerate([_TOKEN, *_BEFORE[:-1]]):
        part = slice(back * _CODE, (back + 1) * _CODE)
        _write(attention.c_attn.weight, (asked, part), scale * np.eye(_CODE))
        key = slice(_SIZE + part.start, _SIZE + part.stop)
        _write(attention.c_attn.weight, (_BEFORE[back], key), scale * np.eye(_CODE))
    _write(attention.c_attn.weight, (_TOKEN, slice(2 * _SIZE, 2 * _SIZE + _CODE)), spread * np.eye(_CODE))
    _write(attention.c_proj.weight, (slice(0, _CODE), _COPY), np.eye(_CODE))


def _first(start: int, count: int) -> slice:
    return slice(start, start + count)


def _write(weight: torch.Tensor, place: tuple[slice, slice], values: np.ndarray) -> None:
    weight[place] = torch.from_numpy(values).to(weight.dtype)
