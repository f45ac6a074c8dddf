"""How many token positions may run at once: as many as still make a run faster, and as many as fit.

What a pass holds is estimated from the model's weight matrices until a first graph has been measured, and
held against the memory that is free where the model runs, each time anew.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

# More at once is no faster on a CPU and only holds more: BERT-base size, 64 tokens a row, one thread, took
# 4.8, 4.0, 3.7, 3.9, 3.7 and 3.9 ms a position forward and backward for 64, 256, 512, 1024, 2048 and 4096
# positions (forward alone 2.5, 2.1, 2.0, 2.0, 1.9, 2.0) and held 0.5 MiB a position; MiniLM size is as flat
# from 256 on.
POSITIONS_AT_ONCE = 512
# Products of several targets (GPT-2 small, 32 × 63) take the same from 128 to 2048 positions, one thread, and
# hold 137, 151, 185 and 271 MB for 128, 256, 512 and 1024.
PRODUCT_POSITIONS_AT_ONCE = 128
# An accelerator needs more to be busy; where that ends has not been measured here.
POSITIONS_ON_ACCELERATORS = 4096
FORWARD_COST = 32  # positions whose time one more forward is worth on a CPU: measured 12 to 30
FORWARD_COST_ELSEWHERE = 2048  # an accelerator waits for its launches
_USABLE = 0.6  # of the memory that is free: allocators leave gaps, and others run too
_UNKNOWN = 4 << 30  # bytes taken to be free where the machine does not say
_GROUPS = (  # limits of a container: the limit's file, what is used of it
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def most_positions(device: torch.device) -> int:
    """Return how many positions at once a device makes use of; more are no faster.

    >>> most_positions(torch.device("cpu"))
    512
    """
    return POSITIONS_AT_ONCE if device.type == "cpu" else POSITIONS_ON_ACCELERATORS


def most_product_positions(device: torch.device) -> int:
    """Return how many positions, counted for each target, one vector–Jacobian product makes use of.

    >>> most_product_positions(torch.device("cpu"))
    128
    """
    return PRODUCT_POSITIONS_AT_ONCE if device.type == "cpu" else POSITIONS_ON_ACCELERATORS


def forward_cost(device: torch.device) -> int:
    """Return how many positions take as long as one more forward does, however short it is.

    >>> forward_cost(torch.device("cpu"))
    32
    """
    return FORWARD_COST if device.type == "cpu" else FORWARD_COST_ELSEWHERE


class Memory:
    """What passes of one model hold, and how many positions of them fit.

    Args:
        model: The model.
        device: Where its inputs lie.
    """

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self.model = model
        self.device = device
        self.recomputed_from: int | None = None
        """Texts of as many tokens did not fit with their whole graph."""
        self.keeps_graph = True
        """Whether the forward under way keeps all of its graph."""
        self._too_many: dict[bool, int] = {}
        self._measured: tuple[int, float] | None = None

    @property
    def is_measured(self) -> bool:
        """Whether a graph of this model has been measured."""
        return self._measured is not None

    def positions_at_once(self, tokens: int, *, gradients: bool, logits: int = 1) -> int:
        """Return how many positions one batch may have: at least those of one row.

        Args:
            tokens: Tokens of a row.
            gradients: Whether a graph is kept.
            logits: Positions of a row whose logits are computed.
        """
        fitting = int(free_bytes(self.device) * _USABLE / self.row_bytes(tokens, gradients, logits))
        most = min(most_positions(self.device), self._too_many.get(gradients, 1 << 62))
        return max(tokens, min(most, fitting * tokens))

    def holds_graph(self, tokens: int, logits: int = 1) -> bool:
        """Return whether the graph of one row is thought to fit as a whole.

        Args:
            tokens: Tokens of the row.
            logits: Positions whose logits are computed.
        """
        if self.recomputed_from is not None and tokens >= self.recomputed_from:
            return False
        return self.row_bytes(tokens, True, logits) <= free_bytes(self.device) * _USABLE

    def row_bytes(self, tokens: int, gradients: bool, logits: int = 1) -> float:
        """Return what a pass over one row is thought to hold, without the weights.

        ``tokens · bytes of a position's graph``; without gradients about two layers' share of it; and the
        logits, with their 32-bit copy.

        Args:
            tokens: Tokens of the row.
            gradients: Whether a graph is kept.
            logits: Positions whose logits are computed.
        """
        graph = tokens * self._position_bytes(tokens)
        layers = max(2, getattr(_text_config(self.model), "num_hidden_layers", 2) or 2)
        size = _item_size(self.model)
        read = logits * _classes(self.model) * (size + 4 * (3 if gradients else 1))
        return max(1.0, (graph if gradients else graph * 2 / layers) + read)

    def learn(self, positions: int, *, gradients: bool) -> None:
        """Note that a batch of as many positions did not fit: half of it is tried from now on."""
        self._too_many[gradients] = max(1, positions // 2)

    def measure(self, values: Tensor, leaf: Tensor) -> None:
        """Measure what the graph from a leaf to values holds, once for each doubling of the length.

        Args:
            values: Computed from the leaf, ``(B, N)``.
            leaf: The embeddings, ``(B, T, D)``.
        """
        rows, tokens = leaf.shape[:2]
        is_known = self._measured is not None and tokens < 2 * self._measured[0]
        if is_known or not self.keeps_graph:
            return
        held = graph_bytes(values, self.model)
        if held:
            self._measured = (tokens, held / (rows * tokens))

    def _position_bytes(self, tokens: int) -> float:
        """Return the bytes of the graph of one position of a text."""
        squares = 0 if _is_fused(self.model) else 1
        if self._measured is not None:
            length, each = self._measured
            # Attention weights grow with the length; until they are measured there, take all to.
            return each * (max(1.0, tokens / length) if squares else 1.0)
        text_config, size = _text_config(self.model), _item_size(self.model)
        heads = getattr(text_config, "num_attention_heads", 0) or 0
        layers = getattr(text_config, "num_hidden_layers", 0) or 0
        experts = getattr(text_config, "num_experts_per_tok", 1) or 1
        through = sum(
            sum(weight.shape[-2:]) * (experts if weight.ndim > 2 else 1) for weight in _matrices(self.model)
        )
        return max(1.0, 1.25 * size * through + squares * layers * heads * tokens * (2 * size + 4))


def free_bytes(device: torch.device) -> int:
    """Return how many bytes a device has left for tensors.

    On CUDA what the driver has free and what torch's allocator keeps unused; on a CPU what the machine
    and its container leave, and 4 GiB where neither says.

    Args:
        device: The device.
    """
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type == "mps":
        return max(0, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return min(_free_of_machine(), _free_of_container())


def graph_bytes(values: Tensor, model: nn.Module) -> int:
    """Return how many bytes an autograd graph keeps alive, without the model's own weights.

    Args:
        values: Where the graph ends.
        model: The model that made it.
    """
    own = {_storage(tensor) for tensor in [*model.parameters(), *model.buffers()]}
    found: dict[int, int] = {}
    todo, seen = [values.grad_fn], set()
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        todo += [following for following, _ in node.next_functions]
        for tensor in _kept_by(node):
            if tensor.layout == torch.strided and _storage(tensor) not in own:
                found[_storage(tensor)] = tensor.untyped_storage().nbytes()
    return sum(found.values())


def _kept_by(node: Any) -> Iterator[Tensor]:
    names = [name for name in dir(node) if name == "saved_tensors" or name.startswith("_saved_")]
    for name in names:
        try:
            kept = getattr(node, name)
        except (RuntimeError, AttributeError):  # freed, or overwritten since
            continue
        for value in kept if isinstance(kept, list | tuple) else [kept]:
            if isinstance(value, Tensor):
                yield value


def _storage(tensor: Tensor) -> int:
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):  # a quantized or opaque tensor has none
        return 0


def _matrices(model: nn.Module) -> Iterator[Tensor]:
    """Yield the weight matrices that every position passes: not the tables it is looked up in."""
    head = getattr(model, "get_output_embeddings", lambda: None)()
    for module in model.modules():
        if isinstance(module, nn.Embedding) or module is head:
            continue
        yield from (weight for weight in module.parameters(recurse=False) if weight.ndim > 1)


def _text_config(model: nn.Module) -> Any:
    config = getattr(model, "config", None)
    return config.get_text_config() if hasattr(config, "get_text_config") else config  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]


def _classes(model: nn.Module) -> int:
    """Return how many logits a position gets."""
    head = getattr(model, "get_output_embeddings", lambda: None)()
    text_config = _text_config(model)
    name = "num_labels" if head is None else "vocab_size"
    return int(getattr(text_config, name, 1) or 1)


def _item_size(model: nn.Module) -> int:
    dtype = getattr(model, "dtype", torch.float32)
    return dtype.itemsize if dtype.is_floating_point else 4


def _is_fused(model: nn.Module) -> bool:
    """Return whether attention holds no square of weights."""
    return getattr(getattr(model, "config", None), "_attn_implementation", None) not in (None, "eager")


def _free_of_machine() -> int:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass  # no such file outside Linux: the system's count of free pages answers
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return _UNKNOWN


def _free_of_container() -> int:
    for limit, used in _GROUPS:
        try:
            return max(0, int(Path(limit).read_text("ascii")) - int(Path(used).read_text("ascii")))
        except (OSError, ValueError):  # no such group, or it is "max"
            continue
    return 1 << 62
