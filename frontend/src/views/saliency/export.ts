/** Exports the colored text and its bars. */

import type { Context } from "../../context";
import { csv } from "../../export/csv";
import type { Exported } from "../../export/menu";
import { pythonOf } from "../../export/python";
import type { Scene, Shape } from "../../scene/scene";
import { formatNumber, formatPercent } from "../../ui/format";
import { headline } from "../../words";
import { barOrder } from "./bars";

const WIDTH = 760;
const ROW = 22;
const MAX_BARS = 200;

export function saliencyExport(context: Context, text: HTMLElement): Exported | null {
  const { model, store } = context;
  const { state } = store;
  const attribution = model.attribution(state);
  const scores = model.scores(state);
  if (!attribution || !scores) return null;
  const units = model.unitsShown(state);
  const order = barOrder(scores, state);
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
  const shapes: Shape[] = [];
  const [ink, muted] = [colors.get("text"), colors.get("muted")];
  const { payload } = model;
  shapes.push({
    kind: "text",
    x: 20,
    y: 26,
    text: headline(model, state),
    size: 16,
    weight: 650,
    fill: ink,
  });
  [`${payload.title} · ${payload.origin}`, attribution.methodWords].forEach((text, line) => {
    shapes.push({ kind: "text", x: 20, y: 48 + 17 * line, text, size: 11, fill: muted });
  });
  let y = 84;
  const box = text.getBoundingClientRect();
  const bottom = text.scrollHeight > text.clientHeight ? box.bottom : Number.POSITIVE_INFINITY;
  const scale = Math.min(1, (WIDTH - 40) / box.width);
  let reached = y;
  for (const element of text.querySelectorAll<HTMLElement>(".token, .pill, .between")) {
    const words = element.textContent ?? "";
    if (!words.trim()) continue;
    const style = getComputedStyle(element);
    const rects = [...element.getClientRects()].filter(
      (rect) => rect.width > 0 && rect.top >= box.top && rect.bottom <= bottom,
    );
    rects.forEach((rect, index) => {
      const position = { x: 20 + (rect.left - box.left) * scale, y: y + (rect.top - box.top) * scale };
      const size = { width: rect.width * scale, height: rect.height * scale };
      if (style.backgroundColor !== "rgba(0, 0, 0, 0)") {
        shapes.push({ kind: "rect", ...position, ...size, fill: style.backgroundColor, radius: 3 });
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
      reached = Math.max(reached, position.y + size.height);
    });
  }
  y = reached + 24;
  const order = barOrder(scores, state).slice(0, MAX_BARS);
  const reach = Math.max(...Array.from(scores.values, (value) => Math.abs(value) || 0)) || 1;
  const [left, right] = [200, WIDTH - 90];
  const zero = attribution.signed ? (left + right) / 2 : left;
  const room = attribution.signed ? (right - left) / 2 : right - left;
  for (const index of order) {
    const value = scores.values[index];
    const middle = y + ROW / 2;
    const label = units[index].label;
    const name = Array.from(label).length > 24 ? `${Array.from(label).slice(0, 23).join("")}…` : label;
    shapes.push({ kind: "text", x: left - 10, y: middle, text: name, size: 12, anchor: "end", fill: ink });
    if (!Number.isNaN(value)) {
      const width = (Math.abs(value) / reach) * room;
      const fill = colors.bar(value, attribution.signed, units[index].special);
      shapes.push({
        kind: "rect",
        x: value < 0 ? zero - width : zero,
        y: y + 4,
        width,
        height: ROW - 8,
        fill,
        radius: 2,
      });
    }
    const share = Number.isNaN(value) ? "no score" : formatPercent(scores.total ? value / scores.total : 0);
    shapes.push({
      kind: "text",
      x: WIDTH - 20,
      y: middle,
      text: share,
      size: 11,
      anchor: "end",
      fill: muted,
    });
    y += ROW;
  }
  shapes.push({ kind: "path", d: `M${zero} ${reached + 22}V${y}`, stroke: colors.get("line"), width: 1 });
  const hiddenCount = scores.values.length - order.length;
  const target = attribution.targets[state.target];
  const signs = attribution.signed
    ? `right: ${target.above}; left: ${target.below}`
    : "magnitude of the score";
  const note = `share of the total score (${signs}); longest bar: ${formatNumber(reach)}${hiddenCount ? `; ${hiddenCount} more not shown` : ""}`;
  shapes.push({ kind: "text", x: 20, y: y + 16, text: note, size: 11, fill: muted });
  return { width: WIDTH, height: y + 34, background: colors.get("background"), shapes };
}
