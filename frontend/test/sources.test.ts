import { describe, expect, it } from "vitest";
import type { AnswerMapPayload } from "../src/data/payload.generated";
import { listed, roleOf } from "../src/sources/cards";
import { fragmentOf, INITIAL, litBy, sentenceEffect, stateOf } from "../src/sources/state";
import { likelihood, nats, strengthOf } from "../src/sources/words";

const statement = (sources: number[], sentences: number[]) => ({
  sources,
  sentences,
});
const payload = {
  statements: [statement([1], [0.5, 4]), statement([], [-1, -2])],
  sources: [{ statements: [] }, { statements: [0] }],
  words: {
    all: [1, 2, 3],
    sources: [
      [0, 0, 0],
      [1, 1, 1],
    ],
    sentences: [
      [5, 5, 5],
      [6, 6, 6],
    ],
  },
} as unknown as AnswerMapPayload;

describe("an effect", () => {
  it("is written with at most two decimals", () => {
    expect([38.64, -0.1905, 0.00002, -0.001, 0].map(nats)).toEqual(["38.6", "−0.19", "0", "0", "0"]);
  });

  it("means a ratio of likelihoods, in Python's words", () => {
    expect([2.5, -1, 0.01, 8.2, 40].map((effect) => likelihood(effect))).toEqual([
      "12 times less likely without it",
      "2.7 times likelier without it",
      "as likely without it",
      "3,600 times less likely without it",
      "more than a million times less likely without it",
    ]);
  });

  it("has a color whose strength grows with it", () => {
    expect(strengthOf(3, 3)).toBeCloseTo(1 - 1 / Math.E);
    expect(strengthOf(-3, 3)).toBeCloseTo(1 / Math.E - 1);
    expect(strengthOf(0, 3)).toBe(0);
  });
});

describe("what a source does", () => {
  const role = (statements: number[], others: number[], effects: number[]) =>
    roleOf(
      {
        sources: [{ statements, others }],
        statements: effects.map((effect) => ({ effects: [effect] })),
      } as unknown as AnswerMapPayload,
      0,
    );

  it("names the statements, and says whether what is left is little or negative", () => {
    expect(role([1], [2], [0, 4, 2])).toBe("statement 2, also changes statement 3");
    expect(role([], [0, 2], [1, 0, 2])).toBe("changes statements 1, 3");
    expect(role([], [], [0.62, 0.55, -0.9])).toBe("little effect");
    expect(role([], [], [0.62, -1])).toBe("negative effect on statement 2");
  });
});

describe("what is lit", () => {
  it("is nothing at first: words by all sources, sentences by their largest effect", () => {
    const lit = litBy(payload, INITIAL);
    expect([lit.words, lit.statement, [...lit.statements], [...lit.sources]]).toEqual([
      [1, 2, 3],
      -1,
      [],
      [],
    ]);
    expect(sentenceEffect(payload, 1, -1)).toBe(4);
    expect(sentenceEffect(payload, 0, 1)).toBe(-1);
    expect(sentenceEffect(payload, -1, 0)).toBe(0);
  });

  it("follows the pointer before the selection, both ways", () => {
    const selected = { ...INITIAL, statement: 0 };
    expect([...litBy(payload, selected).sources]).toEqual([1]);
    const over = litBy(payload, { ...INITIAL, overSource: 1 });
    expect([over.words, [...over.statements]]).toEqual([[1, 1, 1], [0]]);
    expect(litBy(payload, { ...selected, overSource: 1, overRow: 1 }).words).toEqual([6, 6, 6]);
    expect([...litBy(payload, { ...selected, overStatement: 1 }).statements]).toEqual([1]);
  });
});

describe("the address", () => {
  it("restores a view and ignores what does not fit", () => {
    const state = { ...INITIAL, statement: 1, source: 0, all: true };
    expect(stateOf(`#${fragmentOf(state)}`, payload)).toEqual(state);
    expect(stateOf("#statement=2&source=x&theme=pink&open=../", payload)).toEqual(INITIAL);
  });
});

it("numbers are listed as ranges", () => {
  expect([listed([1]), listed([1, 2]), listed([1, 2, 3, 5])]).toEqual(["1", "1, 2", "1–3, 5"]);
});
