"""Which of a model's layers compute softmax attention, and with how many heads.

What the configuration says is assumed until a forward pass shows something else. Then the layout is measured
(``attention/capture/layout.py``) and kept with the model, so a plain model costs no pass of its own. The
layout of an encoder–decoder is always measured: it has one for each of its three stacks of attention.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from model_understanding.checks import index_in, is_whole
from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.model.model import Model
from model_understanding.model.settings import by_layer
from model_understanding.text.encoding import Encoding

_HINT = "Use compute_saliency (the command explain) instead: its default method works for every model."
_METHOD_HINT = "Use a method that does not read attention, such as leave_one_out or saliency."
_LOAD_HINT = "Load the model with attn_implementation='sdpa' or 'eager'."
_MEASURED = "attention_layouts"

Stack = Literal["encoder", "decoder", "cross"]
"""The encoder's attention to itself, the decoder's to itself, and the decoder's to the encoder."""
STACKS: tuple[Stack, ...] = ("cross", "encoder", "decoder")
_OF_CLASSIFIERS: tuple[Stack, ...] = ("encoder", "cross", "decoder")
STACK_NAMES: dict[Stack, str] = {
    "cross": "cross attention",
    "encoder": "the encoder's self-attention",
    "decoder": "the decoder's self-attention",
}


class Sides(NamedTuple):
    """The sides of a text, and the stack that is read on them.

    Args:
        source: How many tokens the encoder reads, or the model's only stack.
        output: How many tokens the decoder reads; as many where a model has one side only.
        stack: The stack.
    """

    source: int
    output: int
    stack: Stack | None = None

    @property
    def queries(self) -> int:
        """How many queries the stack has."""
        return self.output if self.stack in ("decoder", "cross") else self.source

    @property
    def keys(self) -> int:
        """How many keys the stack has."""
        return self.output if self.stack == "decoder" else self.source

    def of(self, stack: Stack | None) -> "Sides":
        """Return the same sides for another stack."""
        return self._replace(stack=stack)

    @property
    def plane(self) -> tuple[int, int]:
        """Queries and keys."""
        return self.queries, self.keys


def sides_of(encoding: Encoding, stack: Stack | None = None) -> Sides:
    """Return the sides of an encoded text; a classifier's decoder reads the whole text again."""
    tokens, source = encoding.ids.shape[1], encoding.source_length
    return Sides(tokens, tokens, stack) if source is None else Sides(source, tokens - source, stack)


@dataclass(frozen=True, slots=True)
class AttentionSite:
    """One softmax over the text's tokens that a forward pass computes.

    Args:
        layer: The model's own index of the layer in which it runs.
        heads: Its number of heads.
        unreadable: Why its weights cannot be read; ``None`` if they can.
        stack: Which stack of an encoder–decoder it belongs to.
        shares_axis: Whether the heads of all texts are on one axis (FSMT, XGLM).
    """

    layer: int
    heads: int
    unreadable: str | None = None
    stack: Stack | None = None
    shares_axis: bool = False


class MovedIds(NamedTuple):
    """The ids that the decoder of a classifier reads: the text's, moved to the right.

    Args:
        before: Ids of the positions before the text's first one.
        wraps: Whether the last of these is the text's last id (mBART).
    """

    before: tuple[int, ...]
    wraps: bool


