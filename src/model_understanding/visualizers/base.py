"""What the two visualizers of a loaded model share: loading, plotting, and assessing attributions."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from model_understanding.attention.keep import AxisChoice
from model_understanding.attention.protocol import AttentionMapMethod
from model_understanding.attribution.choose import MethodChoice
from model_understanding.checks import names_arguments, takes_former_names
from model_understanding.errors import InputError
from model_understanding.evaluation.run import assess
from model_understanding.loading import LoadingOptions, load
from model_understanding.model.guard import explanation
from model_understanding.passes.runner import Runner
from model_understanding.results import AttentionMap, Attribution, Ledger, LogitLens, QueryKey
from model_understanding.text.encoding import Encoding
from model_understanding.visualizers.plotting import PlotsSaliency

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from model_understanding.results.attention_sinks import SinkMode
    from model_understanding.show.figures.attention import View
    from model_understanding.show.figures.ledger import Kind as LedgerKind
    from model_understanding.show.shared.colors import Theme
    from model_understanding.tokens import Level


class Visualizer(PlotsSaliency):
    """Base of ``ModelVisualizer`` and ``GenerativeModelVisualizer``."""

    task: str
    use: ClassVar[str | None] = None
    """What a model of the task is used for, where that is something else."""
    loaded_from: tuple[str, Any, LoadingOptions] | None
    """Name, tokenizer and options that load the model again; ``None`` if it was passed as an object."""

    @explanation()
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
        self._open(name_or_model, model, tokenizer, options)

    @property
    def model(self) -> Any:
        """The model being explained."""
        return self.runner.model.loaded.model

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        return self.runner.model.tokenizer

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.runner.model.loaded.provenance.model!r})"

    def analyze(self, *text: Any, **options: Any) -> Any:
        """Return a report of a text."""
        raise NotImplementedError

    def compute_attention(self, *text: Any, **options: Any) -> Any:
        """Return an attention map of a text."""
        raise NotImplementedError

    def compute_logit_lens(self, *text: Any, **options: Any) -> Any:
        """Return what each layer predicts for a text."""
        raise NotImplementedError

    @takes_former_names(map="kind")
    @names_arguments
    def plot_attention(
        self,
        map_or_text: Any,
        *,
        ax: "Axes | None" = None,
        kind: str | AttentionMapMethod | None = None,
        view: "View" = "map",
        layer: int | None = None,
        head: int | None = None,
        level: "Level" = "character",
        sinks: "SinkMode | None" = None,
        theme: "Theme" = "light",
        title: str | None = None,
        vmin: float | None = None,
        vmax: float | None = None,
        cmap: Any = None,
        annot: Any = None,
        fmt: str | None = None,
        cbar: bool | None = None,
        figsize: tuple[float, float] | None = None,
    ) -> "Axes":
        """Draw an attention map: a heatmap, a grid over layers and heads, or arcs between tokens.

        Args:
            map_or_text: A map, or a text to compute it for first.
            ax: Axes to draw into; the plot stays inside their place. A new figure if left out.
            kind: For a text: which map, as ``compute_attention`` takes it; ``raw`` if left out.
            view: ``map``, a heatmap of one matrix; ``grid``, a small tile for each layer and head;
                ``arcs``, the strongest links of one matrix between two columns of tokens.
            layer: The layer's index. If left out: of a map the mean over the layers that it holds (in a grid
                all of them), of a text the last layer (in a grid all).
            head: The head's index. If left out: of a map the mean over the heads that it holds (in a grid
                all of them), of a text the mean over all heads (in a grid of ``raw`` all).
            level: What a row and a column stand for: ``token``, ``character``, ``word`` or ``sentence``;
                keys are summed, queries averaged.
            sinks: How to draw keys that take most of the attention: ``raw`` like the rest, ``muted`` off the
                color scale, ``renormalized`` also divides each row by what remains. If left out, ``muted``
                for attention weights and ``raw`` for other maps.
            theme: ``light`` or ``dark``.
            title: The title; empty for none. By default it names what is drawn.
            vmin: Value at the start of the color scale.
            vmax: Value at the end of the color scale; with the same limits several plots are on one scale.
            cmap: Colors of the scale: a name, a matplotlib colormap, or a list of colors.
            annot: In a ``map``: whether values are written into the cells, or the texts, one per cell.
            fmt: Format of the written values, for example ``.2f``.
            cbar: Whether there is a color bar; by default where there is room for it.
            figsize: Width and height of the new figure in inches; by default it grows with the text.

        Returns:
            The axes.

        Raises:
            InputError: The map does not hold that layer or head; there is no such map, view, level, theme,
                argument or way to draw sinks; ``kind`` is given with a map; or the axes share an axis with a
                plot that shows something else on it.
        """
        from model_understanding.show.figures.options import PlotOptions
        from model_understanding.show.figures.report import attention_axes

        options = PlotOptions(title=title, vmin=vmin, vmax=vmax, cmap=cmap, annot=annot, fmt=fmt, cbar=cbar)
        if isinstance(map_or_text, AttentionMap):
            if kind is not None:
                raise InputError(
                    f"kind={kind!r} chooses the map of a text, but a computed map was given.",
                    hint="Leave kind out, or pass the text.",
                )
            attention_map = map_or_text
        else:
            kind = "raw" if kind is None else kind
            in_grid, is_raw = view == "grid", getattr(kind, "name", kind) == "raw"
            layers: AxisChoice = layer if layer is not None else "all" if in_grid else -1
            heads: AxisChoice = head if head is not None else "all" if in_grid and is_raw else "mean"
            attention_map = self.compute_attention(map_or_text, kind=kind, layer=layers, head=heads)
            layer = head = None  # the map holds just these
        return attention_axes(
            attention_map,
            ax,
            view=view,
            layer=layer,
            head=head,
            level=level,
            sinks=sinks,
            theme=theme,
            figsize=figsize,
            options=options,
        )

    @names_arguments
    def plot_logit_lens(
        self,
        lens_or_text: Any,
        *,
        ax: "Axes | None" = None,
        theme: "Theme" = "light",
        title: str | None = None,
        vmin: float | None = None,
        vmax: float | None = None,
        cmap: Any = None,
        annot: Any = None,
        fmt: str | None = None,
        cbar: bool | None = None,
        figsize: tuple[float, float] | None = None,
    ) -> "Axes":
        """Draw what each layer predicts: layers × positions, colored by probability.

        Args:
            lens_or_text: A logit lens, or a text to compute it for first.
            ax: Axes to draw into; the plot stays inside their place. A new figure if left out.
            theme: ``light`` or ``dark``.
            title: The title; empty for none. By default it names what is drawn.
            vmin: Value at the start of the color scale.
            vmax: Value at the end of the color scale; with the same limits several plots are on one scale.
            cmap: Colors of the scale: a name, a matplotlib colormap, or a list of colors.
            annot: Whether values are written into the cells, or the texts to write, one per cell.
            fmt: Format of the written values, for example ``.2f``.
            cbar: Whether there is a color bar; by default where there is room for it.
            figsize: Width and height of the new figure in inches; by default it grows with the text.

        Returns:
            The axes.

        Raises:
            InputError: There is no such theme or argument, or the text cannot be read.
        """
        from model_understanding.show.figures.options import PlotOptions
        from model_understanding.show.figures.report import lens_axes

        options = PlotOptions(title=title, vmin=vmin, vmax=vmax, cmap=cmap, annot=annot, fmt=fmt, cbar=cbar)
        lens = lens_or_text if isinstance(lens_or_text, LogitLens) else self.compute_logit_lens(lens_or_text)
        return lens_axes(lens, ax, theme=theme, figsize=figsize, options=options)

    @names_arguments
    def plot_query_key(
        self,
        query_key: QueryKey,
        *,
        ax: "Axes | None" = None,
        theme: "Theme" = "light",
        title: str | None = None,
        vmin: float | None = None,
        vmax: float | None = None,
        cmap: Any = None,
        annot: Any = None,
        fmt: str | None = None,
        cbar: bool | None = None,
        figsize: tuple[float, float] | None = None,
    ) -> "Axes":
        """Draw which dimensions of a head make a query attend to its keys: keys × dimensions.

        Args:
            query_key: What ``compute_query_key`` returned.
            ax: Axes to draw into; the plot stays inside their place. A new figure if left out.
            theme: ``light`` or ``dark``.
            title: The title; empty for none. By default it names what is drawn.
            vmin: Value at the start of the color scale.
            vmax: Value at the end of the color scale; with the same limits several plots are on one scale.
            cmap: Colors of the scale: a name, a matplotlib colormap, or a list of colors.
            annot: Whether values are written into the cells, or the texts to write, one per cell.
            fmt: Format of the written values, for example ``.2f``.
            cbar: Whether there is a color bar; by default where there is room for it.
            figsize: Width and height of the new figure in inches; by default it grows with the text.

        Returns:
            The axes.

        Raises:
            InputError: There is no such theme or argument.
        """
        from model_understanding.show.figures.options import PlotOptions
        from model_understanding.show.figures.report import query_key_axes

        options = PlotOptions(title=title, vmin=vmin, vmax=vmax, cmap=cmap, annot=annot, fmt=fmt, cbar=cbar)
        return query_key_axes(query_key, ax, theme=theme, figsize=figsize, options=options)

    @names_arguments
    def plot_ledger(
        self,
        ledger: Ledger,
        *,
        ax: "Axes | None" = None,
        kind: "LedgerKind" = "residual",
        theme: "Theme" = "light",
        title: str | None = None,
        vmin: float | None = None,
        vmax: float | None = None,
        cmap: Any = None,
        annot: Any = None,
        fmt: str | None = None,
        cbar: bool | None = None,
        figsize: tuple[float, float] | None = None,
    ) -> "Axes":
        """Draw where in the model a difference arises: layers × tokens, or layers × heads.

        Args:
            ledger: What ``compute_ledger`` returned.
            ax: Axes to draw into; the plot stays inside their place. A new figure if left out.
            kind: ``residual``, the hidden states that enter each block; ``attention`` or ``mlp``, what these
                add to them; ``heads``, what each head adds.
            theme: ``light`` or ``dark``.
            title: The title; empty for none. By default it names what is drawn.
            vmin: Value at the start of the color scale.
            vmax: Value at the end of the color scale; with the same limits several plots are on one scale.
            cmap: Colors of the scale: a name, a matplotlib colormap, or a list of colors.
            annot: Whether values are written into the cells, or the texts to write, one per cell.
            fmt: Format of the written values, for example ``.2f``.
            cbar: Whether there is a color bar; by default where there is room for it.
            figsize: Width and height of the new figure in inches; by default it grows with the text.

        Returns:
            The axes.

        Raises:
            InputError: There is no such kind, theme or argument, or no difference to draw.
        """
        from model_understanding.show.figures.ledger import ledger_axes
        from model_understanding.show.figures.options import PlotOptions

        options = PlotOptions(title=title, vmin=vmin, vmax=vmax, cmap=cmap, annot=annot, fmt=fmt, cbar=cbar)
        return ledger_axes(ledger, ax, kind=kind, theme=theme, figsize=figsize, options=options)

    def _open(self, name_or_model: Any, model: Any, tokenizer: Any, options: LoadingOptions) -> None:
        """Load the model, and check that it can be explained."""
        by_name = isinstance(name_or_model, str | Path) and (
            tokenizer is None or isinstance(tokenizer, str | Path)
        )
        self.loaded_from = (str(name_or_model), tokenizer, options) if by_name else None
        loaded = load(name_or_model, model=model, tokenizer=tokenizer, task=self.task, options=options)
        if self.use is not None:
            loaded = replace(loaded, provenance=replace(loaded.provenance, task=self.use))
        self.runner = Runner(loaded)
        self._check_model()

    def _check_model(self) -> None:
        """Raise UnsupportedModelError for a model that loads, but cannot be explained."""

    def _encoding_of(self, attribution: Attribution) -> Encoding:
        """Return the text of an attribution as this model sees it."""
        raise NotImplementedError

    def _assess(
        self,
        text: Any,
        method: MethodChoice | Sequence[MethodChoice],
        explain: Callable[[MethodChoice], Attribution],
        function: Callable[[Any], Any] | None,
        **options: Any,
    ) -> Any:
        """Assess the attributions that are given, or explain the text by each method first.

        Args:
            text: A text, an attribution, or a list of attributions.
            method: The methods to explain a text by.
            explain: Explains the text by one method.
            function: The caller's function of the model's outputs, if that is the target.
            **options: More of what ``assess`` takes.

        Returns:
            One assessment; a list for several methods, attributions or targets.
        """
        several = isinstance(method, list | tuple)
        if isinstance(text, Attribution):
            attributions, several = [text], False
        elif isinstance(text, list) and text and all(isinstance(item, Attribution) for item in text):
            attributions, several = text, True
        else:
            methods: Any = method if several else [method]
            attributions = [explain(choice) for choice in methods]
            if attributions and not isinstance(attributions[0], Attribution):
                raise InputError(
                    "evaluate takes one text, or attributions of one text. Got several texts.",
                    hint="Call it for each text.",
                )
        if not attributions:
            raise InputError("The list of methods is empty.", hint="Pass method='default', or some names.")
        encoding = self._encoding_of(attributions[0])
        ids = attributions[0].tokens.ids
        if not all(np.array_equal(attribution.tokens.ids, ids) for attribution in attributions):
            raise InputError(
                "The attributions explain different texts.", hint="Evaluate those of one text at a time."
            )
        assessments = assess(self.runner, encoding, attributions, function=function, **options)
        return assessments if several or len(assessments) > 1 else assessments[0]
