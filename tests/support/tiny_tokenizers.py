"""Small real tokenizers over a few sentences, the same in every process.

The trainers of the tokenizers library break ties at random, so vocabularies are written down here.
"""

import re
from functools import cache
from typing import Any, ClassVar

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    MBart50Tokenizer,
    MBartTokenizer,
    NllbTokenizer,
    PreTrainedTokenizer,
    PreTrainedTokenizerFast,
    T5Tokenizer,
)

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


@cache
def llama2_like(prepend: str = "first") -> PreTrainedTokenizerFast:
    """Llama 2's kind: a blank is put before a text, unknown characters become bytes, <s> comes first."""
    specials = ["<pad>", "<s>", "</s>", "<unk>"]
    letters = sorted(set("".join(SENTENCES)) - {" "})
    entries = [*specials, *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *letters]
    merges = []
    for word in _words(" ".join(SENTENCES))[::2]:
        spelt = f"▁{word}"
        for end in range(1, min(len(spelt), 5)):
            merges.append((spelt[:end], spelt[end]))
            entries.append(spelt[: end + 1])
    vocabulary = {entry: number for number, entry in enumerate(dict.fromkeys(entries))}
    tokenizer = Tokenizer(
        models.BPE(vocabulary, list(dict.fromkeys(merges)), unk_token="<unk>", byte_fallback=True)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend, split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(specials)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        chat_template=CHAT_TEMPLATE,
        model_input_names=["input_ids", "attention_mask"],
    )


@cache
def byte_level_with_blank() -> PreTrainedTokenizerFast:
    """GPT-2's kind with ``add_prefix_space``."""
    tokenizer = _byte_level(["<|endoftext|>"])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|endoftext|>",
        chat_template=CHAT_TEMPLATE,
        model_input_names=["input_ids", "attention_mask"],
    )


