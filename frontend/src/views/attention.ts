/** Where the model looked: matrix, sources of the selection, all heads. */

import type { AttentionData } from "../attention-data";
import { onRamp } from "../colours";
import type { Context } from "../context";
import { h, picker, replace, segmented } from "../dom";
import { attentionExport } from "../export/attention";
import { exportMenu } from "../export/menu";
import { counted, number, percent } from "../format";
import type { Attention } from "../payload.generated";
import { arcsView } from "./arcs";
import { headsView } from "./heads";
import { isCurved } from "./heatmap/cells";
import { heatmapView } from "./heatmap/view";
import { placeWords } from "./heatmap/words";

const SINK_WORDS = {
  raw: "sinks drawn like the rest",
  muted: "sinks off the colour scale",
  renormalised: "sinks removed, each row divided by what remains",
};
const SCALE_WORDS = {
  row: "each row by its own largest weight",
  head: "this head's largest weight",
  global: "the largest weight of all heads",
};

export function attentionView(context: Context): HTMLElement | null {
  const { model, store, actions, theme } = context;
  const { attention } = model.payload;
  if (!attention.length) return null;
  const heatmap = heatmapView(context);
  const arcs = arcsView(context);
  const heads = headsView(context);
  const title = h("h2", { id: "attention-title" });
  const status = h("p", { class: "note", "data-role": "attention-status" });
  const sinkNote = h("p", { class: "note" });
  const legend = h("p", { class: "legend" });
  const omitted = h("div", {});
  const maps = picker(
    "Map",
    attention.map((part) => mapWords(part)),
    (place) => actions.showMap(place),
  );
  const steppers = h("div", { class: "controls" });
  const sinks = segmented(
    "Sinks",
    [
      { value: "raw", label: "Raw", tip: SINK_WORDS.raw },
      { value: "muted", label: "Muted", tip: SINK_WORDS.muted },
      { value: "renormalised", label: "Renormalised", tip: SINK_WORDS.renormalised },
    ],
    (value) => store.set({ sinks: value }),
  );
  const sinkName = h("span", { class: "control-name", "aria-hidden": "true" }, "Sinks");
  const scale = segmented(
    "Colour scale",
    [
      { value: "row", label: "Row", tip: SCALE_WORDS.row },
      { value: "head", label: "Head", tip: SCALE_WORDS.head },
      { value: "global", label: "Global", tip: SCALE_WORDS.global },
    ],
    (value) => store.set({ scale: value }),
  );
  const zoom = h(
    "button",
    { type: "button", class: "plain", on: { click: () => store.set({ zoom: !store.state.zoom }) } },
    "Zoom",
  );
  let data: AttentionData | undefined;
  let follow: () => void = () => {};

  const describe = () => {
    const { state } = store;
    if (!data?.isLoaded(state.layer)) return;
    const held = data;
    const { part } = data;
    const peak =
      state.scale === "global"
        ? data.globalPeak(state.sinks)
        : data.peak(state.layer, state.head, state.sinks);
    const name = part.isAttention ? "Attention" : `Attention (${part.map})`;
    replace(title, `${name}: ${placeWords(data, state)}`);
    const sinkWords = part.isAttention ? `; ${SINK_WORDS[state.sinks]}` : "";
    status.textContent =
      `Where the model looked, not why it answered. Colour scale: ${SCALE_WORDS[state.scale]}` +
      `${state.scale === "row" ? "" : ` (${number(peak)})`}${sinkWords}${isCurved(data) ? "; colours by square root" : ""}.`;
    for (const element of [sinkName, sinks.element, sinkNote]) element.hidden = !part.isAttention;
    const found = [...data.sinks(state.layer, state.head)];
    const labels = model.payload.tables[part.keyTable].labels;
    sinkNote.textContent = found.length
      ? `Sink: ${found.map((sink) => `${labels[part.keyPositions[sink]]} (position ${part.keyPositions[sink]}) takes ${percent(data!.sinkShare(state.layer, state.head, sink))} of the attention`).join("; ")}.`
      : "No sink in this head.";
    const ramp = Array.from({ length: 8 }, (_, place) => {
      const swatch = h("i", { class: "swatch" });
      swatch.style.background = onRamp(
        theme.colours.palette.attention,
        isCurved(held) ? Math.sqrt(place / 7) : place / 7,
      );
      return swatch;
    });
    const key = (name: string, words: string) => {
      const swatch = h("i", { class: `swatch ${name}` });
      swatch.style.background = theme.colours.get(name);
      return h("span", { class: "key" }, swatch, words);
    };
    replace(
      legend,
      h("span", {}, "0"),
      h("span", { class: "ramp" }, ...ramp),
      h("span", {}, state.scale === "row" ? "row's largest" : number(peak)),
      part.mask.kind !== "full" && key("masked", "may not look there"),
      found.length > 0 && state.sinks !== "raw" && key("sink", "sink"),
    );
    replace(omitted, data.isDense ? null : h("p", { class: "note" }, keptWords(data)));
    zoom.setAttribute("aria-pressed", String(state.zoom));
    zoom.hidden = Math.max(data.rows, data.keys) <= 36;
  };

  const open = async (map: number) => {
    const loading = await model.attention(map);
    await loading.load(store.state.layer);
    if (store.state.map !== map) return;
    data = loading;
    const controls = controlsOf(context, data);
    replace(steppers, ...controls.elements);
    follow = controls.follow;
    follow();
    heatmap.show(data);
    arcs.show(data);
    describe();
    await heads.show(data);
    describe();
  };
  store.watch(["map"], (state) => {
    maps.show(state.map);
    void open(state.map);
  });
  store.watch(["layer"], async (state) => {
    if (!data || data.isLoaded(state.layer)) return;
    await data.load(state.layer);
    heatmap.show(data);
    arcs.show(data);
    describe();
  });
  store.watch(["scale"], async (state) => {
    if (state.scale !== "global" || !data) return;
    await data.loadAll();
    heatmap.show(data);
    describe();
  });
  store.watch(["layer", "head"], () => follow());
  store.watch(["layer", "head", "sinks", "scale", "zoom"], describe);
  store.watch(["sinks"], (state) => sinks.show(state.sinks));
  store.watch(["scale"], (state) => scale.show(state.scale));
  theme.watch(describe);

  return h(
    "section",
    { class: "card attention", "aria-labelledby": "attention-title" },
    h(
      "div",
      { class: "card-head" },
      title,
      h(
        "div",
        { class: "controls" },
        attention.length > 1 && maps.element,
        steppers,
        exportMenu(context, "Attention", () => attentionExport(context, data)),
      ),
    ),
    status,
    h(
      "div",
      { class: "controls second" },
      sinkName,
      sinks.element,
      h("span", { class: "control-name", "aria-hidden": "true" }, "Colours"),
      scale.element,
      zoom,
    ),
    h("div", { class: "split wide" }, h("div", {}, heatmap.element, legend, sinkNote, omitted), arcs.element),
    heads.element,
  );
}

