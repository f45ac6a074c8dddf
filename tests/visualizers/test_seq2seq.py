"""How an encoder–decoder's source and output are read, and what its decoder starts with."""

import numpy as np
import pytest
import tiny_seq2seq as tiny
import tiny_tokenizers
import torch
import transformers as hf
from tiny_seq2seq import OUTPUT, SOURCE, ids_of, visualizer_of

from model_understanding import InputError, Report, Seq2SeqVisualizer
from model_understanding.show.payload.reproduce import attribution_code
from model_understanding.text.source_and_output import split_of

EMOJI = "Ein König 👨‍👩‍👧"
HEBREW = "שלום"


@pytest.mark.parametrize("name", tiny.NAMES)
def test_the_decoder_starts_as_the_model_was_trained(name):
    visualizer = visualizer_of(name)
    found = visualizer.compute_saliency(SOURCE, target="next", method="saliency")
    source, prompt = split_of(found.tokens)
    assert prompt == len(found.tokens)
    assert found.tokens.pieces[source:] == tiny.BY_NAME[name].prefix
    assert found.tokens.special[source:].all()
    assert found.targets[0].positions == (prompt - 1,)
    assert found.targets[0].task == "seq2seq-lm"


@pytest.mark.parametrize("name", ["mbart", "mbart50", "nllb"])
def test_a_language_has_to_be_named_and_known(name):
    model, tokenizer = tiny.build(name), tiny.tokenizer_of(name)
    known = tiny.BY_NAME[name].languages["target_language"]
    with pytest.raises(InputError, match=f"starts its output with a token for the language.*{known}"):
        Seq2SeqVisualizer(model=model, tokenizer=tokenizer)
    for argument in ("source_language", "target_language"):
        with pytest.raises(InputError, match=f"Unknown language 'Klingon'.*{known}"):
            Seq2SeqVisualizer(model=model, tokenizer=tokenizer, **{argument: "Klingon"})


def test_a_tokenizer_without_languages_says_so():
    with pytest.raises(InputError, match=r"T5Tokenizer has no tokens for languages.*translate English"):
        Seq2SeqVisualizer(model=tiny.build("t5"), tokenizer=tiny.tokenizer_of("t5"), target_language="German")


@pytest.mark.parametrize(("name", "forced"), [("nllb", "heb_Hebr"), ("mbart50", "ro_RO")])
def test_a_forced_token_of_the_settings_is_the_language(name, forced):
    model, tokenizer = tiny.fresh(name), tiny.tokenizer_of(name)
    model.generation_config.forced_bos_token_id = tokenizer.convert_tokens_to_ids(forced)
    visualizer = Seq2SeqVisualizer(model=model, tokenizer=tokenizer)
    found = visualizer.generate(SOURCE, max_new_tokens=2)
    assert found.tokens.pieces[found.prompt_length - 1] == forced
    named = Seq2SeqVisualizer(model=model, tokenizer=tokenizer, **tiny.BY_NAME[name].languages)
    language = tiny.BY_NAME[name].languages["target_language"]
    assert named.generate(SOURCE, max_new_tokens=2).tokens.pieces[found.prompt_length - 1] == language


def test_the_languages_are_in_the_result_and_in_the_code_that_reproduces_it():
    report = visualizer_of("nllb").analyze(SOURCE, "Der Film", evaluate=False, show=False)
    again = Report.from_json(report.to_json())
    assert (again.provenance.source_language, again.provenance.target_language) == ("eng_Latn", "deu_Latn")
    code = "".join(attribution_code(again, again.attributions[0]))
    assert "source_language='eng_Latn', target_language='deu_Latn'" in code


def test_a_start_token_of_the_settings_is_mbarts_language():
    model, tokenizer = tiny.fresh("mbart"), tiny.tokenizer_of("mbart")
    model.generation_config.decoder_start_token_id = tokenizer.convert_tokens_to_ids("ro_RO")
    found = Seq2SeqVisualizer(model=model, tokenizer=tokenizer).generate(SOURCE, max_new_tokens=2)
    assert found.tokens.pieces[found.prompt_length - 1] == "ro_RO"
    model.generation_config.decoder_start_token_id = None
    model.generation_config.bos_token_id = model.config.bos_token_id = None
    plain = hf.BartForConditionalGeneration(hf.BartConfig(**model.config.to_dict()))
    plain.generation_config.bos_token_id = plain.generation_config.decoder_start_token_id = None
    plain.config.bos_token_id = plain.config.decoder_start_token_id = None
    with pytest.raises(InputError, match="do not say which token its decoder starts with"):
        Seq2SeqVisualizer(model=plain, tokenizer=tiny.tokenizer_of("bart"))


