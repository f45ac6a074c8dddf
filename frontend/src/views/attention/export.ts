/** Exports the matrix on screen. */

import type { Context } from "../../context";
import type { Plane, Planes } from "../../data/planes";
import { csv } from "../../export/csv";
import type { Exported } from "../../export/menu";
import { pythonOf } from "../../export/python";
import type { Scene, Shape } from "../../scene/scene";
import { windowOf } from "../../state/window";
import { canvasOf } from "../../ui/canvas";
import { planeWords, weightWords } from "../../words";
import { paintCells, reachOf } from "../heatmap/cells";
import { frameOf } from "../heatmap/frame";
import { labelsOf } from "../heatmap/labels";
import { planeShown } from "../heatmap/view";

export function attentionExport(context: Context, planes: Planes | undefined): Exported | null {
  const { store } = context;
  if (!planes) return null;
  const { state } = store;
  const plane = planeShown(planes, state);
  const { data, layer, head } = plane;
  const { part, rowAxis, keyAxis } = data;
  const planeName = planeWords(plane);
  const cells = () => {
    const out: [number, number, number][] = [];
    for (let row = 0; row < data.rows; row++) {
      const { weights } = data.row(layer, head, row, state.sinks);
      for (let key = 0; key < data.keys; key++) {
        if (data.allowed(row, key) && (data.isDense || weights[key] !== 0))
          out.push([row, key, weights[key]]);
      }
    }
    return out;
  };
  const { error, kind, kept } = part.weights;
  const precision =
    `quantized, error at most ${error}` +
    (kind === "top" ? `; only the ${kept} largest weights of each row` : "");
  return {
    name: "attention",
    scene: () => attentionScene(context, plane),
    csv: () =>
      csv(
        [
          "from_position",
          "from",
          "to_position",
          "to",
          state.sinks === "renormalized" ? "weight_without_sinks" : "weight",
          "precision",
        ],
        cells().map(([row, key, weight]) => [
          rowAxis.token(row),
          rowAxis.label(row),
          keyAxis.token(key),
          keyAxis.label(key),
          Number(weight.toPrecision(6)),
          precision,
        ]),
      ),
    json: () => ({
      title: `Attention: ${planeName}`,
      map: part.map,
      sinks: state.sinks,
      precision,
      from: rowAxis.spans.map(({ label }) => label),
      to: keyAxis.spans.map(({ label }) => label),
      weights: Array.from({ length: data.rows }, (_, row) =>
        Array.from(data.row(layer, head, row, state.sinks).weights, (weight, key) =>
          data.allowed(row, key) ? Number(weight.toPrecision(6)) : null,
        ),
      ),
    }),
    python: () =>
      pythonOf(
        part.python,
        new Map([
          ["LAYER", part.layers.length ? String(part.layers[layer]) : '"mean"'],
          ["HEAD", part.heads.length && head >= 0 ? String(part.heads[head]) : '"mean"'],
        ]),
      ),
  };
}

function attentionScene(context: Context, plane: Plane): Scene {
  const { model, store, theme } = context;
  const { state } = store;
  const { colors } = theme;
  const frame = frameOf(windowOf(plane.data, state), 720);
  const source = canvasOf(paintCells(plane, state, colors, frame));
  const top = 64;
  const peak = weightWords(plane.data, state.sinks, reachOf(plane, state));
  const scale = state.scale === "row" ? "maximum of each row" : `0 to ${peak} (${state.scale})`;
  const note = `${model.payload.title} · ${model.payload.origin} · color scale: ${scale}; attention sinks: ${state.sinks}`;
  const shapes: Shape[] = [
    {
      kind: "text",
      x: 16,
      y: 24,
      text: `Attention: ${planeWords(plane)}`,
      size: 16,
      weight: 650,
      fill: colors.get("text"),
    },
    { kind: "text", x: 16, y: 46, text: note, size: 11, fill: colors.get("muted") },
    {
      kind: "image",
      x: frame.left,
      y: top + frame.top,
      width: frame.keys * frame.cell,
      height: frame.rows * frame.cell,
      source,
    },
    ...labelsOf(plane.data, frame).map(
      (label): Shape => ({
        kind: "text",
        x: label.x,
        y: top + label.y,
        text: label.text,
        size: label.size,
        anchor: ({ left: "start", right: "end", center: "middle" } as const)[label.anchor],
        turn: label.turn,
        fill: colors.get(label.strong ? "text" : "muted"),
      }),
    ),
  ];
  return {
    width: Math.max(frame.width, 520),
    height: top + frame.height + 12,
    background: colors.get("background"),
    shapes,
  };
}
