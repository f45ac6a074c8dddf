"""One way of doing one task, in a process of its own: load the model, then do the task each time it is asked.

The first line of standard input is the job as JSON, with the file that holds the way; each later line is
``run`` (do the task once; answers with seconds, and the first time with the memory that the process held
before and the peak above that) or ``read`` (answers with the scores of the last run). Every answer is one
line of JSON. The file of a way offers ``prepare(problem)``, which returns the function that is timed and a
function that makes lists of numbers of its result. It imports nothing of the benchmark, so that it runs in
any environment.
"""

import gc
import importlib.metadata
import importlib.util
import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

CLEAR_PEAK = "5"  # what Linux takes in /proc/self/clear_refs to set the peak to what is held now


def loaded_way(path: Path) -> ModuleType:
    """Return a way's module, loaded by its path: a peer's file may be called like the peer."""
    specification = importlib.util.spec_from_file_location(f"way_{path.stem.replace('-', '_')}", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def problem_of(job: dict[str, Any]) -> SimpleNamespace:
    """Return the job with its model and tokenizer loaded, parameters frozen, and its texts as ids."""
    import torch
    import transformers

    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    classifier = job["kind"] == "classifier"
    kind = (
        transformers.AutoModelForSequenceClassification if classifier else transformers.AutoModelForCausalLM
    )
    options = {"dtype": getattr(torch, job["dtype"])}
    if "implementation" in job:
        options["attn_implementation"] = job["implementation"]
    model = kind.from_pretrained(job["model_folder"], **options)
    model.eval().requires_grad_(False).to(job["device"])
    in_memory(model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(job["model_folder"])
    texts = [torch.tensor([ids], device=job["device"]) for ids in job["ids"]]
    with torch.no_grad():  # what a first forward sets up in the libraries belongs to no way
        model(input_ids=texts[0][:, :8])
    found = {"model": model, "tokenizer": tokenizer, "texts": texts, "in_memory": in_memory}
    return SimpleNamespace(**{**job, **found})


def in_memory(model: Any) -> None:
    """Copy weights that would be read from their file as they are used, and count as a task's memory."""
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()


class Memory:
    """What a task needs above what the process held before it, in bytes."""

    def __init__(self, device: str) -> None:
        self.on_gpu = device != "cpu"
        gc.collect()
        if self.on_gpu:
            import torch

            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated()
        else:
            self._give_back()
            self.before = self._status("VmRSS") or self._highest()

    def peak(self) -> int:
        """Return the highest value since the start, less the value then."""
        if self.on_gpu:
            import torch

            return torch.cuda.max_memory_allocated() - self.before
        return (self._status("VmHWM") or self._highest()) - self.before

    @staticmethod
    def _give_back() -> None:
        """Return freed memory to the system and forget the peak of loading, where that can be done."""
        if sys.platform == "linux":
            import ctypes

            ctypes.CDLL(None).malloc_trim(0)
            Path("/proc/self/clear_refs").write_text(CLEAR_PEAK, encoding="ascii")

    @staticmethod
    def _status(name: str) -> int | None:
        """Return a value of Linux's table about this process."""
        try:
            lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        except OSError:
            return None
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))

    @staticmethod
    def _highest() -> int:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def synchronize(device: str) -> None:
    """Wait for a GPU, whose work goes on after a call returns."""
    if device != "cpu":
        import torch

        torch.cuda.synchronize()


def main() -> None:
    """Answer the driver's lines until it closes standard input."""
    # What a peer prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")

    def answer(**content: Any) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    job = json.loads(sys.stdin.readline())
    try:
        way = loaded_way(Path(job["way_file"]))
        problem = problem_of(job)
        run, read = way.prepare(problem)
        version = importlib.metadata.version(job["package"]) if job["package"] else ""
        answer(ready=True, version=version)
        memory: Memory | None = Memory(job["device"])
        result: Any = None
        for line in sys.stdin:
            if line.strip() == "run":
                result = None
                synchronize(job["device"])
                started = time.perf_counter()
                result = run()
                synchronize(job["device"])
                seconds = time.perf_counter() - started
                extra = {} if memory is None else {"peak_bytes": memory.peak(), "held_bytes": memory.before}
                memory = None
                answer(seconds=seconds, **extra)
            else:
                answer(**read(result))
    except Exception as error:  # whatever a peer raises is what the table says of it
        lines = str(error).strip().splitlines() or [""]
        answer(error=f"{type(error).__name__}: {lines[0]}"[:300])
        raise


if __name__ == "__main__":
    main()
