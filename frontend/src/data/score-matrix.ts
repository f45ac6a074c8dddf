/**
 * The scores of every step of a generation, as shares of the step's total: rows are source units, columns are the
 * generated tokens.
 */

import { Axis } from "./axis";
import { Matrices, type Visit } from "./matrices";
import type { Attention, Attribution, Palette, Table } from "./payload.generated";
import type { Scale } from "./scale";
import { scoresOf, type Unit } from "./units";

const NO_SINKS: ReadonlyMap<number, number> = new Map();

/** A map of attention in form only, so that scores are drawn as attention is. */
const FORM: Omit<Attention, "rowTable" | "keyTable" | "weights"> = {
  map: "scores",
  name: "",
  stack: "",
  queryName: "source",
  keyName: "token",
  layers: [],
  heads: [],
  layerWords: "",
  headWords: "",
  rowPositions: [],
  rowEnds: [],
  keyPositions: [],
  keyEnds: [],
  steps: false,
  pooled: 1,
  isAttention: false,
  mask: { kind: "full", offset: 0, data: "" },
  sinks: [],
  sinkShares: [],
  python: [],
};

export class ScoreMatrix extends Matrices {
  /** Column by column, NaN where a source has no score. */
  private readonly scores: readonly Float64Array[];
  /** The sum of the magnitudes of each column. */
  private readonly totals: readonly number[];
  readonly reach: number;

  constructor(
    index: number,
    table: Table,
    attribution: Attribution,
    units: readonly Unit[],
    tokens: readonly number[],
    labels: readonly string[],
  ) {
    const columns = attribution.targets.map((_, target) =>
      scoresOf(attribution, units, table.labels.length, target, target),
    );
    const shown = units.filter((_, unit) => columns.some(({ values }) => !Number.isNaN(values[unit])));
    const spans = shown.map(({ first, last, label }) => ({ first, last, label }));
    const written = tokens.map((token, index) => ({ first: token, last: token, label: labels[index] }));
    const { signed } = attribution;
    super(
      {
        ...FORM,
        rowTable: index,
        keyTable: index,
        weights: {
          kind: "dense",
          levels: 255,
          scale: 1,
          signed,
          error: 0,
          kept: 0,
          share: 1,
          means: false,
          blocks: [],
        },
      },
      new Axis(index, spans, []),
      new Axis(index, written, []),
    );
    this.scores = columns.map(({ values }) =>
      Float64Array.from(shown, (unit) => values[units.indexOf(unit)]),
    );
    this.totals = columns.map(({ total }) => total || 1);
    this.reach = Math.max(...columns.map(({ reach, total }) => reach / (total || 1)), 0) || 1;
  }

  /** The score itself. */
  value(row: number, key: number): number {
    return this.scores[key][row];
  }

  share(row: number, key: number): number {
    return this.scores[key][row] / this.totals[key];
  }

  allowed(row: number, key: number): boolean {
    return !Number.isNaN(this.value(row, key));
  }

  allowsAny(firstRow: number, lastRow: number, firstKey: number, lastKey: number): boolean {
    for (let row = firstRow; row <= lastRow; row++) {
      for (let key = firstKey; key <= lastKey; key++) if (this.allowed(row, key)) return true;
    }
    return false;
  }

  isLoaded(): boolean {
    return true;
  }

  async load(): Promise<void> {}

  visit(_layer: number, _head: number, visit: Visit, firstRow = 0, lastRow = this.rows - 1): void {
    for (let row = firstRow; row <= lastRow; row++) {
      for (let key = 0; key < this.keys; key++)
        if (this.allowed(row, key)) visit(row, key, this.share(row, key));
    }
  }

  /** The token just before often has nearly all of a column. */
  override get manySmall(): boolean {
    return true;
  }

  override ramp({ unsigned }: Palette): readonly string[] {
    return unsigned;
  }

  sinkShares(): ReadonlyMap<number, number> {
    return NO_SINKS;
  }

  /** The end of the one scale: special tokens are not on it. */
  override scale(): Scale {
    return { reach: this.reach, largest: this.reach, isUniform: false };
  }

  protected choicesOf(): number {
    return 2;
  }
}