/** A map in the list of maps: what it is, and how much of the model it shows. */
function mapWords(part: Attention): string {
  const layers = part.layers.length > 1 ? "all layers" : part.layerWords;
  const heads = part.heads.length > 1 ? `${part.heads.length} heads` : part.headWords;
  const coarse = part.pooled > 1 ? `, overview by ${part.pooled} tokens` : "";
  return `${part.map}: ${layers}, ${heads}${coarse}${part.steps ? ", by step" : ""}`;
}

function keptWords(data: AttentionData): string {
  const { kept, share } = data.part.weights;
  return `Of each row the ${counted(kept, "largest weight")} are in this page, ${percent(share)} of all attention; the others are drawn as none.`;
}

function controlsOf({ store, actions }: Context, data: AttentionData) {
  const { layers, heads, headWords } = data.part;
  const layer = stepper(
    "Layer",
    layers.map((name) => `layer ${name}`),
    (by) => actions.moveLayer(by),
    (place) => store.set({ layer: place }),
  );
  const head = stepper(
    "Head",
    [headWords, ...heads.map((name) => `head ${name}`)],
    (by) => actions.moveHead(by),
    (place) => store.set({ head: place - 1 }),
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
  choose: (place: number) => void,
) {
  const choice = picker(name, options, choose);
  const button = (sign: string, by: number, words: string) =>
    h(
      "button",
      {
        type: "button",
        class: "plain",
        "aria-label": `${words} ${name.toLowerCase()}`,
        on: { click: () => move(by) },
      },
      sign,
    );
  return {
    element: h(
      "div",
      { class: "stepper" },
      button("‹", -1, "Previous"),
      choice.element,
      button("›", 1, "Next"),
    ),
    show: choice.show,
  };
}
