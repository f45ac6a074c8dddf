"""Values of targets for variants of one text in which some tokens are removed.

Tokens are replaced in place: the number of positions, all other tokens and the special and template tokens
stay unchanged, and nothing is decoded or tokenized again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, Protocol, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model_understanding.checks import one_of
from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.model.batching import Batches
from model_understanding.model.embeddings import has_embeddings
from model_understanding.model.model import Model
from model_understanding.model.vocabulary import embedded, mean_embedding, vocabulary_size
from model_understanding.passes.runner import CustomTarget, Runner, Targets
from model_understanding.perturbation.black_box import BlackBox, BlackBoxTokenRemoval
from model_understanding.perturbation.hidden_tokens import hides_by_default
from model_understanding.perturbation.measured_variants import MeasuredVariants, SummedEntries
from model_understanding.perturbation.prefix_cache import PrefixReuse
from model_understanding.perturbation.units import Units, membership, token_scores
from model_understanding.results import Target
from model_understanding.results.target import function_target
from model_understanding.targets.names import SEQUENCE_CLASSIFICATION, TOKEN_CLASSIFICATION
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens

Replacement = Literal["default", "mask", "pad", "mean", "attention"]
REPLACEMENTS: tuple[str, ...] = get_args(Replacement)
_OF_TOKENS = ("mask", "pad")
_IDS_AT_ONCE = 8192  # differs from the default so that scores stay the same to the last digit
_MOST_CLASSES = 8  # whose logits are all read where metrics will ask for some of them
_MOST_LABELS = 2048  # of all explained tokens together, likewise
_TOLERANCE = 1e-4  # relative change of a value that hidden tokens may still cause
_MASKED = 1e30  # Splinter adds the least number of its dtype to the logits of hidden tokens


def _targets_of_row(targets: Targets, row: int) -> Sequence[Target] | CustomTarget:
    """Return the targets of one text of a batch."""
    if callable(targets) or isinstance(targets[0], Target):
        return targets  # pyright: ignore[reportReturnType]
    return list(targets[row])  # pyright: ignore[reportArgumentType]


class TokenRemoval(Protocol):
    """Evaluates targets for one text with some of its tokens removed: what perturbation methods need."""

    tokens: Tokens
    """The T tokens of the text."""
    removable: Bool[np.ndarray, " tokens"]
    """Which tokens can be removed: all but special and template tokens."""
    context_length: int
    """Number of leading tokens that are context; the others are a language model's continuation."""

    @property
    def targets(self) -> Sequence[Target] | CustomTarget:
        """N targets, or a function of the model's outputs."""
        ...

    @property
    def visible_length(self) -> Int[np.ndarray, " targets"]:
        """Number of leading tokens that each target can depend on."""
        ...

    def values(self, removed: Bool[np.ndarray, "variants tokens"]) -> Float[np.ndarray, "variants targets"]:
        """Return the value of each target for each variant; no variant is run twice."""
        ...


