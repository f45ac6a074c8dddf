/** What a head does, read from the weights in the page: for reports that hold no scores of their heads. */

import type { Matrices } from "../../data/matrices";

export interface HeadScores {
  /** Entropy of its rows as a share of the most there could be. */
  readonly spread: number;
  readonly sink: number;
  /** Weight on the token before. */
  readonly previous: number;
}

/** What a head does on average over the rows that have a choice. */
export function headScores(data: Matrices, layer: number, head: number): HeadScores {
  const entropies = new Float64Array(data.rows);
  const previous = new Float64Array(data.rows);
  const onSinks = new Float64Array(data.rows);
  const sinks = data.sinks(layer, head);
  // A step's row stands for the token that it produced; the query is the one before.
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
