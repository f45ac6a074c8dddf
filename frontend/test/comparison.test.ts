import { describe, expect, it } from "vitest";
import { fragmentOf, stateOf } from "../src/comparison/address";
import { largestCells } from "../src/comparison/differences";
import { movedHead, movedLayer } from "../src/comparison/matrix";
import {
  type ComparisonState,
  changeOf,
  differenceWords,
  labelOf,
  points,
  type Shown,
  sharesOf,
  valueWords,
  weightDifference,
} from "../src/comparison/state";
import type {
  ComparedAttention,
  ComparedAttribution,
  ComparedLevel,
  ComparisonPayload,
} from "../src/data/payload.generated";

const scores = { measure: "score" } as unknown as ComparedAttribution;
const shares = { measure: "share" } as unknown as ComparedAttribution;

describe("texts of a comparison", () => {
  it("write raw scores as numbers, and shares in percent and points", () => {
    expect(valueWords(scores, -2)).toBe("−2");
    expect(valueWords(shares, 0.25)).toBe("25.0 %");
    expect(valueWords(scores, null)).toBe("–");
    expect(differenceWords(scores, 0.5)).toBe("+0.5");
    expect(differenceWords(shares, -0.05)).toBe("−5.0");
    expect(points(0)).toBe("0");
    expect(points(0.0001)).toBe("≈ 0");
  });

  it("write weights that are no shares as numbers, never in percent", () => {
    expect(weightDifference({ isShares: false } as ComparedAttention, 5.29)).toBe("+5.29");
    expect(weightDifference({ isShares: true } as ComparedAttention, -0.16)).toBe("−16.0 points");
  });

  it("count a word that is only in one text with its whole value", () => {
    const shown = {
      level: { kinds: ["same", "first only", "second only", "replaced", "same"] },
      target: { first: [1, 2, null, 3, null], second: [4, null, 5, 1, 2] },
    } as unknown as Shown;
    expect([0, 1, 2, 3, 4].map((unit) => changeOf(shown, unit))).toEqual([3, -2, 5, -2, null]);
    expect(sharesOf([1, null, -3])).toEqual([0.25, null, -0.75]);
  });

  it("name both words of a replacement", () => {
    const level = {
      kinds: ["same", "replaced", "second only"],
      firstLabels: ["a", "good", ""],
      secondLabels: ["a", "bad", "film"],
    } as unknown as ComparedLevel;
    expect([0, 1, 2].map((unit) => labelOf(level, unit))).toEqual(["a", "good → bad", "film"]);
  });
});

describe("attention of a comparison", () => {
  const part = { layers: [3, 7], heads: [0, 1, 2] } as unknown as ComparedAttention;
  it("has a mean before the first layer and before the first head", () => {
    expect([-1, 0, 2].map((head) => movedHead(part, head, 1))).toEqual([0, 1, -1]);
    expect(movedHead(part, -1, -1)).toBe(2);
    expect([movedLayer(part, 0, -1), movedLayer(part, 0, 1), movedLayer(part, 1, 1)]).toEqual([-1, 1, 1]);
  });

  it("lists the largest differences that count", () => {
    const plane = Float32Array.from([0, -3, Number.NaN, 2, 0.1]);
    expect(largestCells(plane, 0.2, 5)).toEqual([1, 3]);
    expect(largestCells(plane, 0.2, 1)).toEqual([1]);
  });
});

describe("the address of a comparison", () => {
  const payload = {
    kinds: ["same", "same"],
    attributions: [{ levels: [{ targets: [{}, {}] }] }],
    attention: [{ layers: [0, 1], heads: [0], rowLabels: ["a"], keyLabels: ["a", "b"] }],
  } as unknown as ComparisonPayload;
  const initial = {
    ...{ focus: -1, attribution: 0, level: 0, target: 0, map: 0, layer: -1, head: -1, row: -1, key: -1 },
    ...{ shown: "difference", sort: "size", theme: "auto", open: "" },
  } as ComparisonState;

  it("keeps what differs from the opening view, and restores it", () => {
    const state = {
      ...initial,
      focus: 1,
      target: 1,
      layer: 1,
      key: 1,
      open: "attention",
      shown: "scores",
    } as const;
    const fragment = fragmentOf(state, initial);
    expect(fragment).toBe("focus=1&target=1&layer=1&key=1&shown=scores&open=attention");
    expect(stateOf(`#${fragment}`, initial, payload)).toEqual(state);
  });

  it("ignores what is out of range", () => {
    const fragment = "focus=9&attribution=4&target=7&layer=2&head=1&key=2&shown=x&open=<b>";
    expect(stateOf(fragment, initial, payload)).toEqual(initial);
  });
});
