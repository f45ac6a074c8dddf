/** Both values of words as points on one scale, with their difference between them. */

import { h, on, replace } from "../ui/dom";
import { counted } from "../ui/format";
import { bdi, note, numberAt } from "../ui/parts";
import {
  type ComparisonContext,
  changeOf,
  differenceWords,
  labelOf,
  type Shown,
  shownOf,
  textUnits,
  valueWords,
} from "./state";

const MAX_ROWS = 100;

/** The largest differences, or all words by position or size. */
export function changesView(context: ComparisonContext, all: boolean): HTMLElement {
  const { payload, store, theme } = context;
  const rows = h("ol", { class: "changes" });
  const words = note();
  const draw = () => {
    const { state } = store;
    const shown = shownOf(payload, state);
    if (!shown) return;
    const order = all ? everyUnit(shown, state.sort) : shown.target.largest;
    const base = textUnits({ labelCount: shown.level.kinds.length, units: shown.level.units });
    replace(rows, ...order.slice(0, MAX_ROWS).map((unit) => row(context, shown, unit, base[unit])));
    const more = order.length - MAX_ROWS;
    words.textContent = all
      ? `${more > 0 ? `${counted(more, shown.level.name)} with smaller differences not shown; the CSV file has all. ` : ""}Hollow: first; filled: second; on one scale${shown.part.signed ? " centered on zero" : ""}.`
      : "";
    mark();
  };
  const mark = () => {
    for (const item of rows.children as HTMLCollectionOf<HTMLElement>) {
      const unit = Number(item.dataset.unit);
      item.classList.toggle("selected", unit >= 0 && isShown(unit, store.state.focus));
      item.classList.toggle("hovered", unit >= 0 && isShown(unit, store.state.hover));
    }
  };
  const isShown = (unit: number, other: number) => {
    const units = shownOf(payload, store.state)?.level.units;
    return other >= 0 && units?.[unit] === units?.[other];
  };
  on(rows, {
    pointermove: (event) => store.set({ hover: numberAt(event, "unit") }),
    pointerleave: () => store.set({ hover: -1 }),
    click: (event) => store.set({ focus: numberAt(event, "unit") }),
  });
  store.watch(all ? ["attribution", "level", "target", "sort"] : ["attribution", "level", "target"], draw);
  store.watch(["hover", "focus"], mark);
  theme.watch(draw);
  return h("div", { class: "changes-box" }, rows, words);
}

function everyUnit(shown: Shown, sort: "position" | "size"): number[] {
  const { level, target } = shown;
  const size = (unit: number) =>
    Math.abs(changeOf(shown, unit) ?? 0) ||
    Math.max(Math.abs(target.first[unit] ?? 0), Math.abs(target.second[unit] ?? 0)) / 1e6;
  const order = Array.from(level.kinds.keys())
    .filter((unit) => target.first[unit] !== null || target.second[unit] !== null)
    .sort((a, b) => size(b) - size(a) || a - b);
  const kept = order.slice(0, MAX_ROWS);
  return sort === "size" ? order : [...kept.sort((a, b) => a - b), ...order.slice(MAX_ROWS)];
}

function row({ theme }: ComparisonContext, shown: Shown, unit: number, base: number): HTMLElement {
  const { part, level, target } = shown;
  const change = changeOf(shown, unit);
  const [first, second] = [target.first[unit], target.second[unit]];
  const place = (value: number) =>
    (part.signed ? 50 : 0) + (part.signed ? 50 : 100) * Math.max(-1, Math.min(1, value / target.full));
  const marks: HTMLElement[] = [];
  if (change) {
    const [from, to] = [place(first ?? 0), place(second ?? 0)];
    const link = h("span", { class: "bar" });
    Object.assign(link.style, {
      left: `${Math.min(from, to)}%`,
      width: `${Math.abs(to - from)}%`,
      background: theme.colors.get(change < 0 ? "against" : "supports"),
    });
    marks.push(link);
  }
  ([first, second] as const).forEach((value, side) => {
    if (value === null) return;
    const dot = h("span", { class: `dot ${side ? "second" : "first"}` });
    dot.style.left = `${place(value)}%`;
    marks.push(dot);
  });
  const [before, after] = [level.firstLabels[unit], level.secondLabels[unit]];
  const kind = level.kinds[unit];
  const label =
    kind === "replaced"
      ? [bdi(before), " → ", bdi(after)]
      : [
          bdi(before || after),
          kind !== "same" && h("span", { class: "note" }, kind === "first only" ? " removed" : " added"),
        ];
  return h(
    "li",
    { class: level.special[unit] ? "special" : "", "data-unit": base },
    h("span", { class: "bar-label", title: labelOf(level, unit) }, ...label),
    h("span", { class: `track${part.signed ? " signed" : ""}`, "aria-hidden": "true" }, ...marks),
    h("span", { class: "values" }, `${valueWords(part, first)} → ${valueWords(part, second)}`),
    h("strong", { class: "bar-value" }, differenceWords(part, change)),
  );
}