class ModelTokenRemoval:
    """Evaluates targets of a model for one text with some of its tokens removed; no variant is run twice.

    ``mask`` replaces ids by the tokenizer's mask token. ``pad`` and ``mean`` (the mean embedding) replace
    embeddings, because padding ids would shift positions (RoBERTa) or the position that a decoder's head
    reads (Llama); ``pad`` replaces ids where a model's embeddings cannot be replaced. ``attention`` hides
    tokens by the attention mask. ``default`` is ``mask`` if the tokenizer has a mask token, else ``pad`` if
    it has a padding token, else ``mean``; for a sentence encoder ``attention``.

    Args:
        runner: The runner.
        encoding: One text, without padding.
        targets: Its N targets, or a function of the model's outputs.
        replacement: What replaces removed tokens.
        reuse: Whether to reuse the unchanged prefix of a causal model's variants where that is cheaper.
        together: Other targets that will be asked for of the same variants, where measurements are shared.

    Raises:
        InputError: The replacement is unknown, not available in the tokenizer, or not valid for this task.
        UnsupportedModelError: The model's output depends on tokens that the attention mask hides.
    """

    def __init__(
        self,
        runner: Runner,
        encoding: Encoding,
        targets: Sequence[Target] | CustomTarget,
        replacement: str = "default",
        *,
        reuse: bool = True,
        together: Sequence[Target] = (),
    ) -> None:
        one_of(replacement, "replacement", REPLACEMENTS)
        self.runner = runner
        self.encoding = encoding
        self.tokens = encoding.tokens[0]
        self.targets = targets
        self.replacement = resolved_replacement(runner, replacement)
        self.removable: Bool[np.ndarray, " tokens"] = ~self.tokens.special
        self.context_length = _context_length(runner, encoding)
        self.runs = 0
        self._sum: SummedEntries | None = None
        self._read: Sequence[Target] | CustomTarget = targets
        self.reuse: PrefixReuse | None = None
        shared: dict[Any, Any] = {}
        entries = read = (function_target("", targets),) if callable(targets) else ()
        if not callable(targets):  # the name of a function does not say what it returns
            shared = runner.shared_on(encoding) if reuse else {}
            self._sum = SummedEntries(targets)
            entries = self._sum.entries
            known = (*entries, *_entries_of_metrics(runner, entries))
            self._read = read = tuple(dict.fromkeys((*known, *SummedEntries(together).entries)))
            if reuse:
                prefix = PrefixReuse(runner.model, encoding, read)
                self.reuse = shared.setdefault((PrefixReuse, read), prefix)
        self._of_text, self._of_variants = (
            shared.setdefault((name, runner.layer), MeasuredVariants()).rows_with(entries, read)
            for name in ("", self.replacement)
        )
        self._values_by_prefix: dict[tuple[int, bytes], Float[np.ndarray, " targets"]] = {}
        self._replacement_embedding: Tensor | None = None
        if self.replacement == "attention" and replacement != "default":  # else it has been measured
            self._require_hidden()

    @property
    def visible_length(self) -> Int[np.ndarray, " targets"]:
        """Number of leading tokens that each target can depend on."""
        length = self.encoding.ids.shape[1]
        if callable(self.targets):
            return np.array([length])
        if not self.runner.is_language_model:
            return np.full(len(self.targets), length)
        return np.array([max(target.positions) + 1 for target in self.targets])

    def values(self, removed: Bool[np.ndarray, "variants tokens"]) -> Float[np.ndarray, "variants targets"]:
        """Return the value of each target for each variant.

        Variants that differ only in tokens that no target can depend on (a causal model's later tokens) run
        once.

        Args:
            removed: The tokens that are removed in each variant.

        Returns:
            Values ``(M, N)``.

        Raises:
            InputError: A special or template token would be removed.
        """
        if removed[:, ~self.removable].any():
            raise InputError(
                "Special and template tokens cannot be removed.", hint="Remove other tokens of the text."
            )
        lengths = self.visible_length
        visible = removed & (np.arange(removed.shape[1]) < lengths.max())
        keys = [row.tobytes() for row in visible]
        # The text itself is the same under every replacement.
        kept = [self._of_variants if is_changed else self._of_text for is_changed in visible.any(axis=1)]
        new: dict[bytes, int] = {}
        for index, key in enumerate(keys):
            if key not in kept[index]:
                new.setdefault(key, index)
        if new:
            self.runs += len(new)
            for index, row in zip(new.values(), self._run(visible[list(new.values())]), strict=True):
                kept[index][keys[index]] = row
        values = np.stack([rows[key] for rows, key in zip(kept, keys, strict=True)])
        if self._sum is not None:
            values = self._sum.values(values)
        # Variants with the same visible tokens get the same value to the last digit: that of the first.
        for length in set(lengths.tolist()) - {int(lengths.max())}:
            prefixes = [(length, row[:length].tobytes()) for row in visible]
            rows = zip(prefixes, values.copy(), strict=True)
            firsts = [self._values_by_prefix.setdefault(prefix, row) for prefix, row in rows]
            values[:, lengths == length] = np.stack(firsts)[:, lengths == length]
        return values

    def _run(self, removed: Bool[np.ndarray, "variants tokens"]) -> Float[np.ndarray, "variants entries"]:
        if self.reuse is not None and self.reuse.is_cheaper(removed):
            values = self.reuse.values(removed, self.variants)
            if values is not None:
                return values

        parts = []
        batches = Batches(len(removed), int(self.visible_length.max()), self.runner.model.memory)
        for start, end in batches:
            with batches.halving():
                part = torch.from_numpy(removed[start:end]).to(self.runner.model.device)
                encoding, embeddings = self.variants(part)
                values = self.runner.values(encoding, self._read, embeddings=embeddings)
                parts.append(values.double().cpu().numpy())
        return np.concatenate(parts)

    def variants(self, removed: Bool[Tensor, "variants tokens"]) -> tuple[Encoding, Tensor | None]:
        """Return the inputs of variants: other ids, another mask, or the text's ids and other embeddings.

        Args:
            removed: The tokens that are removed in each variant.
        """
        encoding = self.encoding.repeated(len(removed))
        model = self.runner.model
        if self.replacement == "attention":
            return replace(encoding, inputs={**encoding.inputs, "attention_mask": (~removed).long()}), None
        if self.replacement == "mask" or not has_embeddings(model):
            token = _replacing_token(model, self.replacement)
            assert token is not None
            ids = encoding.ids.masked_fill(removed, token)
            return encoding.with_ids(ids), None
        if self._replacement_embedding is None:
            self._replacement_embedding = self._embed_replacement()
        embeddings = self.runner.embed(self.encoding)
        replacement = self._replacement_embedding.to(embeddings.dtype)
        return encoding, torch.where(removed[:, :, None], replacement, embeddings)

    def _embed_replacement(self) -> Float[Tensor, " width"]:
        model = self.runner.model
        if self.replacement == "mean":
            return mean_embedding(model, _IDS_AT_ONCE)
        padding = torch.tensor([[int(model.tokenizer.pad_token_id)]], device=model.device)
        return embedded(model, padding)[0, 0]

    def _require_hidden(self) -> None:
        """Raise if the output changes when tokens that the attention mask hides are replaced."""
        if self.runner.is_language_model:
            raise InputError(
                "replacement='attention' works for classifiers only: a language model predicts at positions "
                "of removed tokens, which still attend to themselves.",
                hint="Pass replacement='default'.",
            )
        if self.removable.all():
            raise InputError(
                "replacement='attention' needs a special token that stays visible, and this text has none.",
                hint="Pass replacement='default'.",
            )
        hidden = torch.from_numpy(self.removable).to(self.runner.model.device)[None]
        ids = self.encoding.ids
        content = ids[hidden]
        other = torch.where(hidden, torch.where(ids == content.max(), content.min(), content.max()), ids)
        if content.max() == content.min():
            other = torch.where(hidden, (ids - 1).clamp(min=0), ids)
        changed = self.encoding.with_ids(other)
        values, other_values = (
            self.runner.values(e, self.targets, keep=~hidden) for e in (self.encoding, changed)
        )
        largest = max(float(values.abs().max()), _TOLERANCE)
        if largest > _MASKED:
            raise UnsupportedModelError(
                f"{self.runner.model.name} gives hidden tokens no logits, and the target is one of them.",
                hint="Pass replacement='default'.",
            )
        if float((values - other_values).abs().max()) > _TOLERANCE * largest:
            raise UnsupportedModelError(
                f"The output of {self.runner.model.name} depends on tokens that the attention mask hides.",
                hint="Pass replacement='default'.",
            )


