/** Layout of a matrix: where its cells lie, which rows and columns are labeled, and how long labels can be. */

import type { Matrices } from "../../data/matrices";
import { visible } from "../../data/units";
import { fitted, type Measure, measured } from "../../scene/font";
import { lines, type Path, type Text } from "../../scene/scene";
import type { Window } from "../../state/window";

export interface Label extends Omit<Text, "fill"> {
  readonly axis: "row" | "key" | "name";
}

export interface Frame extends Window {
  /** Left and top edge of the cells, and the size of one, in CSS pixels. */
  readonly left: number;
  readonly top: number;
  readonly cellWidth: number;
  readonly cellHeight: number;
  readonly width: number;
  readonly height: number;
  readonly labels: readonly Label[];
  /** From each label to its row or column, where not every one has a label. */
  readonly ticks: Pick<Path, "d"> | null;
}

type Labeled = Pick<Matrices, "part"> & {
  readonly rowAxis: { label(index: number): string };
  readonly keyAxis: { label(index: number): string };
};

const [TURN, LARGEST, TALLEST, WIDE] = [60, 38, 600, 18];
const [SIN, COS] = [Math.sin((TURN * Math.PI) / 180), Math.cos((TURN * Math.PI) / 180)];
const [GAP, EDGE, SPACING] = [6, 3, 1.1];

/**
 * Fit a window into a width.
 *
 * The size of the cells follows from the room beside the longest labels; where the cells are lower or narrower
 * than a line of text, every second, third, … one has a label. A label that is longer than its room ends with
 * an ellipsis: row labels at the left edge, column labels at the top edge and, for the last ones, the right.
 */
export function frameOf(data: Labeled, window: Window, width: number, measure: Measure = measured): Frame {
  const { rows, keys, firstRow, firstKey } = window;
  const rowLabels = Array.from({ length: rows }, (_, row) => visible(data.rowAxis.label(row + firstRow)));
  const keyLabels = Array.from({ length: keys }, (_, key) => visible(data.keyAxis.label(key + firstKey)));
  const isNarrow = width < 480;
  const longest = (labels: readonly string[], most: number) =>
    Math.min(Math.max(...labels.map((label) => measure(label, 12))), most);
  const names = namesOf(data.part, isNarrow);
  const left =
    GAP + EDGE + Math.max(longest(rowLabels, isNarrow ? 76 : 104), ...names.map((name) => measure(name, 11)));
  const right = isNarrow ? 16 : 34;
  const across = Math.max(width - left - right, 40) / keys;
  const down = TALLEST / rows;
  const cell = Math.min(across, down, LARGEST);
  // Few rows of many keys, or the other way around, need not be squares.
  const cellWidth = crisp(rows >= 2 * keys ? Math.min(across, Math.max(cell, WIDE)) : cell);
  const cellHeight = crisp(keys >= 2 * rows ? Math.min(down, Math.max(cell, WIDE)) : cell);
  const size = Math.min(12, Math.max(10, Math.min(cellWidth * 0.75, cellHeight * 0.85)));
  const half = (size * SPACING) / 2;
  const slant = longest(keyLabels, isNarrow ? 70 : 104);
  const top = Math.ceil(Math.max(slant * SIN + half * COS + GAP + EDGE, 2 * 11 * SPACING + GAP));
  const frameWidth = Math.min(width, Math.ceil(left + keys * cellWidth + right));
  const frameHeight = Math.ceil(top + rows * cellHeight + half);
  const [rowStep, keyStep] = [
    Math.ceil((size * SPACING) / cellHeight),
    Math.ceil((size * SPACING) / SIN / cellWidth),
  ];
  const labels: Label[] = [];
  const ticks: [number, number][][] = [];
  for (let row = 0; row < rows; row += rowStep) {
    const y = top + (row + 0.5) * cellHeight;
    const text = fitted(rowLabels[row], left - GAP - EDGE, size, measure);
    labels.push({ axis: "row", kind: "text", x: left - GAP, y, text, size, anchor: "end" });
    if (rowStep > 1)
      ticks.push([
        [left - 4, y],
        [left - 1, y],
      ]);
  }
  for (let key = 0; key < keys; key += keyStep) {
    const x = left + (key + 0.5) * cellWidth;
    const y = top - GAP;
    const room = Math.min((y - EDGE - half * COS) / SIN, (frameWidth - EDGE - x - half * SIN) / COS);
    const text = fitted(keyLabels[key], room, size, measure);
    labels.push({ axis: "key", kind: "text", x, y, text, size, anchor: "start", turn: -TURN });
    if (keyStep > 1)
      ticks.push([
        [x, top - 4],
        [x, top - 1],
      ]);
  }
  names.forEach((text, line) => {
    const y = top - GAP - (names.length - 0.5 - line) * 11 * SPACING;
    labels.push({ axis: "name", kind: "text", x: left - GAP, y, text, size: 11, anchor: "end" });
  });
  return {
    ...window,
    left,
    top,
    cellWidth,
    cellHeight,
    width: frameWidth,
    height: frameHeight,
    labels,
    ticks: ticks.length ? { d: lines(...ticks) } : null,
  };
}

/** What the columns and the rows are, above the row labels. */
function namesOf({ map, steps, queryName, keyName }: Labeled["part"], isNarrow: boolean): [string, string] {
  if (map === "scores") return [`${keyName} →`, `${queryName} ↓`];
  const columns = isNarrow ? `${keyName} →` : `to (${keyName}) →`;
  return [columns, steps ? "step ↓" : isNarrow ? `${queryName} ↓` : `from (${queryName}) ↓`];
}

/** Whole pixels where cells are large enough for it. */
function crisp(size: number): number {
  return size >= 16 ? Math.floor(size) : size;
}
