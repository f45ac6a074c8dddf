"""Chat messages: what the template adds is special, what the user wrote is not."""

from dataclasses import replace

import pytest
import tiny_tokenizers
from tiny_models import build
from transformers import PreTrainedTokenizerFast

from model_understanding import GenerativeModelVisualizer, InputError
from model_understanding.text.chat import Chat, is_chat, tokenize_chat

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
    tokens, _ = tokenize_chat(tokenizer, messages)
    assert tokens.ids.tolist() == tokenizer.apply_chat_template(
        list(messages),
        add_generation_prompt=messages[-1]["role"] != "assistant",
        continue_final_message=messages[-1]["role"] == "assistant",
        tokenize=True,
        return_dict=False,
    )
    return runs_of(tokens)


def runs_of(tokens):
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
    assert own(changes, user("king")) == ["KING"]


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
            "A chat message needs a 'role'. Got the keys ['content']. "
            "Pass for example [{'role': 'user', 'content': '…'}].",
        ),
        (
            GPT2,
            [user(None)],
            "The chat message of role 'user' has no content. Pass its text as 'content'; an assistant's "
            "message may have 'tool_calls' instead.",
        ),
        (
            templated("{{ raise_exception('Only users may speak.') }}"),
            [user("a")],
            "The chat template rejects these messages: Only users may speak. "
            "Use the roles and the order that this model's template expects (got user), or pass the "
            "rendered prompt as text.",
        ),
        (
            templated("{% for"),
            [user("a")],
            "The chat template rejects these messages: unexpected 'end of template'. "
            "Use the roles and the order that this model's template expects (got user), or pass the "
            "rendered prompt as text.",
        ),
        (
            templated("{{ ''.__class__.__mro__[1].__subclasses__() }}"),
            [user("a")],
            "The chat template rejects these messages: access to attribute '__class__' of 'str' object is "
            "unsafe. Use the roles and the order that this model's template expects (got user), or pass the "
            "rendered prompt as text.",
        ),
        (
            templated("{{ cycler.__init__.__globals__.os.system('false') }}"),
            [user("a")],
            "The chat template rejects these messages: access to attribute '__init__' of 'type' object is "
            "unsafe. Use the roles and the order that this model's template expects (got user), or pass the "
            "rendered prompt as text.",
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
    assert not any(map(is_chat, ([], "text", [user("a"), "b"], None)))


def test_a_chat_is_explained_as_its_rendered_text_is():
    visualizer = GenerativeModelVisualizer(model=build("gpt2"), tokenizer=GPT2)
    chat = visualizer.compute_saliency([user("The king")], method="saliency")
    text = visualizer.compute_saliency("<|user|>\nThe king\n<|assistant|>\n", method="saliency")
    assert (chat.scores == text.scores).all()
    assert chat.tokens.special.sum() > text.tokens.special.sum()


CALL = {
    "type": "function",
    "function": {"name": "weather", "arguments": {"city": "Rome", "days": 3, "near": ["king"]}},
}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]
# As Qwen's and Hermes': reasoning of earlier answers is dropped, calls are JSON, tools are described first.
AGENT = templated(
    "{% if tools %}tools: {% for tool in tools %}{{ tool | tojson }}{% endfor %}\n{% endif %}"
    "{% for m in messages %}{% set content = m.content if m.content is string else '' %}"
    "{% if '</think>' in content and not loop.last %}"
    "{% set content = content.split('</think>')[-1].lstrip() %}{% endif %}"
    "{% if m.role == 'tool' %}<|user|>result: {{ content }}\n"
    "{% else %}<|{{ m.role }}|>{{ content }}"
    "{% for call in m.tool_calls or [] %}{% set call = call.function %}"
    '{"name": "{{ call.name }}", "arguments": '
    "{{ call.arguments if call.arguments is string else call.arguments | tojson }}}{% endfor %}\n"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>"
    "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}{% endif %}"
)
# As templates that iterate over parts, and as those that take a string alone.
PARTS = templated(
    "{% for m in messages %}<|user|>{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for part in m.content %}{{ part.text }}{% endfor %}{% endif %}{% endfor %}"
)
PRINTS = templated("{% for m in messages %}<|user|>{{ m.content }}{% endfor %}")
ADDS = templated("{% for m in messages %}{{ '<|user|>' + m.content }}{% endfor %}")


def rendered(tokenizer, chat):
    return tokenizer.decode(tokenize_chat(tokenizer, chat)[0].ids)


@pytest.mark.parametrize("tokenizer", [GPT2, AGENT, PRINTS, ADDS])
@pytest.mark.parametrize("begun", ["The film was", "The film\nwas ", ""])
def test_a_begun_answer_is_continued(tokenizer, begun):
    messages = [user("king"), user(begun, "assistant")]
    expected = tokenizer.apply_chat_template(messages, tokenize=False, continue_final_message=True)
    assert rendered(tokenizer, messages) == expected
    assert expected.endswith(begun)
    assert own(tokenizer, *messages) == (
        ["king", begun] if begun and tokenizer is GPT2 else own(tokenizer, *messages)
    )


