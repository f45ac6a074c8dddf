"""The table of an answer map: no number is cut, however narrow the terminal is."""

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console
from sample_answer_maps import ANSWER_MAPS, answer_map

from model_understanding.show.terminal.answer_map import print_answer_map
from model_understanding.show.views.answer_map import MOST_COLUMNS, answer_map_view

SENTENCE = ["A sentence of some source that is not short."]


def lines_of(answers, width):
    stream = io.StringIO()
    print_answer_map(answers, Console(file=stream, width=width, highlight=False))
    return stream.getvalue().splitlines()


def table_of(answers, width):
    lines = lines_of(answers, width)
    first = next(index for index, line in enumerate(lines) if line.split()[:2] == ["statement", "from"])
    return lines[first : next(index for index in range(first, len(lines)) if not lines[index].strip())]


def of_sources(count):
    """Return a map of so many sources, some of whose effects take six characters."""
    said = [(f"The statement with the number {number} is this one.", "sources", 0, 0) for number in range(3)]
    answers = answer_map({f"source {number}.txt": SENTENCE for number in range(count)}, said)
    return replace(answers, effects=np.where(answers.effects < 1, -0.0123, answers.effects))


@pytest.mark.parametrize("count", range(1, 9))
def test_numbers_are_whole_at_every_width(count):
    answers = of_sources(count)
    shown = 0
    for width in (*range(52, 100, 4), 120):
        header, *rows = table_of(answers, width)
        columns = header.count("[")
        assert columns >= shown, width
        shown = columns
        view = answer_map_view(answers, columns)
        words = [line.split() for line in rows]
        for row in view.rows:
            numbers = [*row.effects, row.without]
            assert any(line[-len(numbers) :] == numbers for line in words), (width, rows)
        assert max(cell_len(line.rstrip()) for line in [header, *rows]) <= width
    assert shown == min(count, MOST_COLUMNS)


@pytest.mark.parametrize("name", ANSWER_MAPS)
def test_every_map_s_numbers_are_whole(name):
    answers = ANSWER_MAPS[name]()
    for width in (52, 60, 80, 120):
        header, *rows = table_of(answers, width)
        view = answer_map_view(answers, header.count("["))
        ends = [word for line in rows for word in line.split()]
        assert all(word in ends for row in view.rows for word in (*row.effects, row.without)), rows
