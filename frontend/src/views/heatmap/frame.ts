/** Which part of a matrix is on screen, and where its cells lie. */

import type { AttentionData } from "../../attention-data";
import { clamp } from "../../format";

export const LEGIBLE = 13;
const ZOOMED = 32;

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
