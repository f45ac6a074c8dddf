/** Attention: the matrix, the sources of the selection, all heads. */

import type { Context } from "../../context";
import type { Matrices } from "../../data/matrices";
import type { Model } from "../../data/model";
import type { Attention } from "../../data/payload.generated";
import { isPooled, type Planes, planesOf } from "../../data/planes";
import { exportMenu } from "../../export/menu";
import type { State } from "../../state/store";
import { onRamp } from "../../ui/colors";
import { h, picker, replace, segmented } from "../../ui/dom";
import { counted, formatPercent } from "../../ui/format";
import { scaleSwatches } from "../../ui/legend";
import { button, card, controlName, key, note, swatch } from "../../ui/parts";
import { mapWords, planeWords } from "../../words";
import { isCurved } from "../heatmap/cells";
import { isLong, minimapView } from "../heatmap/minimap";
import { heatmapView, planeShown } from "../heatmap/view";
import { arcsView } from "./arcs";
import { attentionExport } from "./export";
import { reachWords, SCALE_WORDS, SINK_WORDS, scaleWords, uniformWords } from "./scale-words";

export function attentionView(context: Context): HTMLElement | null {
  const { model, store, actions, theme } = context;
  const { attention } = model.payload;
  if (!attention.length) return null;
  const heatmap = heatmapView(context);
  const minimap = minimapView(context);
  const arcs = arcsView(context);
  const title = h("h2");
  const status = h("p", { class: "note", "data-role": "attention-status" });
  const sinkNote = note();
  const evenness = h("p", { class: "evenness", role: "note" });
  const legend = h("p", { class: "legend" });
  const omitted = h("div", {});
  const maps = picker(
    "Map",
    attention.map((part) => mapWords(part)),
    (index) => actions.showMap(index),
  );
  const steppers = h("div", { class: "controls" });
  const sinks = segmented(
    "Attention sinks",
    [
      { value: "raw", label: "Raw", tip: SINK_WORDS.raw },
      { value: "muted", label: "Muted", tip: SINK_WORDS.muted },
      { value: "renormalized", label: "Renormalized", tip: SINK_WORDS.renormalized },
    ],
    (value) => store.set({ sinks: value }),
  );
  const sinkName = controlName("Attention sinks");
  const scale = segmented(
    "Color scale",
    [
      { value: "row", label: "Row", tip: SCALE_WORDS.row },
      { value: "head", label: "Map", tip: SCALE_WORDS.head },
      { value: "global", label: "Global", tip: SCALE_WORDS.global },
    ],
    (value) => store.set({ scale: value }),
  );
  const zoom = button("Window", () => store.set({ zoom: !store.state.zoom }));
  const level = segmented(
    "Attention granularity",
    [
      { value: "token", label: "Tokens" },
      { value: "word", label: "Words", tip: "what each word attends to: keys summed, queries averaged" },
      { value: "sentence", label: "Sentences", tip: "keys summed, queries averaged" },
    ],
    (value) => store.set({ level: value }),
  );
  const levelName = controlName("Granularity");
  let planes: Planes | undefined;
  let follow: () => void = () => {};

  const describe = () => {
    if (!planes) return;
    const { state } = store;
    const plane = planeShown(planes, state);
    const { data, layer, head } = plane;
    const { part, keyAxis } = data;
    replace(title, `${part.name}: ${planeWords(plane)}`);
    const meaning = part.isAttention
      ? "where the model attends, not why it made its prediction"
      : "how much tokens contribute to each other, not why the model made its prediction";
    status.textContent = `The map shows ${meaning}. ${scaleWords(plane, state)}`;
    const uniform = uniformWords(plane, state);
    evenness.hidden = !uniform;
    evenness.textContent = uniform;
    for (const element of [sinkName, sinks.element, sinkNote]) element.hidden = !part.isAttention;
    const sinkKeys = [...data.sinks(layer, head)];
    const position = (sink: number) => (isPooled(plane) ? "" : ` (position ${keyAxis.token(sink)})`);
    sinkNote.textContent = sinkKeys.length
      ? `Attention sink ${sinkKeys.map((sink) => `${keyAxis.label(sink)}${position(sink)}: ${formatPercent(data.sinkShare(layer, head, sink))} of the attention`).join("; ")}.`
      : "No attention sink in this matrix.";
    const { colors } = theme;
    const ramp = Array.from({ length: 8 }, (_, step) =>
      swatch(onRamp(colors.palette.attention, isCurved(data) ? Math.sqrt(step / 7) : step / 7)),
    );
    const { signed } = part.weights;
    const reach = reachWords(plane, state);
    replace(
      legend,
      h("span", {}, signed ? `−${reach}` : "0"),
      signed ? scaleSwatches(colors.palette, true) : h("span", { class: "ramp" }, ...ramp),
      h("span", {}, reach),
      part.mask.kind !== "full" && key(swatch(colors.get("masked")), "masked: cannot attend"),
      sinkKeys.length > 0 && state.sinks !== "raw" && key(swatch(colors.get("sink")), "attention sink"),
    );
    const remarks = [joinedWords(model, planes, state), data.isDense ? "" : keptWords(data)];
    replace(omitted, ...remarks.filter(Boolean).map((words) => note(words)));
    zoom.setAttribute("aria-pressed", String(state.zoom));
    zoom.hidden = !isLong(planes);
    levelName.hidden = level.element.hidden = isPooled(planes.detail);
  };

  /** Show the state's matrix once it is loaded, unless a later request replaced it. */
  let latest = 0;
  const open = async () => {
    const request = ++latest;
    const { state } = store;
    const loaded = await planesOf(model, state);
    if (state.scale === "global") {
      for (const plane of Object.values(loaded)) await plane.data.loadAll();
    }
    if (request !== latest) return;
    planes = loaded;
    heatmap.show(planes);
    minimap.show(planes);
    arcs.show(planes);
    describe();
  };
  store.watch(["map"], (state) => {
    maps.show(state.map);
    const controls = controlsOf(context, attention[state.map]);
    replace(steppers, ...controls.elements);
    follow = controls.follow;
    follow();
  });
  store.watch(["map", "layer", "head", "level", "scale"], () => void open());
  store.watch(["layer", "head"], () => follow());
  store.watch(["sinks", "zoom"], describe);
  store.watch(["level"], (state) => level.show(state.level));
  store.watch(["sinks"], (state) => sinks.show(state.sinks));
  store.watch(["scale"], (state) => scale.show(state.scale));
  theme.watch(describe);

  return card(
    "attention",
    title,
    [
      attention.length > 1 && maps.element,
      steppers,
      exportMenu(context.say, "Attention", () => attentionExport(context, planes)),
    ],
    status,
    h(
      "div",
      { class: "controls second" },
      sinkName,
      sinks.element,
      controlName("Color scale"),
      scale.element,
      levelName,
      level.element,
      zoom,
    ),
    h(
      "div",
      { class: "split wide" },
      h("div", {}, evenness, heatmap.element, legend, sinkNote, omitted),
      h("div", {}, minimap.element, arcs.element),
    ),
  );
}

