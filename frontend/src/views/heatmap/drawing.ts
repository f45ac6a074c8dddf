/** A matrix with its labels on a canvas. */

import type { AttentionData } from "../../attention-data";
import type { Colours } from "../../colours";
import type { Model } from "../../model";
import type { State } from "../../store";
import { paintCells } from "./cells";
import type { Frame } from "./frame";
import { labelsOf } from "./labels";

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif';

/** Draw a matrix with its labels; the canvas may be one for export. */
export function drawMatrix(
  context: CanvasRenderingContext2D,
  model: Model,
  data: AttentionData,
  state: Readonly<State>,
  colours: Colours,
  frame: Frame,
): void {
  const { image } = paintCells(data, state, colours, frame);
  const source = document.createElement("canvas");
  [source.width, source.height] = [image.width, image.height];
  source.getContext("2d")!.putImageData(image, 0, 0);
  const [width, height] = [frame.keys * frame.cell, frame.rows * frame.cell];
  context.imageSmoothingEnabled = image.width > width;
  context.drawImage(source, frame.left, frame.top, width, height);
  if (state.sinks !== "raw") hatch(context, colours, frame, data.sinks(state.layer, state.head));
  context.textBaseline = "middle";
  for (const label of labelsOf(model, data, frame)) {
    context.save();
    context.fillStyle = colours.get(label.strong ? "text" : "muted");
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
  colours: Colours,
  frame: Frame,
  sinks: ReadonlySet<number>,
): void {
  context.save();
  context.strokeStyle = colours.get("hatch");
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

/** Give a canvas the size of a frame in the screen's own dots. */
export function sized(canvas: HTMLCanvasElement, frame: Frame): CanvasRenderingContext2D {
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(frame.width * ratio);
  canvas.height = Math.round(frame.height * ratio);
  canvas.style.width = `${frame.width}px`;
  canvas.style.height = `${frame.height}px`;
  const pen = canvas.getContext("2d")!;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  return pen;
}
