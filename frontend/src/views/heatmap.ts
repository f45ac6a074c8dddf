/** One head's weights as a matrix: rows look, columns are looked at. */

import type { AttentionData } from "../attention-data";
import { type Colours, pixel, pixels } from "../colours";
import type { Context } from "../context";
import { h } from "../dom";
import { clamp, number, percent } from "../format";
import type { State } from "../store";
import { visible } from "../units";

/** The part of the matrix that is on screen, and where. */
export interface Frame {
  readonly firstRow: number;
  readonly rows: number;
  readonly firstKey: number;
  readonly keys: number;
  /** Left and top edge of the cells, and their size, in CSS pixels. */
  readonly left: number;
  readonly top: number;
  readonly cell: number;
  readonly width: number;
  readonly height: number;
}

const MOST_DOTS = 1024;
const LEGIBLE = 13;
const ZOOMED = 32;
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif';

/** Lay a matrix out in a width: labels where the cells leave room for them. */
export function frameOf(
  data: Pick<AttentionData, "rows" | "keys">,
  width: number,
  view: { zoom: boolean; row: number; key: number },
): Frame {
  const rows = view.zoom ? Math.min(ZOOMED, data.rows) : data.rows;
  const keys = view.zoom ? Math.min(ZOOMED, data.keys) : data.keys;
  const firstRow = clamp(view.row - Math.floor(rows / 2), 0, data.rows - rows);
  const firstKey = clamp(view.key - Math.floor(keys / 2), 0, data.keys - keys);
  const withLabels = Math.min((width - 104) / keys, 560 / rows, 38);
  const legible = withLabels >= LEGIBLE;
  const left = legible ? 96 : 26;
  const top = legible ? 84 : 26;
  const cell = legible ? Math.floor(withLabels) : Math.min((width - left - 8) / keys, 560 / rows);
  return {
    firstRow,
    rows,
    firstKey,
    keys,
    left,
    top,
    cell,
    width: Math.ceil(left + keys * cell + 8),
    height: Math.ceil(top + rows * cell + 8),
  };
}

/** Return the cells as an image, one dot a cell or the largest of a block of cells. */
export function paintCells(
  data: AttentionData,
  state: Readonly<State>,
  colours: Colours,
  frame: Frame,
  most = MOST_DOTS,
): { image: ImageData; block: number } {
  const { layer, head, sinks: mode } = state;
  const block = Math.max(1, Math.ceil(Math.max(frame.rows, frame.keys) / most));
  const [across, down] = [Math.ceil(frame.keys / block), Math.ceil(frame.rows / block)];
  const sizes = new Float32Array(across * down).fill(Number.NaN);
  const sinks = data.sinks(layer, head);
  const isOff = (key: number) => mode !== "raw" && sinks.has(key);
  const global = state.scale === "global" ? data.globalPeak(mode) : data.peak(layer, head, mode);
  for (let row = 0; row < frame.rows; row++) {
    const whole = row + frame.firstRow;
    let weights: Float32Array | null = null;
    let factor = 1;
    if (mode === "renormalised" || state.scale === "row") {
      weights = data.row(layer, head, whole, mode).weights;
      if (state.scale === "row") {
        let peak = 0;
        weights.forEach((weight, key) => {
          if (!isOff(key)) peak = Math.max(peak, Math.abs(weight));
        });
        factor = peak ? 1 / peak : 0;
      }
    }
    if (state.scale !== "row") factor = global ? 1 / global : 0;
    const put = (key: number, weight: number) => {
      const column = key - frame.firstKey;
      if (column < 0 || column >= frame.keys) return;
      const place = Math.floor(row / block) * across + Math.floor(column / block);
      const size = isOff(key) ? Number.NEGATIVE_INFINITY : weight * factor;
      const held = sizes[place];
      if (Number.isNaN(held) || Math.abs(size) > Math.abs(held) || held === Number.NEGATIVE_INFINITY)
        sizes[place] = size;
    };
    // Cells that were not kept count as none, masked ones stay apart.
    for (let key = frame.firstKey; key < frame.firstKey + frame.keys; key++) {
      if (data.allowed(whole, key)) put(key, weights ? weights[key] : 0);
    }
    if (!weights) data.visit(layer, head, (_, key, weight) => put(key, weight), whole, whole);
  }
  const image = new ImageData(across, down);
  const dots = new Uint32Array(image.data.buffer);
  const { palette } = colours;
  const above = pixels(data.part.weights.signed ? palette.supports : palette.attention);
  const below = pixels(palette.against);
  const [masked, sink] = [pixel(colours.get("masked")), pixel(colours.get("sink"))];
  const curve = isCurved(data) ? Math.sqrt : (size: number) => size;
  sizes.forEach((size, place) => {
    if (Number.isNaN(size)) dots[place] = masked;
    else if (size === Number.NEGATIVE_INFINITY) dots[place] = sink;
    else dots[place] = (size < 0 ? below : above)[Math.round(255 * curve(Math.min(Math.abs(size), 1)))];
  });
  return { image, block };
}

