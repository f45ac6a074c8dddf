"""Which line breaks wrap a line, and which end what stands by itself."""

import re
import textwrap
from itertools import pairwise
from pathlib import Path

import pytest

from model_understanding.line_breaks.wrapped import joined_lines, unwrapped, wrapped_breaks
from model_understanding.sentences import sentence_ends
from model_understanding.tokens import Tokens

ROOT = Path(__file__).parents[1]
PARAGRAPHS = (
    "The Aare bridge at Olten was opened in May 1883, after four winters of work. Its builder, an "
    "engineer from Basel who had never built one before, used stone from the quarry behind the mill. When "
    "the flood of 1910 took the middle pier, the town paid for a new one and asked the canton for the "
    "money, which never came.",
    "Nobody knows who planted the lindens. An old letter names a gardener, but the letter was copied "
    "twice, and both copies differ where it matters. They are 30 m high now.",
    "A map is no proof! It shows what the surveyors saw, or what they were told by the farmers; some "
    "fields were drawn from memory. Would you trust it? Most people did, e.g. the court in its ruling on "
    "the water rights of the lower mills, and nobody asked how the lines had been found until the two "
    "villages went to court again.",
    "In the museum there are three rooms with tools, a loom that still works and the bell of the first "
    "ferry, which rang for the last time when the bridge was opened and has been silent for more than a "
    "hundred years.",
)
TITLES = (
    "A Short History of the River Bridges and Their Builders",
    "How the Mill Lost Its Water Rights in the Year of the Flood",
    "The Lindens of the Old Town",
    "What the Surveyors of the Canton Saw and What They Were Told",
    "Tools and Looms in Three Rooms of the Museum by the Bridge",
    "On Maps That Were Drawn From Memory by the Farmers",
    "The Bell of the First Ferry, Silent for a Hundred Years",
)
REVIEWS = (
    "Loved every minute of this film and will watch it again",
    "the plot makes no sense but the actors are having so much fun",
    "Too long",
    "my kids laughed a lot, i fell asleep somewhere in the middle of it",
    "Best film of the year so far, no contest",
    "not worth the money, wait until you can see it at home for free",
    "Great music",
)
SONNET = """Shall I compare thee to a summer's day
Thou art more lovely and more temperate
Rough winds do shake the darling buds of May
And summer's lease hath all too short a date
Sometime too hot the eye of heaven shines
And often is his gold complexion dimm'd
And every fair from fair sometime declines
By chance or nature's changing course untrimm'd"""


def sentences(text: str) -> list[str]:
    """Return the sentences of a text without blanks."""
    borders = [0, *sentence_ends(text), len(text)]
    return [part for a, b in pairwise(borders) if (part := "".join(text[a:b].split()))]


def wrapped(width: int, *, mark: str = "", hanging: str = "", between: str = "\n\n") -> str:
    return between.join(
        textwrap.fill(each, width, initial_indent=mark, subsequent_indent=hanging) for each in PARAGRAPHS
    )


@pytest.mark.parametrize("width", [50, 57, 60, 65, 72, 79, 80, 88, 100, 110, 120])
def test_wrapped_paragraphs_have_the_sentences_that_they_have_on_one_line(width):
    expected = sentences("\n\n".join(PARAGRAPHS))
    assert len(expected) == 11
    assert sentences(wrapped(width)) == expected
    assert sentences(wrapped(width).replace("\n", "\r\n")) == expected
    assert sentences(textwrap.indent(wrapped(width), "    ")) == expected
    for paragraph in PARAGRAPHS:
        assert sentences(textwrap.fill(paragraph, width)) == sentences(paragraph)


@pytest.mark.parametrize("mark", ["- ", "* ", "1. ", "(a) "])
@pytest.mark.parametrize("between", ["\n", "\n\n"])
def test_items_go_on_where_they_hang(mark, between):
    text = wrapped(79, mark=mark, hanging=" " * len(mark), between=between)
    assert sentences(text) == sentences(between.join(f"{mark}{each}" for each in PARAGRAPHS))


