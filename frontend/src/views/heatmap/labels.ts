/** The labels of a matrix's rows and columns. */

import type { Matrices } from "../../data/matrices";
import { short } from "../../data/units";
import { type Frame, LEGIBLE } from "./frame";

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

export function labelsOf(data: Matrices, frame: Frame): Label[] {
  const labels: Label[] = [];
  const legible = frame.cell >= LEGIBLE;
  if (legible) {
    const size = Math.min(12, frame.cell - 2);
    for (let row = 0; row < frame.rows; row++) {
      const y = frame.top + (row + 0.5) * frame.cell;
      const text = short(data.rowAxis.label(row + frame.firstRow));
      labels.push({ x: frame.left - 6, y, text, size, anchor: "right", turn: 0, strong: true });
    }
    for (let key = 0; key < frame.keys; key++) {
      const x = frame.left + (key + 0.5) * frame.cell;
      const text = short(data.keyAxis.label(key + frame.firstKey));
      labels.push({ x, y: frame.top - 6, text, size, anchor: "left", turn: -60, strong: true });
    }
  }
  const named = { size: 11, strong: false };
  const { steps } = data.part;
  if (legible) {
    const x = frame.left - 6;
    labels.push({ ...named, x, y: frame.top - 26, text: "to (key) →", anchor: "right", turn: 0 });
    const text = steps ? "step ↓" : "from (query) ↓";
    labels.push({ ...named, x, y: frame.top - 9, text, anchor: "right", turn: 0 });
  } else {
    labels.push({ ...named, x: frame.left, y: 12, text: "to (key) →", anchor: "left", turn: 0 });
    const text = steps ? "← step" : "← from (query)";
    labels.push({ ...named, x: 12, y: frame.top, text, anchor: "right", turn: -90 });
  }
  return labels;
}
