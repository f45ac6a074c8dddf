/** A matrix and its cells in words, and where a token stands in it. */

import type { AttentionData } from "../../attention-data";
import type { Context } from "../../context";
import { number, percent } from "../../format";
import type { State } from "../../store";

/** The row that a token of the table on screen looks from, or that produced it; -1 none. */
export function rowOfToken({ model, store }: Context, data: AttentionData, token: number): number {
  if (token < 0 || data.part.rowTable !== model.tableIndex(store.state)) return -1;
  return data.part.rowPositions.indexOf(token);
}

export function keyOfToken({ model, store }: Context, data: AttentionData, token: number): number {
  if (token < 0 || data.part.keyTable !== model.tableIndex(store.state)) return -1;
  return data.part.keyPositions.indexOf(token);
}

export function placeWords(data: AttentionData, state: Readonly<State>): string {
  const { part } = data;
  const layer = part.layers.length ? `layer ${part.layers[state.layer]}` : part.layerWords;
  if (part.heads.length < 2) return `${layer}, ${part.headWords}`;
  return `${layer}, ${state.head < 0 ? part.headWords : `head ${part.heads[state.head]}`}`;
}

/** What a cell holds, as names and values. */
export function cellRows(
  data: AttentionData,
  state: Readonly<State>,
  row: number,
  key: number,
): [string, string][] {
  if (!data.allowed(row, key)) return [["weight", "masked: it may not look there"]];
  const raw = data.row(state.layer, state.head, row, "raw");
  const { error } = data.part.weights;
  const rows: [string, string][] = [["weight", `${number(raw.weights[key])} ± ${number(error)}`]];
  if (!data.isDense && raw.weights[key] === 0) rows[0] = ["weight", "not among those kept"];
  if (state.sinks === "renormalised" && !raw.sinks.has(key)) {
    rows.push([
      "without sinks",
      percent(data.row(state.layer, state.head, row, "renormalised").weights[key]),
    ]);
  }
  if (raw.sinks.has(key)) rows.push(["sink", "soaks up attention whoever asks"]);
  rows.push(["at", placeWords(data, state)]);
  return rows;
}
