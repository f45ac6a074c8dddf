"""Values of the targets on variants of one text in which some tokens are removed.

Tokens are removed in place: the number of positions, every other token and the special and template
tokens stay as they are, and nothing is decoded or tokenized again.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.model.batching import Batches
from model_understanding.model.vocabulary import embedded, mean_embedding, vocabulary_size
from model_understanding.passes.runner import CustomTarget, Runner, Targets
from model_understanding.perturbation.black_box import BlackBox, BlackBoxAblations
from model_understanding.perturbation.prefix_cache import PrefixReuse
from model_understanding.perturbation.units import Units, membership, shared
from model_understanding.results import Target
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens

Replacement = Literal["default", "mask", "pad", "mean", "attention"]
REPLACEMENTS: tuple[str, ...] = get_args(Replacement)
_IDS_AT_ONCE = 8192  # as all results so far were summed
_LEAK = 1e-4  # of the largest value: what a hidden token may still move


def check_replacement(replacement: str) -> None:
    """Raise InputError unless the replacement is one that there is.

    >>> check_replacement("mask")
    """
    if replacement not in REPLACEMENTS:
        raise InputError(
            f"Replacement {replacement!r} is unknown. Allowed: {', '.join(REPLACEMENTS)}.",
            hint="Use replacement='default'.",
        )


def targets_of_row(targets: Targets, row: int) -> Sequence[Target] | CustomTarget:
    """Return the targets of one text of a batch, as ``Runner.values`` takes them for that text alone."""
    if callable(targets) or isinstance(targets[0], Target):
        return targets  # pyright: ignore[reportReturnType]
    return list(targets[row])  # pyright: ignore[reportArgumentType]


class AblatedText(Protocol):
    """A text whose tokens can be removed: all that a perturbation method knows of what it explains."""

    tokens: Tokens
    """The T tokens of the text."""
    removable: Bool[np.ndarray, " tokens"]
    """Which of them can be removed: all but special and template tokens."""
    context_length: int
    """How many of the first tokens are context, the others being a language model's continuation."""

    @property
    def targets(self) -> Sequence[Target] | CustomTarget:
        """What is asked: N targets, or a function of a model's outputs."""
        ...

    @property
    def reach(self) -> Int[np.ndarray, " targets"]:
        """How many of the first tokens each target can depend on."""
        ...

    def values(self, removed: Bool[np.ndarray, "variants tokens"]) -> Float[np.ndarray, "variants targets"]:
        """Return the value of each target on each variant; no variant is run twice."""
        ...


