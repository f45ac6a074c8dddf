"""benchmarks/faithfulness: how other packages are asked and read, and what its tables say of given rows."""

import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "faithfulness"
OWN = ("table", "peer_scores", "peer_way", "samples", "passages", "environments", "processes", "models")


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARK.parent)
    monkeypatch.syspath_prepend(BENCHMARK)
    for name in OWN:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module
    for name in OWN:  # other benchmarks have modules of these names
        sys.modules.pop(name, None)


def sample(ids: list[int], prompt: int | None) -> Any:
    return SimpleNamespace(encoding=SimpleNamespace(ids=np.array([ids]), prompt_length=prompt))


def answer(ids: list[int], scores: list[float]) -> dict[str, Any]:
    return {"ids": ids, "scores": scores, "value": -3.0, "forwards": 2.0, "backwards": 1.0}


def test_scores_of_a_prompt_are_zero_after_it(load: Any) -> None:
    found = load("peer_scores").checked(sample([5, 6, 7], 2), answer([5, 6, 7], [0.5, -1.0]), -3.001)
    assert found.scores.tolist() == [0.5, -1.0, 0.0]
    assert found.passes == (2.0, 1.0)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (answer([5, 6, 8], [0.5, -1.0]), "tokenizes the text differently"),
        (answer([5, 6, 7], [0.5]), "1 scores for 3 tokens"),
        ({**answer([5, 6, 7], [0.5, -1.0]), "value": -3.2}, "its model outputs -3.200, not -3.000"),
        (answer([5, 6, 7], [0.5, float("nan")]), "not finite"),
        ({"refused": "IndexError: out of range"}, "IndexError"),
    ],
)
def test_what_does_not_fit_our_tokens_is_refused(load: Any, given: dict[str, Any], words: str) -> None:
    found = load("peer_scores").checked(sample([5, 6, 7], 2), given, -3.0)
    assert found.scores is None
    assert words in found.refused


PEER = """
import torch

def prepare(problem):
    def scores_of(question):
        if question.index:
            raise ValueError("not this class\\nand more")
        leaf = torch.ones(2, question.ids.shape[1], 3, requires_grad=True)
        problem.model(leaf).sum().backward()
        return question.ids[0], leaf.grad[0].sum(-1)
    return scores_of
"""


class Stack(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])

    def forward(self, x: torch.Tensor | None = None, input_ids: torch.Tensor | None = None) -> Any:
        if input_ids is not None:
            return SimpleNamespace(logits=torch.stack([input_ids[0].sum(), input_ids[0, 0]]).float()[None])
        for layer in self.layers:
            x = layer(x)
        return x


def test_a_package_answers_text_by_text_and_its_passes_are_counted(load: Any, tmp_path: Path) -> None:
    file = tmp_path / "peer.py"
    file.write_text(PEER, encoding="utf-8")
    problem = SimpleNamespace(
        method_file=str(file),
        model=Stack(),
        texts=[torch.tensor([[1, 2, 3, 4]])] * 3,
        written=["a"] * 3,
        prompts=[None] * 3,
        indices=[0, 1, 0],
    )
    run, read = load("peer_way").prepare(problem)
    first, second, third = (read(run()) for _ in range(3))
    assert first["ids"] == [1, 2, 3, 4]
    assert len(first["scores"]) == 4
    assert first["value"] == 10 - 1  # the class's logit less the other's
    assert (first["forwards"], first["backwards"]) == (2.0, 2.0)  # a batch of two
    assert second == {"refused": "ValueError: not this class"}
    assert third == first


def test_every_package_has_a_file_and_every_way_a_name_of_its_own(load: Any) -> None:
    ways = load("peer_scores").WAYS
    assert {way.peer for way in ways} == {file.stem for file in (BENCHMARK / "peers").glob("*.py")}
    places = [(way.name, kind) for way in ways for kind in way.sets]
    assert len(set(places)) == len(places)


def test_a_fact_can_stand_in_every_passage(load: Any) -> None:
    samples = load("samples")
    for text in samples.PASSAGES:
        assert samples.SENTENCE_END.search(text)


def row(kind: str, number: int, method: str, **more: Any) -> dict[str, Any]:
    measured = {"forwards": 4.0, "backwards": 1.0, "recall": None, "advantages": {"pad": [1.0, 2.0]}}
    return {"set": kind, "sample": number, "method": method, **measured, **more}


def long_rows() -> list[dict[str, Any]]:
    places = [("passages", 0), ("passages", 1), ("facts", 0), ("facts", 1)]
    return [row(*place, "guided_ablation", leave_one_out=24.0) for place in places]


def test_costs_of_long_texts_are_told_beside_leave_one_out(load: Any) -> None:
    table: ModuleType = load("table")
    lines = table.tables(long_rows()).splitlines()
    (guided,) = (line for line in lines if line.startswith("| guided_ablation (**default**)"))
    assert "| 4.0 + 1.0 | 0.25 | 1.50 [1.50, 1.50] | – |" in guided  # (4 + 2 × 1) / 24


def test_a_method_is_paired_with_the_default_on_its_own_texts(load: Any) -> None:
    table: ModuleType = load("table")
    rows = [row("prompts", n, "guided_ablation", advantages={"pad": [n, n]}) for n in range(20)]
    rows += [row("prompts", n, "gim", advantages={"pad": [n - 0.5, n - 0.5]}) for n in range(6)]
    default, gim = table.summaries(rows, "Language model")
    assert (default["method"], default["behind"]) == ("guided_ablation", None)
    assert gim["behind"] == pytest.approx((0.5, 0.5, 0.5))


def test_a_method_of_too_few_texts_has_no_line(load: Any) -> None:
    table: ModuleType = load("table")
    few = [row("prompts", number, "gim") for number in range(table.FEWEST - 1)]
    assert table.summaries(few, "Language model") == []
    assert len(table.summaries([*few, row("needles", 0, "gim")], "Language model")) == 1


def test_what_packages_said_that_gave_no_scores_stands_below(load: Any) -> None:
    table: ModuleType = load("table")
    failed = {"set": "prompts", "method": "peer: way", "refused": "TypeError: no"}
    rows = [{**failed, "sample": number} for number in range(2)]
    assert table.failures(rows, "Language model")[-1] == "- peer: way, 2 texts: `TypeError: no`"
    assert table.failures(rows[:1], "Language model") == []
    assert table.failures([*rows, row("needles", 0, "peer: way")], "Language model") == []
