/** Differences in attention as a matrix with a diverging color scale. */

import { clamp } from "../data/clamp";
import { inflated, type MaskTest, maskTest, weightsOfBytes } from "../data/codec";
import type { ComparedAttention } from "../data/payload.generated";
import { canvasOf, sized } from "../ui/canvas";
import { pixel } from "../ui/colors";
import { h, on, picker, replace } from "../ui/dom";
import { scaleSwatches } from "../ui/legend";
import { card, note } from "../ui/parts";
import { type ComparisonContext, points } from "./state";

const MAX_LABELS = 40;
const [LEFT, TOP, WIDTH, MAX_HEIGHT] = [120, 88, 640, 640];

/** Differences, decoded one layer at a time, row by row; NaN where masked. */
class Differences {
  readonly rows: number;
  readonly keys: number;
  private readonly planes = new Map<string, Promise<Float32Array>>();

  constructor(readonly part: ComparedAttention) {
    this.rows = part.rowLabels.length;
    this.keys = part.keyLabels.length;
  }

  plane(layer: number, head: number): Promise<Float32Array> {
    const cacheKey = `${layer} ${head}`;
    let plane = this.planes.get(cacheKey);
    if (!plane) {
      plane = this.read(layer, head);
      this.planes.set(cacheKey, plane);
    }
    return plane;
  }

  private async read(layer: number, head: number): Promise<Float32Array> {
    const { mask, weights, heads } = this.part;
    const [bytes, allowed] = await Promise.all([
      inflated(weights.blocks[layer]),
      maskTest(mask, this.keys) as Promise<MaskTest>,
    ]);
    const values = weightsOfBytes(weights);
    const out = new Float32Array(this.rows * this.keys).fill(Number.NaN);
    const count = Math.max(heads.length, 1);
    const cells = bytes.length / count;
    let cell = 0;
    for (let row = 0; row < this.rows; row++) {
      for (let key = 0; key < this.keys; key++) {
        if (!allowed(row, key)) continue;
        let sum = 0;
        const [from, to] = head < 0 ? [0, count] : [head, head + 1];
        for (let plane = from; plane < to; plane++) sum += values[bytes[plane * cells + cell]];
        out[row * this.keys + key] = sum / (to - from);
        cell++;
      }
    }
    return out;
  }
}

