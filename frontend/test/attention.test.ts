import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { axisOf } from "../src/data/axis";
import { FoldedMatrices } from "../src/data/folded";
import type { Attention, Table } from "../src/data/payload.generated";
import { exactPlane } from "../src/data/planes";
import { StoredMatrices } from "../src/data/stored";
import type { Level } from "../src/data/units";
import type { State } from "../src/state/store";
import { contains, moved, resized, windowAt, windowOf } from "../src/state/window";

interface Folded {
  level: Level;
  layer: number;
  head: number;
  from: string[];
  to: string[];
  allowed: boolean[][];
  weights: number[][];
  sinks: number[];
  shares: number[];
  scale: { reach: number; largest: number; isUniform: boolean };
}
/** Maps as Python encodes them, with their folded versions (tests/show/test_payload_folding.py). */
const folding = JSON.parse(readFileSync(new URL("./folding.json", import.meta.url), "utf8")) as Record<
  string,
  { tables: Table[]; part: Attention; folded: Folded[] }
>;

describe.each(Object.entries(folding))("folding a map (%s)", (_, { tables, part, folded }) => {
  it.each(
    folded.map((fold) => [`${fold.level} ${fold.layer} ${fold.head}`, fold] as const),
  )("to %s equals what Python computes", async (_, expected) => {
    const whole = await StoredMatrices.of(part, tables);
    await whole.loadAll();
    const data = new FoldedMatrices(whole, tables, expected.level);
    expect(data.rowAxis.spans.map(({ label }) => label)).toEqual(expected.from);
    expect(data.keyAxis.spans.map(({ label }) => label)).toEqual(expected.to);
    expected.weights.forEach((weights, row) => {
      const actual = data.row(expected.layer, expected.head, row, "raw").weights;
      weights.forEach((weight, key) => {
        expect(data.allowed(row, key), `${row} ${key}`).toBe(expected.allowed[row][key]);
        expect(actual[key], `${row} ${key}`).toBeCloseTo(weight, 5);
      });
    });
    const scale = data.scale(expected.layer, expected.head, "muted");
    expect(scale.reach).toBeCloseTo(expected.scale.reach, 5);
    expect(scale.largest).toBeCloseTo(expected.scale.largest, 5);
    expect(scale.isUniform).toBe(expected.scale.isUniform);
    const shares = [...data.sinkShares(expected.layer, expected.head)].sort(([a], [b]) => a - b);
    expect(shares).toEqual(expected.sinks.map((sink, index) => [sink, expected.shares[index]]));
  });
});

const table = {
  labels: Array.from({ length: 100 }, (_, index) => `w${index}`),
  segments: Array(100).fill(-1),
} as unknown as Table;
const part = (changes: Partial<Attention>) => ({ ...folding.causal.part, ...changes }) as Attention;

describe("an axis", () => {
  it("finds the span of every token when neighbors are pooled", () => {
    const axis = axisOf([table], 0, [60, 68, 76], [67, 75, 79]);
    expect(axis.spans.map(({ label }) => label)).toEqual(["60–67", "68–75", "76–79"]);
    expect([59, 60, 67, 68, 79, 80].map((token) => axis.indexOfToken(token))).toEqual([-1, 0, 0, 1, 2, -1]);
    expect([0, 70, 99].map((token) => axis.nearest(token))).toEqual([0, 1, 2]);
  });
  it("keeps rows in the order they were requested", () => {
    const axis = axisOf([table], 0, [5, 2, 9], []);
    expect([2, 5, 9, 3].map((token) => axis.indexOfToken(token))).toEqual([1, 0, 2, -1]);
  });
});

describe("individual weights of a pooled map", () => {
  const pooled = part({ pooled: 8, layers: [0, 1], heads: [0, 1] });
  const means = part({ layers: [0, 1], heads: [], headWords: "mean of heads 0–1" });
  const last = part({ layers: [1], heads: [0, 1] });
  it("are matched by layer and head", () => {
    const parts = [means, last, pooled];
    expect(exactPlane(parts, { map: 2, layer: 0, head: -1 })).toEqual({ map: 0, layer: 0, head: 0 });
    expect(exactPlane(parts, { map: 2, layer: 1, head: 1 })).toEqual({ map: 1, layer: 0, head: 1 });
    expect(exactPlane(parts, { map: 2, layer: 0, head: 1 })).toBeNull();
    expect(exactPlane(parts, { map: 1, layer: 0, head: 1 }), "not pooled").toBeNull();
    expect(exactPlane([last, pooled], { map: 1, layer: 1, head: -1 })).toEqual({
      map: 0,
      layer: 0,
      head: -1,
    });
  });
  it("belong to the same map and rows", () => {
    const other = [part({ map: "rollout" }), part({ steps: true }), pooled];
    expect(exactPlane(other, { map: 2, layer: 1, head: 0 })).toBeNull();
    const some = [part({ layers: [1], heads: [0] }), pooled];
    expect(exactPlane(some, { map: 1, layer: 1, head: -1 }), "one head is not a mean").toBeNull();
  });
});

describe("a window", () => {
  const zoomed = { zoom: true, zoomRow: 50, zoomKey: 2, zoomSize: 16 } as State;
  const data = {
    rows: 40,
    keys: 100,
    rowAxis: axisOf(
      [table],
      0,
      [...Array(40).keys()].map((index) => index + 60),
      [],
    ),
    keyAxis: axisOf([table], 0, [...Array(100).keys()], []),
  } as unknown as StoredMatrices;
  it("stays within the matrix", () => {
    expect(windowOf(data, zoomed)).toEqual({ firstRow: 0, rows: 16, firstKey: 0, keys: 16 });
    expect(windowAt(data, 64, 39, 99)).toEqual({ firstRow: 0, rows: 40, firstKey: 36, keys: 64 });
    expect(windowOf(data, { ...zoomed, zoom: false }).keys).toBe(100);
  });
  it("moves by cells, and back", () => {
    const window = windowOf(data, zoomed);
    const right = { ...zoomed, ...moved(data, window, 0, 10) };
    expect(windowOf(data, right).firstKey).toBe(10);
    const end = { ...zoomed, ...moved(data, window, 1e9, 1e9) };
    expect(windowOf(data, end)).toEqual({ firstRow: 24, rows: 16, firstKey: 84, keys: 16 });
    expect(windowOf(data, { ...end, ...moved(data, windowOf(data, end), -24, -84) })).toEqual(window);
  });
  it("grows and shrinks through the sizes, and tests whether it contains a cell", () => {
    expect([resized(32, 1), resized(32, -1), resized(16, -1), resized(256, 1)]).toEqual([48, 24, 16, 256]);
    const window = windowAt(data, 16, 20, 20);
    expect([contains(window, 12, 12), contains(window, 28, 20), contains(window, 20, 11)]).toEqual([
      true,
      false,
      false,
    ]);
  });
});
