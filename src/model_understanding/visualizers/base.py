"""What both visualizers share: loading, choosing layers and heads, and drawing."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from model_understanding.errors import (
    InputError,
    ModelUnderstandingError,
    StoppedError,
    UnsupportedModelError,
)
from model_understanding.loading import LoadingOptions, load
from model_understanding.protocols import AttentionMapMethod
from model_understanding.registry import MAPS
from model_understanding.results import (
    Assessment,
    AttentionMap,
    Attribution,
    Evaluation,
    LogitLens,
    QueryKey,
    Report,
)
from model_understanding.runner import Encoding, Runner
from model_understanding.runner.attention_capture import layer_count
from model_understanding.runner.query_key import read_query_key
from model_understanding.show.notebook import in_notebook
from model_understanding.tokens import Tokens
from model_understanding.visualizers.attention_choices import AxisChoice as AxisChoice
from model_understanding.visualizers.attention_choices import (
    Keep,
    axis_of,
    captured_by,
    kept_of,
    name_of,
    positions_of,
    reducer_of,
)
from model_understanding.visualizers.evaluating import assess
from model_understanding.visualizers.head_ranking import RanksHeads
from model_understanding.visualizers.report_attention import Extent, MapChoice, attention_of_report

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Visualizer(RanksHeads):
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

    def _encoding_of(self, attribution: Attribution) -> Encoding:
        raise NotImplementedError

    def _evaluated(
        self,
        text: Any,
        method: Any,
        explain: Callable[[Any], Attribution],
        function: Callable[[Any], Any] | None,
        **options: Any,
    ) -> Any:
        """Assess attributions that are given, or explain a text by each method first."""
        several = isinstance(method, list | tuple)
        if isinstance(text, Attribution):
            attributions, several = [text], False
        elif isinstance(text, list) and text and all(isinstance(one, Attribution) for one in text):
            attributions, several = text, True
        else:
            attributions = [explain(one) for one in (method if several else [method])]
        if not attributions:
            raise InputError("No method was chosen.", hint="Pass method='default', or a list of names.")
        encoding = self._encoding_of(attributions[0])
        others = [
            one for one in attributions if not np.array_equal(one.tokens.ids, attributions[0].tokens.ids)
        ]
        if others:
            raise InputError(
                "The attributions are of different texts.", hint="Evaluate those of one text at a time."
            )
        found = assess(self.runner, encoding, attributions, function=function, **options)
        return found if several or len(found) > 1 else found[0]

    def _evaluations_for_report(
        self, encoding: Encoding, attribution: Attribution, function: Callable[[Any], Any] | None
    ) -> tuple[Evaluation, ...]:
        """Return what an evaluation of a report's main attribution found; where none is possible, why."""
        try:
            found = assess(self.runner, encoding, [attribution], function=function)[0]
        except StoppedError:  # the caller's wish, not a reason
            raise
        except ModelUnderstandingError as error:  # an explanation that cannot be judged is still one
            found = Assessment(
                method=attribution.method,
                target=attribution.targets[0].description(),
                verdict="not evaluated",
                reasons=(str(error).partition("\n")[0],),
            )
        if found.evaluations:
            return found.evaluations
        return (
            Evaluation(
                metric="verdict",
                value=0.0,
                curve=np.zeros((0, 2)),
                control=np.zeros(0),
                higher_is_better=True,
                method=found.method,
                target=found.target,
                verdict=found.verdict,
                reasons=found.reasons,
            ),
        )

    def _compute_attention_of(self, text: Any) -> AttentionMap:
        raise NotImplementedError

    def _compute_lens_of(self, text: Any) -> LogitLens:
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
        """Draw an attention map: a heatmap, a grid over layers and heads, or arcs between tokens.

        Args:
            map_or_text: A map, or a text to compute it for first.
            ax: Where to draw; a new figure where left out.
            **options: Passed to ``show.figure.attention_axes``: ``view`` (``map``, ``grid`` or ``arcs``),
                ``layer``, ``head``, ``level``, ``sinks``, ``theme``.

        Returns:
            The axes.
        """
        from model_understanding.show.figure import attention_axes

        found = (
            map_or_text if isinstance(map_or_text, AttentionMap) else self._compute_attention_of(map_or_text)
        )
        return attention_axes(found, ax, **options)

    def _query_key(self, encoding: Encoding, layer: int, head: int, query: int) -> QueryKey:
        started = time.perf_counter()
        config, tokens = self.runner.config, encoding.tokens[0]
        (chosen,) = axis_of([layer], layer_count(config), "layer")
        (which,) = axis_of([head], config.get_text_config().num_attention_heads, "head")
        (where,) = positions_of([query], tokens)
        found = read_query_key(self.runner, encoding, int(chosen), int(which), where)
        return QueryKey(
            tokens=tokens,
            query=where,
            layer=int(chosen),
            head=int(which),
            query_vector=found.query.numpy(),
            key_vectors=found.keys.numpy(),
            scale=found.scale,
            additions=found.additions.numpy(),
            allowed=found.allowed.numpy(),
            weights=found.weights.numpy(),
            rival=found.rival,
            provenance=replace(self.runner.loaded.provenance, seconds=time.perf_counter() - started),
        )

    def plot_logit_lens(self, lens_or_text: Any, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw what each layer would answer: layers × positions, coloured by probability.

        Args:
            lens_or_text: A lens, or a text to compute it for first.
            ax: Where to draw; a new figure where left out.
            **options: Passed to ``show.figure.lens_axes``: ``theme``.

        Returns:
            The axes.
        """
        from model_understanding.show.figure import lens_axes

        given = lens_or_text
        return lens_axes(
            given if isinstance(given, LogitLens) else self._compute_lens_of(given), ax, **options
        )

    def plot_query_key(self, found: QueryKey, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw which dimensions of a head make a query look at its keys: keys × dimensions.

        Args:
            found: What ``compute_query_key`` returned.
            ax: Where to draw; a new figure where left out.
            **options: Passed to ``show.figure.query_key_axes``: ``theme``.

        Returns:
            The axes.
        """
        from model_understanding.show.figure import query_key_axes

        return query_key_axes(found, ax, **options)

    def _attention_of_report(
        self,
        encoding: Encoding,
        maps: MapChoice,
        queries: Sequence[int] | None = None,
        steps: Tokens | None = None,
    ) -> tuple[AttentionMap, ...]:
        """Return a report's attention; a model without any still has the rest of its report."""
        tokens = len(encoding.tokens[0])
        try:
            layers = layer_count(self.runner.config)
        except UnsupportedModelError:
            return ()
        extent = Extent(
            layers=layers,
            heads=self.runner.config.get_text_config().num_attention_heads,
            rows=tokens if queries is None else len(queries),
            keys=tokens,
        )
        return attention_of_report(
            lambda layer, head, map, keep: self._attention(encoding, layer, head, map, queries, steps, keep),
            extent,
            maps,
        )

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
        keep: Keep = "rows",
    ) -> AttentionMap:
        started = time.perf_counter()
        method = MAPS.load(map)() if isinstance(map, str) else map
        reducer = reducer_of(keep)
        heads = getattr(self.runner.config.get_text_config(), "num_attention_heads", 0)
        layers = axis_of(layer, layer_count(self.runner.config), "layer")
        chosen_heads = axis_of(head, heads, "head")
        tokens = encoding.tokens[0]
        chosen = None if queries is None else positions_of(queries, tokens)
        captured = captured_by(method, self.runner, encoding, layers, chosen_heads, chosen, reducer)
        kept = kept_of(captured, reducer, tokens, chosen, steps, is_attention=method.name == "raw")
        return AttentionMap(
            **kept._asdict(),
            layers=layers if isinstance(layers, str) else tuple(layers),
            heads=chosen_heads if isinstance(chosen_heads, str) else tuple(chosen_heads),
            map=method.name,
            keep=name_of(reducer),
            parameters=asdict(method),  # pyright: ignore[reportArgumentType]
            provenance=replace(self.runner.loaded.provenance, seconds=time.perf_counter() - started),
        )
