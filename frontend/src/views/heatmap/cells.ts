/** The cells of a matrix as an image. */

import type { AttentionData } from "../../attention-data";
import { type Colours, pixel, pixels } from "../../colours";
import type { State } from "../../store";
import type { Frame } from "./frame";

const MOST_DOTS = 1024;

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
