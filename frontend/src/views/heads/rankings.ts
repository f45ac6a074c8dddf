/** By what heads can be ranked: the report's scores, else what the weights in the page say. */

import type { Matrices } from "../../data/matrices";
import type { HeadScores } from "../../data/payload.generated";
import { number, percent } from "../../ui/format";
import type { HeadScores as Computed } from "./scores";

export interface Ranking {
  readonly name: string;
  readonly meaning: string;
  /** Whether it ranks by its size. */
  readonly signed: boolean;
  /** Whether its scores are shares. */
  readonly isShare: boolean;
  /** For each layer and head of the map, one after another. */
  readonly scores: readonly number[];
}

/** The report's scores of a map's heads; undefined where it has none of some head. */
export function scoredBy(heads: HeadScores | null, data: Matrices): Ranking[] | undefined {
  const { layers, heads: held } = data.part;
  if (!heads || !layers.length || !held.length) return undefined;
  const places = layers.flatMap((layer) => held.map((head) => layer * heads.heads + head));
  if (held.some((head) => head >= heads.heads)) return undefined;
  if (heads.scores.some((scores) => places.some((place) => scores[place] === undefined))) return undefined;
  return heads.names.map((name, place) => ({
    name: name.replaceAll("_", " "),
    meaning: heads.meanings[place],
    signed: heads.signed[place],
    isShare: false, // the payload does not say
    scores: places.map((at) => heads.scores[place][at]),
  }));
}

const COMPUTED: readonly [string, string, keyof Computed][] = [
  ["normalized entropy", "entropy of a row as a share of its maximum", "spread"],
  ["sinks", "weight on attention sinks", "sink"],
  ["previous token", "weight on the previous token", "previous"],
];

/** Rankings from what was read of the page's own weights; where tokens are pooled, none is before another. */
export function computedBy(found: readonly Computed[], isPooled: boolean): Ranking[] {
  return COMPUTED.slice(0, isPooled ? 2 : 3).map(([name, meaning, score]) => ({
    name,
    meaning: `${meaning}, computed from the weights in this page`,
    signed: false,
    isShare: true,
    scores: found.map((one) => one[score]),
  }));
}

/** One head's score in words. */
export function scoreWords({ scores, isShare }: Ranking, head: number): string {
  return isShare ? percent(scores[head]) : number(scores[head]);
}

/** The places of heads, the highest score first; without a ranking in the map's order. Top 0 is all. */
export function ranked(ranking: Ranking | undefined, count: number, top: number): number[] {
  const places = Array.from({ length: count }, (_, place) => place);
  if (!ranking) return places;
  const { scores, signed } = ranking;
  const key = (place: number) => (signed ? Math.abs(scores[place]) : scores[place]);
  places.sort((a, b) => key(b) - key(a) || a - b);
  return top ? places.slice(0, top) : places;
}