def test_the_caller_says_otherwise_how_the_prompt_ends():
    messages = [user("king"), user("The film", "assistant")]
    for options in ({"add_generation_prompt": True}, {"add_generation_prompt": False}):
        expected = GPT2.apply_chat_template(messages, tokenize=False, **options)
        assert rendered(GPT2, Chat(messages, chat_template_kwargs=options)) == expected


@pytest.mark.parametrize("content", [{}, {"content": None}, {"content": ""}])
def test_words_of_a_tool_call_are_text(content):
    asked, called = user("king"), {"role": "assistant", **content, "tool_calls": [CALL]}
    answered = [asked, called, user("22 C", "tool")]
    assert own(AGENT, *answered) == ["king", "weather", "city", "Rome", "days", "3", "near", "king", "22 C"]
    # A call is a complete message: neither is it continued nor does the assistant's next turn begin.
    assert rendered(AGENT, [asked, called]) == AGENT.apply_chat_template([asked, called], tokenize=False)
    as_text = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": '{"a": 1}'}}]}
    assert own(AGENT, asked, as_text, user("22 C", "tool")) == ["king", "f", '{"a": 1}', "22 C"]


@pytest.mark.parametrize("as_mapping", [False, True])
def test_tools_and_template_arguments(as_mapping):
    arguments = {"enable_thinking": False}
    chat = {"messages": [user("king")], "tools": TOOLS, "chat_template_kwargs": arguments}
    expected = AGENT.apply_chat_template(
        [user("king")], tools=TOOLS, tokenize=False, add_generation_prompt=True, **arguments
    )
    assert expected.endswith("<think></think>")
    chat = chat if as_mapping else Chat(**chat)
    assert rendered(AGENT, chat) == expected
    texts = [text for text, is_own in runs_of(tokenize_chat(AGENT, chat)[0]) if is_own]
    assert texts == ["weather", "The weather", "city", "city", "king"]


def test_a_python_function_is_a_tool():
    def weather(city: str):
        """The weather.

        Args:
            city: A city.
        """

    expected = AGENT.apply_chat_template(
        [user("king")], tools=[weather], tokenize=False, add_generation_prompt=True
    )
    assert rendered(AGENT, Chat([user("king")], tools=[weather])) == expected
    with pytest.raises(InputError, match="A tool cannot be described to the model"):
        tokenize_chat(AGENT, Chat([user("king")], tools=[lambda x: x]))


@pytest.mark.parametrize("tokenizer", [PARTS, PRINTS, ADDS])
def test_content_in_parts(tokenizer):
    part = {"type": "text", "text": "The king"}
    one = tokenize_chat(tokenizer, [{"role": "user", "content": [part]}])[0]
    assert runs_of(one) == [("<|user|>", False), ("The king", True)]
    two = rendered(tokenizer, [{"role": "user", "content": [part, part]}])
    assert two == ("<|user|>The kingThe king" if tokenizer is PARTS else "<|user|>The king\nThe king")
    with pytest.raises(InputError, match="has the type 'image'; only text can be explained"):
        tokenize_chat(tokenizer, [{"role": "user", "content": [{"type": "image", "url": "x"}, part]}])


def test_content_of_which_the_template_drops_a_part():
    messages = [user("king"), user("<think>a film</think>\nThe king", "assistant"), user("bad")]
    assert own(AGENT, *messages) == ["king", "The king", "bad"]


def test_a_chat_in_a_dict_names_what_it_lacks():
    for chat in (user("a"), {"messages": [user("a")], "temperature": 1}):
        with pytest.raises(InputError, match="A chat as a dict needs 'messages'"):
            tokenize_chat(GPT2, chat)
    with pytest.raises(InputError, match="'tokenize' is no argument of a chat template"):
        tokenize_chat(GPT2, Chat([user("a")], chat_template_kwargs={"tokenize": True}))
    assert not is_chat([{"messages": [user("a")]}])  # a list of chats


def test_a_list_of_chats_and_texts():
    visualizer = GenerativeModelVisualizer(model=build("gpt2"), tokenizer=GPT2)
    chats = [[user("The king")], Chat([user("The king")]), {"messages": [user("The king")]}]
    first, *others = visualizer.compute_saliency(chats, method="saliency")
    for other in others:
        assert (other.scores == first.scores).all()
    with pytest.raises(InputError, match="evaluate takes one text"):
        visualizer.evaluate(chats, method="saliency")


def test_what_the_template_leaves_out_is_named():
    visualizer = GenerativeModelVisualizer(model=build("gpt2"), tokenizer=GPT2)
    called = {"role": "assistant", "content": "", "tool_calls": [CALL]}
    chat = Chat(
        [user("a king"), called, user("22 C", "tool")],
        tools=TOOLS,
        chat_template_kwargs={"enable_thinkng": False},
    )
    result = visualizer.compute_saliency(chat, target="next", method="saliency")
    assert result.provenance.cautions[:2] == (
        "Left out by the chat template, so not read by the model: the tool calls, the tools.",
        "Without effect, because the chat template does not use it: 'enable_thinkng'.",
    )
    assert tokenize_chat(AGENT, replace(chat, chat_template_kwargs={"enable_thinking": True}))[1] == ()
    last = templated("<|user|>{{ messages[-1]['content'] }}")
    (caution,) = tokenize_chat(last, [user("Be brief.", "system"), user("film")])[1]
    assert caution == "Left out by the chat template, so not read by the model: message 0 (system)."
