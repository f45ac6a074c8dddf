import { deflateRawSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { inflated, maskTest, weightsOfBytes } from "../src/data/codec";
import { topSources } from "../src/data/matrices";
import type { Attention, Table } from "../src/data/payload.generated";
import { StoredMatrices } from "../src/data/stored";
import { headScores } from "../src/views/heads/scores";

const packed = (bytes: number[]) => deflateRawSync(Uint8Array.from(bytes)).toString("base64");

const opened = (part: Attention) =>
  StoredMatrices.of(part, [{ labels: ["a", "b", "c"] } as unknown as Table]);

/** A causal map of two heads over three tokens, as in the payload. */
function attention(changes: Partial<Attention["weights"]> = {}): Attention {
  return {
    map: "raw",
    layers: [5],
    heads: [0, 1],
    name: "Attention",
    stack: "",
    queryName: "query",
    keyName: "key",
    layerWords: "layer 5",
    headWords: "mean of heads 0–1",
    rowTable: 0,
    rowPositions: [0, 1, 2],
    rowEnds: [],
    keyTable: 0,
    keyPositions: [0, 1, 2],
    keyEnds: [],
    steps: false,
    isAttention: true,
    pooled: 1,
    mask: { kind: "causal", offset: 0, data: "" },
    weights: {
      kind: "dense",
      levels: 255,
      scale: 1,
      signed: false,
      error: 0.004,
      kept: 3,
      share: 1,
      means: false,
      blocks: [packed([255, 180, 180, 0, 0, 255, 255, 255, 0, 255, 0, 0])],
      ...changes,
    },
    sinks: [[], [0], []],
    sinkShares: [[], [0.998], []],
    python: [],
  };
}

describe("bytes", () => {
  it("inflates deflated data", async () => {
    expect([...(await inflated(packed([1, 2, 3])))]).toEqual([1, 2, 3]);
    expect(await inflated("")).toHaveLength(0);
  });
  it("stand for square roots, signed ones around 128", () => {
    const plain = weightsOfBytes({ levels: 255, scale: 2, signed: false });
    expect([plain[0], plain[255]]).toEqual([0, 2]);
    expect(plain[51]).toBeCloseTo(2 * 0.04, 6);
    const signed = weightsOfBytes({ levels: 255, scale: 1, signed: true });
    expect([signed[128], signed[255], signed[1]]).toEqual([0, 1, -1]);
  });
  it("reads a mask bit by bit", async () => {
    const test = await maskTest({ kind: "bits", offset: 0, data: packed([0b10110000]) }, 2);
    expect([test(0, 0), test(0, 1), test(1, 0), test(1, 1)]).toEqual([true, false, true, true]);
  });
});

describe("an attention map", () => {
  it("returns rows, without sinks if renormalized", async () => {
    const data = await opened(attention());
    await data.loadAll();
    expect([...data.row(0, 1, 2, "raw").weights]).toEqual([1, 0, 0]);
    expect([...data.row(0, 1, 1, "renormalized").weights], "only a sink").toEqual([0, 0, 0]);
    expect([...data.row(0, 0, 2, "renormalized").weights]).toEqual([0, 0, 1]);
    expect(data.row(0, 0, 1, "raw").weights[0]).toBeCloseTo(0.498, 2);
    expect(data.row(0, -1, 2, "raw").weights[2]).toBeCloseTo(0.5, 6);
  });
  it("has the sinks and shares that the report states, of each head and of their mean", async () => {
    const data = await opened({ ...attention(), sinks: [[], [0], [2]], sinkShares: [[], [0.998], [0.4]] });
    expect([-1, 0, 1].map((head) => [...data.sinks(0, head)])).toEqual([[2], [], [0]]);
    expect([data.sinkShare(0, 1, 0), data.sinkShare(0, -1, 2)]).toEqual([0.998, 0.4]);
  });
  it("excludes sinks and rows with a single key from the color scale", async () => {
    const data = await opened(attention());
    await data.loadAll();
    expect(data.scale(0, 1, "raw").largest).toBe(1);
    expect(data.scale(0, 1, "muted").largest).toBe(0);
    expect(data.globalScale("muted").largest).toBe(1);
  });
  it("reads the largest weights of each row", async () => {
    // Two weights per row: differences of keys as 16 bits, then levels.
    const keys = [0, 0, 0, 1, 1, 1];
    const low = keys.flatMap((key) => [key, 0]);
    const block = packed([
      ...low,
      ...low,
      ...low,
      255,
      0,
      128,
      180,
      100,
      200,
      0,
      0,
      0,
      0,
      0,
      0,
      1,
      1,
      1,
      1,
      1,
      1,
    ]);
    const data = await opened(attention({ kind: "top", kept: 2, means: true, blocks: [block] }));
    await data.loadAll();
    const row = data.row(0, 0, 2, "raw");
    expect(row.weights[0]).toBe(0);
    expect(row.weights[1]).toBeCloseTo((100 / 255) ** 2, 6);
    expect(row.weights[2]).toBeCloseTo((200 / 255) ** 2, 6);
    expect(topSources(row, "raw", 1)).toEqual([{ key: 2, weight: row.weights[2] }]);
    expect(data.row(0, -1, 0, "raw").weights[0]).toBeCloseTo((1 / 255) ** 2, 9);
  });
  it("yields head scores", async () => {
    const data = await opened(attention());
    await data.loadAll();
    expect(headScores(data, 0, 0).previous).toBeCloseTo(0.249, 2);
    expect(headScores(data, 0, 1).sink).toBeCloseTo(1, 6);
  });
});
