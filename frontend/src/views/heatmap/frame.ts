/** Layout of a window's cells on its canvas. */

import type { Window } from "../../state/window";

export const LEGIBLE = 13;
const SLANTED = 34; // space for the slanted label of the last column

export interface Frame extends Window {
  /** Left and top edge of the cells, and their size, in CSS pixels. */
  readonly left: number;
  readonly top: number;
  readonly cell: number;
  readonly width: number;
  readonly height: number;
}

/** Fit a window into a width, with labels if the cells are large enough. */
export function frameOf(window: Window, width: number): Frame {
  const { rows, keys } = window;
  const withLabels = Math.min((width - 96 - SLANTED) / keys, 600 / rows, 38);
  const legible = withLabels >= LEGIBLE;
  const left = legible ? 96 : 26;
  const top = legible ? 84 : 26;
  const cell = legible ? Math.floor(withLabels) : Math.min((width - left - 8) / keys, 560 / rows);
  return {
    ...window,
    left,
    top,
    cell,
    width: Math.ceil(left + keys * cell + (legible ? SLANTED : 8)),
    height: Math.ceil(top + rows * cell + 8),
  };
}
