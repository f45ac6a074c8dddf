import { describe, expect, it } from "vitest";
import type { Attribution, Table } from "../src/data/payload.generated";
import { ScoreMatrix } from "../src/data/score-matrix";
import { scoredLabel, scoresOf, strongest, unitsOf } from "../src/data/units";
import { bytesOf, writtenTokens } from "../src/data/written";

const table = {
  texts: ["Go", " on –é"],
  labels: ["Go", "on", "␣", "–", "–", "é"],
  pieces: ["Go", "Ġon", "Ġ", "âĢ", "ĵ", "<0xC3><0xA9>"],
  segments: [0, 1, 1, 1, 1, 1],
  offsets: [0, 2, 0, 3, 3, 4, 4, 5, 4, 5, 5, 6],
  special: [false, false, false, false, false, false],
  groups: { token: [0, 1, 2, 3, 3, 4], word: [0, 1, 2, 3, 3, 4], sentence: [0, 0, 0, 0, 0, 0] },
} as unknown as Table;

describe("generated tokens", () => {
  it("show the blanks before them, and pieces of a character as bytes", () => {
    const shown = writtenTokens(table, 1).map(({ before, label }) => [before, label]);
    expect(shown).toEqual([
      [" ", "on"],
      ["", "␣"],
      ["", "<0xE2><0x80>"],
      ["", "<0x93>"],
      ["", "é"],
    ]);
    expect([bytesOf("Ċ"), bytesOf("<0xF0>"), bytesOf("▁a")]).toEqual(["<0x0A>", "<0xF0>", "▁a"]);
  });
});

const steps = {
  table: 0,
  positions: [0, 1, 2, 3, 4, 5],
  signed: true,
  norm: "sum",
  targets: [{ step: 0 }, { step: 1 }],
  scores: [
    [2, null, null, null, null, null],
    [-1, 3, null, null, null, null],
  ],
} as unknown as Attribution;

describe("scores of a generation", () => {
  it("are shares of each step's total, with nothing where a source comes later", () => {
    const matrix = new ScoreMatrix(0, table, steps, unitsOf(table, "token"), [1, 2], ["on", "␣"]);
    expect([matrix.rows, matrix.keys]).toEqual([2, 2]);
    expect([matrix.share(0, 0), matrix.share(0, 1), matrix.share(1, 1)]).toEqual([1, -0.25, 0.75]);
    expect([matrix.allowed(1, 0), matrix.allowed(1, 1)]).toEqual([false, true]);
    expect(matrix.scale().reach).toBe(1);
  });
  it("name of a unit only what has a score, list none of 0, and end where they are told to", () => {
    const units = unitsOf(table, "sentence");
    const scores = scoresOf(steps, units, 6, 1, 1);
    expect(scoredLabel(table, scores, { ...units[0], first: 1, last: 3, label: "on –" })).toBe("on");
    expect(strongest(scoresOf(steps, unitsOf(table, "token"), 6, 0, 1), 5)).toEqual([1, 0]);
    expect([...scoresOf(steps, unitsOf(table, "token"), 6, 0, 1, 1).values].filter(Number.isFinite)).toEqual([
      1,
    ]);
  });
});
