"""Where sentences end."""

from itertools import pairwise

import pytest

from model_understanding.sentences import sentence_ends


@pytest.mark.parametrize(
    "sentences",
    [
        ["It is named for R. W. Hamming, an associate of J. W. Tukey. ", "It is a window."],
        ["In 1956 M.C.K. Tweedie used the name. ", "So did others."],
        ["It was made in the U.S. ", "The law is old."],
        ["The U.S. Navy bought it. ", "Dr. Weber sold it, e.g. to St. Ives. ", "It is No. 7 there."],
        [
            "Anna works in building A. ",
            "Bruno works in Building B. ",
            "Paul P. Meyer has plan C. ",
            "He is ill.",
        ],
        ["А. С. Пушкин родился в Москве. ", "Он поэт."],
        ["Was it so? ", "No. ", "It was not!\n", "Vitamin C.\n", "Next line."],
        ["E. coli is small. ", "it is green. ", "and old."],
        ["彼は生まれた。", "東京に住む。"],
        ["1. It is long. ", "2. It is deep."],
        ["यह पुल पुराना है। ", "यह लंबा है॥ ", '"हाँ।" ', "वह आया।"],
        ["یہ پل پرانا ہے۔ ", "یہ لمبا ہے۔"],
        ["ይህ ድልድይ ነው። ", "ረጅም ነው።"],
        ["ဒါက တံတား၊ ဖြစ်တယ်။ ", "ရှည်တယ်။"],
        ["Սա կամուրջ է։ ", "Երկար է։"],
        ["彼は「行く。」", "と言った。", "本当？！", "３．５です。", "次。"],
        ["Pens, paper, etc. are there (mats, etc.) and more. ", "It opens at 9 a.m. 7 days a week. "],
        ["From 5p.m. on it is closed, etc. ", "It opens at 6 p.m. ", "The end."],
        ["Wait... what? ", "Well… yes. ", "He left... ", "Then she came. ", "it is old... ", "12 came."],
        ["He said “Well...” and left. ", "She has a Ph.D. in law."],
        ["(It said “yes.”) ", "Then it left…  ", "Done."],
    ],
)
def test_sentences_end_where_they_do_and_not_at_initials_or_abbreviations(sentences):
    text, ends = "".join(sentences), sentence_ends("".join(sentences))
    borders = [0, *(end for end in ends if end < len(text)), len(text)]
    assert [text[a:b] for a, b in pairwise(borders)] == sentences


@pytest.mark.parametrize("mark", ['"', ")", "」", "。", '."', "。)", "...", ". "])
def test_runs_of_marks_are_read_in_a_time_that_grows_with_their_length(mark):
    assert len(sentence_ends(mark * 50_000)) <= 50_000
