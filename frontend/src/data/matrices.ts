/** The matrices of a map, one per layer and head. */

import type { Axis } from "./axis";
import type { Attention, Palette } from "./payload.generated";
import { type Scale, scaleOf } from "./scale";

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
  private readonly scales = new Map<string, Scale>();
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

  /** Whether most weights are small beside the largest: those of a long text are. */
  get manySmall(): boolean {
    return this.keys > 64;
  }

  /** The colors of weights without a sign. */
  ramp({ attention }: Palette): readonly string[] {
    return attention;
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

  /** The number of tokens that a key stands for. */
  tokensOf(key: number): number {
    const { first, last } = this.keyAxis.spans[key];
    return last - first + 1;
  }

  /** The color scale of one matrix. */
  scale(layer: number, head: number, mode: SinkMode): Scale {
    const cacheKey = `${layer} ${head} ${mode}`;
    const cached = this.scales.get(cacheKey);
    if (cached) return cached;
    const sinks = mode === "raw" ? new Set<number>() : this.sinks(layer, head);
    const scale = scaleOf(this, layer, head, sinks, mode === "renormalized");
    if (this.isLoaded(layer)) this.scales.set(cacheKey, scale);
    return scale;
  }

  /** One color scale for all heads and all loaded layers. */
  globalScale(mode: SinkMode): Scale {
    let [reach, largest] = [0, 0];
    for (let layer = 0; layer < this.layerCount; layer++) {
      for (let head = 0; head < this.headCount; head++) {
        const scale = this.scale(layer, head, mode);
        reach = Math.max(reach, scale.reach);
        largest = Math.max(largest, scale.largest);
      }
    }
    return { reach, largest, isUniform: false };
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
