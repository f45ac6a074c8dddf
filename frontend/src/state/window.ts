/** The window of rows and keys on screen, and how it moves over a long matrix. */

import { clamp } from "../data/clamp";
import type { Matrices } from "../data/matrices";
import type { State } from "./store";

type Extent = Pick<Matrices, "rows" | "keys">;

export interface Window {
  readonly firstRow: number;
  readonly rows: number;
  readonly firstKey: number;
  readonly keys: number;
}

/** Allowed window sizes, in rows and keys. */
export const SIZES: readonly number[] = [16, 24, 32, 48, 64, 96, 160, 256];
export const OPENING_SIZE = 32;
/** With more rows or keys than this, a report opens with a window. */
export const LONG = 160;
/** Up to this size a matrix is shown whole, with every label. */
export const SMALL = 32;

export function whole({ rows, keys }: Extent): Window {
  return { firstRow: 0, rows, firstKey: 0, keys };
}

/** A window of a size around a cell, kept within the matrix. */
export function windowAt(extent: Extent, size: number, row: number, key: number): Window {
  const [rows, keys] = [Math.min(size, extent.rows), Math.min(size, extent.keys)];
  return {
    firstRow: clamp(row - (rows >> 1), 0, extent.rows - rows),
    rows,
    firstKey: clamp(key - (keys >> 1), 0, extent.keys - keys),
    keys,
  };
}

/** The state's window of a matrix, or the whole matrix. */
export function windowOf(data: Matrices, state: Readonly<State>): Window {
  if (!state.zoom || Math.max(data.rows, data.keys) <= SMALL) return whole(data);
  const { zoomRow, zoomKey, zoomSize } = state;
  return windowAt(data, zoomSize, data.rowAxis.nearest(zoomRow), data.keyAxis.nearest(zoomKey));
}

export function contains(window: Window, row: number, key: number): boolean {
  const { firstRow, rows, firstKey, keys } = window;
  return row >= firstRow && row < firstRow + rows && key >= firstKey && key < firstKey + keys;
}

/** The tokens at the center of a window after moving it by rows and keys. */
export function moved(
  data: Matrices,
  window: Window,
  byRows: number,
  byKeys: number,
): Pick<State, "zoomRow" | "zoomKey"> {
  const { firstRow, rows, firstKey, keys } = window;
  const row = clamp(firstRow + byRows, 0, data.rows - rows) + (rows >> 1);
  const key = clamp(firstKey + byKeys, 0, data.keys - keys) + (keys >> 1);
  return { zoomRow: data.rowAxis.token(row), zoomKey: data.keyAxis.token(key) };
}

/** The next larger (1) or smaller (-1) size. */
export function resized(size: number, by: number): number {
  const index = SIZES.findIndex((candidate) => candidate >= size);
  return SIZES[clamp((index < 0 ? SIZES.length - 1 : index) + by, 0, SIZES.length - 1)];
}
