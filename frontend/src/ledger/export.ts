/** Exports the map that is shown, and the ledger or diff as a table. */

import { csv } from "../export/csv";
import type { Exported } from "../export/menu";
import { titled } from "../scene/scene";
import { gridOf, joined } from "./scene";
import { axisOf, type PageContext, spansOf } from "./state";

const WIDTH = 720;

export function ledgerExport({ payload, store, theme }: PageContext): Exported {
  const { kind, maps, difference, title, python, command } = payload;
  const cells = maps.flatMap((map) => {
    const axis = axisOf(payload, map);
    return map.values.map((value, index) => {
      const column = index % axis.names.length;
      const row = Math.floor(index / axis.names.length);
      return {
        part: map.key,
        layer: kind === "diff" ? map.rowLabels[row] : row,
        [axis.noun === "head" ? "head" : "position"]: column,
        name: axis.labels[column],
        reference: axis.seconds[column] || axis.labels[column],
        value,
      };
    });
  });
  return {
    name: kind,
    scene: () => {
      const map = maps[store.state.map];
      const axis = axisOf(payload, map);
      const drawn = { map, axis, spans: spansOf(axis, store.state.all), difference };
      const grid = gridOf(drawn, theme.colors, WIDTH);
      return titled(joined(grid), title, [payload.headline, `${map.name}. ${map.meaning}`], theme.colors);
    },
    csv: () =>
      csv(
        ["part", "layer", "column", "name", "reference", "value"],
        cells.map((cell) => [
          cell.part,
          cell.layer,
          Number("head" in cell ? cell.head : cell.position),
          cell.name,
          cell.reference,
          cell.value,
        ]),
      ),
    json: () => ({ title, difference, cells }),
    python: () => python,
    command: () => command,
  };
}