/** Whether colours follow the square root, as the many small weights of a long text ask for. */
export function isCurved(data: Pick<AttentionData, "keys">): boolean {
  return data.keys > 64;
}

/** Draw a matrix with its labels; the canvas may be one for export. */
export function drawMatrix(
  context: CanvasRenderingContext2D,
  { model }: Pick<Context, "model">,
  data: AttentionData,
  state: Readonly<State>,
  colours: Colours,
  frame: Frame,
): void {
  const { image } = paintCells(data, state, colours, frame);
  const source = document.createElement("canvas");
  [source.width, source.height] = [image.width, image.height];
  source.getContext("2d")!.putImageData(image, 0, 0);
  const [width, height] = [frame.keys * frame.cell, frame.rows * frame.cell];
  context.imageSmoothingEnabled = image.width > width;
  context.drawImage(source, frame.left, frame.top, width, height);
  if (state.sinks !== "raw") hatch(context, colours, frame, data.sinks(state.layer, state.head));
  context.textBaseline = "middle";
  for (const label of labelsOf(model, data, frame)) {
    context.save();
    context.fillStyle = colours.get(label.strong ? "text" : "muted");
    context.font = `${label.size}px ${FONT}`;
    context.textAlign = label.anchor;
    context.translate(label.x, label.y);
    context.rotate((label.turn * Math.PI) / 180);
    context.fillText(label.text, 0, 0);
    context.restore();
  }
}

export interface Label {
  readonly x: number;
  readonly y: number;
  readonly text: string;
  readonly size: number;
  readonly anchor: "left" | "right" | "center";
  /** Degrees. */
  readonly turn: number;
  readonly strong: boolean;
}

export function labelsOf(model: Context["model"], data: AttentionData, frame: Frame): Label[] {
  const { part } = data;
  const labels: Label[] = [];
  if (frame.cell >= LEGIBLE) {
    const size = Math.min(12, frame.cell - 2);
    const rows = model.payload.tables[part.rowTable].labels;
    const keys = model.payload.tables[part.keyTable].labels;
    for (let row = 0; row < frame.rows; row++) {
      const y = frame.top + (row + 0.5) * frame.cell;
      const text = short(rows[part.rowPositions[row + frame.firstRow]]);
      labels.push({ x: frame.left - 6, y, text, size, anchor: "right", turn: 0, strong: true });
    }
    for (let key = 0; key < frame.keys; key++) {
      const x = frame.left + (key + 0.5) * frame.cell;
      const text = short(keys[part.keyPositions[key + frame.firstKey]]);
      labels.push({ x, y: frame.top - 6, text, size, anchor: "left", turn: -60, strong: true });
    }
  }
  const named = { size: 11, strong: false };
  if (frame.cell >= LEGIBLE) {
    const x = frame.left - 6;
    labels.push({ ...named, x, y: frame.top - 26, text: "to (key) →", anchor: "right", turn: 0 });
    const text = part.steps ? "step ↓" : "from (query) ↓";
    labels.push({ ...named, x, y: frame.top - 9, text, anchor: "right", turn: 0 });
  } else {
    labels.push({ ...named, x: frame.left, y: 12, text: "to (key) →", anchor: "left", turn: 0 });
    const text = part.steps ? "← step" : "← from (query)";
    labels.push({ ...named, x: 12, y: frame.top, text, anchor: "right", turn: -90 });
  }
  return labels;
}

export function short(label: string): string {
  const characters = Array.from(visible(label));
  return characters.length > 12 ? `${characters.slice(0, 11).join("")}…` : characters.join("");
}

