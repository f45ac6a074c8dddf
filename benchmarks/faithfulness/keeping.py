"""Values of a sample's variants under several replacements, cached on disk so that no variant runs twice.

Random orders are the same for every method, and methods often agree on the top-ranked tokens.
"""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from samples import REPLACEMENTS, WORK, Sample

from model_understanding.perturbation.token_removal import ModelTokenRemoval


class KeptVariants:
    """A model's values of variants of a sample: the logit margin, or the log-probability of the answer.

    Args:
        sample: The sample; its model has two classes, or is a language model.
    """

    def __init__(self, sample: Sample) -> None:
        self.replacements = REPLACEMENTS[sample.kind]
        runner, target = sample.visualizer.runner, sample.target
        if not runner.is_language_model:
            target = replace(target, against=(1 - target.indices[0],))
        self._texts = [
            ModelTokenRemoval(runner, sample.encoding, [target], name) for name in self.replacements
        ]
        identity = repr((sample.encoding.ids.tolist(), target, self.replacements)).encode()
        digest = hashlib.sha256(identity).hexdigest()[:16]
        self._path: Path = WORK / "variants" / f"{sample.kind}-{sample.number:03d}-{digest}.npz"
        self._known: dict[bytes, Float[np.ndarray, " replacements"]] = {}
        if self._path.exists():
            with np.load(self._path) as kept:
                pairs = zip(kept["rows"], kept["values"], strict=True)
                self._known = {row.tobytes(): value for row, value in pairs}
        self._saved = len(self._known)

    def values(
        self, removed: Bool[np.ndarray, "variants tokens"]
    ) -> Float[np.ndarray, "replacements variants"]:
        """Return the value of each variant under each replacement."""
        keys = [np.packbits(row).tobytes() for row in removed]
        new = {key: number for number, key in enumerate(keys) if key not in self._known}
        if new:
            rows = removed[list(new.values())]
            found = np.stack([text.values(rows)[:, 0] for text in self._texts], axis=1)
            self._known.update(zip(new, found, strict=True))
        return np.stack([self._known[key] for key in keys], axis=1)

    def save(self) -> None:
        """Write the values, if there are new ones."""
        if len(self._known) == self._saved:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        rows = np.stack([np.frombuffer(key, dtype=np.uint8) for key in self._known])
        unfinished = self._path.with_suffix(f".{os.getpid()}.npz")
        np.savez(unfinished, rows=rows, values=np.stack([*self._known.values()]))
        unfinished.replace(self._path)
        self._saved = len(self._known)
