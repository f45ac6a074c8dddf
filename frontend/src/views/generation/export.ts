/** Exports the steps of a generation, and the table of every source and generated token. */

import type { Context } from "../../context";
import type { Attribution } from "../../data/payload.generated";
import type { ScoreMatrix } from "../../data/score-matrix";
import { csv } from "../../export/csv";
import type { Exported } from "../../export/menu";
import { pythonOf } from "../../export/python";
import { type Scene, type Shape, titled } from "../../scene/scene";
import { whole } from "../../state/window";
import { formatPercent } from "../../ui/format";
import { frameOf } from "../heatmap/frame";
import { matrixScene } from "../heatmap/scene";

const ROW = 22;

export function generationExport(context: Context): Exported | null {
  const { model } = context;
  const { generation } = model;
  if (!generation) return null;
  const labels = model.payload.tables[generation.table].labels.slice(generation.promptLength);
  const steps = labels.map((label, index) => ({
    step: index + 1,
    token: label,
    probability: generation.probabilities[index],
    entropy: generation.entropies[index],
    top_tokens: generation.topLabels[index].map((other, rank) => ({
      token: other,
      probability: generation.topProbabilities[index][rank],
    })),
  }));
  const python = model.payload.attributions.find((attribution) => model.followsSteps(attribution));
  return {
    name: "generation",
    scene: () => generationScene(context, steps),
    csv: () =>
      csv(
        ["step", "token", "probability", "entropy_nats", "top_tokens"],
        steps.map((step) => [
          step.step,
          step.token,
          step.probability,
          step.entropy,
          step.top_tokens.map((other) => `${other.token} ${other.probability}`).join(" | "),
        ]),
      ),
    json: () => ({ title: model.payload.title, steps }),
    python: () => pythonOf((python ?? model.payload.attributions[0])?.python ?? []),
  };
}

export function tableExport(context: Context, attribution: Attribution, matrix: ScoreMatrix): Exported {
  const { model, store, theme } = context;
  const { rows, keys, rowAxis, keyAxis } = matrix;
  const scored = Array.from({ length: rows * keys }, (_, cell) => [
    Math.floor(cell / keys),
    cell % keys,
  ]).filter(([row, key]) => matrix.allowed(row, key));
  return {
    name: "sources",
    scene: () =>
      titled(
        matrixScene(
          { data: matrix, layer: 0, head: 0 },
          { ...store.state, sinks: "raw", scale: "head" },
          theme.colors,
          frameOf(matrix, whole(matrix), 720),
        ),
        `What each token of the ${attribution.sides[1] ?? "answer"} is based on`,
        [
          `${model.payload.title} · ${model.payload.origin}`,
          `Shares of each column's total on a square-root scale, up to ${formatPercent(matrix.reach)}; ${attribution.methodWords}`,
        ],
        theme.colors,
      ),
    csv: () =>
      csv(
        ["source_position", "source", "token_position", "token", "score", "share"],
        scored.map(([row, key]) => [
          rowAxis.token(row),
          rowAxis.label(row),
          keyAxis.token(key),
          keyAxis.label(key),
          matrix.value(row, key),
          matrix.share(row, key),
        ]),
      ),
    json: () => ({
      title: model.payload.title,
      method: attribution.methodWords,
      sources: rowAxis.spans.map(({ label }) => label),
      tokens: keyAxis.spans.map(({ label }) => label),
      scores: Array.from({ length: rows }, (_, row) =>
        Array.from({ length: keys }, (_, key) => (matrix.allowed(row, key) ? matrix.value(row, key) : null)),
      ),
    }),
    python: () => pythonOf(attribution.python),
  };
}

interface Step {
  readonly step: number;
  readonly token: string;
  readonly probability: number;
  readonly entropy: number;
  readonly top_tokens: readonly { readonly token: string; readonly probability: number }[];
}

function generationScene({ model, theme }: Context, steps: readonly Step[]): Scene {
  const { colors } = theme;
  const [ink, muted] = [colors.get("text"), colors.get("muted")];
  const shapes: Shape[] = [
    { kind: "text", x: 16, y: 24, text: model.payload.title, size: 16, weight: 650, fill: ink },
    {
      kind: "text",
      x: 16,
      y: 46,
      text: `${model.payload.origin} · probability, entropy in nats, most likely tokens`,
      size: 11,
      fill: muted,
    },
  ];
  steps.forEach((step, index) => {
    const y = 66 + index * ROW;
    const middle = y + ROW / 2;
    shapes.push(
      { kind: "text", x: 150, y: middle, text: step.token, size: 12, anchor: "end", fill: ink },
      {
        kind: "rect",
        x: 160,
        y: y + 4,
        width: 200 * step.probability,
        height: ROW - 8,
        fill: colors.get("unsigned"),
        radius: 2,
      },
      {
        kind: "text",
        x: 420,
        y: middle,
        text: formatPercent(step.probability),
        size: 11,
        anchor: "end",
        fill: muted,
      },
      {
        kind: "text",
        x: 470,
        y: middle,
        text: step.entropy.toFixed(2),
        size: 11,
        anchor: "end",
        fill: muted,
      },
      {
        kind: "text",
        x: 490,
        y: middle,
        text: step.top_tokens
          .slice(0, 4)
          .map((other) => `${other.token} ${formatPercent(other.probability)}`)
          .join("   "),
        size: 11,
        fill: muted,
      },
    );
  });
  return { width: 860, height: 84 + steps.length * ROW, background: colors.get("background"), shapes };
}
