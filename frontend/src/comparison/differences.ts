/** Differences of attention weights, decoded layer by layer; NaN where masked. */

import { inflated, type MaskTest, maskTest, weightsOfBytes } from "../data/codec";
import type { ComparedAttention } from "../data/payload.generated";

/** Part of the largest weight from which a difference has the full color, if none is larger. */
const REACH = 0.1;

export class Differences {
  readonly rows: number;
  readonly keys: number;
  private readonly blocks = new Map<number, Promise<Float32Array[]>>();

  constructor(readonly part: ComparedAttention) {
    this.rows = part.rowLabels.length;
    this.keys = part.keyLabels.length;
  }

  /** The differences of one matrix, row by row; -1 is the mean over layers, or over heads. */
  async plane(layer: number, head: number): Promise<Float32Array> {
    const count = this.part.weights.blocks.length;
    const layers = layer < 0 ? Array.from({ length: count }, (_, index) => index) : [layer];
    const planes = (await Promise.all(layers.map((index) => this.block(index)))).flatMap((block) =>
      head < 0 ? block : [block[head]],
    );
    if (planes.length === 1) return planes[0];
    const mean = new Float32Array(this.rows * this.keys);
    for (const plane of planes) for (let cell = 0; cell < mean.length; cell++) mean[cell] += plane[cell];
    return mean.map((sum) => sum / planes.length);
  }

  /** The difference with the full color: the largest, at least a tenth of the largest weight. */
  full(plane: Float32Array, layer: number, head: number): number {
    const { reach, heads, weights } = this.part;
    const columns = Math.max(heads.length, 1) + 1;
    const row = layer < 0 ? weights.blocks.length : layer;
    const weight = reach[row * columns + (head < 0 ? columns - 1 : head)] ?? reach.at(-1)!;
    return Math.max(largestOf(plane), REACH * weight) || 1;
  }

  private block(layer: number): Promise<Float32Array[]> {
    let block = this.blocks.get(layer);
    if (!block) {
      block = this.read(layer);
      this.blocks.set(layer, block);
    }
    return block;
  }

  private async read(layer: number): Promise<Float32Array[]> {
    const { mask, weights, heads } = this.part;
    const [bytes, allowed] = await Promise.all([
      inflated(weights.blocks[layer]),
      maskTest(mask, this.keys) as Promise<MaskTest>,
    ]);
    const values = weightsOfBytes(weights);
    let place = 0;
    return Array.from({ length: Math.max(heads.length, 1) }, () => {
      const plane = new Float32Array(this.rows * this.keys).fill(Number.NaN);
      for (let row = 0; row < this.rows; row++) {
        for (let key = 0; key < this.keys; key++) {
          if (allowed(row, key)) plane[row * this.keys + key] = values[bytes[place++]];
        }
      }
      return plane;
    });
  }
}

/** The matrix that is shown, and the difference with the full color. */
export interface MatrixShown {
  readonly data: Differences;
  readonly plane: Float32Array;
  readonly full: number;
}

export function largestOf(plane: Float32Array): number {
  return plane.reduce((largest, value) => Math.max(largest, Math.abs(value) || 0), 0);
}

/** The cells with the largest differences that count, largest first. */
export function largestCells(plane: Float32Array, least: number, count: number): number[] {
  return Array.from(plane.keys())
    .filter((cell) => Math.abs(plane[cell]) >= least && plane[cell] !== 0)
    .sort((a, b) => Math.abs(plane[b]) - Math.abs(plane[a]) || a - b)
    .slice(0, count);
}
