/** All heads of all layers as thumbnails in one canvas, in order or ranked by what they do. */

import { type AttentionData, type HeadScores, headScores } from "../attention-data";
import type { Context } from "../context";
import { h, picker } from "../dom";
import { percent } from "../format";
import { paintCells } from "./heatmap/cells";

const GAP = 6;
const MARGIN = 30;
const RANKINGS = ["layer and head", "sharpest first", "most on sinks", "most on the token before"] as const;

export interface Heads {
  readonly element: HTMLElement;
  show(data: AttentionData): Promise<void>;
}

export function headsView(context: Context): Heads {
  const { store, theme, tooltip } = context;
  const canvas = h("canvas", { class: "heads", tabindex: 0, role: "img", "data-view": "heads" });
  const box = h("div", { class: "heads-box" }, canvas);
  const note = h("p", { class: "note" });
  let ranking = 0;
  const order = picker("Order", RANKINGS, (place) => {
    ranking = place;
    draw();
  });
  const element = h(
    "details",
    { class: "heads-part", open: true },
    h("summary", {}, "All heads"),
    h("div", { class: "card-head" }, note, order.element),
    box,
  );
  let data: AttentionData | undefined;
  let scores: HeadScores[] = [];
  let places: number[] = [];
  let size = 40;
  let columns = 1;
  let rows = 1;
  let blocks = 1;
  let loaded = 0;

  const draw = () => {
    if (!data || !box.clientWidth) return;
    const { state } = store;
    const { layerCount, headCount } = data;
    places = Array.from({ length: layerCount * headCount }, (_, place) => place);
    const by = [null, (s: HeadScores) => -s.spread, (s: HeadScores) => s.sink, (s: HeadScores) => s.previous][
      ranking
    ];
    if (by) places.sort((a, b) => by(scores[b]) - by(scores[a]) || a - b);
    const room = box.clientWidth;
    blocks = ranking ? 1 : blocksOf(layerCount, headCount, room);
    columns = ranking ? Math.max(Math.floor((room - MARGIN) / 62), 1) : headCount;
    size = Math.max(18, Math.min(72, Math.floor((room / blocks - MARGIN) / columns) - GAP));
    rows = ranking ? Math.ceil(places.length / columns) : Math.ceil(layerCount / blocks);
    const ratio = devicePixelRatio || 1;
    const [width, height] = [blocks * (MARGIN + columns * (size + GAP)), MARGIN - 8 + rows * (size + GAP)];
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d")!;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.font = "11px system-ui, sans-serif";
    pen.textBaseline = "middle";
    pen.fillStyle = theme.colours.get("muted");
    const dot = document.createElement("canvas");
    places.forEach((place, at) => {
      const [layer, head] = [Math.floor(place / headCount), place % headCount];
      const [x, y] = spot(at);
      if (!ranking) {
        pen.fillStyle = theme.colours.get("muted");
        pen.textAlign = "center";
        const every = size < 26 ? 2 : 1;
        if (layer % rows === 0 && head % every === 0)
          pen.fillText(String(data!.part.heads[head] ?? "all"), x + size / 2, 12);
        pen.textAlign = "right";
        if (head === 0) pen.fillText(String(data!.part.layers[layer] ?? "all"), x - 8, y + size / 2);
      }
      if (!data!.isLoaded(layer)) return;
      const whole = { firstRow: 0, rows: data!.rows, firstKey: 0, keys: data!.keys };
      const frame = { ...whole, left: 0, top: 0, cell: 1, width: 0, height: 0 };
      const { image } = paintCells(
        data!,
        { ...state, layer, head },
        theme.colours,
        frame,
        Math.min(size * ratio, 96),
      );
      [dot.width, dot.height] = [image.width, image.height];
      dot.getContext("2d")!.putImageData(image, 0, 0);
      pen.imageSmoothingEnabled = image.width > size;
      pen.drawImage(dot, x, y, size, size);
      const chosen = layer === state.layer && (head === state.head || headCount === 1);
      pen.strokeStyle = theme.colours.get(chosen ? "text" : "line");
      pen.lineWidth = chosen ? 2.5 : 1;
      pen.strokeRect(x - 0.5, y - 0.5, size + 1, size + 1);
    });
    const scale = { row: "each row", head: "each head", global: "all heads" }[state.scale];
    note.textContent =
      `${layerCount} layer${layerCount === 1 ? "" : "s"} × ${headCount} head${headCount === 1 ? "" : "s"}; ` +
      `${ranking ? "" : "rows are layers, columns heads; "}colours scaled over ${scale}.` +
      (loaded < layerCount ? ` Reading layer ${loaded + 1} of ${layerCount} …` : "");
    canvas.setAttribute(
      "aria-label",
      `Thumbnails of ${places.length} heads. Brackets change the layer, h the head.`,
    );
  };

  const spot = (at: number): [number, number] => {
    const row = Math.floor(at / columns);
    return [
      MARGIN + (at % columns) * (size + GAP) + Math.floor(row / rows) * (MARGIN + columns * (size + GAP)),
      MARGIN - 8 + (row % rows) * (size + GAP),
    ];
  };
  const headAt = (event: MouseEvent): number => {
    const bounds = canvas.getBoundingClientRect();
    const wide = MARGIN + columns * (size + GAP);
    const block = Math.floor((event.clientX - bounds.left) / wide);
    const column = Math.floor((event.clientX - bounds.left - block * wide - MARGIN) / (size + GAP));
    const row = Math.floor((event.clientY - bounds.top - MARGIN + 8) / (size + GAP));
    if (column < 0 || column >= columns || row < 0 || row >= rows || block >= blocks) return -1;
    return places[(block * rows + row) * columns + column] ?? -1;
  };
  canvas.addEventListener("pointermove", (event) => {
    const place = headAt(event);
    if (place < 0 || !data || !scores[place]) return tooltip.hide();
    const [layer, head] = [Math.floor(place / data.headCount), place % data.headCount];
    const score = scores[place];
    const heading = `layer ${data.part.layers[layer] ?? "all"}, head ${data.part.heads[head] ?? "all"}`;
    return tooltip.show(event.clientX, event.clientY, heading, [
      ["spread", `${percent(score.spread)} of the most`],
      ["on sinks", percent(score.sink)],
      ["on the token before", percent(score.previous)],
    ]);
  });
  canvas.addEventListener("pointerleave", () => tooltip.hide());
  canvas.addEventListener("click", (event) => {
    const place = headAt(event);
    if (place >= 0 && data)
      store.set({ layer: Math.floor(place / data.headCount), head: place % data.headCount });
  });
  element.addEventListener("toggle", () => draw());
  store.watch(["layer", "head", "sinks", "scale"], draw);
  theme.watch(draw);
  new ResizeObserver(draw).observe(box);

  const show = async (shown: AttentionData) => {
    data = shown;
    scores = [];
    element.hidden = shown.layerCount * shown.headCount < 2;
    if (element.hidden) return;
    for (loaded = 0; loaded < shown.layerCount; loaded++) {
      await shown.load(loaded);
      if (data !== shown) return;
      for (let head = 0; head < shown.headCount; head++) scores.push(headScores(shown, loaded, head));
      if (loaded % 3 === 2) draw();
    }
    draw();
  };
  return { element, show };
}

/** In how many blocks side by side many layers of few heads fill the width. */
export function blocksOf(layers: number, heads: number, width: number): number {
  const most = Math.floor(width / (MARGIN + heads * (44 + GAP)));
  return Math.max(1, Math.min(most, Math.ceil(layers / 4)));
}
