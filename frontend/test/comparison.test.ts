import { describe, expect, it } from "vitest";
import { firstHead, movedHead, movedLayer } from "../src/comparison/matrix";
import { differenceWords, largestDifference, points, unitLabel, valueWords } from "../src/comparison/state";
import type {
  ComparedAttention,
  ComparedAttribution,
  ComparisonPayload,
} from "../src/data/payload.generated";

const scores = { measure: "score", differences: [[0.5, null, -2]] } as unknown as ComparedAttribution;
const shares = { measure: "share", differences: [[null, null]] } as unknown as ComparedAttribution;

describe("texts of a comparison", () => {
  it("write raw scores as numbers, and shares in percent and points", () => {
    expect(valueWords(scores, -2)).toBe("−2");
    expect(valueWords(shares, 0.25)).toBe("25.0 %");
    expect(valueWords(scores, null)).toBe("–");
    expect(differenceWords(scores, 0.5)).toBe("+0.5");
    expect(differenceWords(shares, -0.05)).toBe("−5.0 points");
    expect(points(0)).toBe("0");
    expect(points(0.0001)).toBe("≈ 0");
  });

  it("end the scale at the largest difference, or 1 if nothing differs", () => {
    expect(largestDifference(scores, 0)).toBe(2);
    expect(largestDifference(shares, 0)).toBe(1);
  });

  it("name both tokens of a replacement", () => {
    const payload = {
      tables: [{ labels: ["a", "good"] }, { labels: ["a", "bad", "film"] }],
      pairs: [0, 0, 1, 1, -1, 2],
    } as unknown as ComparisonPayload;
    expect([0, 1, 2].map((unit) => unitLabel(payload, unit))).toEqual(["a", "good → bad", "film"]);
  });
});

describe("layers and heads of a comparison", () => {
  const part = { layers: [3, 7], heads: [0, 1, 2] } as unknown as ComparedAttention;
  it("cycle through the heads and their mean, and stop at the first and last layer", () => {
    expect(firstHead(part)).toBe(-1);
    expect([-1, 0, 2].map((head) => movedHead(part, head, 1))).toEqual([0, 1, -1]);
    expect(movedHead(part, -1, -1)).toBe(2);
    expect([movedLayer(part, 0, -1), movedLayer(part, 0, 1), movedLayer(part, 1, 1)]).toEqual([0, 1, 1]);
  });
});