@cache
def xlmr_like() -> PreTrainedTokenizerFast:
    """XLM-RoBERTa's kind: unigram pieces, a blank before every text, <s> … </s>."""
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    letters = sorted(set("".join(SENTENCES) + "吾輩は猫である") - {" "})
    pieces = [*specials, "▁", *letters, *(f"▁{word}" for word in _words(" ".join(SENTENCES))[::2])]
    tokenizer = Tokenizer(
        models.Unigram([(piece, -1.0 - 0.01 * number) for number, piece in enumerate(pieces)], unk_id=3)
    )
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
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
def xlnet_like() -> PreTrainedTokenizerFast:
    """XLNet's kind: pieces as XLM-RoBERTa's, text <sep> pair <sep> <cls>, padding on the left."""
    specials = ["<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>"]
    letters = sorted(set("".join(SENTENCES)) - {" "})
    pieces = [*specials, "▁", *letters, *(f"▁{word}" for word in _words(" ".join(SENTENCES))[::2])]
    tokenizer = Tokenizer(
        models.Unigram([(piece, -1.0 - 0.01 * number) for number, piece in enumerate(pieces)], unk_id=0)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A:0 <sep>:0 <cls>:2",
        pair="$A:0 <sep>:0 $B:1 <sep>:1 <cls>:2",
        special_tokens=[("<sep>", 4), ("<cls>", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<cls>",
        sep_token="<sep>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        padding_side="left",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


TRANSLATIONS = (
    "Der Film war wunderbar und die Schauspieler waren brillant.",
    "Eine fade Handlung, aber schlecht würde ich sie nicht nennen!",
    "Es war einmal ein König in einem fernen Land.",
)


def _translation_pieces() -> list[str]:
    """Blank, letters of both languages, and every second word of them."""
    text = " ".join((*SENTENCES, *TRANSLATIONS))
    words = sorted(set(re.findall(r"\w+", text)))
    return ["▁", *sorted(set(text + "שלום你好") - {" "}), *(f"▁{word}" for word in words[::2])]


def _scored(pieces: list[str]) -> list[tuple[str, float]]:
    return [(piece, -1.0 - 0.01 * number) for number, piece in enumerate(pieces)]


@cache
def t5_like() -> T5Tokenizer:
    """T5's own class: unigram pieces, text </s>, padding id 0, sentinel tokens."""
    specials = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    return T5Tokenizer(vocab=[*specials, *_scored(_translation_pieces())], extra_ids=4)


def _with_languages(kind: type, **options: str) -> Any:
    specials = [(name, 0.0) for name in ("<s>", "<pad>", "</s>", "<unk>")]
    languages = [(code, 0.0) for code in ("en_XX", "de_DE", "ro_RO")]
    pieces = [*specials, *_scored(_translation_pieces()), *languages, ("<mask>", 0.0)]
    return kind(vocab=pieces, src_lang="en_XX", **options)


@cache
def mbart_like() -> MBartTokenizer:
    """mBART's own class: text </s> en_XX; a target has its language at the end, too."""
    return _with_languages(MBartTokenizer)


@cache
def mbart50_like() -> MBart50Tokenizer:
    """mBART-50's own class: en_XX text </s>."""
    return _with_languages(MBart50Tokenizer)


@cache
def nllb_like() -> NllbTokenizer:
    """NLLB's own class: byte-pair pieces, eng_Latn text </s>."""
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *_translation_pieces()[:-1]]
    merges = []
    for piece in [piece for piece in pieces if piece.startswith("▁") and len(piece) > 1]:
        for end in range(1, len(piece)):
            merges.append((piece[:end], piece[end]))
            pieces.append(piece[: end + 1])
    languages = ["eng_Latn", "deu_Latn", "heb_Hebr"]
    vocabulary = {
        piece: number for number, piece in enumerate(dict.fromkeys([*pieces, *languages, "<mask>"]))
    }
    return NllbTokenizer(
        vocab=vocabulary,
        merges=list(dict.fromkeys(merges)),
        additional_special_tokens=languages,
        src_lang="eng_Latn",
    )


class TwoVocabularies(PreTrainedTokenizer):
    """As Marian's with separate vocabularies: words of the source, words of the target, text </s>.

    As there, ids are named by the target's words, whichever text they are from.
    """

    model_input_names: ClassVar[list[str]] = ["input_ids", "attention_mask"]

    def __init__(self, source: dict[str, int], target: dict[str, int], **options: Any) -> None:
        self.encoder, self.target_encoder = source, target
        self.current_encoder = source
        self.decoder = {number: word for word, number in target.items()}
        super().__init__(unk_token="<unk>", eos_token="</s>", pad_token="<pad>", **options)

    @property
    def vocab_size(self) -> int:
        """Size of the source's vocabulary."""
        return len(self.encoder)

    def get_vocab(self) -> dict[str, int]:
        """Return the source's vocabulary."""
        return dict(self.encoder)

    def get_src_vocab(self) -> dict[str, int]:
        """Return the source's vocabulary."""
        return dict(self.encoder)

    def _tokenize(self, text: str) -> list[str]:
        return [f"▁{word}" for word in re.findall(r"\w+|[^\w\s]", text)]

    def _convert_token_to_id(self, token: str) -> int:
        return self.current_encoder.get(token, self.current_encoder["<unk>"])

    def _convert_id_to_token(self, index: int) -> str:
        return self.decoder.get(index, "<unk>")

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """Return words as a text."""
        return "".join(tokens).replace("▁", " ").strip()

    def build_inputs_with_special_tokens(self, token_ids_0: list[int], token_ids_1: Any = None) -> list[int]:
        """Return the ids with the end token."""
        return [*token_ids_0, self.eos_token_id]

    def _switch_to_input_mode(self) -> None:
        self.current_encoder = self.encoder

    def _switch_to_target_mode(self) -> None:
        self.current_encoder = self.target_encoder


@cache
def two_vocabularies() -> TwoVocabularies:
    """Marian's kind with separate vocabularies of different sizes."""
    source, target = (
        {
            word: number
            for number, word in enumerate(
                [
                    "<pad>",
                    "</s>",
                    "<unk>",
                    *(f"▁{w}" for w in sorted(set(re.findall(r"\w+|[^\w\s]", " ".join(texts))))),
                ]
            )
        }
        for texts in (SENTENCES, TRANSLATIONS)
    )
    return TwoVocabularies(source, target)
