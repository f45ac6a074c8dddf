import { describe, expect, it } from "vitest";
import type { Attention } from "../src/data/payload.generated";
import { type Cells, scaleOf, spanOf } from "../src/data/scale";
import type { Measure } from "../src/scene/font";
import { mapOfHeads } from "../src/views/heads/view";
import { type Frame, frameOf } from "../src/views/heatmap/frame";

/** As a font measures: wide and narrow characters. */
const measure: Measure = (text, size) =>
  Array.from(text).reduce((sum, letter) => sum + (/[ilt.]/.test(letter) ? 0.3 : 0.62) * size, 0);
const WORDS = [
  "a",
  "I",
  "[CLS]",
  "movie",
  "wonderful",
  "##ability",
  "Donaudampfschifffahrtsgesellschaft",
  "…",
];
const label = (index: number) => WORDS[(index * 7 + (index >> 3)) % WORDS.length];
const data = (steps = false) => ({
  part: { steps, queryName: "query", keyName: "key" } as Attention,
  rowAxis: { label },
  keyAxis: { label },
});

type Box = { text: string; left: number; right: number; top: number; bottom: number };

/** The corners of a label's text. */
function boxOf({ x, y, text, size, anchor, turn = 0 }: Frame["labels"][number]): Box {
  const length = measure(text, size);
  const [from, to] = anchor === "end" ? [-length, 0] : [0, length];
  const [sin, cos] = [Math.sin((turn * Math.PI) / 180), Math.cos((turn * Math.PI) / 180)];
  const corners = [from, to].flatMap((u) =>
    [-size / 2, size / 2].map((v) => [x + u * cos - v * sin, y + u * sin + v * cos]),
  );
  const [xs, ys] = [0, 1].map((axis) => corners.map((corner) => corner[axis]));
  return {
    text,
    left: Math.min(...xs),
    right: Math.max(...xs),
    top: Math.min(...ys),
    bottom: Math.max(...ys),
  };
}

describe("the labels of a matrix", () => {
  const sizes: [number, number][] = [];
  for (let count = 2; count <= 200; count++) sizes.push([count, count], [count, 7], [5, count], [count, 130]);
  it.each([
    288, 350, 640, 720,
  ])("fit their frame of %d pixels and never touch, from 2 to 200 keys", (width) => {
    const faults: string[] = [];
    for (const [rows, keys] of sizes) {
      const frame = frameOf(data(rows === 5), { firstRow: 0, rows, firstKey: 0, keys }, width, measure);
      const check = (isRight: boolean, what: string) => isRight || faults.push(`${rows} × ${keys}: ${what}`);
      check(frame.width <= width, "width");
      check(frame.left + keys * frame.cellWidth <= frame.width, "columns");
      check(frame.top + rows * frame.cellHeight <= frame.height, "rows");
      for (const shown of frame.labels) {
        const { left, top, right, bottom } = boxOf(shown);
        check(left >= 0 && top >= 0 && right <= frame.width + 0.01 && bottom <= frame.height, shown.text);
        check(shown.axis === "name" || WORDS.includes(shown.text) || shown.text.endsWith("…"), shown.text);
      }
      for (const axis of ["row", "key"] as const) {
        const labels = frame.labels.filter((shown) => shown.axis === axis);
        check(labels.length > 0 && (!!frame.ticks || labels.length === { row: rows, key: keys }[axis]), axis);
        labels.slice(1).forEach((shown, index) => {
          const before = labels[index];
          const apart = axis === "row" ? shown.y - before.y : (shown.x - before.x) * Math.sin(Math.PI / 3);
          check(apart >= shown.size * 1.09, `${axis} ${shown.text} touches ${before.text}`);
        });
      }
    }
    expect(faults).toEqual([]);
  });
  it("are all there for the 44 keys of a desktop, and every second for more", () => {
    const labels = (keys: number) => {
      const window = { firstRow: 0, rows: keys, firstKey: 0, keys };
      return frameOf(data(), window, 720, measure).labels.filter(({ axis }) => axis === "key").length;
    };
    expect([8, 32, 44].map(labels)).toEqual([8, 32, 44]);
    expect(labels(60)).toBe(30);
  });
});

const cells = (weights: readonly (readonly number[])[], changes: Partial<Cells> = {}): Cells => ({
  rows: weights.length,
  keys: weights[0].length,
  isDense: true,
  part: { isAttention: true },
  choices: (row) => weights[row].filter((weight) => !Number.isNaN(weight)).length,
  tokensOf: () => 1,
  visit: (_, __, visit) =>
    weights.forEach((row, index) => {
      row.forEach((weight, key) => {
        if (!Number.isNaN(weight)) visit(index, key, weight);
      });
    }),
  ...changes,
});
const none = new Set<number>();