def _entries_of_metrics(runner: Runner, explained: Sequence[Target]) -> tuple[Target, ...]:
    """Return what a report's metrics read of a variant besides the entries that are explained.

    Of a language model they read the log-probability of the explained tokens, of a classifier the logits of
    all classes (of a tagger, at each explained token) and the probability of the explained ones, whatever
    quantity is explained. Outside of a report nothing is known to follow.
    """
    if runner.shared is None:
        return ()
    if runner.is_language_model:
        read = [replace(entry, quantity="log_prob") for entry in explained if entry.quantity != "loss"]
    elif runner.model.task == SEQUENCE_CLASSIFICATION and runner.model.class_count(1) <= _MOST_CLASSES:
        first = explained[0]
        logits = [
            replace(first, indices=(index,), quantity="logit") for index in range(runner.model.class_count(1))
        ]
        read = [*logits, *(replace(entry, quantity="prob") for entry in explained)]
    elif runner.model.task == TOKEN_CLASSIFICATION and explained:
        labels, positions = runner.model.class_count(1), {entry.positions for entry in explained}
        likelihoods = [replace(entry, quantity=q) for entry in explained for q in ("log_prob", "prob")]
        logits = [
            replace(explained[0], positions=position, indices=(index,), quantity="logit")
            for position in sorted(positions)
            for index in range(labels if labels * len(positions) <= _MOST_LABELS else 0)
        ]
        read = [*logits, *likelihoods]
    else:
        read = []
    return tuple(entry for entry in dict.fromkeys(read) if entry not in set(explained))


