"""Small real tokenizers over a few sentences, the same in every process.

The trainers of the tokenizers library break ties at random, so vocabularies are written down here.
"""

import re
from functools import cache

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

SENTENCES = (
    "The film was wonderful and the actors were brilliant.",
    "A dull plot, but I would not call it bad!",
    "The capital of France is Paris; the capital of Italy is Rome.",
    "Once upon a time, in a land far away, there lived a king.",
    "Don't you think that 3.14 is close to pi?",
    "She sells sea shells on the sea shore.",
)
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


@cache
def wordpiece() -> PreTrainedTokenizerFast:
    """BERT's kind: [CLS] text [SEP] pair [SEP], with token types."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = _words(" ".join(SENTENCES).lower())
    letters = sorted(set("".join(SENTENCES).lower()) - {" "})
    entries = [*specials, *letters, *(f"##{letter}" for letter in letters), *words[::2]]
    vocabulary = {entry: number for number, entry in enumerate(dict.fromkeys(entries))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def _words(text: str) -> list[str]:
    return sorted(set(re.findall(r"[A-Za-z]+", text)))


def _byte_level(specials: list[str]) -> Tokenizer:
    """Bytes, and the first letters of every second word merged from the left."""
    entries = [*specials, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    merges = []
    for word in _words(" ".join(SENTENCES))[::2]:
        spelt = f"Ġ{word}"
        for end in range(1, min(len(spelt), 5)):
            merges.append((spelt[:end], spelt[end]))
            entries.append(spelt[: end + 1])
    vocabulary = {entry: number for number, entry in enumerate(dict.fromkeys(entries))}
    tokenizer = Tokenizer(models.BPE(vocabulary, list(dict.fromkeys(merges))))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(specials)
    return tokenizer


@cache
def roberta_like() -> PreTrainedTokenizerFast:
    """RoBERTa's kind: <s> text </s></s> pair </s>, padding id 1, no token types."""
    tokenizer = _byte_level(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        cls_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        sep_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_input_names=["input_ids", "attention_mask"],
    )


@cache
def gpt2_like() -> PreTrainedTokenizerFast:
    """GPT-2's kind: no special token added, no padding token, one end token; with a chat template."""
    tokenizer = _byte_level(["<|endoftext|>", "<|user|>", "<|assistant|>"])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|endoftext|>",
        extra_special_tokens=["<|user|>", "<|assistant|>"],
        chat_template=CHAT_TEMPLATE,
        model_input_names=["input_ids", "attention_mask"],
    )


@cache
def llama_like() -> PreTrainedTokenizerFast:
    """Llama's kind: <s> before the text, padding token known."""
    tokenizer = _byte_level(["<pad>", "<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        model_input_names=["input_ids", "attention_mask"],
    )
