/** The rows or columns of a matrix: each is a span of one or more neighboring tokens. */

import type { Table } from "./payload.generated";
import { labelOf } from "./units";

export interface Span {
  /** Its first and last token in the table. */
  readonly first: number;
  readonly last: number;
  readonly label: string;
}

export class Axis {
  private spanByToken: Map<number, number> | undefined;

  constructor(
    /** The table of its tokens. */
    readonly table: number,
    readonly spans: readonly Span[],
    /** For each span, the first and last index on the unfolded axis. */
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

  /** The span that contains a token; -1 if none. */
  indexOfToken(token: number): number {
    if (!this.spanByToken) {
      this.spanByToken = new Map();
      for (const [index, { first, last }] of this.spans.entries()) {
        for (let member = first; member <= last; member++) this.spanByToken.set(member, index);
      }
    }
    return this.spanByToken.get(token) ?? -1;
  }

  /** The span that contains a token, else the last span before it, else the first. */
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

/** The axis of a map in the payload; for pooled maps, ends are the last token of each block. */
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

/** Join neighboring spans whose tokens belong to one unit. */
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
