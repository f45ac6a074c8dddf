/** Exports the colored text and its bars. */

import type { Context } from "../../context";
import { bySize } from "../../data/units";
import { csv } from "../../export/csv";
import type { Exported } from "../../export/menu";
import { pythonOf } from "../../export/python";
import { barsShapes } from "../../scene/bars";
import { type Scene, type Shape, shifted, titled } from "../../scene/scene";
import { headline, SYMBOLS } from "../../words";
import { barOrder } from "./bars";
import { barRow, chartOf } from "./row";

const WIDTH = 728;
const ROW = 22;
const MAX_BARS = 200;

export function saliencyExport(context: Context, text: HTMLElement): Exported | null {
  const { model, store } = context;
  const { state } = store;
  const attribution = model.attribution(state);
  const scores = model.scores(state);
  if (!attribution || !scores) return null;
  const units = model.unitsShown(state);
  const order = state.sort === "size" ? bySize(scores.values) : [...scores.values.keys()];
  const rows = order.map((index) => {
    const unit = units[index];
    const value = scores.values[index];
    const none = Number.isNaN(value);
    return {
      first: unit.first,
      last: unit.last,
      label: unit.label,
      special: unit.special,
      score: none ? null : value,
      share: none ? null : scores.total ? value / scores.total : 0,
      rank: none ? null : scores.ranks[index],
    };
  });
  const targets = attribution.targets.slice(state.target, state.targetEnd + 1);
  return {
    name: "saliency",
    scene: () => saliencyScene(context, text),
    csv: () =>
      csv(
        ["first_token", "last_token", "text", "special", "score", "share", "rank"],
        rows.map((row) => [
          row.first,
          row.last,
          row.label,
          String(row.special),
          row.score,
          row.share,
          row.rank,
        ]),
      ),
    json: () => ({
      title: headline(model, state),
      method: attribution.methodWords,
      signed: attribution.signed,
      level: state.level,
      targets: targets.map((target) => ({ description: target.description, output: target.output })),
      scores: rows,
    }),
    command: () => attribution.command,
    python: () =>
      pythonOf(
        attribution.python,
        new Map([
          ["STEP", targets[0].step],
          ["OTHER", targets[0].against],
        ]),
      ),
  };
}

function saliencyScene(context: Context, text: HTMLElement): Scene {
  const { model, store, theme } = context;
  const { state } = store;
  const { colors } = theme;
  const attribution = model.attribution(state)!;
  const scores = model.scores(state)!;
  const units = model.unitsShown(state);
  const reading = model.reading(state);
  const target = attribution.targets[state.target];
  const shown = textShapes(text, colors.get("background"), model.isFaded(state));
  const order = barOrder(scores, state);
  const listed = order.slice(0, MAX_BARS);
  const chart = chartOf(context, scores, colors, WIDTH, ROW);
  const rows = listed.map((index) => barRow(context, scores, units[index], colors));
  const omitted = order.length - listed.length;
  const signs = attribution.signed
    ? `right: ${target.above}; left: ${target.below}`
    : "magnitude of the score";
  const top = shown.height + 16;
  const note: Shape = {
    kind: "text",
    x: 0,
    y: top + rows.length * ROW + 16,
    text: `Share of the total score (${signs})${omitted ? `; ${omitted} more not shown` : ""}`,
    size: 11,
    fill: colors.get("muted"),
  };
  const content = {
    width: WIDTH,
    height: top + rows.length * ROW + 26,
    shapes: [...shown.shapes, ...shifted(barsShapes(rows, chart), 0, top), note],
  };
  const notes = [
    `${model.payload.title} · ${model.payload.origin}`,
    `${SYMBOLS[reading?.verdict ?? "not measured"]} ${reading?.verdict ?? "not measured"}${reading?.words ? `: ${reading.words}` : ""}`,
    attribution.methodWords,
  ];
  return titled(content, `${headline(model, state)} ${reading?.why.join("") ?? ""}`, notes, colors);
}

/** The colored text as it stands on the page. */
function textShapes(
  text: HTMLElement,
  background: string,
  isFaded: boolean,
): { shapes: Shape[]; height: number } {
  const shapes: Shape[] = [];
  const box = text.getBoundingClientRect();
  const bottom = text.scrollHeight > text.clientHeight ? box.bottom : Number.POSITIVE_INFINITY;
  const scale = Math.min(1, WIDTH / box.width);
  let height = 0;
  for (const element of text.querySelectorAll<HTMLElement>(".token, .pill, .between")) {
    const words = element.textContent ?? "";
    if (!words.trim()) continue;
    const style = getComputedStyle(element);
    const rects = [...element.getClientRects()].filter(
      (rect) => rect.width > 0 && rect.top >= box.top && rect.bottom <= bottom,
    );
    rects.forEach((rect, index) => {
      const position = { x: (rect.left - box.left) * scale, y: (rect.top - box.top) * scale };
      const size = { width: rect.width * scale, height: rect.height * scale };
      const { face } = element.dataset;
      if (face) {
        const hatch = isFaded ? background : undefined;
        shapes.push({ kind: "rect", ...position, ...size, fill: face, radius: 3, hatch });
      }
      if (index === 0) {
        shapes.push({
          kind: "text",
          x: position.x + (element.classList.contains("pill") ? 6 * scale : 0),
          y: position.y + size.height / 2,
          text: words.replace(/\n/g, ""),
          size: Number.parseFloat(style.fontSize) * scale,
          fill: style.color,
        });
      }
      height = Math.max(height, position.y + size.height);
    });
  }
  return { shapes, height };
}
