import { describe, expect, it } from "vitest";
import { type BarChart, barRoom, barsShapes } from "../src/scene/bars";
import { fitted, type Measure } from "../src/scene/font";
import { hatchOf, shifted, titled } from "../src/scene/scene";
import { sceneSvg } from "../src/scene/svg";

/** Every character is half as wide as it is high. */
const measure: Measure = (text, size) => Array.from(text).length * size * 0.5;
const colors = { get: (name: string) => `#${name}` };

describe("text in a picture", () => {
  it("is whole, or as much as fits with an ellipsis", () => {
    expect(fitted("wonderful", 45, 10, measure)).toBe("wonderful");
    expect(fitted("wonderful", 44, 10, measure)).toBe("wonderf…");
    expect(fitted("🦊🦊🦊", 10, 10, measure)).toBe("🦊…");
    expect(fitted("wonderful", 1, 10, measure)).toBe("…");
  });
});

describe("stripes", () => {
  it("end at the edges of their rectangle, and meet those of a neighbor", () => {
    const box = { x: 10, y: 20, width: 30, height: 7 };
    const points = [...hatchOf(box).matchAll(/([\d.]+) ([\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)]);
    expect(points.length).toBeGreaterThan(8);
    for (const [x, y] of points) {
      expect(x).toBeGreaterThanOrEqual(10);
      expect(x).toBeLessThanOrEqual(40);
      expect(y).toBeGreaterThanOrEqual(20);
      expect(y).toBeLessThanOrEqual(27);
      expect((x + y) % 6).toBeCloseTo(0);
    }
  });
});

describe("a chart of bars", () => {
  const chart: BarChart = { width: 400, rowHeight: 26, reach: 2, signed: true, colors };
  const rows = [
    { label: "happy", value: 2, words: "+50.0 %", fill: "#b" },
    { label: "thin", value: -1, words: "−25.0 %", fill: "#o", hatch: "#h" },
    { label: "[SEP]", value: Number.NaN, words: "", fill: "#s", muted: true },
  ];
  it("draws each value from zero, on one scale", () => {
    const { zero, right, left } = barRoom(chart);
    const bars = barsShapes(rows, chart, measure).filter((shape) => shape.kind === "rect");
    expect(bars.map(({ x, width }) => [x, width])).toEqual([
      [zero, right - zero],
      [zero - (zero - left) / 2, (zero - left) / 2],
    ]);
    expect(bars[1].hatch).toBe("#h");
    expect(bars[1].y - bars[0].y).toBe(26);
  });
  it("starts at the left edge where it has no sign", () => {
    const unsigned = { ...chart, signed: false };
    expect(barRoom(unsigned).zero).toBe(barRoom(unsigned).left);
  });
  it("is as wide as its page, down to a phone", () => {
    for (const width of [220, 320, 760, 1200]) {
      for (const shape of barsShapes(rows, { ...chart, width }, measure)) {
        if (shape.kind !== "rect") continue;
        expect(shape.x).toBeGreaterThan(60);
        expect(shape.x + shape.width).toBeLessThanOrEqual(width - 62);
      }
    }
  });
  it("has its title above it in a file", () => {
    const content = { width: 400, height: 78, shapes: barsShapes(rows, chart, measure) };
    const scene = titled(content, "Why positive", ["a note ".repeat(40).trim()], colors);
    const svg = sceneSvg(scene);
    expect(svg).toContain(">Why positive</text>");
    const [title] = scene.shapes;
    const first = scene.shapes.find((shape) => shape.kind === "rect")!;
    expect(title.kind === "text" && title.y).toBeLessThan((first.kind === "rect" && first.y) as number);
    expect(scene.height).toBeGreaterThan(78 + 60);
  });
});

it("moves every shape with its neighbors", () => {
  const [path, text] = shifted(
    [
      { kind: "path", d: "M1 2C3 4 5.5 6 -7 8", stroke: "#000000", width: 1 },
      { kind: "text", x: 1, y: 2, text: "a", size: 9, fill: "#000000" },
    ],
    10,
    100,
  );
  expect(path.kind === "path" && path.d).toBe("M11 102C13 104 15.5 106 3 108");
  expect(text.kind === "text" && [text.x, text.y]).toEqual([11, 102]);
});