describe("the color scale", () => {
  it("ends at the largest weight", () => {
    expect(
      scaleOf(
        cells([
          [0.9, 0.1],
          [0.2, 0.8],
        ]),
        0,
        0,
        none,
        false,
      ),
    ).toEqual({
      reach: 1,
      largest: 0.9,
      isUniform: false,
    });
    const sharp = [0, 1, 2, 3].map((row) => [0, 1, 2, 3].map((key) => (row === key ? 0.97 : 0.01)));
    expect(scaleOf(cells(sharp), 0, 0, none, false).reach).toBe(0.97);
  });
  it("is not set by one weight that is far beyond all others", () => {
    const even = Array.from({ length: 10 }, (_, row) =>
      Array.from({ length: 10 }, (_, key) => (row === key ? 0.3 : 0.7 / 9)),
    );
    even[0] = [0.95, ...Array(9).fill(0.05 / 9)];
    const scale = scaleOf(cells(even), 0, 0, none, false);
    expect([scale.reach, scale.largest]).toEqual([0.3, 0.95]);
    expect(spanOf([9, 1, 1])).toEqual({ largest: 9, reach: 9 });
    expect(spanOf([...Array(200).fill(1), 9, 8])).toEqual({ largest: 9, reach: 1 });
    expect(spanOf([...Array(200).fill(1), 9, 8, 7]), "three of 203 are more than 1 %").toEqual({
      largest: 9,
      reach: 9,
    });
  });
  it("does not stretch noise: equal attention takes half of it at most", () => {
    const noise = Array.from({ length: 20 }, (_, row) =>
      Array.from({ length: 20 }, (_, key) => 0.05 + 0.002 * Math.sin(7 * row + 3 * key)),
    );
    const scale = scaleOf(cells(noise), 0, 0, none, false);
    expect(scale.isUniform).toBe(true);
    expect(scale.reach).toBeCloseTo(0.1, 3);
    // The same for what a sink leaves, and for rows under a causal mask.
    const sink = noise.map((row) => [0.8, ...row.slice(1).map((weight) => (weight * 0.2) / 0.95)]);
    expect(scaleOf(cells(sink), 0, 0, none, false).isUniform).toBe(false);
    expect(scaleOf(cells(sink), 0, 0, new Set([0]), false).isUniform).toBe(true);
    expect(scaleOf(cells(sink), 0, 0, new Set([0]), true).reach).toBeCloseTo(2 / 19, 2);
    const causal = noise.map((_, row) => noise.map((_, key) => (key > row ? Number.NaN : 1 / (row + 1))));
    expect(scaleOf(cells(causal), 0, 0, none, false).isUniform).toBe(true);
  });
  it("knows that a word of three tokens takes three times as much of equal attention", () => {
    const words = [
      [0.6, 0.2, 0.2],
      [0.58, 0.22, 0.2],
    ];
    const tokensOf = (key: number) => [3, 1, 1][key];
    expect(scaleOf(cells(words), 0, 0, none, false).isUniform).toBe(false);
    expect(scaleOf(cells(words, { tokensOf }), 0, 0, none, false).isUniform).toBe(true);
  });
  it("says nothing about maps whose rows are no shares, or whose weights are not all stored", () => {
    const flat = [
      [0.1, 0.1],
      [0.1, 0.1],
    ];
    const scale = scaleOf(cells(flat, { part: { isAttention: false } }), 0, 0, none, false);
    expect(scale).toEqual({ reach: 0.1, largest: 0.1, isUniform: false });
    expect(scaleOf(cells(flat, { isDense: false }), 0, 0, none, false).isUniform).toBe(false);
  });
});

describe("the heads beside a map", () => {
  const part = (changes: object) =>
    ({ map: "raw", steps: false, layers: [0, 1], heads: [], ...changes }) as unknown as Attention;
  it("are those of the map, else the most that the page has of its kind", () => {
    const parts = [
      part({}),
      part({ layers: [1], heads: [0, 1] }),
      part({ heads: [0, 1] }),
      part({ map: "rollout" }),
    ];
    expect([0, 1, 2, 3].map((map) => mapOfHeads(parts, map))).toEqual([2, 1, 2, 3]);
  });
});