/** What a cell stands for if it covers more than one token. */
function joinedWords(model: Model, planes: Planes, state: Readonly<State>): string {
  const { overview, detail } = planes;
  const { pooled } = overview.data.part;
  if (pooled > 1) {
    const cells = `each cell covers up to ${pooled} × ${pooled} tokens (queries averaged, keys summed)`;
    if (!isPooled(detail)) {
      return state.zoom
        ? `The window shows individual weights; in the overview, ${cells}.`
        : `Pooled: ${cells}. Select “Window” to see individual weights.`;
    }
    const exact = exactWords(model.payload.attention, state.map);
    return `Pooled: ${cells}. This page has no individual weights for this matrix${exact ? `, only for ${exact}` : ""}.`;
  }
  if (state.level === "token") return "";
  return `Grouped by ${state.level}: keys are summed and queries averaged over its tokens.`;
}

/** The layers and heads for which the page has individual weights; empty if none. */
function exactWords(parts: readonly Attention[], map: number): string {
  const part = parts[map];
  const exact = parts.filter(
    (other) => other.pooled < 2 && other.map === part.map && other.steps === part.steps,
  );
  return exact
    .map((other) => {
      const layers = other.layers.length > 1 ? `${other.layers.length} layers` : other.layerWords;
      return `${layers}, ${other.heads.length > 1 ? `${other.heads.length} heads` : other.headWords}`;
    })
    .join("; ");
}

function keptWords(data: Matrices): string {
  const { kept, share } = data.part.weights;
  return `This page stores the ${counted(kept, "largest weight")} of each row (${formatPercent(share)} of all attention); the others are drawn as 0.`;
}

function controlsOf({ store, actions }: Context, { layers, heads, headWords }: Attention) {
  const layer = stepper(
    "Layer",
    layers.map((name) => `layer ${name}`),
    (by) => actions.moveLayer(by),
    (index) => store.set({ layer: index }),
  );
  const head = stepper(
    "Head",
    [headWords, ...heads.map((name) => `head ${name}`)],
    (by) => actions.moveHead(by),
    (index) => store.set({ head: index - 1 }),
  );
  return {
    elements: [layers.length > 1 && layer.element, heads.length > 1 && head.element],
    follow: () => {
      layer.show(store.state.layer);
      head.show(store.state.head + 1);
    },
  };
}

function stepper(
  name: string,
  options: readonly string[],
  move: (by: number) => void,
  choose: (index: number) => void,
) {
  const choice = picker(name, options, choose);
  const step = (sign: string, by: number, words: string) =>
    button(sign, () => move(by), `${words} ${name.toLowerCase()}`);
  return {
    element: h("div", { class: "stepper" }, step("‹", -1, "Previous"), choice.element, step("›", 1, "Next")),
    show: choice.show,
  };
}
