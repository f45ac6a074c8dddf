/** The rows or the columns of a matrix: each stands for one token, or for neighboring ones joined. */

import type { Table } from "./payload.generated";
import { labelOf } from "./units";

export interface Span {
  /** Its first and last token of the table. */
  readonly first: number;
  readonly last: number;
  readonly label: string;
}

export class Axis {
  private spanByToken: Map<number, number> | undefined;

  constructor(
    /** The table whose tokens it runs over. */
    readonly table: number,
    readonly spans: readonly Span[],
    /** For each stretch, its first and last place on the axis of single rows that it joins. */
    readonly joins: readonly (readonly [number, number])[],
  ) {}

  get length(): number {
    return this.spans.length;
  }

  label(index: number): string {
    return this.spans[index].label;
  }

  token(index: number): number {
    return this.spans[index].first;
  }

  /** The stretch that a token stands in, -1 none. */
  indexOfToken(token: number): number {
    if (!this.spanByToken) {
      this.spanByToken = new Map();
      for (const [index, { first, last }] of this.spans.entries()) {
        for (let member = first; member <= last; member++) this.spanByToken.set(member, index);
      }
    }
    return this.spanByToken.get(token) ?? -1;
  }

  /** The stretch that a token stands in, else the last that begins before it, else the first. */
  nearest(token: number): number {
    const index = this.indexOfToken(token);
    if (index >= 0) return index;
    let [low, high] = [0, this.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.spans[middle].first <= token) low = middle + 1;
      else high = middle;
    }
    return Math.max(low - 1, 0);
  }
}

/** The axis of a map as the payload holds it; where neighbors were pooled, ends are the last token of each. */
export function axisOf(
  tables: readonly Table[],
  table: number,
  positions: readonly number[],
  ends: readonly number[],
): Axis {
  const { labels } = tables[table];
  const spans = positions.map((first, index) => {
    const last = ends[index] ?? first;
    const label = ends.length ? (last > first ? `${first}–${last}` : `${first}`) : labels[first];
    return { first, last, label };
  });
  return new Axis(
    table,
    spans,
    positions.map((_, index) => [index, index]),
  );
}

/** Join neighbors of an axis whose tokens belong to one unit. */
export function foldedAxis(axis: Axis, table: Table, groups: readonly number[]): Axis {
  const bounds: [number, number][] = [];
  for (let index = 0; index < axis.length; index++) {
    const last = bounds.at(-1);
    if (last && groups[axis.token(last[1])] === groups[axis.token(index)]) last[1] = index;
    else bounds.push([index, index]);
  }
  const spans = bounds.map(([from, to]) => {
    const [first, last] = [axis.token(from), axis.token(to)];
    return { first, last, label: labelOf(table, first, last) };
  });
  return new Axis(axis.table, spans, bounds);
}
