"""Targets of a token classifier: its entities, and labels at tokens, words and spans of the text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_understanding.checks import index_in, is_whole, one_of
from model_understanding.errors import InputError
from model_understanding.results import Entity, Tagging, Target
from model_understanding.results.target import QUANTITIES, Quantity
from model_understanding.targets.classification import ClassName, class_index
from model_understanding.targets.entities import Unit, text_of_span
from model_understanding.targets.names import TOKEN_CLASSIFICATION
from model_understanding.tokens import Tokens

Place = int | str | range | tuple[int, int]
"""A token's position, a text or ``word:3``, or a span of tokens."""
TagTarget = int | str | range | tuple[Place, ClassName]
"""An entity by index, text or label; a span of tokens; or a label somewhere."""
_LONGEST_TEXT = 40
_HINT = (
    "Pass an entity's index, text or label, a place and a label such as (3, 'B-PER') or 'Paris=LOC' "
    "(--target Paris=LOC), a range of tokens, or 'all'."
)


def entity_labels(labels: Sequence[str], name: ClassName) -> tuple[int, ...]:
    """Return the labels that a name stands for: one label, or each that marks a part of such an entity.

    Args:
        labels: Names of all labels.
        name: A label, its index, or a label without the ``B-``, ``I-`` and the like before it.

    Returns:
        Their indices.

    Raises:
        InputError: There is no such label.

    >>> entity_labels(("O", "B-PER", "I-PER"), "PER"), entity_labels(("O", "B-PER", "I-PER"), "B-PER")
    ((1, 2), (1,))
    """
    if isinstance(name, str) and name not in labels:
        for fold in (str, str.casefold):
            parts = tuple(
                index for index, label in enumerate(labels) if fold(entity_type(label)) == fold(name)
            )
            if parts:
                return parts
    return (class_index(labels, name),)


def entity_type(label: str) -> str:
    """Return a label without the letter that says where in an entity its token is.

    >>> entity_type("B-PER"), entity_type("S-PER"), entity_type("NOUN"), entity_type("T-shirt")
    ('PER', 'PER', 'NOUN', 'T-shirt')
    """
    return label[2:] if re.match(r"[BIOESLUM][-_].", label) else label


def labels_of_same_type(labels: Sequence[str], index: int) -> tuple[int, ...]:
    """Return the labels for any part of the kind of entity that a label is for, unless these are all.

    >>> labels_of_same_type(("O", "B-PER", "I-PER"), 2)
    (1, 2)
    """
    same = tuple(i for i, label in enumerate(labels) if entity_type(label) == entity_type(labels[index]))
    return (index,) if len(same) == len(labels) else same


def tag_targets(
    tagging: Tagging,
    units: Sequence[Unit],
    target: TagTarget | Sequence[TagTarget] | None,
    against: ClassName | None,
    quantity: Quantity,
) -> tuple[Target, ...]:
    """Return what a caller wants explained of a text's labels as targets.

    An entity is the mean over the tokens that decide it.

    Args:
        tagging: The model's answer.
        units: The tokens or words that it gives labels.
        target: An entity by index, text or label; a label at a token, a word, or a span; several of these;
            ``None`` or ``"all"`` for every entity.
        against: Another label, which is subtracted at each of a target's tokens; of an entity's type the one
            for the same part of it. Of all entities, those with another label are explained.
        quantity: ``logit``, ``log_prob`` or ``prob``.

    Returns:
        At least one target.

    Raises:
        InputError: There is no such entity, text, position or label, or a target is its own contrast.
    """
    one_of(quantity, "quantity", QUANTITIES)
    resolver = _Resolver(tagging, tuple(units))
    if isinstance(target, list):
        if not target:
            raise InputError("The list of targets is empty.", hint=_HINT)
        explained = tuple(entity for item in target for entity in resolver.entities(item))
    else:
        explained = resolver.entities("all" if target is None else target)
    if against is not None and (target is None or target == "all"):
        same = entity_labels(tagging.labels, against)
        others = tuple(entity for entity in explained if not set(entity.indices) <= set(same))
        explained = others or explained
    return tuple(resolver.target(entity, against, quantity) for entity in explained)


