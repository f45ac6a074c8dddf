"""What both visualizers share: loading, choosing layers and heads, and drawing."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import torch

from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.loading import LoadingOptions, load
from model_understanding.protocols import AttentionMapMethod
from model_understanding.registry import MAPS
from model_understanding.results import AttentionMap, Attribution, Report
from model_understanding.results.attention_map import REDUCTIONS
from model_understanding.runner import Encoding, Runner
from model_understanding.runner.attention_capture import layer_count
from model_understanding.show.notebook import in_notebook
from model_understanding.tokens import Tokens

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AxisChoice = int | Sequence[int] | str


class Visualizer:
    """The common part of the visualizers; use one of its two kinds."""

    task: str

    def __init__(
        self,
        name_or_model: Any = None,
        *,
        model: Any = None,
        tokenizer: Any = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        revision: str | None = None,
        token: str | None = None,
        trust_remote_code: bool = False,
        allow_pickle: bool = False,
        device_map: str | dict[str, Any] | None = None,
    ) -> None:
        options = LoadingOptions(
            device=device,
            dtype=dtype,
            revision=revision,
            token=token,
            trust_remote_code=trust_remote_code,
            allow_pickle=allow_pickle,
            device_map=device_map,
        )
        self.runner = Runner(
            load(name_or_model, model=model, tokenizer=tokenizer, task=self.task, options=options)
        )

    @property
    def model(self) -> Any:
        """The model being explained."""
        return self.runner.model

    @property
    def tokenizer(self) -> Any:
        """Its tokenizer."""
        return self.runner.tokenizer

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.runner.loaded.provenance.model!r})"

    def _compute_saliency_of(self, text: Any) -> Attribution:
        raise NotImplementedError

    def _compute_attention_of(self, text: Any) -> AttentionMap:
        raise NotImplementedError

    def plot_saliency(self, attribution_or_text: Any, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw an attribution as bars; by default normalised, so that absolute values sum to 1.

        Args:
            attribution_or_text: An attribution, or a text to explain first.
            ax: Where to draw; a new figure where left out.
            **options: Passed to ``show.figure.saliency_axes``: ``target``, ``level``, ``normalized``,
                ``theme``.

        Returns:
            The axes.
        """
        from model_understanding.show.figure import saliency_axes

        given = attribution_or_text
        attribution = given if isinstance(given, Attribution) else self._compute_saliency_of(given)
        return saliency_axes(attribution, ax, **options)

    def plot_attention(self, map_or_text: Any, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw an attention map as a heatmap, from queries (rows) to keys (columns).

        Args:
            map_or_text: A map, or a text to compute it for first.
            ax: Where to draw; a new figure where left out.
            **options: Passed to ``show.figure.attention_axes``: ``layer``, ``head``, ``level``, ``theme``.

        Returns:
            The axes.
        """
        from model_understanding.show.figure import attention_axes

        found = (
            map_or_text if isinstance(map_or_text, AttentionMap) else self._compute_attention_of(map_or_text)
        )
        return attention_axes(found, ax, **options)

    def _attention_where_possible(self, compute: Callable[[], AttentionMap]) -> tuple[AttentionMap, ...]:
        """Return a report's attention; a model without any still has the rest of its report."""
        try:
            return (compute(),)
        except UnsupportedModelError:
            return ()

    def _shown(self, report: Report, show: bool | None) -> Report:
        if show or (show is None and not in_notebook()):
            report.show()
        return report

    def _attention(
        self,
        encoding: Encoding,
        layer: AxisChoice,
        head: AxisChoice,
        map: str | AttentionMapMethod,
        queries: Sequence[int] | None = None,
        steps: Tokens | None = None,
    ) -> AttentionMap:
        started = time.perf_counter()
        method = MAPS.load(map)() if isinstance(map, str) else map
        heads = getattr(self.runner.config.get_text_config(), "num_attention_heads", 0)
        layers = _axis(layer, layer_count(self.runner.config), "layer")
        chosen_heads = _axis(head, heads, "head")
        captured = method(self.runner, encoding, layers, chosen_heads, queries)
        tokens = encoding.tokens[0]
        return AttentionMap(
            queries=tokens if queries is None else tokens.select(queries),
            keys=tokens,
            weights=captured.weights[0].cpu().numpy(),
            mask=captured.mask[0].cpu().numpy(),
            layers=layers if isinstance(layers, str) else tuple(layers),
            heads=chosen_heads if isinstance(chosen_heads, str) else tuple(chosen_heads),
            map=method.name,
            steps=steps,
            parameters=asdict(method),  # pyright: ignore[reportArgumentType]
            provenance=replace(self.runner.loaded.provenance, seconds=time.perf_counter() - started),
        )


def _axis(choice: AxisChoice, count: int, name: str) -> Sequence[int] | str:
    """Return chosen layers or heads as indices from 0, or the name of a reduction."""
    if isinstance(choice, str):
        if choice == "all":
            return range(count)
        if choice in REDUCTIONS:
            return choice
        raise InputError(
            f"{name} {choice!r} is unknown. Allowed: an index, a list of them, 'all', 'mean', 'max'.",
            hint=f"Pass for example {name}=-1 or {name}='mean'.",
        )
    wanted = [choice] if isinstance(choice, int) else list(choice)
    for index in wanted:
        if isinstance(index, bool) or not isinstance(index, int) or not -count <= index < count:
            raise InputError(
                f"There is no {name} {index!r}: the model has {count}.",
                hint=f"Pass an index from 0 to {count - 1}, or from -{count} to -1 counting from the end.",
            )
    if not wanted:
        raise InputError(f"No {name} was chosen.", hint=f"Pass for example {name}='all'.")
    return [index % count for index in wanted]
