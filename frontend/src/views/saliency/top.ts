/** The five units with the largest scores, beside the text. */

import type { Context } from "../../context";
import { strongest } from "../../data/units";
import { h, replace } from "../../ui/dom";
import { formatNumber, formatPercent } from "../../ui/format";
import { bdi } from "../../ui/parts";
import { barRow, chartOf, listenToRows, markHovered, rowElement } from "./row";

const TOP = 5;
const NAMED = 0.1; // share of the total from which special tokens are named

export function topView(context: Context): HTMLElement {
  const { model, store, theme } = context;
  const rows = h("div", {
    class: "top-rows",
    role: "listbox",
    tabindex: 0,
    "aria-label": "Strongest words",
    "data-view": "top",
  });
  const remark = h("p", { class: "note" });
  const sum = h("p", { class: "base", hidden: true });

  const paint = () => {
    const { state } = store;
    const scores = model.scores(state);
    if (!scores || !rows.clientWidth) return;
    const units = model.unitsShown(state);
    const chart = chartOf(context, scores, theme.colors, rows.clientWidth);
    replace(
      rows,
      ...strongest(scores, TOP).map((unit) =>
        rowElement(context, units[unit], barRow(context, scores, units[unit], theme.colors), chart, "top"),
      ),
    );
    if (!rows.childElementCount) replace(rows, h("p", { class: "note" }, "No score differs from 0."));
    const special = units
      .filter((unit) => unit.special && scores.values[unit.index])
      .sort((a, b) => Math.abs(scores.values[b.index]) - Math.abs(scores.values[a.index]));
    const share =
      special.reduce((total, unit) => total + Math.abs(scores.values[unit.index]), 0) / (scores.total || 1);
    remark.hidden = share < NAMED;
    replace(
      remark,
      "Special tokens (",
      bdi([...new Set(special.map(({ label }) => label))].slice(0, 3).join(", ")),
      `) have ${formatPercent(share)} of the total and are not listed.`,
    );
  };
  const describe = () => {
    const { state } = store;
    const attribution = model.attribution(state);
    if (!attribution) return;
    const targets = attribution.targets.slice(state.target, state.targetEnd + 1);
    sum.hidden = targets.some(({ baseline, gap }) => baseline === null || gap === null);
    if (sum.hidden) return;
    const total = (of: (target: (typeof targets)[number]) => number) =>
      formatNumber(targets.reduce((result, target) => result + of(target), 0));
    replace(
      sum,
      "base value ",
      h(
        "strong",
        {},
        total(({ baseline }) => baseline ?? 0),
      ),
      " → f(x) = ",
      h(
        "strong",
        {},
        total(({ output }) => output),
      ),
    );
    sum.title = "The scores sum to the difference: from the output without the text to the output with it.";
  };
  listenToRows(context, rows);
  store.watch(["attribution", "target", "targetEnd"], describe);
  store.watch(["attribution", "target", "targetEnd", "level", "anchor", "focus"], paint);
  store.watch(["hover"], (state) => markHovered(context, rows.children, state));
  theme.watch(paint);
  new ResizeObserver(paint).observe(rows);
  return h("div", { class: "top-five" }, rows, remark, sum);
}