function hatch(
  context: CanvasRenderingContext2D,
  colours: Colours,
  frame: Frame,
  sinks: ReadonlySet<number>,
): void {
  context.save();
  context.strokeStyle = colours.get("hatch");
  context.lineWidth = 1;
  for (const sink of sinks) {
    const x = frame.left + (sink - frame.firstKey) * frame.cell;
    if (sink < frame.firstKey || sink >= frame.firstKey + frame.keys) continue;
    const width = Math.max(frame.cell, 3);
    context.save();
    context.beginPath();
    context.rect(x, frame.top, width, frame.rows * frame.cell);
    context.clip();
    context.beginPath();
    for (let y = frame.top - width; y < frame.top + frame.rows * frame.cell + width; y += 6) {
      context.moveTo(x, y + width);
      context.lineTo(x + width, y);
    }
    context.stroke();
    context.restore();
  }
  context.restore();
}

export interface Heatmap {
  readonly element: HTMLElement;
  show(data: AttentionData): void;
}

export function heatmapView(context: Context): Heatmap {
  const { model, store, actions, theme, tooltip } = context;
  const base = h("canvas", { class: "matrix" });
  const over = h("canvas", { class: "matrix over", tabindex: 0, role: "img", "data-view": "heatmap" });
  const element = h("div", { class: "heatmap" }, base, over);
  let data: AttentionData | undefined;
  let frame: Frame | undefined;
  let hovered: { row: number; key: number } | undefined;
  let view = { row: 0, key: 0 };
  let scheduled = 0;

  const selectedRow = () => rowOfToken(context, data!, store.state.focus);
  const draw = () => {
    scheduled = 0;
    if (!data || !element.clientWidth) return;
    const { state } = store;
    const width = element.clientWidth;
    frame = frameOf(data, width, { zoom: state.zoom, ...view });
    const pen = sized(base, frame);
    drawMatrix(pen, context, data, state, theme.colours, frame);
    sized(over, frame);
    overlay();
    const where = placeWords(data, state);
    const extent = `${data.rows.toLocaleString("en")} × ${data.keys.toLocaleString("en")}`;
    over.setAttribute(
      "aria-label",
      `Attention matrix, ${where}: ${extent} weights. Arrow keys move the selection.`,
    );
  };
  const schedule = () => {
    if (!scheduled) scheduled = requestAnimationFrame(draw);
  };

  const overlay = () => {
    if (!data || !frame) return;
    const pen = over.getContext("2d")!;
    const ratio = devicePixelRatio || 1;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, frame.width, frame.height);
    const { colours } = theme;
    const [width, height] = [frame.keys * frame.cell, frame.rows * frame.cell];
    const row = selectedRow();
    const key = keyOfToken(context, data, store.state.focus);
    pen.lineWidth = 2;
    pen.strokeStyle = colours.get("text");
    if (row >= frame.firstRow && row < frame.firstRow + frame.rows) {
      const y = frame.top + (row - frame.firstRow) * frame.cell;
      pen.strokeRect(frame.left - 1, y - 1, width + 2, Math.max(frame.cell, 2) + 2);
    } else if (row < 0 && key >= frame.firstKey && key < frame.firstKey + frame.keys) {
      const x = frame.left + (key - frame.firstKey) * frame.cell;
      pen.strokeRect(x - 1, frame.top - 1, Math.max(frame.cell, 2) + 2, height + 2);
    }
    pen.lineWidth = 1;
    pen.strokeStyle = colours.get("muted");
    const hoverRow = hovered?.row ?? rowOfToken(context, data, store.state.hover);
    const hoverKey = hovered?.key ?? keyOfToken(context, data, store.state.hover);
    if (hoverRow >= frame.firstRow && hoverRow < frame.firstRow + frame.rows) {
      pen.strokeRect(
        frame.left,
        frame.top + (hoverRow - frame.firstRow) * frame.cell,
        width,
        Math.max(frame.cell, 2),
      );
    }
    if (hoverKey >= frame.firstKey && hoverKey < frame.firstKey + frame.keys) {
      pen.strokeRect(
        frame.left + (hoverKey - frame.firstKey) * frame.cell,
        frame.top,
        Math.max(frame.cell, 2),
        height,
      );
    }
  };

  const cellAt = (event: MouseEvent) => {
    if (!frame || !data) return undefined;
    const box = over.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left - frame.left) / frame.cell);
    const line = Math.floor((event.clientY - box.top - frame.top) / frame.cell);
    if (column < 0 || line < 0 || column >= frame.keys || line >= frame.rows) return undefined;
    return { row: line + frame.firstRow, key: column + frame.firstKey };
  };
  over.addEventListener("pointermove", (event) => {
    hovered = cellAt(event);
    overlay();
    if (!hovered || !data) return tooltip.hide();
    const { state } = store;
    const { part } = data;
    const from = model.payload.tables[part.rowTable].labels[part.rowPositions[hovered.row]];
    const to = model.payload.tables[part.keyTable].labels[part.keyPositions[hovered.key]];
    const heading = `${part.steps ? `step ${hovered.row + 1}: ` : ""}${from} → ${to}`;
    return tooltip.show(
      event.clientX,
      event.clientY,
      heading,
      cellRows(data, state, hovered.row, hovered.key),
    );
  });
  over.addEventListener("pointerleave", () => {
    hovered = undefined;
    tooltip.hide();
    overlay();
  });
  over.addEventListener("click", (event) => {
    const cell = cellAt(event);
    if (!cell || !data) return;
    view = cell;
    const token = data.part.rowPositions[cell.row];
    if (data.part.rowTable === model.tableIndex(store.state))
      actions.select(token, { extend: event.shiftKey });
  });

  store.watch(["layer", "head", "sinks", "scale", "zoom"], schedule);
  store.watch(["anchor", "focus"], () => {
    if (!data) return;
    const row = selectedRow();
    if (row >= 0 && store.state.zoom) {
      view = { row, key: Math.max(keyOfToken(context, data, store.state.focus), 0) };
      schedule();
    } else {
      if (row >= 0) view = { row, key: Math.max(keyOfToken(context, data, store.state.focus), 0) };
      overlay();
    }
  });
  store.watch(["hover", "attribution"], overlay);
  theme.watch(schedule);
  new ResizeObserver(schedule).observe(element);
  return {
    element,
    show: (shown) => {
      data = shown;
      hovered = undefined;
      view = { row: 0, key: 0 };
      schedule();
    },
  };
}

