/** A matrix with its labels as a scene, which the page draws and exports write. */

import type { Plane } from "../../data/planes";
import type { Scene, Shape } from "../../scene/scene";
import type { State } from "../../state/store";
import { canvasOf } from "../../ui/canvas";
import type { Colors } from "../../ui/colors";
import { paintCells } from "./cells";
import type { Frame } from "./frame";

export function matrixScene(plane: Plane, state: Readonly<State>, colors: Colors, frame: Frame): Scene {
  const { left, top, cellWidth, cellHeight, firstKey, keys, rows, labels, ticks } = frame;
  const shapes: Shape[] = [
    {
      kind: "image",
      x: left,
      y: top,
      width: keys * cellWidth,
      height: rows * cellHeight,
      source: canvasOf(paintCells(plane, state, colors, frame)),
    },
  ];
  const sinks = state.sinks === "raw" ? [] : plane.data.sinks(plane.layer, plane.head);
  for (const sink of sinks) {
    if (sink < firstKey || sink >= firstKey + keys) continue;
    shapes.push({
      kind: "rect",
      x: left + (sink - firstKey) * cellWidth,
      y: top,
      width: Math.max(cellWidth, 3),
      height: rows * cellHeight,
      fill: "none",
      hatch: colors.get("hatch"),
    });
  }
  if (ticks) shapes.push({ kind: "path", ...ticks, stroke: colors.get("muted"), width: 1 });
  for (const { axis, ...label } of labels)
    shapes.push({ ...label, fill: colors.get(axis === "name" ? "muted" : "text") });
  return { width: frame.width, height: frame.height, background: colors.get("background"), shapes };
}
