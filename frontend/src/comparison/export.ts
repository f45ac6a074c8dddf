/** Exports of a comparison: the largest differences with what they say, and a matrix. */

import { csv } from "../export/csv";
import type { Exported } from "../export/menu";
import { lines, type Scene, type Shape, titled } from "../scene/scene";
import type { MatrixShown } from "./differences";
import { matrixFrame, matrixShapes } from "./matrix-scene";
import {
  type ComparisonContext,
  changeOf,
  differenceWords,
  labelOf,
  planeName,
  type Shown,
  shownOf,
  valueWords,
  weightDifference,
} from "./state";

const [WIDTH, ROW, LABEL] = [760, 26, 150];

export function scoresExport(context: ComparisonContext): Exported | null {
  const { payload, store } = context;
  const shown = shownOf(payload, store.state);
  if (!shown) return null;
  const { part, level, target } = shown;
  const rows = Array.from(level.kinds.keys(), (unit) => ({
    kind: level.kinds[unit],
    first_text: level.firstLabels[unit],
    second_text: level.secondLabels[unit],
    first: target.first[unit],
    second: target.second[unit],
    difference: changeOf(shown, unit),
  }));
  return {
    name: "comparison",
    scene: () => scoresScene(context, shown),
    csv: () =>
      csv(
        [
          "kind",
          "first_text",
          "second_text",
          `first_${part.measure}`,
          `second_${part.measure}`,
          "difference",
        ],
        rows.map((row) => [row.kind, row.first_text, row.second_text, row.first, row.second, row.difference]),
      ),
    json: () => ({
      answers: payload.answers,
      target: target.name,
      sentence: target.why.join(""),
      measure: part.measureWords,
      level: level.name,
      units: rows,
    }),
    python: () =>
      pythonOf(
        payload.answers.map(({ name }) => name),
        `attributions[${store.state.attribution}].to_dataframe()`,
      ),
  };
}

export function attentionExport(context: ComparisonContext, shown: MatrixShown | null): Exported | null {
  if (!shown) return null;
  const { payload, store, theme } = context;
  const { data, plane } = shown;
  const { part } = data;
  const title = `${part.name}, second minus first: ${planeName(part, store.state)}`;
  const value = (cell: number) => (Number.isNaN(plane[cell]) ? null : Number(plane[cell].toPrecision(6)));
  return {
    name: "attention-differences",
    scene: () => {
      const frame = matrixFrame(data, WIDTH);
      const shapes = matrixShapes(shown, frame, theme);
      const scale = `blue: higher in the second; orange: lower; full color: ${weightDifference(part, shown.full).replace("+", "")}`;
      return titled({ ...frame, shapes }, title, [heading(payload.answers), scale], theme.colors);
    },
    csv: () =>
      csv(
        ["from", "to", "difference", "precision"],
        Array.from(plane.keys())
          .filter((cell) => value(cell) !== null)
          .map((cell) => [
            part.rowLabels[Math.floor(cell / data.keys)],
            part.keyLabels[cell % data.keys],
            value(cell),
            `quantized, error at most ${part.weights.error}`,
          ]),
      ),
    json: () => ({
      title,
      from: part.rowLabels,
      to: part.keyLabels,
      differences: part.rowLabels.map((_, row) =>
        part.keyLabels.map((_, key) => value(row * data.keys + key)),
      ),
    }),
    python: () =>
      pythonOf(
        payload.answers.map(({ name }) => name),
        `attention[${store.state.map}].mean_differences()`,
      ),
  };
}

function heading(answers: readonly { title: string; value: string }[]): string {
  return answers.map(({ title, value }) => `${title} ${value}`.trim()).join(" → ");
}

function pythonOf(names: readonly string[], what: string): string {
  const [first, second] = names.map((name) => JSON.stringify(name));
  return `from model_understanding import Report, compare

comparison = compare(Report.load(${first}), Report.load(${second}))
comparison.${what}
`;
}

function scoresScene({ payload, theme }: ComparisonContext, shown: Shown): Scene {
  const { part, level, target } = shown;
  const { colors } = theme;
  const [left, right] = [LABEL + 10, WIDTH - 220];
  const zero = part.signed ? (left + right) / 2 : left;
  const place = (value: number) =>
    zero + (Math.max(-1, Math.min(1, value / target.full)) * (right - left)) / (part.signed ? 2 : 1);
  const shapes: Shape[] = [];
  target.largest.forEach((unit, index) => {
    const y = (index + 0.5) * ROW;
    const [first, second] = [target.first[unit], target.second[unit]];
    const change = changeOf(shown, unit) ?? 0;
    const text = (x: number, words: string, fill: string, anchor: "start" | "end", weight = 400): Shape => ({
      kind: "text",
      x,
      y,
      text: words,
      size: 12.5,
      fill,
      anchor,
      weight,
    });
    const [from, to] = [place(first ?? 0), place(second ?? 0)];
    shapes.push(
      text(LABEL, labelOf(level, unit), colors.get("text"), "end"),
      {
        kind: "rect",
        x: Math.min(from, to),
        y: y - 4,
        width: Math.max(Math.abs(to - from), 1),
        height: 8,
        radius: 2,
        fill: colors.get(change < 0 ? "against" : "supports"),
      },
      { kind: "rect", x: to - 2, y: y - 7, width: 4, height: 14, radius: 2, fill: colors.get("text") },
      text(
        WIDTH - 100,
        `${valueWords(part, first)} → ${valueWords(part, second)}`,
        colors.get("muted"),
        "end",
      ),
      text(WIDTH - 10, differenceWords(part, change), colors.get("text"), "end", 650),
    );
  });
  const height = Math.max(target.largest.length, 1) * ROW;
  if (part.signed)
    shapes.unshift({
      kind: "path",
      d: lines([
        [zero, 0],
        [zero, height],
      ]),
      stroke: colors.get("line"),
      width: 1,
    });
  const notes = [target.why.join(""), `${part.title} · ${part.measureWords}`];
  return titled({ width: WIDTH, height, shapes }, heading(payload.answers), notes, colors);
}
