/** Where attention differs: the largest difference of each head, and the differences of one matrix. */

import { clamp } from "../data/clamp";
import type { ComparedAttention, ComparedCell } from "../data/payload.generated";
import { exportMenu } from "../export/menu";
import { drawScene } from "../scene/canvas";
import { canvasOf, sized } from "../ui/canvas";
import { pixel } from "../ui/colors";
import { type Child, h, on, picker, replace } from "../ui/dom";
import { formatNumber, formatPercent } from "../ui/format";
import { scaleSwatches } from "../ui/legend";
import { bdi, note } from "../ui/parts";
import { Differences, largestCells, largestOf, type MatrixShown } from "./differences";
import { attentionExport } from "./export";
import { type MatrixFrame, matrixFrame, matrixShapes } from "./matrix-scene";
import { type ComparisonContext, planeName, weightDifference } from "./state";

const [LISTED, NEUTRAL, CELL] = [5, 0.02, 22];

export function matrixView(context: ComparisonContext): Child[] {
  const { payload, store, theme, tooltip } = context;
  const { attention } = payload;
  const differences = attention.map((part) => new Differences(part));
  const canvas = h("canvas", { class: "matrix", role: "img" });
  const title = h("h3");
  const [words, legend, list] = [note(), h("p", { class: "legend" }), h("ol", { class: "cells" })];
  const choices = h("div", { class: "controls" });
  let shown: MatrixShown | null = null;
  let frame: MatrixFrame | null = null;

  const arrange = () => {
    const { state } = store;
    const part = attention[state.map];
    const axis = (
      name: "Layer" | "Head",
      indices: readonly number[],
      value: number,
      key: "layer" | "head",
    ) => {
      const chosen = picker(
        name,
        ["mean", ...indices.map((index) => `${name.toLowerCase()} ${index}`)],
        (option) => store.set({ [key]: option - 1, row: -1, key: -1 }),
      );
      chosen.show(value + 1);
      return indices.length > 1 && chosen.element;
    };
    const maps = picker(
      "Map",
      attention.map((item) => item.name),
      (map) => store.set({ map, layer: -1, head: -1, row: -1, key: -1 }),
    );
    maps.show(state.map);
    replace(
      choices,
      attention.length > 1 && maps.element,
      axis("Layer", part.layers, state.layer, "layer"),
      axis("Head", part.heads, state.head, "head"),
      exportMenu(context.say, "Attention differences", () => attentionExport(context, shown)),
    );
  };
  const load = async () => {
    const { map, layer, head } = store.state;
    const data = differences[map];
    const plane = await data.plane(layer, head);
    const { state } = store;
    if (state.map !== map || state.layer !== layer || state.head !== head) return;
    shown = { data, plane, full: data.full(plane, layer, head) };
    draw();
  };
  const draw = () => {
    if (!shown) return;
    const { data, plane, full } = shown;
    const { part } = data;
    const { state } = store;
    const { colors } = theme;
    const cells =
      state.layer < 0 && state.head < 0
        ? part.cells
        : largestCells(plane, NEUTRAL * full, LISTED).map((cell) => ({
            row: Math.floor(cell / data.keys),
            key: cell % data.keys,
            words: "",
            difference: weightDifference(part, plane[cell]),
          }));
    title.textContent = `${part.name}, second minus first: ${planeName(part, state)}`;
    words.textContent = `${part.reason ? `${part.reason}. ` : ""}Rows: ${part.steps ? "generated tokens" : "from (query)"}; columns: to (key). The maps show where the models attend, not why they gave their answers.`;
    canvas.setAttribute(
      "aria-label",
      `${title.textContent}; largest difference: ${weightDifference(part, largestOf(plane))}`,
    );
    frame = matrixFrame(data, 700);
    const pen = sized(canvas, frame.width, frame.height);
    drawScene(pen, {
      width: frame.width,
      height: frame.height,
      background: colors.get("background"),
      shapes: matrixShapes(shown, frame, theme),
    });
    pen.strokeStyle = colors.get("text");
    pen.lineWidth = 1.5;
    for (const unit of new Set([state.focus, state.hover])) {
      if (unit < 0) continue;
      const [row, key] = [part.rowUnits.indexOf(unit), part.keyUnits.indexOf(unit)];
      pen.setLineDash(unit === state.focus ? [] : [4, 3]);
      if (row >= 0)
        pen.strokeRect(
          frame.left + 0.5,
          frame.top + row * frame.cell,
          data.keys * frame.cell - 1,
          frame.cell,
        );
      if (key >= 0)
        pen.strokeRect(
          frame.left + key * frame.cell,
          frame.top + 0.5,
          frame.cell,
          data.rows * frame.cell - 1,
        );
    }
    if (state.row >= 0 && state.key >= 0) {
      pen.setLineDash([]);
      pen.lineWidth = 3;
      pen.strokeRect(
        frame.left + state.key * frame.cell,
        frame.top + state.row * frame.cell,
        frame.cell,
        frame.cell,
      );
    }
    replace(list, ...cells.map((cell) => item(part, cell)));
    if (!cells.length)
      replace(list, h("li", {}, "No difference that counts against the size of the weights."));
    replace(
      legend,
      h("span", {}, "lower in the second"),
      scaleSwatches(colors.palette, true),
      h(
        "span",
        {},
        `higher; full color: ${weightDifference(part, full).replace("+", "")}; gray: not in both texts`,
      ),
    );
  };
  const item = (part: ComparedAttention, { row, key, words, difference }: ComparedCell) =>
    h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          class: "cell",
          on: { click: () => store.set({ row, key, focus: part.rowUnits[row] }) },
        },
        bdi(part.rowLabels[row]),
        " to ",
        bdi(part.keyLabels[key]),
        " ",
        h("span", { class: "note" }, words),
        " ",
        h("strong", {}, difference),
      ),
    );
  const cellAt = (event: MouseEvent): [number, number] | null => {
    if (!shown || !frame) return null;
    const box = canvas.getBoundingClientRect();
    const shrink = box.width / frame.width;
    const row = Math.floor(((event.clientY - box.top) / shrink - frame.top) / frame.cell);
    const key = Math.floor(((event.clientX - box.left) / shrink - frame.left) / frame.cell);
    const { data } = shown;
    return row < 0 || key < 0 || row >= data.rows || key >= data.keys ? null : [row, key];
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
      return tooltip.show(event, `${part.rowLabels[cell[0]]} to ${part.keyLabels[cell[1]]}`, [
        ["difference", Number.isNaN(value) ? "not in both texts" : weightDifference(part, value)],
      ]);
    },
    pointerleave: () => {
      store.set({ hover: -1 });
      tooltip.hide();
    },
    click: (event) => {
      const cell = cellAt(event);
      if (cell && shown) store.set({ row: cell[0], key: cell[1], focus: shown.data.part.rowUnits[cell[0]] });
    },
  });
  const overview = headsView(context);
  store.watch(["map", "layer", "head"], () => {
    arrange();
    void load();
  });
  store.watch(["hover", "focus", "row", "key"], draw);
  theme.watch(draw);
  return [
    choices,
    overview,
    title,
    words,
    h("div", { class: "matrix-and-cells" }, h("div", { class: "heads-box" }, canvas), list),
    legend,
  ];
}

