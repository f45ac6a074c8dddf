/** A bar chart: one row of shapes per bar, which the page puts into elements of its own and exports stack. */

import { fitted, type Measure, measured } from "./font";
import { lines, type Shape, shifted } from "./scene";

export interface BarRow {
  readonly label: string;
  /** Which of two texts it stands in, after the label; empty for a single text. */
  readonly side?: string;
  /** NaN has no bar. */
  readonly value: number;
  /** What stands at the end of the row, such as the share. */
  readonly words: string;
  readonly fill: string;
  /** The color of stripes on the bar. */
  readonly hatch?: string | undefined;
  /** Whether the label is in the muted color. */
  readonly muted?: boolean;
}

export interface BarChart {
  readonly width: number;
  readonly rowHeight: number;
  /** The magnitude of the longest bar. */
  readonly reach: number;
  /** Bars start in the middle, negative ones to the left. */
  readonly signed: boolean;
  /** Whether labels are long, as sentences are. */
  readonly wide?: boolean;
  /** Whether labels are followed by the text that they stand in. */
  readonly paired?: boolean;
  /** The colors of labels, of what is muted, and of the zero line. */
  readonly colors: { get(name: "text" | "muted" | "line"): string };
}

const GAP = 10;
const [LABEL, VALUE, SIDE] = [12.5, 12, 10.5];

/** Where the bars of a chart lie: left edge, zero and right edge. */
export function barRoom({ width, signed, wide, paired }: BarChart): {
  left: number;
  zero: number;
  right: number;
} {
  const usual = Math.min(Math.max(width * 0.3, 64), 150);
  const left = wide ? width * 0.5 : paired ? Math.min(width * 0.46, 220) : usual;
  const right = width - 62;
  return { left, zero: signed ? (left + right) / 2 : left, right };
}

/** One row, with its top left corner at the origin. */
export function barShapes(row: BarRow, chart: BarChart, measure: Measure = measured): Shape[] {
  const { rowHeight, reach, colors } = chart;
  const { left, zero, right } = barRoom(chart);
  const middle = rowHeight / 2;
  const beside = row.side ? measure(row.side, SIDE) + 6 : 0;
  const shapes: Shape[] = [
    {
      kind: "text",
      x: left - GAP - beside,
      y: middle,
      text: fitted(row.label, left - GAP - 4 - beside, LABEL, measure),
      size: LABEL,
      anchor: "end",
      fill: colors.get(row.muted ? "muted" : "text"),
    },
  ];
  if (row.side)
    shapes.push({
      kind: "text",
      x: left - GAP,
      y: middle,
      text: row.side,
      size: SIDE,
      anchor: "end",
      fill: colors.get("muted"),
    });
  if (chart.signed)
    shapes.push({
      kind: "path",
      d: lines([
        [zero, 0],
        [zero, rowHeight],
      ]),
      stroke: colors.get("line"),
      width: 1,
    });
  if (!Number.isNaN(row.value)) {
    const size = Math.max(Math.min(Math.abs(row.value) / (reach || 1), 1) * (right - zero), 1);
    const height = Math.min(rowHeight - 8, 13);
    shapes.push({
      kind: "rect",
      x: chart.signed && row.value < 0 ? zero - size : zero,
      y: middle - height / 2,
      width: size,
      height,
      fill: row.fill,
      radius: 2,
      hatch: row.hatch,
    });
  }
  shapes.push({
    kind: "text",
    x: chart.width - 4,
    y: middle,
    text: row.words,
    size: VALUE,
    anchor: "end",
    fill: colors.get("muted"),
  });
  return shapes;
}

/** All rows, one below the other. */
export function barsShapes(rows: readonly BarRow[], chart: BarChart, measure: Measure = measured): Shape[] {
  return rows.flatMap((row, index) => shifted(barShapes(row, chart, measure), 0, index * chart.rowHeight));
}