@pytest.mark.parametrize("mark", ["> ", "> > ", "# ", "// ", "/// ", " * ", "-- ", "; "])
def test_quotations_and_comments_go_on_behind_their_marks(mark):
    lines = textwrap.indent(wrapped(72), mark, lambda _: True).split("\n")
    text = "\n".join(["/*", *lines, " */"] if mark == " * " else lines)
    breaks, is_blank = wrapped_breaks(text), re.compile(rf"{re.escape(mark.rstrip())}\s*$|/\*| \*/")
    places = [match.start() for match in re.finditer("\n", text)]
    shown = text.split("\n")
    expected = [
        place
        for place, (line, after) in zip(places, pairwise(shown), strict=True)
        if not is_blank.match(line) and not is_blank.match(after)
    ]
    assert sorted(breaks) == expected


@pytest.mark.parametrize("mark", ["", "> ", "> > ", "# ", "// ", "-- ", " * ", "    "])
def test_joined_lines_are_shown_without_the_marks_of_a_quotation_or_a_comment(mark):
    text = textwrap.indent(textwrap.fill(PARAGRAPHS[1], 66), mark)
    text = f"/*\n{text}\n */" if mark == " * " else text
    breaks, borders = wrapped_breaks(text), [0, *sentence_ends(text), len(text)]
    shown = [joined_lines(text, start, end, breaks).strip() for start, end in pairwise(borders)]
    inner = [each for each in shown if each not in ("", "/*", "*/")]
    assert inner == re.split(r"(?<=\.) ", f"{mark.strip()} {PARAGRAPHS[1]}".strip())


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "LICENSE", "examples/README.md"])
def test_documents_of_this_project_are_cut_into_sentences(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    prose = re.sub(r"(?ms)^```.*?^```|^\|[^\n]*\n|^#[^\n]*\n|^!\[[^\n]*\n", "\n", text)
    blocks = [" ".join(block.split()) for block in re.split(r"\n\s*\n|\n(?=- |\d\. )", prose)]
    expected = [each for block in blocks for each in sentences(block) if each.endswith(".")]
    found = set(sentences(text))
    assert [each for each in expected if each not in found] == []


def test_letters_of_different_widths_fill_lines_raggedly():
    widths = dict.fromkeys("iljtf.,;:'! ", 0.5) | dict.fromkeys("mwMW", 1.4) | dict.fromkeys("ABEHINOT", 1.2)

    def fill(text: str, most: float) -> str:
        lines, size = [""], 0.0
        for word in text.split():
            own = sum(widths.get(letter, 1.0) for letter in word)
            if lines[-1] and size + 0.5 + own > most:
                lines, size = [*lines, word], own
            else:
                lines[-1], size = f"{lines[-1]} {word}".strip(), size + 0.5 + own
        return "\n".join(lines)

    text = "\n\n".join(fill(paragraph, 66) for paragraph in PARAGRAPHS)
    assert sentences(text) == sentences("\n\n".join(PARAGRAPHS))


@pytest.mark.parametrize(
    "paragraph",
    [
        "이 다리는 1883년에 처음 열렸으며 당시에는 강을 건너는 유일한 길이었고 마을 사람들은 매일 아침 "
        "시장에 가기 위해 이 다리를 건넜다 그러나 홍수가 난 뒤에는 오랫동안 아무도 건널 수 없었고 새로운 "
        "다리가 놓일 때까지 사람들은 배를 타야만 했으며 그것은 매우 위험한 일이었다 " * 3,
        "افتتح الجسر فوق النهر في عام ألف وثمانمائة وثلاثة وثمانين بعد أربع سنوات من العمل الشاق الذي قام به "
        "المهندس وعماله وكانوا يستخدمون الحجر من المحجر الواقع خلف الطاحونة القديمة وعندما جاء الفيضان دمر "
        "الدعامة الوسطى ودفعت المدينة ثمن دعامة جديدة وطلبت المال من المقاطعة ولم تحصل عليه أبدا حتى اليوم",
    ],
    ids=["Korean", "Arabic"],
)
def test_scripts_without_cases_are_wrapped_where_every_line_is_filled(paragraph):
    assert len(sentences(textwrap.fill(paragraph, 50))) == 1


def test_scripts_without_blanks_are_wrapped_at_any_character():
    text = "这座横跨河流的桥梁于一八八三年五月正式开放，在此之前工人们整整工作了四个冬天。" * 6
    lines = [text[start : start + 30] for start in range(0, len(text), 30)]
    assert sentences("\n".join(lines)) == sentences(text)
    shown = "\n".join(lines)
    assert joined_lines(shown, 0, len(shown), wrapped_breaks(shown)) == text


NUMBERED = list(enumerate(TITLES, 1))
STANDALONE = {
    "titles": "\n".join(TITLES),
    "two titles": "\n".join(TITLES[:2]),
    "titles in lower case": "\n".join(TITLES).lower(),
    "reviews": "\n".join(REVIEWS),
    "reviews in lower case": "\n".join(REVIEWS).lower(),
    "verses": SONNET,
    "verses in lower case": SONNET.lower(),
    "questions": "\n".join(f"Who wrote {title.lower()}" for title in TITLES),
    "a heading above a paragraph": f"{TITLES[0]}\n{PARAGRAPHS[0]}",
    "paragraphs without blank lines": "\n".join(each.rstrip(".") for each in PARAGRAPHS),
    "items": "\n".join(f"- {title}" for title in TITLES),
    "items with numbers": "\n".join(f"{place}) {title}" for place, title in NUMBERED),
    "a quotation of items": "\n".join(f"> {review}" for review in REVIEWS),
    "headings": "\n".join(f"# {title}" for title in TITLES),
    "a dialog": "\n".join(f"{'Anna' if len(each) % 2 else 'BO'}: {each}" for each in REVIEWS),
    "a chat": "\n".join(f"[12:3{place}] anna: {title}" for place, title in NUMBERED),
    "a log": "\n".join(f"2024-03-0{place} 12:00:01 INFO {title[:40]}" for place, title in NUMBERED),
    "a log without dates": "\n".join(f"INFO {title[:44]}" for title in TITLES),
    "rows": "\n".join(f"{place},{title[:44]},{10 * place},yes" for place, title in NUMBERED),
    "rows of a table": "\n".join(f"| {title[:40]} | {place} |" for place, title in NUMBERED),
    "columns": "\n".join(f"{title[:24]:24}      {place:3}      {title[-20:]}" for place, title in NUMBERED),
    "fields": "\n".join(f"{'title' if place % 2 else 'mill'}: {title}" for place, title in NUMBERED),
    "settings": "\n".join(f"{'title' if place % 2 else 'a_mill'} = {title}" for place, title in NUMBERED),
    "addresses": "Museum of the River and its Bridges, 2nd Floor\nMill Street 17, Old Ferry\n4600 Olten",
    "links": "\n".join(f"https://example.org/{title.replace(' ', '-').lower()}" for title in TITLES),
    "subtitles": "\n\n".join(
        f"{place}\n00:00:0{place},000 --> 00:00:0{place},900\n{textwrap.fill(each[:80], 42)}"
        for place, each in enumerate(PARAGRAPHS, 1)
    ),
    "lines between fences": f"```\n{textwrap.fill(PARAGRAPHS[0], 60)}\n```",
    "code": (
        "for paragraph, width in zip(paragraphs, own, strict=True):\n"
        "    if width is not None and width.columns > 0:\n"
        "        found += wrapped(paragraph.lines, width)\n"
        "    elif shared_width(paragraph, widths):\n"
        "        continue"
    ),
    "Chinese titles": (
        "这座横跨河流的桥梁于一八八三年五月正式开放在此之前\n"
        "工人们整整工作了四个冬天\n"
        "磨坊主人失去了他的水权因为洪水冲走了中间的桥墩和旧渡船\n"
        "博物馆里有三个房间陈列着各种工具和一台仍在工作的织布机\n"
        "没有人知道谁种下了椴树"
    ),
}


@pytest.mark.parametrize("text", STANDALONE.values(), ids=list(STANDALONE))
def test_lines_that_stand_by_themselves_end(text):
    within = {place for place in wrapped_breaks(text) if text[place - 1] not in ".!?。"}
    assert within == set()


@pytest.mark.parametrize("name", [name for name in STANDALONE if name != "paragraphs without blank lines"])
def test_lines_that_stand_by_themselves_end_beside_wrapped_paragraphs(name):
    before = f"{wrapped(60)}\n\n{wrapped(72)}\n\n{wrapped(79)}\n\n"
    text = before + STANDALONE[name]
    within = {
        place for place in wrapped_breaks(text) if place > len(before) and text[place - 1] not in ".!?。"
    }
    assert within == set()


def test_short_lines_above_a_paragraph_are_no_lines_of_it():
    text = (
        "<|im_start|>user\nDocument 1 (a.md):\n"
        "The bridge over the river was opened in May 1883, after four winters\n"
        "of work by an engineer from Basel.\n\n"
        "width : int, optional\n"
        "    The width of the bridge in meters. It is measured where it is the\n"
        "    narrowest."
    )
    opened = "ThebridgeovertheriverwasopenedinMay1883,afterfourwintersofworkbyanengineerfromBasel."
    assert sentences(text) == [
        "<|im_start|>user",
        "Document1(a.md):",
        opened,
        "width:int,optional",
        "Thewidthofthebridgeinmeters.",
        "Itismeasuredwhereitisthenarrowest.",
    ]


@pytest.mark.parametrize("salutation", ["Hi Bob,", "Dear Ms. Weber,", "Sehr geehrter Herr Müller,"])
@pytest.mark.parametrize("paragraph", PARAGRAPHS)
def test_a_salutation_above_a_paragraph_in_lower_case_is_no_line_of_it(salutation, paragraph):
    alone = textwrap.fill(paragraph[0].lower() + paragraph[1:], 72)
    assert sentences(f"{salutation}\n{alone}")[-len(sentences(alone)) :] == sentences(alone)


@pytest.mark.parametrize("paragraph", PARAGRAPHS)
@pytest.mark.parametrize("width", [50, 66, 72, 100])
def test_a_field_below_a_paragraph_is_no_line_of_it(paragraph, width):
    text = f"{textwrap.fill(paragraph, width)}\nQuestion: When was the bridge built?"
    assert sentences(text) == [*sentences(paragraph), "Question:Whenwasthebridgebuilt?"]


def test_what_begins_and_ends_beside_wrapped_lines():
    body = textwrap.fill(PARAGRAPHS[0], 66)
    text = f"# Bridges\n{body}\n- an item\n| a | b |\nNote: {body}\n\nA line by itself  \n{body}\n---\nend"
    ends = {each.strip() for each in sentences(text)}
    assert {"#Bridges", "-anitem", "|a|b|", "Alinebyitself", "end"} <= ends
    assert sentences(PARAGRAPHS[0])[-1] in ends


def test_a_sentence_shows_blanks_where_its_lines_are_wrapped():
    text = textwrap.fill(PARAGRAPHS[3], 60, initial_indent="- ", subsequent_indent="  ")
    assert len(unwrapped(text)) == len(text)
    assert "\n" not in unwrapped(text)
    assert joined_lines(text, 2, len(text), wrapped_breaks(text)) == PARAGRAPHS[3]
    spans = [match.span() for match in re.finditer(r"\S+", text)]
    tokens = Tokens.from_spans(
        texts=(text,),
        pieces=[text[slice(*span)] for span in spans],
        ids=range(len(spans)),
        segments=[0] * len(spans),
        offsets=spans,
        special=[False] * len(spans),
    )
    folded = tokens.fold(tokens.groups("sentence"))
    assert folded.labels() == (f"- {PARAGRAPHS[3]}",)


def test_a_word_that_is_divided_at_a_line_break_stays_in_its_sentence():
    text = textwrap.fill(PARAGRAPHS[3], 66)
    divided = text.replace("tools, a loom that still\nworks", "tools, a loom which al-\nready works")
    assert divided != text
    assert sentences(divided) == [sentences(text)[0].replace("thatstill", "whichal-ready")]


@pytest.mark.parametrize(
    "text",
    ["a " * 200_000, "word\n" * 100_000, (textwrap.fill(PARAGRAPHS[2], 72) + "\n") * 3000, ") " * 100_000],
    ids=["one line", "short lines", "wrapped lines", "brackets"],
)
def test_long_texts_are_read_in_a_time_that_grows_with_their_length(text):
    assert len(sentence_ends(text)) <= len(text)
