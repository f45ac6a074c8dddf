/** A map as scenes: the names of its columns, of its rows, and its cells. */

import { clamp } from "../data/clamp";
import type { LedgerAxis, LedgerMap } from "../data/payload.generated";
import { fitted, measured } from "../scene/font";
import { type Scene, type Shape, shifted } from "../scene/scene";
import { type Colors, textOn } from "../ui/colors";
import { formatNumber } from "../ui/format";
import { CANCELING, columnLabel, valueAt } from "./words";

const SIZE = 12;
const NUMBER = 11;
const [LOWEST, HIGHEST] = [15, 34];
const HEIGHT = 480; // of all rows, where their heights allow it
const [NARROWEST, WIDEST] = [22, 128];
/** Beyond this many columns they are as narrow as it takes, without names. */
const MOST_NAMED = 600;
const SLANT = Math.PI / 3;
const WRITTEN = 0.02; // of the strongest color, from which a cell says its share
const LEAST_FOR_NUMBERS = 40;
const [SHORT, LONGEST] = [168, 216]; // the most of a slanted name, on a phone and on a wide page

export interface Grid {
  readonly top: Scene;
  readonly left: Scene;
  readonly cells: Scene;
  readonly columnWidth: number;
  readonly rowHeight: number;
}

export interface Drawn {
  readonly map: LedgerMap;
  readonly axis: LedgerAxis;
  readonly spans: readonly (readonly [number, number])[];
  readonly difference: number;
}

/** Lay out a map in a width; it is wider where its columns need more room. */
export function gridOf({ map, axis, spans, difference }: Drawn, colors: Colors, width: number): Grid {
  const count = spans.length;
  const names = map.rowLabels;
  const left = Math.ceil(Math.max(...names.map((name) => measured(name, SIZE)), 20)) + 16;
  const labels = spans.map((span) => columnLabel(axis, span));
  const longest = Math.max(...labels.map((label) => measured(label, SIZE, 640)));
  const isNamed = count <= MOST_NAMED;
  const room = Math.floor((width - left) / count);
  const isUpright = isNamed && clamp(room, NARROWEST, WIDEST) >= longest + 10;
  const slanted = Math.min(Math.ceil(longest), clamp(width / 4, SHORT, LONGEST));
  const overhang = isNamed && !isUpright ? Math.ceil(slanted * Math.cos(SLANT)) : 0;
  const columnWidth = isUpright
    ? clamp(room, NARROWEST, WIDEST)
    : clamp(Math.floor((width - left - overhang) / count), isNamed ? NARROWEST : 4, WIDEST);
  const rowHeight = clamp(Math.round(HEIGHT / map.rows.length), LOWEST, HIGHEST);
  const topHeight = !isNamed ? 6 : isUpright ? 26 : Math.ceil(slanted * Math.sin(SLANT)) + 14;
  const background = colors.get("background");
  const height = rowHeight * map.rows.length;
  return {
    columnWidth,
    rowHeight,
    top: {
      width: columnWidth * count + overhang,
      height: topHeight,
      background,
      shapes: isNamed
        ? columnNames(labels, { axis, spans, columnWidth, topHeight, isUpright, longest: slanted }, colors)
        : [],
    },
    left: {
      width: left,
      height,
      background,
      shapes: names.map((text, row) => ({
        kind: "text",
        x: left - 7,
        y: (names.length - row - 0.5) * rowHeight,
        text,
        size: SIZE,
        anchor: "end",
        fill: colors.get("text"),
      })),
    },
    cells: {
      width: columnWidth * count,
      height,
      background,
      shapes: cellShapes({ map, axis, spans, difference }, { columnWidth, rowHeight }, colors),
    },
  };
}

interface Named {
  readonly axis: LedgerAxis;
  readonly spans: readonly (readonly [number, number])[];
  readonly columnWidth: number;
  readonly topHeight: number;
  readonly isUpright: boolean;
  /** The most that a slanted name takes. */
  readonly longest: number;
}

function columnNames(
  labels: readonly string[],
  { axis, spans, columnWidth, topHeight, isUpright, longest }: Named,
  colors: Colors,
): Shape[] {
  return labels.map((label, index): Shape => {
    const [first, last] = spans[index];
    const isMarked = first === last && axis.marked[first];
    const isMuted = first < last || axis.muted[first];
    const look = {
      size: SIZE,
      weight: isMarked ? 640 : 400,
      fill: colors.get(isMuted ? "muted" : "text"),
    } as const;
    const x = (index + 0.5) * columnWidth;
    if (isUpright) return { kind: "text", x, y: topHeight / 2, text: label, anchor: "middle", ...look };
    const text = fitted(label, longest, SIZE, (words, size) => measured(words, size, look.weight));
    return { kind: "text", x, y: topHeight - 7, text, turn: -60, ...look };
  });
}

function cellShapes(
  { map, axis: _, spans, difference }: Drawn,
  { columnWidth, rowHeight }: { columnWidth: number; rowHeight: number },
  colors: Colors,
): Shape[] {
  const shapes: Shape[] = [];
  const gap = columnWidth >= 12 ? 1 : 0;
  const hasNumbers = columnWidth >= LEAST_FOR_NUMBERS && difference !== 0;
  // Of a difference that is left of contributions that cancel, shares say little.
  const asShares = map.reach <= CANCELING * Math.abs(difference);
  const written = (value: number) =>
    asShares ? `${Math.round((100 * value) / difference)} %`.replace("-", "−") : formatNumber(value);
  map.rows.forEach((_name, row) => {
    const y = (map.rows.length - row - 1) * rowHeight;
    spans.forEach((span, index) => {
      const strength = valueAt(map, row, span) / map.reach;
      const fill = colors.score(clamp(strength, -1, 1), true);
      const x = index * columnWidth;
      shapes.push({ kind: "rect", x, y, width: columnWidth - gap, height: rowHeight - gap, fill });
      if (!hasNumbers || Math.abs(strength) < WRITTEN) return;
      shapes.push({
        kind: "text",
        x: x + columnWidth / 2,
        y: y + rowHeight / 2,
        text: written(strength * map.reach),
        size: NUMBER,
        anchor: "middle",
        fill: textOn(fill),
      });
    });
  });
  return shapes;
}

/** The whole map as one scene, for exports. */
export function joined({ top, left, cells }: Grid): Pick<Scene, "width" | "height" | "shapes"> {
  return {
    width: left.width + Math.max(top.width, cells.width),
    height: top.height + cells.height,
    shapes: [
      ...shifted(top.shapes, left.width, 0),
      ...shifted(left.shapes, 0, top.height),
      ...shifted(cells.shapes, left.width, top.height),
    ],
  };
}
