"""Measure which layers of a model compute attention, by watching one forward pass.

Hybrids attend in some layers only, pruned models have fewer heads in some, and configurations say neither
reliably. So where a reading of attention finds something else than assumed, the layout is measured on the
text at hand, and the reading runs again. Layers are numbered as the model numbers them: by the calls of the
members of the outermost ``ModuleList`` in which all attention runs, as ``model/blocks.py`` numbers blocks.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from model_understanding.attention.capture.recognition import (
    FUSED,
    SOFTMAX,
    axis_of_softmax,
    fused_arguments,
    fused_heads,
    is_attention,
)
from model_understanding.errors import UnsupportedModelError
from model_understanding.model.attention_layout import (
    AttentionLayout,
    AttentionSite,
    keep_layout,
    known_layout,
)
from model_understanding.model.guard import guarded
from model_understanding.model.metering import count_forward
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding

Read = TypeVar("Read")
_OF_DECODER = "it belongs to the decoder"


def with_known_layout(model: Model, encoding: Encoding, read: Callable[[], Read]) -> Read:
    """Return what a reading of attention gives; run it again where the model's layers are not as assumed.

    Args:
        model: The model.
        encoding: The texts that are read.
        read: Reads attention with the layout that is known.

    Raises:
        UnsupportedModelError: The attention cannot be read with the measured layout either.
    """
    try:
        return read()
    except UnsupportedModelError:
        before = known_layout(model)
        if before.tokens == encoding.ids.shape[1]:
            raise
        measured = measured_layout(model, encoding.row(0) if len(encoding) > 1 else encoding)
        keep_layout(model, measured)
        if replace(measured, tokens=before.tokens) == before:
            raise
    return read()


def measured_layout(model: Model, encoding: Encoding) -> AttentionLayout:
    """Return the attention that a forward pass over one text shows.

    Args:
        model: The model.
        encoding: The text.
    """
    last = encoding.ids.shape[1] - 1 if model.is_language_model else 0
    layout = _surveyed(model, encoding, last)
    if layout.unreadable and last > 0:  # layers may have run only for the positions whose logits were needed
        whole = _surveyed(model, encoding, 0)
        if len(whole.unreadable) < len(layout.unreadable):
            return replace(whole, needs_all_logits=True)
    return layout


def _surveyed(model: Model, encoding: Encoding, keep_from: int) -> AttentionLayout:
    survey = _Survey(encoding.ids.shape[1])
    with guarded(model.module, gradients=False), survey.hooks(model.module), survey:
        model.forward(encoding, keep_from)
    count_forward(encoding.ids.numel())
    return survey.layout(
        getattr(model.config.get_text_config(), "num_hidden_layers", None),
        has_decoder=bool(getattr(model.config, "is_encoder_decoder", False)),
    )


class _Seen(NamedTuple):
    """A softmax or a fused kernel that a forward pass ran.

    Args:
        calls: The running members of lists of modules, outermost first: the list's path, and which call of
            its members this is.
        heads: The number of heads; 0 where it is not attention over all tokens.
        why: Why its weights cannot be read; ``None`` if they can.
    """

    calls: dict[str, int]
    heads: int
    why: str | None


class _Survey(TorchFunctionMode):
    """Notes each attention layer that runs, and in which members of which lists of modules.

    Args:
        tokens: Length of the text.
    """

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self._tokens = tokens
        self._seen: list[_Seen] = []
        self._running: list[tuple[str, int]] = []
        self._calls: dict[str, int] = {}

    def hooks(self, module: nn.Module) -> ExitStack:
        """Watch the members of each list of modules while the stack is open."""
        handles = ExitStack()
        for path, members in module.named_modules():
            if not isinstance(members, nn.ModuleList):
                continue
            for member in members:
                for handle in (
                    member.register_forward_pre_hook(self._enter(path)),
                    member.register_forward_hook(self._leave, always_call=True),
                ):
                    handles.callback(handle.remove)
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
            self._note_fused(**fused_arguments(arguments, keywords))
        elif function in SOFTMAX:
            scores = arguments[0] if arguments else keywords["input"]
            self._note_softmax(scores, axis_of_softmax(arguments, keywords))
        return function(*arguments, **keywords)

    def layout(self, depth: int | None, *, has_decoder: bool = False) -> AttentionLayout:
        """Return the layout of what was seen.

        Args:
            depth: How many layers the configuration says that the model has.
            has_decoder: Whether it says that a decoder follows an encoder.
        """
        seen = self._seen
        if has_decoder and seen:  # layers of the decoder have other indices, and other queries
            encoder = next(iter(seen[0].calls), None)
            seen = [one if encoder in one.calls else one._replace(why=_OF_DECODER) for one in seen]
        own = [one for one in seen if one.why != _OF_DECODER]
        lists = own[0].calls if own else {}
        shared = [path for path in lists if all(path in one.calls for one in own)]
        path = next((path for path in shared if self._calls[path] == depth), shared[0] if shared else None)
        own_numbers = iter([one.calls[path] if path else index for index, one in enumerate(own)])
        numbers = [-1 if one.why == _OF_DECODER else next(own_numbers) for one in seen]
        numbered = list(zip(numbers, seen, strict=True))
        sites = [
            AttentionSite(number, one.heads, self._why(number, numbers, one))
            for number, one in numbered
            if one.heads
        ]
        readable = {site.layer for site in sites if site.unreadable is None}
        unreadable = {
            number: self._why(number, numbers, one) or ""
            for number, one in numbered
            if number not in readable and number >= 0
        }
        count = self._calls[path] if path else max([depth or 0, *(number + 1 for number in numbers)])
        return AttentionLayout(
            tuple(sites), count, tuple(unreadable.items()), self._tokens, len(own) < len(seen)
        )

    def _why(self, number: int, numbers: list[int], seen: _Seen) -> str | None:
        """Return why the attention of a layer cannot be read."""
        if seen.why is None and numbers.count(number) > 1:
            return f"attention runs {numbers.count(number)} times in it"
        return seen.why

    def _note_fused(self, query: Tensor, key: Tensor, **others: Any) -> None:
        heads = fused_heads(query, key, self._tokens)
        if heads:
            self._note(heads)
        else:
            self._note(0, f"queries have the shape {tuple(query.shape)} and keys {tuple(key.shape)}")

    def _note_softmax(self, scores: Tensor, axis: int | None) -> None:
        if is_attention(scores, axis, self._tokens):
            self._note(scores.shape[1])
        elif self._resembles_attention(scores, axis):
            self._note(0, f"its softmax is over scores of shape {tuple(scores.shape)}")

    def _resembles_attention(self, scores: Tensor, axis: int | None) -> bool:
        """Return whether a softmax may be attention in another form; that of a router has fewer axes."""
        if scores.ndim < 3 or axis not in (-1, scores.ndim - 1):
            return False
        return scores.ndim > 3 or (scores.shape[0] > 1 and set(scores.shape[1:]) == {self._tokens})

    def _note(self, heads: int, why: str | None = None) -> None:
        self._seen.append(_Seen(dict(self._running), heads, why))

    def _enter(self, path: str) -> Callable[..., None]:
        def enter(module: nn.Module, arguments: Any) -> None:
            call = self._calls.get(path, 0)
            self._calls[path] = call + 1
            self._running.append((path, call))

        return enter

    def _leave(self, module: nn.Module, arguments: Any, output: Any) -> None:
        self._running.pop()
