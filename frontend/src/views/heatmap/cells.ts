/** The cells of a matrix as an image. */

import type { Matrices } from "../../data/matrices";
import type { Plane } from "../../data/planes";
import { rowFloor, type Scale } from "../../data/scale";
import type { State } from "../../state/store";
import type { Window } from "../../state/window";
import { type Colors, pixel, pixels } from "../../ui/colors";

const MAX_DOTS = 1024;
const OFF = Number.NEGATIVE_INFINITY;

/** Return an image with one dot per cell; of many cells, one dot per block, colored by its largest weight. */
export function paintCells(
  { data, layer, head }: Plane,
  state: Pick<State, "sinks" | "scale">,
  colors: Colors,
  window: Window,
  maxDots = MAX_DOTS,
): ImageData {
  const mode = state.sinks;
  const { firstRow, rows, firstKey, keys } = window;
  const [tall, wide] = [rows, keys].map((count) => Math.max(1, Math.ceil(count / maxDots)));
  const [across, down] = [Math.ceil(keys / wide), Math.ceil(rows / tall)];
  const off = new Uint8Array(data.keys);
  if (mode !== "raw") for (const sink of data.sinks(layer, head)) off[sink] = 1;
  const sizes = emptyCells(data, window, tall, wide, off);
  const put = (row: number, key: number, size: number) => {
    if (key < firstKey || key >= firstKey + keys || off[key]) return;
    const dot = Math.floor((row - firstRow) / tall) * across + Math.floor((key - firstKey) / wide);
    const current = sizes[dot];
    if (Number.isNaN(current) || Math.abs(size) > Math.abs(current)) sizes[dot] = size;
  };
  const lastRow = firstRow + rows - 1;
  if (state.scale === "row" || mode === "renormalized") {
    const peak = state.scale === "row" ? 0 : shownScale({ data, layer, head }, state).reach;
    for (let row = firstRow; row <= lastRow; row++) {
      const { weights } = data.row(layer, head, row, mode);
      let reach = peak;
      if (state.scale === "row") {
        let [total, tokens] = [0, 0];
        weights.forEach((weight, key) => {
          if (off[key] || !data.allowed(row, key)) return;
          reach = Math.max(reach, Math.abs(weight));
          total += Math.abs(weight);
          tokens += data.tokensOf(key);
        });
        reach = Math.max(reach, rowFloor(data, total, tokens));
      }
      weights.forEach((weight, key) => {
        if (weight !== 0) put(row, key, weight / reach);
      });
    }
  } else {
    const factor = 1 / (shownScale({ data, layer, head }, state).reach || 1);
    data.visit(layer, head, (row, key, weight) => put(row, key, weight * factor), firstRow, lastRow);
  }
  const image = new ImageData(across, down);
  const dots = new Uint32Array(image.data.buffer);
  const { palette } = colors;
  const above = pixels(data.part.weights.signed ? palette.supports : data.ramp(palette));
  const below = pixels(palette.against);
  const [masked, sink] = [pixel(colors.get("masked")), pixel(colors.get("sink"))];
  const curve = isCurved(data) ? Math.sqrt : (size: number) => size;
  sizes.forEach((size, dot) => {
    if (Number.isNaN(size)) dots[dot] = masked;
    else if (size === OFF) dots[dot] = sink;
    else dots[dot] = (size < 0 ? below : above)[Math.round(255 * curve(Math.min(Math.abs(size), 1)))];
  });
  return image;
}

/** Cells before any weight is drawn: masked ones are NaN, cells without a stored weight are 0. */
function emptyCells(
  data: Matrices,
  window: Window,
  tall: number,
  wide: number,
  off: Uint8Array,
): Float64Array {
  const { firstRow, rows, firstKey, keys } = window;
  const [across, down] = [Math.ceil(keys / wide), Math.ceil(rows / tall)];
  const sizes = new Float64Array(across * down).fill(Number.NaN);
  for (let column = 0; column < across; column++) {
    const first = firstKey + column * wide;
    const last = Math.min(first + wide, firstKey + keys) - 1;
    const empty = off.subarray(first, last + 1).every((sink) => sink === 1) ? OFF : 0;
    for (let line = 0; line < down; line++) {
      const top = firstRow + line * tall;
      const bottom = Math.min(top + tall, firstRow + rows) - 1;
      if (data.allowsAny(top, bottom, first, last)) sizes[line * across + column] = empty;
    }
  }
  return sizes;
}

/** The color scale, if it is the same for all rows. */
export function shownScale(
  { data, layer, head }: Plane,
  { scale, sinks }: Pick<State, "sinks" | "scale">,
): Scale {
  return scale === "global" ? data.globalScale(sinks) : data.scale(layer, head, sinks);
}

/** Whether colors follow the square root, which shows the small weights of long texts. */
export function isCurved(data: Pick<Matrices, "manySmall">): boolean {
  return data.manySmall;
}
