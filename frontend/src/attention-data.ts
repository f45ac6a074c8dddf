/** The weights of one attention map: layers inflated when first asked for, cells visited without copies. */

import { inflated, type MaskTest, maskTest, weightsOfBytes } from "./codec";
import type { Attention } from "./payload.generated";
import type { SinkMode } from "./store";

type Visit = (row: number, key: number, weight: number) => void;

export interface Row {
  /** One weight for each key; 0 where masked or not kept. */
  readonly weights: Float32Array;
  readonly sinks: ReadonlySet<number>;
}

export class AttentionData {
  readonly rows: number;
  readonly keys: number;
  readonly layerCount: number;
  readonly headCount: number;
  allowed: MaskTest = () => true;
  private readonly blocks: (Uint8Array | undefined)[];
  private readonly starts: Int32Array;
  private readonly table: Float32Array;
  private readonly peaks = new Map<string, number>();
  private cells = 0;

  private constructor(readonly part: Attention) {
    this.rows = part.rowPositions.length;
    this.keys = part.keyPositions.length;
    this.layerCount = Math.max(part.layers.length, 1);
    this.headCount = Math.max(part.heads.length, 1);
    this.blocks = new Array(part.weights.blocks.length);
    this.starts = new Int32Array(this.rows + 1);
    this.table = weightsOfBytes(part.weights);
  }

  static async of(part: Attention): Promise<AttentionData> {
    const data = new AttentionData(part);
    data.allowed = await maskTest(part.mask, data.keys);
    if (part.weights.kind === "dense") {
      for (let row = 0; row < data.rows; row++) {
        let count = 0;
        for (let key = 0; key < data.keys; key++) if (data.allowed(row, key)) count++;
        data.starts[row + 1] = data.starts[row] + count;
      }
      data.cells = data.starts[data.rows];
    } else {
      data.cells = data.rows * part.weights.kept;
    }
    return data;
  }

  get isDense(): boolean {
    return this.part.weights.kind === "dense";
  }

  isLoaded(layer: number): boolean {
    return this.blocks[layer] !== undefined;
  }

  async load(layer: number): Promise<void> {
    this.blocks[layer] ??= await inflated(this.part.weights.blocks[layer]);
  }

  async loadAll(): Promise<void> {
    for (let layer = 0; layer < this.layerCount; layer++) await this.load(layer);
  }

  /** Visit the weights kept of one head (or the mean over heads, -1) in some rows. */
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

  row(layer: number, head: number, row: number, mode: SinkMode): Row {
    const weights = new Float32Array(this.keys);
    this.visit(
      layer,
      head,
      (_, key, weight) => {
        weights[key] = weight;
      },
      row,
      row,
    );
    const sinks = this.sinks(layer, head);
    if (mode === "renormalised") renormalise(weights, sinks);
    return { weights, sinks };
  }

  /** The keys that soak up attention in this plane, as the report found them. */
  sinks(layer: number, head: number): ReadonlySet<number> {
    const { part } = this;
    const planes = this.headCount + (part.weights.means ? 1 : 0);
    if (head >= 0 || part.weights.means || this.headCount === 1) {
      return new Set(part.sinks[layer * planes + (head < 0 ? planes - 1 : head)] ?? []);
    }
    const counts = new Map<number, number>();
    for (let place = 0; place < planes; place++) {
      for (const key of part.sinks[layer * planes + place] ?? []) counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return new Set([...counts].filter(([, count]) => count > planes / 2).map(([key]) => key));
  }

  /** The mean weight on each sink, over the rows that had another choice. */
  sinkShare(layer: number, head: number, sink: number): number {
    let sum = 0;
    let rows = 0;
    const weights = new Float32Array(this.rows);
    this.visit(layer, head, (row, key, weight) => {
      if (key === sink) weights[row] = weight;
    });
    for (let row = 0; row < this.rows; row++) {
      if (!this.allowed(row, sink) || this.choices(row) < 2) continue;
      sum += weights[row];
      rows++;
    }
    return rows ? sum / rows : 0;
  }

  /** The largest size of a weight that is on the colour scale. */
  peak(layer: number, head: number, mode: SinkMode): number {
    const name = `${layer} ${head} ${mode}`;
    const known = this.peaks.get(name);
    if (known !== undefined) return known;
    const sinks = mode === "raw" ? new Set<number>() : this.sinks(layer, head);
    let peak = 0;
    if (mode === "renormalised") {
      for (let row = 0; row < this.rows; row++) {
        for (const weight of this.row(layer, head, row, mode).weights)
          peak = Math.max(peak, Math.abs(weight));
      }
    } else {
      this.visit(layer, head, (row, key, weight) => {
        // A row with one choice is 1 whatever the head does.
        if (!sinks.has(key) && this.choices(row) > 1) peak = Math.max(peak, Math.abs(weight));
      });
    }
    if (this.isLoaded(layer)) this.peaks.set(name, peak);
    return peak;
  }

  /** The largest over all heads, and over all layers loaded. */
  globalPeak(mode: SinkMode): number {
    let peak = 0;
    for (let layer = 0; layer < this.layerCount; layer++) {
      for (let head = 0; head < this.headCount; head++) peak = Math.max(peak, this.peak(layer, head, mode));
    }
    return peak;
  }

  /** How many keys a row may look at (2 stands for more). */
  choices(row: number): number {
    const { kind, offset } = this.part.mask;
    if (kind === "full") return Math.min(this.keys, 2);
    if (kind === "causal") return Math.min(row + offset + 1, this.keys, 2);
    let count = 0;
    for (let key = 0; key < this.keys && count < 2; key++) if (this.allowed(row, key)) count++;
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

function renormalise(weights: Float32Array, sinks: ReadonlySet<number>): void {
  let rest = 0;
  weights.forEach((weight, key) => {
    if (!sinks.has(key)) rest += Math.abs(weight);
  });
  weights.forEach((weight, key) => {
    weights[key] = sinks.has(key) || rest === 0 ? 0 : weight / rest;
  });
}

/** What one row looks at most, sinks left aside unless they are on the scale. */
export function topSources(row: Row, mode: SinkMode, count: number): { key: number; weight: number }[] {
  const ranked: { key: number; weight: number }[] = [];
  row.weights.forEach((weight, key) => {
    if (weight !== 0 && (mode === "raw" || !row.sinks.has(key))) ranked.push({ key, weight });
  });
  ranked.sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight) || a.key - b.key);
  return ranked.slice(0, count);
}

export interface HeadScores {
  /** Entropy of its rows as a share of the most there could be. */
  readonly spread: number;
  readonly sink: number;
  /** Weight on the token before. */
  readonly previous: number;
}

/** What a head does on average over the rows that have a choice. */
export function headScores(data: AttentionData, layer: number, head: number): HeadScores {
  const entropies = new Float64Array(data.rows);
  const previous = new Float64Array(data.rows);
  const onSinks = new Float64Array(data.rows);
  const sinks = data.sinks(layer, head);
  const { rowPositions, keyPositions } = data.part;
  // A step's row stands for the token that it produced; the query is the one before.
  const back = data.part.steps ? 2 : 1;
  data.visit(layer, head, (row, key, weight) => {
    if (weight > 0) entropies[row] -= weight * Math.log(weight);
    if (keyPositions[key] === rowPositions[row] - back) previous[row] += weight;
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
