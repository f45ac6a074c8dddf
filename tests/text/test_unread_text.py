"""Text that the model does not read as it is, unknown to the tokenizer or dropped, is named in a warning."""

import io

import numpy as np
import pytest
import tiny_models
import tiny_tokenizers
import torch
from rich.console import Console
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from model_understanding import GenerativeModelVisualizer
from model_understanding.show.payload.report import report_payload
from model_understanding.show.shared.runs import highlighted_runs
from model_understanding.show.terminal.report import print_report
from model_understanding.text.cautions import cautions_about
from model_understanding.text.tokenization import tokenize

APART = "; the model cannot tell them apart."


def word_level() -> PreTrainedTokenizerFast:
    """Whole words only, as of a language model that was trained on a fixed list."""
    words = ["<unk>", "<s>", *sorted({"The", "film", "was", "a", "king", "sea", "good", "."})]
    backend = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, "<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", eos_token="<s>")


def without_unknown() -> PreTrainedTokenizerFast:
    """Letters only: characters that are none are dropped without a token."""
    letters = {letter: index for index, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}
    backend = Tokenizer(models.BPE(letters, []))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=backend)


@pytest.mark.parametrize(
    ("tokenizer", "text", "warning"),
    [
        (
            tiny_tokenizers.wordpiece,
            "The film, שלום ☃!",
            f"2 of 4 words are unknown to the tokenizer and became [UNK]: 'שלום', '☃'{APART}",
        ),
        (
            tiny_tokenizers.wordpiece,
            "The ☃ ☃ film",
            "2 of 4 words are unknown to the tokenizer and became [UNK]: '☃'.",
        ),
        (
            tiny_tokenizers.wordpiece,
            "The 👨\u200d👩\u200d👧 film",
            "1 of 3 words is unknown to the tokenizer and became [UNK]: '👨\u200d👩\u200d👧'.",
        ),
        (
            tiny_tokenizers.xlmr_like,
            "The filмs was",
            "1 of 3 words has parts unknown to the tokenizer that became <unk>: 'filмs'.",
        ),
        (
            word_level,
            "The dreary film",
            "1 of 3 words is unknown to the tokenizer and became <unk>: 'dreary'.",
        ),
        (
            without_unknown,
            "good ☃ film7, it",
            "The tokenizer drops '☃', '7,': the model does not read this text.",
        ),
    ],
)
def test_unread_words_are_named(tokenizer, text, warning):
    tokenizer = tokenizer()
    tokens, _ = tokenize(tokenizer, text)
    assert cautions_about(tokens, tokenizer) == (warning,)


@pytest.mark.parametrize(
    "tokenizer",
    [tiny_tokenizers.gpt2_like, tiny_tokenizers.roberta_like, tiny_tokenizers.llama_like,
     tiny_tokenizers.llama2_like, tiny_tokenizers.byte_level_with_blank],
)  # fmt: skip
def test_tokenizers_that_read_bytes_have_no_unread_text(tokenizer):
    tokenizer = tokenizer()
    for text in (
        "I love 🤗 日本 שלום",
        "  two  blanks\tand\nlines  ",
        "e\u0301 n\u0303 👨\u200d👩\u200d👧 \u202e",
    ):
        tokens, _ = tokenize(tokenizer, text)
        assert cautions_about(tokens, tokenizer) == ()
        assert not tokens.unknown.any()


def test_blanks_controls_and_accents_that_a_tokenizer_strips_are_no_dropped_text():
    tokenizer = tiny_tokenizers.wordpiece()
    tokens, _ = tokenize(tokenizer, "  The\tfi\u0301lm \u200d was\x00 bad \n")
    assert cautions_about(tokens, tokenizer) == ()


def test_the_words_of_a_classifiers_text_are_marked_in_every_view():
    report = tiny_models.visualizer_of("bert").analyze(
        "the film ☃ שלום", method="input_x_gradient", show=False
    )
    tokens = report.attributions[0].tokens
    marked = [run.text for run in highlighted_runs(tokens) if run.is_unknown]
    assert marked == ["☃", "שלום"]
    table = report_payload(report)["tables"][0]
    assert [table["labels"][i] for i in np.flatnonzero(table["unknown"])] == ["☃ (unknown)", "שלום (unknown)"]
    assert report_payload(report)["cautions"][0].startswith("2 of 4 words are unknown")


def test_an_unknown_word_of_a_prompt_is_named_once_and_marked():
    tokenizer = word_level()
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2, bos_token_id=1, eos_token_id=1
    )
    torch.manual_seed(0)
    model = GPT2LMHeadModel(config).eval()
    visualizer = GenerativeModelVisualizer(model=model, tokenizer=tokenizer)
    report = visualizer.analyze(
        "The dreary film was", max_new_tokens=3, method="input_x_gradient", show=False
    )
    warnings = [warning for warning in report_payload(report)["cautions"] if "unknown" in warning]
    assert len(warnings) == 1
    assert "1 of 4 words is unknown to the tokenizer and became <unk>: 'dreary'." in warnings
    assert report.generation is not None
    tokens = report.generation.tokens
    assert tokens.unknown[1]
    run = next(run for run in highlighted_runs(tokens) if run.unit == 1)
    assert (run.text, run.is_unknown) == ("dreary", True)


def test_the_terminal_underlines_unknown_words():
    report = tiny_models.visualizer_of("bert").analyze(
        "the film ☃ was", method="fast", evaluate=False, show=False
    )
    console = Console(
        file=io.StringIO(), width=100, force_terminal=True, color_system="truecolor", record=True
    )
    print_report(report, console)
    assert 'text-decoration: underline">☃' in console.export_html(inline_styles=True)