class Ablations:
    """One text, what is asked of it, and how its tokens are removed; no variant is run twice.

    ``mask`` puts the tokenizer's mask token in the ids. ``pad`` and ``mean`` (the mean of the embedding
    table) are put where the table's output enters the model, because an id of padding would move
    positions (RoBERTa) and the place where a decoder's head reads (Llama). ``attention`` hides the
    tokens by the attention mask. ``default`` is ``mask`` where the tokenizer has one, else ``pad``,
    else ``mean``.

    Args:
        runner: The runner.
        encoding: One text, without padding.
        targets: Its N targets, or a function of the model's outputs.
        replacement: What stands in for a removed token.
        reuse: Whether a causal model's unchanged prefix is kept between variants, where that pays.

    Raises:
        InputError: The replacement is unknown, the tokenizer lacks it, or it means nothing for this task.
        UnsupportedModelError: The model still sees tokens that the attention mask hides.
    """

    def __init__(
        self,
        runner: Runner,
        encoding: Encoding,
        targets: Sequence[Target] | CustomTarget,
        replacement: str = "default",
        *,
        reuse: bool = True,
    ) -> None:
        check_replacement(replacement)
        self.runner = runner
        self.encoding = encoding
        self.tokens = encoding.tokens[0]
        self.targets = targets
        self.replacement = resolved_replacement(runner, replacement)
        self.removable: Bool[np.ndarray, " tokens"] = ~self.tokens.special
        self.context_length = _context_length(runner, encoding)
        self.runs = 0
        self.reuse = PrefixReuse(runner.model, encoding, targets) if reuse and not callable(targets) else None
        self._found: dict[bytes, Float[np.ndarray, " targets"]] = {}
        self._seen: dict[tuple[int, bytes], Float[np.ndarray, " targets"]] = {}
        self._substitute: Tensor | None = None
        if self.replacement == "attention":
            self._require_hidden()

    @property
    def reach(self) -> Int[np.ndarray, " targets"]:
        """How many of the first tokens each target can depend on."""
        length = self.encoding.ids.shape[1]
        if callable(self.targets):
            return np.array([length])
        if not self.runner.is_language_model:
            return np.full(len(self.targets), length)
        return np.array([max(target.positions) + 1 for target in self.targets])

    def values(self, removed: Bool[np.ndarray, "variants tokens"]) -> Float[np.ndarray, "variants targets"]:
        """Return the value of each target on each variant.

        Variants that differ only where no target looks (a causal model's later tokens) are one variant.

        Args:
            removed: Which tokens each variant lacks.

        Returns:
            Values ``(M, N)``.

        Raises:
            InputError: A special or template token would be removed.
        """
        if removed[:, ~self.removable].any():
            raise InputError(
                "Special and template tokens cannot be removed.", hint="Remove tokens of the text."
            )
        reached = removed & (np.arange(removed.shape[1]) < self.reach.max())
        keys = [row.tobytes() for row in reached]
        new: dict[bytes, int] = {}
        for number, key in enumerate(keys):
            if key not in self._found:
                new.setdefault(key, number)
        if new:
            self.runs += len(new)
            self._found.update(zip(new, self._run(reached[list(new.values())]), strict=True))
        found = np.stack([self._found[key] for key in keys])
        # Where a target does not look there is no rounding either: the first variant alike answers.
        for reach in set(self.reach.tolist()) - {int(self.reach.max())}:
            alike = [(reach, row[:reach].tobytes()) for row in reached]
            firsts = [self._seen.setdefault(key, row) for key, row in zip(alike, found.copy(), strict=True)]
            found[:, self.reach == reach] = np.stack(firsts)[:, self.reach == reach]
        return found

    def _run(self, removed: Bool[np.ndarray, "variants tokens"]) -> Float[np.ndarray, "variants targets"]:
        if self.reuse is not None and self.reuse.pays(removed):
            found = self.reuse.values(removed, self._variants)
            if found is not None:
                return found

        parts = []
        batches = Batches(len(removed), int(self.reach.max()), self.runner.model.memory)
        for start, end in batches:
            with batches.halving():
                part = torch.from_numpy(removed[start:end]).to(self.runner.model.device)
                if self.replacement == "attention":
                    values = self.runner.values(self.encoding, self.targets, keep=~part)
                else:
                    encoding, embeddings = self._variants(part)
                    values = self.runner.values(encoding, self.targets, embeddings=embeddings)
                parts.append(values.double().cpu().numpy())
        return np.concatenate(parts)

    def _variants(self, removed: Bool[Tensor, "variants tokens"]) -> tuple[Encoding, Tensor | None]:
        """Return the inputs of variants: other ids, or the text's own and other embeddings."""
        encoding = self.encoding.repeated(len(removed))
        if self.replacement == "mask":
            ids = encoding.ids.masked_fill(removed, int(self.runner.model.tokenizer.mask_token_id))
            return Encoding(encoding.tokens, {**encoding.inputs, "input_ids": ids}), None
        if self._substitute is None:
            self._substitute = self._embedded_substitute()
        embeddings = self.runner.embed(self.encoding)
        chosen = torch.where(removed[:, :, None], self._substitute.to(embeddings.dtype), embeddings)
        return encoding, chosen

    def _embedded_substitute(self) -> Float[Tensor, " width"]:
        model = self.runner.model
        if self.replacement == "mean":
            return mean_embedding(model, _IDS_AT_ONCE)
        padding = torch.tensor([[int(model.tokenizer.pad_token_id)]], device=model.device)
        return embedded(model, padding)[0, 0]

    def _require_hidden(self) -> None:
        """Raise unless tokens hidden by the attention mask cannot be seen: other ids there change nothing."""
        if self.runner.is_language_model:
            raise InputError(
                "replacement='attention' is for classifiers. A language model's answer is read at the "
                "removed tokens' own positions, which still see themselves.",
                hint="Use replacement='default'.",
            )
        if self.removable.all():
            raise InputError(
                "replacement='attention' needs a special token to be left over, and this text has none.",
                hint="Use replacement='default'.",
            )
        hidden = torch.from_numpy(self.removable).to(self.runner.model.device)[None]
        ids = self.encoding.ids
        content = ids[hidden]
        other = torch.where(hidden, torch.where(ids == content.max(), content.min(), content.max()), ids)
        if content.max() == content.min():
            other = torch.where(hidden, (ids - 1).clamp(min=0), ids)
        changed = Encoding(self.encoding.tokens, {**self.encoding.inputs, "input_ids": other})
        one, two = (self.runner.values(e, self.targets, keep=~hidden) for e in (self.encoding, changed))
        if float((one - two).abs().max()) > _LEAK * max(float(one.abs().max()), _LEAK):
            raise UnsupportedModelError(
                f"{self.runner.model.name} still sees tokens that the attention mask hides.",
                hint="Use replacement='default'.",
            )


