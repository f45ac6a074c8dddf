/** Exports the steps of a generation. */

import type { Context } from "../../context";
import { csv } from "../../export/csv";
import type { Exported } from "../../export/menu";
import { pythonOf } from "../../export/python";
import type { Scene, Shape } from "../../scene/scene";
import { formatPercent } from "../../ui/format";

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
