"""Measure which layers of a model compute attention, by watching one forward pass.

Hybrids attend in some layers only, pruned models have fewer heads in some, and configurations say neither
reliably. So where a reading of attention finds something else than assumed, the layout is measured on the
text at hand, and the reading runs again. Layers are numbered as the model numbers them: by the calls of the
members of the outermost ``ModuleList`` in which all attention runs, as ``model/blocks.py`` numbers blocks.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from model_understanding.attention.capture.recognition import (
    FUSED,
    SOFTMAX,
    Plane,
    SameAttention,
    attention_softmax,
    axis_of_softmax,
    fused_arguments,
    fused_heads,
)
from model_understanding.errors import UnsupportedModelError
from model_understanding.model.attention_layout import (
    STACKS,
    AttentionLayout,
    AttentionSite,
    MovedIds,
    Sides,
    Stack,
    has_stacks,
    keep_layouts,
    known_layouts,
    layouts_are_measured,
    sides_of,
)
from model_understanding.model.guard import guarded
from model_understanding.model.lookups import given_ids, offset_of
from model_understanding.model.metering import count_forward
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding

Read = TypeVar("Read")
Layouts = dict[Stack | None, AttentionLayout]


def with_known_layout(model: Model, encoding: Encoding, read: Callable[[], Read]) -> Read:
    """Return what a reading of attention gives; run it again where the model's layers are not as assumed.

    Args:
        model: The model.
        encoding: The texts that are read.
        read: Reads attention with the layout that is known.

    Raises:
        UnsupportedModelError: The attention cannot be read with the measured layout either.
    """
    if has_stacks(model) and not layouts_are_measured(model):
        keep_layouts(model, _measured(model, encoding))
    try:
        return read()
    except UnsupportedModelError:
        before = known_layouts(model)
        if _lengths(before) == {encoding.ids.shape[1]}:
            raise
        measured = _measured(model, encoding)
        keep_layouts(model, measured)
        if _without_length(measured) == _without_length(before):
            raise
    return read()


def _measured(model: Model, encoding: Encoding) -> Layouts:
    return measured_layouts(model, encoding.row(0) if len(encoding) > 1 else encoding)


def _lengths(layouts: Layouts) -> set[int | None]:
    return {layout.tokens for layout in layouts.values()}


def _without_length(layouts: Layouts) -> Layouts:
    return {stack: replace(layout, tokens=None) for stack, layout in layouts.items()}


def measured_layouts(model: Model, encoding: Encoding) -> Layouts:
    """Return the attention that a forward pass over one text shows, that of each stack.

    Args:
        model: The model.
        encoding: The text.
    """
    last = encoding.ids.shape[1] - 1 if model.is_language_model else 0
    layouts = _surveyed(model, encoding, last)
    if _unreadable_layers(layouts) and last > 0:  # layers may have run only for positions whose logits count
        whole = _surveyed(model, encoding, 0)
        if _unreadable_layers(whole) < _unreadable_layers(layouts):
            return {stack: replace(layout, needs_all_logits=True) for stack, layout in whole.items()}
    return layouts


def _unreadable_layers(layouts: Layouts) -> int:
    return sum(len(layout.unreadable) for layout in layouts.values())


def _surveyed(model: Model, encoding: Encoding, keep_from: int) -> Layouts:
    survey = _Survey(sides_of(encoding), encoding.ids, has_stacks=has_stacks(model))
    with (
        model.own_failures(encoding),
        guarded(model.module, gradients=False),
        survey.hooks(model.module),
        survey,
    ):
        model.forward(encoding, keep_from)
    count_forward(encoding.ids.numel())
    return survey.layouts(getattr(model.config.get_text_config(), "num_hidden_layers", None))


class _Seen(NamedTuple):
    """A softmax or a fused kernel that a forward pass ran.

    Args:
        calls: The running members of lists of modules, outermost first: the list's path, and which call of
            its members this is.
        heads: The number of heads; 0 where it is not attention over all tokens.
        plane: Its numbers of queries and keys, where it is.
        why: Why its weights cannot be read; ``None`` if they can.
        reads_memory: Whether it runs in a part of a block that is given hidden states of another stack.
        shares_axis: Whether the heads of all texts are on one axis.
    """

    calls: dict[str, int]
    heads: int
    plane: Plane | None
    why: str | None
    reads_memory: bool
    shares_axis: bool


class _Survey(TorchFunctionMode):
    """Notes each attention layer that runs, and in which members of which lists of modules.

    Args:
        sides: The sides of the text.
        ids: The text's ids.
        has_stacks: Whether the model may be an encoder–decoder.
    """

    def __init__(self, sides: Sides, ids: Tensor, *, has_stacks: bool) -> None:
        super().__init__()
        self._sides = sides
        self._ids = ids
        self._has_stacks = has_stacks
        self._planes = {sides.of(stack).plane for stack in (STACKS if has_stacks else (None,))}
        self._seen: list[_Seen] = []
        self._repeats = SameAttention()
        self._decoder_reads: MovedIds | None = None
        self._running: list[tuple[str, int]] = []
        self._calls: dict[str, int] = {}
        self._memories: list[Tensor] = []  # what the running blocks of a decoder are given of the encoder
        self._reading: list[
            bool | None
        ] = []  # of each running part of a block: whether it is given one of these

    def hooks(self, module: nn.Module) -> ExitStack:
        """Watch the members of each list of modules while the stack is open, and the parts of these."""
        handles = ExitStack()
        members: set[nn.Module] = set()

        def watch(part: nn.Module, before: Callable[..., None], after: Callable[..., None]) -> None:
            for handle in (
                part.register_forward_pre_hook(before, with_kwargs=True),
                part.register_forward_hook(after, always_call=True),
            ):
                handles.callback(handle.remove)

        for path, listed in module.named_modules():
            if isinstance(listed, nn.ModuleList):
                for member in listed:
                    members.add(member)
                    watch(member, self._enter(path), self._leave)
        if self._has_stacks:
            parts = (part for member in members for part in member.modules() if part is not member)
            for part in dict.fromkeys(parts):
                watch(part, self._enter_part, self._leave_part)
            for part in module.modules():
                handles.callback(part.register_forward_pre_hook(self._note_ids, with_kwargs=True).remove)
        return handles

    def __torch_function__(
        self,
        function: Any,
        types: Any,
        arguments: tuple[Any, ...] = (),
        keywords: dict[str, Any] | None = None,
    ) -> Any:
        keywords = keywords or {}
        if function is FUSED:
            given = fused_arguments(arguments, keywords)
            if not self._repeats.is_again(given):
                self._note_fused(**given)
        elif function in SOFTMAX:
            scores = arguments[0] if arguments else keywords["input"]
            self._note_softmax(scores, axis_of_softmax(arguments, keywords))
        return function(*arguments, **keywords)

    def layouts(self, depth: int | None) -> Layouts:
        """Return the layout of what was seen, that of each stack.

        Args:
            depth: How many layers the configuration says that the model, or its encoder, has.
        """
        stacks = self._stacks()
        numbers = [0] * len(stacks)
        depths: dict[Stack | None, int] = {None: depth or 0}
        for side, depth_of_side in (((None, "encoder"), depth), (("decoder", "cross"), None)):
            own = [index for index, stack in enumerate(stacks) if stack in side]
            if own:
                count, of_own = self._numbered([self._seen[index] for index in own], depth_of_side)
                for index, number in zip(own, of_own, strict=True):
                    numbers[index] = number
                    depths[stacks[index]] = count
        places = list(zip(stacks, numbers, strict=True))
        reasons = [
            f"attention runs {places.count(place)} times in it"
            if seen.why is None and places.count(place) > 1
            else seen.why
            for place, seen in zip(places, self._seen, strict=True)
        ]
        sites = tuple(
            AttentionSite(number, seen.heads, why, stack, seen.shares_axis)
            for (stack, number), seen, why in zip(places, self._seen, reasons, strict=True)
            if seen.heads
        )
        readable = {(site.stack, site.layer) for site in sites if site.unreadable is None}
        unreadable = {
            place: why or "" for place, why in zip(places, reasons, strict=True) if place not in readable
        }
        return {
            stack: AttentionLayout(
                sites,
                depths[stack],
                tuple((number, why) for (other, number), why in unreadable.items() if other == stack),
                self._ids.shape[1],
                stack,
                decoder_reads=self._decoder_reads if stack in ("decoder", "cross") else None,
            )
            for stack in (STACKS if any(stacks) else (None,))
            if stack is None or stack in stacks
        }

    def _stacks(self) -> list[Stack | None]:
        """Return which stack of an encoder–decoder each attention belongs to; ``None`` for another model."""
        if not self._has_stacks or not self._seen:
            return [None] * len(self._seen)
        encoder = next(iter(self._seen[0].calls), None)
        own = [encoder in seen.calls for seen in self._seen]
        if all(own):  # an encoder by itself
            return [None] * len(own)
        return [
            "encoder" if is_own else "cross" if self._is_cross(seen) else "decoder"
            for seen, is_own in zip(self._seen, own, strict=True)
        ]

    def _is_cross(self, seen: _Seen) -> bool:
        """Return whether attention in a decoder is to the encoder: by its shape, or by what it is given."""
        plane = self._sides.of("cross").plane
        return seen.plane == plane if plane[0] != plane[1] and seen.plane else seen.reads_memory

    def _numbered(self, seen: Sequence[_Seen], depth: int | None) -> tuple[int, list[int]]:
        """Return how many layers a list of modules has, and the layer of each attention in it."""
        shared = [path for path in seen[0].calls if all(path in other.calls for other in seen)]
        path = next((path for path in shared if self._calls[path] == depth), shared[0] if shared else None)
        numbers = [other.calls[path] if path else index for index, other in enumerate(seen)]
        return self._calls[path] if path else max([depth or 0, *(number + 1 for number in numbers)]), numbers

    def _note_fused(self, query: Tensor, key: Tensor, **others: Any) -> None:
        attention = fused_heads(query, key, self._planes)
        if attention:
            self._note(*attention)
        else:
            why = f"queries have the shape {tuple(query.shape)} and keys {tuple(key.shape)}"
            self._note(0, None, why)

    def _note_softmax(self, scores: Tensor, axis: int | None) -> None:
        attention = attention_softmax(scores, axis, self._planes, batch=1)
        if attention:
            self._note(*attention, shares_axis=scores.ndim == 3)
        elif self._resembles_attention(scores, axis):
            self._note(0, None, f"its softmax is over scores of shape {tuple(scores.shape)}")

    def _resembles_attention(self, scores: Tensor, axis: int | None) -> bool:
        """Return whether a softmax may be attention in another form; that of a router has fewer axes."""
        if scores.ndim < 3 or axis not in (-1, scores.ndim - 1):
            return False
        return scores.ndim > 3

    def _note(
        self, heads: int, plane: Plane | None, why: str | None = None, *, shares_axis: bool = False
    ) -> None:
        reads_memory = next((reads for reads in reversed(self._reading) if reads is not None), False)
        self._seen.append(_Seen(dict(self._running), heads, plane, why, reads_memory, shares_axis))

    def _note_ids(self, module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        """Note what the decoder looks up: the first ids of the text after the encoder has attended."""
        ids = given_ids(arguments, keywords) if self._seen and self._decoder_reads is None else None
        offset = None if ids is None else offset_of(ids, self._ids)
        if ids is not None and offset is not None:
            before = tuple(ids[0, :offset].tolist())
            wraps = offset > 0 and before[-1] == int(self._ids[0, -1])
            self._decoder_reads = MovedIds(before, wraps)

    def _enter(self, path: str) -> Callable[..., None]:
        def enter(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            call = self._calls.get(path, 0)
            self._calls[path] = call + 1
            if self._has_stacks and not self._running:
                self._memories = _states_in(arguments, keywords)[1:]
            self._running.append((path, call))

        return enter

    def _leave(self, module: nn.Module, arguments: Any, output: Any) -> None:
        self._running.pop()

    def _enter_part(self, module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        states = _states_in(arguments, keywords)
        is_given = any(given is memory for given in states for memory in self._memories)
        self._reading.append(is_given if states else None)

    def _leave_part(self, module: nn.Module, arguments: Any, output: Any) -> None:
        self._reading.pop()


def _states_in(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> list[Tensor]:
    """Return the hidden states among what a module is called with."""
    values = (*arguments, *keywords.values())
    return [
        value
        for value in values
        if isinstance(value, Tensor) and value.ndim == 3 and value.is_floating_point()
    ]
