/** The matrix on screen, taken out. */

import type { AttentionData } from "../attention-data";
import type { Context } from "../context";
import { number } from "../format";
import { paintCells } from "../views/heatmap/cells";
import { frameOf } from "../views/heatmap/frame";
import { labelsOf } from "../views/heatmap/labels";
import { placeWords } from "../views/heatmap/words";
import { csv } from "./csv";
import type { Exported } from "./menu";
import type { Scene, Shape } from "./scene";

export function attentionExport(context: Context, data: AttentionData | undefined): Exported | null {
  const { model, store } = context;
  if (!data) return null;
  const { state } = store;
  const { part } = data;
  const place = placeWords(data, state);
  const rowLabels = model.payload.tables[part.rowTable].labels;
  const keyLabels = model.payload.tables[part.keyTable].labels;
  const cells = () => {
    const out: [number, number, number][] = [];
    for (let row = 0; row < data.rows; row++) {
      const { weights } = data.row(state.layer, state.head, row, state.sinks);
      for (let key = 0; key < data.keys; key++) {
        if (data.allowed(row, key) && (data.isDense || weights[key] !== 0))
          out.push([row, key, weights[key]]);
      }
    }
    return out;
  };
  const { error, kind, kept } = part.weights;
  const precision =
    `quantised, none by more than ${error}` +
    (kind === "top" ? `; the ${kept} largest weights of each row` : "");
  return {
    name: "attention",
    scene: () => attentionScene(context, data),
    csv: () =>
      csv(
        [
          "from_position",
          "from",
          "to_position",
          "to",
          state.sinks === "renormalised" ? "weight_without_sinks" : "weight",
          "precision",
        ],
        cells().map(([row, key, weight]) => [
          part.rowPositions[row],
          rowLabels[part.rowPositions[row]],
          part.keyPositions[key],
          keyLabels[part.keyPositions[key]],
          Number(weight.toPrecision(6)),
          precision,
        ]),
      ),
    json: () => ({
      what: `attention, ${place}`,
      map: part.map,
      sinks: state.sinks,
      precision,
      from: part.rowPositions.map((position) => rowLabels[position]),
      to: part.keyPositions.map((position) => keyLabels[position]),
      weights: Array.from({ length: data.rows }, (_, row) =>
        Array.from(data.row(state.layer, state.head, row, state.sinks).weights, (weight, key) =>
          data.allowed(row, key) ? Number(weight.toPrecision(6)) : null,
        ),
      ),
    }),
    python: () =>
      part.python
        .replace("LAYER", part.layers.length ? String(part.layers[state.layer]) : '"mean"')
        .replace("HEAD", part.heads.length && state.head >= 0 ? String(part.heads[state.head]) : '"mean"'),
  };
}

function attentionScene(context: Context, data: AttentionData): Scene {
  const { model, store, theme } = context;
  const { state } = store;
  const { colours } = theme;
  const frame = frameOf(data, 720, { zoom: false, row: 0, key: 0 });
  const { image } = paintCells(data, state, colours, frame);
  const source = document.createElement("canvas");
  [source.width, source.height] = [image.width, image.height];
  source.getContext("2d")!.putImageData(image, 0, 0);
  const top = 64;
  const peak =
    state.scale === "global" ? data.globalPeak(state.sinks) : data.peak(state.layer, state.head, state.sinks);
  const scale = state.scale === "row" ? "each row by its largest" : `0 to ${number(peak)} (${state.scale})`;
  const note = `${model.payload.title} · ${model.payload.origin} · colours: ${scale}; sinks ${state.sinks}`;
  const shapes: Shape[] = [
    {
      kind: "text",
      x: 16,
      y: 24,
      text: `Attention: ${placeWords(data, state)}`,
      size: 16,
      weight: 650,
      fill: colours.get("text"),
    },
    { kind: "text", x: 16, y: 46, text: note, size: 11, fill: colours.get("muted") },
    {
      kind: "image",
      x: frame.left,
      y: top + frame.top,
      width: frame.keys * frame.cell,
      height: frame.rows * frame.cell,
      source,
    },
    ...labelsOf(model, data, frame).map(
      (label): Shape => ({
        kind: "text",
        x: label.x,
        y: top + label.y,
        text: label.text,
        size: label.size,
        anchor: ({ left: "start", right: "end", center: "middle" } as const)[label.anchor],
        turn: label.turn,
        fill: colours.get(label.strong ? "text" : "muted"),
      }),
    ),
  ];
  return {
    width: Math.max(frame.width, 520),
    height: top + frame.height + 12,
    background: colours.get("background"),
    shapes,
  };
}