@pytest.mark.parametrize("name", ["mbart", "mbart50", "nllb"])
def test_the_callers_tokenizer_is_not_changed(name):
    tokenizer = tiny.tokenizer_of(name)
    before = tokenizer(SOURCE)["input_ids"], tokenizer.src_lang, tokenizer.tgt_lang
    other = {"nllb": "heb_Hebr"}.get(name, "ro_RO")
    visualizer = Seq2SeqVisualizer(
        model=tiny.build(name), tokenizer=tokenizer, source_language=other, target_language=other
    )
    found = visualizer.generate(SOURCE, continuation=OUTPUT)
    assert list(found.tokens.pieces).count(other) == 2
    assert (tokenizer(SOURCE)["input_ids"], tokenizer.src_lang, tokenizer.tgt_lang) == before


@pytest.mark.parametrize("name", tiny.NAMES)
def test_a_given_output_is_a_target_by_text_and_by_ids(name):
    visualizer = visualizer_of(name)
    _, start, output = ids_of(name)
    by_text = visualizer.generate(SOURCE, continuation=OUTPUT)
    assert by_text.given
    assert by_text.text == OUTPUT
    given = output[0].tolist()
    for ids in (given, [*start[0].tolist(), *given], [*start[0, 1:].tolist(), *given]):
        found = visualizer.generate(SOURCE, continuation=ids)
        assert found.tokens.ids.tolist() == by_text.tokens.ids.tolist()


@pytest.mark.parametrize("name", ["t5", "bart", "nllb", "marian-two-tables", "prophetnet"])
def test_a_generated_output_given_again_by_its_ids_is_the_same(name):
    visualizer = visualizer_of(name)
    written = visualizer.generate(SOURCE, max_new_tokens=6)
    again = visualizer.generate(SOURCE, continuation=written.continuation_tokens().ids)
    assert again.tokens.ids.tolist() == written.tokens.ids.tolist()
    assert np.allclose(again.probabilities, written.probabilities, rtol=1e-5)


@pytest.mark.parametrize("name", ["bart", "led", "plbart"])
@pytest.mark.parametrize("output", [EMOJI, HEBREW, f"{HEBREW} {EMOJI}"])
def test_every_character_of_an_output_stands_where_it_is(name, output):
    visualizer = visualizer_of(name)
    found = visualizer.compute_saliency(output, continuation=output, method="saliency", per_token=True)
    own = found.tokens.segments == 1
    units = found.tokens.fold(found.tokens.groups("character"))
    for segment in (0, 1):
        surfaces = [
            surface
            for surface, of, special in zip(units.surfaces(), units.segments, units.special, strict=True)
            if of == segment and not special
        ]
        assert "".join(surfaces) == output
    assert found.tokens.offsets[own].max() == len(output)


@pytest.mark.parametrize("name", ["t5", "mbart", "nllb"])
def test_what_a_vocabulary_lacks_is_said_of_the_output_too(name):
    visualizer = visualizer_of(name)
    with_emoji = visualizer.compute_saliency(SOURCE, continuation="Der Film 👨", method="saliency")
    assert any("unknown to the tokenizer" in caution for caution in with_emoji.provenance.cautions)
    plain = visualizer.compute_saliency(SOURCE, continuation="Der Film", method="saliency")
    assert not any("unknown" in caution for caution in plain.provenance.cautions)


def test_tokens_are_contrasted_in_the_targets_vocabulary():
    visualizer = visualizer_of("marian-two-tables")
    words = tiny_tokenizers.two_vocabularies().target_encoder
    found = visualizer.compute_saliency(SOURCE, target="Film", against="König", method="saliency")
    assert found.targets[0].indices == (words["▁Film"],)
    assert found.targets[0].against == (words["▁König"],)
    labels = (*found.targets[0].labels, *found.targets[0].against_labels)
    assert [label.strip() for label in labels] == ["Film", "König"]
    step = visualizer.compute_saliency(
        SOURCE, continuation=OUTPUT, span="Film", against="König", quantity="logit", method="saliency"
    )
    assert step.targets[0].indices == (words["▁Film"],)
    assert step.targets[0].against == (words["▁König"],)
    source, start, output = ids_of("marian-two-tables")
    logits = tiny.logits(visualizer.model, source, torch.cat([start, output[:, :1]], dim=1))[-1]
    assert step.outputs[0] == pytest.approx(float(logits[words["▁Film"]] - logits[words["▁König"]]), rel=1e-4)


