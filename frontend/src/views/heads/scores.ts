/** Head scores computed from the weights in the page, for reports without head scores. */

import type { Matrices } from "../../data/matrices";

export interface HeadScores {
  /** Entropy of the rows as a share of its maximum. */
  readonly spread: number;
  readonly sink: number;
  /** Weight on the previous token. */
  readonly previous: number;
}

/** Means over the rows that can attend to more than one key. */
export function headScores(data: Matrices, layer: number, head: number): HeadScores {
  const entropies = new Float64Array(data.rows);
  const previous = new Float64Array(data.rows);
  const onSinks = new Float64Array(data.rows);
  const sinks = data.sinks(layer, head);
  // A step's row stands for the generated token; its query is the token before.
  const back = data.part.steps ? 2 : 1;
  data.visit(layer, head, (row, key, weight) => {
    if (weight > 0) entropies[row] -= weight * Math.log(weight);
    if (data.keyAxis.token(key) === data.rowAxis.token(row) - back) previous[row] += weight;
    if (sinks.has(key)) onSinks[row] += weight;
  });
  let rows = 0;
  const sums = [0, 0, 0];
  for (let row = 0; row < data.rows; row++) {
    if (data.choices(row) < 2) continue;
    let allowed = data.keys;
    if (data.part.mask.kind === "causal") allowed = Math.min(row + data.part.mask.offset + 1, data.keys);
    rows++;
    sums[0] += entropies[row] / Math.log(allowed);
    sums[1] += onSinks[row];
    sums[2] += previous[row];
  }
  const [spread, sink, before] = sums.map((sum) => (rows ? sum / rows : 0));
  return { spread, sink, previous: before };
}
