"""How many token positions to run at once: as many as make a run faster, and as many as fit into memory.

The memory of a pass is estimated from the model's weight matrices until a first graph has been measured. It
is compared with the free memory of the model's device before every batch.
"""

import ctypes
import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from model_understanding.model.settings import largest

# Larger batches are no faster on a CPU and only need more memory: BERT base with 64 tokens per row took 4.8,
# 4.0, 3.7, 3.9, 3.7 and 3.9 ms per position, forward and backward, for 64, 256, 512, 1024, 2048 and 4096
# positions on one thread (forward only: 2.5, 2.1, 2.0, 2.0, 1.9, 2.0), and 0.5 MiB per position. MiniLM is as
# flat from 256 positions on.
POSITIONS_AT_ONCE = 512
# What a pass costs besides its positions, for MiniLM forward and backward as much as 38 of them, is 7 % of
# its time with 512 and 4 % with 1024. A run over a data set shares passes among more positions as long as
# their graph is small; with BERT base the time is in the products of matrices.
POSITIONS_OF_A_RUN = 1024
GRAPH_OF_A_RUN = 2**28  # bytes
# Products for several targets (GPT-2 small, 32 × 63) take the same time from 128 to 2048 positions on one
# thread, and 137, 151, 185 and 271 MB for 128, 256, 512 and 1024.
PRODUCT_POSITIONS_AT_ONCE = 128
# An accelerator needs more to be busy; the best size has not been measured.
POSITIONS_ON_ACCELERATORS = 4096
WEIGHTS_AT_ONCE = 2**28  # attention weights of all layers and heads of a batch: 1 GiB of 32-bit floats
FORWARD_COST = 32  # overhead of a forward pass on a CPU, in positions: measured 12 to 30
FORWARD_COST_ON_ACCELERATORS = 2048  # dominated by kernel launches
_USABLE = 0.6  # share of the free memory: allocators fragment it, and other processes use it too
_GROWN = 1.02  # times the usual memory of a process, from which freed memory is returned
_DEFAULT_FREE = 4 << 30  # bytes assumed to be free where the system does not report it
_GROUPS = (  # memory limits of a container: files with the limit and with the usage
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def most_positions(device: torch.device) -> int:
    """Return how many positions per batch a device can make use of; larger batches are no faster.

    >>> most_positions(torch.device("cpu"))
    512
    """
    return POSITIONS_AT_ONCE if device.type == "cpu" else POSITIONS_ON_ACCELERATORS


def most_product_positions(device: torch.device) -> int:
    """Return how many positions, summed over targets, one vector–Jacobian product can make use of.

    >>> most_product_positions(torch.device("cpu"))
    128
    """
    return PRODUCT_POSITIONS_AT_ONCE if device.type == "cpu" else POSITIONS_ON_ACCELERATORS


def forward_cost(device: torch.device) -> int:
    """Return the overhead of a forward pass, in positions that run in the same time.

    >>> forward_cost(torch.device("cpu"))
    32
    """
    return FORWARD_COST if device.type == "cpu" else FORWARD_COST_ON_ACCELERATORS


class Memory:
    """The memory that passes through one model need, and how many positions fit.

    Args:
        model: The model.
        device: The device of its inputs.
    """

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self.model = model
        self.device = device
        self.recomputed_from: int | None = None
        """Length in tokens from which a text's whole graph did not fit."""
        self.keeps_graph = True
        """Whether the current forward pass keeps its whole graph."""
        self._limits: dict[bool, int] = {}
        self._most: int | None = None  # positions of a batch, where it is not the usual number
        self._measured: tuple[int, float] | None = None

    @property
    def is_measured(self) -> bool:
        """Whether a graph of this model has been measured."""
        return self._measured is not None

    def positions_at_once(self, tokens: int, *, gradients: bool, logits: int = 1) -> int:
        """Return how many positions one batch may have: at least those of one row.

        Args:
            tokens: Tokens of a row.
            gradients: Whether the graph is kept.
            logits: Number of positions of a row whose logits are computed.
        """
        fitting = int(free_bytes(self.device) * _USABLE / self.row_bytes(tokens, gradients, logits))
        most = most_positions(self.device) if self._most is None else self._most
        limit = min(most, self._limits.get(gradients, 1 << 62))
        return max(tokens, min(limit, fitting * tokens))

    def positions_of_a_run(self) -> int:
        """Return how many positions the batches of a run over many texts may have.

        It depends on the model and the device alone, not on what has been measured or is free.
        """
        usual = most_positions(self.device)
        in_graph = int(GRAPH_OF_A_RUN / self._estimated_position_bytes(tokens=1))
        return max(usual, min(POSITIONS_OF_A_RUN, in_graph))

    @contextmanager
    def batches_of(self, positions: int) -> Iterator[None]:
        """Let batches in the body have so many positions where memory allows.

        Args:
            positions: The number.
        """
        before, self._most = self._most, positions
        try:
            yield
        finally:
            self._most = before

    def most_rows(self, tokens: int, positions: int) -> int:
        """Return how many texts of a length a batch may have, whatever memory happens to be free.

        Args:
            tokens: Tokens of a text.
            positions: Most token positions of a batch; attention weights have a limit of their own.
        """
        config = _text_config(self.model)
        layers = getattr(config, "num_hidden_layers", 0) or 0
        weights = layers * largest(config, "num_attention_heads") * tokens**2
        return max(1, min(positions // tokens, WEIGHTS_AT_ONCE // max(weights, 1)))

    def fits_graph(self, tokens: int, logits: int = 1, graphs: float = 1) -> bool:
        """Return whether the whole graph of one row is expected to fit.

        Args:
            tokens: Tokens of the row.
            logits: Number of positions whose logits are computed.
            graphs: How many times the graph's size is needed.
        """
        if self.recomputed_from is not None and tokens >= self.recomputed_from:
            return False
        return graphs * self.row_bytes(tokens, True, logits) <= free_bytes(self.device) * _USABLE

    def row_bytes(self, tokens: int, gradients: bool, logits: int = 1) -> float:
        """Return the estimated memory of a pass over one row in bytes, without the weights.

        ``tokens · bytes of a position's graph``, or about two layers' share of it without gradients, plus
        the logits and their 32-bit copy.

        Args:
            tokens: Tokens of the row.
            gradients: Whether the graph is kept.
            logits: Number of positions whose logits are computed.
        """
        graph = tokens * self._position_bytes(tokens)
        layers = max(2, getattr(_text_config(self.model), "num_hidden_layers", 2) or 2)
        size = _item_size(self.model)
        output = logits * _classes(self.model) * (size + 4 * (3 if gradients else 1))
        return max(1.0, (graph if gradients else graph * 2 / layers) + output)

    def halve_limit(self, positions: int, *, gradients: bool) -> None:
        """Limit batches to half of a number of positions that did not fit."""
        self._limits[gradients] = max(1, positions // 2)

    def measure(self, values: Tensor, leaf: Tensor) -> None:
        """Measure the memory of the graph from a leaf to values, once per doubling of the text's length.

        Args:
            values: Values computed from the leaf, ``(B, N)``.
            leaf: The embeddings, ``(B, T, D)``.
        """
        rows, tokens = leaf.shape[:2]
        is_known = self._measured is not None and tokens < 2 * self._measured[0]
        if is_known or not self.keeps_graph:
            return
        size = graph_bytes(values, self.model)
        if size:
            self._measured = (tokens, size / (rows * tokens))

    def _position_bytes(self, tokens: int) -> float:
        """Return the memory of one position's graph in bytes."""
        has_weights = not is_fused(self.model)  # attention weights: their memory grows with the length
        if self._measured is not None:
            length, size = self._measured
            # Until a text of this length is measured, assume that all of its graph grows like the weights.
            return size * (max(1.0, tokens / length) if has_weights else 1.0)
        return self._estimated_position_bytes(tokens)

    def _estimated_position_bytes(self, tokens: int) -> float:
        """Return the memory of one position's graph in bytes, estimated from the weights."""
        has_weights = not is_fused(self.model)
        text_config, size = _text_config(self.model), _item_size(self.model)
        heads = largest(text_config, "num_attention_heads")
        layers = getattr(text_config, "num_hidden_layers", 0) or 0
        experts = largest(text_config, "num_experts_per_tok", 1) or 1
        features = sum(
            sum(weight.shape[-2:]) * (experts if weight.ndim > 2 else 1) for weight in _matrices(self.model)
        )
        return max(1.0, 1.25 * size * features + has_weights * layers * heads * tokens * (2 * size + 4))


def free_bytes(device: torch.device) -> int:
    """Return the free memory of a device in bytes.

    On CUDA, what the driver reports and what torch's allocator has reserved but not used; on a CPU, the
    minimum of the machine's and the container's free memory, and 4 GiB if neither is known.

    Args:
        device: The device.
    """
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type == "mps":
        return max(0, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return min(_free_machine_bytes(), _free_container_bytes())


class SteadyMemory:
    """Returns freed memory to the system where a process that repeats its work has grown by some percent.

    Tensors of many sizes leave gaps that the next ones do not fit in, and the C library keeps them: after
    5,000 texts, 268 MB besides the 181 MB in use. Returning them takes 10 ms, and the next passes 40 more to
    get their memory again: after every 128 short texts that was 5 % of the time.
    """

    def __init__(self) -> None:
        self._usual = 0
        self._is_returned = True

    def check(self) -> None:
        """Compare the process with the most that it had at the first check after memory was returned."""
        resident = resident_bytes() or 0
        if self._is_returned:
            self._usual = max(self._usual, resident)
            self._is_returned = False
        elif resident > _GROWN * self._usual:
            return_freed_memory()
            self._is_returned = True


def resident_bytes() -> int | None:
    """Return the memory of this process that is in use, as the system counts it; ``None`` except on Linux."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def return_freed_memory() -> None:
    """Return freed memory that the C library keeps to the system; without effect but on glibc."""
    trim = getattr(_c_library(), "malloc_trim", None)
    if trim is not None:
        trim(0)


@functools.cache
def _c_library() -> Any:
    """Return what this process is linked with; ``None`` on systems that do not say."""
    try:
        return ctypes.CDLL(None)
    except (OSError, TypeError):  # on Windows None is not allowed
        return None


def graph_bytes(values: Tensor, model: nn.Module) -> int:
    """Return the memory that an autograd graph keeps alive in bytes, without the model's weights.

    Args:
        values: The graph's outputs.
        model: The model that computed them.
    """
    weights = {_storage(tensor) for tensor in [*model.parameters(), *model.buffers()]}
    sizes: dict[int, int] = {}
    todo, seen = [values.grad_fn], set()
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        todo += [following for following, _ in node.next_functions]
        for tensor in _saved_tensors(node):
            if tensor.layout == torch.strided and _storage(tensor) not in weights:
                sizes[_storage(tensor)] = tensor.untyped_storage().nbytes()
    return sum(sizes.values())


def _saved_tensors(node: Any) -> Iterator[Tensor]:
    names = [name for name in dir(node) if name == "saved_tensors" or name.startswith("_saved_")]
    for name in names:
        try:
            saved = getattr(node, name)
        except (RuntimeError, AttributeError):  # already freed, or overwritten in place
            continue
        for value in saved if isinstance(saved, list | tuple) else [saved]:
            if isinstance(value, Tensor):
                yield value


def _storage(tensor: Tensor) -> int:
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):  # quantized and opaque tensors have none
        return 0


def _matrices(model: nn.Module) -> Iterator[Tensor]:
    """Yield the weight matrices that every position is multiplied with, without embedding tables and head."""
    head = getattr(model, "get_output_embeddings", lambda: None)()
    for module in model.modules():
        if isinstance(module, nn.Embedding) or module is head:
            continue
        yield from (weight for weight in module.parameters(recurse=False) if weight.ndim > 1)


def _text_config(model: nn.Module) -> Any:
    config = getattr(model, "config", None)
    return config.get_text_config() if hasattr(config, "get_text_config") else config  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]


def _classes(model: nn.Module) -> int:
    """Return the number of logits per position."""
    head = getattr(model, "get_output_embeddings", lambda: None)()
    text_config = _text_config(model)
    name = "num_labels" if head is None else "vocab_size"
    return int(getattr(text_config, name, 1) or 1)


def _item_size(model: nn.Module) -> int:
    dtype = getattr(model, "dtype", torch.float32)
    return dtype.itemsize if dtype.is_floating_point else 4


def is_fused(model: nn.Module) -> bool:
    """Return whether attention runs in a fused kernel, which stores no attention weights."""
    return getattr(getattr(model, "config", None), "_attn_implementation", None) not in (None, "eager")


def _free_machine_bytes() -> int:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass  # no such file outside Linux: use the system's count of free pages instead
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return _DEFAULT_FREE


def _free_container_bytes() -> int:
    for limit, used in _GROUPS:
        try:
            return max(0, int(Path(limit).read_text("ascii")) - int(Path(used).read_text("ascii")))
        except (OSError, ValueError):  # no such group, or no limit ("max")
            continue
    return 1 << 62