export function matrixView({ payload, store, theme, tooltip }: ComparisonContext): HTMLElement | null {
  const { attention } = payload;
  if (!attention.length) return null;
  const differences = attention.map((part) => new Differences(part));
  const canvas = h("canvas", { class: "matrix", role: "img" });
  const title = h("h2");
  const words = note();
  const legend = h("p", { class: "legend" });
  const choices = h("div", { class: "controls" });
  let shown: { data: Differences; plane: Float32Array; cell: number; left: number; top: number } | null =
    null;

  const arrange = () => {
    const part = attention[store.state.map];
    const maps = picker(
      "Map",
      attention.map((item) => item.title),
      (map) =>
        store.set({
          map,
          layer: Math.max(attention[map].layers.length - 1, 0),
          head: firstHead(attention[map]),
        }),
    );
    const layers = picker(
      "Layer",
      part.layers.map((layer) => `layer ${layer}`),
      (layer) => store.set({ layer }),
    );
    const heads = picker("Head", ["mean", ...part.heads.map((head) => `head ${head}`)], (option) =>
      store.set({ head: option - 1 }),
    );
    maps.show(store.state.map);
    layers.show(store.state.layer);
    heads.show(store.state.head + 1);
    replace(
      choices,
      attention.length > 1 && maps.element,
      part.layers.length > 1 && layers.element,
      part.heads.length > 1 && heads.element,
    );
  };

  const load = async () => {
    const { map, layer, head } = store.state;
    const data = differences[map];
    const plane = await data.plane(layer, head);
    const { state } = store;
    if (state.map !== map || state.layer !== layer || state.head !== head) return;
    const labeled = Math.max(data.rows, data.keys) <= MAX_LABELS;
    const [left, top] = labeled ? [LEFT, TOP] : [0, 0];
    const cell = Math.min(26, (WIDTH - left) / data.keys, MAX_HEIGHT / data.rows);
    shown = { data, plane, cell, left, top };
    draw();
  };

  const draw = () => {
    if (!shown) return;
    const { data, plane, cell, left, top } = shown;
    const { part } = data;
    const { state } = store;
    const { colors } = theme;
    const reach = plane.reduce((largest, value) => Math.max(largest, Math.abs(value) || 0), 0);
    const matrixName = [
      part.layers.length ? `layer ${part.layers[state.layer]}` : part.layerWords,
      part.heads.length > 1 && state.head < 0
        ? "mean over heads"
        : part.heads.length
          ? `head ${part.heads[Math.max(state.head, 0)]}`
          : part.headWords,
    ].join(", ");
    title.textContent = `Attention, second minus first: ${matrixName}`;
    words.textContent = `${part.reason ? `${part.reason}. ` : ""}Rows: ${part.steps ? "generated tokens" : "from (query)"}; columns: to (key). The maps show where the models attend, not why they made their predictions.`;
    canvas.setAttribute("aria-label", `${title.textContent}; largest difference: ${points(reach)}`);
    const pen = sized(canvas, left + data.keys * cell + 50, top + data.rows * cell);
    const image = new ImageData(data.keys, data.rows);
    const dots = new Uint32Array(image.data.buffer);
    const masked = pixel(colors.get("masked"));
    plane.forEach((value, index) => {
      dots[index] = Number.isNaN(value) ? masked : pixel(colors.score(reach ? value / reach : 0, true));
    });
    pen.imageSmoothingEnabled = false;
    pen.drawImage(canvasOf(image), left, top, data.keys * cell, data.rows * cell);
    if (left) drawLabels(pen, part, cell, colors.get("text"));
    pen.strokeStyle = colors.get("text");
    pen.lineWidth = 1.5;
    for (const unit of new Set([state.focus, state.hover])) {
      if (unit < 0) continue;
      const [row, key] = [part.rowUnits.indexOf(unit), part.keyUnits.indexOf(unit)];
      pen.setLineDash(unit === state.focus ? [] : [4, 3]);
      if (row >= 0) pen.strokeRect(left + 0.5, top + row * cell, data.keys * cell - 1, cell);
      if (key >= 0) pen.strokeRect(left + key * cell, top + 0.5, cell, data.rows * cell - 1);
    }
    replace(
      legend,
      h("span", {}, "lower in the second"),
      scaleSwatches(colors.palette, true),
      h("span", {}, reach ? `higher, up to ${points(reach)}; gray: not in both texts` : "no difference"),
    );
  };

  const cellAt = (event: MouseEvent): [number, number] | null => {
    if (!shown) return null;
    const box = canvas.getBoundingClientRect();
    const shrink = box.width / Number.parseFloat(canvas.style.width);
    const row = Math.floor(((event.clientY - box.top) / shrink - shown.top) / shown.cell);
    const key = Math.floor(((event.clientX - box.left) / shrink - shown.left) / shown.cell);
    return row < 0 || key < 0 || row >= shown.data.rows || key >= shown.data.keys ? null : [row, key];
  };
  on(canvas, {
    pointermove: (event) => {
      const cell = cellAt(event);
      if (!cell || !shown) {
        store.set({ hover: -1 });
        return tooltip.hide();
      }
      const { part, keys } = shown.data;
      const value = shown.plane[cell[0] * keys + cell[1]];
      store.set({ hover: part.rowUnits[cell[0]] });
      return tooltip.show(event, `${part.rowLabels[cell[0]]} → ${part.keyLabels[cell[1]]}`, [
        ["difference", Number.isNaN(value) ? "not in both texts" : points(value)],
      ]);
    },
    pointerleave: () => {
      store.set({ hover: -1 });
      tooltip.hide();
    },
    click: (event) => {
      const cell = cellAt(event);
      if (cell && shown) store.set({ focus: shown.data.part.rowUnits[cell[0]] });
    },
  });
  store.watch(["map", "layer", "head"], () => {
    arrange();
    void load();
  });
  store.watch(["hover", "focus"], draw);
  theme.watch(draw);
  return card("differences", title, [choices], words, h("div", { class: "heads-box" }, canvas), legend);
}

/** The head shown first: the mean if there are several heads. */
export function firstHead(part: ComparedAttention | undefined): number {
  return (part?.heads.length ?? 1) > 1 ? -1 : 0;
}

/** The head after some moves; the mean comes before the first head. */
export function movedHead(part: ComparedAttention, head: number, by: number): number {
  const count = part.heads.length;
  return count < 2 ? head : ((head + 1 + by + count + 1) % (count + 1)) - 1;
}

export function movedLayer(part: ComparedAttention, layer: number, by: number): number {
  return clamp(layer + by, 0, Math.max(part.layers.length - 1, 0));
}

function drawLabels(pen: CanvasRenderingContext2D, part: ComparedAttention, cell: number, ink: string): void {
  pen.fillStyle = ink;
  pen.font = "12px system-ui, sans-serif";
  pen.textBaseline = "middle";
  pen.textAlign = "end";
  part.rowLabels.forEach((label, row) => {
    pen.fillText(label, LEFT - 8, TOP + (row + 0.5) * cell, LEFT - 10);
  });
  pen.textAlign = "start";
  part.keyLabels.forEach((label, key) => {
    pen.save();
    pen.translate(LEFT + (key + 0.55) * cell, TOP - 6);
    pen.rotate(-Math.PI / 3);
    pen.fillText(label, 0, 0, 90);
    pen.restore();
  });
}