@dataclass(frozen=True, slots=True)
class AttentionLayout:
    """The attention of a model's layers, in the order in which a forward pass computes it.

    Args:
        sites: What a forward pass shows in the form of attention over all tokens, in any stack.
        depth: How many layers the model, or the stack, has, with attention or without.
        unreadable: Layers whose attention has another form, and why it cannot be read.
        tokens: Length of the text on which it was measured; ``None`` if the configuration says so.
        stack: Which stack of an encoder–decoder this is about.
        needs_all_logits: Whether some layers run only for the positions whose logits are computed.
        decoder_reads: How the ids that a decoder reads follow from the text's, where it reads these again.
    """

    sites: tuple[AttentionSite, ...]
    depth: int
    unreadable: tuple[tuple[int, str], ...] = ()
    tokens: int | None = None
    stack: Stack | None = None
    needs_all_logits: bool = False
    decoder_reads: "MovedIds | None" = None

    def reads(self, site: AttentionSite) -> bool:
        """Return whether a site is of this stack, and can be read."""
        return site.unreadable is None and site.stack == self.stack

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers whose attention can be read, by the model's own index."""
        return tuple(site.layer for site in self.sites if self.reads(site))

    @property
    def is_complete(self) -> bool:
        """Whether the attention of every layer can be read."""
        return self.layers == tuple(range(self.depth))

    @property
    def cautions(self) -> tuple[str, ...]:
        """Warnings about attention that is not shown."""
        cautions = [
            f"The attention of layer {layer} is not shown: {why}." for layer, why in self.unreadable[:1]
        ]
        if len(self.unreadable) > 1:
            layers = listed(tuple(layer for layer, _ in self.unreadable))
            reasons = "; ".join(dict.fromkeys(why for _, why in self.unreadable))
            cautions = [f"The attention of {layers} is not shown: {reasons}."]
        return tuple(cautions)

    def heads_of(self, layer: int) -> int:
        """Return the number of heads of a layer."""
        return self.sites[self.position(layer)].heads

    def position(self, layer: int) -> int:
        """Return which of the sites is that of a layer."""
        return next(
            index for index, site in enumerate(self.sites) if site.layer == layer and self.reads(site)
        )

    def layer_of(self, index: Any, what: str = "layer") -> int:
        """Return the layer of an index: the model's own, or counted from its last layer with attention.

        Args:
            index: The index; from the end where negative.
            what: What it is called, for the message.

        Raises:
            InputError: The model has no such layer, or its attention cannot be read.
        """
        layers = self.layers
        if layers == tuple(range(self.depth)):
            return index_in(index, self.depth, what)
        if is_whole(index) and int(index) in layers:
            return int(index)
        if is_whole(index) and -len(layers) <= int(index) < 0:
            return layers[index]
        reasons = dict(self.unreadable)
        if not is_whole(index) or not 0 <= int(index) < self.depth:
            message = f"There is no {what} {index!r}: the model has {self.depth}, from 0 to {self.depth - 1}."
        elif int(index) in reasons:
            message = f"The attention of layer {index} cannot be read: {reasons[int(index)]}."
        else:
            message = f"Layer {index} has no attention that can be read."
        raise InputError(
            f"{message} {self.description()}.",
            hint=f"Pass {listed(layers)}, or -1 for the last layer with attention.",
        )

    def common_heads(self, layers: tuple[int, ...] | None = None) -> int:
        """Return the number of heads that some layers share; by default all of them.

        Args:
            layers: The layers.

        Raises:
            InputError: The layers have different numbers of heads.
        """
        counts = {layer: self.heads_of(layer) for layer in (self.layers if layers is None else layers)}
        if len(set(counts.values())) > 1:
            each = ", ".join(f"layer {layer}: {count}" for layer, count in counts.items())
            raise InputError(
                f"The layers have different numbers of heads ({each}), so single heads of all of them do not "
                "fit into one array.",
                hint="Use compute_attention for the heads of one layer with head='all', as "
                f"layer={next(iter(counts))}, or for layers together with head='mean' or head='max'.",
            )
        return next(iter(counts.values()))

    def description(self) -> str:
        """Return which layers have attention that can be read, as a sentence without a full stop."""
        layers = self.layers
        if len(layers) == 1:
            return f"Of {self.depth} layers only layer {layers[0]} has attention that can be read"
        return f"Of {self.depth} layers, {listed(layers)} have attention that can be read"


_NO_ATTENTION = AttentionLayout((), 0, tokens=0)


def listed(layers: tuple[int, ...]) -> str:
    """Return layers as in ``layers 1, 3 and 5``."""
    *others, last = map(str, layers)
    return f"layers {', '.join(others)} and {last}" if others else f"layer {last}"


def has_stacks(model: Model) -> bool:
    """Return whether a model may be an encoder–decoder, whose layout must be measured."""
    return bool(getattr(model.config, "is_encoder_decoder", False))


def chosen_stack(model: Model, stack: str | None = None) -> Stack | None:
    """Return which stack of a measured model is meant; ``None`` for a model that has only one.

    Args:
        model: The model.
        stack: The name that the caller gave. Left out: of a language model cross attention, of others the
            encoder's self-attention, or the first that can be read.

    Raises:
        InputError: The model has no such stack.
    """
    layouts = known_layouts(model)
    if stack is None:
        order = STACKS if model.is_language_model else _OF_CLASSIFIERS
        present = [layouts[name] for name in order if name in layouts]
        readable = [layout for layout in present if layout.layers]
        return next((layout.stack for layout in (*readable, *present)), None)
    if not isinstance(stack, str) or stack not in STACKS:
        raise InputError(
            f"Unknown stack {stack!r}. Allowed: {', '.join(map(repr, STACKS))}.",
            hint="Leave stack out for the default one.",
        )
    if stack not in layouts and has_stacks(model) and None not in layouts:
        raise UnsupportedModelError(
            f"Found no softmax that is {STACK_NAMES[stack]} of {model.name}.", hint=_HINT
        )
    if stack not in layouts:
        raise InputError(
            f"stack={stack!r} chooses the attention of an encoder–decoder, and {model.name} is none.",
            hint="Leave stack out.",
        )
    return stack


def stacks_of(model: Model) -> tuple[Stack | None, ...]:
    """Return the stacks of a measured model, the default one first; ``(None,)`` for one stack."""
    default = chosen_stack(model)
    return (default, *(stack for stack in STACKS if stack in known_layouts(model) and stack != default))


