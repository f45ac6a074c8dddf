"""The models and texts of the tasks, saved once so that every environment loads the same ones."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["classifier", "tagger", "encoder", "causal", "seq2seq"]
REPOSITORY = Path(__file__).parents[1]
MODELS_FOLDER = REPOSITORY / "build" / "benchmark-models"
CLS_ID, SEP_ID, MASK_ID = 101, 102, 103
LOWEST_WORD, HIGHEST_WORD = 1000, 30000
SPECIAL = {0: "[PAD]", 100: "[UNK]", CLS_ID: "[CLS]", SEP_ID: "[SEP]", MASK_ID: "[MASK]"}
STORY = (
    "The lighthouse keeper had lived on the island for thirty years, and in all that time he never "
    "missed a single night. Every evening he climbed the narrow stairs, cleaned the great lamp, and "
    "watched the ships pass by in the dark. One winter a storm came from the north, and the waves rose "
    "higher than anyone in the village could remember. The keeper lit the lamp early and waited."
)


@dataclass(frozen=True)
class Model:
    """A model with random weights."""

    kind: Kind
    config: Callable[[], Any]


def _bert(kind: Kind = "classifier", **options: Any) -> Model:
    def config() -> Any:
        from transformers import BertConfig

        return BertConfig(**{"vocab_size": 30522, "num_labels": 2, **options})

    return Model(kind, config)


def _gpt2(**options: Any) -> Model:
    def config() -> Any:
        from transformers import GPT2Config

        return GPT2Config(**options)

    return Model("causal", config)


def _llama(**options: Any) -> Model:
    def config() -> Any:
        from transformers import LlamaConfig

        return LlamaConfig(tie_word_embeddings=True, **options)

    return Model("causal", config)


def _t5(**options: Any) -> Model:
    def config() -> Any:
        from transformers import T5Config

        return T5Config(**{"vocab_size": 32128, "decoder_start_token_id": 0, **options})

    return Model("seq2seq", config)


MODELS = {
    "bert-base": _bert(),
    "bert-base-tagger": _bert("tagger", num_labels=9),
    # At the usual scale of random weights the logits are nearly linear, and two nodes would be enough. At
    # this scale 10 nodes leave a gap of 5 % and 20 nodes one of 0.05 %, so that the number matters.
    "bert-base-curved": _bert(initializer_range=0.08),
    "minilm": _bert(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536),
    "minilm-encoder": _bert(
        "encoder", hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
    ),
    "gpt2-small": _gpt2(),
    "gpt2-small-4k": _gpt2(n_positions=4096),
    "gpt2-mini": _gpt2(n_embd=384, n_layer=6, n_head=6),
    "smollm2-random": _llama(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8192,
    ),
    "llama-small-32k": _llama(
        vocab_size=32000,
        hidden_size=256,
        intermediate_size=704,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=32768,
    ),
    "t5-small": _t5(d_model=512, d_kv=64, d_ff=2048, num_layers=6, num_heads=8),
    "llama-1b": _llama(
        vocab_size=128256,
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=16,
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=8192,
    ),
}


def model_folder(name: str) -> tuple[str, Path]:
    """Return the name and folder of a model, which is saved or downloaded first if it is missing.

    SmolLM2 comes from the user's cache or its package. If neither is available, a model of its size with
    random weights replaces it, under another name.
    """
    if name == "smollm2":
        from model_understanding.demo_models.smollm2 import folder
        from model_understanding.errors import ModelUnderstandingError

        try:
            return name, folder()
        except (ModelUnderstandingError, OSError):
            name = "smollm2-random"
    path = MODELS_FOLDER / name
    if not (path / "tokenizer_config.json").exists():
        _save(MODELS[name], path)
    return name, path


def kind_of(name: str) -> Kind:
    """Return whether a model classifies, continues a text, or writes an output for a source."""
    return MODELS[name].kind if name in MODELS else "causal"


def auto_class(kind: Kind) -> Any:
    """Return the class of transformers that loads a kind of model."""
    import transformers

    names = {
        "classifier": "AutoModelForSequenceClassification",
        "tagger": "AutoModelForTokenClassification",
        "encoder": "AutoModel",
        "causal": "AutoModelForCausalLM",
        "seq2seq": "AutoModelForSeq2SeqLM",
    }
    return getattr(transformers, names[kind])


def _save(model: Model, path: Path) -> None:
    """Save random weights, and a tokenizer with one word per ID, so that every text survives decoding."""
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, pre_tokenizers, processors
    from tokenizers.models import WordLevel

    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    config = model.config()
    network = auto_class(model.kind).from_config(config)
    with torch.no_grad():  # the embedding of padding is zero: the only baseline that gim-explain accepts
        network.get_input_embeddings().weight[0] = 0
    network.save_pretrained(path)
    words = {SPECIAL.get(number, f"w{number}"): number for number in range(config.vocab_size)}
    # GPT-2's end token is its last one; the unknown word is the mask token, the only baseline of inseq.
    tokenizer = Tokenizer(WordLevel(words, unk_token="[MASK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=False)
    tokenizer.add_special_tokens(list(SPECIAL.values()))
    if model.kind in ("classifier", "tagger", "encoder"):
        ends = [("[CLS]", CLS_ID), ("[SEP]", SEP_ID)]
        tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.save(str(path / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",  # loads in every version of transformers in use
        "clean_up_tokenization_spaces": False,
        "model_max_length": 32768,
        "unk_token": "[MASK]",
        "mask_token": "[MASK]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
    }
    if model.kind in ("causal", "seq2seq"):
        settings = {key: value for key, value in settings.items() if key not in ("cls_token", "sep_token")}
        settings["eos_token"] = settings["bos_token"] = f"w{config.vocab_size - 1}"
    (path / "tokenizer_config.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")


def text_ids(name: str, tokens: int, texts: int = 1) -> list[list[int]]:
    """Return texts of random words, or the story's first tokens for a trained model.

    Args:
        name: The model.
        tokens: Tokens of each text, a classifier's two special tokens included.
        texts: Number of texts; with several, each 40 have every length from 8 to 47 tokens once.

    Returns:
        Their token IDs.
    """
    if name == "smollm2":
        from transformers import AutoTokenizer

        ids = AutoTokenizer.from_pretrained(model_folder(name)[1])(STORY)["input_ids"]
        assert len(ids) >= tokens
        return [ids[:tokens]]
    import torch

    lengths = [tokens] if texts == 1 else [8 + 7 * number % 40 for number in range(texts)]
    found = []
    for seed, length in enumerate(lengths):
        generator = torch.Generator().manual_seed(seed)
        words = torch.randint(LOWEST_WORD, HIGHEST_WORD, (length,), generator=generator).tolist()
        if kind_of(name) in ("classifier", "tagger", "encoder"):
            words[0], words[-1] = CLS_ID, SEP_ID
        found.append(words)
    return found
