/** A map folded to words or sentences: keys summed, queries averaged, as `AttentionMap.folded` does. */

import { foldedAxis } from "./axis";
import { Matrices, type Visit } from "./matrices";
import type { Table } from "./payload.generated";
import type { Level } from "./units";

const MAX_CACHED_CELLS = 16_000_000;

export class FoldedMatrices extends Matrices {
  private readonly planes = new Map<string, Float32Array>();
  private readonly mask: Uint8Array;
  /** The folded row of each row, the folded key of each key. */
  private readonly rowOf: Int32Array;
  private readonly keyOf: Int32Array;

  constructor(
    readonly whole: Matrices,
    tables: readonly Table[],
    level: Level,
  ) {
    const [rowTable, keyTable] = [tables[whole.rowAxis.table], tables[whole.keyAxis.table]];
    super(
      whole.part,
      foldedAxis(whole.rowAxis, rowTable, rowTable.groups[level]),
      foldedAxis(whole.keyAxis, keyTable, keyTable.groups[level]),
    );
    this.rowOf = newIndices(this.rowAxis.joins, whole.rows);
    this.keyOf = newIndices(this.keyAxis.joins, whole.keys);
    this.mask = new Uint8Array(this.rows * this.keys);
    this.rowAxis.joins.forEach(([firstRow, lastRow], row) => {
      this.keyAxis.joins.forEach(([firstKey, lastKey], key) => {
        this.mask[row * this.keys + key] = whole.allowsAny(firstRow, lastRow, firstKey, lastKey) ? 1 : 0;
      });
    });
  }

  allowed(row: number, key: number): boolean {
    return this.mask[row * this.keys + key] === 1;
  }

  allowsAny(firstRow: number, lastRow: number, firstKey: number, lastKey: number): boolean {
    for (let row = firstRow; row <= lastRow; row++) {
      for (let key = firstKey; key <= lastKey; key++) if (this.allowed(row, key)) return true;
    }
    return false;
  }

  isLoaded(layer: number): boolean {
    return this.whole.isLoaded(layer);
  }

  load(layer: number): Promise<void> {
    return this.whole.load(layer);
  }

  sinkShares(layer: number, head: number): ReadonlyMap<number, number> {
    const shares = new Map<number, number>();
    for (const [token, share] of this.whole.sinkShares(layer, head)) {
      const key = this.keyOf[token];
      shares.set(key, (shares.get(key) ?? 0) + share);
    }
    return shares;
  }

  visit(layer: number, head: number, visit: Visit, firstRow = 0, lastRow = this.rows - 1): void {
    if (!this.isLoaded(layer)) return;
    const plane = this.plane(layer, head);
    for (let row = firstRow; row <= lastRow; row++) {
      for (let key = 0; key < this.keys; key++) {
        const cell = row * this.keys + key;
        if (this.mask[cell]) visit(row, key, plane[cell]);
      }
    }
  }

  protected choicesOf(row: number): number {
    let count = 0;
    for (let key = 0; key < this.keys && count < 2; key++) if (this.allowed(row, key)) count++;
    return count;
  }

  private plane(layer: number, head: number): Float32Array {
    const cacheKey = `${layer} ${head}`;
    let plane = this.planes.get(cacheKey);
    if (!plane) {
      const sums = new Float32Array(this.rows * this.keys);
      this.whole.visit(layer, head, (row, key, weight) => {
        sums[this.rowOf[row] * this.keys + this.keyOf[key]] += weight;
      });
      this.rowAxis.joins.forEach(([first, last], row) => {
        for (let key = 0; key < this.keys; key++) sums[row * this.keys + key] /= last - first + 1;
      });
      plane = sums;
      if ((this.planes.size + 1) * sums.length > MAX_CACHED_CELLS) this.planes.clear();
      this.planes.set(cacheKey, plane);
    }
    return plane;
  }
}

function newIndices(joins: readonly (readonly [number, number])[], count: number): Int32Array {
  const indices = new Int32Array(count);
  joins.forEach(([first, last], index) => {
    indices.fill(index, first, last + 1);
  });
  return indices;
}
