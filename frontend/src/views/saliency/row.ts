/** One unit's score as a row: label, bar and share. */

import type { Context } from "../../context";
import { type Scores, scoredLabel, type Unit } from "../../data/units";
import { type BarChart, type BarRow, barShapes } from "../../scene/bars";
import { sceneElement } from "../../scene/svg";
import type { State } from "../../state/store";
import type { Colors } from "../../ui/colors";
import { h, on } from "../../ui/dom";
import { numberAt } from "../../ui/parts";
import { scoreRows, shareWords } from "../../words";

export const ROW_HEIGHT = 26;

/** The chart of the scores on screen. */
export function chartOf(
  { model, store }: Context,
  scores: Scores,
  colors: Colors,
  width: number,
  rowHeight = ROW_HEIGHT,
): BarChart {
  const { level } = store.state;
  const reach = Math.max(...Array.from(scores.values, (value) => Math.abs(value) || 0)) || 1;
  // Without negative scores, bars have the whole width.
  const signed = scores.values.some((value) => value < 0);
  const paired = !!model.attribution(store.state)?.sides.length;
  return { width, rowHeight, reach, signed, colors, wide: level === "sentence", paired };
}

/** A unit as a row of the chart. */
export function barRow({ model, store }: Context, scores: Scores, unit: Unit, colors: Colors): BarRow {
  const { state } = store;
  const { signed = false, sides = [] } = model.attribution(state) ?? {};
  const table = model.table(state);
  const value = scores.values[unit.index];
  return {
    label: scoredLabel(table, scores, unit),
    side: sides[table.segments[unit.first]] ?? "",
    value,
    words: shareWords(scores.total ? value / scores.total : 0, signed),
    fill: colors.bar(value, signed, unit.special),
    hatch: model.isFaded(state) ? colors.get("background") : undefined,
    muted: unit.special,
  };
}

/** A row of the page that selects its unit. */
export function rowElement(
  context: Context,
  unit: Unit,
  row: BarRow,
  chart: BarChart,
  name: string,
): HTMLElement {
  const { state } = context.store;
  const [first, last] = context.model.span(state);
  const isSelected = first >= 0 && unit.last >= first && unit.first <= last;
  return h(
    "div",
    {
      class: `bar-row${unit.index === context.model.unitOf(state, state.hover) ? " hovered" : ""}`,
      role: "option",
      id: `${name}-${unit.index}`,
      "aria-label": [row.label, row.side, row.words].filter(Boolean).join(" "),
      "aria-selected": isSelected ? "true" : undefined,
      "data-token": unit.first,
    },
    sceneElement({ width: chart.width, height: chart.rowHeight, shapes: barShapes(row, chart) }),
  );
}

/** Hover and click on rows. */
export function listenToRows({ model, store, actions, tooltip }: Context, element: HTMLElement): void {
  on(element, {
    pointermove: (event) => {
      const token = numberAt(event, "token");
      actions.hover(token);
      if (token < 0) return tooltip.hide();
      const { state } = store;
      const unit = model.unitsShown(state)[model.unitOf(state, token)];
      const rows = scoreRows(model.scores(state), unit, model.attribution(state));
      return tooltip.show(event, unit.label, rows);
    },
    pointerleave: () => {
      actions.hover(-1);
      tooltip.hide();
    },
    click: (event) => {
      const token = numberAt(event, "token");
      if (token < 0) return;
      actions.select(token, { extend: event.shiftKey });
      element.focus({ preventScroll: true });
    },
  });
}

/** Mark the row under the pointer, here or in another view. */
export function markHovered({ model }: Context, rows: Iterable<Element>, state: Readonly<State>): void {
  const unit = model.unitOf(state, state.hover);
  for (const row of rows) row.classList.toggle("hovered", unit >= 0 && row.id.endsWith(`-${unit}`));
}
