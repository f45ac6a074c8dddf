/** The tooltip of a matrix cell. */

import type { Axis } from "../../data/axis";
import type { Model } from "../../data/model";
import { isPooled, type Plane } from "../../data/planes";
import { labelOf, short } from "../../data/units";
import type { State } from "../../state/store";
import { formatNumber, formatPercent } from "../../ui/format";
import { planeWords, weightWords } from "../../words";

const LONGEST = 60;

/** A cell as names and values. */
export function cellRows(
  model: Model,
  plane: Plane,
  state: Readonly<State>,
  row: number,
  key: number,
): [string, string][] {
  const { data, layer, head } = plane;
  const rows: [string, string][] = [];
  if (isPooled(plane)) {
    rows.push(
      [`from (${data.part.queryName})`, spanWords(model, data.rowAxis, row)],
      [`to (${data.part.keyName})`, spanWords(model, data.keyAxis, key)],
    );
  }
  if (!data.allowed(row, key)) return [...rows, ["weight", "masked: cannot attend"]];
  const raw = data.row(layer, head, row, "raw");
  const weight = raw.weights[key];
  if (!data.isDense && weight === 0) rows.push(["weight", "not stored"]);
  else rows.push(["weight", `${weightWords(data, "raw", weight)}${joinedWords(plane, row, key)}`]);
  if (state.sinks === "renormalized" && !raw.sinks.has(key)) {
    rows.push(["without sinks", formatPercent(data.row(layer, head, row, "renormalized").weights[key])]);
  }
  if (raw.sinks.has(key)) rows.push(["attention sink", "receives attention from every query"]);
  rows.push(["matrix", planeWords(plane)]);
  return rows;
}

/** The precision of a weight: its rounding error, or the number of tokens it is a mean over. */
function joinedWords({ data }: Plane, row: number, key: number): string {
  const count = (axis: Axis, index: number) => axis.spans[index].last - axis.spans[index].first + 1;
  const [rows, keys] = [count(data.rowAxis, row), count(data.keyAxis, key)];
  if (rows * keys === 1) {
    const { error } = data.part.weights;
    return ` ± ${data.part.isAttention ? `${formatNumber(Number((100 * error).toPrecision(2)))} %` : formatNumber(error)}`;
  }
  return rows > 1 ? ` (mean over ${rows} tokens)` : "";
}

function spanWords(model: Model, axis: Axis, index: number): string {
  const { first, last } = axis.spans[index];
  const table = model.payload.tables[axis.table];
  // Tokens outside the text have only a label.
  const text = table.segments[first] === table.segments[last] ? labelOf(table, first, last) : "";
  return text ? `${axis.label(index)}: ${short(text, LONGEST)}` : axis.label(index);
}
