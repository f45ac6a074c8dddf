/** What stands beside a matrix: the names of its rows and columns. */

import type { AttentionData } from "../../attention-data";
import type { Model } from "../../model";
import { visible } from "../../units";
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

export function labelsOf(model: Model, data: AttentionData, frame: Frame): Label[] {
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