@dataclass(frozen=True, slots=True)
class _Resolver:
    """Finds what a caller names in the model's answer for one text."""

    tagging: Tagging
    units: tuple[Unit, ...]

    @property
    def tokens(self) -> Tokens:
        return self.tagging.tokens

    def entities(self, target: Any) -> tuple[Entity, ...]:
        """Return the entities, or the tokens with a label, that a caller names."""
        known = self.tagging.entities
        if isinstance(target, tuple) and len(target) == 2:
            return (self._labeled(*target),)
        if isinstance(target, range):
            return (self._span(self._positions(target)),)
        if is_whole(target):
            return (
                (known[index_in(target, len(known), "entity", "the text")],)
                if known
                else self._no_entity(target)
            )
        if not isinstance(target, str):
            raise InputError(f"Invalid target {target!r}.", hint=_HINT)
        if target == "all":
            return known or self._candidates()
        return self._named(target)

    def target(self, entity: Entity, against: ClassName | None, quantity: Quantity) -> Target:
        """Return an entity's label as a target."""
        labels = self.tagging.labels
        contrast = () if against is None else self._contrast(entity, against)
        return Target(
            task=TOKEN_CLASSIFICATION,
            positions=entity.tokens,
            indices=entity.indices,
            labels=tuple(labels[index] for index in entity.indices),
            against=contrast,
            against_labels=tuple(labels[index] for index in contrast),
            reduce="mean",
            quantity=quantity,
            name=self._name(entity),
        )

    def _named(self, name: str) -> tuple[Entity, ...]:
        """Return the entities with a text or a label, or a text of the input with the labels it has."""
        known, labels = self.tagging.entities, self.tagging.labels
        for fold in (str, str.casefold):
            same = [entity for entity in known if fold(entity.text) == fold(name)]
            if len(same) > 1:
                indices = " or ".join(str(known.index(entity)) for entity in same)
                raise InputError(
                    f"{len(same)} entities have the text {name!r}.", hint=f"Pass an index: {indices}."
                )
            if same:
                return tuple(same)
        for fold in (str, str.casefold):
            types = {fold(label) for label in (*labels, *map(entity_type, labels))}
            if fold(name) in types:
                same = [e for e in known if fold(name) in (fold(e.label), fold(entity_type(e.label)))]
                return tuple(same) or self._no_entity(name)
        place, is_pair, label = name.rpartition("=")
        if is_pair and place and label:
            return (self._labeled(int(place) if re.fullmatch(r"-?\d+", place) else place, label),)
        if re.fullmatch(r"-?\d+", name):  # the command line knows only strings
            return self.entities(int(name))
        return (self._span(self._positions(name)),)

    def _labeled(self, place: Any, name: Any) -> Entity:
        """Return a label at a place; of several labels of one type, the likeliest at each token."""
        choices = entity_labels(self.tagging.labels, name)
        positions = self._positions(place)
        is_token = is_whole(place)
        units = [Unit((positions[0],), (positions[0],), 0, 0.0)] if is_token else self._units(positions)
        deciding = tuple(position for unit in units for position in unit.deciding)
        logits = self.tagging.logits[list(deciding)][:, list(choices)]
        return self._entity(units, deciding, tuple(choices[index] for index in logits.argmax(axis=1)))

    def _span(self, positions: Sequence[int]) -> Entity:
        """Return tokens with the labels that the model gives them."""
        units = self._units(positions)
        deciding = tuple(position for unit in units for position in unit.deciding)
        return self._entity(units, deciding, tuple(unit.label for unit in units for _ in unit.deciding))

    def _entity(self, units: Sequence[Unit], deciding: tuple[int, ...], indices: tuple[int, ...]) -> Entity:
        labels = self.tagging.labels
        positions = [position for unit in units for position in unit.tokens]
        start, end, text = text_of_span(self.tokens, positions)
        is_joined = self.tagging.aggregation != "none" and len(positions) > 1
        names = dict.fromkeys(entity_type(labels[index]) if is_joined else labels[index] for index in indices)
        return Entity(
            label=", ".join(names),
            first=positions[0],
            last=positions[-1],
            start=start,
            end=end,
            text=text,
            probability=float(np.mean(self.tagging.probabilities[list(deciding), list(indices)])),
            tokens=deciding,
            indices=indices,
        )

    def _units(self, positions: Sequence[int]) -> list[Unit]:
        """Return the tokens or words that overlap some positions; a special token is one by itself."""
        wanted = set(positions)
        units = [unit for unit in self.units if not wanted.isdisjoint(unit.tokens)]
        if self.tagging.aggregation in ("none", "simple") or not units:
            labels = self.tagging.logits.argmax(axis=1)
            return [Unit((p,), (p,), int(labels[p]), 0.0) for p in positions]
        return units

    def _positions(self, place: Any) -> list[int]:
        """Return the positions of the tokens at a place."""
        count = len(self.tokens)
        if is_whole(place):
            return [index_in(place, count, "token", "the text")]
        if isinstance(place, range):
            place = (place.start, place.stop)
        if isinstance(place, tuple) and len(place) == 2 and all(map(is_whole, place)):
            start, end = place
            if not 0 <= start < end <= count:
                raise InputError(
                    f"Invalid span ({start}, {end}): the text has {count} tokens.",
                    hint=f"Pass 0 ≤ start < end ≤ {count}.",
                )
            return list(range(start, end))
        if not isinstance(place, str) or not place.strip():
            raise InputError(f"Invalid place {place!r} of a label.", hint=_HINT)
        return self._positions_of_text(place)

    def _positions_of_text(self, text: str, flags: int = 0) -> list[int]:
        tokens = self.tokens
        spans = [
            (segment, match.start(), match.end())
            for segment, source in enumerate(tokens.texts)
            for match in re.finditer(re.escape(text.strip()), source, flags)
        ]
        if not spans and not flags:
            return self._positions_of_text(text, re.IGNORECASE)
        word = re.fullmatch(r"word:(\d+)", text)
        if not spans and word:
            positions = np.flatnonzero(tokens.words == int(word[1])).tolist()
            if not positions:
                raise InputError(
                    f"There is no word {word[1]}: the text has {int(tokens.words.max()) + 1}.",
                    hint="Pass word:0 for the first one.",
                )
            return positions
        if not spans:
            entities = ", ".join(repr(entity.text) for entity in self.tagging.entities[:8])
            raise InputError(
                f"{text[:60]!r} is not an entity or a label, and does not occur in the text. "
                f"Entities: {entities or 'none'}.",
                hint=_HINT,
            )
        found = [self._overlapping(*span) for span in spans]
        # "New" in "New York, in New York": whole words first.
        whole = [positions for positions, span in zip(found, spans, strict=True) if self._is_word(span)]
        found = [positions for positions in whole or found if positions]
        if not found:
            raise InputError(
                f"No token of the text spells {text[:60]!r}.", hint="Pass a longer part of the text."
            )
        if len(found) > 1:
            firsts = ", ".join(str(positions[0]) for positions in found[:8])
            ends = found[0][-1] + 1
            raise InputError(
                f"{text[:60]!r} occurs {len(found)} times in the text, at tokens {firsts}.",
                hint=f"Pass the tokens, for example range({found[0][0]}, {ends}), or with a label "
                f"(({found[0][0]}, {ends}), label).",
            )
        return found[0]

    def _overlapping(self, segment: int, start: int, end: int) -> list[int]:
        tokens = self.tokens
        inside = (tokens.segments == segment) & (tokens.offsets[:, 0] < end) & (tokens.offsets[:, 1] > start)
        return np.flatnonzero(inside).tolist()

    def _is_word(self, span: tuple[int, int, int]) -> bool:
        segment, start, end = span
        text = self.tokens.texts[segment]
        return not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum())

    def _contrast(self, entity: Entity, against: ClassName) -> tuple[int, ...]:
        """Return the label to subtract at each token: of the same part of an entity, or the likeliest."""
        labels, logits = self.tagging.labels, self.tagging.logits
        choices = entity_labels(labels, against)
        contrast: list[int] = []
        for position, index in zip(entity.tokens, entity.indices, strict=True):
            part = labels[index].removesuffix(entity_type(labels[index]))
            same_part = [c for c in choices if part and labels[c] == part + entity_type(labels[c])]
            likeliest = max(choices, key=lambda choice: logits[position, choice])
            contrast.append(same_part[0] if same_part else likeliest)
        if tuple(contrast) == entity.indices or all(index in choices for index in entity.indices):
            raise InputError(
                f"The target and its contrast are both {entity.label!r}.",
                hint="Pass a different label as against.",
            )
        return tuple(contrast)

    def _candidates(self) -> tuple[Entity, ...]:
        if self.tagging.candidate is None:
            raise InputError(
                f"The model's only label is {self.tagging.labels[0]!r}, which marks no entity.",
                hint="Pass a place and a label as target, such as (3, 0).",
            )
        return (self.tagging.candidate,)

    def _no_entity(self, target: Any) -> tuple[Entity, ...]:
        known = ", ".join(f"{entity.text!r} ({entity.label})" for entity in self.tagging.entities[:8])
        candidate = self.tagging.candidate
        example = candidate or (self.tagging.entities[0] if self.tagging.entities else None)
        hint = "" if example is None else f"({example.text!r}, {example.label!r})"
        if isinstance(target, str) and example is not None:
            hint = f"({example.text!r}, {target!r})"
        raise InputError(
            f"The text has no entity {target!r}. Entities: {known or 'none'}.",
            hint=f"Pass a place and a label as target, for example {hint or '(1, 0)'}, to explain a label "
            "that the model did not choose.",
        )

    def _name(self, entity: Entity) -> str:
        """Return the name of a target: its label and its text, with its position where the text repeats."""
        text = entity.text if len(entity.text) <= _LONGEST_TEXT else f"{entity.text[:_LONGEST_TEXT]}…"
        occurrences = sum(source.count(entity.text) for source in self.tokens.texts)
        where = "" if occurrences == 1 else f" at token {entity.first}"
        return f"{entity.label} for “{text}”{where}"