def ablations_of(
    runner: Runner | BlackBox, encoding: Encoding, targets: Targets, replacement: str
) -> Iterator[AblatedText]:
    """Yield each text of a batch, alone and without its padding, as a model or a black box answers it.

    Args:
        runner: A model's runner, or a black box.
        encoding: The texts.
        targets: N targets for all rows, N for each row, or a function of the model's outputs.
        replacement: What stands in for a removed token.

    Yields:
        The texts, in order.
    """
    for row in range(len(encoding)):
        text, asked = encoding.row(row), targets_of_row(targets, row)
        if isinstance(runner, BlackBox):
            yield BlackBoxAblations(runner, text, asked, replacement)
        else:
            yield Ablations(runner, text, asked, replacement)


def left_out(
    ablations: AblatedText, units: Units
) -> tuple[Float[np.ndarray, "targets tokens"], Float[np.ndarray, " targets"]]:
    """Remove each unit alone: ``value of the text − value without the unit``, given to its tokens.

    Args:
        ablations: The text.
        units: Positions removed together.

    Returns:
        Scores of the tokens, and the text's own values.
    """
    tokens = ablations.removable.size
    removed = np.concatenate([np.zeros((1, tokens), dtype=bool), membership(units, tokens)])
    values = ablations.values(removed)
    return shared((values[0] - values[1:]).T, units, tokens, ablations.reach), values[0]


def stacked(rows: Sequence[Float[np.ndarray, "targets tokens"]]) -> Float[np.ndarray, "batch targets tokens"]:
    """Return the token scores of several texts as one array, 0 after the end of shorter ones."""
    longest = max(row.shape[1] for row in rows)
    return np.stack([np.pad(row, ((0, 0), (0, longest - row.shape[1]))) for row in rows])


def _context_length(runner: Runner, encoding: Encoding) -> int:
    """Return how many tokens are context: those before a language model's continuation, else all."""
    tokens = encoding.tokens[0]
    following = np.flatnonzero(tokens.segments == 1) if runner.is_language_model else np.array([], dtype=int)
    return encoding.prompt_length or int(following.min(initial=len(tokens)))


def resolved_replacement(runner: Runner | BlackBox, replacement: str) -> str:
    """Return what ``default`` means for a model, after checking that it has what is named.

    Args:
        runner: The runner, or a black box.
        replacement: A replacement's name.

    Returns:
        ``mask``, ``pad``, ``mean`` or ``attention``; for a black box the text that is put in place.

    Raises:
        InputError: The tokenizer has no such token, or it means nothing to a black box.
    """
    if isinstance(runner, BlackBox):
        return runner.replacement_named(replacement)
    rows = vocabulary_size(runner.model)
    has = {
        name: (token := getattr(runner.model.tokenizer, f"{name}_token_id", None)) is not None
        and token < rows
        for name in ("mask", "pad")
    }
    if replacement == "default":
        return next((name for name in ("mask", "pad") if has[name]), "mean")
    if not has.get(replacement, True):
        raise InputError(
            f"replacement={replacement!r} needs a {replacement} token, and this tokenizer has none.",
            hint="Use replacement='default' or 'mean'.",
        )
    return replacement
