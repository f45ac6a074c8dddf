/** The rows or the columns of a matrix: each stands for one token, or for neighboring ones joined. */

import type { Table } from "./payload.generated";
import { labelOf } from "./units";

export interface Stretch {
  /** Its first and last token of the table. */
  readonly first: number;
  readonly last: number;
  readonly label: string;
}

export class Axis {
  private places: Map<number, number> | undefined;

  constructor(
    /** The table whose tokens it runs over. */
    readonly table: number,
    readonly stretches: readonly Stretch[],
    /** For each stretch, its first and last place on the axis of single rows that it joins. */
    readonly joins: readonly (readonly [number, number])[],
  ) {}

  get length(): number {
    return this.stretches.length;
  }

  label(place: number): string {
    return this.stretches[place].label;
  }

  token(place: number): number {
    return this.stretches[place].first;
  }

  /** The stretch that a token stands in, -1 none. */
  placeOf(token: number): number {
    if (!this.places) {
      this.places = new Map();
      for (const [place, { first, last }] of this.stretches.entries()) {
        for (let held = first; held <= last; held++) this.places.set(held, place);
      }
    }
    return this.places.get(token) ?? -1;
  }

  /** The stretch that a token stands in, else the last that begins before it, else the first. */
  nearest(token: number): number {
    const held = this.placeOf(token);
    if (held >= 0) return held;
    let [low, high] = [0, this.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.stretches[middle].first <= token) low = middle + 1;
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
  const stretches = positions.map((first, place) => {
    const last = ends[place] ?? first;
    const label = ends.length ? (last > first ? `${first}–${last}` : `${first}`) : labels[first];
    return { first, last, label };
  });
  return new Axis(
    table,
    stretches,
    positions.map((_, place) => [place, place]),
  );
}

/** Join neighbors of an axis whose tokens belong to one unit. */
export function foldedAxis(axis: Axis, table: Table, groups: readonly number[]): Axis {
  const bounds: [number, number][] = [];
  for (let place = 0; place < axis.length; place++) {
    const last = bounds.at(-1);
    if (last && groups[axis.token(last[1])] === groups[axis.token(place)]) last[1] = place;
    else bounds.push([place, place]);
  }
  const stretches = bounds.map(([from, to]) => {
    const [first, last] = [axis.token(from), axis.token(to)];
    return { first, last, label: labelOf(table, first, last) };
  });
  return new Axis(axis.table, stretches, bounds);
}
