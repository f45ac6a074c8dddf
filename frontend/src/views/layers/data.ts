/** The logit lens by layer and position. */

import type { Lens } from "../../data/payload.generated";

export interface Reading {
  readonly layer: string;
  readonly predictions: readonly { readonly label: string; readonly probability: number }[];
  readonly rank: number;
  readonly entropy: number;
  readonly divergence: number;
}

export function readingOf(lens: Lens, layer: number, column: number): Reading {
  const cell = layer * lens.positions.length + column;
  const first = cell * lens.top;
  return {
    layer: lens.layers[layer],
    predictions: Array.from({ length: lens.top }, (_, rank) => ({
      label: lens.labels[lens.entries[first + rank]],
      probability: lens.probabilities[first + rank],
    })),
    rank: lens.ranks[cell],
    entropy: lens.entropies[cell],
    divergence: lens.divergences[cell],
  };
}

/** The lens column of a token: where it was predicted, else at the token itself; -1 if none. */
export function columnOf(lens: Lens, token: number): number {
  const predicted = lens.positions.indexOf(token - 1);
  return predicted >= 0 && token > 0 ? predicted : lens.positions.indexOf(token);
}

/** Layers in screen order: the last one first. */
export function rowsOf(lens: Lens): number[] {
  return lens.layers.map((_, row) => lens.layers.length - 1 - row);
}
