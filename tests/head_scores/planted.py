"""A language model whose weights are written by hand: it can do nothing but continue what was said before.

One head looks at the token before and notes it down; one head of a later layer looks at what followed the
same token before, and says it. Every other head has no values. So it is known which heads are which.
"""

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from model_understanding import GenerativeModelVisualizer

WORDS, POSITIONS, LAYERS, HEADS = 20, 48, 4, 3
WIDTH = 3 * WORDS + POSITIONS  # the token, its place, the token before, what is said
TOKEN, PLACE = slice(0, WORDS), slice(WORDS, WORDS + POSITIONS)
BEFORE = slice(WORDS + POSITIONS, 2 * WORDS + POSITIONS)
SAID = slice(2 * WORDS + POSITIONS, WIDTH)
SHARP = 40.0
assert WIDTH < HEADS * POSITIONS


def tokenizer():
    vocabulary = {f"w{number}": number for number in range(WORDS)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="w0"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=made)


@torch.no_grad()
def copying_model(previous: tuple[int, int], induction: tuple[int, int]) -> GPT2LMHeadModel:
    """Return the model with its two heads at the layers and heads given; the first must come first."""
    config = GPT2Config(
        vocab_size=WORDS,
        n_positions=POSITIONS,
        n_embd=HEADS * POSITIONS,
        n_layer=LAYERS,
        n_head=HEADS,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = GPT2LMHeadModel(config).eval()
    for name, parameter in model.named_parameters():
        parameter.fill_(1.0 if "ln_" in name and name.endswith("weight") else 0.0)
    width = config.n_embd
    model.transformer.wte.weight[:, TOKEN] = torch.eye(WORDS)
    model.transformer.wpe.weight[:, PLACE] = torch.eye(POSITIONS)
    model.lm_head.weight[:, SAID] = SHARP * torch.eye(WORDS)
    size = width // HEADS

    def wire(at, query, key, value, to):
        layer, head = at
        attention = model.transformer.h[layer].attn
        for part, (source, mapping) in enumerate((query, key, value)):
            start = part * width + head * size
            attention.c_attn.weight[source, start : start + mapping.shape[1]] = mapping
        attention.c_proj.weight[head * size : head * size + WORDS, to] = torch.eye(WORDS)

    same, copy = torch.eye(POSITIONS), torch.eye(WORDS)
    one_before = SHARP * torch.diag(torch.ones(POSITIONS - 1), -1)  # place i asks for place i − 1
    wire(previous, (PLACE, one_before), (PLACE, same), (TOKEN, copy), BEFORE)
    wire(induction, (TOKEN, SHARP * copy), (BEFORE, copy), (TOKEN, copy), SAID)
    # The first token has none before it and noted itself: a constant keeps queries off it.
    layer, head = induction
    block, spare = model.transformer.h[layer], head * size + WORDS
    block.ln_1.bias[-1] = 10
    block.attn.c_attn.weight[-1, spare] = 1
    block.attn.c_attn.weight[PLACE.start, width + spare] = -SHARP
    return model


def copying_visualizer(previous: tuple[int, int], induction: tuple[int, int]) -> GenerativeModelVisualizer:
    return GenerativeModelVisualizer(model=copying_model(previous, induction), tokenizer=tokenizer())