def test_words_of_the_source_keep_their_own_vocabulary():
    found = visualizer_of("marian-two-tables").compute_saliency(SOURCE, target="next", method="saliency")
    assert found.tokens.surfaces()[:3] == ("The", "film", "was")
    assert found.tokens.pieces[:3] == ("▁The", "▁film", "▁was")


@pytest.mark.parametrize("name", ["t5", "bart", "nllb"])
def test_a_word_that_begins_an_output_is_split_as_there(name):
    """In the middle of a text some tokenizers split it otherwise, without the blank before it."""
    visualizer = visualizer_of(name)
    tokenizer = visualizer.runner.model.output_tokenizer
    word = "Film" if name != "t5" else "war"
    expected = tokenizer(word, add_special_tokens=False)["input_ids"]
    span = (0, len(expected))
    found = visualizer.compute_saliency(
        SOURCE, continuation="Der wunderbar", span=span, against=word, method="saliency"
    )
    if len(expected) > 1:
        assert found.targets[0].against == tuple(expected)
    else:
        assert found.targets[0].against[0] == expected[0]


def test_a_report_has_the_steps_of_the_output_and_their_alternatives():
    visualizer = visualizer_of("t5")
    report = visualizer.analyze(SOURCE, OUTPUT, alternatives=2, method="saliency", show=False)
    _, _, output = ids_of("t5")
    steps = output.shape[1]
    assert len(report.attributions) == 1
    assert len(report.attributions[0].targets) == steps
    assert len(report.contrasts.targets) == 2 * steps
    assert report.generation.given
    assert report.generation.prompt == SOURCE
    assert report.generation.text == OUTPUT
    assert report.evaluations
    again = Report.from_json(report.to_json())
    first, second = (visualizer.evaluate(each.attributions[0]) for each in (report, again))
    assert first.evaluations[0].value == second.evaluations[0].value
    report.to_html()


@pytest.mark.parametrize("name", ["t5", "mbart", "bert-to-gpt2"])
def test_an_attribution_knows_its_sides(name):
    visualizer = visualizer_of(name)
    source, start, output = ids_of(name)
    found = visualizer.compute_saliency(SOURCE, continuation=OUTPUT, method="saliency")
    encoding = visualizer._encoding_of(found)
    assert encoding.source_length == source.shape[1]
    assert encoding.prompt_length == source.shape[1] + start.shape[1]
    assert encoding.parts()[1].tolist() == [[*start[0].tolist(), *output[0].tolist()]]


@pytest.mark.parametrize("name", ["bart", "led", "bert-to-gpt2"])
def test_each_side_has_its_own_limit(name):
    visualizer = visualizer_of(name)
    long = "film " * 60
    with pytest.raises(InputError, match=r"The text has \d+ tokens; .* accepts at most 96"):
        visualizer.compute_saliency(long * 2, target="next")
    with pytest.raises(InputError, match=r"The output has \d+ tokens; .* accepts at most 96"):
        visualizer.compute_saliency(SOURCE, continuation=long * 2)


def test_a_long_text_of_a_model_without_a_limit_is_explained():
    found = visualizer_of("t5").compute_saliency("film " * 300, target="next", method="saliency")
    assert len(found.tokens) > 300
    assert found.scores[0, :10].any()


def test_forbidden_tokens_are_never_written():
    model = tiny.fresh("marian")
    tokenizer = tiny.tokenizer_of("marian")
    free = Seq2SeqVisualizer(model=model, tokenizer=tokenizer).generate(SOURCE, max_new_tokens=4)
    first = int(free.tokens.ids[free.prompt_length])
    for setting in ({"bad_words_ids": [[first]]}, {"suppress_tokens": [first]}):
        model.generation_config = hf.GenerationConfig(
            decoder_start_token_id=0, eos_token_id=1, pad_token_id=0, **setting
        )
        found = Seq2SeqVisualizer(model=model, tokenizer=tokenizer).generate(SOURCE, max_new_tokens=4)
        written = found.tokens.ids[found.prompt_length :].tolist()
        source, _, _ = ids_of("marian")
        expected = model.generate(source, max_new_tokens=4, do_sample=False, num_beams=1)
        assert written == expected[0, 1:].tolist()
        assert first not in written
        assert "generation config never allows" in found.cautions[0]


