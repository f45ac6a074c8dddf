/** The grid of predictions as scenes: the names of the layers, and the cells with the tokens above them. */

import { clamp } from "../../data/clamp";
import type { Lens } from "../../data/payload.generated";
import { visible } from "../../data/units";
import { fitted, measured } from "../../scene/font";
import { type Scene, type Shape, shifted } from "../../scene/scene";
import { type Colors, textOn } from "../../ui/colors";
import { readingOf, rowsOf } from "./data";

const [NARROWEST, WIDEST] = [44, 76];
/** Beyond this many positions columns are as narrow as it takes, without words. */
const MOST_NAMED = 200;
/** The height of the tokens. */
export const HEAD = 22;
const SIZE = 11;

export interface Grid {
  readonly names: Scene;
  readonly cells: Scene;
  /** The size of a cell. */
  readonly columnWidth: number;
  readonly rowHeight: number;
}

/** Lay out the grid in a width; it is wider where its words need more room. */
export function gridOf(lens: Lens, tokens: readonly string[], colors: Colors, width: number): Grid {
  const rows = rowsOf(lens);
  const count = lens.positions.length;
  const names = lens.layers.map((name) => fitted(shortName(name), 72, SIZE));
  const left = Math.ceil(Math.max(...names.map((name) => measured(name, SIZE)))) + 8;
  const room = (width - left) / count;
  const columnWidth = clamp(room, count > MOST_NAMED ? 4 : NARROWEST, WIDEST);
  const rowHeight = clamp(Math.round(460 / rows.length), 15, 26);
  const height = rows.length * rowHeight + HEAD;
  const hasWords = columnWidth >= 16;
  const cells: Shape[] = [];
  const write = (words: string, column: number, y: number, fill: string) => {
    if (!hasWords) return;
    const text = fitted(visible(words), columnWidth - 4, SIZE);
    cells.push({
      kind: "text",
      x: (column + 0.5) * columnWidth,
      y,
      text,
      size: SIZE,
      anchor: "middle",
      fill,
    });
  };
  rows.forEach((layer, row) => {
    for (let column = 0; column < count; column++) {
      const [best] = readingOf(lens, layer, column).predictions;
      const fill = colors.score(best.probability, false);
      const y = HEAD + row * rowHeight;
      cells.push({
        kind: "rect",
        x: column * columnWidth,
        y,
        width: columnWidth + 0.5,
        height: rowHeight,
        fill,
      });
      write(best.label, column, y + rowHeight / 2, textOn(fill));
    }
  });
  tokens.forEach((token, column) => {
    write(token, column, HEAD / 2, colors.get("muted"));
  });
  const background = colors.get("background");
  return {
    columnWidth,
    rowHeight,
    cells: { width: columnWidth * count, height, background, shapes: cells },
    names: {
      width: left,
      height,
      background,
      shapes: rows.map((layer, row) => ({
        kind: "text",
        x: left - 6,
        y: HEAD + (row + 0.5) * rowHeight,
        text: names[layer],
        size: SIZE,
        anchor: "end",
        fill: colors.get("text"),
      })),
    },
  };
}

/** The whole grid. */
export function joined({ names, cells }: Grid): Pick<Scene, "width" | "height" | "shapes"> {
  const shapes = [...names.shapes, ...shifted(cells.shapes, names.width, 0)];
  return { width: names.width + cells.width, height: names.height, shapes };
}

/** The name of a layer as one word or two, as "block 4" for "after block 4". */
function shortName(name: string): string {
  return name.replace(/^after /, "");
}
