"""Kills a run over a data set at 30 random moments, and compares its rows with those of an undisturbed run.

``PYTHONPATH=src:tests/support python benchmarks/dataset/durability.py`` writes ``durability.json``.
"""

import argparse
import json
import tempfile
from functools import partial
from pathlib import Path

import torch

torch.set_num_threads(1)  # before this process forks

from killed_runs import killed, seconds_of  # noqa: E402

from model_understanding import explain_dataset, visualizer  # noqa: E402
from model_understanding.dataset.parts import read_manifest  # noqa: E402

ROWS_PER_PART = 8


def main() -> None:
    """Run, kill and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model = visualizer("demo:sentiment", device="cpu")

    def run(form: str, out: Path) -> None:
        explain_dataset(model, "demo:reviews", out, form=form, rows_per_part=ROWS_PER_PART, resume=True)

    results = {}
    with tempfile.TemporaryDirectory() as name:
        for form in ("parquet", "jsonl"):
            folder = Path(name) / form
            whole = folder / "undisturbed"
            seconds = seconds_of(partial(run, form, whole))
            expected = contents_of(whole)

            def same(out: Path, expected: dict[str, bytes] = expected) -> None:
                assert contents_of(out) == expected, f"{out} differs"

            kills = options.kills // 2
            done = killed(partial(run, form), folder, kills, seconds, options.seed, same)
            results[form] = {
                "kills": len(done.parts),
                "runs": done.rounds,
                "parts_after_each_kill": done.parts,
                "kills_that_left_a_half_written_file": done.half_written,
                "parts": len(expected),
                "files_equal_byte_for_byte": True,
            }
        manifest = read_manifest(whole)
    results |= {name: manifest[name] for name in ("model", "method", "input", "rows_per_part", "versions")}
    text = json.dumps(results, indent=1)
    Path(__file__).with_name("durability.json").write_text(f"{text}\n", encoding="utf-8")
    print(text)


def contents_of(folder: Path) -> dict[str, bytes]:
    """Return the parts of a run, by their names; nothing else may be left in the folder."""
    assert not list(folder.glob(".*.tmp"))
    return {part.name: part.read_bytes() for part in sorted(folder.glob("part-*"))}


if __name__ == "__main__":
    main()
