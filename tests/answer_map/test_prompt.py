"""Documents of all kinds, and where they are in prompts."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas
import pytest
import tiny_tokenizers
from tiny_models import GROUPED, fresh, visualizer_of
from transformers import AutoModelForCausalLM, LlamaConfig

from model_understanding import Chat, GenerativeModelVisualizer, InputError
from model_understanding.answer_map.documents import documents_of
from model_understanding.answer_map.markers import split_by_markers
from model_understanding.answer_map.prompt import prompt_of_question, sources_in_chat, sources_in_text

RED, BLUE = "Roses are red.\nThey have thorns.", "Skies are blue."
WITH_DOCUMENTS = (
    "{% for document in documents or [] %}<doc>{{ document.title }} – {{ document.text | trim }}</doc>\n"
    "{% endfor %}" + tiny_tokenizers.CHAT_TEMPLATE
)
AS_JSON = (
    "{% for message in messages %}{{ message | tojson }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


class Tokenizer:
    """What is needed of a tokenizer to render a chat."""

    def __new__(cls, template):
        tokenizer = tiny_tokenizers.gpt2_like()
        other = type(tokenizer)(tokenizer_object=tokenizer.backend_tokenizer, eos_token="<|endoftext|>")
        other.chat_template = template
        return other


def parts(found):
    return {
        name: [found.text[start:end] for start, end in spans]
        for name, spans in zip(found.names, found.spans, strict=True)
    }


@dataclass
class LangChain:
    page_content: str
    metadata: dict = field(default_factory=dict)


@dataclass
class Node:
    text: str
    metadata: dict = field(default_factory=dict)

    def get_content(self):
        return self.text


@dataclass
class NodeWithScore:
    node: Node
    score: float


@dataclass
class Haystack:
    id: str
    content: str
    meta: dict = field(default_factory=dict)


def test_documents_are_read_whatever_library_they_are_of(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "b.md").write_text("Bee.", encoding="utf-8")
    (tmp_path / "folder" / "a.txt").write_text("Ay.", encoding="utf-8")
    (tmp_path / "folder" / "image.png").write_bytes(b"\x89PNG\xff")
    (tmp_path / "folder" / ".hidden").write_text("no", encoding="utf-8")
    (tmp_path / "one.txt").write_text("\ufeffOne.", encoding="utf-8")
    found = documents_of(
        [
            "Plain.",
            {"title": "Titled", "text": "T."},
            {"content": "C."},
            LangChain("L.", {"source": "/data/l.txt"}),
            (LangChain("Scored."), 0.5),
            Node("N.", {"file_name": "n.md"}),
            NodeWithScore(Node("W.", {"file_path": "docs/w.md"}), 0.1),
            Haystack("4f1c", "H.", {"name": "h.txt"}),
            LangChain("Again.", {"source": "/other/l.txt"}),
            tmp_path / "one.txt",
            tmp_path / "folder",
        ]
    )
    assert [(each.name, each.text) for each in found.read] == [
        ("document 1", "Plain."),
        ("Titled", "T."),
        ("document 3", "C."),
        ("l.txt (1)", "L."),
        ("document 5", "Scored."),
        ("n.md", "N."),
        ("w.md", "W."),
        ("h.txt", "H."),
        ("l.txt (2)", "Again."),
        ("one.txt", "One."),
        ("a.txt", "Ay."),
        ("b.md", "Bee."),
    ]
    assert found.skipped == ("image.png (not UTF-8 text)",)
    assert documents_of("Only one.").read[0].text == "Only one."


def test_tables_and_texts_by_name_are_documents():
    table = {"title": ["a.txt", "a.txt", "a.txt (1)"], "text": ["A.", "B.", "C."]}
    for given in (
        pandas.DataFrame(table),
        [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)],
    ):
        named = [(each.name, each.text) for each in documents_of(given).read]
        assert named == [("a.txt (2)", "A."), ("a.txt (3)", "B."), ("a.txt (1)", "C.")]
    by_name = documents_of({"a.txt": "A.", "b.txt": "B."}).read
    assert [(each.name, each.text) for each in by_name] == [("a.txt", "A."), ("b.txt", "B.")]
    assert [each.text for each in documents_of(pandas.Series(["A.", "B."])).read] == ["A.", "B."]


def test_the_number_of_a_document_is_its_place_in_the_prompt(tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("Ay.", encoding="utf-8")
    answers = visualizer().map_answer(question="Why?", documents=[tmp_path, "Bee. Cee."], answer="It is Bee.")
    assert [source.name for source in answers.sources] == ["a.txt", "b.txt", "document 3"]
    assert "Document 3:\nBee." in answers.prompt


def test_files_that_are_no_text_are_named(tmp_path):
    (tmp_path / "a.txt").write_text("Roses are red. Skies are blue.", encoding="utf-8")
    (tmp_path / "latin.txt").write_bytes("olé".encode("latin-1"))
    (tmp_path / "empty.txt").write_text("  ", encoding="utf-8")
    answers = visualizer().map_answer(question="Why?", documents=tmp_path, answer="It is red.")
    said = "Not read: empty.txt (empty), latin.txt (not UTF-8 text)."
    assert said in answers.provenance.cautions


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_a_byte_order_mark_says_how_a_file_is_written(tmp_path, encoding):
    text = "Rosen sind rot.\r\nÄpfel 吾輩."
    mark = "" if encoding in ("utf-16", "utf-32", "utf-8-sig") else "\ufeff"
    (tmp_path / "a.txt").write_bytes((mark + text).encode(encoding))
    for given in (tmp_path, tmp_path / "a.txt"):
        assert documents_of(given).read[0].text == text.replace("\r\n", "\n")
    (tmp_path / "a.txt").write_bytes(text.encode("utf-16-le"))
    with pytest.raises(InputError, match=r"a\.txt is not UTF-8 text"):
        documents_of(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"question": ""}, "The question is empty."),
        ({"question": 3}, "The question must be a text. Got int."),
        ({"question": "a\ud800"}, "The question contains an unpaired surrogate at position 1"),
        ({"answer": ""}, "The answer is empty. Pass an answer, or leave it out"),
        ({"answer": " \n"}, "The answer is empty. Pass an answer, or leave it out"),
        ({"answer": []}, "The answer is empty. Pass an answer, or leave it out"),
        ({"answer": np.zeros(0, dtype=int)}, "The answer is empty. Pass an answer, or leave it out"),
        ({"answer": [-1]}, "The token ids of the answer must be at least 0. Got -1."),
        ({"answer": 3.5}, "The answer must be a string or token ids. Got float."),
        ({"answer": "It is \udc00"}, "The answer contains an unpaired surrogate at position 6"),
        ({"documents": [RED, "b\ud800"]}, "Document 2 contains an unpaired surrogate at position 1"),
        (
            {"documents": [{"title": "\ud800", "text": RED}]},
            "The title of document 1 contains an unpaired surrogate at position 0",
        ),
        (
            {"question": None, "messages": [{"role": "user", "content": f"{RED}\ud800"}]},
            f"Message 0 (user) contains an unpaired surrogate at position {len(RED)}",
        ),
        ({"span": "green"}, "'green' does not occur in the answer 'It is red, or is it?'"),
        ({"span": "is"}, "'is' occurs in the answer 'It is red, or is it?' more than once"),
        ({"span": (5, 500)}, "Invalid span (5, 500): the answer has "),
    ],
)
def test_what_cannot_be_used_is_called_as_its_caller_does(options, message):
    given = {"question": "Why?", "documents": [RED], "answer": "It is red, or is it?", **options}
    with pytest.raises(InputError) as caught:
        visualizer().map_answer(**given)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_an_answer_that_was_cut_is_called_so(name):
    found = visualizer(name=name)
    options = {"question": "What?", "documents": [RED, BLUE]}
    answers = found.map_answer(**options, max_new_tokens=6)
    count = len(answers.tokens) - answers.prompt_length
    ids = answers.tokens.ids[answers.prompt_length :].tolist()
    said = f"The answer was cut after {count} tokens: raise max_new_tokens (--max-new-tokens)."
    assert count == 6
    assert said in answers.provenance.cautions
    # The same tokens when they are given, or when the last one ends the answer.
    assert said not in found.map_answer(**options, answer=ids).provenance.cautions
    found.runner.model.module.generation_config.eos_token_id = ids[-1]
    ended = found.map_answer(**options, max_new_tokens=6)
    assert not any("was cut" in caution for caution in ended.provenance.cautions)


@pytest.mark.parametrize("template", [tiny_tokenizers.CHAT_TEMPLATE, WITH_DOCUMENTS, None])
def test_documents_with_control_tokens_are_named(template):
    tokenizer = Tokenizer(template)
    found = visualizer(tokenizer)
    documents = [RED, "Skies are <|endoftext|> blue.", "Grass is <b>green</b>."]
    said = found.map_answer(question="Why?", documents=documents, answer="It is red.").provenance.cautions
    assert (
        "Control tokens of the model are in the text of document 2 (<|endoftext|>). The model reads them as "
        "such, for example as the end of a turn, and not as text."
    ) in said
    clean = found.map_answer(question="Why?", documents=[RED, BLUE], answer="It is red.")
    assert not any("Control tokens" in caution for caution in clean.provenance.cautions)


@pytest.mark.parametrize("template", [tiny_tokenizers.CHAT_TEMPLATE, WITH_DOCUMENTS, None])
@pytest.mark.parametrize(
    ("question", "answer", "named"),
    [
        ("Why <|endoftext|> red?", "It is red.", "the question (<|endoftext|>)"),
        ("Why?", "It is <|endoftext|> red.", "the answer (<|endoftext|>)"),
        (
            "Why <|endoftext|>?",
            "It <|endoftext|> is.",
            "the question (<|endoftext|>), the answer (<|endoftext|>)",
        ),
        ("Why?", "It is red.<|endoftext|>", ""),
    ],
)
def test_a_question_or_an_answer_with_control_tokens_is_named(template, question, answer, named):
    found = visualizer(Tokenizer(template))
    mapped = found.map_answer(question=question, documents=[RED, BLUE], answer=answer)
    said = [each for each in mapped.provenance.cautions if each.startswith("Control tokens")]
    assert [each.partition(" are in the text of ")[2].partition(". ")[0] for each in said] == [named] * bool(
        named
    )


def test_messages_with_control_tokens_are_named_apart_from_the_sources_in_them():
    found = visualizer(Tokenizer(tiny_tokenizers.CHAT_TEMPLATE))
    messages = [
        {"role": "user", "content": f"{RED}\n\n{BLUE} <|endoftext|>"},
        {"role": "user", "content": "Why <|endoftext|> so?"},
    ]
    documents = [RED, f"{BLUE} <|endoftext|>"]
    mapped = found.map_answer(messages=messages, documents=documents, answer="It is red.")
    (said,) = [each for each in mapped.provenance.cautions if each.startswith("Control tokens")]
    assert "in the text of document 2 (<|endoftext|>), message 1 (<|endoftext|>)." in said


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            '[{"title": "a", "text": "Roses are red."}, {"text": "Skies are blue."}]',
            ["search: a", "search: 2"],
        ),
        ('{"results": ["Roses are red.", "Skies are blue."]}', ["search: 1", "search: 2"]),
        ("[1] Roses are red.\n[2] Skies are blue.", ["search: [1]", "search: [2]"]),
        ("Roses are red.\n\nSkies are blue.", ["search"]),
    ],
)
def test_a_tools_message_with_several_documents_is_as_many_sources(given, expected):
    messages = [{"role": "user", "content": "Why?"}, {"role": "tool", "name": "search", "content": given}]
    found = sources_in_chat(Tokenizer(tiny_tokenizers.CHAT_TEMPLATE), messages)
    texts = [given] if len(expected) == 1 else ["Roses are red.", "Skies are blue."]
    assert parts(found) == {name: [text] for name, text in zip(expected, texts, strict=True)}


def test_a_prompt_that_is_too_long_says_which_documents_fit():
    long = [{"title": f"{number}.txt", "text": f"{RED} {BLUE} " * 3} for number in range(4)]
    found = visualizer()
    with pytest.raises(InputError, match=r"in 4 documents\) .* accepts at most 512") as caught:
        found.map_answer(question="Why?", documents=long, answer="It is red.")
    fitting = int(re.search(r"first (\d) fit", caught.value.hint).group(1))
    assert re.search(r"the longest, 0\.txt, has \d+", caught.value.hint)
    assert 1 < fitting < 4
    assert found.map_answer(question="Why?", documents=long[:fitting], answer="It is red.").sources
    with pytest.raises(InputError, match="before an answer of at least 1") as caught:
        found.map_answer(question="Why?", documents=[RED * 100])
    assert "Pass shorter documents: there is room for" in caught.value.hint


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "No document is given"),
        ([3], "Document 1 must be a string, a dict .* Got int"),
        (["a", " "], "Document 2 has no text"),
        ([{"name": "x"}], r"Document 1 has no text: none of text, content, .* It has name\."),
        ([str(Path(__file__))], "Document 1 is the path .* a string is taken as the document itself"),
        ([b"abc"], "Got bytes"),
        ({"documents": [["a"]], "metadatas": [[]]}, "It has documents, metadatas"),
        ([Path("missing.txt")], "Cannot read missing.txt: No such file"),
    ],
)
def test_what_is_no_document_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        documents_of(given)


@pytest.mark.parametrize(
    ("template", "layout"),
    [
        (tiny_tokenizers.CHAT_TEMPLATE, "built-in prompt"),
        (WITH_DOCUMENTS, "the chat template's documents"),
        (AS_JSON, "built-in prompt"),
        (None, "built-in prompt"),
    ],
)
def test_a_question_gets_the_documents_where_the_template_writes_them(template, layout):
    tokenizer = Tokenizer(template)
    # The texts also occur in the instruction and in the question.
    found = prompt_of_question(
        tokenizer,
        "Is red? Document",
        documents_of([{"title": "Answer", "text": "red"}, "Document", RED]).read,
    )
    assert found.layout == layout
    assert found.missing == ()
    texts = parts(found)
    assert texts["Answer"] == ["Answer", "red"]
    escaped = json.dumps(RED)[1:-1] if template == AS_JSON else RED
    assert texts["document 2"][-1] == "Document"
    assert texts["document 3"][-1] == escaped
    start = found.spans[1][-1][0]
    assert found.text[:start].count("Document") > 0 or template == WITH_DOCUMENTS
    assert found.text.count("Is red? Document") == 1


def test_documents_are_found_in_messages_and_those_that_are_not_are_named():
    tokenizer = Tokenizer(tiny_tokenizers.CHAT_TEMPLATE)
    messages = [
        {"role": "system", "content": "Skies are blue. Answer briefly."},
        {"role": "user", "content": f"Context:\n{RED.replace(chr(10), '   ')}\n\nSkies are blue.\n\nWhy?"},
    ]
    found = sources_in_chat(tokenizer, messages, documents_of([RED, BLUE, "Grass is green."]).read)
    assert parts(found) == {
        "document 1": ["Roses are red.   They have thorns."],
        "document 2": ["Skies are blue."],
    }
    assert found.spans[1][0][0] > found.spans[0][0][1]  # after the first document, not in the system message
    assert found.missing == ("document 3",)
    with pytest.raises(InputError, match="contains none of the documents"):
        sources_in_chat(tokenizer, messages, documents_of("Grass is green.").read)
    titled = documents_of([{"title": "g", "text": "Grass."}]).read
    with_template = sources_in_chat(Tokenizer(WITH_DOCUMENTS), messages, titled)
    assert with_template.layout == "the chat template's documents"
    assert parts(with_template) == {"g": ["g", "Grass."]}


def test_messages_of_tools_are_sources():
    tokenizer = Tokenizer(tiny_tokenizers.CHAT_TEMPLATE)
    call = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": {"query": "red"}}}
    messages = [
        {"role": "user", "content": "Why red?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": RED},
        {"role": "tool", "name": "lookup", "content": BLUE},
    ]
    found = sources_in_chat(tokenizer, messages)
    assert parts(found) == {"search": [RED], "lookup": [BLUE]}
    assert found.layout == "messages of tools"
    escaped = sources_in_chat(Tokenizer(AS_JSON), messages)
    assert parts(escaped)["search"] == [json.dumps(RED)[1:-1]]


@pytest.mark.parametrize(
    ("text", "layout", "expected"),
    [
        (
            f"Use these.\n\nDocument 1: {RED}\n\nDocument 2: {BLUE}\n\nQuestion: Is document 1 red?",
            "sections headed “Document 1” …",
            {"Document 1": [RED], "Document 2": [BLUE]},
        ),
        (
            f"## Source [1]\n{RED}\n## Source [2]\n{BLUE}\n\nWhy red?",
            "sections headed “Source [1]” …",
            {"Source [1]": [RED], "Source [2]": [BLUE]},
        ),
        (
            f"[1] {RED}\n[2] {BLUE}\n\nWhy red [1]?",
            "sections that begin with “[1]” …",
            {"[1]": [RED], "[2]": [BLUE]},
        ),
        (
            f"<documents><doc id='x.txt'>{RED}</doc>\n<doc>\n{BLUE}\n</doc></documents>Why?",
            "parts between <doc> tags",
            {"x.txt": [RED], "doc 2": [BLUE]},
        ),
        (
            f"Read this:\n\n{RED}\n\n{BLUE} It is so.\n\nWhy is it red?",
            "paragraphs between blank lines, without the question",
            {"paragraph 1": [RED], "paragraph 2": [f"{BLUE} It is so."]},
        ),
        (
            f"Question: Why?\n\nDocument 1: {RED}\n\nMore of it.\n\nDocument 2: {BLUE}\n\nMore.",
            "sections headed “Document 1” …",
            {"Document 1": [f"{RED}\n\nMore of it."], "Document 2": [f"{BLUE}\n\nMore."]},
        ),
    ],
)
def test_what_separates_documents_in_one_prompt_is_found(text, layout, expected):
    found = sources_in_text(text)
    assert (found.layout, parts(found)) == (layout, expected)
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
    in_chat = sources_in_chat(Tokenizer(tiny_tokenizers.CHAT_TEMPLATE), chat)
    assert (in_chat.layout, parts(in_chat)) == (layout, expected)


def test_a_prompt_without_documents_is_refused():
    assert split_by_markers("Why is it red? See [3] and document 7.") is None
    with pytest.raises(InputError, match="No sources were found"):
        sources_in_text("Why is it red?")


def visualizer(tokenizer=None, name="llama"):
    found = visualizer_of(name, model=fresh(name, max_position_embeddings=512))
    if tokenizer is None:
        return found
    config = LlamaConfig(**{**GROUPED, "max_position_embeddings": 512}, vocab_size=len(tokenizer))
    model = AutoModelForCausalLM.from_config(config).eval()
    return GenerativeModelVisualizer(model=model, tokenizer=tokenizer)


@pytest.mark.parametrize(
    "tokenizer",
    [
        tiny_tokenizers.gpt2_like,
        tiny_tokenizers.llama2_like,
        tiny_tokenizers.byte_level_with_blank,
        tiny_tokenizers.llama_like,
    ],
)
def test_sources_have_the_tokens_of_their_texts(tokenizer):
    tokenizer = tokenizer()
    answers = visualizer(tokenizer).map_answer(
        question="Why?",
        documents=[{"title": "red.txt", "text": RED}, "Ça va 👨‍👩‍👧 吾輩。"],
        answer="It is red.",
    )
    assert [source.name for source in answers.sources] == ["red.txt", "document 2"]
    texts = [[sentence.text for sentence in source.sentences] for source in answers.sources]
    assert texts[0][-2:] == ["Roses are red.", "They have thorns."]
    assert " ".join(texts[1]).replace(" ", "") == "Çava👨‍👩‍👧吾輩。"
    positions = [source.positions for source in answers.sources]
    assert not set(positions[0]) & set(positions[1])
    assert max(positions[1]) < answers.prompt_length - 1


def test_answers_are_taken_as_tokens_and_given_and_generated_ones_alike():
    found = visualizer()
    generated = found.map_answer(question="What?", documents=[RED, BLUE], max_new_tokens=8)
    assert generated.question == "What?"
    assert not generated.given
    ids = generated.tokens.ids[generated.prompt_length :].tolist()
    given = found.map_answer(question="What?", documents=[RED, BLUE], answer=ids)
    assert given.given
    assert given.tokens.ids.tolist() == generated.tokens.ids.tolist()
    assert given.effects.tolist() == generated.effects.tolist()


def test_one_of_prompt_question_and_messages_is_given():
    found = visualizer()
    for options, message in (
        ({}, "Got none of them"),
        ({"question": "a", "messages": [{"role": "user", "content": "b"}]}, "Got question and messages"),
        ({"question": "a"}, "A question needs documents"),
        ({"question": " ", "documents": ["a"]}, "The question is empty"),
        ({"messages": "a"}, "The messages must be a list of dicts. Got str"),
        (
            {"prompt": "Roses are red.", "documents": ["Roses are red."], "answer": "!!"},
            "The answer has no words",
        ),
    ):
        with pytest.raises(InputError, match=message):
            found.map_answer(**options)
    answers = found.map_answer(prompt=f"{RED}\n\nWhy?\n", documents=[RED, BLUE], answer="It is red.")
    assert answers.missing == ("document 2",)
    assert "Not in the prompt, so not measured: document 2." in answers.provenance.cautions


def test_a_document_at_the_end_of_the_prompt_keeps_the_token_that_the_answer_is_read_from():
    found = visualizer()
    answers = found.map_answer(prompt=f"Why?\n\n{RED}", documents=[RED], answer=" It is red.")
    assert max(answers.sources[0].positions) == answers.prompt_length - 2
    assert answers.removal == "hidden"
    with pytest.raises(InputError, match="no tokens before the last one"):
        found.map_answer(prompt="Why? d", documents=["d"], answer=" It is red.")


def test_a_chat_object_keeps_its_tools_and_arguments():
    tokenizer = Tokenizer("{{ style }}" + tiny_tokenizers.CHAT_TEMPLATE)
    chat = Chat([{"role": "user", "content": f"{RED} Why?"}], chat_template_kwargs={"style": "brief"})
    found = sources_in_chat(tokenizer, chat, documents_of(RED).read)
    assert found.text.startswith("brief")
    assert parts(found) == {"document 1": [RED]}
    assert found.prompt.chat_template_kwargs == {"style": "brief"}
