import { describe, expect, it } from "vitest";
import type { Matrices } from "../src/data/matrices";
import { blocksOf, gridLayout, rankedLayout, spot, thumbnailAt } from "../src/views/heads/layout";
import { computedBy, ranked, scoredBy } from "../src/views/heads/rankings";

const map = (layers: number[], heads: number[]) =>
  ({ part: { layers, heads, stack: "" } }) as unknown as Matrices;
const report = {
  names: ["previous_token", "ablation"],
  meanings: ["weight on the token before", "what is lost"],
  signed: [false, true],
  stack: "",
  heads: 3,
  scores: [
    [0, 0.1, 0.2, 1, 1.1, 1.2],
    [0, -9, 0, 5, 0, -7],
  ],
};

describe("rankings of heads", () => {
  it("assign scores to a map's layers and heads by their index in the model", () => {
    const rankings = scoredBy(report, map([1], [2, 0]))!;
    expect(rankings.map(({ name, scores }) => [name, scores])).toEqual([
      ["previous token", [1.2, 1]],
      ["ablation", [-7, 5]],
    ]);
    expect(scoredBy(report, map([0, 1], [3])), "heads of another model").toBeUndefined();
    expect(scoredBy(report, map([2], [0]))).toBeUndefined();
    expect(scoredBy(report, map([0, 1], [])), "means are not heads").toBeUndefined();
    expect(scoredBy(null, map([0], [0]))).toBeUndefined();
    expect(scoredBy({ ...report, stack: "cross" }, map([1], [0])), "heads of another stack").toBeUndefined();
  });
  it("put the highest first, signed ones by magnitude, and cut to the top", () => {
    const [previous, ablation] = scoredBy(report, map([0, 1], [0, 1, 2]))!;
    expect(ranked(previous, 6, 0)).toEqual([5, 4, 3, 2, 1, 0]);
    expect(ranked(ablation, 6, 3)).toEqual([1, 5, 3]);
    expect(ranked(undefined, 3, 2), "unranked, none is dropped").toEqual([0, 1, 2]);
  });
  it("are computed if the report has none", () => {
    const read = [
      { spread: 0.5, sink: 0, previous: 0.1 },
      { spread: 0.2, sink: 0.9, previous: 0.3 },
    ];
    const rankings = computedBy(read, true);
    expect(computedBy(read, false).map(({ name }) => name)).toEqual(["normalized entropy", "sinks"]);
    expect(rankings.map((ranking) => ranked(ranking, 2, 1))).toEqual([[0], [1], [1]]);
  });
});

describe("thumbnails", () => {
  it("are split into blocks side by side for many layers of few heads", () => {
    expect(blocksOf(30, 9, 1150)).toBe(2);
    expect(blocksOf(12, 12, 800)).toBe(1);
    expect(blocksOf(1, 4, 2000)).toBe(1);
  });
  it.each([
    ["grid", gridLayout(30, 9, 1150), 270],
    ["ranked", rankedLayout(17, 600), 17],
  ])("are hit where they are drawn (%s)", (_, layout, count) => {
    for (let index = 0; index < count; index++) {
      const [x, y] = spot(layout, index);
      expect(thumbnailAt(layout, x + 1, y + 1)).toBe(index);
      expect(thumbnailAt(layout, x + layout.size - 1, y + layout.size - 1)).toBe(index);
      expect(x + layout.size).toBeLessThanOrEqual(layout.width);
      expect(y + layout.size + layout.caption).toBeLessThanOrEqual(layout.height);
    }
    expect(thumbnailAt(layout, 1, 1)).toBe(-1);
  });
});
