/** The logit lens by layer and position. */

import type { Lens } from "../../data/payload.generated";

export interface Reading {
  readonly layer: string;
  readonly predictions: readonly { readonly label: string; readonly probability: number }[];
  readonly rank: number;
  readonly entropy: number;
  readonly divergence: number;
}

export function readingOf(lens: Lens, layer: number, place: number): Reading {
  const at = layer * lens.positions.length + place;
  const first = at * lens.top;
  return {
    layer: lens.layers[layer],
    predictions: Array.from({ length: lens.top }, (_, rank) => ({
      label: lens.labels[lens.entries[first + rank]],
      probability: lens.probabilities[first + rank],
    })),
    rank: lens.ranks[at],
    entropy: lens.entropies[at],
    divergence: lens.divergences[at],
  };
}

/** The position read that belongs to a token: where it was chosen, else the one after it, else none. */
export function placeOf(lens: Lens, token: number): number {
  const chosen = lens.positions.indexOf(token - 1);
  return chosen >= 0 && token > 0 ? chosen : lens.positions.indexOf(token);
}

/** Layers as they stand on screen: the last one first. */
export function rowsOf(lens: Lens): number[] {
  return lens.layers.map((_, place) => lens.layers.length - 1 - place);
}
