/** Rankings of heads: by the report's scores, else by scores computed from the weights in the page. */

import type { Matrices } from "../../data/matrices";
import type { HeadScores } from "../../data/payload.generated";
import { formatNumber, formatPercent } from "../../ui/format";
import type { HeadScores as Computed } from "./scores";

export interface Ranking {
  readonly name: string;
  readonly meaning: string;
  /** Whether it ranks by magnitude. */
  readonly signed: boolean;
  /** Whether its scores are shares. */
  readonly isShare: boolean;
  /** One score per layer and head of the map, layer by layer. */
  readonly scores: readonly number[];
}

/** The report's scores of a map's heads; undefined if any head has none. */
export function scoredBy(heads: HeadScores | null, data: Matrices): Ranking[] | undefined {
  const { layers, heads: headIndices, stack } = data.part;
  if (!heads || heads.stack !== stack || !layers.length || !headIndices.length) return undefined;
  const indices = layers.flatMap((layer) => headIndices.map((head) => layer * heads.heads + head));
  if (headIndices.some((head) => head >= heads.heads)) return undefined;
  if (heads.scores.some((scores) => indices.some((index) => scores[index] === undefined))) return undefined;
  return heads.names.map((name, index) => ({
    name: name.replaceAll("_", " "),
    meaning: heads.meanings[index],
    signed: heads.signed[index],
    isShare: false, // the payload has no units
    scores: indices.map((headIndex) => heads.scores[index][headIndex]),
  }));
}

const COMPUTED: readonly [string, string, keyof Computed][] = [
  ["normalized entropy", "entropy of a row as a share of its maximum", "spread"],
  ["sinks", "weight on attention sinks", "sink"],
  ["previous token", "weight on the previous token", "previous"],
];

/** Rankings by scores computed in the page; pooled maps and cross attention have no previous token. */
export function computedBy(computed: readonly Computed[], hasPrevious: boolean): Ranking[] {
  return COMPUTED.slice(0, hasPrevious ? 3 : 2).map(([name, meaning, score]) => ({
    name,
    meaning: `${meaning}, computed from the weights in this page`,
    signed: false,
    isShare: true,
    scores: computed.map((scores) => scores[score]),
  }));
}

/** One head's score as text. */
export function scoreWords({ scores, isShare }: Ranking, head: number): string {
  return isShare ? formatPercent(scores[head]) : formatNumber(scores[head]);
}

/** Indices of heads, highest score first; without a ranking in the map's order. Top 0 means all. */
export function ranked(ranking: Ranking | undefined, count: number, top: number): number[] {
  const order = Array.from({ length: count }, (_, index) => index);
  if (!ranking) return order;
  const { scores, signed } = ranking;
  const key = (index: number) => (signed ? Math.abs(scores[index]) : scores[index]);
  order.sort((a, b) => key(b) - key(a) || a - b);
  return top ? order.slice(0, top) : order;
}