@pytest.fixture(scope="module")
def two_tokenizers():
    """BERT before GPT-2, each with a tokenizer of its own."""
    words, bytes_ = tiny_tokenizers.wordpiece(), tiny_tokenizers.gpt2_like()
    encoder = hf.BertConfig(vocab_size=len(words), **tiny.BERT)
    decoder = hf.GPT2Config(
        vocab_size=len(bytes_), n_embd=24, n_layer=2, n_head=4, n_positions=96, add_cross_attention=True,
        is_decoder=True, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    model = hf.EncoderDecoderModel(
        hf.EncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    ).eval()
    model.generation_config.decoder_start_token_id = 0
    return model, words, bytes_


def test_a_decoder_may_have_a_tokenizer_of_its_own(two_tokenizers):
    model, words, bytes_ = two_tokenizers
    with pytest.raises(InputError, match="and there is one tokenizer"):
        Seq2SeqVisualizer(model=model, tokenizer=words)
    visualizer = Seq2SeqVisualizer(model=model, tokenizer=words, target_tokenizer=bytes_)
    found = visualizer.compute_saliency(SOURCE, continuation=EMOJI, method="saliency", span=(2, 3))
    source = torch.tensor([words(SOURCE)["input_ids"]])
    output = torch.tensor([[0, *bytes_(EMOJI)["input_ids"]]])
    assert found.tokens.ids.tolist() == [*source[0].tolist(), *output[0].tolist()]
    expected = tiny.gradients(
        model, source, output[:, :3], lambda logits: logits[-1].log_softmax(-1)[output[0, 3]]
    )
    norms = torch.cat([gradient.norm(dim=-1) for gradient in expected])
    assert np.allclose(found.scores[0, : len(norms)], norms, rtol=1e-4)


def test_a_mask_of_one_vocabulary_stands_for_nothing_in_another(two_tokenizers):
    model, words, bytes_ = two_tokenizers
    visualizer = Seq2SeqVisualizer(model=model, tokenizer=words, target_tokenizer=bytes_)
    found = visualizer.compute_saliency(SOURCE, continuation="a king", method="leave_one_out")
    assert found.parameters["replacement"] == "mean"
    path = visualizer.compute_saliency(SOURCE, continuation="a king", method="integrated_gradients")
    assert path.parameters["baseline"] == "mean"


def test_settings_that_a_pipeline_would_use_are_named():
    model = tiny.fresh("marian")
    model.generation_config.update(num_beams=4, no_repeat_ngram_size=3)
    visualizer = Seq2SeqVisualizer(model=model, tokenizer=tiny.tokenizer_of("marian"))
    found = visualizer.generate(SOURCE, max_new_tokens=2)
    # Marian's own config forces the last token.
    named = "num_beams=4 and no_repeat_ngram_size=3 and forced_eos_token_id=0"
    assert f"without {named} of the generation config" in found.cautions[0]
    assert found.tokens.ids.tolist() == (
        visualizer_of("marian").generate(SOURCE, max_new_tokens=2).tokens.ids.tolist()
    )
    assert not visualizer.generate(SOURCE, continuation=OUTPUT).cautions
    assert not visualizer.generate(SOURCE, max_new_tokens=2, seed=0).cautions


@pytest.mark.parametrize("name", ["bart", "marian"])
def test_a_forced_last_token_is_named_where_the_output_does_not_end_by_itself(name):
    model = tiny.fresh(name)
    model.generation_config.update(forced_eos_token_id=2)
    visualizer = Seq2SeqVisualizer(model=model, tokenizer=tiny.tokenizer_of(name))
    found = visualizer.generate(SOURCE, max_new_tokens=2)
    assert "without forced_eos_token_id=2 of the generation config" in found.cautions[0]
    model.generation_config.update(eos_token_id=int(found.tokens.ids[-1]))
    assert not visualizer.generate(SOURCE, max_new_tokens=2).cautions


MISUSES = {
    "the source has no loss": (
        {"target": "loss"},
        "An encoder–decoder predicts its output, not its source, so the source has no loss.",
    ),
    "an empty output": ({"continuation": ""}, "The text is empty."),
    "an output of a start alone": (
        {"continuation": [0]},
        "The continuation has only the tokens that the decoder starts with.",
    ),
    "an id that is not in the vocabulary": (
        {"continuation": [5, 100000]},
        "The text has the token id 100000, but the model's vocabulary has only",
    ),
    "an output that is no text": ({"continuation": 3.5}, "A continuation must be a string or token ids."),
}


@pytest.mark.parametrize("misuse", MISUSES)
def test_misuse_says_what_was_given_and_what_to_do(misuse):
    options, message = MISUSES[misuse]
    with pytest.raises(InputError) as caught:
        visualizer_of("t5").compute_saliency(SOURCE, **options)
    assert str(caught.value).startswith(message)


def test_a_chat_needs_a_template():
    with pytest.raises(InputError, match="has no chat template"):
        visualizer_of("t5").compute_saliency([{"role": "user", "content": SOURCE}])
