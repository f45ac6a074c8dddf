"""One token a word, so that a planted word is a position."""

from functools import cache

from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<s>")
SIGNALS = ("alpha", "beta", "not", "marker")
FILLER = tuple(f"word{number}" for number in range(40))
VALUES = tuple(f"value{number}" for number in range(10))
NUMBER = {word: number for number, word in enumerate((*SPECIALS, *SIGNALS, *FILLER, *VALUES))}
SIZE = len(NUMBER)


@cache
def of_a_classifier() -> PreTrainedTokenizerFast:
    """[CLS] text [SEP]."""
    return _tokenizer(
        processors.BertProcessing(("[SEP]", NUMBER["[SEP]"]), ("[CLS]", NUMBER["[CLS]"])),
        cls_token="[CLS]",
        sep_token="[SEP]",
    )


@cache
def of_a_language_model() -> PreTrainedTokenizerFast:
    """<s> text."""
    return _tokenizer(
        processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", NUMBER["<s>"])]),
        bos_token="<s>",
    )


def _tokenizer(processor, **specials: str) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordLevel(NUMBER, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processor
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "attention_mask"],
        **specials,
    )
