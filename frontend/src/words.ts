/** Texts that several views share. */

import type { Matrices, SinkMode } from "./data/matrices";
import type { Model } from "./data/model";
import type { Attention, Attribution, Reading } from "./data/payload.generated";
import type { Plane } from "./data/planes";
import { labelOf, type Scores, type Unit } from "./data/units";
import type { State } from "./state/store";
import { formatNumber, formatPercent } from "./ui/format";

/** The mark of each verdict, which stands for its color where there is none. */
export const SYMBOLS: Record<Reading["verdict"], string> = {
  supported: "●",
  weak: "◐",
  "not supported": "○",
  "not measured": "–",
};

/** The question that the scores answer. */
export function headline(model: Model, state: Readonly<State>): string {
  const attribution = model.attribution(state);
  if (!attribution) return "Text";
  const reading = model.reading(state);
  if (reading) return reading.title;
  const [first, last] = [attribution.targets[state.target], attribution.targets[state.targetEnd]];
  if (state.target === state.targetEnd) return `Why “${first.name}”?`;
  if (!model.followsSteps(attribution)) return `Why “${first.name}” … “${last.name}”?`;
  const steps = attribution.targets.slice(state.target, state.targetEnd + 1);
  const tokens = [first, last].map(({ step }) => model.generation!.promptLength + step);
  return steps.length > 1 ? `Why “${labelOf(model.table(state), tokens[0], tokens[1])}”?` : "";
}

/** A share in percent; positive ones of signed scores have a plus sign. */
export function shareWords(share: number, signed: boolean): string {
  const words = formatPercent(share);
  return signed && share > 0 && !words.startsWith("<") ? `+${words}` : words;
}

/** The selected span and its score. */
export function selectionWords(model: Model, state: Readonly<State>): string {
  const scores = model.scores(state);
  const [first, last] = model.span(state);
  if (first < 0 || !scores) return "";
  const units = model.unitsShown(state);
  const [from, to] = [model.unitOf(state, first), model.unitOf(state, last)];
  const words = labelOf(model.table(state), units[from].first, units[to].last);
  const short = words.length > 60 ? `${words.slice(0, 40)}…${words.slice(-15)}` : words;
  let [sum, size] = [0, 0];
  let scored = 0;
  for (let unit = from; unit <= to; unit++) {
    const value = scores.values[unit];
    if (Number.isNaN(value)) continue;
    scored++;
    sum += value;
    size += Math.abs(value);
  }
  if (!scored && model.stepOfToken(first) >= 0) return "";
  if (!scored) return `“${short}” has no score because it cannot contribute to this target.`;
  const rank =
    from === to
      ? scores.ranks[from]
        ? `, rank ${scores.ranks[from]}`
        : ""
      : `, ${to - from + 1} ${state.level}s selected`;
  return `“${short}”: score ${formatNumber(sum)}, ${formatPercent(scores.total ? size / scores.total : 0)} of the total${rank}`;
}

/** A unit's score as names and values. */
export function scoreRows(
  scores: Scores | undefined,
  unit: Unit,
  attribution: Attribution | undefined,
): [string, string][] {
  if (!scores || !attribution) return [];
  const value = scores.values[unit.index];
  if (Number.isNaN(value)) return [["score", "none: cannot contribute"]];
  return [
    ["raw score", formatNumber(value)],
    ["share", shareWords(scores.total ? value / scores.total : 0, attribution.signed)],
    ...(scores.ranks[unit.index]
      ? [
          ["rank", `${scores.ranks[unit.index]} of ${scores.ranks.filter((rank) => rank > 0).length}`] as [
            string,
            string,
          ],
        ]
      : []),
  ];
}

/** The layer and head of a matrix. */
export function planeWords({ data, layer, head }: Plane): string {
  const { part } = data;
  const name = part.layers.length ? `layer ${part.layers[layer]}` : part.layerWords;
  if (part.heads.length < 2) return `${name}, ${part.headWords}`;
  return `${name}, ${head < 0 ? part.headWords : `head ${part.heads[head]}`}`;
}

/** A weight as text: in percent for attention and for rescaled rows, else as a number. */
export function weightWords({ part }: Matrices, mode: SinkMode, weight: number): string {
  return part.isAttention || mode === "renormalized" ? formatPercent(weight) : formatNumber(weight);
}

/** The name of a map in the list, with its layers and heads. */
export function mapWords(part: Attention): string {
  const layers = part.layers.length > 1 ? "all layers" : part.layerWords;
  const heads = part.heads.length > 1 ? `${part.heads.length} heads` : part.headWords;
  const coarse = part.pooled > 1 ? `, overview in blocks of ${part.pooled} tokens` : "";
  return `${part.map}: ${layers}, ${heads}${coarse}${part.steps ? ", by generation step" : ""}`;
}
