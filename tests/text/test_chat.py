"""Chat messages: what the template adds is special, what the user wrote is not."""

import pytest
import tiny_tokenizers
from tiny_models import build
from transformers import PreTrainedTokenizerFast

from model_understanding import GenerativeModelVisualizer, InputError
from model_understanding.text.chat import is_chat, tokenize_chat

GPT2 = tiny_tokenizers.gpt2_like()


def templated(template):
    return PreTrainedTokenizerFast(
        tokenizer_object=GPT2.backend_tokenizer,
        eos_token="<|endoftext|>",
        extra_special_tokens=["<|user|>", "<|assistant|>"],
        chat_template=template,
    )


def user(content, role="user"):
    return {"role": role, "content": content}


def split(tokenizer, *messages):
    """Return runs of the rendered text, each with whether it is the user's own."""
    tokens, inputs = tokenize_chat(tokenizer, messages)
    assert inputs["input_ids"] == tokenizer.apply_chat_template(
        list(messages), add_generation_prompt=True, tokenize=True, return_dict=False
    )
    assert ((tokens.words < 0) == tokens.special).all()
    tokens = tokens.fold(tokens.groups("character"))
    assert "".join(tokens.surfaces()) == tokens.texts[0]
    runs = []
    for surface, special in zip(tokens.surfaces(), tokens.special, strict=True):
        if runs and runs[-1][1] is not bool(special):
            runs[-1] = (runs[-1][0] + surface, runs[-1][1])
        else:
            runs.append((surface, not special))
    return runs


def own(tokenizer, *messages):
    return [text for text, is_own in split(tokenizer, *messages) if is_own]


def test_what_the_template_adds_is_special():
    assert split(GPT2, user("The film"), user("was bad", "assistant"), user("king")) == [
        ("<|user|>\n", False),
        ("The film", True),
        ("\n<|assistant|>\n", False),
        ("was bad", True),
        ("\n<|user|>\n", False),
        ("king", True),
        ("\n<|assistant|>\n", False),
    ]


@pytest.mark.parametrize(
    "content", ["user", "s", "|", "assistant", "\nassistant\n", "<", "👨‍👩‍👧", "שלום", "a.*b"]
)
def test_words_of_the_template_in_a_message_are_the_users(content):
    assert own(GPT2, user(content)) == [content]
    assert own(GPT2, user("a"), user(content, "assistant"), user(content)) == ["a", content, content]


def test_words_of_a_default_system_prompt_stay_the_templates():
    tokenizer = templated("You are a helpful king.\n{% for m in messages %}{{ m['content'] }}{% endfor %}")
    assert split(tokenizer, user("a king")) == [("You are a helpful king.\n", False), ("a king", True)]


def test_content_that_is_trimmed_repeated_or_left_out():
    trims = templated("{% for m in messages %}<|user|>{{ m['content'] | trim }}{% endfor %}")
    assert own(trims, user("  The film \n"), user(" bad")) == ["The film", "bad"]
    keeps = templated("{% for m in messages %}<|user|>{{ m['content'] }}{% endfor %}")
    assert own(keeps, user("  The film \n"), user(" bad")) == ["  The film \n", " bad"]
    twice = templated("{{ messages[0]['content'] }}<|user|>{{ messages[0]['content'] }}")
    assert own(twice, user("king")) == ["king", "king"]
    last = templated("<|user|>{{ messages[-1]['content'] }}")
    assert own(last, user("king"), user("film")) == ["film"]
    changes = templated("<|user|>{{ messages[0]['content'] | upper }}")
    assert own(changes, user("king")) == []


def test_a_template_that_looks_into_the_content():
    looks = templated(
        "{% if not messages[0]['content'].startswith('The') %}{{ raise_exception('no') }}{% endif %}"
        "user: {{ messages[0]['content'] }}"
    )
    assert split(looks, user("The king")) == [("user: ", False), ("The king", True)]


def test_a_special_token_that_the_user_spells_stays_special():
    assert own(GPT2, user("a <|user|> b")) == ["a ", " b"]


def test_empty_content_has_no_token_of_its_own():
    assert split(GPT2, user("")) == [("<|user|>\n\n<|assistant|>\n", False)]


@pytest.mark.parametrize(
    ("tokenizer", "messages", "message"),
    [
        (
            tiny_tokenizers.llama_like(),
            [user("a")],
            "TokenizersBackend has no chat template. Pass the prompt as a single string.",
        ),
        (
            GPT2,
            [{"content": "a"}],
            "A chat message needs 'role' and 'content' as strings. Got the keys ['content']. "
            "Pass for example [{'role': 'user', 'content': '…'}].",
        ),
        (
            GPT2,
            [user(None)],
            "A chat message needs 'role' and 'content' as strings. Got the keys ['content', 'role']. "
            "Pass for example [{'role': 'user', 'content': '…'}].",
        ),
        (
            templated("{{ raise_exception('Only users may speak.') }}"),
            [user("a")],
            "The chat template rejects these messages: Only users may speak. "
            "Use the roles and the order that this model's template expects.",
        ),
        (
            templated("{% for"),
            [user("a")],
            "The chat template rejects these messages: unexpected 'end of template'. "
            "Use the roles and the order that this model's template expects.",
        ),
        (
            templated("{{ ''.__class__.__mro__[1].__subclasses__() }}"),
            [user("a")],
            "The chat template rejects these messages: access to attribute '__class__' of 'str' object is "
            "unsafe. Use the roles and the order that this model's template expects.",
        ),
        (
            templated("{{ cycler.__init__.__globals__.os.system('false') }}"),
            [user("a")],
            "The chat template rejects these messages: access to attribute '__init__' of 'type' object is "
            "unsafe. Use the roles and the order that this model's template expects.",
        ),
    ],
)
def test_refusals(tokenizer, messages, message):
    with pytest.raises(InputError) as caught:
        tokenize_chat(tokenizer, messages)
    assert str(caught.value) == message


def test_what_is_a_chat():
    assert is_chat([user("a")])
    assert is_chat((user("a"), user("b")))
    assert not any(map(is_chat, ([], "text", [user("a"), "b"], user("a"), None)))


def test_a_chat_is_explained_as_its_rendered_text_is():
    visualizer = GenerativeModelVisualizer(model=build("gpt2"), tokenizer=GPT2)
    chat = visualizer.compute_saliency([user("The king")], method="saliency")
    text = visualizer.compute_saliency("<|user|>\nThe king\n<|assistant|>\n", method="saliency")
    assert (chat.scores == text.scores).all()
    assert chat.tokens.special.sum() > text.tokens.special.sum()
