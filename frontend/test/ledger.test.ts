import { describe, expect, it } from "vitest";
import type { LedgerAxis, LedgerMap, LedgerPayload } from "../src/data/payload.generated";
import { fragmentOf, openingState, spanAt, spansOf, stateOf, withMap } from "../src/ledger/state";
import { columnLabel, contribution, rowSum, valueAt } from "../src/ledger/words";

const tokens: LedgerAxis = {
  word: "at",
  noun: "token",
  names: ["“a”", "“b (c)”", "“d”"],
  labels: ["a", "b", "d"],
  seconds: ["", "c", ""],
  marked: [false, true, false],
  muted: [false, false, false],
  drawn: [0, 1, 2, 2],
};
const heads: LedgerAxis = { ...tokens, word: "head", noun: "head", drawn: [0, 0, 1, 1, 2, 2] };
const cell = { row: 1, column: 2, place: "", value: "", share: "", strength: 1 };
const residual: LedgerMap = {
  key: "residual",
  name: "hidden states",
  meaning: "",
  rows: ["entering block 0", "leaving the last block"],
  rowLabels: ["0", "end"],
  rowNoun: "entering block",
  axis: 0,
  values: [1, 2, 3, 0.5, -0.25, 6],
  reach: 6,
  isCut: true,
  ranked: [cell],
};
const ofHeads: LedgerMap = {
  ...residual,
  key: "heads",
  axis: 1,
  rows: ["block 0"],
  values: [1, 0, 2],
  ranked: [{ ...cell, row: 0, column: 2 }],
};
const payload = { axes: [tokens, heads], maps: [residual, ofHeads] } as unknown as LedgerPayload;

describe("a ledger", () => {
  it("sums the columns that are drawn as one", () => {
    expect(spansOf(tokens, false)).toEqual([
      [0, 1],
      [2, 2],
    ]);
    expect(spansOf(tokens, true)).toHaveLength(3);
    expect(valueAt(residual, 0, [0, 1])).toBe(3);
    expect(rowSum(residual, 1)).toBe(6.25);
    expect(spanAt(spansOf(tokens, false), 1)).toBe(0);
  });

  it("names columns and contributions", () => {
    expect(columnLabel(tokens, [1, 1])).toBe("b (c)");
    expect(columnLabel(tokens, [0, 1])).toBe("2 tokens");
    expect(contribution(4.1, 6.6)).toBe("+4.1 of +6.6 (62.1 %)");
    expect(contribution(-3, 0.01)).toBe("−3 of +0.01");
    expect(contribution(1, 0)).toBe("+1 of 0");
  });

  it("opens at its strongest place, which another map of the same columns keeps", () => {
    const opening = openingState(payload);
    expect([opening.row, opening.column]).toEqual([1, 2]);
    expect(withMap(payload, opening, 1)).toEqual({ map: 1, row: 0, column: 2, hover: -1 });
    expect(fragmentOf(opening, opening)).toBe("");
  });

  it("reads only what fits from an address", () => {
    expect(stateOf("#map=1&row=99&column=1&theme=dark", payload)).toMatchObject({
      map: 1,
      row: 0,
      column: 1,
      theme: "dark",
    });
    expect(stateOf("map=x&row=-1&open=<b>&all=true", payload)).toMatchObject({
      map: 0,
      row: 1,
      open: "",
      all: true,
    });
    expect(stateOf("map=1", { ...payload, maps: [] } as LedgerPayload)).toMatchObject({ map: 0, row: -1 });
  });
});
