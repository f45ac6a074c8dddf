/** The color scale of a matrix: which weight has the strongest color, and whether its weights differ at all. */

import type { Attention } from "./payload.generated";

export interface Scale {
  /** The magnitude with the strongest color. */
  readonly reach: number;
  /** The largest magnitude; a few weights may lie beyond the scale. */
  readonly largest: number;
  /** Whether every weight is close to its share under equal attention. */
  readonly isUniform: boolean;
}

/** What a scale is computed from: one matrix, and what its rows can attend to. */
export interface Cells {
  readonly rows: number;
  readonly keys: number;
  readonly isDense: boolean;
  readonly part: Pick<Attention, "isAttention">;
  /** How many keys a row can attend to (2 means two or more). */
  choices(row: number): number;
  /** The number of tokens that a key stands for. */
  tokensOf(key: number): number;
  visit(layer: number, head: number, visit: (row: number, key: number, weight: number) => void): void;
}

/** Weights are nearly uniform if each is within this factor of its share under equal attention. */
export const UNIFORM = 1.5;
/** The scale spans at least this multiple of equal attention, so that rounding is not drawn as a pattern. */
const FLOOR = 2;
/** Weights beyond the scale: at most this share of all, and only where they are this much larger than the rest. */
const [BEYOND, APART, FEW] = [0.01, 2.5, 25];

/**
 * The scale of one matrix.
 *
 * The strongest color is that of the largest weight, unless a few weights are 2.5 times as large as all
 * others: then it is that of the others' largest, since a single weight would make the rest of the matrix
 * blank. Rows of attention are shares, so an equal row is known: the scale never spans less than twice that.
 * Sinks are excluded; rows are rescaled to what remains if requested.
 */
export function scaleOf(
  data: Cells,
  layer: number,
  head: number,
  sinks: ReadonlySet<number>,
  rescaled: boolean,
): Scale {
  const rest = new Float64Array(data.rows);
  const room = new Float64Array(data.rows);
  data.visit(layer, head, (row, key, weight) => {
    if (sinks.has(key)) return;
    rest[row] += Math.abs(weight);
    room[row] += data.tokensOf(key);
  });
  const isShares = data.part.isAttention || rescaled;
  const sizes: number[] = [];
  let [least, most] = [Number.POSITIVE_INFINITY, 0];
  data.visit(layer, head, (row, key, weight) => {
    // A row with a single key is always 1.
    if (sinks.has(key) || data.choices(row) < 2) return;
    const size = rescaled ? (rest[row] ? Math.abs(weight) / rest[row] : 0) : Math.abs(weight);
    sizes.push(size);
    const even = (data.tokensOf(key) / room[row]) * rest[row];
    if (even === 0) return;
    least = Math.min(least, Math.abs(weight) / even);
    most = Math.max(most, Math.abs(weight) / even);
  });
  const { largest, reach } = spanOf(sizes);
  const isKnown = isShares && data.isDense;
  let floor = 0;
  let rows = 0;
  for (let row = 0; isKnown && row < data.rows; row++) {
    if (data.choices(row) < 2 || room[row] === 0) continue;
    floor += (rescaled ? 1 : rest[row]) / room[row];
    rows++;
  }
  floor *= FLOOR * tokensPerKey(data);
  return {
    largest,
    reach: Math.max(reach, rows ? Math.min(floor / rows, 1) : 0), // no share is above 1
    isUniform: isKnown && most > 0 && least > 1 / UNIFORM && most < UNIFORM,
  };
}

/** The least that the scale of a row of shares spans, given their sum and the tokens that it goes to. */
export function rowFloor(data: Cells, total: number, tokens: number): number {
  return data.part.isAttention && data.isDense && tokens > 1
    ? (FLOOR * tokensPerKey(data) * total) / tokens
    : 0;
}

function tokensPerKey(data: Cells): number {
  let all = 0;
  for (let key = 0; key < data.keys; key++) all += data.tokensOf(key);
  return all / data.keys;
}

/** The largest of some magnitudes, and the largest that is not far beyond all others. */
export function spanOf(sizes: readonly number[]): { largest: number; reach: number } {
  let largest = 0;
  for (const size of sizes) if (size > largest) largest = size;
  if (sizes.length < FEW) return { largest, reach: largest };
  const allowed = Math.max(1, Math.floor(BEYOND * sizes.length));
  const isFar = (size: number) => size * APART >= largest;
  let far = 0;
  for (const size of sizes) if (isFar(size)) far++;
  if (far > allowed) return { largest, reach: largest };
  let reach = 0;
  for (const size of sizes) if (!isFar(size) && size > reach) reach = size;
  return { largest, reach: reach || largest };
}