def attention_layout(model: Model, stack: Stack | None = None) -> AttentionLayout:
    """Return the attention of a model's layers: as measured, or else as its configuration says.

    Args:
        model: The model.
        stack: Which stack of an encoder–decoder.

    Raises:
        UnsupportedModelError: The model has no attention that can be read.
    """
    layout = known_layout(model, stack)
    if layout.layers:
        return layout
    implementation = getattr(model.config, "_attn_implementation", None)
    if stack is not None:
        others = [name for name, other in known_layouts(model).items() if name is not None and other.layers]
        reasons = "; ".join(dict.fromkeys(why for _, why in layout.unreadable)) or "no softmax was found"
        hint = (
            f"Use stack={others[0]!r}, which can be read, or compute_saliency (the command explain)."
            if others
            else _HINT
        )
        raise UnsupportedModelError(
            f"Could not read {STACK_NAMES[stack]} of {model.name} exactly: {reasons}.", hint=hint
        )
    if layout.unreadable:
        layer, why = layout.unreadable[0]
        raise UnsupportedModelError(
            f"Could not read the attention of {model.name} exactly: in layer {layer}, {why}.",
            hint=_HINT if implementation in ("sdpa", "eager", None) else f"{_LOAD_HINT} {_HINT}",
        )
    if layout.tokens is not None and any(by_layer(model.config.get_text_config(), "num_attention_heads")):
        raise UnsupportedModelError(
            f"Found no softmax over all tokens in the layers of {model.name} "
            f"(implementation {implementation!r}), so its attention cannot be read.",
            hint=_HINT if implementation in ("sdpa", "eager", None) else f"{_LOAD_HINT} {_HINT}",
        )
    raise UnsupportedModelError(f"Models of type {model.config.model_type!r} have no attention.", hint=_HINT)


def known_layout(model: Model, stack: Stack | None = None) -> AttentionLayout:
    """Return what is known of a model's attention, which may be that it has none.

    Args:
        model: The model.
        stack: Which stack of an encoder–decoder.
    """
    return known_layouts(model).get(stack, _NO_ATTENTION)


def layouts_are_measured(model: Model) -> bool:
    """Return whether a forward pass has shown the layout, rather than the configuration."""
    return _MEASURED in model.actual.measured


def keep_layouts(model: Model, layouts: dict[Stack | None, AttentionLayout]) -> None:
    """Keep measured layouts with the model, that of each stack."""
    model.actual.measured[_MEASURED] = layouts


def known_layouts(model: Model) -> dict[Stack | None, AttentionLayout]:
    """Return what is known of each stack; one of no stack for a model that has only one."""
    measured = model.actual.measured.get(_MEASURED)
    return {None: _configured(model.config)} if measured is None else measured


def _configured(config: Any) -> AttentionLayout:
    """Return what a configuration says: every layer attends, or those of an attention type."""
    text_config = config.get_text_config()
    depth = getattr(text_config, "num_hidden_layers", 0)
    depth, counts = depth if isinstance(depth, int) else 0, by_layer(text_config, "num_attention_heads")
    types = getattr(text_config, "layer_types", None)
    if not isinstance(types, list) or len(types) != depth:
        types = ["full_attention"] * depth
    sites = [
        AttentionSite(layer, count)
        for layer, (count, name) in enumerate(zip(counts, types, strict=False))
        if count and _is_softmax_attention(name)
    ]
    return AttentionLayout(tuple(sites), depth)


def _is_softmax_attention(layer_type: str) -> bool:
    return layer_type.endswith("attention") and not layer_type.startswith("linear")


def require_attention_in_every_layer(
    model: Model,
    method: str,
    hint: str = "Use a method that does not read attention, such as leave_one_out or saliency.",
    stack: Stack | None = None,
) -> int:
    """Return how many layers a model has, after checking that each one computes softmax attention.

    Args:
        model: The model.
        method: The method that needs them, for the message.
        hint: The hint of the error.
        stack: The stack of an encoder–decoder whose layers it follows.

    Raises:
        UnsupportedModelError: Some layers have no softmax attention.
    """
    if stack is None and has_stacks(model) and None not in known_layouts(model):
        raise UnsupportedModelError(
            f"{method} follows one stack of layers, and {model.name} is an encoder–decoder.", hint=hint
        )
    layout = known_layout(model, stack)
    if model.reads_two_sequences and not model.is_language_model:
        raise UnsupportedModelError(
            f"{method} follows attention from an answer back to one text, and a similarity is of two texts, "
            "each read by itself.",
            hint=hint,
        )
    if not layout.is_complete or not layout.layers:
        without = layout.depth - len(layout.layers)
        raise UnsupportedModelError(
            f"{method} needs attention in every layer, but {without} of the {layout.depth} layers of "
            f"{model.name} have none.",
            hint=hint,
        )
    return layout.depth
