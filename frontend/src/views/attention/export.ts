/** Exports the matrix on screen. */

import type { Context } from "../../context";
import type { Plane, Planes } from "../../data/planes";
import { csv } from "../../export/csv";
import type { Exported } from "../../export/menu";
import { pythonOf } from "../../export/python";
import { type Scene, titled } from "../../scene/scene";
import { windowOf } from "../../state/window";
import { planeWords } from "../../words";
import { frameOf } from "../heatmap/frame";
import { matrixScene } from "../heatmap/scene";
import { planeShown } from "../heatmap/view";
import { scaleWords } from "./scale-words";

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
  const frame = frameOf(plane.data, windowOf(plane.data, state), 720);
  const { payload } = model;
  return titled(
    matrixScene(plane, state, theme.colors, frame),
    `Attention: ${planeWords(plane)}`,
    [`${payload.title} · ${payload.origin}`, scaleWords(plane, state)],
    theme.colors,
  );
}
