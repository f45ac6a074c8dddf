/** A matrix with its labels on a canvas. */

import type { Plane } from "../../data/planes";
import type { State } from "../../state/store";
import { canvasOf } from "../../ui/canvas";
import type { Colors } from "../../ui/colors";
import { paintCells } from "./cells";
import type { Frame } from "./frame";
import { labelsOf } from "./labels";

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif';

/** Draw a matrix with its labels; the canvas may be one for export. */
export function drawMatrix(
  context: CanvasRenderingContext2D,
  plane: Plane,
  state: Readonly<State>,
  colors: Colors,
  frame: Frame,
): void {
  const image = paintCells(plane, state, colors, frame);
  const [width, height] = [frame.keys * frame.cell, frame.rows * frame.cell];
  context.imageSmoothingEnabled = image.width > width;
  context.drawImage(canvasOf(image), frame.left, frame.top, width, height);
  if (state.sinks !== "raw") hatch(context, colors, frame, plane.data.sinks(plane.layer, plane.head));
  context.textBaseline = "middle";
  for (const label of labelsOf(plane.data, frame)) {
    context.save();
    context.fillStyle = colors.get(label.strong ? "text" : "muted");
    context.font = `${label.size}px ${FONT}`;
    context.textAlign = label.anchor;
    context.translate(label.x, label.y);
    context.rotate((label.turn * Math.PI) / 180);
    context.fillText(label.text, 0, 0);
    context.restore();
  }
}

function hatch(
  context: CanvasRenderingContext2D,
  colors: Colors,
  frame: Frame,
  sinks: ReadonlySet<number>,
): void {
  context.save();
  context.strokeStyle = colors.get("hatch");
  context.lineWidth = 1;
  for (const sink of sinks) {
    const x = frame.left + (sink - frame.firstKey) * frame.cell;
    if (sink < frame.firstKey || sink >= frame.firstKey + frame.keys) continue;
    const width = Math.max(frame.cell, 3);
    context.save();
    context.beginPath();
    context.rect(x, frame.top, width, frame.rows * frame.cell);
    context.clip();
    context.beginPath();
    for (let y = frame.top - width; y < frame.top + frame.rows * frame.cell + width; y += 6) {
      context.moveTo(x, y + width);
      context.lineTo(x + width, y);
    }
    context.stroke();
    context.restore();
  }
  context.restore();
}
