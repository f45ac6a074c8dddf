/** Exports the logit lens. */

import type { Context } from "../../context";
import { csv } from "../../export/csv";
import type { Exported } from "../../export/menu";
import { pythonOf } from "../../export/python";
import { type Scene, titled } from "../../scene/scene";
import { readingOf } from "./data";
import { gridOf, joined } from "./scene";

const WIDTH = 720;

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
  const { payload } = model;
  const lens = payload.lens!;
  const { labels } = payload.tables[lens.table];
  const tokens = lens.positions.map((position) => labels[position] ?? "");
  const notes = [payload.origin, "top prediction of each layer; a stronger color means a higher probability"];
  return titled(joined(gridOf(lens, tokens, theme.colors, WIDTH)), payload.title, notes, theme.colors);
}
