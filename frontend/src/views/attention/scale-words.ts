/** What the colors of a matrix mean, in words: the same for the page and its exports. */

import type { Plane } from "../../data/planes";
import type { State } from "../../state/store";
import { weightWords } from "../../words";
import { isCurved, shownScale } from "../heatmap/cells";

export const SINK_WORDS = {
  raw: "sinks drawn like other tokens",
  muted: "sinks excluded from the color scale",
  renormalized: "sinks removed and each row rescaled to 100 %",
};
export const SCALE_WORDS = {
  row: "each row's maximum",
  head: "this map's maximum",
  global: "maximum over all heads",
};

/** The end of the color scale; a few weights may lie beyond it. */
export function reachWords(plane: Plane, state: Readonly<State>): string {
  if (state.scale === "row") return "row maximum";
  const { reach, largest } = shownScale(plane, state);
  if (!reach) return ""; // one token attends to itself: nothing to compare
  const words = (weight: number) => weightWords(plane.data, state.sinks, weight);
  return largest > reach ? `${words(reach)} and above, up to ${words(largest)}` : words(reach);
}

export function scaleWords(plane: Plane, state: Readonly<State>): string {
  const { data } = plane;
  const { reach, largest } = shownScale(plane, state);
  const isFloor = state.scale !== "row" && reach > largest && largest > 0;
  const name = isFloor ? "twice equal attention" : SCALE_WORDS[state.scale];
  const end = state.scale === "row" || !reach ? "" : `: ${reachWords(plane, state)}`;
  const sinks = data.part.isAttention ? `; ${SINK_WORDS[state.sinks]}` : "";
  return `Strongest color: ${name}${end}${sinks}${isCurved(data) ? "; square-root color scale" : ""}.`;
}

/** That the matrix has no pattern to see; empty if it has. */
export function uniformWords({ data, layer, head }: Plane, { sinks }: Readonly<State>): string {
  if (!data.scale(layer, head, sinks).isUniform) return "";
  const count = sinks === "raw" ? 0 : data.sinks(layer, head).size;
  const words = count
    ? `Nearly uniform apart from the attention sink${count > 1 ? "s" : ""}: every token attends almost equally to the others`
    : "Nearly uniform: every token attends almost equally to all it can attend to";
  const sizes = new Set<number>();
  for (let key = 0; key < data.keys; key++)
    if (sinks === "raw" || !data.sinks(layer, head).has(key)) sizes.add(data.tokensOf(key));
  return `${words}${sizes.size > 1 ? "; darker columns stand for more tokens" : ", so the colors hardly differ"}.`;
}
