import json
from collections.abc import Callable

from model_understanding.registry import METHODS


def test_every_method_is_listed_with_its_facts(command: Callable) -> None:
    outcome = command("methods", "--json")
    entries = [json.loads(line) for line in outcome.out.splitlines()]
    assert [entry["name"] for entry in entries] == list(METHODS.names())
    assert {entry["name"]: entry["chosen"] for entry in entries if entry["chosen"]} == {
        "saliency": {"a loss, or a layer": ["default", "fast"]},
        "deep_lift": {"classifiers": ["default"]},
        "guided_ablation": {"language models": ["default", "fast"]},
        "gradient_weighted_attention": {"classifiers": ["fast"]},
    }
    first = entries[0]
    assert (first["signed"], first["fields"]) == (False, {"norm": "l2|l1|max"})
    for entry in entries:
        assert entry["description"].endswith(".")
        assert entry["cost"]


def test_the_table(command: Callable) -> None:
    outcome = command("methods")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0].split() == ["method", "signed", "complete"]
    assert lines[1].split("  ")[0] == "saliency (default and fast for a loss, or a layer)"
    assert lines[2] == "    The norm of the target's gradient at each token's embedding."
