/** Exports the logit lens. */

import type { Context } from "../../context";
import { csv } from "../../export/csv";
import type { Exported } from "../../export/menu";
import { pythonOf } from "../../export/python";
import type { Scene, Shape } from "../../scene/scene";
import { textOn } from "../../ui/colors";
import { readingOf, rowsOf } from "./data";

const [LEFT, TOP, CELL, ROW] = [116, 66, 76, 20];

export function layersExport(context: Context): Exported | null {
  const { payload } = context.model;
  const { lens } = payload;
  if (!lens) return null;
  const { labels } = payload.tables[lens.table];
  const readings = lens.positions.flatMap((position, column) =>
    lens.layers.map((_, layer) => ({
      position,
      token: labels[position] ?? "",
      next: lens.labels[lens.next[column]] ?? "",
      ...readingOf(lens, layer, column),
    })),
  );
  return {
    name: "layers",
    scene: () => layersScene(context),
    csv: () =>
      csv(
        ["position", "token", "next_token", "layer", "rank", "entropy_nats", "kl_nats", "top_tokens"],
        readings.map((reading) => [
          reading.position,
          reading.token,
          reading.next,
          reading.layer,
          reading.rank,
          reading.entropy,
          reading.divergence,
          reading.predictions.map(({ label, probability }) => `${label} ${probability}`).join(" | "),
        ]),
      ),
    json: () => ({ title: payload.title, readings }),
    python: () => pythonOf(lens.python),
  };
}

function layersScene({ model, theme }: Context): Scene {
  const { colors } = theme;
  const lens = model.payload.lens!;
  const rows = rowsOf(lens);
  const short = (words: string) => (words.length > 11 ? `${words.slice(0, 10)}…` : words);
  const text = (
    words: string,
    x: number,
    y: number,
    fill: string,
    anchor: "start" | "middle" | "end",
  ): Shape => ({
    kind: "text",
    x,
    y,
    text: words,
    size: 11,
    fill,
    anchor,
  });
  const shapes: Shape[] = [
    {
      kind: "text",
      x: 16,
      y: 24,
      text: model.payload.title,
      size: 16,
      weight: 650,
      fill: colors.get("text"),
    },
    text(`${model.payload.origin} · top prediction of each layer`, 16, 46, colors.get("muted"), "start"),
  ];
  rows.forEach((layer, row) => {
    const y = TOP + row * ROW;
    shapes.push(text(lens.layers[layer], LEFT - 8, y + ROW / 2, colors.get("text"), "end"));
    lens.positions.forEach((_, column) => {
      const [best] = readingOf(lens, layer, column).predictions;
      const fill = colors.score(best.probability, false);
      const x = LEFT + column * CELL;
      shapes.push({ kind: "rect", x, y, width: CELL, height: ROW, fill });
      shapes.push(text(short(best.label), x + CELL / 2, y + ROW / 2, textOn(fill), "middle"));
    });
  });
  const { labels } = model.payload.tables[lens.table];
  const below = TOP + rows.length * ROW;
  lens.positions.forEach((position, column) => {
    const words = short(labels[position] ?? "");
    shapes.push(text(words, LEFT + (column + 0.5) * CELL, below + 14, colors.get("muted"), "middle"));
  });
  const width = Math.max(LEFT + lens.positions.length * CELL + 16, 420);
  return { width, height: below + 34, background: colors.get("background"), shapes };
}
