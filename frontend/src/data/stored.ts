/** The weights of one attention map in the payload; layers are inflated on first use. */

import { axisOf } from "./axis";
import { inflated, type MaskTest, maskTest, weightsOfBytes } from "./codec";
import { Matrices, type Visit } from "./matrices";
import type { Attention, Table } from "./payload.generated";

export class StoredMatrices extends Matrices {
  private readonly blocks: (Uint8Array | undefined)[];
  private readonly starts: Int32Array;
  private readonly table: Float32Array;
  private cells = 0;

  private constructor(
    part: Attention,
    tables: readonly Table[],
    private readonly bits: MaskTest,
  ) {
    super(
      part,
      axisOf(tables, part.rowTable, part.rowPositions, part.rowEnds),
      axisOf(tables, part.keyTable, part.keyPositions, part.keyEnds),
    );
    this.blocks = new Array(part.weights.blocks.length);
    this.starts = new Int32Array(this.rows + 1);
    this.table = weightsOfBytes(part.weights);
    if (this.isDense) {
      for (let row = 0; row < this.rows; row++) this.starts[row + 1] = this.starts[row] + this.allowedIn(row);
      this.cells = this.starts[this.rows];
    } else {
      this.cells = this.rows * part.weights.kept;
    }
  }

  static async of(part: Attention, tables: readonly Table[]): Promise<StoredMatrices> {
    return new StoredMatrices(part, tables, await maskTest(part.mask, part.keyPositions.length));
  }

  isLoaded(layer: number): boolean {
    return this.blocks[layer] !== undefined;
  }

  async load(layer: number): Promise<void> {
    this.blocks[layer] ??= await inflated(this.part.weights.blocks[layer]);
  }

  allowed(row: number, key: number): boolean {
    return this.bits(row, key);
  }

  allowsAny(firstRow: number, lastRow: number, firstKey: number, lastKey: number): boolean {
    // Under a causal mask the last row can attend to every key that an earlier row can.
    if (this.part.mask.kind !== "bits") return this.bits(lastRow, firstKey);
    for (let row = firstRow; row <= lastRow; row++) {
      for (let key = firstKey; key <= lastKey; key++) if (this.bits(row, key)) return true;
    }
    return false;
  }

  visit(layer: number, head: number, visit: Visit, firstRow = 0, lastRow = this.rows - 1): void {
    const block = this.blocks[layer];
    if (!block) return;
    if (head < 0 && this.headCount > 1 && !this.part.weights.means) {
      this.visitMean(layer, visit, firstRow, lastRow);
      return;
    }
    const plane = head < 0 ? (this.headCount > 1 ? this.headCount : 0) : head;
    if (this.isDense) this.visitDense(block, plane, visit, firstRow, lastRow);
    else this.visitTop(block, plane, visit, firstRow, lastRow);
  }

  sinkShares(layer: number, head: number): ReadonlyMap<number, number> {
    const { sinks, sinkShares } = this.part;
    const planes = this.headCount > 1 ? this.headCount + 1 : 1;
    const plane = layer * planes + (head < 0 ? planes - 1 : head);
    return new Map(sinks[plane].map((key, index) => [key, sinkShares[plane][index]]));
  }

  protected choicesOf(row: number): number {
    return Math.min(this.allowedIn(row), 2);
  }

  private allowedIn(row: number): number {
    const { kind, offset } = this.part.mask;
    if (kind === "full") return this.keys;
    if (kind === "causal") return Math.max(Math.min(row + offset + 1, this.keys), 0);
    let count = 0;
    for (let key = 0; key < this.keys; key++) if (this.bits(row, key)) count++;
    return count;
  }

  private visitDense(block: Uint8Array, plane: number, visit: Visit, first: number, last: number): void {
    const { kind, offset } = this.part.mask;
    for (let row = first; row <= last; row++) {
      let cell = plane * this.cells + this.starts[row];
      const end = kind === "causal" ? Math.min(row + offset + 1, this.keys) : this.keys;
      for (let key = 0; key < end; key++) {
        if (kind === "bits" && !this.allowed(row, key)) continue;
        visit(row, key, this.table[block[cell++]]);
      }
    }
  }

  private visitTop(block: Uint8Array, plane: number, visit: Visit, first: number, last: number): void {
    const { kept } = this.part.weights;
    const levels = Math.floor((block.length / 3) * 2);
    for (let row = first; row <= last; row++) {
      const start = plane * this.cells + row * kept;
      let key = 0;
      for (let cell = start; cell < start + kept; cell++) {
        key += block[2 * cell] + 256 * block[2 * cell + 1];
        if (this.allowed(row, key)) visit(row, key, this.table[block[levels + cell]]);
      }
    }
  }

  private visitMean(layer: number, visit: Visit, first: number, last: number): void {
    const sums = new Float32Array(this.keys);
    for (let row = first; row <= last; row++) {
      sums.fill(0);
      for (let head = 0; head < this.headCount; head++) {
        this.visit(
          layer,
          head,
          (_, key, weight) => {
            sums[key] += weight;
          },
          row,
          row,
        );
      }
      for (let key = 0; key < this.keys; key++) {
        if (this.allowed(row, key)) visit(row, key, sums[key] / this.headCount);
      }
    }
  }
}