def token_removals(
    runner: Runner | BlackBox, encoding: Encoding, targets: Targets, replacement: str
) -> Iterator[TokenRemoval]:
    """Yield the token removal of each text of a batch, without padding.

    Args:
        runner: A model's runner, or a black box.
        encoding: The texts.
        targets: N targets for all rows, N for each row, or a function of the model's outputs.
        replacement: What replaces removed tokens.

    Yields:
        One token removal per text, in order.
    """
    for row in range(len(encoding)):
        text, text_targets = encoding.row(row), _targets_of_row(targets, row)
        if isinstance(runner, BlackBox):
            yield BlackBoxTokenRemoval(runner, text, text_targets, replacement)
        else:
            yield ModelTokenRemoval(runner, text, text_targets, replacement)


def leave_one_out_scores(
    removal: TokenRemoval, units: Units
) -> tuple[Float[np.ndarray, "targets tokens"], Float[np.ndarray, " targets"]]:
    """Return the drop of each target's value when a unit is removed, divided among the unit's tokens.

    Args:
        removal: Removes tokens of the text.
        units: Positions of each unit.

    Returns:
        Scores of the tokens, and the values for the whole text.
    """
    tokens = removal.removable.size
    removed = np.concatenate([np.zeros((1, tokens), dtype=bool), membership(units, tokens)])
    values = removal.values(removed)
    return token_scores((values[0] - values[1:]).T, units, tokens, removal.visible_length), values[0]


def padded_scores(
    rows: Sequence[Float[np.ndarray, "targets tokens"]],
) -> Float[np.ndarray, "batch targets tokens"]:
    """Return the token scores of several texts as one array, padded with 0 after the end of shorter texts."""
    longest = max(row.shape[1] for row in rows)
    return np.stack([np.pad(row, ((0, 0), (0, longest - row.shape[1]))) for row in rows])


def _context_length(runner: Runner, encoding: Encoding) -> int:
    """Return the number of context tokens: those before a language model's continuation, else all."""
    tokens = encoding.tokens[0]
    continuation = (
        np.flatnonzero(tokens.segments == 1) if runner.is_language_model else np.array([], dtype=int)
    )
    return encoding.prompt_length or int(continuation.min(initial=len(tokens)))


def resolved_replacement(runner: Runner | BlackBox, replacement: str) -> str:
    """Return what ``default`` means for a model, after checking that the replacement is available.

    Args:
        runner: The runner, or a black box.
        replacement: Name of a replacement.

    Returns:
        ``mask``, ``pad``, ``mean`` or ``attention``; for a black box, the replacement text.

    Raises:
        InputError: The tokenizer has no such token, or a black box cannot use the replacement.
    """
    if isinstance(runner, BlackBox):
        return runner.replacement_named(replacement)
    model = runner.model
    if replacement == "default" and hides_by_default(model):
        return "attention"
    if replacement == "default":
        replacement = next((name for name in _OF_TOKENS if _replacing_token(model, name) is not None), "mean")
    if replacement in _OF_TOKENS and _replacing_token(model, replacement) is None:
        raise InputError(
            f"replacement={replacement!r} needs a {replacement} token, and this tokenizer has none.",
            hint="Pass replacement='default' or 'mean'.",
        )
    if replacement == "mean" and not has_embeddings(model):
        raise UnsupportedModelError(
            f"{model.name}'s embeddings cannot be replaced by their mean: a token can only be replaced by "
            "another token.",
            hint="Set tokenizer.mask_token to a token that stands for missing text, and pass "
            "replacement='mask'.",
        )
    return replacement


def replacement_cautions(runner: Runner, replacement: str) -> tuple[str, ...]:
    """Return a warning if padding has to replace ids, which a model may read as a shorter text.

    Args:
        runner: The runner.
        replacement: Name of a replacement.
    """
    model = runner.model
    if resolved_replacement(runner, replacement) != "pad" or has_embeddings(model):
        return ()
    token = model.tokenizer.convert_ids_to_tokens(_replacing_token(model, "pad"))
    return (
        f"Removed tokens are replaced by {token!r}, because the model's embeddings cannot be replaced. A "
        "model that skips padding reads such a text as a shorter one.",
    )


def _replacing_token(model: Model, replacement: str) -> int | None:
    """Return the id of a replacement's token, or ``None`` if there is none.

    Where ids have to be replaced, the end token serves as padding if the tokenizer has no other.
    """
    tokenizer = model.tokenizer
    token = model.token_id(replacement)
    if token is None and replacement == "pad" and not has_embeddings(model):
        token = tokenizer.unk_token_id if tokenizer.eos_token_id is None else tokenizer.eos_token_id
    return int(token) if token is not None and token < vocabulary_size(model) else None
