/** The matrices of a map, one per layer and head. */

import type { Axis } from "./axis";
import type { Attention } from "./payload.generated";

/** Attention sinks: drawn like other keys, excluded from the color scale, or removed with rows rescaled. */
export type SinkMode = "raw" | "muted" | "renormalized";
export type Visit = (row: number, key: number, weight: number) => void;

export interface Row {
  /** One weight per key; 0 where masked or not stored. */
  readonly weights: Float32Array;
  readonly sinks: ReadonlySet<number>;
}

export abstract class Matrices {
  readonly layerCount: number;
  readonly headCount: number;
  private readonly peaks = new Map<string, number>();
  private choiceCounts: Uint8Array | undefined;

  constructor(
    readonly part: Attention,
    readonly rowAxis: Axis,
    readonly keyAxis: Axis,
  ) {
    this.layerCount = Math.max(part.layers.length, 1);
    this.headCount = Math.max(part.heads.length, 1);
  }

  get rows(): number {
    return this.rowAxis.length;
  }

  get keys(): number {
    return this.keyAxis.length;
  }

  get isDense(): boolean {
    return this.part.weights.kind === "dense";
  }

  /** Whether a row can attend to a key. */
  abstract allowed(row: number, key: number): boolean;
  /** Whether any of some rows can attend to any of some keys. */
  abstract allowsAny(firstRow: number, lastRow: number, firstKey: number, lastKey: number): boolean;
  abstract isLoaded(layer: number): boolean;
  abstract load(layer: number): Promise<void>;
  /** Visit the stored weights of one head (-1: the mean over heads) in some rows. */
  abstract visit(layer: number, head: number, visit: Visit, firstRow?: number, lastRow?: number): void;
  /** The attention sinks of this plane, each with its share of the attention, as the report states them. */
  abstract sinkShares(layer: number, head: number): ReadonlyMap<number, number>;
  /** How many keys a row can attend to (2 means two or more). */
  protected abstract choicesOf(row: number): number;

  async loadAll(): Promise<void> {
    for (let layer = 0; layer < this.layerCount; layer++) await this.load(layer);
  }

  choices(row: number): number {
    this.choiceCounts ??= Uint8Array.from({ length: this.rows }, (_, index) => this.choicesOf(index));
    return this.choiceCounts[row];
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
    if (mode === "renormalized") renormalize(weights, sinks);
    return { weights, sinks };
  }

  sinks(layer: number, head: number): ReadonlySet<number> {
    return new Set(this.sinkShares(layer, head).keys());
  }

  sinkShare(layer: number, head: number, sink: number): number {
    return this.sinkShares(layer, head).get(sink) ?? 0;
  }

  /** The largest magnitude on the color scale. */
  peak(layer: number, head: number, mode: SinkMode): number {
    const cacheKey = `${layer} ${head} ${mode}`;
    const cached = this.peaks.get(cacheKey);
    if (cached !== undefined) return cached;
    const sinks = mode === "raw" ? new Set<number>() : this.sinks(layer, head);
    let peak = 0;
    if (mode === "renormalized") {
      for (let row = 0; row < this.rows; row++) {
        for (const weight of this.row(layer, head, row, mode).weights)
          peak = Math.max(peak, Math.abs(weight));
      }
    } else {
      this.visit(layer, head, (row, key, weight) => {
        const size = Math.abs(weight);
        // A row with a single key is always 1.
        if (size > peak && !sinks.has(key) && this.choices(row) > 1) peak = size;
      });
    }
    if (this.isLoaded(layer)) this.peaks.set(cacheKey, peak);
    return peak;
  }

  /** The largest magnitude over all heads and all loaded layers. */
  globalPeak(mode: SinkMode): number {
    let peak = 0;
    for (let layer = 0; layer < this.layerCount; layer++) {
      for (let head = 0; head < this.headCount; head++) peak = Math.max(peak, this.peak(layer, head, mode));
    }
    return peak;
  }
}

function renormalize(weights: Float32Array, sinks: ReadonlySet<number>): void {
  let rest = 0;
  weights.forEach((weight, key) => {
    if (!sinks.has(key)) rest += Math.abs(weight);
  });
  weights.forEach((weight, key) => {
    weights[key] = sinks.has(key) || rest === 0 ? 0 : weight / rest;
  });
}

/** The keys a row attends to most, excluding sinks unless they are on the color scale. */
export function topSources(row: Row, mode: SinkMode, count: number): { key: number; weight: number }[] {
  const ranked: { key: number; weight: number }[] = [];
  row.weights.forEach((weight, key) => {
    if (weight !== 0 && (mode === "raw" || !row.sinks.has(key))) ranked.push({ key, weight });
  });
  ranked.sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight) || a.key - b.key);
  return ranked.slice(0, count);
}
