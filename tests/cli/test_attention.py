import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from saved_files import saved_message

from model_understanding import AttentionMap, ModelVisualizer
from model_understanding.attention.rollout import Rollout
from model_understanding.cli.attention import parse_axis
from model_understanding.errors import InputError

TEXT = "The film was wonderful, but a dull plot is bad."


@pytest.mark.parametrize(
    ("words", "choice"), [("-1", -1), ("0,2", [0, 2]), (" 1, -1", [1, -1]), ("mean", "mean"), ("all", "all")]
)
def test_a_choice_of_layers(words: str, choice: object) -> None:
    assert parse_axis(words, "layer") == choice


@pytest.mark.parametrize("words", ["", "1.5", "median", "1;2", "1,"])
def test_what_is_no_choice(words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_axis(words, "head")
    assert caught.value.message == (
        f"Invalid --head {words!r}. Allowed: an index, several, such as 0,3,5, or all, mean or max."
    )


def test_the_map_is_the_library_s(command: Callable, classifier: str) -> None:
    outcome = command("attention", classifier, TEXT, "--layer", "0,2", "--head", "1", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    found = AttentionMap.from_json(outcome.out)
    expected = ModelVisualizer(classifier).compute_attention(TEXT, layer=[0, 2], head=1)
    assert (found.layers, found.heads) == ((0, 2), (1,))
    np.testing.assert_allclose(found.weights, expected.weights, rtol=1e-5)


def test_other_maps_are_named(command: Callable, classifier: str) -> None:
    outcome = command("attention", classifier, TEXT, "--map", "rollout", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    found = AttentionMap.from_json(outcome.out)
    expected = ModelVisualizer(classifier).compute_attention(TEXT, kind=Rollout(start_layer=0))
    assert found.map == expected.map == "rollout"
    np.testing.assert_allclose(found.weights, expected.weights, rtol=1e-5)


def test_a_map_that_there_is_not(command: Callable) -> None:
    outcome = command("attention", "no-such-model", TEXT, "--map", "rolout")
    assert outcome.code == 2
    assert "Unknown attention map 'rolout'." in outcome.err
    assert "Did you mean 'rollout'?" in outcome.err


def test_a_language_model_has_a_row_for_each_step(command: Callable, language_model: str) -> None:
    outcome = command("attention", language_model, TEXT, "--continuation", " a bad film", "--json")
    found = AttentionMap.from_json(outcome.out)
    assert found.steps is not None
    assert "".join(found.steps.surfaces()) == " a bad film"


def test_text_is_printed_with_a_caution(command: Callable, classifier: str) -> None:
    outcome = command("attention", classifier, TEXT)
    assert outcome.code == 0
    assert "Attention: layer 2, mean over all heads" in outcome.out
    assert outcome.out.endswith("Attention shows where the model attends, not why it made its prediction.\n")


def test_out_writes_pictures_and_json(command: Callable, classifier: str, tmp_path: Path) -> None:
    outcome = command(
        "attention", classifier, TEXT, "--out", str(tmp_path / "a.png"), "--out", str(tmp_path / "a.json")
    )
    assert outcome.err == saved_message(tmp_path / "a.png", tmp_path / "a.json")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "a.json").read_text())["type"] == "AttentionMap"


def test_a_layer_that_is_not_there(command: Callable, classifier: str) -> None:
    outcome = command("attention", classifier, TEXT, "--layer", "7")
    assert outcome.code == 2
    assert outcome.err == (
        "error: There is no layer 7: the model has 3.\n"
        "hint: Pass an index from 0 to 2, or from -3 to -1 counting from the end.\n"
    )


def test_heads_are_ranked(command: Callable, classifier: str, tmp_path: Path) -> None:
    picture = tmp_path / "first.png"
    outcome = command("attention", classifier, TEXT, "--rank", "entropy", "--top", "3", "--out", str(picture))
    assert outcome.code == 0
    expected = ModelVisualizer(classifier).score_heads(TEXT, scores="entropy").ranking("entropy", 3)
    lines = [line.split() for line in outcome.out.splitlines()]
    assert outcome.out.startswith("Heads by entropy\naverage attention entropy (nats)\n")
    rows = [line[:3] for line in lines if line and line[0] in ("1", "2", "3")]
    assert rows == [[str(place), str(one.layer), str(one.head)] for place, one in enumerate(expected, 1)]
    assert picture.read_bytes().startswith(b"\x89PNG")
    outcome = command("attention", classifier, TEXT, "--rank", "entropy", "--top", "3", "--json")
    assert AttentionMap.from_json(outcome.out).ranking == expected
    kept = command("attention", classifier, TEXT, "--rank", "ablation", "--layer", "-1", "--json")
    assert {one.layer for one in AttentionMap.from_json(kept.out).ranking} == {2}
    words = command("attention", classifier, TEXT, "--rank", "sink", "--level", "word")
    assert words.code == 0


def test_heads_of_a_language_model_are_ranked(command: Callable, language_model: str) -> None:
    options = ("--continuation", " a bad film", "--rank", "ablation", "--top", "2")
    outcome = command("attention", language_model, TEXT, *options)
    assert outcome.code == 0
    assert outcome.out.startswith("Heads by ablation\ndrop of the target without the head\n")


def test_a_ranking_that_there_is_not(command: Callable, classifier: str) -> None:
    outcome = command("attention", "no-such-model", TEXT, "--rank", "sinks")
    assert outcome.code == 2
    assert "Unknown head score 'sinks'." in outcome.err
    assert "Did you mean 'sink'?" in outcome.err
    outcome = command("attention", classifier, TEXT, "--rank", "sink", "--head", "mean")
    assert outcome.code == 0


def test_a_grid_of_all_layers_and_heads(command: Callable, classifier: str, tmp_path: Path) -> None:
    saved = tmp_path / "all.npz"
    outcome = command(
        "attention", classifier, TEXT, "--view", "grid", "--out", str(tmp_path / "a.svg"), "--out", str(saved)
    )
    assert outcome.code == 0
    assert outcome.err == saved_message(tmp_path / "a.svg", saved)
    found = AttentionMap.load(saved)
    assert (found.layers, len(found.heads)) == ((0, 1, 2), 4)
    assert "Attention: mean of layers 0–2, mean of heads 0–3" in outcome.out


def test_a_saved_map_is_shown_without_a_model(command: Callable, classifier: str, tmp_path: Path) -> None:
    for suffix in ("npz", "json"):
        saved = tmp_path / f"map.{suffix}"
        first = command("attention", classifier, TEXT, "--layer", "all", "--head", "all", "--out", str(saved))
        again = command("attention", str(saved))
        assert (again.code, again.err) == (0, "")
        assert again.out == first.out
        one = command("attention", str(saved), "--layer", "2", "--head", "1", "--sinks", "raw")
        assert "Attention: layer 2, head 1" in one.out
    outcome = command("attention", str(saved), "--layer", "mean")
    assert outcome.code == 2
    assert "--layer 'mean' cannot be chosen from a saved map. Allowed: a single index." in outcome.err
    missing = command("attention", str(tmp_path / "none.npz"))
    assert missing.code == 2
    assert "Cannot read an attention map from" in missing.err


def test_rows_and_reductions(command: Callable, classifier: str, language_model: str) -> None:
    outcome = command("attention", classifier, TEXT, "--queries", "2,-1", "--keep", "top:2", "--json")
    found = AttentionMap.from_json(outcome.out)
    expected = ModelVisualizer(classifier).compute_attention(TEXT, queries=[2, -1], keep="top:2")
    assert found.to_dict()["places"] == expected.to_dict()["places"]
    printed = command("attention", classifier, TEXT, "--queries", "2,-1", "--keep", "top:2").out
    assert "Only 2 of 24 queries are kept." in printed
    assert "Only the 2 largest weights of each row are kept: " in printed
    prompt = command("attention", language_model, TEXT, "--queries", "prompt", "--keep", "pooled:4", "--json")
    assert AttentionMap.from_json(prompt.out).keep == "pooled:4"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ["--view", "arcs"],
            "error: --view arcs chooses the figure to save, but no figure is saved.\n"
            "hint: Add for example --out attention.png.\n",
        ),
        (
            ["--queries", "a,b"],
            "error: Invalid --queries 'a,b'. Allowed: token positions, such as 0,3,-1; for language models "
            "also steps or prompt.\n"
            "hint: For example: --queries 0,3,-1\n",
        ),
        (
            ["--queries", "steps"],
            "error: --queries steps is for language models only, but this model's task is "
            "sequence-classification.\n"
            "hint: Drop --queries steps, or load the model with --task causal-lm.\n",
        ),
    ],
)
def test_what_cannot_be_asked(command: Callable, classifier: str, arguments: list[str], error: str) -> None:
    outcome = command("attention", classifier, TEXT, *arguments)
    assert (outcome.code, outcome.err) == (2, error)


def test_a_text_is_needed_for_a_model(command: Callable, classifier: str) -> None:
    outcome = command("attention", classifier)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        "error: No text to explain.\n"
        "hint: Write it in quotes after the model, or pass - to read standard input.\n"
    )
