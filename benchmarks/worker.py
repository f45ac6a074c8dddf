"""Runs one implementation of a task in a process of its own: loads the model, then runs the task on request.

The first line of standard input is the job as JSON, with the file of the implementation. Each later line is
``run`` (run the task once; the answer has the seconds, those of the processor and, the first time, the memory
that the process held before and the peak above it) or ``read`` (the answer has the scores of the last run).
Every answer is one line of JSON. The file of an implementation defines ``prepare(problem)``, which returns
the function to time and a function that converts its result to lists of numbers. It imports nothing of the
benchmark, so that it runs in any environment.
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

CLEAR_PEAK = "5"  # written to /proc/self/clear_refs, it resets the peak on Linux


def loaded_way(path: Path) -> ModuleType:
    """Return the module of an implementation, loaded by its path: its file may have the name of a package."""
    specification = importlib.util.spec_from_file_location(f"way_{path.stem.replace('-', '_')}", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def problem_of(job: dict[str, Any]) -> SimpleNamespace:
    """Return the job with its model (parameters frozen), its tokenizer, and its texts as IDs."""
    import torch
    import transformers

    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    kind = {
        "classifier": transformers.AutoModelForSequenceClassification,
        "tagger": transformers.AutoModelForTokenClassification,
        "encoder": transformers.AutoModel,
        "causal": transformers.AutoModelForCausalLM,
        "seq2seq": transformers.AutoModelForSeq2SeqLM,
    }[job["kind"]]
    options = {"dtype": getattr(torch, job["dtype"])}
    if "implementation" in job:
        options["attn_implementation"] = job["implementation"]
    model = kind.from_pretrained(job["model_folder"], **options)
    model.eval().requires_grad_(False).to(job["device"])
    in_memory(model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(job["model_folder"])
    texts = [torch.tensor([ids], device=job["device"]) for ids in job["ids"]]
    with torch.no_grad():  # a first forward pass sets up the libraries, which is not part of the task
        decoder = {"decoder_input_ids": texts[0][:, :4]} if job["kind"] == "seq2seq" else {}
        model(input_ids=texts[0][:, :8], **decoder)
    found = {"model": model, "tokenizer": tokenizer, "texts": texts, "in_memory": in_memory}
    return SimpleNamespace(**{**job, **found})


def in_memory(model: Any) -> None:
    """Copy the weights: memory-mapped ones would be read during the task and count as its memory."""
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()


class Memory:
    """The memory that a task takes beyond what the process held before, in bytes."""

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
        """Return the peak since the start minus the value at the start."""
        if self.on_gpu:
            import torch

            return torch.cuda.max_memory_allocated() - self.before
        return (self._status("VmHWM") or self._highest()) - self.before

    @staticmethod
    def _give_back() -> None:
        """Return freed memory to the system and reset the peak, where possible."""
        if sys.platform == "linux":
            import ctypes

            ctypes.CDLL(None).malloc_trim(0)
            Path("/proc/self/clear_refs").write_text(CLEAR_PEAK, encoding="ascii")

    @staticmethod
    def _status(name: str) -> int | None:
        """Return a value from /proc/self/status."""
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
    """Wait for a GPU, which continues to work after a call returns."""
    if device != "cpu":
        import torch

        torch.cuda.synchronize()


def processor_seconds() -> float:
    """Return the processor time of this process and its children that ended, whatever else runs beside it."""
    return sum(os.times()[:4])


def main() -> None:
    """Answer the driver's lines until it closes standard input."""
    # What a package prints must not mix with the answers.
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
                started, processor = time.perf_counter(), processor_seconds()
                result = run()
                synchronize(job["device"])
                seconds, processor = time.perf_counter() - started, processor_seconds() - processor
                extra = {} if memory is None else {"peak_bytes": memory.peak(), "held_bytes": memory.before}
                memory = None
                answer(seconds=seconds, processor_seconds=processor, **extra)
            else:
                answer(**read(result))
    except Exception as error:  # the message goes into the table
        lines = str(error).strip().splitlines() or [""]
        answer(error=f"{type(error).__name__}: {lines[0]}"[:300])
        raise


if __name__ == "__main__":
    main()