/** The largest difference of each layer and head; a click shows its matrix. */
function headsView({ payload, store, theme, tooltip }: ComparisonContext): HTMLElement {
  const canvas = h("canvas", { class: "matrix heads", role: "img" });
  const box = h("div", { class: "heads-box" }, canvas);
  const words = note();
  const element = h("div", {}, h("h3", {}, "Largest difference of each head"), words, box);
  const [left, top] = [64, 20];
  const partOf = () => payload.attention[store.state.map];
  const draw = () => {
    const part = partOf();
    const { layers, heads, largest } = part;
    element.hidden = !part.hasHeads || largest.length < 2;
    if (element.hidden) return;
    const columns = Math.max(heads.length, 1);
    const rows = Math.max(layers.length, 1);
    const cell = Math.min(CELL, Math.max(4, (700 - left) / columns));
    const pen = sized(canvas, left + columns * cell + 4, top + rows * cell + 4);
    const { colors } = theme;
    const image = new ImageData(columns, rows);
    const dots = new Uint32Array(image.data.buffer);
    const full = Math.max(...largest, 0.1 * Math.max(...part.reach)) || 1;
    largest.forEach((value, index) => {
      dots[index] = pixel(colors.score(value / full, false));
    });
    pen.imageSmoothingEnabled = false;
    pen.drawImage(canvasOf(image), left, top, columns * cell, rows * cell);
    pen.fillStyle = colors.get("muted");
    pen.font = "11px system-ui, sans-serif";
    pen.textBaseline = "middle";
    pen.textAlign = "end";
    const step = Math.ceil(14 / cell);
    layers.forEach((layer, row) => {
      if (row % step === 0) pen.fillText(`layer ${layer}`, left - 8, top + (row + 0.5) * cell);
    });
    pen.textAlign = "center";
    heads.forEach((head, column) => {
      if (column % step === 0) pen.fillText(String(head), left + (column + 0.5) * cell, top - 9);
    });
    const { layer, head } = store.state;
    pen.strokeStyle = colors.get("text");
    pen.lineWidth = 2;
    if (layer >= 0 && (head >= 0 || columns === 1))
      pen.strokeRect(left + Math.max(head, 0) * cell, top + layer * cell, cell, cell);
    const peak = largest.indexOf(Math.max(...largest));
    const name = nameOf(part, peak);
    words.textContent = `Largest: ${name}, ${size(part, largest[peak])}. Click a head to see where.`;
    canvas.setAttribute("aria-label", `Largest difference of each layer and head; ${words.textContent}`);
  };
  const headAt = (event: MouseEvent): number => {
    const { layers, heads } = partOf();
    const area = canvas.getBoundingClientRect();
    const shrink = area.width / Number.parseFloat(canvas.style.width);
    const columns = Math.max(heads.length, 1);
    const cell = Math.min(CELL, Math.max(4, (700 - left) / columns));
    const column = Math.floor(((event.clientX - area.left) / shrink - left) / cell);
    const row = Math.floor(((event.clientY - area.top) / shrink - top) / cell);
    return row < 0 || column < 0 || column >= columns || row >= Math.max(layers.length, 1)
      ? -1
      : row * columns + column;
  };
  on(canvas, {
    pointermove: (event) => {
      const index = headAt(event);
      if (index < 0) return tooltip.hide();
      const part = partOf();
      return tooltip.show(event, nameOf(part, index), [
        ["largest difference", size(part, part.largest[index])],
      ]);
    },
    pointerleave: () => tooltip.hide(),
    click: (event) => {
      const index = headAt(event);
      const columns = Math.max(partOf().heads.length, 1);
      if (index >= 0)
        store.set({
          layer: Math.floor(index / columns),
          head: columns > 1 ? index % columns : -1,
          row: -1,
          key: -1,
        });
    },
  });
  store.watch(["map", "layer", "head"], draw);
  theme.watch(draw);
  return element;
}

function nameOf({ layers, heads, layerWords, headWords }: ComparedAttention, index: number): string {
  const columns = Math.max(heads.length, 1);
  const layer = layers.length ? `layer ${layers[Math.floor(index / columns)]}` : layerWords;
  return `${layer}, ${heads.length ? `head ${heads[index % columns]}` : headWords}`;
}

function size({ isShares }: ComparedAttention, value: number): string {
  return isShares ? formatPercent(value).replace(" %", " points") : formatNumber(value);
}

/** The head after some moves; the mean comes before the first head. */
export function movedHead(part: ComparedAttention, head: number, by: number): number {
  const count = part.heads.length;
  return count < 2 ? head : ((head + 1 + by + count + 1) % (count + 1)) - 1;
}

/** The layer after some moves; the mean comes before the first layer. */
export function movedLayer(part: ComparedAttention, layer: number, by: number): number {
  return part.layers.length < 2 ? layer : clamp(layer + by, -1, part.layers.length - 1);
}
