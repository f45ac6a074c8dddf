/** The matrix of differences as shapes, which the page draws and exports. */

import { fitted } from "../scene/font";
import type { Shape } from "../scene/scene";
import { canvasOf } from "../ui/canvas";
import { pixel } from "../ui/colors";
import type { Theme } from "../ui/theme";
import type { Differences } from "./differences";

const [LEFT, TOP, SIZE, MAX_CELL] = [120, 92, 12, 26];
const MIN_LABELED = 9; // pixels of a cell from which each has a label; of smaller ones, some have

export interface MatrixFrame {
  readonly left: number;
  readonly top: number;
  readonly cell: number;
  readonly width: number;
  readonly height: number;
}

export function matrixFrame({ rows, keys }: Differences, room: number): MatrixFrame {
  const cell = Math.min(MAX_CELL, (room - LEFT - 40) / keys, 620 / rows);
  return { left: LEFT, top: TOP, cell, width: LEFT + keys * cell + 50, height: TOP + rows * cell + 4 };
}

export function matrixShapes(
  { data, plane, full }: { data: Differences; plane: Float32Array; full: number },
  { left, top, cell }: MatrixFrame,
  { colors }: Theme,
): Shape[] {
  const { rows, keys, part } = data;
  const image = new ImageData(keys, rows);
  const dots = new Uint32Array(image.data.buffer);
  const masked = pixel(colors.get("masked"));
  plane.forEach((value, index) => {
    dots[index] = Number.isNaN(value) ? masked : pixel(colors.score(value / full, true));
  });
  const step = Math.ceil(MIN_LABELED / cell);
  const style = {
    kind: "text",
    size: Math.min(SIZE, Math.max(cell * step, 8)),
    fill: colors.get("text"),
  } as const;
  return [
    { kind: "image", x: left, y: top, width: keys * cell, height: rows * cell, source: canvasOf(image) },
    ...part.rowLabels.flatMap((label, row): Shape[] =>
      row % step
        ? []
        : [
            {
              ...style,
              x: left - 8,
              y: top + (row + 0.5) * cell,
              text: fitted(label, left - 10, SIZE),
              anchor: "end",
            },
          ],
    ),
    ...part.keyLabels.flatMap((label, key): Shape[] =>
      key % step
        ? []
        : [{ ...style, x: left + (key + 0.55) * cell, y: top - 6, text: fitted(label, 90, SIZE), turn: -60 }],
    ),
  ];
}