/** The row that a token of the table on screen looks from, or that produced it; -1 none. */
export function rowOfToken({ model, store }: Context, data: AttentionData, token: number): number {
  if (token < 0 || data.part.rowTable !== model.tableIndex(store.state)) return -1;
  return data.part.rowPositions.indexOf(token);
}

export function keyOfToken({ model, store }: Context, data: AttentionData, token: number): number {
  if (token < 0 || data.part.keyTable !== model.tableIndex(store.state)) return -1;
  return data.part.keyPositions.indexOf(token);
}

export function placeWords(data: AttentionData, state: Readonly<State>): string {
  const { part } = data;
  const layer = part.layers.length ? `layer ${part.layers[state.layer]}` : part.layerWords;
  if (part.heads.length < 2) return `${layer}, ${part.headWords}`;
  return `${layer}, ${state.head < 0 ? part.headWords : `head ${part.heads[state.head]}`}`;
}

function cellRows(data: AttentionData, state: Readonly<State>, row: number, key: number): [string, string][] {
  if (!data.allowed(row, key)) return [["weight", "masked: it may not look there"]];
  const raw = data.row(state.layer, state.head, row, "raw");
  const { error } = data.part.weights;
  const rows: [string, string][] = [["weight", `${number(raw.weights[key])} ± ${number(error)}`]];
  if (!data.isDense && raw.weights[key] === 0) rows[0] = ["weight", "not among those kept"];
  if (state.sinks === "renormalised" && !raw.sinks.has(key)) {
    rows.push([
      "without sinks",
      percent(data.row(state.layer, state.head, row, "renormalised").weights[key]),
    ]);
  }
  if (raw.sinks.has(key)) rows.push(["sink", "soaks up attention whoever asks"]);
  rows.push(["at", placeWords(data, state)]);
  return rows;
}

function sized(canvas: HTMLCanvasElement, frame: Frame): CanvasRenderingContext2D {
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(frame.width * ratio);
  canvas.height = Math.round(frame.height * ratio);
  canvas.style.width = `${frame.width}px`;
  canvas.style.height = `${frame.height}px`;
  const pen = canvas.getContext("2d")!;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  return pen;
}
