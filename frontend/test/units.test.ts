import { readFileSync } from "node:fs";
import Ajv2020 from "ajv/dist/2020";
import { describe, expect, it } from "vitest";
import type { Matrices } from "../src/data/matrices";
import { Model } from "../src/data/model";
import type { Attribution, Payload } from "../src/data/payload.generated";
import { scoresOf, unitsOf, visible } from "../src/data/units";
import { csv } from "../src/export/csv";
import { escaped, sceneSvg } from "../src/scene/svg";
import { fitting, fragmentOf, stateOf } from "../src/state/permalink";
import type { State } from "../src/state/store";
import { luminance, onRamp, textOn } from "../src/ui/colors";
import { formatNumber, formatPercent } from "../src/ui/format";
import { spread, tokenRange } from "../src/views/attention/arcs";
import { weightWords } from "../src/words";

const read = (path: string) => JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));
const schema = read("../../src/model_understanding/show/static/payload.schema.json");
const payload = read("./classification.json") as Payload;
const state: State = {
  anchor: -1,
  focus: -1,
  pinned: false,
  hover: -1,
  attribution: 0,
  target: 0,
  targetEnd: 0,
  level: "token",
  sort: "position",
  map: 0,
  layer: 1,
  head: -1,
  sinks: "muted",
  scale: "head",
  zoom: false,
  zoomRow: 0,
  zoomKey: 0,
  zoomSize: 32,
  ranking: 0,
  topHeads: 0,
  search: "",
  open: "",
  theme: "auto",
  shortcuts: true,
};

describe("the payload", () => {
  it("validates against the schema that Python uses too", () => {
    const validate = new Ajv2020().compile(schema);
    expect(validate(payload), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ ...payload, title: 1 })).toBe(false);
  });
});

describe("units", () => {
  it("join the tokens of one character; scores are summed, or their norm or maximum taken", () => {
    const table = payload.tables[0];
    const units = unitsOf(table, "token");
    expect(units.map((unit) => unit.label)).toEqual(["[CLS]", "a", "😀", "b", "[SEP]"]);
    const attributionWith = (changes: Partial<Attribution>) =>
      ({ ...payload.attributions[0], ...changes }) as Attribution;
    const scores = [[0, 1, 3, 4, 0, null, 0]];
    const sum = scoresOf(attributionWith({ scores, norm: "sum" }), units, 7, 0, 0);
    expect([...sum.values]).toEqual([0, 1, 7, Number.NaN, 0]);
    expect([sum.total, sum.reach, sum.ranks[2], sum.ranks[3]]).toEqual([8, 7, 1, 0]);
    expect(scoresOf(attributionWith({ scores, norm: "l2" }), units, 7, 0, 0).values[2]).toBe(5);
    expect(scoresOf(attributionWith({ scores, norm: "max" }), units, 7, 0, 0).values[2]).toBe(4);
    const two = attributionWith({ scores: [...scores, [1, -1, 0, 0, 0, 2, 0]], norm: "sum" });
    expect([...scoresOf(two, units, 7, 0, 1).values]).toEqual([1, 0, 7, 2, 0]);
  });
  it("make invisible characters visible", () => {
    expect(visible("a\nb\t\u202e\u0000")).toBe("a↵b⇥\\u202e␀");
    expect(visible("  ")).toBe("␣␣");
  });
});

describe("formatting and colors", () => {
  it("formats numbers as the figures do", () => {
    expect([0, -0.01234, 3.4, 1234, 0.5].map(formatNumber)).toEqual(["0", "−0.0123", "3.4", "1230", "0.5"]);
    expect([0.9999, 0.431, 0.0002, -0.2, 1].map(formatPercent)).toEqual([
      "> 99.9 %",
      "43.1 %",
      "< 0.1 %",
      "−20.0 %",
      "100 %",
    ]);
  });
  it("formats attention in percent, and other maps as numbers unless rows were rescaled", () => {
    const map = (isAttention: boolean) => ({ part: { isAttention } }) as Matrices;
    expect(weightWords(map(true), "raw", 0.137)).toBe("13.7 %");
    expect(weightWords(map(false), "muted", 0.137)).toBe("0.137");
    expect(weightWords(map(false), "renormalized", 0.137)).toBe("13.7 %");
  });
  it("picks readable text colors on every color of every ramp", () => {
    const contrast = (a: number, b: number) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    for (const palette of [payload.palette.light, payload.palette.dark]) {
      for (const ramp of [palette.supports, palette.against, palette.unsigned, palette.attention]) {
        for (let step = 0; step <= 40; step++) {
          const face = onRamp(ramp, step / 40);
          expect(contrast(luminance(face), luminance(textOn(face)))).toBeGreaterThan(4.5);
        }
      }
    }
  });
});

describe("exports", () => {
  it("escape cells that a spreadsheet would run as formulas", () => {
    expect(csv(["a"], [["=1+1"], ['q"'], [null], [-1]])).toBe('a\r\n"\t=1+1"\r\n"q"""\r\n\r\n-1\r\n');
  });
  it("keep text as text", () => {
    expect(escaped('<b>&"\u0000')).toBe("&lt;b&gt;&amp;&quot;");
    const shapes = [
      { kind: "text", x: 1, y: 2, text: "</text><script>", size: 12, fill: "#000000" } as const,
    ];
    expect(sceneSvg({ width: 10, height: 10, background: "#ffffff", shapes })).not.toContain("<script");
  });
});

describe("the address", () => {
  const model = new Model(payload);
  it("stores what differs from the initial state, and restores it", () => {
    const changed: State = { ...state, anchor: 1, focus: 3, layer: 0, head: 2, level: "word", sinks: "raw" };
    const fragment = fragmentOf(changed, state);
    expect(fragment).toBe("anchor=1&focus=3&layer=0&head=2&level=word&sinks=raw");
    expect({ ...stateOf(`#${fragment}`, state, model), pinned: false }).toEqual(changed);
    expect(fragmentOf(state, state)).toBe("");
  });
  it("is limited to valid values", () => {
    const read = stateOf("#focus=99&layer=9&head=-5&level=<b>&attribution=7&zoom=1", state, model);
    expect(fitting({ ...state, ...read }, model)).toEqual({ ...state, layer: 0, head: -1 });
  });
});

describe("layout", () => {
  it("keeps labels apart and within the figure", () => {
    const positions = spread([{ x: 5 }, { x: 6 }, { x: 390 }, { x: 395 }], 400).map((spot) => spot.labelX);
    for (let index = 1; index < positions.length; index++)
      expect(positions[index] - positions[index - 1]).toBeGreaterThanOrEqual(15);
    expect(positions[3]).toBeLessThanOrEqual(348);
  });
});

describe("long texts", () => {
  it("draw arcs over the range of tokens they span", () => {
    expect(tokenRange([100, 140], 500)).toEqual([100, 140]);
    expect(tokenRange([3], 500)).toEqual([0, 11]);
    expect(tokenRange([0, 1], 3)).toEqual([0, 2]);
  });
});
